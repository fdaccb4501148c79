from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models

from ...models.account import bounds

DELAYS = {
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "weeks": timedelta(weeks=2),
    "month": relativedelta(months=1),
}


class KeyAccountVisitCancel(models.TransientModel):
    """Cancel a visit and say when to come back."""

    _name = "key.account.visit.cancel"
    _inherit = "key.account.form"
    _description = "Cancel Visit"

    visit_id = fields.Many2one("key.account.visit", required=True, ondelete="cascade")
    reason = bounds.Char()
    # One tap instead of a calendar
    delay = fields.Selection(
        [
            ("day", "Tomorrow"),
            ("week", "In a week"),
            ("weeks", "In two weeks"),
            ("month", "In a month"),
        ],
        string="Come Back",
    )
    # where nothing plans, one need not come back
    is_planning = fields.Boolean(
        string="Plan Visits Automatically", compute="_compute_is_planning"
    )
    date_resume = bounds.Date(
        string="Come Back On",
        compute="_compute_date_resume",
        # stored: else as superuser
        compute_sudo=False,
        store=True,
        readonly=False,
        precompute=True,
        is_plan=True,
        help="The next visit is planned for this day.",
    )

    @api.depends("visit_id")
    def _compute_is_planning(self):
        for wizard in self:
            # sudo: whether the cadence plans is no secret
            company = wizard.visit_id.company_id.sudo()
            wizard.is_planning = company.key_account_planning

    @api.depends("delay", "visit_id")
    def _compute_date_resume(self):
        for wizard in self:
            visit = wizard.visit_id
            if visit and wizard.delay:
                wizard.date_resume = visit._get_today() + DELAYS[wizard.delay]
            elif visit and wizard.is_planning:
                wizard.date_resume = visit._get_default_resume()

    def action_cancel(self):
        """Cancel the visit, and plan the next one for the day to come back.

        :return: a notification that names the next visit
        """
        self.ensure_one()
        visit = self.visit_id
        visit.action_cancel(self.date_resume, self.reason)
        if self.date_resume:
            return visit._resume()
        # sudo: whoever could cancel the visit
        return visit.sudo()._get_next_notification(self.env._("Cancelled."))
