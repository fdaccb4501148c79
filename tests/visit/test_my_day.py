from datetime import date, datetime, time, timedelta
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytz
from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, new_test_user, tagged

from ...models.account import clock
from ..common import SALES, TODAY, KeyAccountCommon

ORDER = "hour, date_planned, id"


class MyDayCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["key.account.cadence"].search([]).active = False
        cls.company.key_account_planning = False

    @classmethod
    def _plan(cls, name, place=None, user=None, day=TODAY, **values):
        """Plan a visit to a new customer, at a place in degrees."""
        user = user or cls.rep
        partner = cls._create_partner(name, user_id=user.id)
        if place:
            partner.partner_latitude, partner.partner_longitude = place
        return cls.Visit.create(
            {
                "partner_id": partner.id,
                "user_id": user.id,
                "date_planned": day,
                **values,
            }
        )

    def _meet(self, visit, start, hours=1):
        """Give a visit a meeting.

        :param start: when, in UTC
        """
        visit.action_schedule_meeting()
        visit.calendar_event_id.write(
            {"start": start, "stop": start + timedelta(hours=hours)}
        )
        return visit

    def _as(self, user, model="key.account.visit"):
        self.env.flush_all()
        self.env.invalidate_all()
        return (
            self.env[model]
            .with_user(user)
            .with_context(allowed_company_ids=user.company_ids.ids)
        )

    def _get_day(self, user=None):
        return self._as(user or self.rep).get_my_day()

    def _get_order(self, user=None):
        """Return the visits of the day in the order of My Day."""
        visits = self._as(user or self.rep)
        return visits.search(
            [("user_id", "=", visits.env.uid), ("state", "=", "planned")], order=ORDER
        ).mapped("name")


