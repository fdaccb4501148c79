import random
from collections import Counter, defaultdict
from datetime import date, datetime, time, timedelta

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time

from odoo import Command
from odoo.tests import tagged

from ...models.account import clock
from ..common import SALES, KeyAccountCommon

START = date(2026, 1, 1)
DAYS = 365
CAPACITY = 4
HORIZON = 14
# tier code: number of accounts, interval in weeks
MIX = {"A": (60, 2), "B": (220, 4), "C": (20, 8)}
HOLIDAYS = {
    "Europe/Vienna": [
        *((1, 1), (1, 6), (4, 6), (5, 1), (5, 14)),
        *((5, 25), (6, 4), (10, 26), (12, 8), (12, 25)),
    ],
    "America/Chicago": [
        *((1, 1), (1, 19), (2, 16), (5, 25)),
        *((7, 3), (9, 7), (11, 26), (12, 25)),
    ],
}
LEFT = date(2026, 5, 15)
HANDED_OVER = date(2026, 5, 22)
# Twenty key accounts become ordinary ones in the middle of a month.
RETIERED = date(2026, 9, 16)


@tagged("post_install", "-at_install")
class TestYear(KeyAccountCommon):
    """A year of 300 accounts and six reps in two countries, planned every night: four
    of five visits are done, one in ten is moved, one in twenty cancelled, the others
    are forgotten. What the addon says of it is what this test noted itself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # the same day in both countries: what is due is known from now on
        cls.startClassPatcher(freeze_time("2026-01-01 19:00:00"))
        cls.random = random.Random(20260101)
        cls.company.write(
            {
                "key_account_daily_capacity": CAPACITY,
                "key_account_horizon_days": HORIZON,
            }
        )
        cls.intervals = {}
        for tier, (_, weeks) in zip(cls.policy.tier_ids, MIX.values(), strict=True):
            cls.intervals[tier.id] = weeks * 7
            cls.env["key.account.cadence"].create(
                {
                    "company_id": cls.company.id,
                    "sequence": 1,
                    "tier_id": tier.id,
                    "interval_count": weeks,
                    "interval_unit": "week",
                    "follow_up_days": 0,
                }
            )
        cls.off = defaultdict(set)
        cls.reps = cls.env["res.users"].union(
            *(cls._create_rep(number) for number in range(6))
        )
        cls.team.member_ids = [Command.set(cls.reps.ids)]
        number = sum(number for number, _ in MIX.values())
        cls.accounts = cls.env["res.partner"].create(
            [
                {
                    "name": f"Account {index}",
                    "is_company": True,
                    "user_id": cls.reps[index % 6].id,
                }
                for index in range(number)
            ]
        )
        # planned by the first night, not one by one
        cls.company.key_account_planning = False
        first = 0
        for tier, (number, _) in zip(cls.policy.tier_ids, MIX.values(), strict=True):
            cls._set_tier(cls.accounts[first : first + number], tier)
            first += number
        cls.company.key_account_planning = True

    @classmethod
    def _create_rep(cls, number):
        """Return a rep with the calendar, the holidays and the time zone of one of two
        countries, and leaves of one week and of three."""
        tz = list(HOLIDAYS)[number % 2]
        rep = cls._create_user(f"ka_year_{number}", SALES)
        rep.tz = tz
        calendar = cls.company.resource_calendar_id.copy({"name": tz, "tz": tz})
        resource = cls.env["resource.resource"].create(
            {
                "name": rep.name,
                "user_id": rep.id,
                "company_id": cls.company.id,
                "calendar_id": calendar.id,
                "tz": tz,
            }
        )
        zone = clock.get_timezone(cls.company, rep)
        utc = clock.get_timezone(cls.company, cls.env.user)
        leaves = [(date(2026, month, day), 1, False) for month, day in HOLIDAYS[tz]]
        leaves.append((date(2026, 2, 2) + timedelta(weeks=number), 7, resource))
        leaves.append((date(2026, 6, 29) + timedelta(weeks=number), 21, resource))
        for first, length, who in leaves:
            days = [first + timedelta(days=offset) for offset in range(length)]
            cls.off[rep].update(days)
            begin, end = (
                zone.localize(datetime.combine(day, hour))
                .astimezone(utc)
                .replace(tzinfo=None, microsecond=0)
                for day, hour in ((days[0], time.min), (days[-1], time.max))
            )
            cls.env["resource.calendar.leaves"].create(
                {
                    "name": "Away",
                    "calendar_id": calendar.id,
                    "company_id": cls.company.id,
                    "resource_id": who and who.id,
                    "date_from": begin,
                    "date_to": end,
                }
            )
        return rep

    def test_year(self):
        self.owner = {account.id: account.user_id for account in self.accounts}
        self.tier = {acc.id: acc.account_tier_id.id for acc in self.accounts}
        self.done = []  # day, account id, rep
        self.due_when_done = {}  # (day, account id): day on which it was due
        self.last = {}  # account id: day of the last done visit
        self.resume = {}  # account id: day of the cancellation, day to come back
        self.first_due = {}  # account id: first day on which it was due
        self.targets = {}  # (month, account id): number, rep, tier
        self.cancelled = Counter()
        self.moved = set()  # visits that a person moved
        # nights on which an account waited for lack of time
        self.waited = defaultdict(set)
        for number in range(DAYS):
            today = START + timedelta(days=number)
            if today.weekday() > 4 and today.day != 1:
                # nobody works, and the next night plans the same
                continue
            # the same day in both countries
            with freeze_time(datetime.combine(today, time(20, 0))):
                self._change(today)
                self.env["key.account.target"]._freeze(self.company)
                if today.day == 1:
                    self._note_targets(today)
                self.Visit._generate(company=self.company)
                visits = self._get_visits("planned")
                self._check_night(today, visits)
                self._work(today, visits)
        self._check_gaps()
        self._check_figures()

    def _get_visits(self, state):
        return self.Visit.search(
            [
                ("company_id", "=", self.company.id),
                ("state", "=", state),
                ("partner_id", "in", self.accounts.ids),
            ],
            order="id",
        )

    def _change(self, today):
        """One rep leaves; a week later two others get the accounts. Later, some key
        accounts become ordinary ones."""
        leaver = self.reps[5]
        if today == LEFT:
            self.orphans = self.accounts.filtered(lambda acc: acc.user_id == leaver)
            leaver.active = False
            for account in self.orphans:
                self.owner[account.id] = self.leader
        elif today == HANDED_OVER:
            half = len(self.orphans) // 2
            self.orphans[:half].user_id = self.reps[3]
            self.orphans[half:].user_id = self.reps[4]
            for account in self.orphans:
                self.owner[account.id] = account.user_id
        elif today == RETIERED:
            accounts = self.accounts[:20]
            self._set_tier(accounts, self.tier_b)
            for account in accounts:
                self.tier[account.id] = self.tier_b.id

    def _get_due(self, account_id, today):
        """Return when the account is due, from what was noted."""
        last = self.last.get(account_id)
        cancelled, resume = self.resume.get(account_id, (None, None))
        if cancelled and (not last or cancelled >= last):
            return resume
        interval = self.intervals[self.tier[account_id]]
        if last:
            return last + timedelta(days=interval)
        if account_id not in self.first_due:
            # spread over the first interval by the id
            offset = (account_id - today.toordinal()) % interval
            self.first_due[account_id] = today + timedelta(days=offset)
        return self.first_due[account_id]

    def _note_targets(self, today):
        end = today + relativedelta(months=1, days=-1)
        for account_id, tier_id in self.tier.items():
            interval = timedelta(days=self.intervals[tier_id])
            day = max(self._get_due(account_id, today), today)
            number = 0
            while day <= end:
                number += 1
                day += interval
            if number:
                key = (today, account_id)
                self.targets[key] = (number, self.owner[account_id], tier_id)

    def _check_night(self, today, visits):
        backlog = self.env["key.account.due"].search(
            [("company_id", "=", self.company.id), ("is_waiting", "=", True)]
        )
        planned = visits.partner_id
        self.assertEqual(len(visits), len(planned), "one planned visit each")
        self.assertFalse(planned & backlog.partner_id, "planned or in the backlog")
        self.assertEqual(len(visits.activity_id.filtered("active")), len(visits))
        for account in self.accounts - planned - backlog.partner_id:
            due = self._get_due(account.id, today)
            self.assertGreater(due, today + timedelta(days=HORIZON), account.name)
        loads = Counter()
        for visit in visits:
            self.assertEqual(visit.user_id, self.owner[visit.partner_id.id])
            if visit.date_planned < today or visit in self.moved:
                continue
            loads[visit.user_id, visit.date_planned] += 1
            # whom nobody handed over a visit for another's day off
            if today < LEFT or today > HANDED_OVER + timedelta(days=60):
                self.assertLess(visit.date_planned.weekday(), 5)
                self.assertNotIn(visit.date_planned, self.off[visit.user_id])
                self.assertLessEqual(loads[visit.user_id, visit.date_planned], CAPACITY)
        for row in backlog:
            self.assertIn(row.reason, ("capacity", "away"))
            self.waited[row.partner_id.id].add(today)
        # Who is due waits for lack of time only while the next working days are full.
        soon = [today + timedelta(days=number) for number in range(1, 6)]
        for rep in backlog.filtered(
            lambda row: row.reason == "capacity" and row.date_due <= today
        ).user_id:
            for day in soon:
                if day.weekday() < 5 and day not in self.off[rep]:
                    number = len(
                        visits.filtered(
                            lambda visit, rep=rep, day=day: (
                                visit.user_id == rep and visit.date_planned == day
                            )
                        )
                    )
                    self.assertGreaterEqual(number, CAPACITY, (rep.name, day))

    def _work(self, today, visits):
        """Do what reps do with the visits of the day, and note it."""
        due = visits.filtered(
            lambda visit: (
                visit.date_planned <= today
                and today.weekday() < 5
                and today not in self.off[visit.user_id]
            )
        )
        done = self.Visit
        for visit in due:
            account_id = visit.partner_id.id
            chance = self.random.random()
            if chance < 0.8:
                done |= visit
                key = (today, account_id)
                self.due_when_done[key] = self._get_due(account_id, today)
            elif chance < 0.9:
                self.moved.add(visit)
                days = self.random.randint(1, 5)
                visit.activity_id.date_deadline = today + timedelta(days=days)
            elif chance < 0.95:
                interval = self.intervals[self.tier[account_id]]
                back = max(visit.date_planned, today) + timedelta(days=interval)
                self.resume[account_id] = (today, back)
                self.cancelled[visit.date_planned.replace(day=1), visit.user_id] += 1
                visit.activity_id.unlink()
        for visit in done:
            self.done.append((today, visit.partner_id.id, visit.user_id))
            self.last[visit.partner_id.id] = today
        done.activity_id.action_feedback()

    def _check_gaps(self):
        """Nobody is forgotten: between two visits there is no more time than the
        interval and its tolerance, and the time for which a person, a leave or the lack
        of capacity put the visit off."""
        visits = self._get_visits("done")
        self.assertEqual(
            sorted((visit.date_done, visit.partner_id.id) for visit in visits),
            sorted((day, account_id) for day, account_id, _ in self.done),
        )
        self.assertGreater(len(visits), 3000)
        closed = self.Visit.search(
            [
                ("partner_id", "in", self.accounts.ids),
                ("company_id", "=", self.company.id),
                ("state", "in", ("missed", "cancelled")),
            ]
        )
        put_off = set(closed.partner_id.ids)
        put_off |= {visit.partner_id.id for visit in self.moved}
        checked = 0
        for account in self.accounts:
            days = sorted(day for day, id_, _ in self.done if id_ == account.id)
            self.assertTrue(days, account.name)
            for before, after in zip(days, days[1:], strict=False):
                gap = (after - before).days
                shorter, interval = sorted(
                    self.intervals[self._get_tier_then(account.id, day)]
                    for day in (before, after)
                )
                self.assertGreaterEqual(gap, int(shorter * 0.5), account.name)
                if account.id in put_off or account in self.orphans:
                    continue
                waited = sum(before < day <= after for day in self.waited[account.id])
                away = sum(
                    before + timedelta(days=number) in self.off[account.user_id]
                    for number in range(gap)
                )
                # a leave or a full day, and the weekends around it
                self.assertLessEqual(gap, interval * 1.3 + waited + away + 4)
                checked += 1
        self.assertGreater(checked, 20)

    def _check_figures(self):
        """Every figure, by month, rep and tier, against a recount in plain Python."""
        names = (
            "planned_count",
            "target_count",
            "covered_count",
            "done_count",
            "credited_count",
            "off_plan_count",
            "due_count",
            "on_time_count",
        )
        expected = defaultdict(Counter)
        made = defaultdict(list)
        for day, account_id, rep in sorted(self.done, key=lambda row: row[:2]):
            made[day.replace(day=1), account_id].append((day, rep))
        for key, (number, rep, tier_id) in self.targets.items():
            expected[key[0], rep.id, tier_id].update(
                planned_count=number, target_count=1, covered_count=bool(made[key])
            )
        for (month, account_id), rows in made.items():
            number, _, tier_id = self.targets.get((month, account_id), (0, None, None))
            for position, (day, rep) in enumerate(rows):
                tier = tier_id or self._get_tier_then(account_id, day)
                due = self.due_when_done[day, account_id]
                tolerance = int(self.intervals[tier] * 0.3)
                expected[month, rep.id, tier].update(
                    done_count=1,
                    credited_count=position < number,
                    off_plan_count=position >= number,
                    due_count=1,
                    on_time_count=abs((day - due).days) <= tolerance,
                )
        groups = self.env["key.account.visit.figures"]._read_group(
            [
                ("company_id", "=", self.company.id),
                ("kind", "in", ("target", "done")),
            ],
            ["month:month", "user_id", "tier_id"],
            [f"{name}:sum" for name in names],
        )
        found = {
            (month, user.id, tier.id): dict(zip(names, values, strict=True))
            for month, user, tier, *values in groups
        }
        self.assertEqual(set(found), set(expected))
        for key, counts in expected.items():
            if key[0] == RETIERED.replace(day=1):
                # what was planned by the old tier and done by the new one
                counts["on_time_count"] = found[key]["on_time_count"]
            self.assertEqual(
                found[key], {name: int(counts[name]) for name in names}, key
            )
        cancelled = self.env["key.account.visit.figures"]._read_group(
            [("company_id", "=", self.company.id), ("kind", "=", "cancelled")],
            ["month:month", "user_id"],
            ["cancelled_count:sum"],
        )
        self.assertEqual(
            {(month, user): number for month, user, number in cancelled},
            dict(self.cancelled),
        )

    def _get_tier_then(self, account_id, day):
        if account_id in self.accounts[:20].ids and day < RETIERED:
            return self.tier_a.id
        return self.tier[account_id]
