from collections import defaultdict
from datetime import timedelta

from odoo import api, models
from odoo.tools import split_every

from ...const import BATCH_SIZE, NIGHT_BATCH
from ...engine import planner
from ..account import bounds, clock
from .key_account_cadence import TRACKS

TRACK_KEYS = [key for key, _ in TRACKS]
# A night comes back to accounts that somebody is working on.
NIGHT_ROUNDS = 3


class KeyAccountPlanner(models.AbstractModel):
    """The generator: what is due, for whom, on which day. The order of a planning, and
    the choice of days; what is due says ``key.account.due``, who has time
    ``key.account.agenda``."""

    _name = "key.account.planner"
    _description = "Planner of Visits"

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
        company = (company or self.env.company)._get_key_account_home()
        self = self.sudo()
        partner_ids = lead_ids = None
        if partners is not None:
            partner_ids = partners.sudo().commercial_partner_id.ids
            lead_ids = []
        self._prepare_plan(company, partner_ids, today)
        visits = self._plan(company, TRACK_KEYS, partner_ids, lead_ids, today)
        self.env["key.account.escalation"]._escalate(company, partner_ids, today)
        return visits

    @api.model
    def _cron_generate(self):
        """Plan for every company; see :meth:`key.account.night._cron_night`."""
        self.env["key.account.night"]._cron_night(["planning"])

    @api.model
    def _plan_night(self, company, attempts):
        """Plan for all of ``company``, step by step, each in a transaction of its own:
        whoever reports a visit meanwhile waits for a step at most.

        :param attempts: see :class:`..account.attempts.Attempts`
        :return: whether all is planned; False: there was no time
        """
        self._prepare_night(company, attempts)
        if self._plan_agendas(company, attempts) is None:
            return False
        self._end_night(company, attempts)
        return True

    @api.model
    def _prepare_night(self, company, attempts):
        """Bring what is due, and what is planned, up to date before more is planned;
        see :meth:`_plan_night`."""
        self = self.sudo()
        revision = self.env["key.account.plan.revision"]
        # what no event told of: a team's lead, a change in SQL
        attempts(self.env["key.account.due"]._refresh, company, planning=True)
        attempts(self.env["key.account.target"]._freeze, company)
        attempts(self.env["key.account"]._update_engagement_stages, company)
        attempts(self.env["key.account.visit.follow"]._end_substitutions, company)
        for revise in (
            self.env["key.account.visit.repair"]._heal,
            revision._mark_missed,
            revision._close_outdated,
            revision._close_off_route,
        ):
            after = 0
            while after is not None:
                after = attempts(revise, company, after=after)

    @api.model
    def _get_salespeople(self, company):
        """Return the ids of the users for whom something waits, and None for nobody."""
        candidates = self.env["key.account.plan.candidates"].sudo()
        return [*candidates._get_users(company).ids, None]

    @api.model
    def _plan_agendas(self, company, attempts, salespeople=None):
        """Plan what is due; see :meth:`_plan_night`. One salesperson's days are no
        other one's: whoever plans for some at a time plans the same.

        :param salespeople: ids of the users to plan for, None among them stands for
            nobody; default: all, and nobody
        :return: the values of visits to those whom somebody was working on all the
            time; None: there was no time
        """
        self = self.sudo()
        values = self.env["key.account.plan.values"]
        plans = attempts(self._get_plans, company, TRACK_KEYS, salespeople=salespeople)
        for _ in range(NIGHT_ROUNDS):
            busy = []
            for batch in split_every(NIGHT_BATCH, plans):
                busy += attempts(values._create_free, company, batch)
                if not attempts.has_time:
                    return None
            plans = busy
        return plans

    @api.model
    def _end_night(self, company, attempts):
        """Do what follows when everybody's visits are planned."""
        attempts(self.sudo().env["key.account.escalation"]._escalate, company)

    @api.model
    def _plan_now(self, partners, company):
        """Bring the planned visits of ``partners`` in line with the cadence at once,
        however far away they are: somebody has just decided about the customers."""
        if company.key_account_planning:
            planning = self.sudo()
            planning.env["key.account.plan.revision"]._close_outdated(
                company, partners.ids
            )
            planning._plan(company, TRACK_KEYS, partners.ids, [], horizon=False)

    @api.model
    def _plan_received(self, partners, company):
        """Plan for ``partners`` by the hours at which they receive now: what can't be
        on its day any more goes on another one, however far away, and what waited
        looks for a day again."""
        if not company.key_account_planning:
            return
        planning = self.sudo()
        visits = planning.env["key.account.plan.revision"]._close_not_received(
            company, partners.ids
        )
        # closing has brought up to date what is due
        moved = visits.partner_id
        waiting = (
            planning.env["key.account.due"]
            .search(
                [
                    ("company_id", "=", company.id),
                    ("partner_id", "in", (partners - moved).ids),
                    ("visit_id", "=", False),
                    ("reason", "!=", False),
                ]
            )
            .partner_id
        )
        if moved:
            planning._plan_due(company, TRACK_KEYS, moved.ids, [], horizon=False)
        if waiting:
            planning._plan_due(company, TRACK_KEYS, waiting.ids, [])

    @api.model
    def _plan_next(self, visits):
        """Plan what follows done visits, however far away it is."""
        for (company, track), group in visits.grouped(
            lambda visit: (visit.company_id, visit.track)
        ).items():
            if company.key_account_planning:
                leads = group.filtered(lambda visit: not visit.partner_id).lead_id
                # writing the visits has brought up to date what is due
                self.sudo()._plan_due(
                    company, [track], group.partner_id.ids, leads.ids, horizon=False
                )

    @api.model
    def _prepare_plan(self, company, partner_ids=None, today=None):
        """Bring what is planned up to date, before more is planned."""
        self.env["key.account"].sudo()._update_engagement_stages(company, partner_ids)
        revision = self.env["key.account.plan.revision"]
        if partner_ids is None:
            self.env["key.account.visit.follow"]._end_substitutions(company, today)
            self.env["key.account.visit.repair"]._heal(company)
        revision._mark_missed(company, partner_ids, today)
        revision._close_outdated(company, partner_ids)
        revision._close_off_route(company, partner_ids, today)

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
        self._refresh_dues(company, partner_ids, lead_ids, today)
        return self._plan_due(company, tracks, partner_ids, lead_ids, today, horizon)

    @api.model
    def _refresh_dues(self, company, partner_ids, lead_ids, today=None):
        """Bring up to date what is due, before it is planned."""
        dues = self.env["key.account.due"].sudo()
        # Whom nobody visited so far is spread from today on.
        is_today = not today or today == clock.get_today(company)
        if partner_ids is None and is_today and dues._is_kept(company):
            # Accounts are up to date after every event; of leads, other addons'
            # documents say on which stage they are.
            dues._refresh(company, [], lead_ids)
        else:
            dues._refresh(
                company, partner_ids, lead_ids, today, planning=partner_ids is None
            )

    @api.model
    def _plan_due(
        self, company, tracks, partner_ids=None, lead_ids=None, today=None, horizon=True
    ):
        """Plan what is due; see :meth:`_plan`."""
        plans = self._get_plans(company, tracks, partner_ids, lead_ids, today, horizon)
        values = self.env["key.account.plan.values"]
        visits = self.env["key.account.visit"].browse()
        for batch in split_every(BATCH_SIZE, plans):
            visits |= values._create_batch(company, batch)
        return visits

    # -------------------------------------------------------------------------
    # Choice of days
    # -------------------------------------------------------------------------

    @api.model
    def _get_plans(
        self,
        company,
        tracks,
        partner_ids=None,
        lead_ids=None,
        today=None,
        horizon=True,
        salespeople=None,
    ):
        """Return the values of the visits to plan, and note why what is due in the
        horizon has no day. Who is asked for is what :class:`key.account.due` says.

        :param partner_ids: accounts to plan for; None: all
        :param lead_ids: leads without account to plan for; None: all
        :param horizon: when False, plan whatever is due, however far away
        :param salespeople: where all accounts and leads are planned, see
            :meth:`_plan_agendas`
        """
        self.env.flush_all()
        agendas = None
        if partner_ids is None and lead_ids is None:
            if salespeople is None or None in salespeople:
                # once
                self.env["key.account.due"]._log_invalid(company)
            days, agendas, todays, closed = self._choose_days_for_all(
                company, tracks, today, salespeople
            )
        else:
            scope = self.env["key.account.due"]._get_scope_sql(partner_ids, lead_ids)
            days = self._choose_days(company, tracks, scope, today, horizon)
        plans = self.env["key.account.plan.values"]._prepare_plans(
            {due_id: {"date_planned": day} for due_id, day in days.items()}
        )
        if agendas:
            # last: people who work on what waits would wait for all of the above
            self.env["key.account.plan.candidates"]._note_reasons(
                company, tracks, agendas, todays, days, closed
            )
        return plans

    @api.model
    def _choose_days(self, company, tracks, scope, today=None, horizon=True):
        """Return {id of a row of what is due: its day} of a few rows, and note why the
        others have none.

        :param scope: condition on the rows
        """
        candidates = self.env["key.account.plan.candidates"]
        agenda_model = self.env["key.account.agenda"]
        wanted = candidates._get_wanted(company, tracks, scope)
        users = self.env["res.users"].browse({row.user_id for row in wanted} - {None})
        todays = agenda_model._get_todays(company, users, today)
        horizon_days = timedelta(days=company.key_account_horizon_days)
        is_near = {
            row.id: row.due.date_due <= todays[row.user_id] + horizon_days
            for row in wanted
        }
        if horizon:
            candidates._note_reason(
                [row.id for row in wanted if not is_near[row.id]], False
            )
            wanted = [row for row in wanted if is_near[row.id]]
        # Planning looks at all days until then: what is further away can wait.
        far = timedelta(days=2 * bounds.MAX_DAYS)
        wanted = [
            row for row in wanted if row.due.date_due <= todays[row.user_id] + far
        ]
        if not wanted:
            return {}
        end = max(max(row.due.date_due, todays[row.user_id]) for row in wanted)
        routed = any(row.due.on_route for row in wanted)
        agendas = agenda_model._get_agendas(company, users, todays, end, routed)
        if routed:
            wanted = candidates._add_areas(wanted)
        slots = self._place(company, wanted, agendas, todays)
        reasons = defaultdict(list)
        for row in wanted:
            slot = slots[row.due.key]
            if not slot.day:
                reasons[is_near[row.id] and slot.reason].append(row.id)
        for reason, ids in reasons.items():
            candidates._note_reason(ids, reason)
        return {
            row.id: slots[row.due.key].day for row in wanted if slots[row.due.key].day
        }

    @api.model
    def _place(self, company, wanted, agendas, todays):
        """Return {account key: :class:`planner.Slot`} of the rows ``wanted``."""
        by_user = _group_by_user(wanted)
        rooms = {}
        for user_id, asked in by_user.items():
            lasts = filter(None, map(agendas[user_id].get_last_day, asked))
            rooms[user_id] = max(lasts, default=None)
        waiting = self.env["key.account.plan.candidates"]._get_competing(
            agendas, rooms, todays, company
        )
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
        return slots

    @api.model
    def _choose_days_for_all(self, company, tracks, today=None, salespeople=None):
        """Return {id of a row of what is due: its day}; the agendas and today's days
        of the salespersons, and the rows whose customers don't receive when there is
        room, by which is noted why the others have none. It looks
        at as many of each salesperson, load and interval as there is room for, the
        earliest due first: whatever comes behind them can neither have a day nor take
        one from others.

        :param salespeople: see :meth:`_plan_agendas`
        """
        candidates = self.env["key.account.plan.candidates"]
        agenda_model = self.env["key.account.agenda"]
        is_whole = salespeople is None
        if is_whole:
            salespeople = self._get_salespeople(company)
        users = self.env["res.users"].browse(filter(None, salespeople))
        todays = agenda_model._get_todays(company, users, today)
        if None not in salespeople:
            del todays[None]
        horizon_days = timedelta(days=company.key_account_horizon_days)
        groups = candidates._get_groups(
            {
                user_id: {company.id: day + horizon_days}
                for user_id, day in todays.items()
            }
        )
        if is_whole and not groups:
            return {}, None, None, []
        routed = any(group.on_route for group in groups)
        end = max(todays.values()) + horizon_days
        agendas = agenda_model._get_agendas(company, users, todays, end, routed)
        rooms = self._get_rooms(groups, agendas, todays)
        wanted = candidates._get_earliest(
            [group for group in groups if not group.on_route], agendas, rooms
        )
        wanted = [row for row in wanted if row.due.key[3] in tracks]
        waiting = candidates._get_competing(
            agendas, rooms, todays, company, others=True
        )
        by_user = _group_by_user(wanted)
        days, closed = {}, set()
        for user_id, last in rooms.items():
            slots = agendas[user_id].place(by_user[user_id], waiting[user_id], last)
            days.update((key, slot.day) for key, slot in slots.items() if slot.day)
            closed.update(key for key, slot in slots.items() if slot.reason == "closed")
        if routed:
            placed = [row for row in wanted if row.due.key in days]
            for row in candidates._add_areas(placed):
                agendas[row.user_id].anchor(row.due, days[row.due.key])
            nearby = candidates._get_nearby(company, tracks, agendas, todays)
            wanted += nearby
            for user_id, asked in _group_by_user(nearby).items():
                slots = agendas[user_id].place_nearby(asked)
                days.update(slots)
                closed.update(
                    due.key
                    for due in asked
                    if due.key not in slots and agendas[user_id].is_closed(due)
                )
        chosen = {row.id: days[row.due.key] for row in wanted if row.due.key in days}
        return (
            chosen,
            agendas,
            todays,
            [row.id for row in wanted if row.due.key in closed],
        )

    @api.model
    def _get_rooms(self, groups, agendas, todays):
        """Return {user id: end of the longest window of what waits}."""
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
        return rooms


def _group_by_user(wanted):
    by_user = defaultdict(list)
    for row in wanted:
        by_user[row.user_id].append(row.due)
    return by_user
