from datetime import datetime, time, timedelta

import pytz
from freezegun import freeze_time

from odoo import fields
from odoo.tests import tagged

from .test_planning import PlanningCommon

ZONES = ["Pacific/Auckland", "Pacific/Kiritimati", "America/Los_Angeles"]
# Clocks go forward and back in Los Angeles, back and forward in Auckland; Kiritimati is
# fourteen hours ahead of UTC all year.
CHANGES = ["2026-03-08", "2026-11-01", "2026-04-05", "2026-09-27"]


@tagged("post_install", "-at_install")
class TestTimeZones(PlanningCommon):
    """Reps around the world in one company: each one's day is what counts."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reps = {}
        for tz in ZONES:
            rep = cls._create_user(f"ka_{tz}", "sales_team.group_sale_salesman")
            rep.tz = tz
            calendar = cls.company.resource_calendar_id.copy({"tz": tz})
            cls.env["resource.resource"].create(
                {
                    "name": tz,
                    "user_id": rep.id,
                    "company_id": cls.company.id,
                    "calendar_id": calendar.id,
                    "tz": tz,
                }
            )
            cls.reps[tz] = rep

    def _get_moments(self, change):
        """Return moments before and after midnight, and before and after the clocks
        change, of each time zone on that day and the day before, in UTC."""
        day = fields.Date.to_date(change)
        for tz in map(pytz.timezone, ZONES):
            for offset in (-1, 0, 1):
                midnight = datetime.combine(
                    day + timedelta(days=offset), datetime.min.time()
                )
                for minutes in (-1, 1, 59, 119, 181):
                    local = tz.localize(midnight) + timedelta(minutes=minutes)
                    yield tz.normalize(local).astimezone(pytz.utc).replace(tzinfo=None)

    def test_runs_around_midnight_and_clock_changes(self):
        # the accounts of one change are still visited at the next
        self.company.key_account_daily_capacity = 20
        for change in CHANGES:
            with self.subTest(change=change):
                self._check_change(change)

    def _check_change(self, change):
        partners = {
            tz: self._create_accounts(1, user_id=rep.id)
            for tz, rep in self.reps.items()
        }
        all_partners = self.env["res.partner"].union(*partners.values())
        start = fields.Date.to_date(change)
        monday = start - timedelta(days=6)
        with freeze_time(datetime.combine(monday + timedelta(days=1), time(12))):
            # due on the Monday after the change, a Sunday
            for partner in all_partners:
                self._visit(partner, 0, date_done=monday)
        planned = {}
        for moment in sorted(self._get_moments(change)):
            with freeze_time(moment):
                self.Visit._generate(all_partners, self.company)
                for tz, partner in partners.items():
                    visit = self._get_planned(partner)
                    local = pytz.utc.localize(moment).astimezone(pytz.timezone(tz))
                    self.assertEqual(visit.date_due, start + timedelta(days=1))
                    self.assertEqual(visit.date_planned, start + timedelta(days=1))
                    # the same one in each run
                    self.assertEqual(planned.setdefault(tz, visit), visit)
                    self.assertEqual(
                        visit.with_context(tz=tz).is_overdue,
                        local.date() > visit.date_planned,
                        (tz, moment),
                    )
                    visit.invalidate_recordset(["is_overdue"])
        # done a minute before midnight: on that day, wherever it is
        for tz, visit in planned.items():
            zone = pytz.timezone(tz)
            late = zone.localize(
                datetime.combine(start + timedelta(days=1), datetime.max.time())
            ) - timedelta(minutes=1)
            with freeze_time(late.astimezone(pytz.utc).replace(tzinfo=None)):
                visit.with_user(self.reps[tz]).action_done()
            self.assertEqual(visit.date_done, start + timedelta(days=1))
            following = self._get_planned(visit.partner_id)
            self.assertEqual(following.date_due, start + timedelta(days=8))
            self.assertEqual(following.date_planned, start + timedelta(days=8))

    def test_working_days_of_a_week_with_a_clock_change(self):
        users = self.env["res.users"].union(*self.reps.values())
        for change in CHANGES:
            sunday = fields.Date.to_date(change)
            days = self.env["key.account.agenda"]._get_working_days(
                users,
                self.company,
                sunday - timedelta(days=6),
                sunday + timedelta(days=6),
            )
            expected = {
                sunday + timedelta(days=number)
                for number in range(-6, 7)
                if (sunday + timedelta(days=number)).weekday() < 5
            }
            for user in users:
                self.assertEqual(days[user.id], expected, (change, user.tz))

    def test_one_capacity_each_on_the_same_calendar_day(self):
        """A run while it is Friday for one and Saturday for another."""
        partners = {
            tz: self._create_accounts(3, user_id=rep.id)
            for tz, rep in self.reps.items()
        }
        everyone = self.env["res.partner"].union(*partners.values())
        for partner in everyone:
            self._visit(partner, 20)
        # Friday noon in Los Angeles, Saturday morning in Auckland and Kiritimati
        with freeze_time("2026-03-20 19:30:00"):
            self.Visit._generate(everyone, self.company)
        monday = fields.Date.to_date("2026-03-23")
        for tz, mine in partners.items():
            dates = sorted(self._get_planned(partner).date_planned for partner in mine)
            if tz == "America/Los_Angeles":
                friday = fields.Date.to_date("2026-03-20")
                self.assertEqual(dates, [friday, friday, monday])
            else:
                tuesday = fields.Date.to_date("2026-03-24")
                self.assertEqual(dates, [monday, monday, tuesday])
