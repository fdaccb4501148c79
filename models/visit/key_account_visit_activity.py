from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import split_every

from ...const import BATCH_SIZE

# The activities of a visit, by what they are to it
ACTIVITY_ROLES = {
    "activity_id": "visit",
    "follow_up_activity_id": "follow_up",
    "promise_activity_id": "promise",
    "support_activity_id": "support",
}


class KeyAccountVisit(models.Model):
    """The visit's side of its activities; theirs is ``mail_activity.py``."""

    _inherit = "key.account.visit"

    task_ids = fields.One2many(
        "mail.activity",
        "key_account_visit_id",
        is_internal=True,
        string="Activities",
        readonly=True,
        copy=False,
        context={"active_test": False},
    )
    activity_id = fields.Many2one(
        "mail.activity",
        is_internal=True,
        compute="_compute_activities",
        search="_search_activity_id",
        # sudo: whoever may read the visit may know that there is one
        compute_sudo=True,
    )
    follow_up_activity_id = fields.Many2one(
        "mail.activity",
        is_internal=True,
        string="Follow-up",
        compute="_compute_activities",
        compute_sudo=True,
    )
    promise_activity_id = fields.Many2one(
        "mail.activity",
        is_internal=True,
        string="Colleague's Activity",
        compute="_compute_activities",
        compute_sudo=True,
        help="Tells the customer's salesperson what was promised there.",
    )
    support_activity_id = fields.Many2one(
        "mail.activity",
        is_internal=True,
        string="Leader's Activity",
        compute="_compute_activities",
        compute_sudo=True,
    )

    @api.depends("task_ids.key_account_role")
    def _compute_activities(self):
        for visit in self:
            tasks = visit.task_ids.sorted("id").grouped("key_account_role")
            for name, role in ACTIVITY_ROLES.items():
                visit[name] = tasks.get(role, visit.task_ids.browse())[-1:]

    def _search_activity_id(self, operator, value):
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented
        domain = Domain("key_account_role", "=", "visit")
        if operator == "in" and False in value:
            value = set(value) - {False}
            return ~Domain("task_ids", "any", domain) | Domain(
                "task_ids", "any", domain & Domain("id", "in", value)
            )
        return Domain("task_ids", "any", domain & Domain("id", operator, value))

    # -------------------------------------------------------------------------
    # Visits and activities
    # -------------------------------------------------------------------------

    def _create_activities(self):
        """Give each planned visit without an activity one, in batches."""
        visits = self.sudo().filtered(
            lambda visit: visit.state == "planned" and not visit.activity_id
        )
        activities = self.env["mail.activity"]
        for batch in split_every(BATCH_SIZE, visits.ids, visits.browse):
            # Core reads the name of each record on its own, unless it is known.
            batch.partner_id.mapped("display_name")
            batch.lead_id.mapped("display_name")
            batch.target_contact_id.mapped("name")
            types = {
                key: key[0]._get_activity_type(key[1]).id
                for key in {(visit.cadence_id, visit.track) for visit in batch}
            }
            activities._create_for_visits(
                "visit",
                [
                    {
                        "document": visit._get_document(),
                        "company": visit.company_id,
                        "key_account_visit_id": visit.id,
                        "activity_type_id": types[visit.cadence_id, visit.track],
                        "summary": activities._get_visit_summary(visit),
                        "note": activities._get_visit_note(visit),
                        "date_deadline": visit.date_planned,
                        "user_id": visit.user_id.id,
                        "automated": bool(visit.cadence_id),
                    }
                    for visit in batch
                ],
            )
            batch._agree_with_activities()

    def _carry_to_activities(self, names):
        """Bring the activities of planned visits in step with the fields ``names``."""
        if "company_id" in names:
            for company, visits in self.sudo().grouped("company_id").items():
                visits.task_ids._write_quietly({"key_account_company_id": company.id})
        activities = self.env["mail.activity"]
        said = {}
        for visit in self.sudo().filtered(lambda visit: visit.state == "planned"):
            values = said[visit.activity_id] = {}
            if "date_planned" in names:
                values["date_deadline"] = visit.date_planned
            if "user_id" in names:
                values["user_id"] = visit.user_id.id
            if {"partner_id", "lead_id"} & names:
                document = visit._get_document()
                values["res_model_id"] = self.env["ir.model"]._get_id(document._name)
                values["res_id"] = document.id
            if "target_contact_id" in names:
                values["summary"] = activities._get_visit_summary(visit)
            if "objective" in names:
                values["note"] = activities._get_visit_note(visit)
        activities._write_differing(said)

    def _write_from_activities(self, vals):
        """Do with the visits what was done with their activities, where that differs.

        :param dict vals: what was written on the activities
        """
        planned = self.filtered(lambda visit: visit.state == "planned")
        day = fields.Date.to_date(vals.get("date_deadline"))
        if day:
            planned.filtered(lambda visit: visit.date_planned != day).write(
                {"date_planned": day, "is_date_fixed": True}
            )
        if "user_id" in vals:
            planned.filtered(lambda visit: visit.user_id.id != vals["user_id"]).write(
                {"user_id": vals["user_id"]}
            )
        if vals.get("feedback"):
            self._add_feedback(vals["feedback"])
        if vals.get("active") is False:
            planned._mark_done()
        elif vals.get("active"):
            self.filtered(lambda visit: visit.state == "done")._reopen()

    def _agree_with_activities(self):
        """Take over what others made of the visits' activities while these were made:
        automation rules and other addons have the last word, as people have."""
        for visit in self.filtered(lambda visit: visit.state == "planned"):
            activity = visit.activity_id.filtered("active")
            vals = {
                name: value
                for name, value, own in (
                    ("date_deadline", activity.date_deadline, visit.date_planned),
                    ("user_id", activity.user_id.id, visit.user_id.id),
                )
                if activity and value != own
            }
            if vals:
                visit._write_from_activities(vals)

    def _cancel_from_activities(self):
        """Cancel the planned visits whose activities were deleted."""
        self.filtered(lambda visit: visit.state == "planned")._cancel(
            self.env._("Activity cancelled")
        )
