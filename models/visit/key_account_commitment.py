from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import clean_context

from ..account import bounds, clock
from ..account.key_account_mixin import get_readonly_names

# What the report says of a commitment; whoever is responsible may move it.
REPORT_FIELDS = {"name", "visit_id"}
# What the visit's log tells of a given report's commitments.
LOG_FIELDS = {"date_deadline", "name", "visit_id"}
# What a commitment's activity says, and under which name
CARRIED_FIELDS = {
    "date_deadline": "date_deadline",
    "name": "summary",
    "user_id": "user_id",
    "visit_id": "key_account_visit_id",
}


class KeyAccountCommitment(models.Model):
    """What we promised a customer at a visit. One with a date is an activity: done is
    kept, deleted is dropped."""

    _name = "key.account.commitment"
    _inherit = "key.account.form"
    _description = "Commitment"
    _order = "date_deadline, id"

    name = bounds.Char(string="Commitment", required=True)
    visit_id = fields.Many2one(
        "key.account.visit",
        required=True,
        index=True,
        ondelete="cascade",
    )
    partner_id = fields.Many2one(
        related="visit_id.partner_id",
        string="Customer",
        store=True,
        index="btree_not_null",
    )
    lead_id = fields.Many2one(
        related="visit_id.lead_id",
        store=True,
        index="btree_not_null",
    )
    company_id = fields.Many2one(
        related="visit_id.company_id",
        store=True,
        precompute=True,
        index=True,
    )
    # Copies for the record rules, as on visits.
    visit_user_id = fields.Many2one(
        related="visit_id.user_id",
        string="Visited By",
        store=True,
        index=True,
    )
    account_user_id = fields.Many2one(
        related="visit_id.account_user_id",
        string="Customer's Salesperson",
        store=True,
        index=True,
    )
    user_id = fields.Many2one(
        "res.users",
        string="Responsible",
        compute="_compute_user_id",
        store=True,
        readonly=False,
        precompute=True,
        index=True,
        domain=[("share", "=", False)],
    )
    date_deadline = bounds.Date(
        string="Due",
        is_plan=True,
        help="Becomes an activity of the responsible for this day once the visit is "
        "done. Empty: no activity.",
    )
    state = fields.Selection(
        [("open", "Open"), ("kept", "Kept"), ("dropped", "Dropped")],
        string="Status",
        required=True,
        readonly=True,
        default="open",
        index=True,
        copy=False,
    )
    date_done = fields.Date(string="Closed On", readonly=True, copy=False)
    activity_id = fields.Many2one(
        "mail.activity",
        is_internal=True,
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    is_overdue = fields.Boolean(
        compute="_compute_is_overdue",
        search="_search_is_overdue",
    )

    @api.depends("visit_id")
    def _compute_user_id(self):
        for commitment in self:
            commitment.user_id = (
                commitment.user_id or commitment.visit_id._get_successor()
            )

    @api.depends("state", "date_deadline")
    @api.depends_context("tz")
    def _compute_is_overdue(self):
        today = fields.Date.context_today(self)
        for commitment in self:
            commitment.is_overdue = (
                commitment.state == "open"
                and bool(commitment.date_deadline)
                and commitment.date_deadline < today
            )

    def _search_is_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain("state", "=", "open") & Domain(
            "date_deadline", "<", fields.Date.context_today(self)
        )

    # -------------------------------------------------------------------------
    # Constraints
    # -------------------------------------------------------------------------

    @api.constrains("user_id")
    def _check_user(self):
        for commitment in self.filtered("user_id"):
            user = commitment.user_id.sudo()
            if user.share or commitment.company_id not in user.company_ids:
                raise ValidationError(
                    self.env._(
                        "%(user)s doesn't work for %(company)s: choose somebody else "
                        "for the commitment.",
                        user=user.name,
                        company=commitment.company_id.name,
                    )
                )
            # scripts run as OdooBot, who is archived
            if commitment.state == "open" and not (user.active or user._is_superuser()):
                raise ValidationError(
                    self.env._(
                        "%s has left: choose somebody else for the commitment.",
                        user.name,
                    )
                )

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        bounds.check_values(self, vals_list)
        self._check_client_values(vals_list)
        if not self.env.su:
            # Defaults from a client's context are values of the client.
            self = self.with_context(clean_context(self.env.context))
        visits = self._get_named_visits(vals_list)
        self._check_promisable(visits)
        visits._track_commitments()
        commitments = super().create(vals_list)
        commitments._check_visits()
        commitments._create_activities()
        return commitments

    def write(self, vals):
        bounds.check_values(self, [vals])
        self._check_client_values([vals])
        if REPORT_FIELDS & vals.keys():
            self._check_visits()
        if LOG_FIELDS & vals.keys():
            named = self._get_named_visits([vals])
            self._check_promisable(named)
            (self.visit_id | named)._track_commitments()
        res = super().write(vals)
        if REPORT_FIELDS & vals.keys():
            self._check_visits()
        self._carry_to_activities(vals)
        return res

    def unlink(self):
        self._check_visits()
        self.visit_id._track_commitments()
        self._unlink_activities()
        return super().unlink()

    @api.model
    def _get_named_visits(self, vals_list):
        visit_ids = {vals["visit_id"] for vals in vals_list if vals.get("visit_id")}
        return self.env["key.account.visit"].browse(visit_ids).exists()

    def _check_client_values(self, vals_list):
        if not self.env.su and get_readonly_names(self, vals_list):
            raise AccessError(
                self.env._(
                    "A commitment's status and customer follow from its activity and "
                    "its visit."
                )
            )
        if not self.env.su:
            self.env["key.account.week.board"]._check_given(self.user_id, vals_list)

    @api.model
    def _check_promisable(self, visits):
        """Refuse to promise something at a visit of another, or a cancelled one."""
        if not self.env.su:
            visits.check_access("write")
        for visit in visits:
            visit._check_reportable()

    def _check_visits(self):
        """Refuse to change what the report of another, or an old one, promises."""
        if not self.env.su:
            self.visit_id.check_access("write")
            self.visit_id._check_correction()

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_keep(self):
        """Mark open commitments as kept today.

        :raise UserError: if one isn't open any more
        """
        self.check_access("write")
        self._check_open()
        # Archives, which brings us to _write_from_activities
        # sudo: the activity may be hidden from whoever may keep the commitment
        self.sudo().activity_id.filtered("active").action_feedback()
        self.sudo().filtered(lambda commitment: commitment.state == "open")._keep()
        return True

    def action_drop(self):
        """Give up open commitments.

        :raise UserError: if one isn't open any more
        """
        self.check_access("write")
        self._check_open()
        self.sudo()._drop()
        return True

    def _check_open(self):
        closed = self.filtered(lambda commitment: commitment.state != "open")
        if closed:
            raise UserError(
                self.env._(
                    "The commitment %s is not open any more: refresh the page.",
                    closed[0].name,
                )
            )

    # -------------------------------------------------------------------------
    # Commitments and activities
    # -------------------------------------------------------------------------

    def _create_activities(self):
        """Give each open commitment with a date its activity, once the visit took
        place: until then the report is a draft."""
        commitments = self.sudo().filtered(
            lambda commitment: (
                commitment.state == "open"
                and commitment.date_deadline
                and commitment.visit_id.state == "done"
                and not commitment.activity_id
            )
        )
        if not commitments:
            return
        todo = self.env.ref("mail.mail_activity_data_todo")
        activities = self.env["mail.activity"]._create_for_visits(
            "commitment",
            [
                {
                    "document": commitment.visit_id._get_document(),
                    "company": commitment.company_id,
                    "key_account_visit_id": commitment.visit_id.id,
                    "activity_type_id": todo.id,
                    "summary": commitment.name,
                    "date_deadline": commitment.date_deadline,
                    "user_id": commitment.user_id.id,
                }
                for commitment in commitments
            ],
        )
        for commitment, activity in zip(commitments, activities, strict=True):
            commitment.activity_id = activity

    def _carry_to_activities(self, vals):
        """Bring the activities in step with what ``vals`` changed."""
        names = {name: CARRIED_FIELDS[name] for name in CARRIED_FIELDS if name in vals}
        if not names:
            return
        if "date_deadline" in vals and not vals["date_deadline"]:
            self._unlink_activities()
            return
        self.env["mail.activity"]._write_differing(
            {
                commitment.activity_id.filtered("active"): {
                    to: self._fields[name].convert_to_write(
                        commitment[name], commitment
                    )
                    for name, to in names.items()
                }
                for commitment in self.sudo()
            }
        )
        self._create_activities()

    def _write_from_activities(self, vals):
        """Do with the commitments what was done with their activities, where that
        differs.

        :param dict vals: what was written on the activities
        """
        is_open = self.filtered(lambda commitment: commitment.state == "open")
        day = fields.Date.to_date(vals.get("date_deadline"))
        if day:
            is_open.filtered(
                lambda commitment: commitment.date_deadline != day
            ).date_deadline = day
        if vals.get("user_id"):
            is_open.filtered(
                lambda commitment: commitment.user_id.id != vals["user_id"]
            ).user_id = vals["user_id"]
        if vals.get("active") is False:
            is_open._keep()
        elif vals.get("active"):
            self._reopen()

    def _drop_from_activities(self):
        """Give up the open commitments whose activities were deleted."""
        self.filtered(lambda commitment: commitment.state == "open")._close("dropped")

    def _keep(self):
        self._close("kept")

    def _drop(self):
        self._close("dropped")
        self._unlink_activities()

    def _close(self, state):
        for commitment in self:
            today = clock.get_today(commitment.company_id, commitment.user_id)
            commitment.write({"state": state, "date_done": today})

    def _reopen(self):
        self.write({"state": "open", "date_done": False})

    def _assign_responsibles(self):
        """Give the commitments, with their activities, to whoever is responsible for
        the customers now."""
        follow = self.env["key.account.visit.follow"]
        groups = follow._group_by_responsible(self.visit_id)
        for (user_id, _team_id), visits in groups.items():
            self.filtered(
                lambda commitment, visits=visits: commitment.visit_id in visits
            ).write({"user_id": user_id})

    def _unlink_activities(self):
        activities = self.sudo().activity_id.filtered("active")
        # what they promise stays as it is
        self.sudo().activity_id = False
        activities.unlink()
