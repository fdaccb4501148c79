from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

import pytz

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, clean_context

from ...const import (
    DECISION_LEVELS,
    ENGAGEMENT_STAGES,
    RELATIONSHIP_LEVELS,
    STAGE_NUMBERS,
)
from ..account import bounds, clock, columns, features, words
from ..account.key_account_form import check_named
from ..account.key_account_mixin import get_readonly_names
from ..account.pause import is_paused
from ..planning.key_account_cadence import TRACK_MODES, TRACKS
from .key_account_visit_file import HISTORY_FIELDS

CHECK_CONTACTS = "check_contacts"
# Persons who work at the visit's customer, or the customer, if it is a person.
CONTACT_DOMAIN = (
    "[('commercial_partner_id', '=', partner_id), ('is_company', '=', False),"
    " ('type', '=', 'contact')]"
)
# What the accounts' last and next visit depend on.
ACCOUNT_FIELDS = {
    "company_id",
    "date_done",
    "date_planned",
    "partner_id",
    "state",
    "track",
}
# What due dates depend on.
DUE_FIELDS = {
    "company_id",
    "date_cancelled",
    "date_done",
    "date_due",
    "date_escalated",
    "date_resume",
    "lead_id",
    "loss_id",
    "partner_id",
    "state",
    "track",
}
# What coverage and the relationship ladder read off visits.
RELATIONSHIP_FIELDS = {
    "company_id",
    "contact_ids",
    "date_done",
    "participant_ids",
    "partner_id",
    "state",
}
# What a planned visit's activity says
CARRIED_FIELDS = {
    "company_id",
    "date_planned",
    "lead_id",
    "objective",
    "partner_id",
    "target_contact_id",
    "user_id",
}
# What decides on which day, with whom and whether a meeting takes place.
MEETING_FIELDS = {"date_planned", "lead_id", "partner_id", "state", "user_id"}
# What the report says: corrected by its author for a week.
REPORT_FIELDS = {
    "complaint",
    "contact_ids",
    "feedback",
    "is_manager_needed",
    "is_nobody_met",
    "mode",
    "needs",
    "next_date",
    "next_step",
    "next_theme",
    "objections",
    "objective",
    "objective_reached",
    "participant_ids",
    "service_attitude",
    "service_speed",
    "support_needed",
}
# Kept elsewhere, and corrected as long
REPORT_PARTS = {"attachment_ids", "next_step_date"}
PROMISE_FIELDS = {"next_date", "next_theme"}
# Fields that lists are not sorted by as they stand: the methods that say it instead
ORDERS = {
    "engagement_stage": "_get_stage_order_sql",
    "hour": "_get_hour_order_sql",
}


class Before(NamedTuple):
    """What visits were before something was written on them."""

    accounts: models.Model
    leads: models.Model
    companies: models.Model
    # those who were named, by visit id; empty: nobody names any
    contacts: dict
    # those who came along, by visit id; empty: nobody names any
    participants: dict
    # planned day and salesperson of visits with a meeting
    meetings: dict
    # planned visits that go to another day
    moved: models.Model
    # day and theme that reports promised
    promises: dict


def _get_moment():
    """Return now, in UTC, to the microsecond: of two visits that are closed one after
    the other it tells the later one, which ``fields.Datetime.now`` cuts off."""
    return datetime.now(pytz.utc).replace(tzinfo=None)


class ColumnDate(columns.Column, bounds.Date):
    """A day within its bounds that SQL has a column for."""


