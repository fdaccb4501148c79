from odoo import models


class MailActivity(models.Model):
    """Keeps visits in step with their activities, wherever Odoo lets people handle
    activities: popover, list, kanban, chatter, systray. All of them end in ``write``
    or ``unlink``; done is archived, cancelled is deleted."""

    _inherit = "mail.activity"

    def write(self, vals):
        res = super().write(vals)
        if not self.env.context.get("key_account_visit_sync") and (
            {"active", "date_deadline", "user_id", "feedback"} & vals.keys()
        ):
            self._get_key_account_visits()._follow_activities(vals)
        return res

    def unlink(self):
        if not self.env.context.get("key_account_visit_sync"):
            visits = self._get_key_account_visits().filtered(
                lambda visit: visit.state == "planned"
            )
            visits._cancel(self.env._("Activity cancelled"), unlink_activities=False)
        return super().unlink()

    def _get_key_account_visits(self):
        # sudo: whoever may handle the activity keeps its visit in step
        return (
            self.env["key.account.visit"]
            .sudo()
            .search([("activity_id", "in", self.ids)])
        )
