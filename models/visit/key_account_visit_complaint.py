from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from ..account import bounds, clock


class KeyAccountVisit(models.Model):
    """Complaints: open until somebody says that they are resolved."""

    _inherit = "key.account.visit"

    complaint = bounds.Text(
        copy=False,
        tracking=True,
        help="What the customer complained about. Is in the briefs of the next visits "
        "and counts as a risk until it is resolved.",
    )
    date_resolved = bounds.Date(
        string="Resolved On",
        copy=False,
        tracking=True,
        help="The day on which the complaint was resolved; empty: it is open.",
    )
    resolved_uid = fields.Many2one(
        "res.users",
        string="Resolved By",
        readonly=True,
        copy=False,
        ondelete="set null",
    )
    is_complaint_open = fields.Boolean(
        string="Open Complaint",
        compute="_compute_is_complaint_open",
        search="_search_is_complaint_open",
    )

    # Few are open, and those are asked for.
    _complaint_idx = models.Index(
        "(partner_id, company_id) WHERE complaint IS NOT NULL AND date_resolved IS NULL"
    )

    @api.depends("complaint", "date_resolved", "state")
    def _compute_is_complaint_open(self):
        for visit in self:
            visit.is_complaint_open = (
                visit.state == "done" and visit.complaint and not visit.date_resolved
            )

    def _search_is_complaint_open(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain(
            [
                ("state", "=", "done"),
                ("complaint", "!=", False),
                ("date_resolved", "=", False),
            ]
        )

    @api.constrains("complaint", "date_done", "date_resolved")
    def _check_date_resolved(self):
        for visit in self.filtered("date_resolved"):
            if not visit.complaint:
                raise ValidationError(
                    self.env._("Note the complaint before the day it was resolved.")
                )
            if visit.date_resolved > visit._get_today():
                raise ValidationError(
                    self.env._(
                        "A complaint isn't resolved in the future: choose today or an "
                        "earlier day."
                    )
                )
            if visit.date_done and visit.date_resolved < visit.date_done:
                raise ValidationError(
                    self.env._(
                        "A complaint is resolved after it was made: choose the day of "
                        "the visit, %s, or a later one.",
                        clock.format_day(self.env, visit.date_done),
                    )
                )

    def action_resolve(self):
        """Note that the complaints were resolved today. Whoever may see the visit may
        do it, also when its report can't be corrected any more.

        :raise UserError: if there is no open complaint
        """
        self.check_access("write")
        visits = self.filtered("is_complaint_open")
        if not visits:
            raise UserError(self.env._("There is no open complaint: refresh the page."))
        for day, same in visits.grouped(lambda visit: visit._get_today()).items():
            same.date_resolved = day
