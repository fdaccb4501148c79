import logging
from collections import defaultdict
from datetime import datetime, timedelta

import pytz

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ...const import (
    ANALYZED_ROWS,
    ENGAGEMENT_STAGES,
    LOGGED_IDS,
    NO_AMOUNT,
    RELATIONSHIP_LEVELS,
)
from ..account import bounds, clock, columns
from ..account.outsiders import get_outsiders_sql
from .key_account_cadence import TRACK_MODES, TRACKS

_logger = logging.getLogger(__name__)

# What a change writes; the rest of a row tells whose it is.
WRITTEN_COLUMNS = (
    "account_id",
    "company_id",
    "cadence_id",
    "loss_id",
    "tier_id",
    "relationship_level",
    "engagement_stage",
    "account_user_id",
    "user_id",
    "team_id",
    "days",
    "on_route",
    "date_due",
    "date_since",
    "date_escalated",
    "reason",
    "visit_id",
)


class KeyAccountDue(models.Model):
    """When a customer, or a lead that has none, is due on a track: one row each,
    whether a visit is planned or not.

    One statement works out line, interval, due date and responsible and writes where
    they differ (:meth:`_refresh`), for the accounts that an event touched at once, for
    everybody at night. Planning alone says why a visit has no day.
    """

    _name = "key.account.due"
    _inherit = ["key.account.mixin"]
    _description = "Visit Due"
    _order = "date_due, id"
    # Written in SQL, a hundred thousand at once the first time.
    _log_access = False

    name = fields.Char(
        string="Customer or Lead",
        compute="_compute_name",
        search="_search_name",
        # sudo: whoever may read the row may read whose it is
        compute_sudo=True,
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        # the unique index begins with it
        ondelete="cascade",
        readonly=True,
    )
    lead_id = fields.Many2one(
        "crm.lead",
        index="btree_not_null",
        ondelete="cascade",
        readonly=True,
    )
    account_id = fields.Many2one(
        "key.account",
        is_internal=True,
        index="btree_not_null",
        ondelete="cascade",
        readonly=True,
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    user_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        index=True,
        readonly=True,
        ondelete="set null",
        help="Who is responsible: the salesperson, of executive visits the sponsor; "
        "the leader of the sales team, if there is none.",
    )
    team_id = fields.Many2one(
        "crm.team",
        string="Sales Team",
        readonly=True,
        ondelete="set null",
    )
    cadence_id = fields.Many2one(
        "key.account.cadence",
        required=True,
        index=True,
        readonly=True,
        ondelete="cascade",
        help="The line that asks for the visits.",
    )
    loss_id = fields.Many2one(
        "key.account.loss",
        index="btree_not_null",
        readonly=True,
        ondelete="set null",
        help="The loss of the account that the visit is to undo.",
    )
    tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        ondelete="cascade",
    )
    tier_color = fields.Integer(is_internal=True, related="tier_id.color")
    relationship_level = fields.Selection(RELATIONSHIP_LEVELS, readonly=True)
    engagement_stage = fields.Selection(ENGAGEMENT_STAGES, readonly=True)
    track = fields.Selection(TRACKS, required=True, readonly=True)
    days = fields.Integer(
        string="Interval (days)",
        required=True,
        readonly=True,
        aggregator="avg",
        help="The customer's own interval or that of the cadence; a month counts 30 "
        "days.",
    )
    on_route = fields.Boolean(
        string="Only on Route",
        readonly=True,
        help="Planned only for days on which the salesperson is near anyway.",
    )
    date_due = fields.Date(
        string="Due",
        required=True,
        readonly=True,
        help="The day that the cadence asks for, or that somebody named when a visit "
        "was cancelled.",
    )
    date_since = fields.Date(
        string="Due Since",
        required=True,
        readonly=True,
        help="The due date. Of a customer that nobody visited so far: the day that was "
        "asked for first, whatever tier, level or interval followed.",
    )
    is_overdue = fields.Boolean(
        compute="_compute_is_overdue",
        search="_search_is_overdue",
        help="The due date has passed, whether a visit is planned or not.",
    )
    # Lists are sorted by the next two, and groups have an average.
    days_overdue = columns.Integer(
        string="Days Late",
        sql="_get_days_overdue_sql",
        compute="_compute_is_overdue",
        aggregator="max",
        help="Since the due date, whether a visit is planned or not.",
    )
    overdue_ratio = columns.Float(
        string="Overdue",
        digits=(16, 2),
        sql="_get_overdue_ratio_sql",
        compute="_compute_overdue_ratio",
        aggregator="avg",
        help="Days since the last visit over the interval: 2 is twice as long as it "
        "should be.",
    )
    visit_id = fields.Many2one(
        "key.account.visit",
        string="Planned Visit",
        index="btree_not_null",
        readonly=True,
        ondelete="set null",
    )
    is_waiting = fields.Boolean(
        string="In the Backlog",
        compute="_compute_is_waiting",
        search="_search_is_waiting",
        help="Due within the planning horizon, and no visit is planned.",
    )
    reason = fields.Selection(
        [
            ("capacity", "No capacity left"),
            ("away", "No working day"),
            ("route", "Not on a route"),
            ("closed", "They don't receive then"),
            ("refused", "Refused"),
            ("data", "Interval or amounts to correct"),
        ],
        readonly=True,
        help="Why the last planning found no day for the visit.",
    )
    refusal = fields.Char(
        string="Refused Because",
        readonly=True,
        help="What the rule, or the other app, said that refused the visit.",
    )
    date_escalated = fields.Date(
        string="Escalated On",
        readonly=True,
        help="The sales team's leader was told that the visit is overdue.",
    )

    _account_or_lead = models.Constraint(
        "CHECK(partner_id IS NOT NULL OR lead_id IS NOT NULL)",
        "What is due needs a customer or a lead.",
    )
    _partner_uniq = models.UniqueIndex(
        "(partner_id, company_id, track) WHERE partner_id IS NOT NULL",
    )
    _lead_uniq = models.UniqueIndex("(lead_id, track) WHERE partner_id IS NULL")
    # the earliest of each salesperson and interval that have no day yet
    _planner_idx = models.Index(
        "(company_id, user_id, on_route, days, date_due) WHERE visit_id IS NULL"
    )
    _invalid_idx = models.Index("(company_id) WHERE reason = 'data'")

    # -------------------------------------------------------------------------
    # Computes
    # -------------------------------------------------------------------------

    @api.depends("partner_id", "lead_id")
    def _compute_name(self):
        for row in self:
            row.name = (row.partner_id or row.lead_id).display_name

    @api.depends("name")
    def _compute_display_name(self):
        for row in self:
            row.display_name = row.name

    @api.depends("date_due")
    @api.depends_context("tz")
    def _compute_is_overdue(self):
        today = fields.Date.context_today(self)
        for row in self:
            row.days_overdue = max((today - row.date_due).days, 0)
            row.is_overdue = bool(row.days_overdue)

    def _search_is_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain("date_due", "<", fields.Date.context_today(self))

    @api.depends("date_due", "days")
    @api.depends_context("tz")
    def _compute_overdue_ratio(self):
        today = fields.Date.context_today(self)
        for row in self:
            row.overdue_ratio = 1 + (today - row.date_due).days / row.days

    def _get_overdue_ratio_sql(self, alias, _name):
        return SQL(
            "(1 + (%s - %s)::numeric / %s)",
            fields.Date.context_today(self),
            self._field_to_sql(alias, "date_due"),
            self._field_to_sql(alias, "days"),
        )

    def _get_days_overdue_sql(self, alias, _name):
        return SQL(
            "GREATEST(%s::date - %s, 0)",
            fields.Date.context_today(self),
            self._field_to_sql(alias, "date_due"),
        )

    @api.depends("visit_id", "date_due", "company_id")
    def _compute_is_waiting(self):
        waiting = self.filtered_domain(self._get_waiting_domain(self.company_id))
        for row in self:
            row.is_waiting = row in waiting

    def _search_is_waiting(self, operator, value):
        if operator != "in":
            return NotImplemented
        # sudo: a rule says which companies' rows are shown
        return self._get_waiting_domain(
            self.env["res.company"].sudo().search(Domain.TRUE)
        )

    @api.model
    def _get_waiting_domain(self, companies):
        """Return the domain of what is due within the horizon and has no day."""
        days = defaultdict(list)
        for company in companies.sudo():
            today = clock.get_today(company)
            last = today + timedelta(days=company.key_account_horizon_days)
            days[last].append(company.id)
        return Domain("visit_id", "=", False) & Domain.OR(
            Domain("company_id", "in", ids) & Domain("date_due", "<=", last)
            for last, ids in days.items()
        )

    @api.model
    def _get_horizons_sql(self):
        """Return rows (company id, last day of its horizon) for a VALUES list."""
        return SQL(", ").join(
            SQL(
                "(%s, %s::date)",
                company.id,
                clock.get_today(company)
                + timedelta(days=company.key_account_horizon_days),
            )
            for company in self.env["res.company"].sudo().search(Domain.TRUE)
        )

    def action_open_document(self):
        return self._open_document()

    # -------------------------------------------------------------------------
    # What is due
    # -------------------------------------------------------------------------

    @api.model
    def _refresh(
        self, company, partner_ids=None, lead_ids=None, today=None, planning=False
    ):
        """Bring the rows of ``company`` in line with visits, cadence and accounts: one
        statement, which writes what differs and deletes what isn't asked any more.
        Doesn't commit.

        :param partner_ids: limits the accounts; None: all
        :param lead_ids: limits the leads without a customer; None: all
        :param date today: default: today in each salesperson's time zone
        :param planning: who comes within the horizon gets the reason to wait that most
            have in the end: planning is about to look for a day, and writes where
            another one is right
        """
        if not _is_asked(partner_ids) and not _is_asked(lead_ids):
            return
        self.env.flush_all()
        is_full = partner_ids is None and lead_ids is None
        if is_full:
            # For many times fewer rows than there are, which PostgreSQL expects where a
            # table has just been filled, loops in loops took minutes.
            self.env.cr.execute("SET LOCAL enable_nestloop = off")
        self.env.cr.execute(
            self._get_refresh_sql(company, partner_ids, lead_ids, today, planning)
        )
        rowcount = self.env.cr.rowcount
        if is_full:
            self.env.cr.execute("SET LOCAL enable_nestloop TO DEFAULT")
            company = company.sudo()
            if not company.key_account_has_dues:
                company.key_account_has_dues = True
            if rowcount > ANALYZED_ROWS:
                # Without statistics the next statements take a full table for an empty
                # one.
                self.env.cr.execute("ANALYZE key_account_due")
        if rowcount:
            self._invalidate_refreshed()

    @api.model
    def _get_refresh_sql(self, company, partner_ids, lead_ids, today, planning):
        """Return the statement of :meth:`_refresh`; it counts the rows that it wrote or
        deleted."""
        # compiling the statement takes longer than running it
        return SQL(
            """
            SET LOCAL jit = off;
            WITH wanted AS MATERIALIZED (%(wanted)s),
            gone AS (%(delete)s
            ), accounts AS (%(upsert_accounts)s
            ), leads AS (%(upsert_leads)s
            )
            SELECT id FROM gone UNION ALL SELECT id FROM accounts
             UNION ALL SELECT id FROM leads
            """,
            wanted=self._get_wanted_sql(
                company, partner_ids, lead_ids, today, planning
            ),
            delete=self._get_delete_sql(company, partner_ids, lead_ids),
            upsert_accounts=self._get_upsert_sql(
                SQL(
                    "due.partner_id = wanted.partner_id"
                    " AND due.company_id = wanted.company_id"
                ),
                SQL("wanted.partner_id IS NOT NULL"),
                SQL("(partner_id, company_id, track) WHERE partner_id IS NOT NULL"),
            ),
            upsert_leads=self._get_upsert_sql(
                SQL("due.lead_id = wanted.lead_id AND due.partner_id IS NULL"),
                SQL("wanted.partner_id IS NULL"),
                SQL("(lead_id, track) WHERE partner_id IS NULL"),
            ),
        )

    @api.model
    def _get_delete_sql(self, company, partner_ids, lead_ids):
        """Return the statement that deletes what isn't asked any more: rows without a
        counterpart in the query ``wanted``."""
        return SQL(
            """
            DELETE FROM key_account_due due
             WHERE due.company_id = %(company)s
               AND %(scope)s
               AND NOT EXISTS (
                   SELECT FROM wanted
                    WHERE wanted.track = due.track
                      AND wanted.partner_id = due.partner_id)
               AND NOT EXISTS (
                   SELECT FROM wanted
                    WHERE wanted.track = due.track
                      AND wanted.lead_id = due.lead_id
                      AND due.partner_id IS NULL)
            RETURNING due.id
            """,
            company=company.id,
            scope=self._get_scope_sql(partner_ids, lead_ids),
        )

    @api.model
    def _get_upsert_sql(self, same, kind, key):
        """Return the statement that writes the rows of the query ``wanted`` where they
        differ.

        :param SQL same: condition on the rows ``due`` and ``wanted`` of a track that
            they are the same
        :param SQL kind: condition on the rows of ``wanted``
        :param SQL key: the unique index of the rows
        """

        def get_columns(table):
            return SQL(", ").join(
                SQL.identifier(table, name) for name in WRITTEN_COLUMNS
            )

        return SQL(
            """
            INSERT INTO key_account_due AS due
                   (partner_id, lead_id, track, %(columns)s)
            SELECT wanted.partner_id, wanted.lead_id, wanted.track, %(wanted)s
              FROM wanted
              LEFT JOIN key_account_due due
                     ON %(same)s
                    AND due.track = wanted.track
             WHERE %(kind)s
                   -- what is right already isn't even locked
               AND (due.id IS NULL OR (%(wanted)s) IS DISTINCT FROM (%(due)s))
                ON CONFLICT %(key)s
                DO UPDATE SET %(changes)s
             WHERE (%(due)s) IS DISTINCT FROM (%(excluded)s)
            RETURNING due.id
            """,
            columns=SQL(", ").join(map(SQL.identifier, WRITTEN_COLUMNS)),
            wanted=get_columns("wanted"),
            due=get_columns("due"),
            excluded=get_columns("excluded"),
            changes=SQL(", ").join(
                SQL("%(name)s = EXCLUDED.%(name)s", name=SQL.identifier(name))
                for name in WRITTEN_COLUMNS
            ),
            same=same,
            kind=kind,
            key=key,
        )

    @api.model
    def _invalidate_refreshed(self):
        """Forget what was read from rows that a statement has changed."""
        self.invalidate_model(flush=False)
        self.env["key.account"].invalidate_model(
            [
                "days_overdue",
                "due_ids",
                "is_overdue",
                "next_due_date",
                "overdue_user_id",
            ],
            flush=False,
        )
        self.env["res.partner"].invalidate_model(
            ["is_visit_overdue", "visit_days_overdue", "visit_overdue_user_id"],
            flush=False,
        )
        self.env["crm.lead"].invalidate_model(["is_visit_overdue"], flush=False)
        self.env["crm.lead"]._forget_key_account_records()

    @api.model
    def _get_scope_sql(self, partner_ids, lead_ids):
        accounts = SQL("due.partner_id IS NOT NULL")
        if partner_ids is not None:
            accounts = SQL("due.partner_id = ANY(%s)", list(partner_ids))
        leads = SQL("due.partner_id IS NULL")
        if lead_ids is not None:
            leads = SQL("%s AND due.lead_id = ANY(%s)", leads, list(lead_ids))
        return SQL("(%s OR %s)", accounts, leads)

    @api.model
    def _get_days_off_sql(self, here):
        """Return rows (user id, today) for a VALUES list of those whose day isn't the
        company's.

        :param here: the company's day; None: nobody has another one
        """
        nobody = SQL("(NULL::int, NULL::date)")
        if not here:
            return nobody
        rows = self.env.execute_query(
            SQL(
                """
                SELECT users.id, partner.tz
                  FROM res_users users
                  JOIN res_partner partner ON partner.id = users.partner_id
                 WHERE users.active
                   AND users.share IS NOT TRUE
                   AND partner.tz IS NOT NULL
                """
            )
        )
        now = datetime.now(pytz.utc)
        days = {}
        for _, tz in rows:
            if tz not in days:
                days[tz] = now.astimezone(pytz.timezone(tz)).date()
        others = [
            SQL("(%s, %s::date)", user_id, days[tz])
            for user_id, tz in rows
            if days[tz] != here
        ]
        return SQL(", ").join([nobody, *others])

    @api.model
    def _get_wanted_sql(
        self, company, partner_ids=None, lead_ids=None, today=None, planning=False
    ):
        """Return a query for what the cadence asks for: the columns of the rows; see
        :meth:`_refresh`.

        Accounts that nobody visited so far are spread evenly over their first interval
        by their ids, so that switching the addon on doesn't put ten thousand visits on
        one morning. The day depends on the calendar and the id alone: asking again
        tomorrow gives the same one until it has passed. Once asked for, because it came
        within the horizon or a visit was planned, it stays, whatever the interval.
        """
        here = clock.get_today(company)
        # ``today`` given: it is everybody's
        days_off = self._get_days_off_sql(None if today else here)
        today = today or here
        return SQL(
            """
            WITH days_off (user_id, today) AS (VALUES %(days_off)s),
            %(lines)s, subjects AS MATERIALIZED (%(subjects)s
            ), %(matched)s, %(asked)s, %(responsibles)s,
            history AS MATERIALIZED (%(history)s
            ), %(dated)s, %(dates)s
            SELECT partner_id, lead_id, track, account_id, %(company)s AS company_id,
                   cadence_id, loss_id, tier_id, level AS relationship_level,
                   stage AS engagement_stage, account_user_id, user_id, team_id, days,
                   on_route,
                   -- whoever is to correct it sees it in the backlog at once
                   CASE WHEN is_invalid
                        THEN LEAST(date_due, COALESCE(today, %(today)s))
                        ELSE date_due END AS date_due,
                   CASE WHEN last_done IS NULL THEN COALESCE(since, date_due)
                        ELSE date_due END AS date_since,
                   -- until the next visit
                   GREATEST(
                       CASE WHEN last_done IS NULL OR last_escalated > last_done
                            THEN last_escalated END,
                       CASE WHEN last_done IS NULL OR old_escalated > last_done
                            THEN old_escalated END) AS date_escalated,
                   CASE WHEN planned_id IS NULL
                        THEN CASE WHEN is_invalid THEN 'data'
                                  ELSE COALESCE(NULLIF(old_reason, 'data'),
                                                %(new_reason)s) END END AS reason,
                   planned_id AS visit_id
              FROM due
            """,
            days_off=days_off,
            lines=self._get_lines_sql(company),
            subjects=self._get_subjects_sql(company, partner_ids, lead_ids),
            matched=self._get_matched_sql(),
            asked=self._get_asked_sql(),
            responsibles=self._get_responsibles_sql(company, SQL("asked")),
            history=self._get_history_sql(company, partner_ids, lead_ids),
            dated=self._get_dated_sql(company, partner_ids, lead_ids),
            dates=self._get_dates_sql(company, today),
            company=company.id,
            today=today,
            new_reason=self._get_new_reason_sql(company, today)
            if planning
            else SQL("NULL"),
        )

    @api.model
    def _get_lines_sql(self, company):
        """Return the expressions ``lines``: the cadence of ``company``, with intervals
        in days and as spans, and ``tracks`` that have a line."""
        return SQL(
            """
            lines AS (
                SELECT id, sequence, tier_id, relationship_level, engagement_stage,
                       track, on_route,
                       interval_count * CASE interval_unit WHEN 'day' THEN 1
                           WHEN 'week' THEN 7 ELSE 30 END AS days,
                       CASE interval_unit
                           WHEN 'month' THEN make_interval(months => interval_count)
                           WHEN 'week' THEN make_interval(days => 7 * interval_count)
                           ELSE make_interval(days => interval_count) END AS span
                  FROM key_account_cadence
                 WHERE active
                   AND (company_id = ANY(%(companies)s) OR company_id IS NULL)
                   AND interval_count BETWEEN 1 AND %(max_days)s
            ), tracks AS (
                SELECT DISTINCT track FROM lines
            )
            """,
            companies=company.sudo().parent_ids.ids,
            max_days=bounds.MAX_DAYS,
        )

    @api.model
    def _get_matched_sql(self):
        """Return the expressions ``kinds`` of ``subjects``, and ``matched``: for each
        kind the first line of a track that fits it."""
        return SQL(
            """
            kinds AS MATERIALIZED (
                -- few: what a line looks at
                SELECT DISTINCT tier_id, level, stage, own_days > 0 AS has_own,
                       loss_id IS NOT NULL AS is_lost
                  FROM subjects
            ), matched AS MATERIALIZED (
                -- who has an interval of its own, or is to be won back, needs no line
                -- for its tier: any line of the track says how the visit is made
                SELECT kinds.*, tracks.track, line.id AS cadence_id, line.days,
                       line.span,
                       line.on_route IS TRUE AND tracks.track != ALL(%s) AS on_route
                  FROM kinds
                 CROSS JOIN tracks
                  JOIN LATERAL (
                        SELECT *
                          FROM (
                                SELECT lines.*,
                                       (tier_id IS NULL
                                        OR tier_id IS NOT DISTINCT FROM kinds.tier_id)
                                       AND (relationship_level IS NULL
                                            OR relationship_level = kinds.level)
                                       AND (engagement_stage IS NULL
                                            OR engagement_stage = kinds.stage)
                                       AS is_match
                                  FROM lines
                                 WHERE lines.track = tracks.track
                               ) AS candidates
                         WHERE is_match OR kinds.is_lost
                               OR kinds.has_own AND tracks.track = 'visit'
                         ORDER BY is_match DESC, sequence, id
                         LIMIT 1
                       ) AS line ON TRUE
            )
            """,
            [track for track, mode in TRACK_MODES.items() if mode != "on_site"],
        )

    @api.model
    def _get_asked_sql(self):
        """Return the expression ``asked``: ``subjects`` with the track, line and
        interval on which each is to be visited."""
        return SQL(
            """
            asked AS (
                SELECT subjects.*,
                       -- a lead that has no customer: its id, below zero
                       COALESCE(partner_id, -lead_id) AS key,
                       has_invalid_amounts IS TRUE
                           OR has_invalid_interval IS TRUE AND matched.track = 'visit'
                           AS is_invalid,
                       matched.track, matched.cadence_id, matched.on_route,
                       CASE WHEN matched.track = 'visit' AND own_days > 0
                            THEN own_days ELSE days END AS days,
                       CASE WHEN matched.track = 'visit' AND own_days > 0
                            THEN make_interval(days => own_days) ELSE span END AS span
                  FROM subjects
                  JOIN matched
                    ON matched.tier_id IS NOT DISTINCT FROM subjects.tier_id
                   AND matched.level = subjects.level
                   AND matched.stage = subjects.stage
                   AND matched.has_own = (own_days > 0)
                   AND matched.is_lost = (subjects.loss_id IS NOT NULL)
                 WHERE (is_wanted OR own_days > 0 AND matched.track = 'visit')
                   -- nobody visits a lost account, but to win it back
                   AND (loss_id IS NULL
                        OR matched.track = 'visit' AND date_win_back IS NOT NULL
                           AND is_won_back IS NOT TRUE)
            )
            """
        )

    @api.model
    def _get_dated_sql(self, company, partner_ids, lead_ids):
        """Return the expressions ``old``: what the rows say, and ``dated``:
        ``responsibles`` with it, with ``history``, and with a day of their own."""
        return SQL(
            """
            old AS MATERIALIZED (
                SELECT COALESCE(due.partner_id, -due.lead_id) AS key, due.track,
                       due.date_since, due.days, due.date_escalated, due.reason
                  FROM key_account_due due
                 -- a lead may come from another company
                 WHERE (due.company_id = %(company)s OR due.partner_id IS NULL)
                   AND %(scope)s
            ), dated AS (
                SELECT responsibles.*,
                       last_done, last_resume, last_cancelled, first_asked,
                       last_escalated, planned_id, days_off.today,
                       old.date_since AS old_since, old.days AS old_days,
                       old.date_escalated AS old_escalated, old.reason AS old_reason
                  FROM responsibles
                  LEFT JOIN history
                    ON history.track = responsibles.track
                   AND history.key = responsibles.key
                  LEFT JOIN days_off ON days_off.user_id = responsibles.user_id
                  LEFT JOIN old
                    ON old.track = responsibles.track AND old.key = responsibles.key
            )
            """,
            company=company.id,
            scope=self._get_scope_sql(partner_ids, lead_ids),
        )

    @api.model
    def _get_dates_sql(self, company, today):
        """Return the expressions ``waiting``: ``dated`` with the day to come back and
        since when it is asked for, and ``due``, with the due date."""
        return SQL(
            """
            waiting AS (
                SELECT dated.*,
                       CASE WHEN loss_id IS NULL
                            -- counts when it was given after the last visit
                            THEN CASE WHEN last_done IS NULL
                                           OR last_cancelled > last_done
                                      THEN last_resume
                                      WHEN last_cancelled = last_done
                                      THEN (%(latest_of_day)s) END
                            -- GREATEST skips what is empty
                            ELSE GREATEST(date_win_back, loss_resume)
                            END AS resume,
                       CASE WHEN last_done IS NULL THEN LEAST(
                            first_asked,
                            CASE WHEN old_days = days
                                      OR old_since <= COALESCE(today, %(today)s)
                                                      + %(horizon)s
                                 THEN old_since END) END AS since,
                       COALESCE(partner_id, lead_id)
                           - (COALESCE(today, %(today)s) - DATE '0001-01-01' + 1)
                           AS spread
                  FROM dated
            ), due AS (
                SELECT waiting.*,
                       -- one day out of the calendar would stop all others
                       LEAST(%(last_day)s, GREATEST(%(first_day)s, COALESCE(
                           resume, (last_done + span)::date, since,
                           -- as Python's remainder: never below zero
                           COALESCE(today, %(today)s)
                               + mod(mod(spread, days) + days, days)
                       ))) AS date_due
                  FROM waiting
            )
            """,
            latest_of_day=self._get_latest_of_day_sql(company),
            first_day=bounds.FIRST_DAY,
            last_day=bounds.LAST_DAY,
            today=today,
            horizon=company.sudo().key_account_horizon_days,
        )

    @api.model
    def _get_new_reason_sql(self, company, today):
        """Return the reason to wait that most of those have in the end who come within
        the horizon."""
        return SQL(
            """
            CASE WHEN date_due <= COALESCE(today, %s) + %s
                 THEN CASE WHEN on_route THEN 'route' ELSE 'capacity' END END
            """,
            today,
            company.sudo().key_account_horizon_days,
        )

    @api.model
    def _get_subjects_sql(self, company, partner_ids=None, lead_ids=None):
        """Return a query for whom the cadence may ask: accounts, and open leads that
        have no customer yet."""
        queries = []
        if _is_asked(partner_ids):
            queries.append(self._get_accounts_sql(company, partner_ids))
        if _is_asked(lead_ids):
            queries.append(self._get_leads_sql(company, lead_ids))
        return SQL(" UNION ALL ").join(queries)

    @api.model
    def _get_accounts_sql(self, company, partner_ids):
        """Return the query of :meth:`_get_subjects_sql` for accounts."""
        return SQL(
            """
            SELECT card.partner_id, NULL::int AS lead_id, card.id AS account_id,
                   card.tier_id,
                   card.relationship_level AS level,
                   COALESCE(card.engagement_stage, 'target') AS stage,
                   partner.user_id AS account_user_id,
                   LEAST(GREATEST(card.visit_interval_days, 0), %(max_days)s)
                       AS own_days,
                   card.executive_sponsor_id AS sponsor_id,
                   loss.id AS loss_id, loss.date_win_back,
                   loss.resume AS loss_resume, loss.is_done AS is_won_back,
                   card.visit_interval_days NOT BETWEEN 0 AND %(max_days)s
                       AS has_invalid_interval,
                   card.has_invalid_amounts,
                   card.is_account OR card.tier_id IS NOT NULL
                       OR card.relationship_level != 'transactional'
                       OR loss.id IS NOT NULL AS is_wanted
              FROM key_account card
              JOIN res_partner partner
                ON partner.id = card.partner_id
               AND partner.commercial_partner_id = partner.id
               AND partner.active
               AND (partner.company_id IS NULL
                    OR partner.company_id = ANY(%(books)s))
              LEFT JOIN (%(losses)s) AS loss
                ON loss.partner_id = card.partner_id
             WHERE card.company_id = %(company)s
               AND card.partner_id NOT IN (%(outsiders)s)
               AND %(scope)s
            """,
            outsiders=get_outsiders_sql(self.env, company),
            books=company._get_key_account_branches().ids,
            losses=self._get_losses_sql(company, partner_ids),
            company=company.id,
            max_days=bounds.MAX_DAYS,
            scope=SQL("TRUE")
            if partner_ids is None
            else SQL("card.partner_id = ANY(%s)", list(partner_ids)),
        )

    @api.model
    def _get_leads_sql(self, company, lead_ids):
        """Return the query of :meth:`_get_subjects_sql` for leads."""
        return SQL(
            """
            SELECT NULL::int AS partner_id, lead.id AS lead_id,
                   NULL::int AS account_id, lead.account_tier_id AS tier_id,
                   COALESCE(lead.relationship_level, 'transactional') AS level,
                   COALESCE(lead.engagement_stage, 'target') AS stage,
                   lead.user_id AS account_user_id, 0 AS own_days,
                   NULL::int AS sponsor_id, NULL::int AS loss_id,
                   NULL::date AS date_win_back, NULL::date AS loss_resume,
                   NULL::boolean AS is_won_back,
                   FALSE AS has_invalid_interval,
                   abs(lead.expected_revenue) >= %(most)s AS has_invalid_amounts,
                   TRUE AS is_wanted
              FROM crm_lead lead
              LEFT JOIN crm_team team ON team.id = lead.team_id
              LEFT JOIN res_users owner ON owner.id = lead.user_id
             WHERE lead.active
               AND lead.partner_id IS NULL
               AND lead.won_status = 'pending'
               AND lead.account_tier_id IS NOT NULL
               AND %(lead_company)s = %(company)s
               AND %(scope)s
            """,
            lead_company=self.env["crm.lead"]._get_key_account_company_sql(),
            most=NO_AMOUNT,
            company=company.id,
            scope=SQL("TRUE")
            if lead_ids is None
            else SQL("lead.id = ANY(%s)", list(lead_ids)),
        )

    @api.model
    def _get_losses_sql(self, company, partner_ids=None):
        """Return a query for the lost accounts, and what came of winning them back:
        whether the visit took place, also a few days before the day that was asked
        for, and the day to come back if it was cancelled."""
        return SQL(
            """
            SELECT loss.id, loss.partner_id, loss.date_win_back,
                   win_back.is_done, win_back.resume
              FROM key_account_loss loss
              LEFT JOIN LATERAL (
                    SELECT BOOL_OR(state = 'done'
                                   AND (loss_id = loss.id
                                        OR date_done >= loss.date_win_back)) AS is_done,
                           (ARRAY_AGG(date_resume ORDER BY date_cancelled DESC, id DESC)
                               FILTER (WHERE state = 'cancelled'
                                       AND date_resume IS NOT NULL
                                       AND loss_id = loss.id))[1]
                               AS resume
                      FROM key_account_visit
                     WHERE partner_id = loss.partner_id
                       AND company_id = loss.company_id
                       AND track = 'visit'
                   ) AS win_back ON TRUE
             WHERE loss.company_id = %s
               AND loss.date_returned IS NULL
               AND %s
            """,
            company.id,
            SQL("TRUE")
            if partner_ids is None
            else SQL("loss.partner_id = ANY(%s)", list(partner_ids)),
        )

    @api.model
    def _get_history_sql(self, company, partner_ids=None, lead_ids=None):
        """Return a query for what happened on each track: the last done visit, the day
        to come back of the last one that a person cancelled, unless it was to win the
        account back, which may have returned since; the last escalation; what was asked
        for first; and the planned visit."""
        queries = []
        for column, sign, ids, own in (
            ("partner_id", SQL(""), partner_ids, SQL("TRUE")),
            # a visit at the customer of a lead is no plan for the lead
            ("lead_id", SQL("-"), lead_ids, SQL("partner_id IS NULL")),
        ):
            if not _is_asked(ids):
                continue
            key = SQL.identifier(column)
            queries.append(
                SQL(
                    """
                    SELECT %(sign)s%(key)s AS key, track,
                           MAX(date_done) FILTER (WHERE state = 'done') AS last_done,
                           MAX(date_cancelled)
                               FILTER (WHERE date_resume IS NOT NULL
                                       AND loss_id IS NULL) AS last_cancelled,
                           (ARRAY_AGG(date_resume ORDER BY date_cancelled DESC, id DESC)
                               FILTER (WHERE date_resume IS NOT NULL
                                       AND loss_id IS NULL))[1] AS last_resume,
                           MAX(date_escalated) AS last_escalated,
                           MIN(date_due) FILTER (WHERE state IN ('planned', 'missed'))
                               AS first_asked,
                           MIN(id) FILTER (WHERE state = 'planned' AND %(own)s)
                               AS planned_id
                      FROM key_account_visit
                     WHERE company_id = %(company)s
                       AND %(scope)s
                     GROUP BY %(key)s, track
                    """,
                    sign=sign,
                    own=own,
                    company=company.id,
                    scope=SQL("%s IS NOT NULL", key)
                    if ids is None
                    else SQL("%s = ANY(%s)", key, list(ids)),
                    key=key,
                )
            )
        return SQL(" UNION ALL ").join(queries)

    @api.model
    def _get_latest_of_day_sql(self, company):
        """Return a query for the day to come back of the row ``dated``, whose last
        visit was on the day on which somebody named it: none if the visit came
        afterwards."""
        return SQL(
            """
            SELECT date_resume
              FROM key_account_visit closed
             WHERE (closed.partner_id = dated.partner_id
                    OR dated.partner_id IS NULL AND closed.lead_id = dated.lead_id)
               AND closed.company_id = %s
               AND closed.track = dated.track
               AND (closed.state = 'done' AND closed.date_done = dated.last_done
                    OR closed.state = 'cancelled'
                       AND closed.date_cancelled = dated.last_done
                       AND closed.date_resume IS NOT NULL
                       AND closed.loss_id IS NULL)
             -- nobody knows the moment of what was closed long ago
             ORDER BY closed.closed_at DESC NULLS LAST, closed.id DESC
             LIMIT 1
            """,
            company.id,
        )

    # -------------------------------------------------------------------------
    # Who is responsible
    # -------------------------------------------------------------------------

    @api.model
    def _get_responsibles_sql(self, company, asked):
        """Return common table expressions, the last of them ``responsibles``: the rows
        of ``asked`` with ``user_id`` and ``team_id``.

        The salesperson, on the executive track the executive sponsor. A customer that
        names no salesperson has the one of most of its contacts, else the one of its
        latest invoice. If there is none, or one who isn't in sales any more, the leader
        of the team: of the salesperson's own, for those who left their former one, else
        of the team of the account's latest lead or order. If there is no leader either,
        nobody: the visit goes to the unassigned list. Whoever it is may read the visit.

        :param asked: name of a query with ``partner_id``, ``lead_id``, ``track``,
            ``account_user_id`` and ``sponsor_id``
        """
        books = company._get_key_account_branches().ids
        return SQL(
            "%s, %s, %s, %s, %s",
            self._get_salespeople_sql(company),
            self._get_chosen_sql(asked),
            self._get_deputies_sql(books),
            self._get_latest_teams_sql(company, books),
            self._get_chosen_or_deputies_sql(),
        )

    @api.model
    def _get_salespeople_sql(self, company):
        """Return the expressions ``present``: users in sales who may read accounts of
        ``company``, ``teams`` with their leaders, if these are present, and ``members``
        with their teams."""
        return SQL(
            """
            present AS MATERIALIZED (
                -- as res.users._search_in_sales
                SELECT users.id
                  FROM res_users users
                  JOIN res_company_users_rel rel
                    ON rel.user_id = users.id AND rel.cid = %(company)s
                 WHERE users.active
                   AND users.share IS NOT TRUE
                   AND EXISTS (SELECT FROM res_groups_users_rel has
                                WHERE has.uid = users.id
                                  AND has.gid = ANY(%(groups)s))
            ), teams AS MATERIALIZED (
                SELECT team.id, leader.id AS leader_id
                  FROM crm_team team
                  LEFT JOIN present leader ON leader.id = team.user_id
            ), members AS MATERIALIZED (
                SELECT DISTINCT ON (member.user_id)
                       member.user_id, member.crm_team_id AS team_id
                  FROM crm_team_member member
                  JOIN crm_team team
                    ON team.id = member.crm_team_id
                   AND (team.company_id = %(company)s OR team.company_id IS NULL)
                 ORDER BY member.user_id, member.active DESC, member.id
                        )
            """,
            company=company.id,
            groups=self.env["res.users"]._get_sales_groups().ids,
        )

    @api.model
    def _get_chosen_sql(self, asked):
        """Return the expression ``chosen``: ``asked`` with the salesperson or sponsor
        who was named, if present, and the team of the salesperson."""
        return SQL(
            """
            chosen AS MATERIALIZED (
                SELECT asked.*, members.team_id AS own_team_id,
                       CASE WHEN asked.track = 'executive' THEN sponsor.id
                            ELSE salesperson.id END AS chosen_id
                  FROM %(asked)s AS asked
                  LEFT JOIN present salesperson
                    ON salesperson.id = asked.account_user_id
                  LEFT JOIN present sponsor
                    ON sponsor.id = asked.sponsor_id
                  LEFT JOIN members ON members.user_id = asked.account_user_id
                        )
            """,
            asked=asked,
        )

    @api.model
    def _get_deputies_sql(self, books):
        """Return the expressions ``unserved``: customers that name no salesperson, and
        ``deputies``: the present salesperson of most of their contacts, else of their
        latest invoice."""
        return SQL(
            """
            unserved AS MATERIALIZED (
                SELECT DISTINCT partner_id
                  FROM chosen
                 WHERE account_user_id IS NULL
                   AND partner_id IS NOT NULL
                   AND track != 'executive'
            ), deputies AS MATERIALIZED (
                SELECT DISTINCT ON (partner_id)
                       partner_id, present.id AS user_id, members.team_id
                  FROM (
                        SELECT unserved.partner_id, contact.user_id, 1 AS place,
                               COUNT(*) AS weight
                          FROM unserved
                          JOIN res_partner contact
                            ON contact.commercial_partner_id = unserved.partner_id
                           AND contact.active
                         GROUP BY unserved.partner_id, contact.user_id
                         UNION ALL
                        SELECT unserved.partner_id, move.invoice_user_id, 2,
                               MAX(move.invoice_date - DATE '0001-01-01')
                          FROM unserved
                          JOIN res_partner contact
                            ON contact.commercial_partner_id = unserved.partner_id
                          JOIN account_move move
                            ON move.partner_id = contact.id
                           AND move.commercial_partner_id = unserved.partner_id
                           AND move.company_id = ANY(%(books)s)
                           AND move.state = 'posted'
                           AND move.move_type IN ('out_invoice', 'out_receipt')
                         GROUP BY unserved.partner_id, move.invoice_user_id
                       ) AS candidates
                  JOIN present ON present.id = candidates.user_id
                  LEFT JOIN members ON members.user_id = present.id
                 ORDER BY partner_id, place, weight DESC, present.id
                        )
            """,
            books=books,
        )

    @api.model
    def _get_latest_teams_sql(self, company, books):
        """Return the expressions ``orphans``: accounts and leads for whom nobody is
        present and that have no team by their salesperson, and ``latest``: the team of
        their latest lead or order."""
        return SQL(
            """
            orphans AS MATERIALIZED (
                SELECT DISTINCT partner_id, lead_id
                  FROM chosen
                 WHERE chosen_id IS NULL AND own_team_id IS NULL
            ), latest AS MATERIALIZED (
                SELECT DISTINCT ON (partner_id, lead_id) partner_id, lead_id, team_id
                  FROM (
                        SELECT orphans.partner_id, NULL::int AS lead_id,
                               document.team_id, document.day
                          FROM orphans
                          JOIN res_partner partner
                            ON partner.commercial_partner_id = orphans.partner_id
                          JOIN (
                                SELECT partner_id, team_id, create_date AS day
                                  FROM crm_lead
                                 WHERE COALESCE(company_id, %(company)s) = %(company)s
                                 UNION ALL
                                SELECT partner_id, team_id, date_order
                                  FROM sale_order
                                 WHERE company_id = ANY(%(books)s)
                               ) AS document
                            ON document.partner_id = partner.id
                         UNION ALL
                        SELECT NULL, lead.id, lead.team_id, lead.create_date
                          FROM orphans
                          JOIN crm_lead lead ON lead.id = orphans.lead_id
                         WHERE orphans.partner_id IS NULL
                       ) AS documents
                 WHERE team_id IS NOT NULL
                 ORDER BY partner_id, lead_id, day DESC, team_id
                        )
            """,
            company=company.id,
            books=books,
        )

    @api.model
    def _get_chosen_or_deputies_sql(self):
        """Return the expression ``responsibles``: ``chosen``, their deputies, or the
        leader of the team."""
        return SQL(
            """
            responsibles AS (
                SELECT chosen.*,
                       COALESCE(chosen_id, deputies.user_id, teams.leader_id)
                           AS user_id,
                       CASE WHEN deputies.user_id IS NOT NULL THEN deputies.team_id
                            WHEN chosen_id IS NULL THEN teams.id
                            ELSE own_team_id END AS team_id
                  FROM chosen
                  LEFT JOIN deputies
                    ON deputies.partner_id = chosen.partner_id
                   AND chosen.account_user_id IS NULL
                   AND chosen.track != 'executive'
                  LEFT JOIN latest latest_account
                    ON latest_account.partner_id = chosen.partner_id
                  LEFT JOIN latest latest_lead
                    ON latest_lead.lead_id = chosen.lead_id
                   AND chosen.partner_id IS NULL
                  LEFT JOIN teams
                    ON chosen_id IS NULL
                   AND deputies.user_id IS NULL
                   AND teams.id = COALESCE(own_team_id, latest_account.team_id,
                                           latest_lead.team_id)
            )
            """,
        )

    @api.model
    def _get_responsibles(self, company, keys):
        """Return {(partner id or None, lead id or None, track): (user id or False, team
        id or False)}; see :meth:`_get_responsibles_sql`. One query.

        :param keys: such triples, with one of partner and lead each
        """
        if not keys:
            return {}
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                WITH keys (partner_id, lead_id, track) AS (VALUES %(keys)s),
                asked AS (
                    SELECT keys.*,
                           COALESCE(partner.user_id, lead.user_id) AS account_user_id,
                           card.executive_sponsor_id AS sponsor_id
                      FROM keys
                      LEFT JOIN res_partner partner ON partner.id = keys.partner_id
                      LEFT JOIN key_account card
                        ON card.partner_id = keys.partner_id
                       AND card.company_id = %(company)s
                      LEFT JOIN crm_lead lead
                        ON lead.id = keys.lead_id AND keys.partner_id IS NULL
                ), %(responsibles)s
                SELECT partner_id, lead_id, track, user_id, team_id FROM responsibles
                """,
                keys=SQL(", ").join(
                    SQL("(%s::int, %s::int, %s)", *key) for key in set(keys)
                ),
                company=company.id,
                responsibles=self._get_responsibles_sql(company, SQL("asked")),
            )
        )
        return {
            (partner_id, lead_id, track): (user_id or False, team_id or False)
            for partner_id, lead_id, track, user_id, team_id in rows
        }

    # -------------------------------------------------------------------------
    # Events
    # -------------------------------------------------------------------------

    @api.model
    def _refresh_touched(self, partner_ids, lead_ids=(), companies=None):
        """Refresh the rows of what an event touched, in the companies that plan.

        :param partner_ids: customers
        :param lead_ids: leads, also those that got a customer
        :param companies: default: all in which they are, or were, asked for
        """
        partner_ids, lead_ids = list(partner_ids), list(lead_ids)
        if not partner_ids and not lead_ids:
            return
        if companies is None:
            companies = self._get_companies(partner_ids, lead_ids)
        for company in companies.sudo():
            if company.key_account_planning:
                self._refresh(company, partner_ids, lead_ids)

    def _refresh_rows(self):
        """Refresh the accounts and leads of these rows."""
        for company, group in self.grouped("company_id").items():
            leads = group.filtered(lambda row: not row.partner_id).lead_id
            self._refresh_touched(group.partner_id.ids, leads.ids, company)

    @api.model
    def _get_invalid(self, company):
        """Return the rows that aren't planned until somebody corrects an interval or an
        amount."""
        return self.sudo().search(
            [("company_id", "=", company.id), ("reason", "=", "data")], order="id"
        )

    @api.model
    def _log_invalid(self, company):
        """Name in the log who isn't planned until somebody corrects it."""
        for name in ("partner_id", "lead_id"):
            ids = self._get_invalid(company)[name].ids
            if ids:
                _logger.warning(
                    "Company %s: %s of %s have an interval or amounts that can't be "
                    "right, and no visit is planned: %s",
                    company.id,
                    len(ids),
                    self._fields[name].comodel_name,
                    ids[:LOGGED_IDS],
                )

    @api.model
    def _refresh_companies(self, companies):
        """Refresh all rows of the companies that plan."""
        for company in companies.sudo():
            if company.key_account_planning:
                self._refresh(company)

    @api.model
    def _forget(self, companies):
        """Delete all rows of the companies: at once, there may be many."""
        self.flush_model()
        self.env.cr.execute(
            SQL("DELETE FROM key_account_due WHERE company_id = ANY(%s)", companies.ids)
        )
        self._invalidate_refreshed()

    @api.model
    def _get_companies(self, partner_ids, lead_ids):
        """Return the companies in which customers and leads are, or were, asked for:
        the one that a lead has gone to before the one that it left, so that what was
        known of it goes along."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT company_id
                  FROM (
                        SELECT %(lead_company)s AS company_id, 1 AS place
                          FROM crm_lead lead
                          LEFT JOIN crm_team team ON team.id = lead.team_id
                          LEFT JOIN res_users owner ON owner.id = lead.user_id
                         WHERE lead.id = ANY(%(leads)s) AND lead.partner_id IS NULL
                         UNION ALL
                        SELECT company_id, 2
                          FROM key_account
                         WHERE partner_id = ANY(%(partners)s)
                         UNION ALL
                        SELECT company_id, 2
                          FROM key_account_due
                         WHERE partner_id = ANY(%(partners)s)
                            OR lead_id = ANY(%(leads)s)
                       ) AS companies
                 -- a lead may be of none
                 WHERE company_id IS NOT NULL
                 GROUP BY company_id
                 ORDER BY MIN(place), company_id
                """,
                partners=partner_ids,
                leads=lead_ids,
                lead_company=self.env["crm.lead"]._get_key_account_company_sql(),
            )
        )
        return self.env["res.company"].browse(row[0] for row in rows)

    @api.model
    def _is_kept(self, company):
        """Return whether all rows of ``company`` are there, to be kept up to date:
        planning makes them first."""
        company = company.sudo()
        return company.key_account_planning and company.key_account_has_dues

    @api.model
    def _refresh_leads(self, company):
        """Refresh the rows of leads without a customer whose tier isn't the one of the
        row any more, or that got their first one: a run changed it in SQL."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT lead.id
                  FROM crm_lead lead
                  LEFT JOIN crm_team team ON team.id = lead.team_id
                  LEFT JOIN res_users owner ON owner.id = lead.user_id
                  LEFT JOIN key_account_due due
                         ON due.lead_id = lead.id AND due.partner_id IS NULL
                 WHERE lead.active
                   AND lead.partner_id IS NULL
                   AND lead.won_status = 'pending'
                   AND %s = %s
                   AND due.tier_id IS DISTINCT FROM lead.account_tier_id
                """,
                self.env["crm.lead"]._get_key_account_company_sql(),
                company.id,
            )
        )
        self._refresh(company, [], list({row[0] for row in rows}))

    @api.model
    def _merge(self, sources, destination):
        """Let ``destination`` go on with what was asked for first at customers or leads
        that are merged into it, and delete their rows."""
        column = "partner_id" if destination._name == "res.partner" else "lead_id"
        rows = self.search([(column, "in", (sources | destination).ids)])
        if column == "lead_id":
            rows = rows.filtered(lambda row: not row.partner_id)
        # a lead has one row a track, whatever the company
        for group in rows.grouped(
            lambda row: (column == "partner_id" and row.company_id, row.track)
        ).values():
            own = group.filtered(lambda row: row[column] == destination)
            kept = own or group[:1]
            kept.date_since = min(group.mapped("date_since"))
            kept.date_escalated = max(
                group.filtered("date_escalated").mapped("date_escalated"),
                default=False,
            )
            (group - kept).unlink()
            kept[column] = destination
            if column == "partner_id":
                # else it goes with the row of the customer that goes
                kept.account_id = (
                    self.env["key.account"]._get_accounts(
                        destination.ids, kept.company_id
                    )
                    or kept.account_id
                )

    def _prepare_visit_values(self, day, user):
        """Return the values of a visit that a person plans for ``user``."""
        teams = self.env["crm.team.member"]._get_user_teams(self.company_id, user)
        team = teams.get(user.id)
        (values,) = self.env["key.account.plan.values"]._prepare_plans(
            {
                self.id: {
                    "date_planned": day,
                    "user_id": user.id,
                    "team_id": (team or self.team_id).id,
                    "is_date_fixed": True,
                }
            }
        )
        return values


def _is_asked(ids):
    """Return whether there is anybody in ``ids``; None stands for everybody."""
    return ids is None or bool(ids)
