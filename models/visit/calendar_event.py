from datetime import timedelta

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

    def _remember_series(self, vals):
        """Return the first meeting of the series that ``vals`` changes as a whole, or
        from this one on, and {visit: when its meeting of the series is to be}."""
        if vals.get("recurrence_update") not in ("all_events", "future_events"):
            return self.browse(), {}
        shift = timedelta()
        for name in ("stop", "start"):
            if vals.get(name) and self[:1][name]:
                shift = fields.Datetime.to_datetime(vals[name]) - self[:1][name]
        events = self.recurrence_id.calendar_event_ids
        moments = {
            visit: visit.calendar_event_id.start + shift
            for visit in events._get_key_account_visits()
        }
        return self.recurrence_id.base_event_id, moments

    def _follow_series(self, moments):
        """Give visits that lost their meeting when its series was made anew the one of
        the series that is nearest.

        :param dict moments: when the meeting is to be, by visit
        """
        events = self.sudo().exists().recurrence_id.calendar_event_ids
        for visit, moment in moments.items():
            if events and not visit.calendar_event_id:
                visit._follow_meeting(
                    min(events, key=lambda event: abs(event.start - moment))
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
