from odoo import api, fields, models

from ...models.account import bounds


class KeyAccountRelationshipDecide(models.TransientModel):
    """Approve or reject proposed levels and tiers, with a reason."""

    _name = "key.account.relationship.decide"
    _inherit = "key.account.form"
    _description = "Decide on Proposals"

    change_ids = fields.Many2many(
        "key.account.relationship.change",
        "key_account_relationship_decide_rel",
    )
    tier_change_ids = fields.Many2many(
        "key.account.tier.change",
        "key_account_tier_decide_rel",
        string="Tiers",
    )
    decision = fields.Selection(
        [("applied", "Approve"), ("rejected", "Reject")],
        required=True,
        default="applied",
    )
    note = bounds.Char(
        string="Reason",
        help="Kept in the history, where whoever proposed it reads it.",
    )

    proposal_count = fields.Integer(compute="_compute_proposal_count")

    @api.depends("change_ids", "tier_change_ids")
    def _compute_proposal_count(self):
        for wizard in self:
            wizard.proposal_count = len(wizard.change_ids) + len(wizard.tier_change_ids)

    def action_decide(self):
        """Decide; the rights are those of the changes."""
        self.ensure_one()
        for changes in filter(None, (self.change_ids, self.tier_change_ids)):
            if self.decision == "applied":
                changes.action_apply(self.note)
            else:
                changes.action_reject(self.note)
        return {"type": "ir.actions.act_window_close"}
