from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from . import bounds, clock, words
from .key_account_shown import open_partner

# What administrators may correct later. The rest is what happened.
EDITABLE_FIELDS = {"competitor_id", "note", "reason_id"}


class KeyAccountLoss(models.Model):
    """A customer that left a company: when, why and to whom, and whether it came back.

    While a loss is open, nothing is planned for the customer but the win-back visit.
    Written by the wizard and the buttons alone, as superuser after their checks.
    """

    _name = "key.account.loss"
    _inherit = "key.account.form"
    _description = "Lost Account"
    _order = "date desc, id desc"
    _rec_name = "partner_id"

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
        ondelete="cascade",
        default=lambda self: self.env.company._get_key_account_home(),
    )
    currency_id = fields.Many2one(is_internal=True, related="company_id.currency_id")
    # A copy, so that the record rules need no join.
    partner_user_id = fields.Many2one(
        related="partner_id.user_id",
        string="Salesperson",
        store=True,
        index=True,
    )
    tier_id = fields.Many2one(
        "key.account.tier",
        ondelete="restrict",
        help="Tier of the customer when it left.",
    )
    tier_color = fields.Integer(
        is_internal=True, related="tier_id.color", aggregator=None
    )
    revenue = fields.Monetary(
        string="Lost Revenue",
        readonly=True,
        help="Revenue of the policy's window when the customer left, or of the window "
        "before, whichever is larger.",
    )
    reason_id = fields.Many2one(
        "key.account.churn.reason",
        required=True,
        index=True,
        ondelete="restrict",
    )
    date = bounds.Date(
        string="Lost On",
        required=True,
        default=fields.Date.context_today,
    )
    competitor_id = fields.Many2one(
        "res.partner",
        domain=[("is_company", "=", True)],
        index="btree_not_null",
        help="Who has the business now, if known.",
    )
    note = bounds.Text()
    date_win_back = bounds.Date(
        string="Win Back On",
        is_plan=True,
        help="A visit is planned for this day, though the account is lost.",
    )
    user_id = fields.Many2one("res.users", string="Noted By")
    date_returned = bounds.Date(string="Came Back On")
    returned_user_id = fields.Many2one("res.users", string="Return Noted By")
    state = fields.Selection(
        [("lost", "Lost"), ("returned", "Came back")],
        compute="_compute_state",
        store=True,
    )

    _open_uniq = models.UniqueIndex(
        "(partner_id, company_id) WHERE date_returned IS NULL",
        "The account is lost already.",
    )

    @api.depends("date_returned")
    def _compute_state(self):
        for loss in self:
            loss.state = "returned" if loss.date_returned else "lost"

    @api.depends("partner_id", "date")
    @api.depends_context("lang")
    def _compute_display_name(self):
        for loss in self:
            # sudo: whoever may read the loss may read whose it is
            name = loss.partner_id.sudo().display_name
            day = loss.date and clock.format_day(self.env, loss.date)
            loss.display_name = words.join_facts(self.env, (name, day))

    @api.constrains("date")
    def _check_date(self):
        for loss in self:
            if loss.date > fields.Date.context_today(loss):
                raise ValidationError(
                    self.env._(
                        "An account can't be lost in the future: enter today or an "
                        "earlier day."
                    )
                )

    @api.constrains("date", "date_win_back")
    def _check_date_win_back(self):
        for loss in self:
            if loss.date_win_back and loss.date_win_back < loss.date:
                raise ValidationError(
                    self.env._(
                        "The day to win the customer back is before the loss: enter a "
                        "later day."
                    )
                )

    @api.constrains("date", "date_returned")
    def _check_date_returned(self):
        for loss in self:
            if loss.date_returned and loss.date_returned < loss.date:
                raise ValidationError(
                    self.env._(
                        "A customer can't come back before it was lost: enter a later "
                        "day."
                    )
                )

    @api.model
    def _check_editable(self, vals):
        """Refuse to change what happened.

        :raise AccessError: if ``vals`` changes it
        """
        if not self.env.su and vals.keys() - EDITABLE_FIELDS:
            raise AccessError(
                self.env._(
                    "Of a lost account, only reason, competitor and note can be "
                    "changed."
                )
            )

    @api.model
    def _prepare_values(self, vals):
        """Return ``vals`` for the customer's company, with the tier and the revenue
        that it has now."""
        partner = self.env["res.partner"].browse(vals.get("partner_id"))
        account = partner.commercial_partner_id
        company = (
            self.env["res.company"]
            .browse(vals.get("company_id") or self.env.company.id)
            ._get_key_account_home()
        )
        card = (
            self.env["key.account"]
            .sudo()
            .search([("partner_id", "=", account.id), ("company_id", "=", company.id)])
        )
        return {
            "tier_id": account.sudo().with_company(company).account_tier_id.id,
            "revenue": max(card.revenue, card.previous_revenue, 0),
            "user_id": self.env.uid,
            **vals,
            "company_id": company.id,
            "partner_id": account.id,
        }

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_return(self):
        """Note that the customers came back today; visits go on by the cadence.

        :raise AccessError: if one of them is a colleague's, for those who see their
            own documents only
        :raise UserError: if one of them isn't lost any more
        """
        self.check_access("read")
        self.partner_id._check_own_account()
        returned = self.filtered("date_returned")
        if returned:
            raise UserError(
                self.env._(
                    "%s has come back already: refresh the page.",
                    # sudo: whoever may read the loss may read whose it is
                    returned[0].partner_id.sudo().display_name,
                )
            )
        self.sudo()._return()
        return True

    def action_open_partner(self):
        return open_partner(self)

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _get_visit_reason(self):
        """Return why visits of the customer are closed."""
        return self.env._("Account lost: %s", self.reason_id.name)

    def _mark_returned(self):
        """Close the losses as of today."""
        today = fields.Date.context_today(self)
        # the day of the loss may be that of a colleague further east
        for day, losses in self.grouped(lambda loss: max(today, loss.date)).items():
            losses.write({"date_returned": day, "returned_user_id": self.env.uid})

    def _return(self):
        """Close the losses as of today: the customers came back."""
        self._mark_returned()

    @api.model
    def _follow_commercial_entity(self, partners):
        """A contact can't be lost: close the losses of those that became contacts."""
        contacts = partners.filtered(lambda p: p != p.commercial_partner_id)
        if contacts:
            self.search(
                [("partner_id", "in", contacts.ids), ("state", "=", "lost")]
            )._mark_returned()

    @api.model
    def _follow_merge(self, partners):
        """Keep what depends on the losses of ``partners`` in step: the merge went past
        the ORM."""
        losses = self.search([("partner_id", "in", partners.ids)])
        self.env.add_to_compute(self._fields["partner_user_id"], losses)
        self.env["key.account"]._update_losses(partners.ids)
