from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain

from ..const import (
    HIGHEST_FREE_LEVEL,
    INTERNAL,
    LEVEL_NUMBERS,
    RELATIONSHIP_LEVELS,
)

SALES = "sales_team.group_sale_salesman"


class ResPartner(models.Model):
    """The relationship ladder, and the executive sponsor."""

    # A file for each concern: in one, they would be more than anybody reads.
    _inherit = "res.partner"

    # Transactional unless somebody said otherwise: see data/ir_default_data.xml.
    relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        company_dependent=True,
        groups=SALES,
        copy=False,
        tracking=True,
        help="How deep the relationship is, in this company. Salespeople set it up to "
        "preferred supplier and propose what lies above; evidence supports it.",
    )
    executive_sponsor_id = fields.Many2one(
        "res.users",
        company_dependent=True,
        index=False,
        groups=SALES,
        copy=False,
        tracking=True,
        domain=lambda self: [
            ("share", "=", False),
            ("company_ids", "in", self.env.company.ids),
        ],
        help="The executive of ours who visits this customer. Executive visits go to "
        "the sponsor, who sees them also without sales rights, else to the leader of "
        "the sales team.",
    )
    # From the scorecard, which the key-account tab reads anyway.
    suggested_relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        string="Evidence Supports",
        compute="_compute_relationship",
        search="_search_suggested_relationship_level",
        groups=SALES,
        help="The highest level whose own and lower criteria all hold.",
    )
    relationship_direction = fields.Selection(
        [("promotion", "Promotion"), ("demotion", "Demotion")],
        string="Evidence For",
        compute="_compute_relationship",
        groups=SALES,
    )
    relationship_gap_text = fields.Char(
        string="Missing or Lapsed",
        compute="_compute_relationship",
        groups=SALES,
        help="What the next level, or the level in force, still needs.",
    )
    key_account_coverage = fields.Float(
        string="Coverage (%)",
        digits=(16, 0),
        compute="_compute_relationship",
        search="_search_key_account_coverage",
        groups=SALES,
        help="Required contacts who were met within the tier's period.",
    )
    key_account_required_count = fields.Integer(
        compute="_compute_relationship",
        groups=SALES,
    )
    key_account_is_single_threaded = fields.Boolean(
        string="Single-Threaded",
        compute="_compute_relationship",
        search="_search_key_account_is_single_threaded",
        groups=SALES,
        help="Only one contact was met, or only one colleague met them, within the "
        "tier's period.",
    )
    key_account_thread_text = fields.Char(
        string="Who Met Whom",
        compute="_compute_relationship",
        groups=SALES,
    )

    @api.depends("key_account_id")
    @api.depends_context("company", "uid", "lang")
    def _compute_relationship(self):
        criteria = self.env["key.account.relationship.criterion"]
        for partner in self:
            card = partner.key_account_id
            partner.suggested_relationship_level = (
                card.suggested_relationship_level or "transactional"
            )
            partner.relationship_direction = card.relationship_direction
            partner.relationship_gap_text = criteria._get_gap_text(
                card.relationship_gap
            )
            partner.key_account_coverage = card.coverage
            partner.key_account_required_count = card.required_count
            partner.key_account_is_single_threaded = card.is_single_threaded
            partner.key_account_thread_text = card._get_thread_text()

    def _search_suggested_relationship_level(self, operator, value):
        if operator != "in":
            return NotImplemented
        domain = self._get_scorecard_domain(
            Domain("suggested_relationship_level", "in", value)
        )
        if "transactional" in value:
            # those that were never evaluated
            domain |= ~self._get_scorecard_domain(
                Domain("suggested_relationship_level", "!=", False)
            )
        return domain

    def _search_key_account_coverage(self, operator, value):
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented
        return self._get_scorecard_domain(
            Domain("required_count", ">", 0) & Domain("coverage", operator, value)
        )

    def _search_key_account_is_single_threaded(self, operator, value):
        if operator != "in":
            return NotImplemented
        return self._get_scorecard_domain(Domain("is_single_threaded", "=", True))

    def _get_scorecard_domain(self, domain):
        """Return the domain on customers whose scorecard in this company fits."""
        cards = self.env["key.account"]._search(
            Domain("company_id", "=", self.env.company.id) & domain
        )
        return Domain("commercial_partner_id", "in", cards.subselect("partner_id"))

    @api.constrains("executive_sponsor_id")
    def _check_executive_sponsor_id(self):
        # Contacts only copy: they must not fail for what is wrong with their account.
        for partner in self.sudo().filtered(lambda p: p == p.commercial_partner_id):
            sponsor = partner.executive_sponsor_id
            if sponsor and (
                sponsor.share or self.env.company not in sponsor.company_ids
            ):
                raise ValidationError(
                    self.env._(
                        "%(user)s doesn't work for %(company)s: choose another "
                        "executive sponsor.",
                        user=sponsor.name,
                        company=self.env.company.name,
                    )
                )

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        partners = super().create(vals_list)
        raised = self.browse()
        default = self._get_default_level()
        for partner, vals in zip(partners, vals_list, strict=True):
            # sudo: those outside sales create customers, and don't see these fields
            decided = partner.sudo()
            # Of contacts what was asked for, of accounts what it became: a client's
            # defaults count as well.
            level = vals.get("relationship_level")
            sponsor = vals.get("executive_sponsor_id")
            if partner == decided.commercial_partner_id:
                level = decided.relationship_level
                sponsor = decided.executive_sponsor_id
            if not sponsor and (level or default) == default:
                continue
            partner._check_can_decide_on_account()
            if not partner._can_set_level(level, from_level=default):
                partner._refuse_level()
            if partner == decided.commercial_partner_id:
                raised |= partner
        if raised:
            raised.sudo()._log_relationship_change(dict.fromkeys(raised.ids, default))
        return partners

    def write(self, vals):
        if "relationship_level" in vals and not vals["relationship_level"]:
            vals = {**vals, "relationship_level": "transactional"}
        previous = {}
        if "relationship_level" in vals:
            for partner in self:
                if not partner._can_set_level(vals["relationship_level"]):
                    partner._refuse_level()
            previous = {
                partner.id: partner.relationship_level
                for partner in self.sudo()
                if partner == partner.commercial_partner_id
            }
        res = super().write(vals)
        if previous:
            self.sudo().browse(previous)._log_relationship_change(previous)
        if vals.get("parent_id") or vals.get("is_company") is not None:
            self._move_relationship_to_account()
        if "executive_sponsor_id" in vals:
            self.env["key.account.visit"].sudo()._follow_sponsor(
                self.sudo().filtered(lambda p: p == p.commercial_partner_id)
            )
        return res

    @api.model
    def _get_default_level(self):
        """Return the level of customers of whom nobody has said anything."""
        field = self._fields["relationship_level"]
        return field.get_company_dependent_fallback(self) or "transactional"

    def _can_set_level(self, level, from_level=None):
        """Return whether the user may move the account to ``level`` without asking."""
        if (
            self.env.su
            or self.env.context.get("key_account_merge") is INTERNAL
            or self.env.user.has_group("sales_team.group_sale_manager")
        ):
            return True
        from_level = from_level or self.sudo().relationship_level
        numbers = {LEVEL_NUMBERS.get(level, 1), LEVEL_NUMBERS.get(from_level, 1)}
        return len(numbers) == 1 or max(numbers) <= HIGHEST_FREE_LEVEL

    def _refuse_level(self):
        raise AccessError(
            self.env._(
                "Levels above preferred supplier are decided by a sales administrator: "
                "propose the change of %s with “Change Level”.",
                self.display_name,
            )
        )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_change_relationship_level(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Change Level"),
            "res_model": "key.account.relationship.set",
            "view_mode": "form",
            "target": "new",
            "context": {"default_partner_id": self.commercial_partner_id.id},
        }

    def action_view_relationship_evidence(self):
        self.ensure_one()
        self.check_access("read")
        self.env["key.account"].check_access("read")
        account = self.commercial_partner_id
        self.env["key.account"].sudo()._ensure(account.ids, self.env.company)
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_relationship_status_action"
        )
        action["domain"] = [
            ("partner_id", "=", account.id),
            ("company_id", "=", self.env.company.id),
        ]
        action["context"] = {"key_account_partner_id": account.id}
        action["display_name"] = self.env._("Evidence: %s", account.display_name)
        return action

    def action_view_relationship_changes(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_relationship_change_action"
        )
        action["domain"] = [("partner_id", "=", self.commercial_partner_id.id)]
        action["context"] = {}
        return action

    def action_view_relationship_history(self):
        """Draw the account's level over time."""
        self.ensure_one()
        account = self.commercial_partner_id
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_relationship_history_action"
        )
        graph = self.env.ref(
            "crm_key_account.key_account_relationship_history_view_graph_account"
        )
        action["views"] = [(graph.id, "graph"), (False, "pivot"), (False, "list")]
        action["domain"] = [("partner_id", "=", account.id)]
        action["display_name"] = self.env._("Level: %s", account.display_name)
        return action

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _propose_level(self, level, reason):
        """Leave a proposal to move the account to ``level`` in this company.

        :param str reason: what whoever decides reads
        :raise AccessError: if an account has another salesperson
        :raise UserError: if there is a proposal already
        """
        self._check_can_decide_on_account()
        company = self.env.company
        changes = self.env["key.account.relationship.change"].sudo()
        cards = self.env["key.account"].sudo()
        cards._ensure(self.ids, company)
        cards._refresh_relationships(self.ids)
        proposed = [
            ("partner_id", "in", self.ids),
            ("company_id", "=", company.id),
            ("state", "=", "proposed"),
        ]
        pending = changes.search(
            [*proposed, ("proposed_user_id", "!=", False)], limit=1
        )
        if pending:
            raise UserError(
                self.env._(
                    "There is already a proposal for %s: it has to be decided first.",
                    pending.partner_id.display_name,
                )
            )
        # What a person proposes takes the place of what the evidence proposed.
        changes.search([*proposed, ("proposed_user_id", "=", False)]).write(
            {
                "state": "rejected",
                "note": self.env._("Proposed anew by %s", self.env.user.name),
                "date": fields.Date.context_today(self),
            }
        )
        # the new one must not meet it in the unique index
        changes.flush_model()
        gaps = self._get_gaps(company)
        return changes.create(
            [
                {
                    "partner_id": partner.id,
                    "company_id": company.id,
                    "from_level": partner.relationship_level,
                    "to_level": level,
                    "state": "proposed",
                    "reason": reason,
                    "gap": gaps.get(partner),
                    "proposed_user_id": self.env.uid,
                }
                for partner in self.sudo()
            ]
        )

    def _get_gaps(self, company):
        """Return {customer: criteria that don't hold}."""
        cards = self.env["key.account"].sudo()
        return {
            card.partner_id: card.relationship_gap
            for card in cards.search(
                [("partner_id", "in", self.ids), ("company_id", "=", company.id)]
            )
        }

    def _move_relationship_to_account(self):
        """Give what was said about accounts that became contacts to their account."""
        contacts = self.sudo().filtered(lambda p: p != p.commercial_partner_id)
        if not contacts:
            return
        self.env["key.account.relationship.change"].sudo().search(
            [("partner_id", "in", contacts.ids), ("state", "=", "proposed")]
        ).write({"state": "rejected", "note": self.env._("Now a contact")})
        cards = self.env["key.account"].sudo()
        self.env["key.account.relationship.change"].sudo().create(
            [
                {
                    "partner_id": card.partner_id.id,
                    "company_id": card.company_id.id,
                    "from_level": card.relationship_level,
                    "to_level": "transactional",
                    "state": "applied",
                    "reason": self.env._(
                        "Now a contact of %s",
                        card.partner_id.commercial_partner_id.display_name,
                    ),
                    "proposed_user_id": self.env.uid,
                    "user_id": self.env.uid,
                }
                for card in cards.search(
                    [
                        ("partner_id", "in", contacts.ids),
                        ("relationship_level", "not in", [False, "transactional"]),
                    ]
                )
            ]
        )
        evidence = self.env["key.account.relationship.evidence"].sudo()
        for account, said in (
            evidence.search([("partner_id", "in", contacts.ids)])
            .grouped(lambda said: said.partner_id.commercial_partner_id)
            .items()
        ):
            said.partner_id = account
        cards._refresh_relationships((contacts | contacts.commercial_partner_id).ids)

    def _log_relationship_change(self, previous_levels):
        """Keep the history, the scorecard and the planned visits in step with a level
        that was written on the customer, in the current company."""
        company = self.env.company
        changed = self.filtered(
            lambda partner: (
                (partner.relationship_level or "transactional")
                != (previous_levels[partner.id] or "transactional")
            )
        )
        if not changed:
            return
        if self.env.context.get("key_account_skip_change") is not INTERNAL:
            changes = self.env["key.account.relationship.change"]
            today = fields.Date.context_today(self)
            gaps = self._get_gaps(company)
            pending = changes.search(
                [
                    ("partner_id", "in", changed.ids),
                    ("company_id", "=", company.id),
                    ("state", "=", "proposed"),
                ]
            )
            meant = pending.filtered(
                lambda change: change.to_level == change.partner_id.relationship_level
            )
            meant.write({"state": "applied", "user_id": self.env.uid, "date": today})
            # Nobody said no to the others: without a user they don't count as such.
            (pending - meant).write(
                {
                    "state": "rejected",
                    "note": self.env._("Set by hand to another level"),
                    "date": today,
                }
            )
            changes.create(
                [
                    {
                        "partner_id": partner.id,
                        "company_id": company.id,
                        "from_level": previous_levels[partner.id],
                        "to_level": partner.relationship_level or "transactional",
                        "state": "applied",
                        "reason": self.env.context.get("key_account_reason")
                        or self.env._("Set by hand"),
                        "gap": gaps.get(partner),
                        "proposed_user_id": self.env.uid,
                        "user_id": self.env.uid,
                        "date": today,
                    }
                    for partner in changed - meant.partner_id
                ]
            )
        cards = self.env["key.account"]
        cards._ensure(changed.ids, company)
        cards._refresh_relationships(changed.ids)
        self.env["key.account.visit"]._plan_now(changed, company)
