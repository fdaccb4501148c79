from odoo import api, fields, models

# What decides on which day a meeting is.
TIME_FIELDS = {"allday", "duration", "start", "start_date", "stop", "stop_date"}


class CalendarEvent(models.Model):
    """Keeps visits in step with their meetings, whoever changes these: as superuser,
    since a colleague outside sales may move or delete a meeting too."""

    _inherit = "calendar.event"

    # No link of the meeting's own: only its form reads it
    key_account_visit_ids = fields.One2many(
        "key.account.visit",
        "calendar_event_id",
        string="Customer Visits",
        groups="sales_team.group_sale_salesman",
        copy=False,
    )

    @api.model_create_multi
    def create(self, vals_list):
        events = super().create(vals_list)
        # scheduled from the activity, with Odoo's own button
        activities = events.sudo().activity_ids._filter_key_account_role("visit")
        activities._get_key_account_visits()._adopt_meetings()
        return events

    def write(self, vals):
        # core takes some out
        keys = set(vals)
        if vals.get("active") is False:
            self._free_key_account_visits()
        res = super().write(vals)
        if keys & TIME_FIELDS:
            self._get_key_account_visits()._write_from_meetings()
        return res

    def unlink(self):
        self._free_key_account_visits()
        return super().unlink()

    def _sync_activities(self, fields):
        # Core would put the meeting's name over the reason of the visit, and work out
        # the day in the time zone of whoever moves the meeting: ours stand aside.
        own = self.sudo().activity_ids.filtered("key_account_role")
        events = {activity: activity.calendar_event_id for activity in own}
        own._write_quietly({"calendar_event_id": False})
        res = super()._sync_activities(fields)
        for activity, event in events.items():
            activity._write_quietly({"calendar_event_id": event.id})
        return res

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
        reported or cancelled."""
        self.ensure_one()
        visit = self.key_account_visit_ids[:1]
        if visit.state in ("planned", "missed", "done") and not visit.report_date:
            return visit.action_open_report()
        return {
            "type": "ir.actions.act_window",
            "res_model": "key.account.visit",
            "res_id": visit.id,
            "view_mode": "form",
        }
