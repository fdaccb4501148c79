from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.mail.tools.discuss import Store

from ...const import INTERNAL

# Set by the addon alone: they decide who reads an activity.
FLAGS = {"is_key_account_visit", "is_key_account_task"}


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
    is_key_account_task = fields.Boolean(
        readonly=True,
        help="Follows from a customer visit, but is none.",
    )
    can_report_key_account_visit = fields.Boolean(
        compute="_compute_can_report_key_account_visit"
    )

    @api.depends("active", "is_key_account_visit", "is_key_account_task")
    @api.depends_context("uid")
    def _compute_can_report_key_account_visit(self):
        is_sales = self.env.user.has_group("sales_team.group_sale_salesman")
        for activity in self:
            activity.can_report_key_account_visit = (
                is_sales
                and activity.active
                and activity.is_key_account_visit
                and not activity.is_key_account_task
            )

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            # explicitly, as a client's context may hold a default
            vals_list = [{**vals, **dict.fromkeys(FLAGS, False)} for vals in vals_list]
        return super().create(vals_list)

    def _check_access(self, operation):
        """Whoever may write the customer may write its activities, as core has it; not
        those that the rule hides, though: with another assignee they would be read."""
        result = super()._check_access(operation)
        if operation not in ("write", "unlink"):
            return result
        allowed = self - result[0] if result else self
        flagged = allowed.sudo().filtered("is_key_account_visit").sudo(False)
        hidden = flagged._check_access("read") if flagged else None
        if not hidden:
            return result
        if not result:
            return hidden
        return (result[0] | hidden[0], result[1])

    def write(self, vals):
        if not self.env.su:
            vals = {key: value for key, value in vals.items() if key not in FLAGS}
        visits = self._filter_key_account_visits()
        if visits and self.env.context.get("key_account_event_sync") is INTERNAL:
            # what a meeting would say over the reason of its visit
            self -= visits
        elif visits and "date_deadline" in vals:
            # The visits move their meetings themselves, where their salespersons are.
            if others := self - visits:
                others.write(vals)
            self = visits.with_context(calendar_event_meeting_update=True)
        res = super().write(vals)
        if {"active", "date_deadline", "user_id", "feedback"} & vals.keys():
            self._get_key_account_visits()._follow_activities(vals)
            self._get_key_account_commitments()._follow_activities(vals)
        return res

    def unlink_w_meeting(self):
        # the visits take their meetings along
        self._filter_key_account_visits().sudo().calendar_event_id = False
        return super().unlink_w_meeting()

    def unlink(self):
        visits = self._get_key_account_visits().filtered(
            lambda visit: visit.state == "planned"
        )
        visits._cancel(self.env._("Activity cancelled"), unlink_activities=False)
        commitments = self._get_key_account_commitments().filtered(
            lambda commitment: commitment.state == "open"
        )
        res = super().unlink()
        commitments.with_context(key_account_visit_sync=INTERNAL)._close("dropped")
        return res

    def _action_done(self, feedback=False, attachment_ids=None):
        # Core posts summary and note on the customer, and the feedback on the meeting,
        # where everybody reads them: they stay with the visit.
        flagged = self.sudo().filtered("is_key_account_visit")
        flagged.with_context(
            key_account_visit_sync=INTERNAL, mail_activity_quick_update=True
        ).write({"summary": False, "note": False, "calendar_event_id": False})
        return super()._action_done(feedback=feedback, attachment_ids=attachment_ids)

    def _to_store_defaults(self, target):
        return [
            *super()._to_store_defaults(target),
            Store.Attr("can_report_key_account_visit"),
        ]

    def action_report_key_account_visit(self, feedback=False):
        """Open the report of the visit to which the activity belongs.

        :param str feedback: what was typed into the activity's dialog; becomes a note
            of the report
        :raise UserError: if the activity belongs to no visit
        :raise AccessError: if the user may not report the visit
        """
        self.ensure_one()
        self.check_access("read")
        visit = self.env["key.account.visit"].search([("activity_id", "=", self.id)])
        if not visit:
            raise UserError(
                self.env._("The visit of this activity is gone: refresh the page.")
            )
        action = visit.action_open_report()
        if feedback:
            visit._add_feedback(feedback)
        return action

    def _filter_key_account_visits(self):
        """Return the activities that are visits; what follows from a visit is one like
        any other."""
        # sudo: whoever may write the activity
        return (
            self.sudo()
            .filtered(
                lambda activity: (
                    activity.is_key_account_visit and not activity.is_key_account_task
                )
            )
            .sudo(self.env.su)
        )

    def _is_key_account_sync(self):
        """Return whether the change comes from the visit itself."""
        return self.env.context.get("key_account_visit_sync") is INTERNAL

    def _get_key_account_visits(self):
        """Return the visits that these activities stand for, unless the change comes
        from a visit."""
        # sudo: whoever may handle the activity keeps its visit in step
        visits = self.env["key.account.visit"].sudo()
        if self._is_key_account_sync():
            return visits
        return visits.search([("activity_id", "in", self.ids)])

    def _get_key_account_commitments(self):
        """Return the commitments that are these activities, unless the change comes
        from a commitment."""
        commitments = self.env["key.account.commitment"].sudo()
        tasks = self.sudo().filtered("is_key_account_task")
        if not tasks or self._is_key_account_sync():
            return commitments
        return commitments.search([("activity_id", "in", tasks.ids)])
