from odoo import api, fields, models
from odoo.exceptions import UserError

from ...models.account import bounds
from ...models.tiering.undo import Undo

# As many as one reads
NAMED = 20


class KeyAccountTierUndo(models.TransientModel):
    """Undo a tiering run as a whole, with a reason."""

    _name = "key.account.tier.undo"
    _inherit = "key.account.form"
    _description = "Undo Tiering Run"

    company_id = fields.Many2one("res.company", required=True, ondelete="cascade")
    run_number = bounds.Integer(string="Run", required=True, bounds=(1, bounds.MAX_ID))
    reason = bounds.Char(
        required=True, help="Kept in the history of each account that goes back."
    )
    moved_count = fields.Integer(compute="_compute_counts")
    kept_count = fields.Integer(compute="_compute_counts")
    kept_names = fields.Char(
        string="Moved or Locked Since",
        compute="_compute_counts",
        help="Somebody has moved or locked these since: they stay where they are.",
    )

    @api.depends("company_id", "run_number")
    def _compute_counts(self):
        for wizard in self:
            wizard._get_changes()._check_administrator()
            undo = wizard._get_undo()
            wizard.moved_count, wizard.kept_count = undo.get_counts()
            names = undo.get_kept(NAMED).mapped("display_name")
            if wizard.kept_count > NAMED:
                names.append(self.env._("%s more", wizard.kept_count - NAMED))
            wizard.kept_names = ", ".join(names)

    def _get_changes(self):
        """Return a change of the run: whoever may read it and is an administrator may
        undo the run."""
        # sudo: the right to read it is checked by whom it is returned to
        change = (
            self.env["key.account.tier.change"]
            .sudo()
            .search(
                [
                    ("company_id", "=", self.company_id.id),
                    ("run_number", "=", self.run_number),
                ],
                limit=1,
            )
        )
        if not change:
            raise UserError(self.env._("There is no such run: refresh the list."))
        return change.with_env(self.env)

    def _get_undo(self):
        return Undo(self.company_id, self.run_number)

    def action_undo(self):
        """Undo the run."""
        self.ensure_one()
        self._get_changes()._check_administrator()
        changes = self._get_undo().run(
            self.env._("Run undone: %s", self.reason), self.env.user
        )
        if not changes:
            raise UserError(
                self.env._(
                    "Nothing is left to undo: every account was moved or locked since, "
                    "or is back already."
                )
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._(
                    "%s accounts are back in the tier they came from.", len(changes)
                ),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }
