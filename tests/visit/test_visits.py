from ast import literal_eval
from datetime import date, timedelta
from unittest.mock import patch

from freezegun import freeze_time
from lxml import etree
from psycopg2.errors import UniqueViolation

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import html2plaintext, mute_logger

from ...hooks import uninstall_hook
from ..common import SALES, TODAY, KeyAccountCommon


@tagged("post_install", "-at_install")
class TestGenerator(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.env["key.account.cadence"].search([]).active = False
        cls.cadence = cls._create_cadence(cls.tier_a, 1, "week")
        cls.partner = cls._create_partner("Customer")
        cls._set_tier(cls.partner, cls.tier_a)

    # --- due dates --------------------------------------------------------------

    def test_next_visit_after_the_last_one(self):
        self._create_done(self.partner, date(2026, 3, 16))
        visit = self.Visit._generate()
        self.assertEqual(visit.partner_id, self.partner)
        self.assertEqual(visit.date_due, date(2026, 3, 23))
        self.assertEqual(visit.date_planned, date(2026, 3, 23))
        self.assertEqual(visit.date_latest, date(2026, 3, 25))
        self.assertEqual(visit.user_id, self.rep)
        self.assertEqual(visit.team_id, self.team)
        self.assertEqual(visit.mode, "on_site")
        self.assertEqual(visit.summary, "Key account, weekly; last visit Mar 16")

    def test_activity(self):
        self._create_done(self.partner, date(2026, 3, 16))
        visit = self.Visit._generate()
        activity = visit.activity_id
        self.assertEqual(activity.res_model, "res.partner")
        self.assertEqual(activity.res_id, self.partner.id)
        self.assertEqual(activity.user_id, self.rep)
        self.assertEqual(activity.date_deadline, date(2026, 3, 23))
        self.assertTrue(activity.automated)
        self.assertEqual(
            activity.activity_type_id,
            self.env.ref("crm_key_account.mail_activity_type_visit"),
        )
        self.assertEqual(activity.summary, visit.summary)

    def test_reason_is_in_the_language_of_the_rep(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.rep.lang = "fr_FR"
        self.tier_a.with_context(lang="fr_FR").name = "Grand compte"
        self._create_done(self.partner, date(2026, 3, 16))
        visit = self.Visit._generate()
        self.assertIn("Grand compte", visit.summary)
        self.assertIn("16 mars", visit.summary)

    def test_horizon(self):
        self.cadence.interval_count = 4
        self._create_done(self.partner, TODAY)
        due = TODAY + timedelta(weeks=4)
        self.assertFalse(self.Visit._generate(today=due - timedelta(days=15)))
        visit = self.Visit._generate(today=due - timedelta(days=14))
        self.assertEqual(visit.date_due, due)

    def test_overdue_is_planned_today(self):
        self._create_done(self.partner, date(2025, 3, 16))
        self.assertEqual(self.Visit._generate().date_planned, TODAY)

    def test_never_visited_is_spread(self):
        partners = self.partner
        for number in range(20):
            partners |= self._create_partner(f"Customer {number}")
        self._set_tier(partners, self.tier_a)
        visits = self.Visit._generate()
        self.assertEqual(visits.partner_id, partners)
        days = set(visits.mapped("date_due"))
        self.assertEqual(days, {TODAY + timedelta(days=n) for n in range(7)})
        self.assertIn("not visited yet", visits[0].summary)

    def test_never_visited_does_not_jump_about(self):
        self.cadence.write({"interval_count": 12, "interval_unit": "month"})
        due = None
        day = TODAY
        while not due and day < TODAY + timedelta(days=400):
            due = self.Visit._generate(today=day).date_due
            day += timedelta(days=1)
        planned_on = day - timedelta(days=1)
        self.assertEqual(planned_on, max(due - timedelta(days=14), TODAY))

    def test_monthly_keeps_the_day_of_the_month(self):
        self.cadence.write({"interval_count": 1, "interval_unit": "month"})
        self._create_done(self.partner, date(2026, 2, 28))
        self.assertEqual(self.Visit._generate().date_due, date(2026, 3, 28))

    def test_own_interval_goes_before_the_cadence(self):
        self.partner.visit_interval_days = 3
        self._create_done(self.partner, TODAY)
        visit = self.Visit._generate()
        self.assertEqual(visit.date_due, TODAY + timedelta(days=3))
        self.assertIn("every 3 days", visit.summary)
        with self.assertRaisesRegex(ValidationError, "from 0 to 3,650"):
            self.partner.visit_interval_days = -1

    def test_first_matching_line_wins(self):
        line = self._create_cadence(self.env["key.account.tier"], 3, "day", sequence=1)
        self._create_done(self.partner, TODAY)
        visit = self.Visit._generate()
        self.assertEqual(visit.cadence_id, line)

    def test_tracks_are_apart(self):
        self._create_cadence(self.tier_a, 1, "month", track="contact")
        self._create_done(self.partner, TODAY)
        self._create_done(self.partner, TODAY, track="contact")
        visits = self.Visit._generate()
        self.assertEqual(visits.track, "visit")
        # a call that was due before it was made is followed by the next one at once
        self.Visit._generate(today=TODAY + timedelta(days=20))
        planned = self.Visit.search(
            [("partner_id", "=", self.partner.id), ("state", "=", "planned")]
        )
        self.assertEqual(set(planned.mapped("track")), {"visit", "contact"})
        visits = planned
        call = visits.filtered(lambda visit: visit.track == "contact")
        self.assertEqual(call.mode, "phone")
        self.assertEqual(
            call.activity_id.activity_type_id,
            self.env.ref("crm_key_account.mail_activity_type_contact"),
        )

    def test_bad_interval(self):
        for count in (0, -1):
            with self.assertRaisesRegex(ValidationError, "from 1 to 3,650"):
                self.cadence.interval_count = count

    def test_no_tier_no_visit(self):
        self._create_partner("Stranger")
        self.assertEqual(self.Visit._generate().partner_id, self.partner)

    def test_archived_and_foreign_customers_are_left_out(self):
        other = self._create_company("Elsewhere")
        foreign = self._create_partner("Foreign")
        self._set_tier(foreign, self.tier_a)
        foreign.company_id = other
        self.partner.active = False
        self.assertFalse(self.Visit._generate())

    # --- working days -------------------------------------------------------------

    def test_leave_and_public_holiday(self):
        calendar = self.company.resource_calendar_id
        resource = self.env["resource.resource"].create(
            {
                "name": "Rep",
                "user_id": self.rep.id,
                "calendar_id": calendar.id,
                "company_id": self.company.id,
                "tz": "UTC",
            }
        )
        leaves = self.env["resource.calendar.leaves"]
        # due on Monday 23rd: public holiday; away till Wednesday
        leaves.create(
            {
                "name": "Holiday",
                "calendar_id": calendar.id,
                "company_id": self.company.id,
                "date_from": "2026-03-23 00:00:00",
                "date_to": "2026-03-23 23:59:59",
            }
        )
        leaves.create(
            {
                "name": "Away",
                "calendar_id": calendar.id,
                "resource_id": resource.id,
                "date_from": "2026-03-20 00:00:00",
                "date_to": "2026-03-25 23:59:59",
            }
        )
        self._create_done(self.partner, date(2026, 3, 16))
        other = self._create_partner("Other", user_id=self.rep2.id)
        self._set_tier(other, self.tier_a)
        self._create_done(other, date(2026, 3, 16))
        visits = self.Visit._generate()
        planned = {visit.user_id: visit.date_planned for visit in visits}
        self.assertEqual(planned[self.rep], date(2026, 3, 26))
        # not away, but the holiday counts: Tuesday is nearest
        self.assertEqual(planned[self.rep2], date(2026, 3, 24))

    def test_part_time_calendar(self):
        calendar = self.company.resource_calendar_id.copy()
        calendar.attendance_ids.filtered(lambda a: a.dayofweek == "0").unlink()
        self.env["resource.resource"].create(
            {
                "name": "Rep",
                "user_id": self.rep.id,
                "calendar_id": calendar.id,
                "company_id": self.company.id,
                "tz": "UTC",
            }
        )
        self._create_done(self.partner, date(2026, 3, 16))
        self.assertEqual(self.Visit._generate().date_planned, date(2026, 3, 24))

    def test_calendar_without_hours_plans_nothing(self):
        calendar = self.company.resource_calendar_id.copy()
        calendar.attendance_ids.unlink()
        self.env["resource.resource"].create(
            {
                "name": "Rep",
                "user_id": self.rep.id,
                "calendar_id": calendar.id,
                "company_id": self.company.id,
                "tz": "UTC",
            }
        )
        self.assertFalse(self.Visit._generate())

    def test_today_is_the_rep_s_today(self):
        self._create_done(self.partner, date(2025, 1, 1))
        # Wednesday evening in UTC is Thursday morning in Auckland
        self.rep.tz = "Pacific/Auckland"
        with freeze_time("2026-03-18 20:00:00"):
            self.assertEqual(self.Visit._generate().date_planned, date(2026, 3, 19))

    def test_today_west_of_greenwich(self):
        self._create_done(self.partner, date(2025, 1, 1))
        self.rep.tz = "America/Los_Angeles"
        with freeze_time("2026-03-18 03:00:00"):
            visit = self.Visit._generate()
            self.assertEqual(visit.date_planned, date(2026, 3, 17))
            visit.action_done()
            self.assertEqual(visit.date_done, date(2026, 3, 17))

    # --- responsible ----------------------------------------------------------------

    def test_nobody_home(self):
        self.partner.user_id = False
        visit = self.Visit._generate()
        self.assertFalse(visit.user_id)
        self.assertFalse(visit.activity_id.user_id)
        view = self.env.ref("crm_key_account.key_account_visit_view_search")
        (found,) = etree.fromstring(view.arch).xpath("//filter[@name='unassigned']")
        listed = self.Visit.with_user(self.manager).search(
            literal_eval(found.get("domain"))
        )
        self.assertIn(visit, listed)

    def test_team_leader_of_the_latest_document(self):
        self.partner.user_id = False
        self.env["crm.lead"].create(
            {
                "name": "Deal",
                "partner_id": self.partner.id,
                "team_id": self.team.id,
                "company_id": self.company.id,
                "user_id": False,
            }
        )
        visit = self.Visit._generate()
        self.assertEqual(visit.user_id, self.leader)
        self.assertEqual(visit.team_id, self.team)

    def test_after_the_leader_comes_the_new_salesperson(self):
        visit = self.Visit._generate()
        self.rep.active = False
        self.assertEqual(visit.user_id, self.leader)
        self.partner.user_id = self.rep2
        self.assertEqual(visit.user_id, self.rep2)
        self.assertEqual(visit.activity_id.user_id, self.rep2)

    def test_team_leader_of_a_salesperson_who_left(self):
        self.rep.active = False
        self.assertEqual(self.Visit._generate().user_id, self.leader)

    # --- at most one --------------------------------------------------------------

    def test_twice_makes_nothing_twice(self):
        self.assertEqual(len(self.Visit._generate()), 1)
        self.assertFalse(self.Visit._generate())
        self.assertFalse(self.Visit._generate(today=TODAY))

    def test_index_holds(self):
        self.Visit._generate()
        with mute_logger("odoo.sql_db"), self.assertRaises(UniqueViolation):
            self.Visit.create(
                {"partner_id": self.partner.id, "company_id": self.company.id}
            )

    def test_fixed_number_of_queries(self):
        counts = []
        for number in (1, 50):
            partners = self.env["res.partner"]
            for index in range(number):
                partners |= self._create_partner(f"Many {number} {index}")
            self._set_tier(partners, self.tier_a)
            self.Visit._generate(self.partner)
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self.assertEqual(len(self.Visit._generate(partners)), number)
            self.env.flush_all()
            counts.append(self.cr.sql_log_count - before)
        self.assertLessEqual(counts[1], counts[0] + 2, counts)

    def test_closing_takes_as_many_queries_for_many(self):
        counts = []
        for number in (1, 1, 50):  # the first one fills Odoo's own caches
            partners = self.env["res.partner"]
            for index in range(number):
                partners |= self._create_partner(f"Closed {number} {index}")
            self._set_tier(partners, self.tier_a)
            visits = self.Visit._generate(partners)
            self._set_tier(partners, self.tier_c)
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self.Visit._generate(partners)
            self.env.flush_all()
            counts.append(self.cr.sql_log_count - before)
            self.assertEqual(set(visits.mapped("state")), {"cancelled"})
            self.assertEqual(len(visits), number)
        self.assertLessEqual(counts[2], counts[1] + 2, counts)

    def test_no_mail_to_anybody(self):
        self.partner.write({"email": "customer@example.com"})
        before = self.env["mail.mail"].search_count([])
        messages = self.env["mail.message"].search_count([])
        self._create_done(self.partner, date(2026, 3, 16))
        self.Visit.with_user(self.manager)._generate()
        self.assertEqual(self.env["mail.mail"].search_count([]), before)
        self.assertEqual(self.env["mail.message"].search_count([]), messages)
        self.assertNotIn(self.partner, self.partner.message_partner_ids)

    def test_cron(self):
        with self.enter_registry_test_mode():
            self.env.ref("crm_key_account.ir_cron_planning").method_direct_trigger()
        self.env.invalidate_all()
        self.assertTrue(self._get_planned(self.partner))

    def test_cron_leaves_companies_that_plan_themselves(self):
        self.company.key_account_planning = False
        with self.enter_registry_test_mode():
            self.env.ref("crm_key_account.ir_cron_planning").method_direct_trigger()
        self.env.invalidate_all()
        self.assertFalse(self._get_planned(self.partner))

    def test_bad_horizon(self):
        for days in (0, -1, 366):
            with self.assertRaisesRegex(ValidationError, "from 1 to 365"):
                self.company.key_account_horizon_days = days

    # --- leads ---------------------------------------------------------------------

    def _create_lead(self, **values):
        lead = self.env["crm.lead"].create(
            {
                "name": "Prospect",
                "company_id": self.company.id,
                "user_id": self.rep2.id,
                "type": "lead",
                "expected_revenue": 1000,
                **values,
            }
        )
        self.policy._run(TODAY)
        lead.account_tier_id = self.tier_a
        return lead

    def test_lead_of_no_company(self):
        """It shows when its customer was visited by the company one works in, also
        where a transaction serves two."""
        other = self._create_company("Other")
        partner = self._create_partner("Acme")
        for company, day in ((self.company, TODAY), (other, date(2026, 1, 5))):
            self.Card._provide(partner.ids, company).last_visit_date = day
        lead = self.env["crm.lead"].create(
            {"name": "Deal", "partner_id": partner.id, "team_id": False}
        )
        lead.write({"company_id": False, "user_id": False})
        lead = lead.with_context(allowed_company_ids=(self.company | other).ids)
        self.assertEqual(lead.last_visit_date, TODAY)
        self.assertEqual(lead.with_company(other).last_visit_date, date(2026, 1, 5))

    def test_lead_without_customer(self):
        lead = self._create_lead()
        visit = self.Visit._generate().filtered("lead_id")
        self.assertEqual(visit.lead_id, lead)
        self.assertFalse(visit.partner_id)
        self.assertEqual(visit.user_id, self.rep2)
        self.assertEqual(visit.activity_id.res_model, "crm.lead")
        self.assertEqual(lead.next_visit_date, visit.date_planned)
        self.assertFalse(self.Visit._generate())
        visit.activity_id.action_feedback(feedback="Interested")
        self.assertEqual(visit.state, "done")
        following = self.Visit.search(
            [("lead_id", "=", lead.id), ("state", "=", "planned")]
        )
        self.assertEqual(following.date_due, TODAY + timedelta(days=7))
        self.env.invalidate_all()
        self.assertEqual(lead.last_visit_date, TODAY)
        found = self.env["crm.lead"].search([("last_visit_date", "=", TODAY)])
        self.assertIn(lead, found)

    def test_lost_lead(self):
        lead = self._create_lead()
        visit = self.Visit._generate().filtered("lead_id")
        lead.action_set_lost()
        self.assertEqual(visit.state, "cancelled")
        self.assertEqual(visit.close_reason, "Lead lost")
        self.assertFalse(visit.activity_id)
        self.assertFalse(self.Visit._generate())

    def test_converted_lead(self):
        lead = self._create_lead()
        visit = self.Visit._generate().filtered("lead_id")
        activity = visit.activity_id
        customer = self._create_partner("Won customer")
        lead.convert_opportunity(customer)
        self.assertEqual(visit.partner_id, customer)
        self.assertEqual(visit.state, "planned")
        self.assertEqual(activity.res_model, "res.partner")
        self.assertEqual(activity.res_id, customer.id)

    def test_converted_lead_of_a_customer_with_a_visit(self):
        lead = self._create_lead()
        visits = self.Visit._generate()
        visit = visits.filtered("lead_id")
        lead.convert_opportunity(self.partner)
        self.assertEqual(visit.state, "cancelled")
        self.assertIn("has a visit planned", visit.close_reason)
        self.assertEqual(len(self._get_planned(self.partner)), 1)

    def test_two_leads_become_one_customer(self):
        leads = self._create_lead() | self._create_lead()
        leads.account_tier_id = self.tier_a
        self.Visit._generate()
        visits = self.Visit.search([("lead_id", "in", leads.ids)])
        self.assertEqual(visits.lead_id, leads)
        customer = self._create_partner("Won customer")
        leads.partner_id = customer
        self.assertEqual(visits.partner_id, customer)
        self.assertEqual(set(visits.mapped("state")), {"planned", "cancelled"})
        self.assertEqual(len(self._get_planned(customer)), 1)

    def test_converted_lead_with_many_visits(self):
        """Those of many visits are those of a few."""
        counts = []
        for number in (2, 12):
            lead = self._create_lead()
            done = self.Visit.create(
                [
                    {
                        "lead_id": lead.id,
                        "company_id": self.company.id,
                        "user_id": self.rep2.id,
                        "state": "done",
                        "date_done": TODAY - timedelta(days=index),
                    }
                    for index in range(number)
                ]
            )
            self.Visit._generate()
            domain = [("lead_id", "=", lead.id), ("state", "=", "planned")]
            planned = self.Visit.search(domain)
            self.assertEqual(len(planned), 1)
            customer = self._create_partner("Won customer")
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            lead.partner_id = customer
            self.env.flush_all()
            counts.append(self.cr.sql_log_count - before)
            self.assertEqual((planned | done).partner_id, customer)
            self.assertEqual(planned.state, "planned")
        self.assertLessEqual(counts[1], counts[0], counts)

    def test_lead_changes_hands(self):
        lead = self._create_lead()
        visit = self.Visit._generate().filtered("lead_id")
        lead.user_id = self.rep
        self.assertEqual(visit.user_id, self.rep)
        self.assertEqual(visit.activity_id.user_id, self.rep)

    def test_merged_leads(self):
        leads = self._create_lead() | self._create_lead(name="Same prospect")
        leads.account_tier_id = self.tier_a
        visits = self.Visit._generate().filtered("lead_id")
        self.assertEqual(len(visits), 2)
        done = self.Visit.create(
            {
                "lead_id": leads[1].id,
                "state": "done",
                "date_done": "2026-03-02",
                "date_planned": "2026-03-02",
            }
        )
        head = leads.merge_opportunity()
        self.assertEqual(sorted(visits.mapped("state")), ["cancelled", "planned"])
        self.assertTrue(done.exists())
        self.assertEqual((visits | done).lead_id, head)
        planned = visits.filtered(lambda visit: visit.state == "planned")
        self.assertEqual(planned.activity_id.res_id, head.id)


class PlannedVisitCommon(KeyAccountCommon):
    """A key account seen on 12 March, so planned for the 19th."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.env["key.account.cadence"].search([]).active = False
        cls.cadence = cls.env["key.account.cadence"].create(
            {"tier_id": cls.tier_a.id, "company_id": cls.company.id}
        )
        cls.partner = cls._create_partner("Customer")
        cls._set_tier(cls.partner, cls.tier_a)
        cls.Visit.create(
            {
                "partner_id": cls.partner.id,
                "state": "done",
                "date_done": "2026-03-12",
                "date_planned": "2026-03-12",
            }
        )
        cls.visit = cls.Visit._generate()
        cls.activity = cls.visit.activity_id

    def setUp(self):
        super().setUp()
        self.assertEqual(self.visit.date_planned, date(2026, 3, 19))
        self.rep_activity = self.activity.with_user(self.rep)


@tagged("post_install", "-at_install")
class TestVisitSync(PlannedVisitCommon):
    def test_account_dates(self):
        card = self._get_card(self.partner)
        self.assertEqual(card.last_visit_date, date(2026, 3, 12))
        self.assertEqual(card.next_visit_date, date(2026, 3, 19))
        self.assertEqual(self.partner.next_visit_date, date(2026, 3, 19))
        contact = self.env["res.partner"].create(
            {"name": "Buyer", "parent_id": self.partner.id}
        )
        self.assertEqual(contact.last_visit_date, date(2026, 3, 12))
        found = self.env["res.partner"].search(
            [("next_visit_date", "<", "2026-03-20"), ("id", "=", self.partner.id)]
        )
        self.assertEqual(found, self.partner)
        found = self.env["res.partner"].search(
            [("next_visit_date", "=", False), ("id", "=", self.partner.id)]
        )
        self.assertFalse(found)

    def test_done_with_feedback(self):
        self.rep_activity.action_feedback(feedback="They want a quotation")
        self.assertEqual(self.visit.state, "done")
        self.assertEqual(self.visit.date_done, TODAY)
        self.assertEqual(self.visit.feedback, "They want a quotation")
        self.assertFalse(self.activity.active)
        following = self._get_planned(self.partner)
        self.assertEqual(following.date_due, TODAY + timedelta(days=7))
        self.assertEqual(following.user_id, self.rep)
        self.assertTrue(following.activity_id.active)
        self.assertEqual(self._get_card(self.partner).last_visit_date, TODAY)

    def test_done_without_feedback(self):
        self.rep_activity.action_done()
        self.assertEqual(self.visit.state, "done")
        self.assertFalse(self.visit.feedback)
        self.assertTrue(self._get_planned(self.partner))

    def test_done_and_schedule_next(self):
        self.rep_activity.action_feedback_schedule_next(feedback="Fine")
        self.assertEqual(self.visit.state, "done")
        self.assertEqual(self.visit.feedback, "Fine")

    def test_archived_from_the_activity_list(self):
        self.rep_activity.action_archive()
        self.assertEqual(self.visit.state, "done")

    def test_restored_activity(self):
        self.company.key_account_planning = False
        self.rep_activity.action_done()
        self.rep_activity.action_unarchive()
        self.assertEqual(self.visit.state, "planned")
        self.assertFalse(self.visit.date_done)

    def test_restored_activity_when_the_next_is_planned(self):
        self.rep_activity.action_done()
        with self.assertRaisesRegex(UserError, "planned already"):
            self.rep_activity.action_unarchive()

    def test_done_from_the_visit(self):
        visit = self.visit.with_user(self.rep)
        visit.action_done("Ordered")
        self.assertEqual(visit.state, "done")
        self.assertEqual(visit.feedback, "Ordered")
        self.assertFalse(self.activity.active)
        message = self.partner.message_ids.filtered("mail_activity_type_id")
        self.assertIn("Ordered", message.body)
        with self.assertRaisesRegex(UserError, "not planned any more"):
            visit.action_done()

    def test_state_written_from_outside(self):
        visit = self.visit.with_user(self.rep)
        visit.state = "done"
        self.assertFalse(self.activity.active)
        self.assertEqual(visit.date_done, TODAY)
        with self.assertRaises(UserError):
            visit.state = "planned"

    def test_monthly_next_is_planned_at_once(self):
        self.cadence.interval_unit = "month"
        self.rep_activity.action_done()
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 4, 18))

    def test_done_without_planning(self):
        self.company.key_account_planning = False
        self.rep_activity.action_done()
        self.assertFalse(self._get_planned(self.partner))

    def test_moving_the_activity_moves_the_visit(self):
        self.rep_activity.date_deadline = date(2026, 3, 27)
        self.assertEqual(self.visit.date_planned, date(2026, 3, 27))
        self.assertTrue(self.visit.is_date_fixed)
        self.assertEqual(
            self._get_card(self.partner).next_visit_date, date(2026, 3, 27)
        )
        self.rep_activity.action_reschedule_tomorrow()
        self.assertEqual(self.visit.date_planned, TODAY + timedelta(days=1))

    def test_moving_the_visit_moves_the_activity(self):
        self.visit.with_user(self.rep).date_planned = date(2026, 3, 24)
        self.assertEqual(self.activity.date_deadline, date(2026, 3, 24))
        self.assertTrue(self.visit.is_date_fixed)

    def test_giving_to_a_colleague(self):
        self.activity.user_id = self.rep2
        self.assertEqual(self.visit.user_id, self.rep2)
        self.visit.user_id = self.leader
        self.assertEqual(self.activity.user_id, self.leader)

    def test_cancelling_the_activity(self):
        self.rep_activity.action_cancel()
        self.assertEqual(self.visit.state, "cancelled")
        self.assertEqual(self.visit.date_resume, date(2026, 3, 26))
        self.assertFalse(self.activity.exists())
        for days in range(7):
            planned = self.Visit._generate(today=TODAY + timedelta(days=days))
            if planned:
                self.assertEqual(planned.date_due, date(2026, 3, 26))
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 3, 26))

    def test_cancelling_the_visit_asks_when_to_come_back(self):
        action = self.visit.with_user(self.rep).action_open_cancel()
        wizard = (
            self.env[action["res_model"]]
            .with_user(self.rep)
            .with_context(**action["context"])
            .create({"reason": "On leave", "date_resume": "2026-05-04"})
        )
        wizard.action_cancel()
        self.assertEqual(self.visit.state, "cancelled")
        self.assertEqual(self.visit.close_reason, "On leave")
        self.assertFalse(self.activity.exists())
        visit = self._get_planned(self.partner)
        self.assertEqual(visit.date_due, date(2026, 5, 4))
        self.assertFalse(self.Visit._generate())
        self.assertFalse(self.Visit._generate(today=date(2026, 4, 20)))

    def test_coming_back_in_the_past(self):
        with self.assertRaisesRegex(ValidationError, "in the past"):
            self.visit.action_cancel("2026-03-17")
        self.assertEqual(self.visit.state, "planned")

    def test_last_word_of_a_day(self):
        """A day to come back that was named before a visit of the same day doesn't
        count; one that was named after it does. Whatever the ids, and whether the visit
        was planned or logged."""
        week, month = date(2026, 3, 25), date(2026, 6, 1)

        def cancel(visit):
            visit.action_cancel(month)

        def log(visit):
            visit.create(
                {
                    "partner_id": self.partner.id,
                    "state": "done",
                    "date_done": TODAY,
                    "date_planned": TODAY,
                }
            )

        def plan_and_do(visit):
            visit.create(
                {"partner_id": self.partner.id, "date_planned": TODAY}
            ).action_done()

        def fix(visit):
            # so that a visit that is logged leaves it alone
            visit.date_planned = date(2026, 4, 20)

        for name, steps, expected in (
            ("cancelled, then logged", (cancel, log), week),
            ("cancelled, then done", (cancel, plan_and_do), week),
            ("logged, then cancelled", (fix, log, cancel), month),
            ("done, then cancelled", (plan_and_do, cancel), month),
            ("cancelled alone", (cancel,), month),
        ):
            with self.subTest(name):
                partner = self._create_partner(name)
                self._set_tier(partner, self.tier_a)
                self.partner = partner
                visit = self.Visit._generate(partner)
                if steps[0] is plan_and_do:
                    visit._close("Planned by hand instead")
                for number, step in enumerate(steps):
                    with freeze_time(f"2026-03-18 1{number}:00:00"):
                        planned = self._get_planned(partner)
                        step(planned or visit)
                self._get_planned(partner).sudo()._close("Look at what is due")
                row = self.env["key.account.due"].search(
                    [("partner_id", "=", partner.id), ("track", "=", "visit")]
                )
                self.assertEqual(row.date_due, expected)

    def test_last_word_of_a_moment(self):
        """Within one moment, or of rows that are older than it is noted, the row that
        came later decides."""
        self.visit.action_cancel("2026-06-01")
        visit = self.Visit.create(
            {"partner_id": self.partner.id, "date_planned": TODAY}
        )
        visit.action_done()
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 3, 25))
        self._get_planned(self.partner).action_cancel("2026-06-01")
        row = self.env["key.account.due"].search([("partner_id", "=", self.partner.id)])
        self.assertEqual(row.date_due, date(2026, 6, 1))
        self.env.cr.execute("UPDATE key_account_visit SET closed_at = NULL")
        row._refresh_rows()
        self.assertEqual(row.date_due, date(2026, 6, 1))

    def test_moment_of_closing(self):
        self.assertFalse(self.visit.closed_at)
        self.visit.action_done()
        self.assertTrue(self.visit.closed_at)
        self._get_planned(self.partner).sudo()._close("Again")
        self.visit.activity_id.with_context(active_test=False).active = True
        self.assertEqual(self.visit.state, "planned")
        self.assertFalse(self.visit.closed_at)
        with self.assertRaises(AccessError):
            self.visit.with_user(self.rep).closed_at = "2026-03-18 10:00:00"

    def test_visit_done_after_a_cancellation_counts(self):
        self.visit.action_cancel("2026-06-01")
        self.Visit.create(
            {
                "partner_id": self.partner.id,
                "state": "done",
                "date_done": "2026-03-18",
                "date_planned": "2026-03-18",
            }
        )
        with freeze_time("2026-03-19 09:00:00"):
            self.Visit.create(
                {
                    "partner_id": self.partner.id,
                    "state": "done",
                    "date_done": "2026-03-19",
                    "date_planned": "2026-03-19",
                }
            )
            self.assertEqual(self.Visit._generate().date_due, date(2026, 3, 26))

    def test_planned_by_hand(self):
        self.visit.action_cancel()
        visit = (
            self.env["key.account.visit"]
            .with_user(self.rep)
            .create(
                {
                    "partner_id": self.partner.id,
                    "date_planned": "2026-03-30",
                    "objective": "Present the new range",
                }
            )
        )
        self.assertEqual(visit.activity_id.user_id, self.rep)
        self.assertEqual(visit.activity_id.date_deadline, date(2026, 3, 30))
        self.assertFalse(visit.activity_id.automated)

    def test_bad_input(self):
        values = {"partner_id": self.partner.id, "track": "executive"}
        with self.assertRaisesRegex(ValidationError, "in the future"):
            self.Visit.create({**values, "state": "done", "date_done": "2026-03-19"})
        with self.assertRaisesRegex(ValidationError, "needs a date"):
            self.Visit.create({**values, "date_planned": False})
        with self.assertRaisesRegex(ValidationError, "is archived"):
            archived = self._create_partner("Gone", active=False)
            self.Visit.create({"partner_id": archived.id})
        with self.assertRaisesRegex(UserError, "has been visited"):
            self.partner.unlink()

    def test_deleting_a_planned_visit_deletes_its_activity(self):
        self.visit.unlink()
        self.assertFalse(self.activity.exists())
        self.assertFalse(self._get_card(self.partner).next_visit_date)

    def test_tier_change_replans(self):
        self.env["key.account.cadence"].create(
            {
                "tier_id": self.tier_c.id,
                "company_id": self.company.id,
                "track": "contact",
                "interval_unit": "month",
            }
        )
        self._set_tier(self.partner, self.tier_c)
        visits = self.Visit._generate()
        self.assertEqual(self.visit.state, "cancelled")
        self.assertIn("Key account to Low-value", self.visit.close_reason)
        self.assertFalse(self.activity.exists())
        self.assertNotIn("visit", visits.mapped("track"))

    def test_tier_change_leaves_what_a_person_moved(self):
        self.rep_activity.date_deadline = date(2026, 3, 27)
        self._set_tier(self.partner, self.tier_c)
        self.Visit._generate()
        self.assertEqual(self.visit.state, "planned")


@tagged("post_install", "-at_install")
class TestHandOver(PlannedVisitCommon):
    """Customers and users that change while visits are planned."""

    def test_archived_customer(self):
        self.partner.active = False
        self.assertEqual(self.visit.state, "cancelled")
        self.assertEqual(self.visit.close_reason, "Customer archived")
        self.assertFalse(self.visit.date_resume)
        self.assertFalse(self.activity.exists())
        self.partner.active = True
        self.assertEqual(self.Visit._generate().date_due, date(2026, 3, 19))

    def test_new_salesperson(self):
        self.partner.user_id = self.rep2
        self.assertEqual(self.visit.user_id, self.rep2)
        self.assertEqual(self.activity.user_id, self.rep2)
        self.assertEqual(self._get_card(self.partner).user_id, self.rep2)
        self.assertEqual(self.visit.account_user_id, self.rep2)
        self.assertEqual(
            self.env["key.account.tier.change"]
            .search([("partner_id", "=", self.partner.id)])
            .partner_user_id,
            self.rep2,
        )

    def test_new_salesperson_leaves_what_was_given_to_a_colleague(self):
        self.activity.user_id = self.leader
        self.partner.user_id = self.rep2
        self.assertEqual(self.visit.user_id, self.leader)

    def test_no_salesperson_any_more(self):
        self.partner.user_id = False
        self.assertFalse(self.visit.user_id)
        self.assertFalse(self.activity.user_id)
        self.partner.user_id = self.rep2
        self.assertEqual(self.visit.user_id, self.rep2)

    def test_archived_salesperson(self):
        self.rep.active = False
        self.assertEqual(self.visit.user_id, self.leader)
        self.assertEqual(self.activity.user_id, self.leader)
        self.assertEqual(self.visit.state, "planned")

    def test_salesperson_changes_company(self):
        other = self._create_company("Elsewhere")
        self.rep.write(
            {"company_ids": [Command.set(other.ids)], "company_id": other.id}
        )
        self.assertEqual(self.visit.user_id, self.leader)

    def test_customer_changes_company(self):
        other = self._create_company("Elsewhere")
        self.partner.company_id = other
        self.assertEqual(self.visit.state, "cancelled")
        self.assertIn("another company", self.visit.close_reason)
        self.assertFalse(self.Visit._generate())

    def test_customer_becomes_a_contact(self):
        parent = self._create_partner("Group")
        self.partner.write({"parent_id": parent.id, "is_company": False})
        self.assertEqual(self.visit.state, "cancelled")
        self.assertEqual(self.visit.partner_id, parent)
        self.assertEqual(self._get_card(parent).last_visit_date, date(2026, 3, 12))

    def _merge(self, target, source):
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge((target | source).ids, target)

    def test_merged_customers(self):
        source = self._create_partner("Same customer")
        self._set_tier(source, self.tier_a)
        done = self.Visit.create(
            {
                "partner_id": source.id,
                "state": "done",
                "date_done": "2026-03-16",
                "date_planned": "2026-03-16",
            }
        )
        planned = self.Visit._generate(source)
        other_track = self.Visit.create(
            {
                "partner_id": source.id,
                "track": "executive",
                "date_planned": "2026-04-01",
            }
        )
        self._merge(self.partner, source)
        self.env.invalidate_all()
        self.assertFalse(source.exists())
        self.assertEqual(done.partner_id, self.partner, "done visits are kept")
        self.assertEqual(planned.state, "cancelled")
        self.assertIn("Merged into", planned.close_reason)
        self.assertEqual(self.visit.state, "planned")
        self.assertEqual(other_track.state, "planned")
        self.assertEqual(other_track.partner_id, self.partner)
        self.assertEqual(other_track.activity_id.res_id, self.partner.id)
        self.assertEqual(
            self._get_card(self.partner).last_visit_date, date(2026, 3, 16)
        )

    def test_merged_into_a_customer_without_account(self):
        target = self._create_partner("New record")
        self._merge(target, self.partner)
        self.env.invalidate_all()
        self.assertEqual(self.visit.partner_id, target)
        self.assertEqual(self.visit.state, "planned")
        self.assertEqual(self.activity.res_id, target.id)
        self.assertEqual(self._get_card(target).last_visit_date, date(2026, 3, 12))
        self.assertEqual(target.account_tier_id, self.tier_a)

    def test_uninstall_takes_planned_activities_along(self):
        lead = self.env["crm.lead"].create(
            {"name": "Deal", "partner_id": self.partner.id}
        )
        self.rep_activity.action_feedback(feedback="Seen")
        following = self._get_planned(self.partner).activity_id
        self.assertEqual(lead.account_tier_id, self.tier_a)
        uninstall_hook(self.env)
        self.assertFalse(following.exists())
        self.assertTrue(self.activity.exists(), "done activities stay")
        self.assertFalse(lead.account_tier_id)

    def test_user_of_another_group_may_archive_customers(self):
        user = self._create_user(
            "ka_contacts", "base.group_user,base.group_partner_manager"
        )
        self.partner.with_user(user).active = False
        self.assertEqual(self.visit.state, "cancelled")

    def test_contact_of_a_tiered_customer_by_anybody(self):
        user = self._create_user(
            "ka_contacts2", "base.group_user,base.group_partner_manager"
        )
        contact = (
            self.env["res.partner"]
            .with_user(user)
            .create({"name": "New buyer", "parent_id": self.partner.id})
        )
        self.assertEqual(contact.sudo().account_tier_id, self.tier_a)


@tagged("post_install", "-at_install")
class TestDigest(KeyAccountCommon):
    def test_digest(self):
        partner = self._create_partner("Customer", email="customer@example.com")
        self.rep.email = "rep@example.com"
        user = self._create_user("ka_idle", SALES)
        self.assertTrue(user)
        with freeze_time("2026-03-18 05:00:00"):
            self.Visit.create(
                {
                    "partner_id": partner.id,
                    "user_id": self.rep.id,
                    "date_planned": "2026-03-17",
                    "summary": "Key account, weekly",
                }
            )
            self._run_digest()
            self.assertFalse(self._get_mails(), "too early in the day")
        with freeze_time("2026-03-18 06:00:00"):
            self._run_digest()
            mail = self._get_mails()
            self.assertEqual(len(mail), 1)
            self.assertIn("rep@example.com", mail.email_to)
            self.assertNotIn("customer@example.com", mail.email_to)
            self.assertIn("Key account, weekly", mail.body_html)
            words = " ".join(html2plaintext(mail.body_html).split())
            self.assertIn("overdue since Mar 17", words, "as the reasons write days")
        with freeze_time("2026-03-18 20:00:00"):
            self._run_digest()
            self.assertEqual(len(self._get_mails()), 1, "once a day")
        self.company.key_account_digest = False
        with freeze_time("2026-03-19 08:00:00"):
            self._run_digest()
            self.assertEqual(len(self._get_mails()), 1, "switched off")

    def test_digest_that_fails_is_told(self):
        """To the administrators, once; the others get theirs."""
        users = self.env["res.users"]
        send = type(users)._send_visit_digest
        for user, partner in ((self.rep, "One"), (self.rep2, "Two")):
            user.email = f"{user.login}@example.com"
            self.Visit.create(
                {
                    "partner_id": self._create_partner(partner).id,
                    "user_id": user.id,
                    "date_planned": "2026-03-18",
                }
            )

        def fail(user, *args):
            if user == self.rep:
                raise ValueError("No such template")
            return send(user, *args)

        admin = self._create_user("ka_admin", "base.group_system")
        with (
            freeze_time("2026-03-18 09:00:00"),
            patch.object(type(users), "_send_visit_digest", fail),
        ):
            for _ in range(2):
                with mute_logger("odoo.addons.crm_key_account"):
                    self._run_digest()
        activity = self.rep.partner_id.activity_ids.filtered(
            lambda activity: activity.user_id == admin
        )
        self.assertEqual(len(activity), 1)
        self.assertIn(self.rep.name, activity.summary)
        self.assertIn("No such template", activity.note)
        self.assertFalse(self.rep2.partner_id.activity_ids)
        self.assertEqual(str(self.rep2.key_account_digest_date), "2026-03-18")
        self.assertFalse(self.rep.key_account_digest_date)
        # what another app says of the user is none of ours
        other = self.rep.partner_id.activity_schedule(
            "mail.mail_activity_data_warning", summary="Wrong address", user_id=admin.id
        )
        with freeze_time("2026-03-18 10:00:00"):
            self._run_digest()
        self.assertEqual(str(self.rep.key_account_digest_date), "2026-03-18")
        self.assertFalse(activity.exists())
        self.assertEqual(self.rep.partner_id.activity_ids, other)

    def _run_digest(self):
        with self.enter_registry_test_mode():
            self.env.ref("crm_key_account.ir_cron_digest").method_direct_trigger()
        self.env.invalidate_all()

    def _get_mails(self):
        return self.env["mail.mail"].search([("email_to", "ilike", "rep@example.com")])
