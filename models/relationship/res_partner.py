from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

from ...const import (
    HIGHEST_FREE_LEVEL,
    LEVEL_NUMBERS,
    LOWEST_LEVEL,
    RELATIONSHIP_LEVELS,
)
from ..account import decisions, features
from ..account.columns import INDIRECT_OPERATORS, search_column
from ..account.key_account_shown import open_dialog

SALES = "sales_team.group_sale_salesman"
SWITCHED = {
    features.EVIDENCE: {
        "relationship_direction",
        "relationship_level",
        "suggested_relationship_level",
    },
    features.BUYING_CENTER: {
        "buying_role_ids",
        "decision_level",
        "key_account_coverage",
        "key_account_is_single_threaded",
        "key_account_required_count",
        "left_company_date",
        "stance",
    },
}


class ResPartner(models.Model):
    """The relationship ladder: what the evidence supports, and who may set a level."""

    # A file for each concern: in one, they would be more than anybody reads.
    _inherit = "res.partner"

    relationship_level = decisions.Selection(
        RELATIONSHIP_LEVELS,
        compute="_compute_relationship_level",
        compute_sudo=True,
        readonly=False,
        search="_search_relationship_level",
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="How deep the relationship is, in this company. Salespeople set it up to "
        "preferred supplier and propose what lies above; evidence supports it.",
    )
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
        compute="_compute_key_account_contacts",
        search="_search_key_account_coverage",
        groups=SALES,
        help="Required contacts who were met within the tier's period.",
    )
    key_account_required_count = fields.Integer(
        compute="_compute_key_account_contacts",
        groups=SALES,
    )
    key_account_is_single_threaded = fields.Boolean(
        string="Single-Threaded",
        compute="_compute_key_account_contacts",
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

    # Apart from the other decisions: lists show it alone.
    @api.depends("parent_id")
    @api.depends_context("company")
    def _compute_relationship_level(self):
        for partner in self:
            level = partner.key_account_id.relationship_level
            partner.relationship_level = level or LOWEST_LEVEL

    # Apart from the texts: lists show the figures alone.
    @api.depends("key_account_id")
    @api.depends_context("company", "uid")
    def _compute_key_account_contacts(self):
        for partner, card in self._get_readable_accounts():
            partner.key_account_required_count = card.required_count
            partner.key_account_coverage = card.coverage
            partner.key_account_is_single_threaded = card.is_single_threaded

    @api.depends("key_account_id")
    @api.depends_context("company", "uid", "lang")
    def _compute_relationship(self):
        criteria = self.env["key.account.relationship.criterion"]
        for partner, card in self._get_readable_accounts():
            partner.suggested_relationship_level = (
                card.suggested_relationship_level or LOWEST_LEVEL
            )
            partner.relationship_direction = card.relationship_direction
            partner.relationship_gap_text = criteria._get_gap_text(
                card.relationship_gap
            )
            partner.key_account_thread_text = card._get_thread_text()

    def _search_relationship_level(self, operator, value):
        if operator == "in" and not {LOWEST_LEVEL, False} & set(value):
            # Few accounts, found by an index; COALESCE would have to look at all.
            home = self.env.company._get_key_account_home()
            accounts = (
                self.env["key.account"]
                .sudo()
                ._search(
                    [
                        ("company_id", "=", home.id),
                        ("relationship_level", "in", value),
                        ("relationship_level", "!=", LOWEST_LEVEL),
                    ]
                )
            )
            return Domain(
                "commercial_partner_id", "in", accounts.subselect("partner_id")
            )
        return search_column("relationship_level")(self, operator, value)

    def _search_suggested_relationship_level(self, operator, value):
        if operator != "in":
            return NotImplemented
        domain = self._get_account_domain(
            Domain("suggested_relationship_level", "in", value)
        )
        if LOWEST_LEVEL in value:
            # those that were never evaluated
            domain |= ~self._get_account_domain(
                Domain("suggested_relationship_level", "!=", False)
            )
        return domain

    def _search_key_account_coverage(self, operator, value):
        if operator in INDIRECT_OPERATORS:
            return NotImplemented
        return self._get_account_domain(
            Domain("required_count", ">", 0) & Domain("coverage", operator, value)
        )

    def _search_key_account_is_single_threaded(self, operator, value):
        if operator != "in":
            return NotImplemented
        return self._get_account_domain(Domain("is_single_threaded", "=", True))

    def _can_set_level(self, level, from_level=None):
        """Return whether the user may move the account to ``level`` without asking."""
        if self.env.su or self.env.user.has_group("sales_team.group_sale_manager"):
            return True
        from_level = from_level or self.sudo().relationship_level
        numbers = {LEVEL_NUMBERS.get(level, 1), LEVEL_NUMBERS.get(from_level, 1)}
        return len(numbers) == 1 or max(numbers) <= HIGHEST_FREE_LEVEL

    def _check_can_set_level(self, level, from_level=None):
        """Refuse a level that the user may only propose.

        :param str from_level: the level before, default: the one in force
        :raise AccessError: if it takes a sales administrator
        """
        for partner in self:
            if not partner._can_set_level(level, from_level):
                raise AccessError(
                    self.env._(
                        "Levels above preferred supplier are decided by a sales "
                        "administrator: propose the change of %s with “Change Level”.",
                        partner.display_name,
                    )
                )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_change_relationship_level(self):
        """Open the dialog in which the level is changed, or a change proposed.

        :raise AccessError: if it is a colleague's, for those who see their own
            documents only: nothing that is typed there could be kept
        """
        self._check_opens_account()
        self._check_own_account()
        return open_dialog(
            self.env._("Change Level"),
            "key.account.relationship.set",
            partner_id=self.commercial_partner_id.id,
        )

    def action_view_relationship_evidence(self):
        self._check_opens_account()
        account = self.commercial_partner_id
        home = self.env.company._get_key_account_home()
        # sudo: nobody makes these records by hand
        self.env["key.account"].sudo()._ensure(account.ids, home)
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_relationship_status_action"
        )
        action["domain"] = [
            ("partner_id", "=", account.id),
            ("company_id", "=", home.id),
        ]
        action["context"] = {"key_account_partner_id": account.id}
        action["display_name"] = self.env._("Evidence: %s", account.display_name)
        return action

    def action_view_relationship_changes(self):
        self._check_opens_account()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_relationship_change_action"
        )
        action["domain"] = [("partner_id", "=", self.commercial_partner_id.id)]
        action["context"] = {}
        return action

    def action_view_relationship_history(self):
        """Draw the account's level over time."""
        self._check_opens_account()
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
        company = self.env.company._get_key_account_home()
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

    def _reject_level_changes(self, note):
        """Reject the changes of level that are proposed for these customers.

        :param str note: why
        """
        self.env["key.account.relationship.change"].search(
            [("partner_id", "in", self.ids), ("state", "=", "proposed")]
        ).write({"state": "rejected", "note": note})

    def _move_relationship_to_account(self):
        """Give what was said about accounts that became contacts to their account."""
        contacts = self.sudo().filtered(lambda p: p != p.commercial_partner_id)
        if not contacts:
            return
        contacts._reject_level_changes(self.env._("Now a contact"))
        cards = self.env["key.account"].sudo()
        self.env["key.account.relationship.change"].sudo().create(
            [
                {
                    "partner_id": card.partner_id.id,
                    "company_id": card.company_id.id,
                    "from_level": card.relationship_level,
                    "to_level": LOWEST_LEVEL,
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
                        ("relationship_level", "!=", LOWEST_LEVEL),
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
