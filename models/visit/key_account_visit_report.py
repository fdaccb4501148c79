import hashlib
import json
from datetime import timedelta

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tools import format_list

from ...const import CALL_MODES
from ..account import bounds, clock, features, words

CORRECTION_DAYS = 7
QUADRANTS = {
    ("fast", "friendly"): "quality",
    ("fast", "unfriendly"): "factory",
    ("slow", "friendly"): "friendly",
    ("slow", "unfriendly"): "indifferent",
}
SALES_ALL = "sales_team.group_sale_salesman_all_leads"


class KeyAccountVisit(models.Model):
    """After the visit: the report, and what follows from it."""

    _inherit = "key.account.visit"

    # Tracked are corrections of a report, see _track_prepare
    contact_ids = fields.Many2many(tracking=True)
    mode = fields.Selection(tracking=True)
    feedback = bounds.Text(tracking=True)
    objective = bounds.Char(tracking=True)

    date_visited = bounds.Date(
        string="When",
        compute="_compute_date_visited",
        readonly=False,
        help="The day on which the visit took place.",
    )
    is_nobody_met = fields.Boolean(
        string="Nobody Was There",
        copy=False,
        tracking=True,
        help="The visit was made, and met nobody: nothing more is asked about it.",
    )
    objective_reached = fields.Selection(
        [
            ("reached", "Reached"),
            ("partly", "Partly"),
            ("not_reached", "Not reached"),
        ],
        copy=False,
        tracking=True,
        help="Whether the visit achieved what it was to achieve.",
    )
    # The same in other words, where no objective was set
    outcome = fields.Selection(
        [
            ("reached", "Well"),
            ("partly", "So-so"),
            ("not_reached", "Badly"),
        ],
        string="How Did It Go?",
        compute="_compute_outcome",
        readonly=False,
        help="How a visit without an objective went.",
    )
    next_step = bounds.Char(
        string="Next Step",
        copy=False,
        tracking=True,
        help="What happens now, and who does it.",
    )
    next_step_date = bounds.Date(
        string="Remind Me On",
        compute="_compute_next_step_date",
        inverse="_inverse_next_step_date",
        is_plan=True,
        help="What comes next becomes a commitment, and so an activity for this day.",
    )
    next_step_id = fields.Many2one(
        "key.account.commitment",
        string="Next Step's Commitment",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    next_date = bounds.Date(
        string="Next Visit On",
        copy=False,
        tracking=True,
        is_plan=True,
        help="The day that the customer was promised. Empty: the cadence decides.",
    )
    next_theme = bounds.Char(
        string="Next Objective",
        copy=False,
        tracking=True,
        help="The objective of the next visit.",
    )
    needs = bounds.Text(
        copy=False,
        tracking=True,
        help="What the customer needs, in the customer's own words.",
    )
    objections = bounds.Text(
        copy=False,
        tracking=True,
        help="What speaks against us, and what was answered.",
    )
    service_speed = fields.Selection(
        [("fast", "Fast"), ("slow", "Slow")],
        copy=False,
        tracking=True,
        help="How fast we handle what the customer asks for, as the customer sees it.",
    )
    service_attitude = fields.Selection(
        [("friendly", "Friendly"), ("unfriendly", "Unfriendly")],
        copy=False,
        tracking=True,
        help="How we treat the customer, as the customer sees it.",
    )
    service_quadrant = fields.Selection(
        [
            ("quality", "Quality"),
            ("factory", "Factory"),
            ("friendly", "Friendly"),
            ("indifferent", "Indifferent"),
        ],
        string="Service",
        compute="_compute_service_quadrant",
        store=True,
        help="Quality: fast and friendly. Factory: fast, but unfriendly. Friendly: "
        "slow, but friendly. Indifferent: slow and unfriendly.",
    )
    is_manager_needed = fields.Boolean(
        string="Support Needed",
        copy=False,
        tracking=True,
        help="The sales team's leader gets an activity when the report is given.",
    )
    support_needed = bounds.Char(
        string="Which Support",
        copy=False,
        tracking=True,
        help="What the leader should do.",
    )
    commitment_ids = fields.One2many(
        "key.account.commitment",
        "visit_id",
        copy=False,
        help="What we promised the customer. Each with a date becomes an activity.",
    )
    commitments = bounds.Text(
        compute="_compute_commitments",
        inverse="_inverse_commitments",
        help="The commitments, one a line. A new line is due on the day of the "
        "follow-up; a line that is taken out is no commitment any more.",
    )
    # For the log alone: a given report's commitments are part of what it says.
    commitment_log = fields.Text(
        is_internal=True,
        string="What We Promised",
        compute="_compute_commitment_log",
        compute_sudo=True,
        tracking=True,
    )
    attachment_ids = fields.Many2many(
        "ir.attachment",
        string="Photos and Files",
        compute="_compute_attachment_ids",
        inverse="_inverse_attachment_ids",
        help="What was photographed or handed over at the visit.",
    )
    report_date = fields.Datetime(
        string="Reported On",
        readonly=True,
        copy=False,
        help="When the report was given. Empty on a done visit: it is to be reported.",
    )
    report_uid = fields.Many2one(
        "res.users",
        string="Reported By",
        readonly=True,
        copy=False,
        ondelete="set null",
    )
    # Of a report that is sent twice, by two taps or over a bad line, one counts.
    report_key = fields.Char(is_internal=True, readonly=True, copy=False)
    can_report = fields.Boolean(compute="_compute_can_report")
    _report_key_uniq = models.UniqueIndex("(report_key) WHERE report_key IS NOT NULL")
    _to_report_idx = models.Index(
        "(user_id) WHERE state = 'done' AND report_date IS NULL"
    )

    # -------------------------------------------------------------------------
    # Computes
    # -------------------------------------------------------------------------

    @api.depends("date_done", "user_id", "company_id")
    def _compute_date_visited(self):
        for visit in self:
            visit.date_visited = visit.date_done or visit._get_today()

    @api.depends("objective", "objective_reached")
    def _compute_outcome(self):
        for visit in self:
            visit.outcome = not visit.objective and visit.objective_reached

    @api.depends("next_step_id.date_deadline")
    def _compute_next_step_date(self):
        for visit in self:
            visit.next_step_date = visit.next_step_id.date_deadline

    def _inverse_next_step_date(self):
        """Keep the reminder as a commitment: it has its activity once the visit is
        done, goes along with the customer, and is in the next brief."""
        reminded = self.browse()
        for visit in self:
            day, commitment = visit.next_step_date, visit.next_step_id
            if day and not visit.next_step:
                raise ValidationError(
                    self.env._(
                        "The reminder on %s has no words: name the next step.",
                        clock.format_day(self.env, day),
                    )
                )
            if commitment.state == "open" and day:
                commitment.write({"name": visit.next_step, "date_deadline": day})
            elif commitment.state == "open":
                commitment.unlink()
            elif day and day != commitment.date_deadline:
                reminded |= visit
        commitments = self.env["key.account.commitment"].create(
            [
                {
                    "visit_id": visit.id,
                    "name": visit.next_step,
                    "date_deadline": visit.next_step_date,
                }
                for visit in reminded
            ]
        )
        for visit, commitment in zip(reminded, commitments, strict=True):
            # sudo: no client says which commitment it is
            visit.sudo().next_step_id = commitment

    def _carry_next_step(self):
        """Bring the reminders in step with what comes next."""
        for visit in self.filtered(lambda visit: visit.next_step_id.state == "open"):
            if not visit.next_step:
                visit.next_step_id.unlink()
            elif visit.next_step_id.name != visit.next_step:
                visit.next_step_id.name = visit.next_step

    def _compute_attachment_ids(self):
        attachments = self.env["ir.attachment"].search(
            [("res_model", "=", self._name), ("res_id", "in", self._origin.ids)]
        )
        by_visit = attachments.grouped("res_id")
        for visit in self:
            visit.attachment_ids = by_visit.get(visit._origin.id, attachments.browse())

    def _inverse_attachment_ids(self):
        """Keep files that were uploaded in the report, and delete those that were taken
        out there."""
        named = {visit: visit.attachment_ids for visit in self}
        self.invalidate_recordset(["attachment_ids"])
        for visit, attachments in named.items():
            known = visit.attachment_ids
            new = attachments - known
            if any(
                file.res_model != self._name or file.res_id or file.res_field
                for file in new
            ):
                raise ValidationError(
                    self.env._("The file belongs to another document: upload it here.")
                )
            new.res_id = visit.id
            (known - attachments).unlink()
        self.invalidate_recordset(["attachment_ids"])

    @api.depends("service_speed", "service_attitude")
    def _compute_service_quadrant(self):
        for visit in self:
            ratings = (visit.service_speed, visit.service_attitude)
            visit.service_quadrant = QUADRANTS.get(ratings, False)

    @api.depends("commitment_ids.name")
    def _compute_commitments(self):
        for visit in self:
            names = visit.commitment_ids.mapped("name")
            visit.commitments = "\n".join(name for name in names if name)

    @api.depends("commitment_ids.name", "commitment_ids.date_deadline")
    def _compute_commitment_log(self):
        for visit in self:
            # on a form, a client can name anybody's
            commitments = visit.commitment_ids if visit.id else visit.commitment_ids[:0]
            lines = [
                [commitment.name, fields.Date.to_string(commitment.date_deadline)]
                for commitment in commitments.sorted("id")
            ]
            visit.commitment_log = "\n".join(
                ", ".join(filter(None, line)) for line in lines
            )

    def _inverse_commitments(self):
        vals_list = []
        dropped = self.env["key.account.commitment"]
        days = (
            self.env["key.account.visit.task"].sudo()._get_follow_up_days(self.sudo())
        )
        for visit in self:
            lines = [line.strip() for line in (visit.commitments or "").splitlines()]
            lines = list(dict.fromkeys(line for line in lines if line))
            known = visit.commitment_ids
            dropped |= known.filtered(
                lambda commitment, lines=lines: (
                    commitment.state == "open" and commitment.name not in lines
                )
            )
            vals_list += [
                {"visit_id": visit.id, "name": line, "date_deadline": days[visit.id]}
                for line in lines
                if line not in known.mapped("name")
            ]
        dropped.unlink()
        self.env["key.account.commitment"].create(vals_list)

    @api.depends("state", "report_date", "report_uid")
    @api.depends_context("uid")
    def _compute_can_report(self):
        for visit in self:
            visit.can_report = (
                visit.state in ("planned", "missed")
                or visit.state == "done"
                and (not visit.report_date or visit._can_correct())
            )

    # -------------------------------------------------------------------------
    # Constraints
    # -------------------------------------------------------------------------

    @api.constrains("next_date")
    def _check_next_date(self):
        for visit in self.filtered("next_date"):
            if visit.next_date < visit._get_today():
                raise ValidationError(
                    self.env._(
                        "The next visit can't be in the past: choose today or a later "
                        "day."
                    )
                )
            if visit.date_done and visit.next_date <= visit.date_done:
                raise ValidationError(
                    self.env._(
                        "The next visit comes after this one: choose a later day."
                    )
                )

    def _check_contacts(self, known=None):
        """Refuse contacts of other customers, and addresses.

        :param dict known: contacts per visit that were named before: who changed jobs
            since then stays in the history
        """
        for visit in self.sudo():
            named = visit.contact_ids | visit.target_contact_id
            strangers = (named - (known or {}).get(visit.id, named.browse())).filtered(
                lambda contact, visit=visit: (
                    contact.commercial_partner_id != visit.partner_id
                    or contact.is_company
                    or contact.type != "contact"
                )
            )
            if strangers:
                # named by a client, who may not know whose id it is
                strangers[0].sudo(False).check_access("read")
                raise ValidationError(
                    self.env._(
                        "%(contact)s is no contact person of %(customer)s: choose "
                        "somebody who works there.",
                        contact=strangers[0].display_name,
                        customer=visit.name,
                    )
                )

    def _check_new_contacts(self):
        # what planning chose is right
        self.filtered(
            lambda visit: (
                visit.contact_ids or (visit.target_contact_id and not visit.cadence_id)
            )
        )._check_contacts()

    @api.constrains("contact_ids", "is_nobody_met")
    def _check_nobody_met(self):
        if self.filtered(lambda visit: visit.is_nobody_met and visit.contact_ids):
            raise ValidationError(
                self.env._("Nobody was there, or somebody was met: choose one.")
            )

    def _can_correct(self):
        """Return whether the user, also when the code runs as superuser, may change
        what the report says."""
        self.ensure_one()
        user = self.env.user
        last = fields.Datetime.now() - timedelta(days=CORRECTION_DAYS)
        return (
            user.id == SUPERUSER_ID
            or user.has_group(SALES_ALL)
            or (self.sudo().report_uid == user and self.report_date > last)
        )

    def _check_correction(self):
        """Refuse to change reports of others, or of more than a week ago.

        :raise AccessError: if the user may not
        """
        for visit in self.filtered("report_date"):
            if visit._can_correct():
                continue
            if visit.sudo().report_uid == self.env.user:
                raise AccessError(
                    self.env._(
                        "The report on %s is more than a week old: ask a manager to "
                        "correct it.",
                        visit.name,
                    )
                )
            raise AccessError(
                self.env._(
                    "The report on %(visit)s is by %(author)s: ask its author or a "
                    "manager to correct it.",
                    visit=visit.name,
                    author=visit.sudo().report_uid.name or self.env._("nobody"),
                )
            )

    def _check_answers(self):
        """Refuse a report that leaves one of the four questions open. Where nobody was
        there, they are answered."""
        missing = []
        is_met = not self.is_nobody_met
        # A lead without customer has no contacts that we could have met
        if is_met and self.partner_id and not self.contact_ids:
            missing.append(self.env._("whom you met"))
        if not self.mode:
            missing.append(self.env._("how you met"))
        if is_met and not self.objective_reached:
            if self.objective:
                missing.append(self.env._("whether you reached the objective"))
            elif self.mode not in CALL_MODES:
                missing.append(self.env._("how it went"))
        if is_met and not self.next_step:
            missing.append(self.env._("the next step"))
        if missing:
            raise UserError(
                self.env._(
                    "The report on %(visit)s isn't complete. Please say: %(missing)s.",
                    visit=self.name,
                    missing=format_list(self.env, missing),
                )
            )

    # -------------------------------------------------------------------------
    # What follows from what is written
    # -------------------------------------------------------------------------

    def _take_visited_day(self, vals):
        """Return ``vals`` with the day that the report asks for. Missed visits are
        closed, but may turn out to have taken place: they get it here."""
        if "date_visited" not in vals:
            return self._name_stored(vals)
        missed = self.filtered(lambda visit: visit.state == "missed")
        if missed:
            missed.check_access("write")
            day = vals.pop("date_visited")
            missed.sudo().date_done = day
            (self - missed).write({"date_visited": day})
        return self._name_stored(vals)

    def _follow_report(self, vals, before):
        """Do with drafts, promises and tasks what ``vals`` say."""
        visits = self.sudo()
        before.moved._forget_day()
        if vals.get("state") in ("cancelled", "missed"):
            visits._withdraw_draft()
        if before.promises:
            self.env["key.account.settlement"].sudo()._follow_promises(
                visits.browse(visit.id for visit in before.promises), before.promises
            )
        tasks = self.env["key.account.visit.task"]
        if {"is_manager_needed", "support_needed"} & vals.keys():
            tasks._follow_support(visits.filtered("report_date"), vals)
        if "next_step" in vals:
            visits._carry_next_step()
        if vals.get("mode") in CALL_MODES or vals.get("is_nobody_met"):
            # nobody thanks for a call, nor whom one didn't meet
            tasks._unlink_follow_ups(visits.filtered("follow_up_activity_id.active"))

    def _forget_day(self):
        """Forget the day that a draft named: the visit didn't take place then."""
        self.filtered("date_done").date_done = False

    def _filter_moved(self, vals):
        """Return the planned visits that ``vals`` move to another day."""
        day = fields.Date.to_date(vals.get("date_planned"))
        return self.filtered(
            lambda visit: day and visit.state == "planned" and visit.date_planned != day
        )

    def _withdraw_draft(self):
        """Drop what was to be promised at visits that didn't take place."""
        self.commitment_ids.filtered(
            lambda commitment: commitment.state == "open"
        )._drop()
        self.filtered(lambda visit: visit.state == "cancelled")._forget_day()

    def _restore_draft(self):
        """Keep what was promised at missed visits: they took place."""
        self.commitment_ids.filtered(
            lambda commitment: commitment.state == "dropped"
        )._reopen()

    @api.model
    def _name_stored(self, vals):
        """Return ``vals`` by the names under which they are kept."""
        return self._name_result(self._name_day(vals))

    @api.model
    def _name_result(self, vals):
        """The report asks how it went under another name, where there is no objective:
        one of the two is said."""
        if "outcome" not in vals:
            return vals
        outcome = vals["outcome"] or vals.get("objective_reached", False)
        vals = {name: vals[name] for name in vals.keys() - {"outcome"}}
        return {**vals, "objective_reached": outcome}

    @api.model
    def _name_day(self, vals):
        """The report asks for the day under another name, with today as its default:
        while a visit is planned, it has none. Lists have one name for both days."""
        vals = dict(vals)
        if "date" in vals:
            name = "date_done" if vals.get("state") == "done" else "date_planned"
            day = vals.pop("date")
            vals.setdefault(name, day)
        if "date_visited" in vals:
            vals["date_done"] = vals.pop("date_visited")
        return vals

    # -------------------------------------------------------------------------
    # The visit's own log
    # -------------------------------------------------------------------------

    def _track_prepare(self, fields_iter):
        # Only what changes in a report that was given is told: planning stays quick
        return super(KeyAccountVisit, self.filtered("report_date"))._track_prepare(
            fields_iter
        )

    def _track_commitments(self):
        """Tell in the log what is going to change in the commitments of given
        reports."""
        if not self.env.context.get("tracking_disable"):
            self.sudo()._track_prepare(["commitment_log"])

    def _message_auto_subscribe(self, updated_values, followers_existing_policy="skip"):
        # Nobody is told of an assignment: the daily digest does that
        return True

    def _mail_get_partner_fields(self, introspect_fields=False):
        # No mail to customers: nothing suggests them
        return []

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_open_report(self):
        """Open the report of a visit.

        :raise UserError: if the visit was cancelled
        :raise AccessError: if the user may not report it, or not correct it any more
        """
        self.ensure_one()
        self.check_access("write")
        self._check_reportable()
        self._check_correction()
        return self._get_report_action({"res_id": self.id})

    def action_report(self, values=None):
        """Give the report: mark a planned or missed visit done, keep what was promised
        and call for support. A report that was given already is corrected.

        :param dict values: what the report says, written before; without a visit, one
            is logged with them
        :return: a notification that names the next visit
        :raise UserError: if one of the four questions is open, or the visit was
            cancelled
        :raise AccessError: if the user may not report it, or not correct it any more
        """
        opened = self
        self = self._save_report(values)
        self._check_answers()
        if self.report_date:
            return {"type": "ir.actions.act_window_close"}
        self._make_done()
        # sudo: the checks above are the right to report
        visit = self.sudo()
        tasks = visit.env["key.account.visit.task"]
        visit.write({"report_date": fields.Datetime.now(), "report_uid": self.env.uid})
        tasks._create_follow_ups(visit)
        visit._plan_next()
        visit.env["key.account.settlement"]._keep_promises(
            visit, {"next_date", "next_theme"}
        )
        untold = tasks._notify_managers(visit)
        return visit._get_next_notification(
            opened._get_left_text(visit, self.env._("Report saved.")),
            untold and self.env._("There is nobody to tell that you need support."),
        )

    def action_report_later(self, values=None):
        """Note that a visit took place, and leave its report for later.

        :param dict values: what is known already; see :meth:`action_report`
        :return: a notification that names the next visit
        :raise UserError: if the visit was cancelled
        :raise AccessError: if the user may not report it
        """
        opened = self
        self = self._save_report(values)
        if self.report_date:
            return {"type": "ir.actions.act_window_close"}
        self._make_done()
        visit = self.sudo()
        return visit._get_next_notification(
            opened._get_left_text(
                visit, self.env._("The visit is logged, and waits for its report.")
            )
        )

    def _save_report(self, values):
        """Write what the report says so far, on a new visit if there is none."""
        if values and not isinstance(values, dict):
            raise UserError(self.env._("This is no report: fill in its form."))
        key = values and self._get_report_key(values)
        if not self:
            self = self._log_report(values or {}, key)
            values = None
        elif self._is_logged_otherwise(values or {}):
            self = self._log_apart(values, key)
            values = None
        self.ensure_one()
        self.check_access("write")
        self._check_reportable()
        self._check_correction()
        if key and self.sudo().report_key == key:
            values = None
        elif key:
            self.sudo().report_key = key
        if not self.report_date and self.state != "planned":
            self._take_over()
        self.write(values or {})
        return self

    def _get_report_key(self, values):
        """Return what tells this report of today, by the user, from all others."""
        said = [self.ids, self.env.uid, clock.get_today(self.env.company), values]
        text = json.dumps(said, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _take_over(self):
        """Note who made the visit, if it isn't its salesperson."""
        vals = self._get_maker_values()
        if vals:
            self._take_over_commitments()
            self.sudo().write(vals)

    def _get_maker_values(self):
        """Return who made the visit, if it isn't its salesperson: whoever reports it,
        but a manager, who reports on behalf of the salesperson."""
        user = self.env.user
        previous = self.user_id
        stays = previous and (self.state == "done" or user.has_group(SALES_ALL))
        if stays or user == previous or user._is_superuser():
            return {}
        teams = self.env["crm.team.member"]._get_user_teams(self.company_id, user)
        team = teams.get(user.id) or self.sudo().team_id
        return {"user_id": user.id, "team_id": team.id}

    def _take_over_commitments(self):
        """Give what the salesperson was to keep to whoever made the visit."""
        self.sudo().commitment_ids.filtered(
            lambda commitment: (
                commitment.state == "open" and commitment.user_id == self.user_id
            )
        ).user_id = self.env.user

    def _make_done(self):
        """Mark the visit done that somebody reports, on the day that was named."""
        if self.state == "missed":
            self.sudo()._make_up()
        elif self.state == "planned" and (vals := self._get_maker_values()):
            # Done at once: activity and meeting stay with whoever planned the visit
            self._take_over_commitments()
            visit = self.sudo()
            visit._mark_done(vals)
            visit.activity_id.filtered("active").action_feedback(feedback=self.feedback)
        elif self.state == "planned":
            self.action_done(self.feedback)

    def _make_up(self):
        """Mark missed visits as done: they were made in time and reported late. What
        was planned in their place is outdated."""
        for visit in self:
            visit.write(
                {"state": "done", "date_done": visit.date_done or visit._get_today()}
            )
        self._restore_draft()
        self.commitment_ids._create_activities()
        self.env["key.account.settlement"]._settle_late(self)

    @api.readonly
    @api.model
    def get_report_contacts(self, partner_id, company_id=False):
        """Return whom one may have met at a customer's: its contact persons, those
        with a place in the buying centre first.

        :param int partner_id: the customer
        :param int company_id: the visit's company; default: the current one
        :return: ``{"can_create": bool, "contacts": [{"id", "name", "place"}]}``
        :raise AccessError: outside sales, without the right to read the customer, or
            for a company of others
        """
        self.check_access("read")
        company = bounds.to_record(self.env["res.company"], company_id)
        company = company or self.env.company
        if company not in self.env.user.company_ids:
            raise AccessError(
                self.env._("You don't work for this company: ask for another one.")
            )
        Partners = self.env["res.partner"]
        account = bounds.to_record(Partners, partner_id)
        account.check_access("read")
        contacts = Partners.search_fetch(
            Partners._get_present_domain(
                account.commercial_partner_id,
                company._get_key_account_home(),
                clock.get_today(company, self.env.user),
            ),
            ["name", "function", "decision_level", "buying_role_ids"],
            order="name, id",
        )
        has_roles = features.is_used(self.env, features.BUYING_CENTER)
        levels = dict(
            Partners._fields["decision_level"]._description_selection(self.env)
        )
        rows = []
        for contact in contacts:
            place = contact.buying_role_ids.mapped("name") if has_roles else []
            if has_roles and contact.decision_level:
                place.append(levels[contact.decision_level])
            rows.append(
                {
                    "id": contact.id,
                    "name": contact.name or contact.display_name,
                    "place": words.join_facts(self.env, place)
                    or contact.function
                    or "",
                    "is_placed": bool(place),
                }
            )
        rows.sort(key=lambda row: not row["is_placed"])
        return {"can_create": Partners.has_access("create"), "contacts": rows}

    def _check_reportable(self):
        if self.state == "cancelled":
            raise UserError(
                self.env._(
                    "The visit to %s was cancelled: log a new one.",
                    self.name,
                )
            )

    def _get_report_action(self, values):
        view = self.env.ref("crm_key_account.key_account_visit_view_form_report")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Visit Report"),
            "res_model": "key.account.visit",
            "views": [(view.id, "form")],
            "target": "new",
            **values,
        }

    # -------------------------------------------------------------------------
    # What came of it, in words
    # -------------------------------------------------------------------------

    def _get_met_text(self):
        """Return the names of those who were met."""
        names = format_list(self.env, self.contact_ids.mapped("name"))
        return names or (self.is_nobody_met and self.env._("Nobody")) or ""

    def _get_result_text(self):
        """Return whether the objective was reached; where none was set, how it went."""
        name = "objective_reached" if self.objective else "outcome"
        labels = dict(self._fields[name]._description_selection(self.env))
        return labels.get(self.objective_reached)

    # -------------------------------------------------------------------------
    # What follows
    # -------------------------------------------------------------------------

    def _add_feedback(self, feedback):
        """Take over what was typed into Odoo's own feedback box; a report that was
        given stays as it is, and so does a visit that didn't take place."""
        feedback = bounds.clean_text(feedback)
        if not feedback:
            return
        for visit in self.filtered(
            lambda visit: not visit.report_date and visit.state != "cancelled"
        ):
            if feedback.strip() not in (visit.feedback or ""):
                visit.feedback = "\n".join(filter(None, [visit.feedback, feedback]))
