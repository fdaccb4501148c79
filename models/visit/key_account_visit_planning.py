import logging
from collections import defaultdict
from datetime import date, timedelta
from typing import NamedTuple

import psycopg2.errors

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, format_date, mute_logger, split_every

from ...const import BATCH_SIZE, NO_RANK, STAGE_NUMBERS
from ...engine import buying_center, planner
from ...engine import cadence as engine
from ..account.key_account_mixin import get_account_key
from ..planning.key_account_cadence import TRACK_MODES, TRACKS

_logger = logging.getLogger(__name__)

TRACK_KEYS = [key for key, _ in TRACKS]
# How much of a day's capacity a visit takes: four calls are as long as a visit.
MODE_LOADS = {
    "on_site": planner.VISIT_LOAD,
    "online": planner.VISIT_LOAD,
    "phone": planner.CALL_LOAD,
    "mail": planner.CALL_LOAD,
}
UNLIMITED = 10**9


class Wanted(NamedTuple):
    """A row of what is due that wants a day."""

    id: int
    user_id: int | None
    due: planner.Due


class Group(NamedTuple):
    """How much of a salesperson, a load and an interval waits for a day."""

    company_id: int
    user_id: int | None
    on_route: bool
    days: int
    is_call: bool
    count: int
    latest: date
    last: date
    earliest: date

    @property
    def load(self):
        return planner.CALL_LOAD if self.is_call else planner.VISIT_LOAD


