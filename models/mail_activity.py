from odoo import api, fields, models

from ..const import INTERNAL


class MailActivity(models.Model):
    """Keeps visits in step with their activities, wherever Odoo lets people handle
    activities: popover, list, kanban, chatter, systray. All of them end in ``write``
    or ``unlink``; done is archived, cancelled is deleted."""

    _inherit = "mail.activity"

    is_key_account_visit = fields.Boolean(
        readonly=True,
        help="Belongs to a customer visit: hidden outside sales, and from colleagues "
        "who see their own documents only.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            # explicitly, as a client's context may hold a default
            vals_list = [{**vals, "is_key_account_visit": False} for vals in vals_list]
        return super().create(vals_list)

    def write(self, vals):
        visits = self.sudo().filtered("is_key_account_visit").sudo(self.env.su)
        if visits and self.env.context.get("key_account_event_sync") is INTERNAL:
            # what a meeting would say over the reason of its visit
            self -= visits
        elif visits and "date_deadline" in vals:
            # The visits move their meetings themselves, where their salespersons are.
            if others := self - visits:
                others.write(vals)
            self = visits.with_context(calendar_event_meeting_update=True)
        res = super().write(vals)
        if not self._is_key_account_sync() and (
            {"active", "date_deadline", "user_id", "feedback"} & vals.keys()
        ):
            self._get_key_account_visits()._follow_activities(vals)
        return res

    def unlink_w_meeting(self):
        # the visits take their meetings along
        self.sudo().filtered("is_key_account_visit").calendar_event_id = False
        return super().unlink_w_meeting()

    def unlink(self):
        if not self._is_key_account_sync():
            visits = self._get_key_account_visits().filtered(
                lambda visit: visit.state == "planned"
            )
            visits._cancel(self.env._("Activity cancelled"), unlink_activities=False)
        return super().unlink()

    def _action_done(self, feedback=False, attachment_ids=None):
        # Core posts the summary on the customer, where everybody reads it: the reason,
        # with tier and cadence, stays on the visit.
        visits = self._get_key_account_visits()
        for visit in visits:
            visit.activity_id.with_context(
                key_account_visit_sync=INTERNAL
            ).summary = visit.objective
        return super()._action_done(feedback=feedback, attachment_ids=attachment_ids)

    def _is_key_account_sync(self):
        """Return whether the change comes from the visit itself."""
        return self.env.context.get("key_account_visit_sync") is INTERNAL

    def _get_key_account_visits(self):
        # sudo: whoever may handle the activity keeps its visit in step
        return (
            self.env["key.account.visit"]
            .sudo()
            .search([("activity_id", "in", self.ids)])
        )
