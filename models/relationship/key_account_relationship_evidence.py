from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..account import bounds, clock


class KeyAccountRelationshipEvidence(models.Model):
    """Somebody's word that a judged criterion holds for an account. The latest one
    counts; none is ever changed or deleted, so that they are a history."""

    _name = "key.account.relationship.evidence"
    _inherit = "key.account.form"
    _description = "Relationship Evidence"
    _order = "date desc, id desc"
    _rec_name = "criterion_id"

    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        default=lambda self: self.env.company._get_key_account_home(),
    )
    # A copy, so that the record rules need no join.
    partner_user_id = fields.Many2one(
        related="partner_id.user_id",
        string="Salesperson",
        store=True,
        index=True,
    )
    criterion_id = fields.Many2one(
        "key.account.relationship.criterion",
        required=True,
        index=True,
        ondelete="restrict",
        domain="[('kind', '=', 'judged'), '|', ('company_id', '=', False),"
        " ('company_id', 'parent_of', company_id)]",
    )
    level = fields.Selection(related="criterion_id.level")
    date = bounds.Date(
        required=True,
        default=fields.Date.context_today,
        help="The day on which it was seen to be true. It lapses after the months that "
        "the criterion sets.",
    )
    note = bounds.Text(required=True, help="What makes you say so.")
    user_id = fields.Many2one(
        "res.users",
        string="Said By",
        required=True,
        readonly=True,
        default=lambda self: self.env.user,
    )
    date_withdrawn = fields.Date(string="Withdrawn On", readonly=True)
    withdrawn_user_id = fields.Many2one(
        "res.users", string="Withdrawn By", readonly=True
    )

    @api.constrains("date")
    def _check_date(self):
        for evidence in self:
            # the later of two days: somebody ahead of the company's clock isn't wrong
            today = max(
                clock.get_today(evidence.company_id),
                fields.Date.context_today(evidence),
            )
            if evidence.date > today:
                raise ValidationError(
                    self.env._(
                        "Evidence can't be dated in the future: enter today or an "
                        "earlier day."
                    )
                )

    @api.constrains("criterion_id", "company_id")
    def _check_criterion(self):
        for evidence in self:
            criterion = evidence.criterion_id
            if criterion.kind != "judged":
                raise ValidationError(
                    self.env._(
                        "“%s” is read off the data: nobody has to confirm it.",
                        criterion.name,
                    )
                )
            asking = criterion.sudo().company_id
            if asking and asking not in evidence.company_id.sudo().parent_ids:
                raise ValidationError(
                    self.env._(
                        "“%(criterion)s” is asked for in %(company)s only: choose a "
                        "criterion of this company.",
                        criterion=criterion.name,
                        company=asking.name,
                    )
                )

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        bounds.check_values(self, vals_list)
        records = super().create(self._prepare_values(vals_list))
        records.partner_id._check_own_account()
        records._update_ladder()
        return records

    @api.model
    def _prepare_values(self, vals_list):
        """Return what is said: of the account, by the user, today."""
        default = self.env.context.get("default_partner_id")
        vals_list = [{"partner_id": default, **vals} for vals in vals_list]
        partners = self.env["res.partner"].browse(
            vals["partner_id"] for vals in vals_list if vals["partner_id"]
        )
        accounts = {partner.id: partner.commercial_partner_id for partner in partners}
        cleaned = []
        for vals in vals_list:
            account = accounts.get(vals["partner_id"])
            vals = {**vals, "partner_id": account.id if account else False}
            if not self.env.su:
                # said by whoever says it
                vals["user_id"] = self.env.uid
                # explicitly, as a client's context may hold defaults
                vals["date_withdrawn"] = vals["withdrawn_user_id"] = False
            company = self.env["res.company"].browse(
                vals.get("company_id") or self.env.company.id
            )
            company = company._get_key_account_home()
            vals["company_id"] = company.id
            if not vals.get("date"):
                # Where the rep is, tomorrow may have begun: it is to count at once.
                vals["date"] = min(
                    fields.Date.context_today(self),
                    clock.get_today(company),
                )
            cleaned.append(vals)
        return cleaned

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_withdraw(self):
        """Take the word back, from today on, and with it what was said of the criterion
        before: it doesn't hold any more, until somebody says so again.

        :raise UserError: if it was withdrawn already
        """
        self.check_access("read")
        self.partner_id._check_own_account()
        if any(evidence.date_withdrawn for evidence in self):
            raise UserError(
                self.env._("The evidence was withdrawn already: refresh the page.")
            )
        # sudo: users write no evidence, this button takes it back
        taken_back = self.sudo() | self.sudo()._find_older()
        for (company, day), records in taken_back.grouped(
            lambda said: (said.company_id, said.date)
        ).items():
            records.write(
                {
                    "date_withdrawn": max(day, clock.get_today(company)),
                    "withdrawn_user_id": self.env.uid,
                }
            )
        self._update_ladder()

    def _find_older(self):
        """Return what counts so far and was said of the same criteria for an earlier
        day, or earlier for the same one."""

        def get_key(said):
            return said.partner_id, said.company_id, said.criterion_id

        latest = {}
        for said in self.sorted(lambda said: (said.date, said.id)):
            latest[get_key(said)] = (said.date, said.id)
        others = self.search(
            [
                ("partner_id", "in", self.partner_id.ids),
                ("criterion_id", "in", self.criterion_id.ids),
                ("date_withdrawn", "=", False),
            ]
        )
        return others.filtered(
            lambda said: (
                get_key(said) in latest and (said.date, said.id) < latest[get_key(said)]
            )
        )

    def _update_ladder(self):
        cards = self.env["key.account"].sudo()
        for company, records in self.sudo().grouped("company_id").items():
            cards._ensure(records.partner_id.ids, company)
        cards._refresh_relationships(self.partner_id.ids)
