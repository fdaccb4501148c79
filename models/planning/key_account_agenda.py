import logging
from collections import defaultdict
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple

import pytz

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, float_round
from odoo.tools.date_utils import float_to_time
from odoo.tools.intervals import Intervals

from ...const import NO_RANK, STAGE_NUMBERS
from ...engine import cadence as engine
from ...engine import planner
from ..account import bounds, clock
from ..account.key_account_mixin import get_account_keys
from ..account.receiving import get_receiving
from .key_account_cadence import CALL_TRACKS

_logger = logging.getLogger(__name__)

# How much of a day's capacity a visit takes: four calls are as long as a visit.
MODE_LOADS = {
    "on_site": planner.VISIT_LOAD,
    "online": planner.VISIT_LOAD,
    "phone": planner.CALL_LOAD,
    "mail": planner.CALL_LOAD,
}
UNLIMITED = 10**9
NOON = time(12)
# Hours without fixed times are worked from Monday to Friday.
WEEKDAYS = range(5)
# Of who has no working hours at all, in a company that has none either
HOURS_PER_DAY = 8.0
# Meetings may last until the end of all calendars, where no time zone follows.
FIRST_MOMENT = datetime.combine(bounds.FIRST_DAY, datetime.min.time())
LAST_MOMENT = datetime.combine(bounds.LAST_DAY, datetime.min.time()) + timedelta(2)


class WorkingTime(NamedTuple):
    """When somebody works, in the time zone ``tz``."""

    tz: object
    # pairs of aware datetimes, in order, none of them beyond midnight
    slots: list
    # {date: hours of a full working day}
    full_days: dict


class Schedule(NamedTuple):
    """Working hours that are in force from one day to another, in a time zone; an empty
    calendar: no fixed ones."""

    calendar: models.Model
    tz: object
    first: date
    last: date


def _split_at_midnight(begin, end, tz):
    """Return the parts of an interval in the time zone ``tz``, one per day."""
    begin, end = begin.astimezone(tz), end.astimezone(tz)
    bounds = [begin]
    day = begin.date() + timedelta(days=1)
    while day <= end.date():
        midnight = tz.localize(datetime.combine(day, datetime.min.time()))
        if midnight < end:
            bounds.append(midnight)
        day += timedelta(days=1)
    return pairwise([*bounds, end])


def _has_hours(line):
    """Return whether a line of working hours has hours that a day has."""
    try:
        return float_to_time(line.hour_from) <= float_to_time(line.hour_to)
    except (OverflowError, ValueError):
        return False


def _get_bounds(tz, first, last):
    """Return the beginning of the day ``first`` and the end of ``last`` in ``tz``."""
    return (
        tz.localize(datetime.combine(first, datetime.min.time())),
        tz.localize(datetime.combine(last, datetime.max.time())),
    )