class KeyAccountVisit(models.Model):
    """The generator: what is due, for whom, on which day."""

    _inherit = "key.account.visit"

    # -------------------------------------------------------------------------
    # Generator
    # -------------------------------------------------------------------------

    @api.model
    def _generate(self, partners=None, company=None, today=None):
        """Plan the visits that are due within the horizon. Doesn't commit.

        Running it again, or twice at once, makes nothing twice.

        :param partners: customers to plan for; default: all, and the open leads that
            have no customer yet
        :param company: default: the current company
        :param date today: default: today in each salesperson's time zone
        :return: the visits made
        """
        company = company or self.env.company
        self = self.sudo()
        partner_ids = lead_ids = None
        if partners is not None:
            partner_ids = partners.sudo().commercial_partner_id.ids
            lead_ids = []
        self._prepare_plan(company, partner_ids, today)
        visits = self._plan(company, TRACK_KEYS, partner_ids, lead_ids, today)
        self._escalate(company, partner_ids, today)
        return visits

    @api.model
    def _cron_generate(self):
        """Plan for every company, with a commit after each batch."""
        cron = self.env["ir.cron"]
        for company in self.env["res.company"].search(
            [("key_account_planning", "=", True)]
        ):
            visits = self.with_company(company)
            try:
                with self.env.cr.savepoint():
                    # what no event told of: a team's lead, a change in SQL
                    self.env["key.account.due"].sudo()._refresh_unless_refreshed(
                        company, planning=True
                    )
                    self.env["key.account.target"]._freeze(company)
                    visits._prepare_plan(company)
                    plans = visits._get_plans(company, TRACK_KEYS)
            except Exception:
                # The other companies' visits don't depend on this one.
                _logger.exception("Planning visits of company %s failed", company.id)
                continue
            cron._commit_progress(remaining=len(plans))
            for batch in split_every(BATCH_SIZE, plans):
                visits._try("Planning visits", visits._create_batch, company, batch)
                if not cron._commit_progress(len(batch)):
                    return
            visits._try("Escalating visits", visits._escalate, company)
            cron._commit_progress()

    def _try(self, what, method, company, *args):
        """Do a part of the job; what fails, perhaps in another addon, must not keep the
        others from their visits."""
        try:
            with self.env.cr.savepoint():
                method(company, *args)
        except Exception:
            _logger.exception("%s of company %s failed", what, company.id)

    @api.model
    def _plan_now(self, partners, company):
        """Bring the planned visits of ``partners`` in line with the cadence at once,
        however far away they are: somebody has just decided about the customers."""
        if company.key_account_planning:
            visits = self.sudo()
            visits._close_outdated(company, partners.ids)
            visits._plan(company, TRACK_KEYS, partners.ids, [], horizon=False)

    @api.model
    def _prepare_plan(self, company, partner_ids=None, today=None):
        """Bring what is planned up to date, before more is planned."""
        try:
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                self.env["key.account"].sudo()._update_engagement_stages(
                    company, partner_ids
                )
        except psycopg2.errors.SerializationFailure:
            _logger.info("Another transaction updates the stages of engagement")
        self._mark_missed(company, partner_ids, today)
        self._close_outdated(company, partner_ids)
        self._close_off_route(company, partner_ids, today)

    @api.model
    def _plan(
        self, company, tracks, partner_ids=None, lead_ids=None, today=None, horizon=True
    ):
        """Plan what is due, and note why what fits on no day has none.

        :param partner_ids: accounts to plan for; None: all
        :param lead_ids: leads without account to plan for; None: all
        :param horizon: when False, plan whatever is due, however far away
        :return: the visits made
        """
        dues = self.env["key.account.due"].sudo()
        # Whom nobody visited so far is spread from today on.
        is_today = not today or today == dues._get_today(company)
        if partner_ids is None and is_today and dues._is_kept(company):
            # Accounts are up to date after every event; of leads, other addons'
            # documents say on which stage they are.
            dues._refresh_unless_refreshed(company, [], lead_ids)
        else:
            dues._refresh_unless_refreshed(
                company, partner_ids, lead_ids, today, planning=partner_ids is None
            )
        plans = self._get_plans(company, tracks, partner_ids, lead_ids, today, horizon)
        visits = self.browse()
        for batch in split_every(BATCH_SIZE, plans):
            visits |= self._create_batch(company, batch)
        return visits

    @api.model
    def _close_outdated(self, company, partner_ids=None):
        """Close generated visits that the cadence doesn't ask for any more: the
        customer's tier or level changed, or there is no line for it, or the customer is
        lost or came back. What a person moved stays, and so does the visit to win a
        customer back. The generator plans anew where another line asks for a visit."""
        # those who left on a day that was in the future when it was entered
        leaving = Domain("company_id", "=", company.id) & Domain(
            "target_contact_id.left_company_date", "!=", False
        )
        if partner_ids is not None:
            leaving &= Domain("partner_id", "in", partner_ids)
        self._follow_contacts(leaving)
        self.env.flush_all()
        lines = self.env["key.account.cadence"]._get_lines(company)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT visit.id, COALESCE(card.tier_id, lead.account_tier_id),
                       COALESCE(card.relationship_level, lead.relationship_level,
                                'transactional'),
                       COALESCE(card.engagement_stage, lead.engagement_stage,
                                'target'),
                       loss.id
                  FROM key_account_visit visit
                  LEFT JOIN key_account_loss loss
                         ON loss.partner_id = visit.partner_id
                        AND loss.company_id = visit.company_id
                        AND loss.date_returned IS NULL
                  LEFT JOIN key_account card
                         ON card.partner_id = visit.partner_id
                        AND card.company_id = visit.company_id
                  LEFT JOIN crm_lead lead
                         ON lead.id = visit.lead_id AND visit.partner_id IS NULL
                 WHERE visit.company_id = %s
                   AND visit.state = 'planned'
                   -- generated: a cadence line asked for it
                   AND visit.date_due IS NOT NULL
                   AND visit.is_date_fixed IS NOT TRUE
                   AND (visit.loss_id IS DISTINCT FROM loss.id
                        OR loss.id IS NULL
                        AND (visit.tier_id IS DISTINCT FROM
                             COALESCE(card.tier_id, lead.account_tier_id)
                             OR COALESCE(visit.relationship_level, 'transactional') !=
                             COALESCE(card.relationship_level, lead.relationship_level,
                                      'transactional')
                             OR COALESCE(visit.engagement_stage, 'target') !=
                             COALESCE(card.engagement_stage, lead.engagement_stage,
                                      'target')
                             OR NOT visit.cadence_id = ANY(%s)
                             OR visit.cadence_id IS NULL))
                   AND (%s OR visit.partner_id = ANY(%s))
                """,
                company.id,
                lines.ids,
                partner_ids is None,
                partner_ids or [],
            )
        )
        visits = self.browse(row[0] for row in rows)
        tiers = self.env["key.account.tier"].browse(row[1] for row in rows if row[1])
        names = {tier.id: tier.name for tier in tiers}
        none = self.env._("none")
        levels = dict(
            self._fields["relationship_level"]._description_selection(self.env)
        )
        visits_by_reason = defaultdict(self.browse)
        stages = dict(self._fields["engagement_stage"]._description_selection(self.env))
        losses = self.env["key.account.loss"].browse(row[4] for row in rows if row[4])
        reasons = {loss.id: loss._get_visit_reason() for loss in losses}
        for visit, row in zip(visits, rows, strict=True):
            _, tier_id, level, stage, loss_id = row
            line = self._get_line(lines, tier_id, level, stage, visit)
            lost = loss_id or visit.loss_id
            if not lost and line and line == visit.cadence_id:
                continue
            reason = self.env._("The cadence changed")
            old_level = visit.relationship_level or "transactional"
            if lost:
                reason = reasons.get(loss_id, self.env._("The customer came back"))
            elif level != old_level:
                reason = self.env._(
                    "Relationship level changed from %(old)s to %(new)s",
                    old=levels[old_level],
                    new=levels[level],
                )
            elif tier_id != (visit.tier_id.id or None):
                reason = self.env._(
                    "Tier changed from %(old)s to %(new)s",
                    old=visit.tier_id.name or none,
                    new=names.get(tier_id, none),
                )
            elif stage != (visit.engagement_stage or "target"):
                reason = self.env._(
                    "Stage changed from %(old)s to %(new)s",
                    old=stages[visit.engagement_stage or "target"],
                    new=stages[stage],
                )
            visits_by_reason[reason] |= visit
        for reason, outdated in visits_by_reason.items():
            for batch in split_every(BATCH_SIZE, outdated.ids, self.browse):
                batch._close(reason)
        self._refresh_stages(company, partner_ids)

    @api.model
    def _refresh_stages(self, company, partner_ids=None):
        """Note on planned visits what is going on with the customer today, which orders
        the visits of a day."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account_visit visit
                   SET engagement_stage = stages.stage
                  FROM (
                        SELECT planned.id, COALESCE(card.engagement_stage,
                               lead.engagement_stage, 'target') AS stage
                          FROM key_account_visit planned
                          LEFT JOIN key_account card
                                 ON card.partner_id = planned.partner_id
                                AND card.company_id = planned.company_id
                          LEFT JOIN crm_lead lead
                                 ON lead.id = planned.lead_id
                                AND planned.partner_id IS NULL
                         WHERE planned.company_id = %(company)s
                           AND planned.state = 'planned'
                           AND (%(all)s OR planned.partner_id = ANY(%(partners)s))
                       ) AS stages
                 WHERE visit.id = stages.id
                   AND visit.engagement_stage IS DISTINCT FROM stages.stage
             RETURNING visit.id
                """,
                company=company.id,
                all=partner_ids is None,
                partners=list(partner_ids or []),
            )
        )
        ids = [row[0] for row in self.env.cr.fetchall()]
        self.browse(ids).invalidate_recordset(["engagement_stage"])

    @api.model
    def _close_off_route(self, company, partner_ids=None, today=None):
        """Close visits that were planned for a day on which their salesperson would be
        near, where the others of that day have gone. The generator looks for another
        day. What a person moved stays."""
        domain = Domain("company_id", "=", company.id) & Domain(
            [
                ("state", "=", "planned"),
                ("cadence_id.on_route", "=", True),
                ("is_date_fixed", "=", False),
                ("user_id", "!=", False),
            ]
        )
        if partner_ids is not None:
            domain &= Domain("partner_id", "in", partner_ids)
        visits = self.search(domain)
        if not visits:
            return
        nearness = company._get_key_account_nearness()
        booked = self._get_booked(visits.user_id, with_areas=True)
        anchors = defaultdict(list)
        for user_id, others in booked.items():
            for other in others:
                # as the planner does: a call is no trip
                if other.on_site and not other.on_route:
                    anchors[user_id, other.day].append(other.area)
        keys = {visit: visit._get_account_key()[:2] for visit in visits}
        areas = self._get_areas(keys.values())
        stray = visits.filtered(
            lambda visit: (
                visit.date_planned >= (today or visit._get_today())
                and not any(
                    nearness.is_near(areas.get(keys[visit], planner.NOWHERE), area)
                    for area in anchors[visit.user_id.id, visit.date_planned]
                )
            )
        )
        stray._close(self.env._("Nothing else to do nearby on that day"))

    @api.model
    def _get_line(self, lines, tier_id, level, stage, visit):
        """Return the line that asks for a planned visit."""
        account = visit.partner_id.with_company(visit.company_id)
        own_interval = account.visit_interval_days if visit.track == "visit" else 0
        return lines._match(tier_id, visit.track, own_interval, level, stage)

    @api.model
    def _get_plans(
        self,
        company,
        tracks,
        partner_ids=None,
        lead_ids=None,
        today=None,
        horizon=True,
    ):
        """Return the values of the visits to plan, and note why what is due in the
        horizon has no day. Who is asked for is what :class:`key.account.due` says.

        For everybody, it looks at as many of each salesperson, load and interval as
        there is room for, the earliest due first: whatever comes behind them can
        neither have a day nor take one from others.

        :param partner_ids: accounts to plan for; None: all
        :param lead_ids: leads without account to plan for; None: all
        :param horizon: when False, plan whatever is due, however far away
        """
        self.env.flush_all()
        if partner_ids is None and lead_ids is None:
            return self._get_plans_of_all(company, tracks, today)
        dues = self.env["key.account.due"]
        scope = dues._get_scope_sql(partner_ids, lead_ids)
        wanted = self._get_wanted(company, tracks, scope)
        users = self.env["res.users"].browse({row.user_id for row in wanted} - {None})
        todays = self._get_todays(company, users, today)
        horizon_days = timedelta(days=company.key_account_horizon_days)
        is_near = {
            row.id: row.due.date_due <= todays[row.user_id] + horizon_days
            for row in wanted
        }
        if horizon:
            self._note_reason([row.id for row in wanted if not is_near[row.id]], False)
            wanted = [row for row in wanted if is_near[row.id]]
        if not wanted:
            return []
        end = max(max(row.due.date_due, todays[row.user_id]) for row in wanted)
        routed = any(row.due.on_route for row in wanted)
        agendas = self._get_agendas(company, users, todays, end, routed)
        if routed:
            wanted = self._add_areas(wanted)
        by_user = defaultdict(list)
        for row in wanted:
            by_user[row.user_id].append(row.due)
        rooms = {}
        for user_id, asked in by_user.items():
            lasts = filter(None, map(agendas[user_id].get_last_day, asked))
            rooms[user_id] = max(lasts, default=None)
        waiting = self._get_competing(agendas, rooms, todays, company)
        slots = {}
        for user_id, asked in by_user.items():
            keys = {due.key for due in asked}
            agenda = agendas[user_id]
            slots.update(
                agenda.place(
                    [due for due in asked if not due.on_route],
                    [due for due in waiting[user_id] if due.key not in keys],
                    rooms[user_id],
                )
            )
            for due in asked:
                if not due.on_route and slots[due.key].day:
                    agenda.anchor(due, slots[due.key].day)
            slots.update(agenda.place_on_route(due for due in asked if due.on_route))
        reasons = defaultdict(list)
        for row in wanted:
            slot = slots[row.due.key]
            if not slot.day:
                reasons[is_near[row.id] and slot.reason].append(row.id)
        for reason, ids in reasons.items():
            self._note_reason(ids, reason)
        return self._prepare_plans(
            {
                row.id: {"date_planned": slots[row.due.key].day}
                for row in wanted
                if slots[row.due.key].day
            }
        )

    @api.model
    def _get_plans_of_all(self, company, tracks, today=None):
        """See :meth:`_get_plans`."""
        rows = self.env.execute_query(
            SQL(
                """
                -- one look into the index for each of them
                WITH RECURSIVE users (id) AS (
                    SELECT MIN(user_id) FROM key_account_due
                     WHERE company_id = %(company)s AND visit_id IS NULL
                     UNION ALL
                    SELECT (SELECT MIN(user_id) FROM key_account_due
                             WHERE company_id = %(company)s AND visit_id IS NULL
                               AND user_id > users.id)
                      FROM users
                     WHERE users.id IS NOT NULL
                )
                SELECT id FROM users WHERE id IS NOT NULL
                """,
                company=company.id,
            )
        )
        users = self.env["res.users"].browse(row[0] for row in rows)
        todays = self._get_todays(company, users, today)
        horizon_days = timedelta(days=company.key_account_horizon_days)
        groups = self._get_groups(
            {
                user_id: {company.id: day + horizon_days}
                for user_id, day in todays.items()
            }
        )
        if not groups:
            return []
        routed = any(group.on_route for group in groups)
        end = max(todays.values()) + horizon_days
        agendas = self._get_agendas(company, users, todays, end, routed)
        rooms = {}
        for group in groups:
            # After a leave the end of a window isn't the later, the later it begins.
            day = max(group.earliest, todays[group.user_id])
            while day <= max(group.latest, todays[group.user_id]):
                due = planner.Due((), day, group.days)
                last = agendas[group.user_id].get_last_day(due)
                if last:
                    rooms[group.user_id] = max(last, rooms.get(group.user_id, last))
                day += timedelta(days=1)
        wanted = self._get_earliest(
            [group for group in groups if not group.on_route], agendas, rooms
        )
        wanted = [row for row in wanted if row.due.key[3] in tracks]
        waiting = self._get_competing(agendas, rooms, todays, company, others=True)
        by_user = defaultdict(list)
        for row in wanted:
            by_user[row.user_id].append(row.due)
        days = {}
        for user_id, last in rooms.items():
            slots = agendas[user_id].place(by_user[user_id], waiting[user_id], last)
            days.update((key, slot.day) for key, slot in slots.items() if slot.day)
        if routed:
            placed = [row for row in wanted if row.due.key in days]
            for row in self._add_areas(placed):
                agendas[row.user_id].anchor(row.due, days[row.due.key])
            nearby = self._get_nearby(company, tracks, agendas, todays)
            wanted += nearby
            by_user = defaultdict(list)
            for row in nearby:
                by_user[row.user_id].append(row.due)
            for user_id, asked in by_user.items():
                days.update(agendas[user_id].place_nearby(asked))
        plans = {
            row.id: {"date_planned": days[row.due.key]}
            for row in wanted
            if row.due.key in days
        }
        self._note_reasons(company, tracks, agendas, todays, plans)
        return self._prepare_plans(plans)

    @api.model
    def _get_todays(self, company, users, today=None):
        """Return {user id: today there}; None stands for nobody."""
        return {
            user.id or None: today or self._get_user_today(user, company)
            for user in [*users, users.browse()]
        }

    @api.model
    def _get_agendas(self, company, users, todays, end, with_areas):
        """Return {user id: :class:`planner.Agenda`} with the capacities of the days
        among which somebody who is due until ``end`` may find one."""
        capacities = self._get_day_capacities(
            users,
            company,
            min(todays.values()),
            end + timedelta(days=engine.MAX_SEARCH_DAYS),
        )
        booked = self._get_booked(users, with_areas)
        return {
            user_id: planner.Agenda(
                booked[user_id],
                {
                    # nobody's time is no limit: somebody has to be found first
                    day: int(visits * planner.VISIT_LOAD) if user_id else UNLIMITED
                    for day, visits in capacities[user_id or False].items()
                },
                today,
                company.key_account_horizon_days,
                company._get_key_account_nearness(),
            )
            for user_id, today in todays.items()
        }

    @api.model
    def _get_groups(self, lasts):
        """Return a list of :class:`Group` of what waits.

        :param dict lasts: {user id: {company id: last due date to look at}}
        """
        picks = [
            SQL("(%s::int, %s::int, %s::date)", user_id, company_id, last)
            for user_id, by_company in lasts.items()
            for company_id, last in by_company.items()
        ]
        if not picks:
            return []
        rows = self.env.execute_query(
            SQL(
                """
                WITH picks (user_id, company_id, last) AS (VALUES %(picks)s)
                SELECT due.company_id, COALESCE(due.user_id, 0), due.on_route, due.days,
                       due.track = ANY(%(remote)s), COUNT(*), MAX(date_due), picks.last,
                       MIN(date_due)
                  FROM key_account_due due
                  JOIN picks
                    ON picks.company_id = due.company_id
                   AND COALESCE(picks.user_id, 0) = COALESCE(due.user_id, 0)
                   AND due.date_due <= picks.last
                 WHERE due.visit_id IS NULL
                 GROUP BY 1, 2, 3, 4, 5, picks.last
                """,
                picks=SQL(", ").join(picks),
                remote=[
                    track for track, mode in TRACK_MODES.items() if mode == "phone"
                ],
            )
        )
        return [Group(row[0], row[1] or None, *row[2:]) for row in rows]

    @api.model
    def _get_earliest(self, groups, agendas, rooms):
        """Return the rows of each group that are due first, as many as there is room
        for until the end of the longest window; of equal due dates all.

        :param dict rooms: {user id: end of the longest window}
        """
        picks, unassigned = [], []
        for group in groups:
            end = rooms.get(group.user_id)
            agenda = agendas[group.user_id]
            number = min(end and agenda.get_room(group.load, end) or 0, group.count)
            if number and not group.user_id:
                unassigned.append(group)
            elif number:
                picks.append(
                    SQL(
                        "(%s, %s, %s, %s, %s, %s::date)",
                        group.company_id,
                        group.user_id,
                        group.days,
                        group.is_call,
                        number,
                        group.last,
                    )
                )
        wanted = []
        remote = [track for track, mode in TRACK_MODES.items() if mode == "phone"]
        if picks:
            wanted = self._execute_wanted(
                SQL(
                    """
                    (VALUES %(picks)s)
                        AS pick (company_id, user_id, days, is_call, number, last)
                    CROSS JOIN LATERAL (
                        SELECT *
                          FROM key_account_due
                         WHERE company_id = pick.company_id
                           AND user_id = pick.user_id
                           AND NOT on_route
                           AND days = pick.days
                           AND (track = ANY(%(remote)s)) = pick.is_call
                           AND date_due <= pick.last
                           AND visit_id IS NULL
                         ORDER BY date_due
                         FETCH FIRST pick.number ROWS WITH TIES
                    ) AS due
                    """,
                    picks=SQL(", ").join(picks),
                    remote=remote,
                ),
                SQL("TRUE"),
            )
        for group in unassigned:
            wanted += self._execute_wanted(
                SQL("key_account_due AS due"),
                SQL(
                    """
                    due.company_id = %s AND due.user_id IS NULL AND NOT due.on_route
                    AND due.days = %s AND (due.track = ANY(%s)) = %s
                    AND due.date_due <= %s AND due.visit_id IS NULL
                    """,
                    group.company_id,
                    group.days,
                    remote,
                    group.is_call,
                    group.last,
                ),
            )
        return wanted

    @api.model
    def _get_wanted(self, company, tracks, scope):
        """Return what has no day yet, in no order."""
        return self._execute_wanted(
            SQL("key_account_due AS due"),
            SQL(
                "due.company_id = %s AND due.track = ANY(%s) AND due.visit_id IS NULL"
                " AND %s",
                company.id,
                list(tracks),
                scope,
            ),
        )

    @api.model
    def _execute_wanted(self, source, condition):
        """Return a list of :class:`Wanted` of a FROM clause with ``due``."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT due.id, due.user_id, due.partner_id, due.lead_id, due.company_id,
                       due.track, due.date_due, due.days, due.on_route,
                       due.engagement_stage, COALESCE(tier.sequence, %s)
                  FROM %s
                  LEFT JOIN key_account_tier tier ON tier.id = due.tier_id
                 WHERE %s
                """,
                NO_RANK,
                source,
                condition,
            )
        )
        return [
            Wanted(
                id_,
                user_id,
                planner.Due(
                    get_account_key(*key, track),
                    date_due,
                    days,
                    tier_rank,
                    STAGE_NUMBERS.get(stage, NO_RANK),
                    MODE_LOADS[TRACK_MODES[track]],
                    on_route,
                    on_site=TRACK_MODES[track] == "on_site",
                ),
            )
            for (
                id_,
                user_id,
                *key,
                track,
                date_due,
                days,
                on_route,
                stage,
                tier_rank,
            ) in rows
        ]

    @api.model
    def _add_areas(self, wanted):
        areas = self._get_areas(row.due.key[:2] for row in wanted)
        return [
            row._replace(
                due=row.due._replace(area=areas.get(row.due.key[:2], planner.NOWHERE))
            )
            for row in wanted
        ]

    @api.model
    def _get_competing(self, agendas, rooms, todays, company, others=False):
        """Return {user id: list of :class:`planner.Due`} of what waits for a day and
        isn't placed now, but competes: salespeople have one agenda in all companies.

        :param dict rooms: {user id: end of the longest window of what is placed}
        :param others: only in other companies than ``company``
        """
        companies = self.env["res.company"].sudo().search(Domain.TRUE)
        if others:
            companies -= company
        lasts = {
            user_id: {
                other.id: todays[user_id]
                + timedelta(days=other.key_account_horizon_days)
                for other in companies
            }
            for user_id, end in rooms.items()
            if user_id and end
        }
        groups = [group for group in self._get_groups(lasts) if not group.on_route]
        waiting = defaultdict(list)
        for row in self._get_earliest(groups, agendas, rooms):
            waiting[row.user_id].append(row.due)
        return waiting

    @api.model
    def _get_nearby(self, company, tracks, agendas, todays):
        """Return the rows on a route that are near where their salespeople go on a day
        on which there is room. Coarsely: the planner looks closely."""
        anchors = set()
        for user_id, agenda in agendas.items():
            for day, is_free in agenda.get_free_days(planner.VISIT_LOAD).items():
                if is_free:
                    anchors.update((user_id or 0, area) for area in agenda.anchors[day])
        if not anchors:
            return []
        nearness = company._get_key_account_nearness()
        length = nearness.zip_length
        values = [
            SQL(
                "(%s, %s::float8, %s::float8, %s, %s, %s)",
                user_id,
                area.latitude,
                area.longitude,
                area.country,
                area.zip[:length].lower(),
                area.city.strip().lower(),
            )
            for user_id, area in anchors
        ]
        lasts = [
            SQL(
                "(%s, %s::date)",
                user_id or 0,
                today + timedelta(days=company.key_account_horizon_days),
            )
            for user_id, today in todays.items()
        ]
        near = SQL(
            """
            WITH anchors (user_id, latitude, longitude, country_id, zip, city)
                AS (VALUES %(anchors)s),
            lasts (user_id, last) AS (VALUES %(lasts)s),
            places AS MATERIALIZED (
                SELECT due.id, lasts.user_id,
                       COALESCE(partner.partner_latitude, 0)::float8 AS latitude,
                       COALESCE(partner.partner_longitude, 0)::float8 AS longitude,
                       (partner.partner_latitude != 0
                        OR partner.partner_longitude != 0) IS TRUE AS is_placed,
                       COALESCE(partner.country_id, lead.country_id, 0) AS country_id,
                       lower(left(replace(COALESCE(partner.zip, lead.zip, ''), ' ', ''),
                                  %(length)s)) AS zip,
                       lower(btrim(COALESCE(partner.city, lead.city, ''))) AS city
                  FROM key_account_due due
                  JOIN lasts ON lasts.user_id = COALESCE(due.user_id, 0)
                            AND due.date_due <= lasts.last
                  LEFT JOIN res_partner partner ON partner.id = due.partner_id
                  LEFT JOIN crm_lead lead
                         ON lead.id = due.lead_id AND due.partner_id IS NULL
                 WHERE due.company_id = %(company)s
                   AND due.track = ANY(%(tracks)s)
                   AND due.on_route
                   AND due.visit_id IS NULL
            )
            SELECT places.id
              FROM places
              JOIN anchors USING (user_id)
             WHERE is_placed AND (anchors.latitude != 0 OR anchors.longitude != 0)
               AND abs(places.latitude - anchors.latitude) <= %(degrees)s
               AND LEAST(abs(places.longitude - anchors.longitude),
                         360 - abs(places.longitude - anchors.longitude))
                   * cos(radians(LEAST(90, %(degrees)s
                         + GREATEST(abs(places.latitude), abs(anchors.latitude)))))
                   <= %(degrees)s
             UNION
            SELECT places.id
              FROM places
              JOIN anchors USING (user_id, zip)
             WHERE zip != ''
             UNION
            SELECT places.id
              FROM places
              JOIN anchors USING (user_id, city)
             WHERE city != ''
             UNION
            -- PostgreSQL may not know their lower case
            SELECT id FROM places WHERE zip ~ '[^ -~]' OR city ~ '[^ -~]'
            """,
            anchors=SQL(", ").join(values),
            lasts=SQL(", ").join(lasts),
            length=length,
            company=company.id,
            tracks=list(tracks),
            # a degree of latitude is a little more than 111 km
            degrees=nearness.radius_km / 111 + 0.01,
        )
        return self._add_areas(
            self._execute_wanted(
                SQL(
                    "key_account_due AS due JOIN (%s) AS near ON near.id = due.id", near
                ),
                SQL("TRUE"),
            )
        )

    @api.model
    def _note_reason(self, ids, reason):
        rows = self.env["key.account.due"].sudo().browse(ids)
        rows.filtered(lambda row: row.reason != reason).reason = reason

    @api.model
    def _note_reasons(self, company, tracks, agendas, todays, plans):
        """Note why what is due within the horizon has no day. One statement.

        :param plans: ids of the rows that have one now
        """
        users, free = [], [SQL("(NULL::int, NULL::date, NULL::boolean)")]
        for user_id, agenda in agendas.items():
            users.append(
                SQL(
                    "(%s, %s::date, %s, %s)",
                    user_id or 0,
                    todays[user_id],
                    agenda.get_reason(),
                    bool(agenda.open_days),
                )
            )
            free += [
                SQL("(%s, %s::date, %s)", user_id or 0, day, fits)
                for day, fits in agenda.get_free_days(planner.VISIT_LOAD).items()
            ]
        self.env.cr.execute(
            SQL(
                """
                WITH agendas (user_id, today, reason, is_open) AS (VALUES %(users)s),
                free (user_id, day, fits) AS (VALUES %(free)s),
                windows AS MATERIALIZED (
                    SELECT due.id, due.on_route, due.reason AS old_reason,
                           agendas.user_id, agendas.reason, agendas.is_open,
                           GREATEST(agendas.today, due.date_due - tolerance.days)
                               AS first,
                           GREATEST(agendas.today + %(horizon)s,
                                    due.date_due + tolerance.days) AS last
                      FROM key_account_due due
                      JOIN agendas
                        ON agendas.user_id = COALESCE(due.user_id, 0)
                       AND due.date_due <= agendas.today + %(horizon)s
                     CROSS JOIN LATERAL (
                           SELECT floor(due.days * %(share)s::float8)::int AS days
                         ) AS tolerance
                     WHERE due.company_id = %(company)s
                       AND due.track = ANY(%(tracks)s)
                       AND due.visit_id IS NULL
                ), spans AS MATERIALIZED (
                    -- few: a window for each due date and interval
                    SELECT spans.*, BOOL_OR(free.fits) AS fits,
                           COUNT(free.day) = 0 AS is_empty
                      FROM (
                            SELECT DISTINCT user_id, first, last
                              FROM windows
                             WHERE on_route AND is_open
                           ) AS spans
                      LEFT JOIN free
                        ON free.user_id = spans.user_id
                       AND free.day BETWEEN spans.first AND spans.last
                     GROUP BY spans.user_id, spans.first, spans.last
                ), reasons AS (
                    -- not due in the horizon any more
                    SELECT due.id, due.reason AS old_reason, NULL AS reason
                      FROM key_account_due due
                      JOIN agendas
                        ON agendas.user_id = COALESCE(due.user_id, 0)
                       AND due.date_due > agendas.today + %(horizon)s
                     WHERE due.company_id = %(company)s
                       AND due.track = ANY(%(tracks)s)
                       AND due.visit_id IS NULL
                       AND due.reason IS NOT NULL
                     UNION ALL
                    SELECT windows.id, windows.old_reason,
                           CASE WHEN spans.fits OR spans.is_empty THEN 'route'
                                ELSE windows.reason END AS reason
                      FROM windows
                      LEFT JOIN spans
                        ON windows.on_route
                       AND spans.user_id = windows.user_id
                       AND spans.first = windows.first
                       AND spans.last = windows.last
                )
                UPDATE key_account_due due
                   SET reason = reasons.reason
                  FROM reasons
                 WHERE due.id = reasons.id
                   AND reasons.old_reason IS DISTINCT FROM reasons.reason
                   AND due.id != ALL(%(plans)s)
                """,
                users=SQL(", ").join(users),
                free=SQL(", ").join(free),
                horizon=company.key_account_horizon_days,
                share=engine.EARLY_TOLERANCE,
                company=company.id,
                tracks=list(tracks),
                plans=list(plans),
            )
        )
        self.env["key.account.due"].invalidate_model(["reason"], flush=False)

    @api.model
    def _prepare_plans(self, chosen):
        """Return the values of visits to what is due.

        :param dict chosen: {id of the row: values that planning or a person chose, the
            day among them}
        """
        if not chosen:
            return []
        rows = self.env.execute_query(
            SQL(
                """
                SELECT due.id, due.partner_id, due.lead_id, due.company_id, due.user_id,
                       due.team_id, due.tier_id, due.engagement_stage,
                       due.relationship_level, due.cadence_id, due.track, due.loss_id,
                       due.date_due, due.date_escalated, due.account_user_id, due.days,
                       CASE WHEN due.track = 'visit'
                            THEN card.visit_interval_days END AS own_days,
                       last.date_done
                  FROM key_account_due due
                  LEFT JOIN key_account card ON card.id = due.account_id
                  LEFT JOIN LATERAL (
                        SELECT MAX(date_done) AS date_done
                          FROM key_account_visit visit
                         WHERE visit.company_id = due.company_id
                           AND visit.track = due.track
                           AND visit.state = 'done'
                           AND (visit.partner_id = due.partner_id
                                OR due.partner_id IS NULL
                                   AND visit.lead_id = due.lead_id)
                      ) AS last ON TRUE
                 WHERE due.id = ANY(%(ids)s)
                 ORDER BY due.track DESC, due.partner_id, due.lead_id
                """,
                ids=list(chosen),
            )
        )
        plans = []
        for row in rows:
            (
                *values,
                date_due,
                date_escalated,
                account_user_id,
                interval,
                own_days,
                last_done,
            ) = row[1:]
            names = (
                "partner_id",
                "lead_id",
                "company_id",
                "user_id",
                "team_id",
                "tier_id",
                "engagement_stage",
                "relationship_level",
                "cadence_id",
                "track",
                "loss_id",
            )
            tolerance = engine.tolerance_days(interval)
            plans.append(
                {
                    **dict(zip(names, values, strict=True)),
                    "account_user_id": account_user_id,
                    "state": "planned",
                    "date_due": date_due,
                    "date_escalated": date_escalated,
                    "date_latest": date_due + timedelta(days=tolerance),
                    "own_days": own_days or 0,
                    "last_done": last_done,
                    **chosen[row[0]],
                }
            )
        self._write_summaries(plans)
        self._choose_targets(
            self.env["res.company"].browse(plans[0]["company_id"]), plans
        )
        return plans

    @api.model
    def _get_mode_load(self, mode):
        """Return how much of a day a visit takes, in quarters of a visit on site."""
        return MODE_LOADS[mode]

    @api.model
    def _get_booked(self, users, with_areas=False):
        """Return {user id: list of :class:`planner.Booked`} of what is planned for
        ``users``, in every company: they have one agenda. What they did today took its
        time too, and they were there: the job runs in the middle of somebody's day."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT visit.user_id, visit.partner_id, visit.lead_id, visit.company_id,
                       visit.track, visit.date_planned, visit.mode, due.days,
                       COALESCE(line.on_route, FALSE),
                       CASE WHEN visit.state = 'done' THEN visit.id END,
                       visit.date_done, visit.engagement_stage,
                       COALESCE(tier.sequence, %s)
                  FROM key_account_visit visit
                  LEFT JOIN key_account_tier tier ON tier.id = visit.tier_id
                  LEFT JOIN key_account_cadence line ON line.id = visit.cadence_id
                  LEFT JOIN key_account_due due ON due.visit_id = visit.id
                 WHERE visit.user_id = ANY(%s)
                   AND (visit.state = 'planned'
                        OR visit.state = 'done' AND visit.date_done >= %s)
                """,
                NO_RANK,
                users.ids,
                # where the day begins last
                fields.Date.today() - timedelta(days=1),
            )
        )
        keys = [get_account_key(*row[1:5]) for row in rows]
        areas = self._get_areas(key[:2] for key in keys) if with_areas else {}
        booked = defaultdict(list)
        for key, row in zip(keys, rows, strict=True):
            user_id = row[0]
            day, mode, days, on_route, done_id, date_done, stage, tier_rank = row[5:]
            if done_id:
                # only its time and place: the account itself may be due again
                day = date_done
            booked[user_id].append(
                planner.Booked(
                    ("done", done_id) if done_id else key,
                    day,
                    days or 0,
                    MODE_LOADS[mode],
                    on_route,
                    areas.get(key[:2], planner.NOWHERE),
                    mode == "on_site",
                    tier_rank,
                    STAGE_NUMBERS.get(stage, NO_RANK),
                )
            )
        return booked

    @api.model
    def _get_areas(self, keys):
        """Return {(account id, lead id): :class:`planner.Area`}; coordinates that are
        no place on earth don't count.

        :param keys: pairs of ids, 0 for none
        """
        keys = set(keys)
        names = ["country_id", "zip", "city"]
        partners = (
            self.env["res.partner"]
            .sudo()
            .with_context(active_test=False)
            .search_fetch(
                [("id", "in", [partner_id for partner_id, _ in keys if partner_id])],
                [*names, "partner_latitude", "partner_longitude"],
            )
        )
        leads = (
            self.env["crm.lead"]
            .sudo()
            .with_context(active_test=False)
            .search_fetch([("id", "in", [id_ for _, id_ in keys if id_])], names)
        )
        areas = {}
        for partner in partners:
            place = (partner.partner_latitude, partner.partner_longitude)
            if abs(place[0]) > 90 or abs(place[1]) > 180:
                place = (0.0, 0.0)
            areas[partner.id, 0] = self._get_area(partner, *place)
        for lead in leads:
            areas[0, lead.id] = self._get_area(lead)
        return areas

    @api.model
    def _get_area(self, record, latitude=0.0, longitude=0.0):
        return planner.Area(
            latitude,
            longitude,
            record.country_id.id or 0,
            (record.zip or "").replace(" ", ""),
            record.city or "",
        )

    @api.model
    def _choose_targets(self, company, plans):
        """Name in ``plans`` whom to see: the required cell of the tier that was seen
        longest ago, and its contact. A fixed number of queries."""
        tiers = self.env["key.account.tier"].sudo()
        cells_by_tier = {
            tier.id: [
                (cell.role_id.id or None, cell.decision_level or None)
                for cell in tier.cell_ids
            ]
            for tier in tiers.browse(
                {plan["tier_id"] for plan in plans} - {None, False}
            )
        }
        partner_ids = {
            plan["partner_id"]
            for plan in plans
            if plan["partner_id"] and cells_by_tier.get(plan["tier_id"])
        }
        if not partner_ids:
            return
        contacts = self._get_target_contacts(company, partner_ids)
        for plan in plans:
            target = plan["partner_id"] and buying_center.choose_target(
                cells_by_tier.get(plan["tier_id"], []),
                contacts[plan["partner_id"]],
                executive=plan["track"] == "executive",
            )
            if target:
                (role_id, level), contact = target
                plan["target_role_id"] = role_id
                plan["target_level"] = level
                plan["target_contact_id"] = contact and contact.id

    @api.model
    def _get_target_contacts(self, company, partner_ids):
        """Return {account id: contacts that can be met}."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                WITH todays (company_id, today) AS (VALUES (%(company)s, %(today)s))
                SELECT contact.commercial_partner_id, contact.id,
                       ARRAY(SELECT role_id FROM key_account_buying_role_partner_rel
                              WHERE partner_id = contact.id),
                       contact.decision_level,
                       (SELECT MAX(visit.date_done)
                          FROM key_account_visit_contact_rel rel
                          JOIN key_account_visit visit ON visit.id = rel.visit_id
                         WHERE rel.contact_id = contact.id
                           AND visit.state = 'done'
                           AND visit.company_id = todays.company_id)
                  FROM res_partner contact
                  JOIN todays ON TRUE
                 WHERE contact.commercial_partner_id = ANY(%(partners)s)
                   AND (contact.decision_level IS NOT NULL OR EXISTS (
                        SELECT FROM key_account_buying_role_partner_rel rel
                         WHERE rel.partner_id = contact.id))
                   AND %(present)s
                """,
                company=company.id,
                today=self._get_user_today(self.env["res.users"], company),
                partners=list(partner_ids),
                present=self.env[
                    "key.account.relationship.criterion"
                ]._get_present_sql(),
            )
        )
        contacts = defaultdict(list)
        for account_id, contact_id, roles, level, last_met in rows:
            contacts[account_id].append(
                buying_center.Contact(contact_id, frozenset(roles), level, last_met)
            )
        return contacts

    def _write_summaries(self, plans):
        """Put the reasons in words, in the language of each salesperson."""
        texts = {}
        # all at once, as the reasons below need them
        self.env["key.account.loss"].browse(
            {plan["loss_id"] for plan in plans if plan["loss_id"]}
        ).mapped("reason_id.name")
        for plan in plans:
            user = self.env["res.users"].browse(plan["user_id"] or [])
            lang = user.lang or self.env.lang
            reason = (
                plan["cadence_id"],
                plan["tier_id"],
                plan.pop("own_days"),
                plan.pop("last_done"),
                plan["loss_id"],
            )
            if (lang, reason) not in texts:
                visits = self.with_context(lang=lang)
                texts[lang, reason] = visits._get_summary(*reason)
            plan["summary"] = texts[lang, reason]

    def _get_summary(self, line_id, tier_id, own_days, last_done, loss_id):
        """Return why a visit is planned, such as "Key account, weekly; last visit
        12 Nov"."""
        if loss_id:
            # sudo: whoever may plan the visit may say why
            loss = self.env["key.account.loss"].sudo().browse(loss_id)
            return self.env._(
                "Win back; lost %(date)s (%(reason)s)",
                date=self._format_short(loss.date),
                reason=loss.reason_id.name,
            )
        tier = self.env["key.account.tier"].browse(tier_id or [])
        line = self.env["key.account.cadence"].browse(line_id)
        interval = line._get_interval_text(own_days)
        if line.track == "executive":
            interval = self.env._("executive visit %s", interval)
        start = f"{tier.name}, {interval}" if tier else interval
        call = line.track == "contact"
        if not last_done:
            if call:
                return self.env._("%(start)s; no call yet", start=start)
            return self.env._("%(start)s; not visited yet", start=start)
        day = self._format_short(last_done)
        if call:
            return self.env._("%(start)s; last call %(date)s", start=start, date=day)
        return self.env._("%(start)s; last visit %(date)s", start=start, date=day)

    @api.model
    def _format_short(self, day):
        """Return a day as in "12 Nov", with the year if it was another one."""
        this_year = fields.Date.context_today(self).year
        return format_date(
            self.env,
            day,
            date_format="d MMM" if day.year == this_year else "d MMM y",
        )

    def _plan_activities(self, plans):
        """Create the activities of ``plans``; return values of the visits with them.

        Before the visits, so that neither needs an UPDATE; what core would compute
        and write afterwards is given along.
        """
        lines = self.env["key.account.cadence"].sudo()
        types = {
            key: lines.browse(key[0])._get_activity_type(key[1]).id
            for key in {(plan["cadence_id"], plan["track"]) for plan in plans}
        }
        Users = self.env["res.users"].sudo()
        models = {"partner_id": "res.partner", "lead_id": "crm.lead"}
        model_ids = {
            column: self.env["ir.model"]._get_id(model)
            for column, model in models.items()
        }
        names = {}
        for column, model in models.items():
            records = (
                self.env[model]
                .sudo()
                .browse({plan[column] for plan in plans if plan[column]})
            )
            names[column] = {record.id: record.display_name for record in records}
        vals_list = []
        summaries = self._get_planned_summaries(plans)
        for plan_number, plan in enumerate(plans):
            column = "partner_id" if plan["partner_id"] else "lead_id"
            vals_list.append(
                {
                    "res_model_id": model_ids[column],
                    # else core makes a new record of each to know it
                    "res_model": models[column],
                    "res_id": plan[column],
                    "res_name": names[column][plan[column]],
                    "activity_type_id": types[plan["cadence_id"], plan["track"]],
                    "summary": summaries[plan_number],
                    "note": False,
                    "date_deadline": plan["date_planned"],
                    "user_id": plan["user_id"],
                    "user_tz": Users.browse(plan["user_id"] or []).tz,
                    "automated": True,
                    "is_key_account_visit": True,
                }
            )
        activities = (
            self.env["mail.activity"]
            .sudo()
            .with_context(mail_activity_quick_update=True)
            .create(vals_list)
        )
        return [
            {
                **plan,
                "activity_id": activity.id,
                "mode": TRACK_MODES[plan["track"]],
            }
            for plan, activity in zip(plans, activities, strict=True)
        ]

    def _get_planned_summaries(self, plans):
        """Return the activities' summaries: the reason and whom to see."""
        contacts = self.env["res.partner"].sudo()
        # all names by one query
        contacts.browse(
            {
                plan["target_contact_id"]
                for plan in plans
                if plan.get("target_contact_id")
            }
        ).mapped("name")
        summaries = []
        for plan in plans:
            user = self.env["res.users"].browse(plan["user_id"] or [])
            visits = self.with_context(lang=user.lang or self.env.lang)
            target = visits._get_target_text(
                contacts.browse(plan.get("target_contact_id") or []),
                visits.env["key.account.buying.role"].browse(
                    plan.get("target_role_id") or []
                ),
                plan.get("target_level"),
            )
            summaries.append(
                "; ".join(text for text in (plan["summary"], target) if text)
            )
        return summaries

    def _create_batch(self, company, plans):
        """Create visits. Those that another transaction has planned in the meantime
        are left out: the unique indexes tell."""
        visits = self.sudo().with_company(company)
        try:
            # The conflict is expected: no error in the server's log.
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                return visits.create(visits._plan_activities(plans))
        except (
            psycopg2.errors.UniqueViolation,
            psycopg2.errors.SerializationFailure,
            UserError,
        ) as error:
            if len(plans) == 1:
                # Planned by somebody else, or archived, since we looked.
                _logger.info("A visit was left out: %s", error)
                return visits.browse()
        made = visits.browse()
        for plan in plans:
            made |= self._create_batch(company, [plan])
        return made

    @api.model
    def _get_user_teams(self, company, users):
        """Return {user id: team}, for those who left also their former team."""
        members = (
            self.env["crm.team.member"]
            .sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("user_id", "in", users.ids),
                    ("crm_team_id.company_id", "in", [company.id, False]),
                ],
                order="active, id desc",
            )
        )
        return {member.user_id.id: member.crm_team_id for member in members}
