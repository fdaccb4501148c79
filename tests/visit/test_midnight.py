from ast import literal_eval
from datetime import date, datetime, timedelta

import pytz
from freezegun import freeze_time
from lxml import etree

from odoo.tests import tagged

from ..common import SALES
from .test_my_day import MyDayCommon

WEST, EAST = "America/Los_Angeles", "Asia/Tokyo"
TUESDAY = date(2026, 3, 17)
# Tuesday evening in the west is Wednesday noon in the east, and here it is three in the
# morning; when it is nine there, in the east another day has begun.
EVENING = datetime(2026, 3, 18, 3)
NEXT_MORNING = datetime(2026, 3, 18, 16)
CLOSED_MONDAYS = "Tu-Fr 08:00-12:00"


@tagged("post_install", "-at_install")
class TestAroundMidnight(MyDayCommon):
    """The day is the salesperson's, wherever the server is: on My Day, on the road, at
    the door, and where a customer receives."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.west = cls._create_user("ka_west", SALES)
        cls.east = cls._create_user("ka_east", SALES)
        for user, tz in ((cls.west, WEST), (cls.east, EAST)):
            user.tz = tz
            cls.env["resource.resource"].create(
                {
                    "name": tz,
                    "user_id": user.id,
                    "company_id": cls.company.id,
                    "calendar_id": cls.company.resource_calendar_id.copy({"tz": tz}).id,
                    "tz": tz,
                }
            )
        cls.visits = {}
        with freeze_time("2026-03-16 12:00:00"):
            for user in (cls.west, cls.east):
                for number in range(3):
                    day = TUESDAY + timedelta(days=number)
                    for place in (50, 51):
                        cls._plan(f"{day:%a} {place}", (place, 10), user, day)

    def _get_my_day(self, user):
        """Return the names that the action shows."""
        arch = self.env.ref("crm_key_account.key_account_visit_view_search").arch
        node = etree.fromstring(arch).find(".//filter[@name='my_day']")
        text = node.get("domain").replace("uid", str(user.id))
        visits = self._as(user).search(literal_eval(text))
        return {name.split()[0] for name in visits.mapped("name")}

    def _check(self, moment, user, days, count, late):
        with freeze_time(moment), self.subTest(moment=moment, user=user.login):
            self.assertEqual(self._get_my_day(user), days)
            day = self._get_day(user)
            self.assertEqual(day["route"]["count"], count)
            self.assertFalse(day["route"]["is_planned"])
            visits = self._as(user).search([("user_id", "=", user.id)])
            overdue = visits.filtered("is_overdue")
            self.assertEqual({name.split()[0] for name in overdue.mapped("name")}, late)
            board = visits.get_week_board(own=True)
            self.assertEqual(
                board["today"],
                str(moment.astimezone(pytz.timezone(user.tz)).date()),
            )

    def test_my_day(self):
        for moment, user, days, count, late in (
            (EVENING, self.west, {"Tue"}, 2, set()),
            (EVENING, self.east, {"Tue", "Wed"}, 4, {"Tue"}),
            (NEXT_MORNING, self.west, {"Tue", "Wed"}, 4, {"Tue"}),
            (NEXT_MORNING, self.east, {"Tue", "Wed", "Thu"}, 6, {"Tue", "Wed"}),
        ):
            self._check(moment.replace(tzinfo=pytz.utc), user, days, count, late)

    def test_the_road_ends_at_midnight(self):
        """Its hours are those of the salesperson, and are forgotten at their midnight,
        not at that of the server."""
        stops = {}
        for user in (self.west, self.east):
            with freeze_time(EVENING):
                self._as(user).action_route()
            stops[user] = self.Visit.search(
                [("user_id", "=", user.id), ("route_time", "!=", False)],
                order="route_time",
            )
            self.assertEqual(stops[user][0].route_time, EVENING)

        def get_hours(user):
            visits = self._as(user).browse(stops[user].ids)
            return [
                hour and hour.replace("\u202f", " ") for hour in visits.mapped("hour")
            ]

        with freeze_time(EVENING):
            self.assertEqual(get_hours(self.west)[0], "≈ 8:00 PM")
            self.assertEqual(get_hours(self.east)[0], "≈ 12:00 PM")
        # an hour before midnight in the east, and an hour after
        with freeze_time(datetime(2026, 3, 18, 14)):
            self.assertFalse(any(get_hours(self.west)), "it is Wednesday there")
            self.assertTrue(all(get_hours(self.east)))
            self.assertTrue(self._get_day(self.east)["route"]["is_planned"])
        with freeze_time(NEXT_MORNING):
            self.assertFalse(any(get_hours(self.east)))
            self.assertFalse(self._get_day(self.east)["route"]["is_planned"])

    def test_check_in_and_report(self):
        """Who is at the door on Tuesday evening has made the visit on Tuesday."""
        self.company.key_account_check_in = True
        for user, day in ((self.west, TUESDAY), (self.east, date(2026, 3, 18))):
            visit = self._as(user).search(
                [("user_id", "=", user.id), ("date_planned", "=", day)], limit=1
            )
            with freeze_time(EVENING):
                visit.action_check_in()
                self.assertEqual(visit.check_in_date, EVENING)
                self.assertEqual(visit.date_visited, day)
                visit.action_done()
                self.assertEqual(visit.date_done, day)
                self.assertIn(f"{day:%a}", self._get_my_day(user))
                self.assertEqual(visit.check_in_date, EVENING)

    def test_receiving(self):
        """A closed Monday is one by the salesperson's calendar, and the hours are those
        of their clock."""
        for user in (self.west, self.east):
            zone = pytz.timezone(user.tz)
            visit = self._plan("Closed", user=user, day=date(2026, 3, 23))
            visit.partner_id.key_account_receiving_hours = CLOSED_MONDAYS
            # Sunday evening in the west is Monday morning in the east
            with freeze_time(datetime(2026, 3, 23, 3)):
                mine = self._as(user).browse(visit.id)
                self.assertTrue(mine.is_not_received)
                board = mine.get_week_board("2026-03-23", own=True)
                card = next(card for card in board["visits"] if card["id"] == visit.id)
                self.assertIn("2026-03-23", card["closed"])
                self.assertNotIn("2026-03-24", card["closed"])
                mine.date_planned = date(2026, 3, 24)
                mine.invalidate_recordset()
                self.assertFalse(mine.is_not_received)
                mine.action_schedule_meeting()
                start = pytz.utc.localize(visit.calendar_event_id.start)
                here = start.astimezone(zone)
                self.assertEqual(here.date(), date(2026, 3, 24))
                self.assertIn(here.hour, range(8, 12))

    def test_planning_around_midnight(self):
        """The first day that planning takes is one on which they receive."""
        self.company.key_account_planning = True
        line = self.env["key.account.cadence"].create(
            {"tier_id": self.tier_a.id, "company_id": self.company.id}
        )
        self.assertTrue(line)
        partners = {}
        with freeze_time(datetime(2026, 3, 23, 3)):
            for user in (self.west, self.east):
                partner = self._create_partner("Mornings", user_id=user.id)
                partner.key_account_receiving_hours = CLOSED_MONDAYS
                self._set_tier(partner, self.tier_a)
                partners[user] = partner
            self.Visit._generate()
            for user, partner in partners.items():
                visit = self._get_planned(partner)
                self.assertEqual(visit.user_id, user)
                self.assertIn(visit.date_planned.weekday(), range(1, 5))
                self.assertFalse(visit.is_not_received)
