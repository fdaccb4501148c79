from odoo import api, fields, models
from odoo.tools import SQL

from ..const import RELATIONSHIP_LEVELS
from ..models.account.key_account_shown import open_partner

KINDS = {
    "tier": "key.account.tier.change",
    "level": "key.account.relationship.change",
}


class KeyAccountProposal(models.Model):
    """What waits for a decision: proposed tiers and proposed levels in one list."""

    _name = "key.account.proposal"
    _inherit = "key.account.shown"
    _description = "Proposal"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "partner_id"
    _depends = {
        "key.account.tier.change": [
            "partner_id",
            "company_id",
            "partner_user_id",
            "from_tier_id",
            "to_tier_id",
            "state",
            "date",
        ],
        "key.account.relationship.change": [
            "partner_id",
            "company_id",
            "partner_user_id",
            "from_level",
            "to_level",
            "direction",
            "proposed_user_id",
            "state",
            "date",
        ],
    }

    kind = fields.Selection([("tier", "Tier"), ("level", "Level")], readonly=True)
    change_id = fields.Many2oneReference(
        is_internal=True, model_field="change_model", aggregator=None, readonly=True
    )
    change_model = fields.Char(is_internal=True, readonly=True)
    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    partner_user_id = fields.Many2one("res.users", string="Salesperson", readonly=True)
    from_tier_id = fields.Many2one("key.account.tier", readonly=True)
    to_tier_id = fields.Many2one("key.account.tier", readonly=True)
    from_level = fields.Selection(RELATIONSHIP_LEVELS, readonly=True)
    to_level = fields.Selection(RELATIONSHIP_LEVELS, readonly=True)
    from_text = fields.Char(string="From", compute="_compute_texts")
    to_text = fields.Char(string="To", compute="_compute_texts")
    direction = fields.Selection(
        [("promotion", "Promotion"), ("demotion", "Demotion")], readonly=True
    )
    reason = fields.Char(compute="_compute_texts")
    proposed_user_id = fields.Many2one(
        "res.users",
        string="Proposed By",
        readonly=True,
        help="Empty: by the tiering run, or by the evidence.",
    )
    date = fields.Date(string="Proposed On", readonly=True)

    @property
    def _table_query(self):
        return SQL(
            """
            SELECT 2 * change.id::bigint AS id, 'tier' AS kind, change.id AS change_id,
                   'key.account.tier.change' AS change_model, change.partner_id,
                   change.company_id, change.partner_user_id, change.from_tier_id,
                   change.to_tier_id, NULL::varchar AS from_level,
                   NULL::varchar AS to_level,
                   -- of another policy, but in the same place: neither
                   CASE WHEN target.place > source.place THEN 'demotion'
                        WHEN target.place = source.place THEN NULL
                        ELSE 'promotion' END AS direction,
                   NULL::int AS proposed_user_id, change.date
              FROM key_account_tier_change change
              LEFT JOIN (%(places)s) AS source ON source.id = change.from_tier_id
              LEFT JOIN (%(places)s) AS target ON target.id = change.to_tier_id
             WHERE change.state = 'proposed'
             UNION ALL
            SELECT 2 * id::bigint + 1, 'level', id, 'key.account.relationship.change',
                   partner_id, company_id, partner_user_id, NULL, NULL, from_level,
                   to_level, direction, proposed_user_id, date
              FROM key_account_relationship_change
             WHERE state = 'proposed'
            """,
            places=self.env["key.account.tier"]._get_places_sql(),
        )

    @api.depends("change_id", "kind")
    @api.depends_context("lang")
    def _compute_texts(self):
        levels = dict(self._fields["to_level"]._description_selection(self.env))
        changes = self._get_changes()
        for proposal in self:
            change = changes[proposal.kind].browse(proposal.change_id)
            # sudo: the names of tiers that may have gone to another company
            names = proposal.sudo()
            if proposal.kind == "tier":
                proposal.from_text = names.from_tier_id.name
                proposal.to_text = names.to_tier_id.name
                proposal.reason = change.reason
            else:
                proposal.from_text = levels.get(proposal.from_level)
                proposal.to_text = levels.get(proposal.to_level)
                proposal.reason = change.reason or change.gap_text

    @api.depends("partner_id")
    def _compute_display_name(self):
        for proposal in self:
            # sudo: whoever may read the proposal may read whose it is
            proposal.display_name = proposal.sudo().partner_id.display_name

    def action_open_partner(self):
        return open_partner(self)

    def action_open_apply(self):
        return self._get_decision_action("applied", self.env._("Apply"))

    def action_open_reject(self):
        return self._get_decision_action("rejected", self.env._("Reject"))

    def _get_decision_action(self, decision, name):
        """Return the dialog that decides on the proposals of both kinds, with one
        reason for all."""
        changes = {kind: each for kind, each in self._get_changes().items() if each}
        action, context = {}, {}
        for each in changes.values():
            action = each._get_decision_action(decision, name)
            context |= action["context"]
        return {**action, "context": context}

    def _get_changes(self):
        """Return the proposals' changes by kind."""
        by_kind = self.grouped("kind")
        return {
            kind: self.env[model].browse(
                by_kind.get(kind, self.browse()).mapped("change_id")
            )
            for kind, model in KINDS.items()
        }