@tagged("post_install", "-at_install")
@freeze_time("2026-03-18 07:00:00")
class TestMyDay(MyDayCommon):
    def test_hours(self):
        """Meetings come first, by their hour in the salesperson's zone; without an hour
        all is as before."""
        self.rep.tz = "Europe/Berlin"
        self._plan("Free")
        late = self._meet(self._plan("Late"), datetime(2026, 3, 18, 14))
        self._meet(self._plan("Early"), datetime(2026, 3, 18, 9, 30))
        self._plan("Left", day=TODAY - timedelta(days=1))
        self.assertEqual(self._get_order(), ["Early", "Late", "Left", "Free"])
        late.calendar_event_id.write(
            {"allday": True, "start_date": TODAY, "stop_date": TODAY}
        )
        self.assertEqual(self._get_order(), ["Early", "Left", "Free", "Late"])
        visits = self._as(self.rep)
        early = visits.search([("name", "=", "Early")])
        self.assertEqual(early.hour.replace("\u202f", " "), "10:30 AM")
        self.assertFalse(visits.browse(late.id).hour)

    def test_yesterdays_hour(self):
        """An hour that has gone is none."""
        visit = self._meet(self._plan("Met"), datetime(2026, 3, 18, 9))
        self.assertTrue(self._as(self.rep).browse(visit.id).hour)
        with freeze_time("2026-03-19 00:00:00"):
            self.assertFalse(self._as(self.rep).browse(visit.id).hour)
            self._plan("Today", day=date(2026, 3, 19))
            self.assertEqual(self._get_order(), ["Met", "Today"])

    def test_days_overdue(self):
        """Late is late, whatever day it is planned for."""
        visit = self._plan("Late", date_planned=TODAY)
        visit.sudo().date_due = TODAY - timedelta(days=29)
        self.assertEqual(visit.days_overdue, 29)
        visit.sudo().date_due = False
        self.assertEqual(visit.days_overdue, 0)
        visit.date_planned = TODAY - timedelta(days=1)
        self.assertEqual(visit.days_overdue, 1)
        visit.action_done()
        self.assertEqual(visit.days_overdue, 0)

    def test_tasks(self):
        """Commitments and thanks of the user that are due today or late."""
        visit = self._plan("Kestrel", day=date(2026, 3, 10))
        commitments = self.env["key.account.commitment"].create(
            [
                {"visit_id": visit.id, "name": name, "date_deadline": day}
                for name, day in (
                    ("Samples", TODAY),
                    ("Offer", TODAY - timedelta(days=3)),
                    ("Later", TODAY + timedelta(days=1)),
                )
            ]
        )
        with freeze_time("2026-03-10 12:00:00"):
            visit.with_user(self.rep).action_done()
        tasks = self._get_day()["tasks"]
        self.assertEqual(
            [(task["summary"], task["customer"], task["role"]) for task in tasks],
            [
                ("Thank and recap: Kestrel", False, "follow_up"),
                ("Offer", "Kestrel", "commitment"),
                ("Samples", "Kestrel", "commitment"),
            ],
        )
        self.assertEqual([task["days_overdue"] for task in tasks], [6, 3, 0])
        self.assertFalse(self._get_day(self.rep2)["tasks"])
        # done, and back again
        activity = self._as(self.rep, "mail.activity").browse(tasks[1]["id"])
        activity.action_done()
        self.assertEqual(commitments[1].state, "kept")
        self.assertEqual(len(self._get_day()["tasks"]), 2)
        activity.write({"active": True})
        self.assertEqual(commitments[1].state, "open")
        self.assertEqual(len(self._get_day()["tasks"]), 3)

    def test_rights(self):
        other = self._create_company("Other")
        foreigner = self._create_user("ka_other", SALES, other)
        self._plan("Kestrel", (53.5, 10.0))
        self._plan("Finch", (53.6, 10.0))
        for user in (self.rep2, self.leader, self.manager, foreigner):
            self.assertFalse(any(self._get_day(user).values()))
            with self.assertRaises(UserError):
                self._as(user).action_route()
        internal = self._create_user("ka_internal", "base.group_user")
        portal = new_test_user(self.env, "ka_portal", "base.group_portal")
        for user in (internal, portal):
            for name in ("get_my_day", "action_route"):
                with self.assertRaises(AccessError):
                    getattr(self._as(user), name)()
        self.assertEqual(self._get_day()["route"]["count"], 2)

    def test_queries(self):
        """As many for one visit and task as for many."""

        def fill(number):
            visit = self._plan(f"Done {number}", day=date(2026, 3, 10))
            self.env["key.account.commitment"].create(
                {"visit_id": visit.id, "name": "Samples", "date_deadline": TODAY}
            )
            with freeze_time("2026-03-10 12:00:00"):
                visit.action_done()
            for name in ("A", "B"):
                self._plan(f"{name} {number}", (53 + number / 100, 10))
            self._meet(self._plan(f"C {number}", (53.5, 10)), datetime(2026, 3, 18, 9))

        def count():
            self._get_day()
            visits = self._as(self.rep)
            before = self.cr.sql_log_count
            visits.get_my_day()
            return self.cr.sql_log_count - before

        fill(0)
        one = count()
        for number in range(1, 20):
            fill(number)
        self.assertEqual(count(), one)


