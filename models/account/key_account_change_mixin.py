from odoo import fields, models

from .key_account_shown import open_dialog


class KeyAccountChangeMixin(models.AbstractModel):
    """What changes of tiers and of levels share: why a customer is where it is, the
    queue of proposals and the history in one."""

    _name = "key.account.change.mixin"
    _inherit = "key.account.shown"
    _description = "Change of a Key Account"
    # What the dialog calls the changes that are decided
    _dialog_field = None

    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    # A copy, so that the record rules need no join.
    partner_user_id = fields.Many2one(
        related="partner_id.user_id",
        string="Salesperson",
        store=True,
        index=True,
    )
    state = fields.Selection(
        [
            ("proposed", "Proposed"),
            ("applied", "Applied"),
            ("rejected", "Rejected"),
        ],
        required=True,
        readonly=True,
        default="proposed",
    )
    user_id = fields.Many2one("res.users", string="Decided By", readonly=True)
    date = fields.Date(readonly=True, required=True, default=fields.Date.context_today)

    def _get_decision_action(self, decision, name):
        """Return the action that asks for a note before the proposals are decided."""
        self._check_can_decide()
        return open_dialog(
            name,
            "key.account.relationship.decide",
            decision=decision,
            **{self._dialog_field: self.ids},
        )

    def _decide(self, state, note):
        self._check_can_decide()
        self.sudo().write(
            {
                "state": state,
                "user_id": self.env.uid,
                "date": fields.Date.context_today(self),
                "note": note,
            }
        )

    def _check_can_decide(self):
        """Refuse what isn't the user's to decide, or was decided already."""
        raise NotImplementedError
