import random
from datetime import date, datetime, time, timedelta
from unittest.mock import patch

import pytz
from freezegun import freeze_time

from odoo import Command
from odoo.tests import tagged
from odoo.tools.intervals import Intervals

from ..common import SALES, TODAY, KeyAccountCommon

AGENDA = "odoo.addons.crm_key_account.models.planning.key_account_agenda"
MONDAY = date(2026, 3, 16)
SUNDAY = date(2026, 3, 29)


def day(number):
    return MONDAY + timedelta(days=number)


def pick(*numbers):
    return [day(number) for number in numbers]


@tagged("post_install", "-at_install")
class TestWorkingTimes(KeyAccountCommon):
    """Two weeks from Monday: 0 to 4 and 7 to 11 are weekdays, 5, 6, 12, 13 aren't."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.standard = cls.company.resource_calendar_id
        cls.resource = cls.env["resource.resource"].create(
            {
                "name": "Rep",
                "user_id": cls.rep.id,
                "company_id": cls.company.id,
                "tz": "UTC",
            }
        )
        cls.short_week = cls._create_calendar(
            "Monday to Wednesday",
            attendance_ids=[
                Command.create(
                    {
                        "name": "Morning",
                        "dayofweek": str(number),
                        "hour_from": 8,
                        "hour_to": 12,
                        "day_period": "morning",
                    }
                )
                for number in range(3)
            ],
        )

    @classmethod
    def _create_calendar(cls, name, **values):
        return cls.env["resource.calendar"].create(
            {
                "name": name,
                "company_id": cls.company.id,
                "tz": "UTC",
                "attendance_ids": [Command.clear()],
                **values,
            }
        )

    @classmethod
    def _create_flexible(cls, hours_per_week=40, hours_per_day=8):
        return cls._create_calendar(
            "Flexible",
            flexible_hours=True,
            full_time_required_hours=hours_per_week,
            hours_per_day=hours_per_day,
        )

    def _keep_contracts(self, contracts):
        """Let core answer as it does where employees have contracts.

        :param contracts: tuples (calendar, first day, last day)
        """
        zone = pytz.utc
        resource_id = self.resource.id

        def get_period(first, last):
            return (
                zone.localize(datetime.combine(first, time.min)),
                zone.localize(datetime.combine(last, time.max)),
                self.env["resource.calendar.attendance"],
            )

        def validity(records, start, end, default_company=None):
            result = plain_validity(records, start, end, default_company)
            if resource_id in records.ids:
                whole = Intervals([(start, end, self.env["resource.calendar"])])
                result[resource_id] = {}
                for calendar, first, last in contracts:
                    period = Intervals([get_period(first, last)]) & whole
                    before = result[resource_id].get(calendar, Intervals())
                    result[resource_id][calendar] = before | period
            return result

        def calendar_at(records, date_target, tz=False):
            result = plain_calendar_at(records, date_target, tz)
            for record in records.filtered(lambda record: record.id == resource_id):
                for calendar, first, last in contracts:
                    if first <= date_target.date() <= last:
                        result[record] = calendar
            return result

        model = type(self.env["resource.resource"])
        plain_validity = model._get_calendars_validity_within_period
        plain_calendar_at = model._get_calendar_at
        for name, method in (
            ("_get_calendars_validity_within_period", validity),
            ("_get_calendar_at", calendar_at),
        ):
            self.enterContext(patch.object(model, name, method))

    def _get_hours(self, user=None, start=MONDAY, end=SUNDAY, company=None):
        user = self.rep if user is None else user
        hours = self._get_working_hours(user, company or self.company, start, end)
        return hours[user.id]

    def _check(self, expected, user=None):
        """Compare the hours of both weeks, and those of each day asked alone: what a
        day is doesn't depend on when it is asked."""
        self.assertEqual(self._get_hours(user), expected)
        for number in range(14):
            alone = self._get_hours(user, day(number), day(number))
            self.assertEqual(alone.get(day(number)), expected.get(day(number)), number)

    def _set_calendar(self, calendar):
        self.resource.calendar_id = calendar

    # --- contracts ------------------------------------------------------------------

    def test_contract_that_ends(self):
        self._keep_contracts([(self.standard, date(2025, 1, 1), day(3))])
        self._check(dict.fromkeys(pick(0, 1, 2, 3), 8))

    def test_contract_to_come(self):
        self._keep_contracts([(self.standard, day(8), date(2030, 1, 1))])
        self._check(dict.fromkeys(pick(8, 9, 10, 11), 8))

    def test_other_hours_to_come(self):
        self._keep_contracts(
            [
                (self.standard, date(2025, 1, 1), day(6)),
                (self.short_week, day(7), date(2030, 1, 1)),
            ]
        )
        self._check(
            {**dict.fromkeys(pick(0, 1, 2, 3, 4), 8), **dict.fromkeys(pick(7, 8, 9), 4)}
        )
        # four hours are all of a day that has no more
        capacities = self.env["key.account.agenda"]._get_day_capacities(
            self.rep, self.company, MONDAY, SUNDAY
        )
        self.assertEqual(
            capacities[self.rep.id], dict.fromkeys(pick(0, 1, 2, 3, 4, 7, 8, 9), 6)
        )

    def test_versions_of_one_contract(self):
        """Where hours change within a contract, core names the calendars of all its
        versions for each of its days: those of the version in force count."""
        self._keep_contracts(
            [
                (self.short_week, date(2025, 1, 1), date(2030, 1, 1)),
                (self.standard, day(7), date(2030, 1, 1)),
            ]
        )
        self._check(
            {
                **dict.fromkeys(pick(0, 1, 2), 4),
                **dict.fromkeys(pick(7, 8, 9, 10, 11), 8),
            }
        )

    def test_gap_between_contracts(self):
        self._keep_contracts(
            [
                (self.standard, date(2025, 1, 1), day(1)),
                (self.standard, day(9), date(2030, 1, 1)),
            ]
        )
        self._check(dict.fromkeys(pick(0, 1, 9, 10, 11), 8))

    def test_from_flexible_to_fixed_hours_and_back(self):
        flexible = self._create_flexible(30)
        self._keep_contracts(
            [
                (flexible, date(2025, 1, 1), day(2)),
                (self.short_week, day(3), day(8)),
                (flexible, day(9), day(10)),
                (self.env["resource.calendar"], day(11), date(2030, 1, 1)),
            ]
        )
        self._check(
            {
                **dict.fromkeys(pick(0, 1, 2, 9, 10), 6),
                **dict.fromkeys(pick(7, 8), 4),
                day(11): 8,
            }
        )

    def test_planning_goes_by_contracts(self):
        """No visit after the last day, and none on days that won't be worked."""
        self.env["key.account.cadence"].search([]).active = False
        self.env["key.account.cadence"].create(
            {"company_id": self.company.id, "interval_unit": "week"}
        )
        self._keep_contracts(
            [
                (self.standard, date(2025, 1, 1), day(6)),
                (self.short_week, day(7), date(2030, 1, 1)),
            ]
        )
        partners = self.env["res.partner"].union(
            *(self._create_partner(f"Customer {number}") for number in range(40))
        )
        self._create_invoices(
            [(partner, 1000, date(2026, 2, 1)) for partner in partners]
        )
        with freeze_time(f"{TODAY} 06:00:00"):
            self.policy._run(TODAY)
            visits = self.Visit._generate(partners, self.company)
        weekdays = {
            visit.date_planned.weekday()
            for visit in visits
            if visit.date_planned > day(6)
        }
        self.assertEqual(weekdays, {0, 1, 2})

    # --- no fixed times ---------------------------------------------------------------

    def test_flexible_hours(self):
        weekdays = pick(0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
        for hours_per_week, hours_per_day, expected in (
            (40, 8, 8),
            (24, 8, 4.8),
            # a day has no more, however many a week
            (56, 8, 8),
            (40, 10, 8),
            (0, 8, 8),
        ):
            with self.subTest(week=hours_per_week, day=hours_per_day):
                self._set_calendar(self._create_flexible(hours_per_week, hours_per_day))
                self._check(dict.fromkeys(weekdays, expected))

    def test_capacity_of_flexible_hours(self):
        """So much of a day is free as it has hours: 6 a day, 4.8 of 8 hours."""
        self._set_calendar(self._create_flexible(24, 8))
        capacities = self.env["key.account.agenda"]._get_day_capacities(
            self.rep, self.company, MONDAY, MONDAY
        )
        self.assertEqual(capacities[self.rep.id], {MONDAY: 3.5})

    def test_hours_that_no_day_has(self):
        """Odoo takes any number for the hours of a day, and of a week."""
        weekdays = pick(0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
        agenda = self.env["key.account.agenda"]
        for hours in (0, -5, 1e9):
            with self.subTest(day=hours):
                self._set_calendar(self.standard)
                self.standard.hours_per_day = hours
                self._check(dict.fromkeys(weekdays, 8))
                capacities = agenda._get_day_capacities(
                    self.rep, self.company, MONDAY, SUNDAY
                )
                self.assertEqual(capacities[self.rep.id], dict.fromkeys(weekdays, 6))
                self._set_calendar(self._create_flexible(40, hours))
                self._check(dict.fromkeys(weekdays, 8) if hours else {})
        self._set_calendar(self._create_flexible(-5, 8))
        self._check({})

    def test_leave_until_further_notice(self):
        """Until 9999-12-31, which is a day later in other time zones. It is of one,
        and all others work."""
        self.rep.tz = self.rep2.tz = "Asia/Tokyo"
        weekdays = pick(0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
        leave = self.env["resource.calendar.leaves"].create(
            {
                "name": "Until further notice",
                "resource_id": self.resource.id,
                # Wednesday begins there
                "date_from": datetime.combine(day(1), time(15)),
                "date_to": datetime(9999, 12, 31, 23, 59, 59),
            }
        )
        flexible = self._create_flexible()
        for calendar in (self.standard, flexible, self.env["resource.calendar"]):
            with self.subTest(calendar.name):
                self._set_calendar(calendar)
                leave.company_id = self.company
                self._check(dict.fromkeys(pick(0, 1), 8))
                self._check(dict.fromkeys(weekdays, 8), self.rep2)
        self._set_calendar(self.standard)
        # somebody else's hours, and everybody's
        leave.write({"resource_id": False, "calendar_id": self.short_week.id})
        self._check(dict.fromkeys(weekdays, 8))
        leave.calendar_id = self.standard
        for user in (self.rep, self.rep2):
            self._check(dict.fromkeys(pick(0, 1), 8), user)

    def test_lines_with_hours_that_no_day_has(self):
        """An import writes them past the form: the other lines count."""
        lines = self.short_week.attendance_ids
        self._set_calendar(self.short_week)
        for values in (
            {"hour_from": -5},
            {"hour_to": 30},
            {"hour_to": 11.9999},
            {"hour_from": 1e300},
        ):
            with self.subTest(**values), self.assertLogs(AGENDA, "WARNING") as logs:
                lines[0].write({"hour_from": 8, "hour_to": 12, **values})
                self._check(dict.fromkeys(pick(1, 2, 8, 9), 4))
            self.assertIn(self.short_week.name, logs.output[0])

    def test_leave_since_ever(self):
        self.rep2.tz = "America/New_York"
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Since ever",
                "calendar_id": self.standard.id,
                "date_from": datetime(1, 1, 1),
                "date_to": datetime.combine(day(10), time(4)),
            }
        )
        self._check(dict.fromkeys(pick(10, 11), 8), self.rep2)

    def test_no_schedule(self):
        self._set_calendar(False)
        weekdays = pick(0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
        self._check(dict.fromkeys(weekdays, 8))
        # as long as others of the company work
        self.standard.hours_per_day = 7
        self._check(dict.fromkeys(weekdays, 7))

    def test_company_without_hours(self):
        weekdays = pick(0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
        self._set_calendar(False)
        self.company.resource_calendar_id = False
        for user in (self.rep, self.rep2, self.env["res.users"]):
            self._check(dict.fromkeys(weekdays, 8), user)

    def test_company_with_flexible_hours(self):
        self.company.resource_calendar_id = self._create_flexible()
        weekdays = pick(0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
        for user in (self.rep2, self.env["res.users"]):
            self._check(dict.fromkeys(weekdays, 8), user)

    def test_hours_that_have_no_days(self):
        """Fixed hours without a line: nobody works."""
        self._set_calendar(self._create_calendar("None"))
        self._check({})

    def test_leaves_without_fixed_times(self):
        """Own leaves and the company's holidays count; those of other hours and of
        other companies don't."""
        other = self._create_company("Elsewhere")

        def leave(number, company=self.company, **values):
            leave = self.env["resource.calendar.leaves"].create(
                {
                    "name": "Leave",
                    "calendar_id": False,
                    "date_from": datetime.combine(day(number), time.min),
                    "date_to": datetime.combine(day(number), time(23, 59, 59)),
                    **values,
                }
            )
            leave.company_id = company
            return leave

        leave(1, resource_id=self.resource.id)
        leave(2)
        leave(3, calendar_id=self.short_week.id)
        leave(4, other)
        away = leave(7, other, resource_id=self.resource.id)
        for calendar in (self._create_flexible(), self.env["resource.calendar"]):
            with self.subTest(calendar.name):
                self._set_calendar(calendar)
                away.company_id = other
                self._check(dict.fromkeys(pick(0, 3, 4, 8, 9, 10, 11), 8))
        self._set_calendar(self.standard)
        away.company_id = other
        self._check(dict.fromkeys(pick(0, 3, 4, 8, 9, 10, 11), 8))

    def test_holidays_of_the_employer(self):
        """Whoever another company, or a branch, employs has that one's holidays, as
        core has it; who is employed nowhere has those of the company that plans."""
        sister = self._create_company("Sister")
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        leaves = self.env["resource.calendar.leaves"]
        for number, company in enumerate((self.company, sister, branch)):
            leaves.create(
                {
                    "name": "Holiday",
                    "calendar_id": False,
                    "date_from": datetime.combine(day(number), time.min),
                    "date_to": datetime.combine(day(number), time(23, 59, 59)),
                }
            ).company_id = company
        rest = pick(3, 4, 7, 8, 9, 10, 11)
        for calendar in (self.standard, self._create_flexible()):
            self._set_calendar(calendar)
            for employer, free in ((self.company, 0), (sister, 1), (branch, 2)):
                with self.subTest(calendar=calendar.name, employer=employer.name):
                    self.resource.company_id = employer
                    days = {*pick(0, 1, 2), *rest} - {day(free)}
                    self._check(dict.fromkeys(sorted(days), 8))
                    days = {*pick(1, 2), *rest}
                    self.assertEqual(self._get_hours(self.rep2).keys(), days)

    def test_employed_here_and_there(self):
        """In the company that plans, else in a branch of it, else elsewhere."""
        sister = self._create_company("Sister")
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        self.resource.company_id = sister
        here = self.resource.copy({"company_id": branch.id})
        here.calendar_id = self.short_week
        self._check(dict.fromkeys(pick(0, 1, 2, 7, 8, 9), 4))
        self.resource.copy({"company_id": self.company.id}).calendar_id = self.standard
        self._check(dict.fromkeys(pick(0, 1, 2, 3, 4, 7, 8, 9, 10, 11), 8))

    def test_where_the_user_is(self):
        """Weekdays are those of the salesperson's time zone."""
        self._set_calendar(False)
        for tz in ("Pacific/Kiritimati", "Pacific/Midway", "America/Los_Angeles"):
            self.rep.tz = tz
            self._check(dict.fromkeys(pick(0, 1, 2, 3, 4, 7, 8, 9, 10, 11), 8))

    def test_planning_without_hours(self):
        """Visits on weekdays, never none, never on weekends, no more than fit."""
        self.env["key.account.cadence"].search([]).active = False
        self.env["key.account.cadence"].create(
            {"company_id": self.company.id, "interval_unit": "week"}
        )
        flexible = self._create_user("ka_flexible", SALES)
        self.env["resource.resource"].create(
            {"name": "Flexible", "user_id": flexible.id, "company_id": self.company.id}
        ).calendar_id = self._create_flexible()
        self._set_calendar(False)
        self.company.resource_calendar_id = False
        users = self.rep | self.rep2 | flexible
        partners = self.env["res.partner"].union(
            *(
                self._create_partner(f"{user.name} {number}", user_id=user.id)
                for user in users
                for number in range(40)
            )
        )
        self._create_invoices(
            [(partner, 1000, date(2026, 2, 1)) for partner in partners]
        )
        with freeze_time(f"{TODAY} 06:00:00"):
            self.policy._run(TODAY)
            visits = self.Visit._generate(partners, self.company)
        for user in users:
            days = visits.filtered(lambda v, user=user: v.user_id == user).mapped(
                "date_planned"
            )
            self.assertTrue(days)
            self.assertEqual([d for d in days if d.weekday() > 4], [])
            self.assertLessEqual(max(map(days.count, days)), 6)

    def test_week_board_without_hours(self):
        self._set_calendar(False)
        self.company.resource_calendar_id = False
        board = self.Visit.with_user(self.rep).get_week_board("2026-03-18")
        self.assertEqual(
            board["days"], [f"2026-03-{number}" for number in range(16, 21)]
        )

    def test_meeting_without_hours(self):
        """The first free hour lies in the middle of the day, not at midnight."""
        self._set_calendar(False)
        visit = self.Visit.create(
            {
                "partner_id": self._create_partner("Customer").id,
                "user_id": self.rep.id,
                "date_planned": "2030-01-07",
            }
        )
        visit.with_user(self.rep).action_schedule_meeting()
        self.assertEqual(visit.calendar_event_id.start, datetime(2030, 1, 7, 8))

    def test_queries(self):
        """The same number of queries for one salesperson and for fifty."""
        users = self.env["res.users"].union(
            *(self._create_user(f"ka_working_{number}", SALES) for number in range(50))
        )
        for user in users:
            self.env["resource.resource"].create(
                {"name": user.name, "user_id": user.id, "company_id": self.company.id}
            )

        def count(users):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self.env["key.account.agenda"]._get_working_times(
                users, self.company, MONDAY, SUNDAY
            )
            return self.cr.sql_log_count - before

        count(users[:1])
        self.assertEqual(count(users[:1]), count(users))

    # --- at random ------------------------------------------------------------------

    def _create_random_calendar(self, rnd, tz):
        kind = rnd.choice(["week", "odd", "night", "two", "flexible", "none"])
        if kind == "none":
            return self.env["resource.calendar"]
        if kind == "flexible":
            calendar = self._create_flexible(rnd.choice([20, 38, 40]), 8)
            calendar.tz = tz
            return calendar
        spans = {"night": [(0, 4), (20, 24)]}.get(kind, [(8, 12), (13, 17)])
        if kind == "odd":
            spans = rnd.sample(spans, rnd.randint(1, 2))
        lines = [
            Command.create(
                {
                    "name": "Hours",
                    "dayofweek": str(number),
                    "hour_from": begin,
                    "hour_to": end,
                    "day_period": "morning" if begin < 12 else "afternoon",
                    "week_type": week_type,
                }
            )
            for week_type in (("0", "1") if kind == "two" else (False,))
            for number in sorted(rnd.sample(range(7), rnd.randint(2, 6)))
            for begin, end in spans
        ]
        return self._create_calendar(
            kind,
            tz=tz,
            two_weeks_calendar=kind == "two",
            attendance_ids=[Command.clear(), *lines],
        )

    def _create_random_leaves(self, rnd, resource):
        tz = pytz.timezone(resource.tz)
        for _ in range(rnd.randint(0, 3)):
            first = day(rnd.randint(0, 27))
            last = first + timedelta(days=rnd.choice([0, 0, 1, 6]))
            begin, end = rnd.choice(
                [
                    (time.min, time(23, 59, 59)),
                    (time(8), time(12)),
                    (time(13), time(17)),
                ]
            )
            begin, end = (
                tz.localize(datetime.combine(*each))
                .astimezone(pytz.utc)
                .replace(tzinfo=None)
                for each in ((first, begin), (last, end))
            )
            self.env["resource.calendar.leaves"].create(
                {
                    "name": "Away",
                    "resource_id": resource.id,
                    "calendar_id": rnd.choice([False, resource.calendar_id.id]),
                    "company_id": self.company.id,
                    "time_type": rnd.choice(["leave", "leave", "other"]),
                    "date_from": begin,
                    "date_to": end,
                }
            )

    def test_calendars_at_random(self):
        """Each day as Odoo itself has it when it is asked for that day alone; without
        fixed hours it names weekends too, on which nobody is sent."""
        rnd = random.Random(11)
        users = self.env["res.users"]
        resources = {}
        for number in range(12):
            tz = rnd.choice(["UTC", "Asia/Tokyo", "America/Los_Angeles"])
            user = self._create_user(f"ka_random_{number}", SALES)
            user.tz = tz
            resources[user] = self.env["resource.resource"].create(
                {
                    "name": user.name,
                    "user_id": user.id,
                    "company_id": self.company.id,
                    "tz": tz,
                    "calendar_id": self._create_random_calendar(rnd, tz).id,
                }
            )
            self._create_random_leaves(rnd, resources[user])
            users |= user
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Holiday",
                "resource_id": False,
                "calendar_id": False,
                "company_id": self.company.id,
                "date_from": "2026-03-24 00:00:00",
                "date_to": "2026-03-25 23:59:59",
            }
        )
        found = self._get_working_hours(users, self.company, MONDAY, day(27))
        for user, resource in resources.items():
            tz = pytz.timezone(user.tz)
            is_fixed = resource.calendar_id and not resource.calendar_id.flexible_hours
            for each in pick(*range(28)):
                periods, _ = resource._get_valid_work_intervals(
                    tz.localize(datetime.combine(each, time.min)),
                    tz.localize(datetime.combine(each, time.max)),
                )
                seconds = sum(
                    (end - begin).total_seconds()
                    for begin, end, _ in periods[resource.id]
                )
                hours = found[user.id].get(each, 0)
                with self.subTest(calendar=resource.calendar_id.name, tz=tz, day=each):
                    if is_fixed:
                        self.assertAlmostEqual(hours, seconds / 3600, 2)
                    else:
                        works = seconds > 60 and each.weekday() < 5
                        self.assertEqual(hours > 0.02, works)