class KeyAccountAgenda(models.AbstractModel):
    """Time: on which days and hours salespeople work, what takes these hours, and what
    is planned for their days already."""

    _name = "key.account.agenda"
    _description = "Agenda of Salespeople"

    @api.model
    def _get_working_days(self, users, company, start, end):
        """Return {user id: set of dates} of the days from ``start`` to ``end`` on which
        the users work; see :meth:`_get_working_times`."""
        return {
            user_id: {begin.date() for begin, _ in work.slots}
            for user_id, work in self._get_working_times(
                users, company, start, end
            ).items()
        }

    @api.model
    def _get_busy_hours(self, users, company, start, end, times=None):
        """Return {user id: {date: hours}}: working hours of the days from ``start`` to
        ``end``, in the users' time zones, that meetings take.

        Meetings count that show the user as busy and that the user attends, or
        organizes without being on the list, and hasn't declined. Those of the user's
        own visits don't: the visit itself takes the time. Meetings at the same time
        count once. A fixed number of queries, and a few per calendar and time zone.

        :param dict times: what :meth:`_get_working_times` returned, if it is known
        """
        times = times or self._get_working_times(users, company, start, end)
        busy = self._get_busy_intervals(users, company, start, end)
        return {
            user_id: self._sum_hours(
                part
                for begin, stop, _ in Intervals((*slot, self) for slot in work.slots)
                & busy.get(user_id, Intervals())
                for part in _split_at_midnight(begin, stop, work.tz)
            )
            for user_id, work in times.items()
        }

    @api.model
    def _get_day_capacities(self, users, company, start, end):
        """Return {user id: {date: visits}} of the days on which the users work: the
        daily capacity, less where a day is short or meetings take a part of it."""
        capacities = self.env["crm.team.member"]._get_daily_capacities(users, company)
        times = self._get_working_times(users, company, start, end)
        busy = self._get_busy_hours(users, company, start, end, times)
        result = {}
        for user_id, work in times.items():
            result[user_id] = {}
            for day, hours in self._sum_hours(work.slots).items():
                free = hours - busy[user_id].get(day, 0)
                full = work.full_days[day]
                share = min(free / full, 1) if full else 0
                # in quarters of a visit: so long is a call
                result[user_id][day] = float_round(
                    capacities[user_id] * share,
                    precision_rounding=1 / planner.VISIT_LOAD,
                )
        return result

    @api.model
    def _sum_hours(self, slots):
        """Return {date: hours} of pairs of datetimes, none of them beyond midnight."""
        hours = defaultdict(float)
        for begin, end in slots:
            hours[begin.date()] += (end - begin).total_seconds() / 3600
        return {
            day: float_round(value, precision_digits=4) for day, value in hours.items()
        }

    @api.model
    def _get_working_times(self, users, company, start, end):
        """Return {user id: :class:`WorkingTime`} from ``start`` to ``end``, both days
        included, in the users' own time zones: leaves and public holidays are out.

        Working hours are those that Odoo has for each day: a contract that ends or
        another one to come counts from its day on. Without fixed times, because the
        hours are flexible or there are none, one works from Monday to Friday.

        ``False`` stands for nobody: the company's calendar. A few queries per calendar,
        period and time zone, not per user.
        """
        resources = {False: self.env["resource.resource"].sudo()}
        zones = clock.get_timezones(company, users)
        branches = company._get_key_account_branches().ids
        for user in users.sudo():
            # here before in a branch, there before elsewhere
            own = user.resource_ids.filtered(
                lambda resource: resource.company_id.id in branches
            ).sorted(lambda resource: branches.index(resource.company_id.id))
            resources[user.id] = (own or user.resource_ids)[:1]
        by_zone = defaultdict(resources[False].browse)
        for user_id, tz in zones.items():
            by_zone[tz] |= resources[user_id]
        schedules = {
            tz: self._get_schedules(group, company, tz, start, end)
            for tz, group in by_zone.items()
        }
        groups = defaultdict(resources[False].browse)
        for user_id, tz in zones.items():
            for period in schedules[tz][resources[user_id]]:
                groups[period] |= resources[user_id]
        slots = {
            period: self._get_slots(period, company, group)
            for period, group in groups.items()
        }
        result = {}
        for user_id, tz in zones.items():
            work = WorkingTime(tz, [], {})
            for period in schedules[tz][resources[user_id]]:
                own_slots = slots[period][resources[user_id].id]
                work.slots.extend(own_slots)
                work.full_days.update(
                    dict.fromkeys(
                        (begin.date() for begin, _ in own_slots),
                        self._get_full_day(period.calendar, company),
                    )
                )
            result[user_id] = work
        return result

    @api.model
    def _get_schedules(self, resources, company, tz, start, end):
        """Return {resource: the :class:`Schedule` of each period from ``start`` to
        ``end`` in which it works}; without a resource, that of the company.

        Core says in which periods somebody has a contract, where contracts are kept,
        and which hours are in force on a day. For most the answer is one period.
        """
        nobody = resources.browse()
        calendar = company.sudo().resource_calendar_id
        result = {nobody: [Schedule(calendar, tz, start, end)]}
        begin, stop = _get_bounds(tz, start, end)
        valid = resources._get_calendars_validity_within_period(
            begin, stop, default_company=company.sudo()
        )
        calendars = resources._get_calendar_at(begin, tz)
        contracts = {}
        for resource in resources:
            spans = [
                span[:2] for spans in valid[resource.id].values() for span in spans
            ]
            if spans == [(begin, stop)]:
                result[resource] = [Schedule(calendars[resource], tz, start, end)]
            else:
                contracts[resource] = spans
                result[resource] = []
        changing = nobody.union(*contracts)
        for number in range((end - start).days + 1) if changing else ():
            day = start + timedelta(days=number)
            noon = tz.localize(datetime.combine(day, NOON))
            calendars = changing._get_calendar_at(noon, tz)
            for resource, spans in contracts.items():
                if not any(first <= noon <= last for first, last in spans):
                    continue
                calendar, periods = calendars[resource], result[resource]
                previous = periods[-1] if periods else None
                is_same = previous and previous.calendar == calendar
                if is_same and previous.last == day - timedelta(days=1):
                    periods[-1] = previous._replace(last=day)
                else:
                    periods.append(Schedule(calendar, tz, day, day))
        return result

    @api.model
    def _get_slots(self, schedule, company, resources):
        """Return {resource id: pairs of datetimes} of the times at which ``resources``
        work by one schedule; ``False`` stands for none of them."""
        slots = {}
        by_employer = resources.grouped(lambda resource: resource.company_id or company)
        for employer in company | company.union(*by_employer):
            intervals = self._get_work_intervals(
                schedule, employer, by_employer.get(employer, resources.browse())
            )
            for resource_id, periods in intervals.items():
                # nobody works for the company that plans
                if resource_id or employer == company:
                    slots[resource_id] = [
                        part
                        for period in periods
                        for part in _split_at_midnight(*period[:2], schedule.tz)
                    ]
        return slots

    @api.model
    def _get_work_intervals(self, schedule, employer, resources):
        """Return {resource id: intervals} of the same for those who work for
        ``employer``, whose holidays they have, whichever company sends them to its
        customers."""
        # Somebody's own leaves, and holidays: core leaves out those of other companies
        # for resources only, and those of other working hours for calendars only.
        holidays = [("company_id", "in", [employer.id, False])]
        if not schedule.calendar:
            holidays.append(("calendar_id", "=", False))
        domain = Domain("time_type", "=", "leave") & (
            Domain("resource_id", "!=", False) | Domain(holidays)
        )
        try:
            return self._ask_work_intervals(schedule, employer, resources, domain)
        except (OverflowError, ValueError):
            # One line, or one leave, would cost everybody the plan.
            return self._ask_around(schedule, employer, resources, domain)

    @api.model
    def _ask_around(self, schedule, employer, resources, domain):
        """Return the same where core can't reckon with a leave or a line of the
        working hours.

        A leave until further notice, as 9999-12-31 says it, is one day more in other
        time zones: it is cut where calendars end. A line whose hours no day has, which
        came by import, doesn't count, and is named in the log.
        """
        calendar = schedule.calendar
        lines = calendar.attendance_ids.filtered(_has_hours)
        if lines != calendar.attendance_ids:
            _logger.warning(
                "Lines %s of the working hours %s (%s) have hours that no day has, and "
                "don't count",
                (calendar.attendance_ids - lines).ids,
                calendar.id,
                calendar.name,
            )
        endless = Domain("date_from", "<", FIRST_MOMENT) | Domain(
            "date_to", ">", LAST_MOMENT
        )
        work = self._ask_work_intervals(
            schedule, employer, resources, domain & ~endless, lines
        )
        away = self._get_endless_leaves(schedule, resources, domain & endless)
        return {id_: periods - away[id_] for id_, periods in work.items()}

    @api.model
    def _ask_work_intervals(self, schedule, employer, resources, domain, lines=None):
        """Return what core says for :meth:`_get_work_intervals`.

        :param domain: leaves to leave out
        :param lines: of the working hours, those that count; default: all
        """
        calendar, tz = schedule.calendar, schedule.tz
        begin, stop = _get_bounds(tz, schedule.first, schedule.last)
        arguments = {"resources": resources, "domain": list(domain), "tz": tz}
        is_fixed = calendar and not calendar.flexible_hours
        if is_fixed and lines is None:
            return calendar._work_intervals_batch(begin, stop, **arguments)
        leaves = calendar._leave_intervals_batch(begin, stop, **arguments)
        if is_fixed:
            arguments["domain"] = [("id", "in", lines.ids)]
            hours = calendar._attendance_intervals_batch(begin, stop, **arguments)
        else:
            weekdays = Intervals(self._get_flexible_slots(schedule, employer))
            hours = dict.fromkeys(leaves, weekdays)
        return {
            resource_id: hours[resource_id] - away
            for resource_id, away in leaves.items()
        }

    @api.model
    def _get_endless_leaves(self, schedule, resources, domain):
        """Return {resource id: intervals} of the leaves of ``domain``, of each those
        that core takes for its own; ``False`` stands for none of them."""
        if schedule.calendar:
            domain &= Domain("calendar_id", "in", [False, schedule.calendar.id])
        periods = {resource.id: [] for resource in (*resources, resources.browse())}
        # sudo: only the time is told
        for leave in self.env["resource.calendar.leaves"].sudo().search(domain):
            begin, end = (
                pytz.utc.localize(min(max(moment, FIRST_MOMENT), LAST_MOMENT))
                for moment in (leave.date_from, leave.date_to)
            )
            period = (begin.astimezone(schedule.tz), end.astimezone(schedule.tz), leave)
            for resource in (*resources, resources.browse()):
                if leave.resource_id:
                    is_own = leave.resource_id == resource
                else:
                    is_own = not resource or resource.company_id == leave.company_id
                if is_own:
                    periods[resource.id].append(period)
        return {id_: Intervals(found) for id_, found in periods.items()}

    @api.model
    def _get_flexible_slots(self, schedule, company):
        """Return intervals for hours without fixed times: around noon, where core has
        them too. Core fills seven days from the first one that is asked for, weekends
        included."""
        calendar = schedule.calendar
        hours = self._get_full_day(calendar, company)
        if calendar.full_time_required_hours:
            hours = min(hours, calendar.full_time_required_hours / len(WEEKDAYS))
            hours = max(hours, 0)
        half = timedelta(hours=hours / 2)
        days = (
            schedule.first + timedelta(days=number)
            for number in range((schedule.last - schedule.first).days + 1)
        )
        return [
            (
                schedule.tz.localize(datetime.combine(day, NOON) - half),
                schedule.tz.localize(datetime.combine(day, NOON) + half),
                self,
            )
            for day in days
            if half and day.weekday() in WEEKDAYS
        ]

    @api.model
    def _get_full_day(self, calendar, company):
        """Return the hours of a full working day. Odoo takes any number for it: what a
        day can't have says nothing, but flexible hours of none are none."""
        calendar = calendar or company.sudo().resource_calendar_id
        hours = calendar.hours_per_day
        if 0 < hours <= 24 or not hours and calendar.flexible_hours:
            return hours
        return HOURS_PER_DAY

    @api.model
    def _get_busy_intervals(self, users, company, start, end, own_visits=False):
        """Return {user id: intervals} of what is in the users' calendars, in their own
        time zones; see :meth:`_get_busy_hours`. Two queries and their prefetches.

        :param bool own_visits: also the meetings of the users' own visits
        """
        # sudo: nothing else of the users is told
        users = users.sudo()
        partner_users = defaultdict(users.browse)
        for user in users:
            partner_users[user.partner_id] |= user
        events = self._get_busy_events(users, start, end)
        visiting = set()
        if not own_visits:
            visiting = {
                (event.id, user.id)
                for event, user in self.env["key.account.visit"]
                .sudo()
                ._read_group(
                    [("calendar_event_id", "in", events.ids)],
                    ["calendar_event_id", "user_id"],
                )
            }
        zones = clock.get_timezones(company, users)
        intervals = defaultdict(list)
        for event in events:
            declined = event.attendee_ids.filtered(
                lambda attendee: attendee.state == "declined"
            ).partner_id
            # who organizes may not be on the list, and doesn't attend after declining
            people = event.partner_ids | event.attendee_ids.partner_id
            people |= event.user_id.partner_id
            for partner in people - declined:
                for user in partner_users.get(partner, ()):
                    if (event.id, user.id) not in visiting:
                        intervals[user.id].append(
                            (*self._get_event_period(event, zones[user.id]), self)
                        )
        return {user_id: Intervals(periods) for user_id, periods in intervals.items()}

    @api.model
    def _get_busy_events(self, users, start, end):
        """Return the meetings of the users from ``start`` to ``end``, wherever on earth
        these days are."""
        begin = datetime.combine(start, datetime.min.time()) - timedelta(days=1)
        stop = datetime.combine(end, datetime.max.time()) + timedelta(days=1)
        # sudo: only the time is taken from others' calendars
        return (
            self.env["calendar.event"]
            .sudo()
            .search(
                [
                    ("start", "<", stop),
                    ("stop", ">", begin),
                    ("show_as", "=", "busy"),
                    "|",
                    ("partner_ids", "in", users.partner_id.ids),
                    ("user_id", "in", users.ids),
                ]
            )
        )

    @api.model
    def _get_event_period(self, event, tz):
        """Return begin and end of a meeting in the time zone ``tz``. One that takes all
        day does so wherever its people are."""
        moments = event.start, event.stop
        if event.allday:
            begin, stop = (
                datetime.combine(day, datetime.min.time())
                for day in (event.start_date, event.stop_date)
            )
            moments = begin, min(stop, LAST_MOMENT) + timedelta(days=1)
        begin, stop = (
            min(max(moment, FIRST_MOMENT), LAST_MOMENT) for moment in moments
        )
        if event.allday:
            return tz.localize(begin), tz.localize(stop)
        return tuple(
            pytz.utc.localize(moment).astimezone(tz) for moment in (begin, stop)
        )

    @api.model
    def _get_todays(self, company, users, today=None):
        """Return {user id: today there}; None stands for nobody."""
        return {
            user_id or None: today or datetime.now(tz).date()
            for user_id, tz in clock.get_timezones(company, users).items()
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
        nearness = company._get_key_account_nearness()
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
                nearness,
            )
            for user_id, today in todays.items()
        }

    @api.model
    def _get_booked(self, users, with_areas=False):
        """Return {user id: list of :class:`planner.Booked`} of what is planned for
        ``users``, in every company: they have one agenda. What they did today took its
        time too, and they were there: the job runs in the middle of somebody's day."""
        self.env.flush_all()
        rows = self.env.execute_query_dict(
            SQL(
                """
                SELECT visit.id, visit.user_id, visit.partner_id, visit.lead_id,
                       visit.company_id, visit.track, visit.state, visit.date_planned,
                       visit.date_done, visit.mode, visit.engagement_stage,
                       COALESCE(due.days, 0) AS days,
                       COALESCE(line.on_route AND visit.loss_id IS NULL
                                AND visit.track != ALL(%s), FALSE) AS on_route,
                       COALESCE(tier.sequence, %s) AS tier_rank,
                       card.receiving_hours
                  FROM key_account_visit visit
                  LEFT JOIN key_account_tier tier ON tier.id = visit.tier_id
                  LEFT JOIN key_account_cadence line ON line.id = visit.cadence_id
                  LEFT JOIN key_account_due due ON due.visit_id = visit.id
                  LEFT JOIN key_account card
                         ON card.partner_id = visit.partner_id
                        AND card.company_id = visit.company_id
                 WHERE visit.user_id = ANY(%s)
                   AND (visit.state = 'planned'
                        OR visit.state = 'done' AND visit.date_done >= %s)
                """,
                CALL_TRACKS,
                NO_RANK,
                users.ids,
                # where the day begins last
                fields.Date.today() - timedelta(days=1),
            )
        )
        keys = get_account_keys(rows)
        areas = self._get_areas(key[:2] for key in keys) if with_areas else {}
        booked = defaultdict(list)
        for key, row in zip(keys, rows, strict=True):
            # of what is done only time and place: the account itself may be due again
            done = row["state"] == "done"
            booked[row["user_id"]].append(
                planner.Booked(
                    ("done", row["id"]) if done else key,
                    row["date_done"] if done else row["date_planned"],
                    row["days"],
                    MODE_LOADS[row["mode"]],
                    row["on_route"],
                    areas.get(key[:2], planner.NOWHERE),
                    row["mode"] == "on_site",
                    row["tier_rank"],
                    STAGE_NUMBERS.get(row["engagement_stage"], NO_RANK),
                    get_receiving(row["receiving_hours"], row["mode"]),
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