@tagged("post_install", "-at_install")
@freeze_time("2026-03-18 07:00:00")
class TestRoute(MyDayCommon):
    def _get_places(self, route):
        """Return the places of the link, the last one at the end."""
        url = urlsplit(route["url"])
        self.assertEqual(
            (url.scheme, url.netloc, url.path),
            ("https", "www.google.com", "/maps/dir/"),
        )
        query = parse_qs(url.query)
        self.assertEqual(query["api"], ["1"])
        return query["waypoints"][0].split("|") + query["destination"]

    def test_short_order(self):
        """There and back becomes one way; its kilometres and link are shown."""
        self._plan("South", (53.0, 10.0))
        self._plan("North", (55.0, 10.0))
        self._plan("Middle", (54.0, 10.0))
        route = self._get_day()["route"]
        self.assertEqual((route["count"], route["is_planned"]), (3, False))
        self.assertFalse(route["url"])
        day = self._as(self.rep).action_route()
        route = day["route"]
        self.assertTrue(route["is_planned"])
        # two degrees on a sphere of 6,371 km
        self.assertEqual(route["km"], 222)
        names = self._get_order()
        self.assertIn(
            names, [["South", "Middle", "North"], ["North", "Middle", "South"]]
        )
        places = ["53.000000,10.000000", "54.000000,10.000000", "55.000000,10.000000"]
        found = self._get_places(route)
        self.assertEqual(found if names[0] == "South" else found[::-1], places)
        self.assertEqual(self._get_day(), day)
        # from eight o'clock on
        first = self._as(self.rep).search([("name", "=", names[0])])
        self.assertEqual(first.route_time, datetime(2026, 3, 18, 8))
        self.assertEqual(first.hour.replace("\u202f", " "), "≈ 8:00 AM")

    def test_meetings_keep_their_hours(self):
        """What is free goes around them, and is done before where there is time."""
        self._meet(self._plan("Meeting", (53.5, 10.0)), datetime(2026, 3, 18, 10))
        near = self._plan("Near", (53.55, 10.0))
        self._plan("Far", (54.6, 10.0))
        self._as(self.rep).action_route()
        self.assertEqual(self._get_order(), ["Near", "Meeting", "Far"])
        self.assertFalse(
            self.Visit.search([("name", "=", "Meeting")]).route_time,
            "its hour is the meeting's",
        )
        # a meeting that comes later finds its place by the hour
        self._meet(self._plan("Dawn", (53.5, 10.1)), datetime(2026, 3, 18, 8, 15))
        self.assertEqual(self._get_order()[0], near.name)
        self.assertEqual(self._get_order()[1], "Dawn")

    def test_time_zone(self):
        """Hours are those of the salesperson."""
        self.rep.tz = "America/New_York"
        with freeze_time("2026-03-18 15:00:00"):
            self._plan("One", (40.7, -74.0))
            self._plan("Two", (40.8, -74.0))
            self._as(self.rep).action_route()
            times = self.Visit.search([("route_time", "!=", False)]).mapped(
                "route_time"
            )
            # it is eleven there
            self.assertEqual(min(times), datetime(2026, 3, 18, 15))

    def test_without_coordinates(self):
        """They are named, come last, and are on the way by their address."""
        self._plan("One", (53.0, 10.0))
        self._plan("Two", (53.1, 10.0))
        lost = self._plan("Lost")
        lost.partner_id.write({"street": "1 Mill Lane", "city": "Leeds"})
        lead = self.env["crm.lead"].create(
            {"name": "Lead", "user_id": self.rep.id, "company_id": self.company.id}
        )
        self.Visit.create(
            {"lead_id": lead.id, "user_id": self.rep.id, "date_planned": TODAY}
        )
        route = self._as(self.rep).action_route()["route"]
        self.assertTrue(route["is_planned"])
        self.assertEqual(sorted(route["missing"]), ["Lead", "Lost"])
        self.assertEqual(self._get_places(route)[2:], ["1 Mill Lane, Leeds"])
        self.assertEqual(sorted(self._get_order()[2:]), ["Lead", "Lost"])

    def test_too_few(self):
        self._plan("One", (53.0, 10.0))
        self.assertFalse(self._get_day()["route"])
        with self.assertRaisesRegex(UserError, "have coordinates"):
            self._as(self.rep).action_route()
        two = self._plan("Two")
        # no button that only refuses
        self.assertFalse(self._get_day()["route"])
        with self.assertRaisesRegex(UserError, "have coordinates"):
            self._as(self.rep).action_route()
        # where Geo Localization is installed, it may find them
        two.partner_id.city = "Leeds"
        with patch.object(type(two.partner_id), "geo_localize", None, create=True):
            self.assertEqual(self._get_day()["route"]["missing"], ["Two"])
        self.assertFalse(self.Visit.search([("route_time", "!=", False)]))

    def test_own_stops_of_the_day(self):
        """No calls, nothing of a colleague's, of tomorrow, or done."""
        stops = self._plan("One", (53.0, 10.0)) | self._plan("Two", (53.1, 10.0))
        left = self._plan("Left", (53.2, 10.0), day=TODAY - timedelta(days=2))
        self._plan("Call", (53.3, 10.0), track="contact")
        self._plan("Tomorrow", (53.4, 10.0), day=TODAY + timedelta(days=1))
        self._plan("Colleague's", (53.5, 10.0), self.rep2)
        done = self._plan("Done", (53.6, 10.0))
        done.with_user(self.rep).action_done()
        route = self._as(self.rep).action_route()["route"]
        self.assertEqual(route["count"], 3)
        routed = self.Visit.search([("route_time", "!=", False)])
        self.assertEqual(routed, stops | left)

    def test_another_day(self):
        """The order is of its day, and of who goes."""
        visits = self._plan("One", (53.0, 10.0)) | self._plan("Two", (53.1, 10.0))
        self._as(self.rep).action_route()
        with freeze_time("2026-03-19 07:00:00"):
            self.assertFalse(self._get_day()["route"]["is_planned"])
            self.assertEqual(
                set(self._as(self.rep).browse(visits.ids).mapped("hour")), {False}
            )
        visits[0].date_planned = TODAY + timedelta(days=1)
        self.assertFalse(visits[0].route_time)
        visits[1].user_id = self.rep2
        self.assertFalse(visits[1].route_time)

    def test_as_many_as_a_link_takes(self):
        for number in range(12):
            self._plan(f"Stop {number}", (53 + number / 10, 10.0))
        route = self._as(self.rep).action_route()["route"]
        self.assertEqual((route["count"], route["more"]), (10, 2))
        self.assertEqual(len(self._get_places(route)), 10)

    def test_nobody_else_writes_it(self):
        visit = self._plan("One", (53.0, 10.0))
        with self.assertRaises(AccessError):
            visit.with_user(self.rep).route_time = datetime(2026, 3, 18, 8)

    def test_geolocalize(self):
        """Where it is installed, Odoo's Geo Localization finds what is missing."""
        self._plan("One", (53.0, 10.0))
        lost = self._plan("Lost")
        lost.partner_id.city = "Leeds"
        partners = type(lost.partner_id)
        found = []

        def localize(records):
            found.append(records)
            records.write({"partner_latitude": 53.8, "partner_longitude": -1.5})

        def fail(records):
            raise UserError(records.env._("No answer"))

        for method in (fail, localize):
            with patch.object(partners, "geo_localize", method, create=True):
                if method is fail:
                    with self.assertRaisesRegex(UserError, "found too few"):
                        self._as(self.rep).action_route()
                    continue
                route = self._as(self.rep).action_route()["route"]
        self.assertEqual(found, [lost.partner_id])
        self.assertFalse(route["missing"])