class KeyAccountVisit(models.Model):
    """Who met whom, or is going to. While it is planned, a visit owns exactly one
    activity on the customer (or on the lead, while that has no customer): the rep
    works with the activity, and both are kept in step from either side.
    """

    _name = "key.account.visit"
    _inherit = [
        "key.account.visit.file",
        "key.account.form",
        "key.account.mixin",
        "key.account.thread",
    ]
    _switched_fields = {
        features.EVIDENCE: {"relationship_level"},
        features.BUYING_CENTER: {"target_level", "target_role_id"},
    }
    _description = "Customer Visit"
    _order = "date_planned desc, id desc"

    name = fields.Char(
        string="Customer or Lead",
        compute="_compute_name",
        search="_search_name",
        # sudo: whoever may read the visit may read whose it is
        compute_sudo=True,
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        index="btree_not_null",
        ondelete="cascade",
        help="The customer's company. Contacts count for their company.",
    )
    lead_id = fields.Many2one(
        "crm.lead",
        index="btree_not_null",
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company._get_key_account_home(),
    )
    user_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        default=lambda self: self.env.user,
        domain=[("share", "=", False)],
    )
    team_id = fields.Many2one(
        "crm.team",
        string="Sales Team",
        readonly=True,
        ondelete="set null",
    )
    tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        ondelete="restrict",
        help="Tier of the customer when the visit was planned.",
    )
    tier_color = fields.Integer(
        is_internal=True, related="tier_id.color", aggregator=None
    )
    relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        readonly=True,
        help="Level of the relationship when the visit was planned.",
    )
    target_contact_id = fields.Many2one(
        "res.partner",
        string="Whom to See",
        ondelete="set null",
        copy=False,
        domain=CONTACT_DOMAIN,
        help="The contact who should be met. The plan names whoever was seen longest "
        "ago in the tier's required cells.",
    )
    # For lists: a contact's full name starts with the customer's.
    target_name = fields.Char(
        string="Whom to See (Name)",
        compute="_compute_target_name",
        # sudo: whoever may read the visit may read whom it is about
        compute_sudo=True,
    )
    target_role_id = fields.Many2one(
        "key.account.buying.role",
        string="For the Role",
        readonly=True,
        copy=False,
        ondelete="set null",
    )
    target_level = fields.Selection(
        DECISION_LEVELS,
        string="On the Level",
        readonly=True,
        copy=False,
    )
    contact_ids = fields.Many2many(
        "res.partner",
        "key_account_visit_contact_rel",
        "visit_id",
        "contact_id",
        string="Whom We Met",
        copy=False,
        context={"active_test": False},
        domain=CONTACT_DOMAIN,
        help="Counts for the coverage of the buying centre once the visit is done.",
    )
    participant_ids = fields.Many2many(
        "res.users",
        "key_account_visit_participant_rel",
        "visit_id",
        "user_id",
        string="Came Along",
        copy=False,
        context={"active_test": False},
        domain="[('share', '=', False), ('company_ids', '=', company_id),"
        " ('id', '!=', user_id)]",
        help="Colleagues who were there too. They count for who knows whom; the visit "
        "counts for its salesperson.",
    )
    substituted_user_id = fields.Many2one(
        "res.users",
        string="Instead Of",
        readonly=True,
        copy=False,
        ondelete="set null",
        help="Whose visit it is: it comes back after the last day away.",
    )
    substituted_until = fields.Date(string="Until", readonly=True, copy=False)
    cadence_id = fields.Many2one(
        "key.account.cadence",
        readonly=True,
        copy=False,
        ondelete="set null",
        help="The line that asked for the visit; empty: planned by hand.",
    )
    loss_id = fields.Many2one(
        "key.account.loss",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="The loss of the account that the visit is to undo.",
    )
    track = fields.Selection(TRACKS, required=True, default="visit")
    mode = fields.Selection(
        [
            ("on_site", "On site"),
            ("online", "Online"),
            ("phone", "Phone"),
            ("mail", "Mail"),
        ],
        compute="_compute_mode",
        store=True,
        readonly=False,
        required=True,
        precompute=True,
    )
    state = fields.Selection(
        [
            ("planned", "Planned"),
            ("done", "Done"),
            ("missed", "Missed"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="planned",
        index=True,
        copy=False,
    )
    date_due = fields.Date(
        string="Due",
        readonly=True,
        copy=False,
        help="The day that the cadence asks for, before working days and leaves.",
    )
    date_planned = bounds.Date(
        string="Planned For",
        index=True,
        default=fields.Date.context_today,
        is_plan=True,
    )
    date_latest = fields.Date(
        string="Not Later Than",
        readonly=True,
        copy=False,
        help="End of the visit's window: due date plus 30 % of the interval.",
    )
    date_done = bounds.Date(string="Done On", index=True, copy=False)
    date = ColumnDate(
        sql="_get_date_sql",
        compute="_compute_date",
        search=columns.search_column("date"),
        readonly=False,
        is_plan=True,
        help="The day on which a done visit was made; of others, the planned one.",
    )
    date_cancelled = fields.Date(string="Cancelled On", readonly=True, copy=False)
    closed_at = fields.Datetime(
        is_internal=True,
        readonly=True,
        copy=False,
        help="When somebody said that the visit was done, or cancelled it: which came "
        "last on a day.",
    )
    date_resume = bounds.Date(
        string="Come Back On",
        readonly=True,
        copy=False,
        is_plan=True,
        help="The next visit is due on this day.",
    )
    is_date_fixed = fields.Boolean(
        string="Moved by Hand",
        readonly=True,
        copy=False,
        help="A person chose the date: planning leaves it alone.",
    )
    is_overdue = fields.Boolean(
        compute="_compute_is_overdue",
        search="_search_is_overdue",
        help="Planned, and the due date has passed; the planned day of what a person "
        "planned without one.",
    )
    days_overdue = fields.Integer(
        string="Days Late",
        compute="_compute_is_overdue",
        aggregator="max",
        help="Since the due date of a planned visit, whatever day it is planned for; "
        "of what a person planned without one, since that day.",
    )
    summary = bounds.Char(
        longest=bounds.LONGEST_TEXT,
        string="Reason",
        help="Why the customer is to be seen.",
    )
    engagement_stage = fields.Selection(
        ENGAGEMENT_STAGES,
        readonly=True,
        copy=False,
        help="What was going on with the customer when the visit was planned; kept up "
        "to date every night.",
    )
    date_escalated = fields.Date(
        string="Escalated On",
        readonly=True,
        copy=False,
        help="The sales team's leader was told that the visit is overdue.",
    )
    calendar_event_id = fields.Many2one(
        "calendar.event",
        string="Meeting",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    engagement_strategy = fields.Html(
        string="How to Treat This Customer",
        compute="_compute_engagement_strategy",
        # sudo: the text is for whoever may read the visit
        compute_sudo=True,
        # the texts are clean when they are stored
        sanitize=False,
    )
    objective = bounds.Char(help="What the visit is to achieve.")
    feedback = bounds.Text(string="Notes", copy=False, help="What came of the visit.")
    close_reason = bounds.Char(longest=bounds.LONGEST_TEXT, readonly=True, copy=False)
    # Computed when a planned visit is opened, with the rights of whoever opens it. No
    # help: without a label, it would pop up over the brief.
    brief = fields.Html(
        compute="_compute_brief",
        # rendered here, every value escaped
        sanitize=False,
    )

    _account_or_lead = models.Constraint(
        "CHECK(partner_id IS NOT NULL OR lead_id IS NOT NULL)",
        "A visit needs a customer or a lead.",
    )
    _planned_partner_uniq = models.UniqueIndex(
        "(partner_id, company_id, track) "
        "WHERE state = 'planned' AND partner_id IS NOT NULL",
        "The customer already has a planned visit of this kind: move that one.",
    )
    _planned_lead_uniq = models.UniqueIndex(
        "(lead_id, track) WHERE state = 'planned' AND partner_id IS NULL",
        "The lead already has a planned visit of this kind: move that one.",
    )
    _history_idx = models.Index("(company_id, track, partner_id, state)")
    # A salesperson's lists are read from the latest day back: by an index of the days
    # alone, those of all colleagues were passed over one by one.
    _user_date_idx = models.Index("(user_id, date_planned)")
    _date_idx = models.Index(
        "((CASE WHEN state = 'done' THEN date_done ELSE date_planned END))"
    )

    # -------------------------------------------------------------------------
    # Computes
    # -------------------------------------------------------------------------

    @api.depends("partner_id", "lead_id")
    def _compute_name(self):
        for visit in self:
            record = visit.partner_id or visit.lead_id
            visit.name = visit._is_shown(record) and record.display_name

    # Written as the planned day, see _name_day
    @api.depends("state", "date_done", "date_planned")
    def _compute_date(self):
        for visit in self:
            is_done = visit.state == "done"
            visit.date = visit.date_done if is_done else visit.date_planned

    def _get_date_sql(self, alias, _name):
        return SQL(
            "CASE WHEN %s = 'done' THEN %s ELSE %s END",
            self._field_to_sql(alias, "state"),
            self._field_to_sql(alias, "date_done"),
            self._field_to_sql(alias, "date_planned"),
        )

    @api.depends("target_contact_id.name")
    def _compute_target_name(self):
        for visit in self:
            contact = visit.target_contact_id
            visit.target_name = visit._is_shown(contact) and contact.name

    def _is_shown(self, record):
        """Return whether a computation as superuser may show something of ``record``:
        on a visit that isn't saved yet, a client can name any."""
        record, saved = record._origin, self._origin
        if record in (saved.partner_id, saved.lead_id, saved.target_contact_id):
            return True
        return record.sudo(False).has_access("read")

    @api.depends("name", "date_planned", "date_done")
    @api.depends_context("key_account_visit_name_only", "lang")
    def _compute_display_name(self):
        # the calendar shows the date already
        if self.env.context.get("key_account_visit_name_only"):
            for visit in self:
                visit.display_name = visit.name
            return
        for visit in self:
            day = visit.date_done or visit.date_planned
            visit.display_name = words.join_facts(
                self.env, (visit.name, day and clock.format_day(self.env, day))
            )

    @api.depends("track")
    def _compute_mode(self):
        for visit in self:
            visit.mode = TRACK_MODES.get(visit.track, "on_site")

    @api.depends(
        "company_id",
        "partner_id.account_tier_id",
        "partner_id.account_value_type",
        "partner_id.industry_id",
    )
    @api.depends_context("lang")
    def _compute_engagement_strategy(self):
        lines = self.env["key.account.engagement"]._get_lines(self.company_id)
        for company, visits in self.grouped("company_id").items():
            for visit in visits:
                account = visit.partner_id.with_company(company)
                own = visit._origin or company in self.env.companies
                if not own or not visit._is_shown(visit.partner_id):
                    visit.engagement_strategy = False
                    continue
                visit.engagement_strategy = lines._match(account, company)._get_html()

    @api.depends(
        "state",
        "partner_id",
        "lead_id",
        "company_id",
        "date_planned",
        "mode",
        "summary",
        "target_contact_id",
    )
    @api.depends_context("company", "lang", "tz", "uid")
    def _compute_brief(self):
        self.brief = False
        planned = self.filtered(lambda visit: visit.state == "planned")
        qweb = self.env["ir.qweb"]
        brief = self.env["key.account.visit.brief"]
        for company, visits in planned.grouped("company_id").items():
            # On a visit that isn't saved yet, a client can name any company.
            if not self.env.su and company not in self.env.companies:
                continue
            values = brief.with_company(company)._get_values(
                visits.with_company(company)
            )
            for visit in visits:
                if values[visit.id]:
                    visit.brief = qweb._render(
                        "crm_key_account.key_account_visit_brief", values[visit.id]
                    )

    def _order_field_to_sql(self, alias, field_name, direction, nulls, query):
        if field_name not in ORDERS:
            return super()._order_field_to_sql(
                alias, field_name, direction, nulls, query
            )
        position = getattr(self, ORDERS[field_name])(alias, query)
        query._order_groupby.append(position)
        return SQL("%s %s %s", position, direction, nulls)

    def _get_stage_order_sql(self, alias, query):
        # The best reason to spend time comes first, not the first letter.
        return SQL(
            "ARRAY_POSITION(%s, %s::text)",
            list(STAGE_NUMBERS),
            self._field_to_sql(alias, "engagement_stage", query),
        )

    @api.depends("state", "date_due", "date_planned")
    @api.depends_context("tz")
    def _compute_is_overdue(self):
        today = fields.Date.context_today(self)
        for visit in self:
            visit.days_overdue = visit._get_days_overdue(today)
            visit.is_overdue = bool(visit.days_overdue)

    def _get_days_overdue(self, today):
        """Return how many days late the visit is on the day ``today``."""
        day = self.date_due or self.date_planned
        return max((today - day).days, 0) if self.state == "planned" and day else 0

    def _is_movable(self):
        """Return whether the cadence chose the day: it has a window, and no person
        said otherwise."""
        return bool(self.date_due and self.date_latest and not self.is_date_fixed)

    def _give_to_substitute(self, user, away, day):
        """Give the visits to ``user`` while ``away`` is, until ``day``, included; see
        :meth:`key.account.visit.follow._end_substitutions`."""
        ends = defaultdict(self.browse)
        for visit in self:
            owner, until = visit.substituted_user_id or visit.user_id, day
            if visit.substituted_user_id and owner != away:
                # who has it as a substitute gives it on; whose it is comes back later
                until = visit.substituted_until
            # else it goes back to whose it is, and nobody stands in
            if owner != user:
                ends[owner, until] |= visit
        self.write({"user_id": user.id})
        for (owner, until), visits in ends.items():
            # sudo: planning alone writes whose it is
            visits.sudo().write(
                {"substituted_user_id": owner.id, "substituted_until": until}
            )

    def _get_window_end(self):
        tolerance = self.date_latest - self.date_due
        return max(self.date_due, self.date_planned) + tolerance

    def _search_is_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        today = fields.Date.context_today(self)
        return Domain("state", "=", "planned") & (
            Domain("date_due", "<", today)
            | (Domain("date_due", "=", False) & Domain("date_planned", "<", today))
        )

    # -------------------------------------------------------------------------
    # Constraints
    # -------------------------------------------------------------------------

    @api.constrains("state", "date_planned", "date_done", "partner_id")
    def _check_dates(self):
        for visit in self:
            if visit.state == "planned" and not visit.date_planned:
                raise ValidationError(
                    self.env._("A planned visit needs a date: enter the day.")
                )
            if visit.state == "done" and not visit.date_done:
                raise ValidationError(
                    self.env._("A done visit needs the day on which it took place.")
                )
            if visit.date_done and visit.date_done > visit._get_today():
                raise ValidationError(
                    self.env._(
                        "A visit can't be done in the future: enter today or an "
                        "earlier day."
                    )
                )

    @api.constrains("user_id", "company_id")
    def _check_user(self):
        for visit in self.filtered("user_id"):
            user = visit.user_id.sudo()
            if user.share or visit.company_id.id not in user._get_company_ids():
                raise ValidationError(
                    self.env._(
                        "%(user)s doesn't work for %(company)s: choose another "
                        "salesperson.",
                        user=user.name,
                        company=visit.company_id.name,
                    )
                )
            # scripts run as OdooBot, who is archived
            if visit.state == "planned" and not (user.active or user._is_superuser()):
                raise ValidationError(
                    self.env._("%s has left: choose another salesperson.", user.name)
                )

    def _check_participants(self, known=None):
        """Refuse who doesn't work for the visit's company.

        :param dict known: those who were named before, by visit id: who went to another
            company since then stays in the history
        """
        for visit in self.sudo():
            users = visit.participant_ids
            strangers = (users - (known or {}).get(visit.id, users.browse())).filtered(
                lambda user, visit=visit: (
                    user.share or visit.company_id not in user.company_ids
                )
            )
            if strangers:
                raise ValidationError(
                    self.env._(
                        "%(user)s doesn't work for %(company)s: only colleagues come "
                        "along.",
                        user=strangers[0].name,
                        company=visit.company_id.name,
                    )
                )

    @api.constrains("state", "partner_id")
    def _check_partner_active(self):
        for visit in self.filtered(lambda visit: visit.state == "planned"):
            if visit.partner_id and not visit.partner_id.active:
                raise ValidationError(
                    self.env._(
                        "%s is archived: restore the customer before you plan a visit.",
                        visit.partner_id.display_name,
                    )
                )

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        """Create visits that are planned or have taken place. People, planning and
        imports come this way: first what a client must not do is refused, then what
        follows from the values is filled in; activities, accounts, due dates and what
        was planned before follow."""
        bounds.check_values(self, vals_list)
        if not self.env.su:
            self._check_client_values(vals_list)
            self._check_new_states(vals_list)
            # Defaults from a client's context are values of the client.
            self = self.with_context(clean_context(self.env.context))
        vals_list = self._complete_new_values(vals_list)
        # The log is for corrections of reports: no message and no follower here.
        untracked = self.with_context(tracking_disable=True)
        visits = super(KeyAccountVisit, untracked).create(vals_list).with_env(self.env)
        if visits.lead_id:
            self.env["crm.lead"]._forget_key_account_records()
        visits._check_new_contacts()
        visits.filtered("participant_ids")._check_participants()
        visits.filtered(lambda visit: not visit.cadence_id)._copy_tier()
        visits._create_activities()
        visits._update_accounts()
        visits._update_dues()
        visits._update_relationships()
        visits.filtered(
            lambda visit: visit.user_id and not visit.team_id and not visit.cadence_id
        )._copy_team()
        if done := visits.filtered(lambda visit: visit.state == "done").sudo():
            done.env["key.account.settlement"]._settle_logged(done)
        return visits

    def write(self, vals):
        """Change visits, and whatever follows from them: each step writes only what
        differs. What a client writes is checked first; a state of a client goes the way
        of the buttons."""
        if not self:
            return True
        bounds.check_values(self, [vals])
        vals = self._take_visited_day(dict(vals))
        state = None
        if not self.env.su:
            self._check_client_write(vals)
            state = vals.pop("state", None)
        self._complete_values(vals)
        before = self._remember(vals)
        res = super().write(vals) if vals else True
        if vals.get("lead_id"):
            self.env["crm.lead"]._forget_key_account_records()
        if before.contacts:
            self.with_context(active_test=False)._check_contacts(before.contacts)
        if before.participants:
            self._check_participants(before.participants)
        if CARRIED_FIELDS & vals.keys():
            self._carry_to_activities(vals.keys())
        self._update_accounts_after(vals, before)
        if vals.get("user_id") and "team_id" not in vals:
            # the leader of another team has to know
            self.filtered(lambda visit: visit.state == "planned")._copy_team()
        self._follow_report(vals, before)
        if before.meetings:
            self._carry_to_meetings(vals, before)
        if state:
            self._change_state(state)
        return res

    def unlink(self):
        """Delete visits that didn't take place, with their activities, what they
        promised, and their meetings."""
        if not self:
            return True
        accounts, leads, companies = self.partner_id, self.lead_id, self.company_id
        self.filtered(lambda visit: visit.state == "planned")._remove_meetings()
        visits = self.sudo()
        visits.commitment_ids.unlink()
        # what a leader was told stays
        tasks = visits.task_ids.filtered(
            lambda task: task.active and task.key_account_role != "escalation"
        )
        tasks.key_account_visit_id = False
        tasks.unlink()
        res = super().unlink()
        self.env["key.account"].sudo()._update_visit_dates(accounts.ids)
        self.browse()._update_dues(accounts, leads, companies)
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_done(self):
        if any(visit.state == "done" for visit in self):
            raise UserError(
                self.env._("A done visit is part of the customer's history: keep it.")
            )

    # What a client may write ------------------------------------------------

    def _check_client_values(self, vals_list):
        """Refuse what a client must not write, or name."""
        if get_readonly_names(self, vals_list):
            raise AccessError(
                self.env._(
                    "Planning alone writes a visit's activity, tier and reasons."
                )
            )
        if any(
            "company_id" in vals and set(self.company_id.ids) - {vals["company_id"]}
            for vals in vals_list
        ):
            raise UserError(
                self.env._("A visit stays in its company: plan another one there.")
            )
        check_named(self, vals_list)
        self.env["key.account.week.board"]._check_given(self.user_id, vals_list)

    @api.model
    def _check_new_states(self, vals_list):
        if any(
            vals.get("state", "planned") not in ("planned", "done")
            for vals in vals_list
        ):
            raise UserError(
                self.env._(
                    "A new visit is planned or done: cancel it once it is planned."
                )
            )

    def _check_client_write(self, vals):
        self.check_access("write")
        if (REPORT_FIELDS | REPORT_PARTS) & vals.keys():
            self._check_correction()
        self._check_client_values([vals])
        closed = self.filtered(lambda visit: visit.state != "planned")
        if closed and HISTORY_FIELDS & vals.keys():
            raise UserError(
                self.env._(
                    "The visit to %s is closed: its customer, date and salesperson "
                    "stay as they are.",
                    closed[0].name,
                )
            )

    # What follows from the values -------------------------------------------

    @api.model
    def _complete_new_values(self, vals_list):
        """Return ``vals_list`` with the accounts of contacts and leads, and the days of
        done visits."""
        vals_list = [self._name_stored(vals) for vals in vals_list]
        partners = self.env["res.partner"].browse(
            vals["partner_id"] for vals in vals_list if vals.get("partner_id")
        )
        account_by_partner = {
            partner.id: partner.commercial_partner_id for partner in partners
        }
        leads = self.env["crm.lead"].browse(
            vals["lead_id"] for vals in vals_list if vals.get("lead_id")
        )
        account_by_lead = {
            lead.id: lead.partner_id.commercial_partner_id for lead in leads
        }
        for vals in vals_list:
            account = account_by_partner.get(vals.get("partner_id"))
            account = account or account_by_lead.get(vals.get("lead_id"))
            vals["partner_id"] = account.id if account else False
            company = self.env["res.company"].browse(
                vals.get("company_id") or self.env.company.id
            )
            company = company._get_key_account_home()
            vals["company_id"] = company.id
            if vals.get("state", "planned") != "planned":
                vals["closed_at"] = _get_moment()
            if vals.get("state") == "done" and "track" not in vals:
                vals["track"] = self._get_track(vals.get("mode"))
            if vals.get("date_resolved"):
                vals["resolved_uid"] = self.env.uid
            if vals.get("state") == "done" and not vals.get("date_done"):
                user = self.env["res.users"].browse(vals.get("user_id", self.env.uid))
                vals["date_done"] = clock.get_today(company, user)
        return vals_list

    def _complete_values(self, vals):
        """Add to ``vals`` what follows from what is written."""
        if vals.get("partner_id"):
            partner = self.env["res.partner"].browse(vals["partner_id"])
            vals["partner_id"] = partner.commercial_partner_id.id
            planned = self.filtered(lambda visit: visit.state == "planned")
            if planned.partner_id.ids not in ([], [vals["partner_id"]]):
                # They work for the former customer.
                vals.setdefault("target_contact_id", False)
                vals.setdefault("contact_ids", [fields.Command.clear()])
        if "state" in vals:
            vals["closed_at"] = vals["state"] != "planned" and _get_moment()
        if "date_planned" in vals:
            vals.setdefault("is_date_fixed", True)
        if "user_id" in vals and any(
            visit.user_id.id != vals["user_id"] for visit in self
        ):
            # whoever gives it to somebody decides anew
            vals.setdefault("substituted_user_id", False)
            vals.setdefault("substituted_until", False)
        if {"date_planned", "user_id"} & vals.keys():
            # another day is another road
            vals.setdefault("route_time", False)
        if "complaint" in vals and not vals["complaint"]:
            vals["date_resolved"] = False
        if vals.get("is_nobody_met"):
            vals.setdefault("contact_ids", [fields.Command.clear()])
        if "date_resolved" in vals:
            vals["resolved_uid"] = bool(vals["date_resolved"]) and self.env.uid
        if "target_contact_id" in vals:
            # Chosen by a person, and so for no cell.
            vals.setdefault("target_role_id", False)
            vals.setdefault("target_level", False)

    def _remember(self, vals):
        """Return what the visits are before ``vals`` are written, as far as something
        may follow from it."""
        visits = self.sudo()
        contacts = participants = meetings = {}
        named = {"contact_ids", "target_contact_id"} & vals.keys()
        if named and not is_paused(self.env, CHECK_CONTACTS):
            contacts = {
                visit.id: visit.contact_ids | visit.target_contact_id
                for visit in visits.with_context(active_test=False)
            }
        if "participant_ids" in vals:
            participants = {visit.id: visit.participant_ids for visit in visits}
        if MEETING_FIELDS & vals.keys():
            meetings = {
                visit: (visit.date_planned, visit.user_id)
                for visit in visits
                if visit.calendar_event_id
            }
        reported = self.browse()
        if PROMISE_FIELDS & vals.keys():
            reported = visits.filtered("report_date")
        return Before(
            self.partner_id,
            self.lead_id,
            self.company_id,
            contacts,
            participants,
            meetings,
            visits._filter_moved(vals) if "date_planned" in vals else visits.browse(),
            {visit: (visit.next_date, visit.next_theme) for visit in reported},
        )

    # What follows -----------------------------------------------------------

    def _update_accounts_after(self, vals, before):
        """Bring what depends on visits up to date, where ``vals`` may have changed
        it."""
        if ACCOUNT_FIELDS & vals.keys() or (
            # accounts say whose the next executive visit is
            "user_id" in vals and any(visit.track == "executive" for visit in self)
        ):
            self._update_accounts(before.accounts)
        if DUE_FIELDS & vals.keys():
            self._update_dues(before.accounts, before.leads, before.companies)
        if RELATIONSHIP_FIELDS & vals.keys():
            self._update_relationships(before, vals)

    def _copy_tier(self):
        """Note the customer's tier on visits that a person planned or logged."""
        accounts = self.env["key.account"].sudo()
        stages = {
            (account.partner_id, account.company_id): account.engagement_stage
            for account in accounts.search([("partner_id", "in", self.partner_id.ids)])
        }

        def get_values(visit):
            partner = visit.partner_id.with_company(visit.company_id)
            tier = partner.account_tier_id or visit.lead_id.account_tier_id
            vals = {
                "tier_id": tier.id,
                "relationship_level": partner.relationship_level,
            }
            if visit.state == "planned":
                vals["engagement_stage"] = (
                    visit.engagement_stage
                    or stages.get((visit.partner_id, visit.company_id))
                    or (not visit.partner_id and visit.lead_id.engagement_stage)
                    or "target"
                )
            return tuple(vals.items())

        without = self.sudo().filtered(lambda visit: not visit.tier_id)
        # a file brings hundreds of few kinds
        for vals, visits in without.grouped(get_values).items():
            visits.write(dict(vals))

    def _copy_team(self):
        """Note the salesperson's team on visits that a person planned or logged: who
        changes teams later takes no figures along."""
        for company, visits in self.sudo().grouped("company_id").items():
            teams = self.env["crm.team.member"]._get_user_teams(company, visits.user_id)
            for user, group in visits.grouped("user_id").items():
                if team := teams.get(user.id):
                    group.team_id = team

    def action_open_document(self):
        return self._open_document()

    def _get_successor(self):
        """Return who goes on with what came of the visit: its salesperson, else the
        customer's; nobody, where they left or work elsewhere, as whoever serves the
        customer in a branch alone."""
        company = self.company_id._origin
        for user in (self.user_id, self.account_user_id):
            # sudo: where colleagues work
            known = user.sudo()
            if known.active and not known.share and company in known.company_ids:
                return user
        return self.user_id.browse()

    def _get_today(self):
        """Return today's date for the visit's salesperson."""
        return clock.get_today(self.company_id, self.user_id)

    def _update_accounts(self, others=None):
        """Keep the visited accounts in step."""
        visited = {
            company: visits.partner_id.ids
            for company, visits in self.sudo().grouped("company_id").items()
        }
        self.env["key.account"].sudo()._update_visit_dates(
            (self.partner_id | (others or self.partner_id)).ids, visited
        )

    def _update_dues(self, accounts=None, leads=None, companies=None):
        """Bring the due dates of the visits' accounts and leads up to date, and of
        those that they had before."""
        accounts = self.partner_id | (accounts or self.partner_id)
        leads = self.lead_id | (leads or self.lead_id)
        companies = self.company_id | (companies or self.company_id)
        self.env["key.account.due"].sudo()._refresh_touched(
            accounts.ids, leads.ids, companies
        )

    def _update_relationships(self, before=None, vals=()):
        """Bring coverage and ladder of the visited accounts up to date. Only visits
        that are or were done count for them.

        :param Before before: what the visits were before ``vals`` were written
        """
        done = self.filtered(lambda visit: visit.state == "done")
        accounts, companies = done.partner_id, done.company_id
        if before and (done or "date_done" in vals):
            accounts |= before.accounts
            companies |= before.companies
        if accounts:
            self.env["key.account"].sudo()._refresh_relationships(
                accounts.ids, companies
            )
