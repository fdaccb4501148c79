from odoo import api, fields, models

from ...models.account import bounds


class KeyAccountVisitCancel(models.TransientModel):
    """Cancel a visit and say when to come back."""

    _name = "key.account.visit.cancel"
    _inherit = "key.account.form"
    _description = "Cancel Visit"

    visit_id = fields.Many2one("key.account.visit", required=True, ondelete="cascade")
    reason = bounds.Char()
    date_resume = bounds.Date(
        string="Come Back On",
        required=True,
        compute="_compute_date_resume",
        # stored: else as superuser
        compute_sudo=False,
        store=True,
        readonly=False,
        precompute=True,
        is_plan=True,
        help="The next visit is due on this day.",
    )

    @api.depends("visit_id")
    def _compute_date_resume(self):
        for wizard in self:
            if wizard.visit_id:
                wizard.date_resume = wizard.visit_id._get_default_resume()

    def action_cancel(self):
        self.ensure_one()
        self.visit_id.action_cancel(self.date_resume, self.reason)
        return {"type": "ir.actions.act_window_close"}
