from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.mail.tools.discuss import Store

from ..const import INTERNAL


class MailActivity(models.Model):
    """What follows a visit (thanks, commitments, support), and the report from Odoo's
    own dialog."""

    _inherit = "mail.activity"

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
            vals_list = [{**vals, "is_key_account_task": False} for vals in vals_list]
        return super().create(vals_list)

    def write(self, vals):
        res = super().write(vals)
        if {"active", "date_deadline", "user_id"} & vals.keys():
            self._get_key_account_commitments()._follow_activities(vals)
        return res

    def unlink(self):
        commitments = self._get_key_account_commitments().filtered(
            lambda commitment: commitment.state == "open"
        )
        res = super().unlink()
        commitments.with_context(key_account_visit_sync=INTERNAL)._close("dropped")
        return res

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

    def _get_key_account_commitments(self):
        """Return the commitments that are these activities, unless the change comes
        from a commitment."""
        commitments = self.env["key.account.commitment"].sudo()
        tasks = self.sudo().filtered("is_key_account_task")
        if not tasks or self._is_key_account_sync():
            return commitments
        return commitments.search([("activity_id", "in", tasks.ids)])
