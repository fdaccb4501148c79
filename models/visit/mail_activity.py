from odoo import api, fields, models
from odoo.exceptions import UserError


class MailActivity(models.Model):
    """What is to be done about a visit: the visit itself, and what follows from it.

    Visits and commitments are kept in step with their activities wherever Odoo lets
    people handle these: popover, list, kanban, chatter, systray. All of them end in
    ``write`` or ``unlink``; done is archived, cancelled is deleted. Each side writes
    the other one only where it differs, so that both come to rest.
    """

    _inherit = "mail.activity"

    key_account_visit_id = fields.Many2one(
        "key.account.visit",
        string="Customer Visit",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        groups="sales_team.group_sale_salesman",
    )
    key_account_role = fields.Selection(
        [
            ("visit", "Visit"),
            ("follow_up", "Follow-up"),
            ("commitment", "Commitment"),
            ("support", "Support"),
            ("promise", "Promise of a colleague"),
            ("escalation", "Escalation"),
        ],
        string="Role in a Customer Visit",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="What the activity is to a customer visit. With a role it is hidden "
        "outside sales, and from colleagues who see their own documents only.",
    )
    can_report_key_account_visit = fields.Boolean(
        compute="_compute_can_report_key_account_visit"
    )

    @api.depends("active", "key_account_role")
    @api.depends_context("uid")
    def _compute_can_report_key_account_visit(self):
        is_sales = self.env.user.has_group("sales_team.group_sale_salesman")
        for activity in self:
            activity.can_report_key_account_visit = (
                is_sales and activity.active and activity.key_account_role == "visit"
            )

    # -------------------------------------------------------------------------
    # The life of a visit's activities
    # -------------------------------------------------------------------------

    @api.model
    def _create_for_visits(self, role, vals_list):
        """Create activities of visits, the one that is the visit or what follows from
        it. No mail goes out: ``mail_activity_quick_update`` keeps core from telling
        everybody about every activity; the daily digest does.

        :param str role: what they are to the visits, see ``key_account_role``
        :param list vals_list: ``document``, the customer or lead, with the other values
        """
        models_ = self.env["ir.model"]
        users = self.env["res.users"].sudo()
        prepared = []
        for vals in vals_list:
            document = vals.pop("document").sudo()
            prepared.append(
                {
                    "note": False,
                    "automated": True,
                    "res_model_id": models_._get_id(document._name),
                    "res_id": document.id,
                    # what core would find out for each, and write afterwards
                    "res_model": document._name,
                    "res_name": document.display_name,
                    "user_tz": users.browse(vals.get("user_id") or ()).tz,
                    "key_account_role": role,
                    **vals,
                }
            )
        return (
            self.sudo().with_context(mail_activity_quick_update=True).create(prepared)
        )

    def _write_quietly(self, vals):
        """Write what the visit or the commitment says; no mail goes out."""
        return self.sudo().with_context(mail_activity_quick_update=True).write(vals)

    def _get_differing(self, vals):
        """Return the activities that don't say ``vals`` yet."""
        return self.filtered(
            lambda activity: any(
                activity._fields[name].convert_to_write(activity[name], activity)
                != value
                for name, value in vals.items()
            )
        )

    def _filter_key_account_role(self, role):
        # sudo: whoever may write the activity
        return (
            self.sudo()
            .filtered(lambda activity: activity.key_account_role == role)
            .sudo(self.env.su)
        )

    def _get_key_account_visits(self):
        # sudo: whoever may handle the activity keeps its visit in step. By ids: visits
        # are read together, also when their activities are gone.
        visits = self.sudo().key_account_visit_id
        return visits.browse(visits.ids)

    def _get_key_account_commitments(self):
        commitments = self.env["key.account.commitment"].sudo()
        activities = self._filter_key_account_role("commitment")
        if not activities:
            return commitments
        return commitments.search([("activity_id", "in", activities.ids)])

    def action_report_key_account_visit(self, feedback=False):
        """Open the report of the visit to which the activity belongs.

        :param str feedback: what was typed into the activity's dialog; becomes a note
            of the report
        :raise UserError: if the activity belongs to no visit
        :raise AccessError: if the user may not report the visit
        """
        self.ensure_one()
        self.check_access("read")
        activity = self._filter_key_account_role("visit")
        visit = self.env["key.account.visit"].search(
            [("id", "in", activity._get_key_account_visits().ids)]
        )
        if not visit:
            raise UserError(
                self.env._("The visit of this activity is gone: refresh the page.")
            )
        action = visit.action_open_report()
        if feedback:
            visit._add_feedback(feedback)
        return action
