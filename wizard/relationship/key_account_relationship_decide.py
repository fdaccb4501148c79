from odoo import fields, models

from ...models.account import bounds


class KeyAccountRelationshipDecide(models.TransientModel):
    """Approve or reject proposed levels, with a reason."""

    _name = "key.account.relationship.decide"
    _inherit = "key.account.form"
    _description = "Decide on Relationship Change"

    change_ids = fields.Many2many(
        "key.account.relationship.change",
        "key_account_relationship_decide_rel",
        required=True,
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

    def action_decide(self):
        """Decide; the rights are those of the changes."""
        self.ensure_one()
        if self.decision == "applied":
            self.change_ids.action_apply(self.note)
        else:
            self.change_ids.action_reject(self.note)
        return {"type": "ir.actions.act_window_close"}
