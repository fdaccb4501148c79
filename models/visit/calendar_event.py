from odoo import fields, models
from odoo.exceptions import AccessError

from ..account.hidden import search_shown


class CalendarEvent(models.Model):
    """Keeps visits in step with their meetings, whoever changes these: as superuser,
    since a colleague outside sales may move or delete a meeting too."""

    _inherit = "calendar.event"

    # No link of the meeting's own: only its form reads it
    key_account_visit_ids = fields.One2many(
        "key.account.visit",
        "calendar_event_id",
        string="Customer Visits",
        search="_search_key_account_visit_ids",
        groups="sales_team.group_sale_salesman",
        copy=False,
    )

    def _search_key_account_visit_ids(self, operator, value):
        return search_shown("key_account_visit_ids", operator, value)

    def _get_key_account_visits(self):
        return (
            self.env["key.account.visit"]
            .sudo()
            .search([("calendar_event_id", "in", self.ids)])
        )

    def _free_key_account_visits(self):
        self._get_key_account_visits()._release_meetings(self)

    def action_report_key_account_visit(self):
        """Open the report of the visit that this meeting is, or the visit, if it was
        reported or cancelled.

        :raise AccessError: if it is none that the user may read
        """
        self.ensure_one()
        visit = self.key_account_visit_ids[:1]
        if not visit:
            raise AccessError(
                self.env._("This meeting is no visit of yours: refresh the page.")
            )
        if visit.state in ("planned", "missed", "done") and not visit.report_date:
            return visit.action_open_report()
        return {
            "type": "ir.actions.act_window",
            "res_model": "key.account.visit",
            "res_id": visit.id,
            "view_mode": "form",
        }
