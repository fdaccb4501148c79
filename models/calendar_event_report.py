from odoo import fields, models


class CalendarEvent(models.Model):
    _inherit = "calendar.event"

    # No link of the meeting's own: only its form reads it
    key_account_visit_ids = fields.One2many(
        "key.account.visit",
        "calendar_event_id",
        string="Customer Visits",
        groups="sales_team.group_sale_salesman",
        copy=False,
    )

    def action_report_key_account_visit(self):
        """Open the report of the visit that this meeting is, or the visit, if it was
        reported, cancelled or missed."""
        self.ensure_one()
        visit = self.key_account_visit_ids[:1]
        if visit.state in ("planned", "done") and not visit.report_date:
            return visit.action_open_report()
        return {
            "type": "ir.actions.act_window",
            "res_model": "key.account.visit",
            "res_id": visit.id,
            "view_mode": "form",
        }