@tagged("post_install", "-at_install")
class TestMyDayPhoneTour(MyDayCommon, HttpCase):
    browser_size = "390x844"
    touch_enabled = True

    def test_route_and_log(self):
        """Route, then a visit that nobody had planned: no sheet stays open."""
        # whatever hour it is: with the salesperson it is the morning
        west = datetime.now(pytz.utc).hour - 9
        self.rep.tz = f"Etc/GMT{west if west <= 12 else west - 24:+d}"
        today = clock.get_today(self.company, self.rep)
        for name, latitude in (("South", 53.0), ("North", 55.0), ("Middle", 54.0)):
            visit = self._plan(f"Tour {name}", (latitude, 10.0), day=today)
        slot = pytz.timezone(self.rep.tz).localize(datetime.combine(today, time(22)))
        start = slot.astimezone(pytz.utc).replace(tzinfo=None)
        with patch.object(type(visit), "_get_free_slot", lambda *_args: slot):
            self._meet(visit, start)
        self.start_tour("/odoo/my-day", "key_account_route_phone", login="ka_rep")
        self.assertEqual(len(self.Visit.search([("route_time", "!=", False)])), 2)

    def test_tasks(self):
        """A commitment is kept by a tap, which can be taken back."""
        today = clock.get_today(self.company, self.rep)
        visit = self._plan("Tour Customer", day=today)
        commitment = self.env["key.account.commitment"].create(
            {"visit_id": visit.id, "name": "Tour Samples", "date_deadline": today}
        )
        visit.with_user(self.rep).action_done()
        self.start_tour("/odoo/my-day", "key_account_tasks_phone", login="ka_rep")
        self.env.invalidate_all()
        self.assertEqual(commitment.state, "open")
