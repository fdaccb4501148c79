from datetime import datetime, timedelta

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, HttpCase, new_test_user, tagged

from ...models.account import clock
from ..common import SALES, SALES_ADMIN, TODAY
from .test_my_day import MyDayCommon

PLACE = {"latitude": 53.55, "longitude": 9.99, "accuracy": 12.5}


class CheckInCommon(MyDayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.key_account_check_in = True
        cls.CheckIn = cls.env["key.account.check.in"]
        cls.visit = cls._plan("Kestrel")

    def _get_check_in(self, visit=None):
        return self.CheckIn.search([("visit_id", "=", (visit or self.visit).id)])

    def _read(self, user, visit=None):
        """Return what the user reads of a visit's check-in."""
        names = ["can_check_in", "check_in_date", "check_in_url"]
        (row,) = self._as(user).browse((visit or self.visit).id).read(names)
        return tuple(row[name] for name in names)


@tagged("post_install", "-at_install")
@freeze_time("2026-03-18 09:00:00")
class TestCheckIn(CheckInCommon):
    def test_off_by_default(self):
        company = self._create_company("Other")
        self.assertFalse(company.key_account_check_in)
        self.assertEqual(company.key_account_check_in_months, 3)
        self.company.key_account_check_in = False
        self.assertEqual(self._read(self.rep), (False, False, False))
        with self.assertRaisesRegex(UserError, "Nobody checks in"):
            self.visit.with_user(self.rep).action_check_in()
        self.assertFalse(self._get_check_in())

    def test_off_costs_nothing(self):
        """No query more than without it."""
        self.company.key_account_check_in = False
        visits = self._as(self.rep).browse(self.visit.ids)
        visits.read(["state", "mode", "user_id", "company_id"])
        visits.mapped("is_overdue")
        visits.company_id.sudo().mapped("key_account_check_in")
        before = self.cr.sql_log_count
        self.assertFalse(visits.can_check_in)
        self.assertEqual(self.cr.sql_log_count, before)

    def test_time_then_place(self):
        """The time is the tap's; the place comes when the phone knows it."""
        visit = self.visit.with_user(self.rep)
        self.assertTrue(visit.can_check_in)
        visit.action_check_in()
        self.assertEqual(self._read(self.rep), (False, datetime(2026, 3, 18, 9), False))
        with freeze_time("2026-03-18 09:01:00"):
            visit.action_check_in(PLACE)
        check_in = self._get_check_in()
        self.assertEqual(check_in.date, datetime(2026, 3, 18, 9))
        self.assertEqual(check_in.user_id, self.rep)
        self.assertEqual((check_in.latitude, check_in.accuracy), (53.55, 12.5))
        self.assertEqual(
            self._read(self.rep)[2],
            "https://maps.google.com/maps?q=53.550000%2C9.990000",
        )
        # what is known stays
        with freeze_time("2026-03-18 09:02:00"):
            visit.action_check_in({"latitude": 1, "longitude": 1})
        self.assertEqual(self._get_check_in().latitude, 53.55)

    def test_place_of_later(self):
        """What comes much later isn't where one was."""
        visit = self.visit.with_user(self.rep)
        visit.action_check_in()
        with freeze_time("2026-03-18 09:11:00"):
            visit.action_check_in(PLACE)
        self.assertFalse(self._get_check_in().latitude)

    def test_undo(self):
        visit = self.visit.with_user(self.rep)
        visit.action_check_in(PLACE)
        visit.action_undo_check_in()
        self.assertFalse(self._get_check_in())
        self.assertTrue(self._read(self.rep)[0])
        visit.action_check_in()
        visit.action_done()
        with self.assertRaisesRegex(UserError, "not planned any more"):
            visit.action_undo_check_in()
        self.assertTrue(self._get_check_in())
        self.assertTrue(self._read(self.rep)[1])

    def test_bad_places(self):
        visit = self.visit.with_user(self.rep)
        for place in (
            "here",
            5,
            [53, 10],
            {"latitude": 53},
            {"latitude": 91, "longitude": 0},
            {"latitude": 0, "longitude": -181},
            {"latitude": "north", "longitude": 0},
            {"latitude": float("nan"), "longitude": 0},
            {"latitude": 1, "longitude": 1, "accuracy": float("inf")},
        ):
            with self.subTest(place=place), self.assertRaises(UserError):
                visit.action_check_in(place)
            self.assertFalse(self._get_check_in())

    def test_whose(self):
        """Who makes the visit checks in; of one that nobody makes, whoever is there."""
        with self.assertRaises(AccessError):
            self.visit.with_user(self.rep2).action_check_in()
        for user in (self.leader, self.manager):
            self.assertFalse(self._read(user)[0])
            with self.assertRaisesRegex(AccessError, "makes the visit"):
                self.visit.with_user(user).action_check_in()
        nobodys = self._plan("Nobody's", user_id=False)
        nobodys.partner_id.user_id = False
        nobodys.with_user(self.rep2).action_check_in()
        self.assertEqual(self._get_check_in(nobodys).user_id, self.rep2)
        done = self._plan("Done")
        done.action_done()
        with self.assertRaisesRegex(UserError, "not planned any more"):
            done.with_user(self.rep).action_check_in()
        # one calls from anywhere
        self.assertFalse(self._read(self.rep, self._plan("Call", mode="phone"))[0])

    def test_readers(self):
        """The rep and those who see all documents; not the customer's salesperson, who
        may read the visit, nor anybody else, by no door."""
        # a visit of rep2's to an account of rep's
        visit = self._plan("Helped", user_id=self.rep2.id)
        visit.partner_id.user_id = self.rep
        visit.with_user(self.rep2).action_check_in(PLACE)
        check_in = self._get_check_in(visit)
        moment = datetime(2026, 3, 18, 9)
        for user in (self.rep2, self.leader, self.manager):
            self.assertEqual(self._read(user, visit)[1], moment)
            self.assertEqual(self._as(user, check_in._name).search([]), check_in)
        other = self._create_company("Other")
        foreigner = self._create_user("ka_foreigner", SALES_ADMIN, other)
        self.assertTrue(self._as(self.rep).browse(visit.id).has_access("read"))
        self.assertEqual(self._read(self.rep, visit), (False, False, False))
        for user in (self.rep, foreigner):
            user.group_ids += self.env.ref("base.group_allow_export")
        for user in (self.rep, foreigner):
            theirs = self._as(user, check_in._name)
            self.assertFalse(theirs.search([]))
            self.assertFalse(theirs.search_count([("visit_id", "=", visit.id)]))
            self.assertFalse(theirs.search([("latitude", ">", 50)]))
            self.assertFalse(theirs.formatted_read_group([], ["user_id"], ["__count"]))
            with self.assertRaises(AccessError):
                theirs.browse(check_in.id).read(["date"])
            with self.assertRaises(AccessError):
                theirs.browse(check_in.id).export_data(["date", "latitude"])
        exported = self._as(self.rep).browse(visit.id).export_data(["check_in_date"])
        self.assertEqual(exported["datas"], [[""]])
        # visits aren't searched or grouped by it
        for user in (self.rep, self.leader):
            visits = self._as(user)
            for domain in (
                [("check_in_date", "!=", False)],
                [("check_in_url", "ilike", "53")],
            ):
                with self.assertRaises(ValueError):
                    visits.search(domain)
            with self.assertRaises(ValueError):
                visits.formatted_read_group([], ["check_in_date:day"], ["__count"])
        internal = self._create_user("ka_internal", "base.group_user")
        portal = new_test_user(self.env, "ka_portal", "base.group_portal")
        for user in (internal, portal):
            theirs = self._as(user, check_in._name)
            with self.assertRaises(AccessError):
                theirs.search([])
            with self.assertRaises(AccessError):
                theirs.browse(check_in.id).read(["date"])
            with self.assertRaises(AccessError):
                self._as(user).browse(visit.id).action_check_in()

    def test_reader_may_not_learn_by_trying(self):
        """A colleague's call says the same, whether somebody was there or not."""
        visit = self._plan("Helped", user_id=self.rep2.id)
        visit.partner_id.user_id = self.rep

        def refuse():
            with self.assertRaises(AccessError) as error:
                visit.with_user(self.rep).action_check_in()
            return str(error.exception)

        before = refuse()
        visit.with_user(self.rep2).action_check_in()
        self.assertEqual(refuse(), before)

    def test_nobody_writes(self):
        self.visit.with_user(self.rep).action_check_in()
        check_in = self._get_check_in()
        for user in (self.rep, self.leader, self.manager):
            theirs = check_in.with_user(user)
            for operation in ("write", "create", "unlink"):
                self.assertFalse(theirs.has_access(operation))

    def test_deleted_after_months(self):
        """One statement, by each company's months, also where it is off again."""
        other = self._create_company("Other")
        other.key_account_check_in_months = 12
        theirs = self._create_user("ka_other", SALES, other)
        partner = self._create_partner("Theirs", user_id=theirs.id)
        visits = {
            "old": self.visit,
            "new": self._plan("New"),
            "theirs": self.Visit.sudo()
            .with_company(other)
            .create(
                {
                    "partner_id": partner.id,
                    "company_id": other.id,
                    "user_id": theirs.id,
                    "date_planned": TODAY,
                }
            ),
        }
        days = {"old": datetime(2025, 12, 18, 8, 59), "new": datetime(2025, 12, 18, 9)}
        for name, visit in visits.items():
            self.CheckIn.sudo().create(
                {
                    "visit_id": visit.id,
                    "user_id": visit.user_id.id,
                    "date": days.get(name, datetime(2025, 4, 1)),
                }
            )
        self.company.key_account_check_in = False
        self.env.flush_all()
        before = self.cr.sql_log_count
        self.CheckIn.sudo()._delete_old()
        self.assertEqual(self.cr.sql_log_count, before + 1)
        left = self.CheckIn.sudo().search(
            [("visit_id", "in", [v.id for v in visits.values()])]
        )
        self.assertEqual(
            left.visit_id, visits["new"] | visits["theirs"].with_env(self.env)
        )

    def test_the_night_deletes(self):
        self.CheckIn.sudo().create(
            {
                "visit_id": self.visit.id,
                "user_id": self.rep.id,
                "date": datetime(2025, 1, 1),
            }
        )
        self.company.key_account_check_in = False
        with self.enter_registry_test_mode():
            self.env.ref("crm_key_account.ir_cron_tiering").method_direct_trigger()
        self.env.invalidate_all()
        self.assertFalse(self._get_check_in())

    def test_settings(self):
        """A switch, and months within their bounds."""
        settings = self.env["res.config.settings"].create({})
        with Form(settings) as form:
            form.key_account_check_in = True
            form.key_account_check_in_months = 6
        settings.execute()
        self.assertEqual(self.company.key_account_check_in_months, 6)
        for months in (0, -1, 37):
            with self.assertRaisesRegex(ValidationError, "from 1 to 36"):
                self.company.key_account_check_in_months = months

    def test_the_logged_visit_takes_it(self):
        """Whoever checks in and logs the visit has one visit, with the check-in."""
        self.visit.with_user(self.rep).action_check_in(PLACE)
        logged = self.Visit.with_user(self.rep).create(
            {
                "partner_id": self.visit.partner_id.id,
                "state": "done",
                "date_done": TODAY,
            }
        )
        self.assertFalse(self.visit.exists())
        self.assertEqual(self._get_check_in(logged).latitude, 53.55)

    def test_handed_over(self):
        """Who takes the visit over checks in too, and doesn't read the other one's."""
        self.visit.with_user(self.rep).action_check_in()
        self.visit.sudo().user_id = self.rep2
        self.assertEqual(self._read(self.rep2), (True, False, False))
        with freeze_time("2026-03-18 10:00:00"):
            self.visit.with_user(self.rep2).action_check_in()
        self.assertEqual(self._read(self.rep2)[1], datetime(2026, 3, 18, 10))
        self.assertEqual(self._read(self.rep)[1], datetime(2026, 3, 18, 9))
        self.assertEqual(self._read(self.leader)[1], datetime(2026, 3, 18, 10))

    def test_queries(self):
        """As many for fifty visits as for one."""
        visits = self.visit

        def count():
            found = self._as(self.rep).browse(visits.ids)
            found.mapped("name")
            before = self.cr.sql_log_count
            found.mapped("check_in_date")
            return self.cr.sql_log_count - before

        self.visit.with_user(self.rep).action_check_in()
        count()  # fills what new users emptied
        one = count()
        for number in range(49):
            visit = self._plan(f"Customer {number}")
            visit.with_user(self.rep).action_check_in(PLACE)
            visits |= visit
        self.assertEqual(count(), one)


@tagged("post_install", "-at_install")
class TestCheckInPhoneTour(CheckInCommon, HttpCase):
    browser_size = "390x844"
    touch_enabled = True

    def test_refused_place(self):
        """One tap; a phone that doesn't say where is no error."""
        self.visit.date_planned = clock.get_today(self.company, self.rep)
        before = datetime.now() - timedelta(minutes=1)
        self.start_tour("/odoo/my-day", "key_account_check_in_phone", login="ka_rep")
        self.env.invalidate_all()
        check_in = self._get_check_in()
        self.assertEqual(check_in.user_id, self.rep)
        self.assertGreater(check_in.date, before)
