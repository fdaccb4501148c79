from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_list

from ...models.account import bounds, clock
from ...models.tiering.undo import Undo

# As many as one reads
NAMED = 20


class KeyAccountTierUndo(models.TransientModel):
    """Undo a tiering run as a whole, with a reason."""

    _name = "key.account.tier.undo"
    _inherit = "key.account.form"
    _description = "Undo Tiering Run"

    change_id = fields.Many2one(
        "key.account.tier.change",
        required=True,
        ondelete="cascade",
        help="One of the run's.",
    )
    reason = bounds.Char(
        required=True, help="Kept in the history of each account that goes back."
    )
    is_held = fields.Boolean(
        string="Keep Them There",
        default=True,
        help="Off: the next run goes by the figures, and moves them again if these are "
        "the same.",
    )
    held_until = fields.Date(compute="_compute_held_until")
    moved_count = fields.Integer(compute="_compute_counts")
    kept_count = fields.Integer(compute="_compute_counts")
    kept_names = fields.Char(
        string="Moved or Locked Since",
        compute="_compute_counts",
        help="Somebody has moved or locked these since: they stay where they are.",
    )

    @api.depends("change_id")
    @api.depends_context("lang")
    def _compute_counts(self):
        self.moved_count, self.kept_count, self.kept_names = 0, 0, False
        for wizard in self.filtered("change_id"):
            undo = wizard._get_undo()
            wizard.moved_count, wizard.kept_count = undo.get_counts()
            names = undo.get_kept(NAMED).mapped("display_name")
            if wizard.kept_count > NAMED:
                names.append(self.env._("%s more", wizard.kept_count - NAMED))
            wizard.kept_names = format_list(self.env, names)

    @api.depends("change_id")
    def _compute_held_until(self):
        self.held_until = False
        for wizard in self.filtered("change_id"):
            company = wizard.change_id.company_id
            policy = self.env["key.account.policy"]._get_for_company(company)
            wizard.held_until = clock.get_today(company) + timedelta(
                days=policy._get_held_days()
            )

    def _get_undo(self):
        self.change_id._check_administrator()
        return Undo(self.change_id.company_id, self.change_id.run_number)

    def action_undo(self):
        """Undo the run."""
        self.ensure_one()
        changes = self._get_undo().run(
            self.env._("Run undone: %s", self.reason), self.env.user, self.is_held
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
                    "Accounts that are back in the tier they came from: %s",
                    len(changes),
                ),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }
