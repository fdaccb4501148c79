from datetime import date, datetime

from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.service.model import call_kw
from odoo.tests import Form, tagged

from ...hooks import uninstall_hook
from ..common import SALES_ADMIN, SALES_ALL, TODAY, KeyAccountCommon
from ..test_rights import RightsCommon
from .test_visits import PlannedVisitCommon

ANSWERS = {"objective_reached": "reached", "next_step": "Send the offer"}
REPORT_VIEW = "crm_key_account.key_account_visit_view_form_report"


class ReportCommon(PlannedVisitCommon):
    """A key account with a planned visit, and two contacts."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ann, cls.bob = cls.env["res.partner"].create(
            [
                {"name": name, "parent_id": cls.partner.id, "type": "contact"}
                for name in ("Ann", "Bob")
            ]
        )
        cls.answers = {**ANSWERS, "contact_ids": [Command.set(cls.ann.ids)]}
        cls.own_visit = cls.visit.with_user(cls.rep)

    def _report(self, visit=None, **values):
        visit = visit if visit is not None else self.own_visit
        visit.write({**self.answers, **values})
        return visit.action_report()

    def _get_tasks(self, partner=None):
        return self.env["mail.activity"].search(
            [
                ("res_model", "=", "res.partner"),
                ("res_id", "=", (partner or self.partner).id),
                ("key_account_role", "not in", ["visit", False]),
            ]
        )


@tagged("post_install", "-at_install")
class TestReport(ReportCommon):
    def test_report_of_a_planned_visit(self):
        with Form(self.own_visit, view=REPORT_VIEW) as form:
            self.assertEqual(str(form.date_visited), "2026-03-18")
            form.contact_ids.add(self.ann)
            form.mode = "online"
            form.outcome = "partly"
            form.next_step = "Send the offer"
            form.feedback = "They are interested"
            form.service_speed = "fast"
            self.assertFalse(form.service_quadrant)
            form.service_attitude = "unfriendly"
            self.assertEqual(form.service_quadrant, "factory")
        self.assertEqual(self.visit.state, "planned")
        action = self.own_visit.action_report()
        self.assertEqual(self.visit.state, "done")
        self.assertEqual(self.visit.date_done, TODAY)
        self.assertEqual(self.visit.report_uid, self.rep)
        self.assertEqual(self.visit.report_date, datetime(2026, 3, 18, 9))
        self.assertFalse(self.activity.active)
        message = self.partner.message_ids.filtered("mail_activity_type_id")
        self.assertIn("They are interested", message.body)
        following = self._get_planned(self.partner)
        self.assertEqual(following.date_due, date(2026, 3, 25))
        params = action["params"]
        self.assertEqual(params["links"][0]["label"], "Wed, Mar 25")
        self.assertTrue(params["links"][0]["url"].endswith(f"/{following.id}"))
        self.assertEqual(params["next"], {"type": "ir.actions.act_window_close"})
        self.assertEqual(self.ann.with_user(self.rep).last_met_date, TODAY)

    def test_quadrants(self):
        for speed, attitude, quadrant in (
            ("fast", "friendly", "quality"),
            ("fast", "unfriendly", "factory"),
            ("slow", "friendly", "friendly"),
            ("slow", "unfriendly", "indifferent"),
            ("slow", False, False),
            (False, "friendly", False),
        ):
            self.own_visit.write({"service_speed": speed, "service_attitude": attitude})
            self.assertEqual(self.visit.service_quadrant, quadrant)

    def test_missing_answers(self):
        self.visit.objective = "Agree on the volume"
        for name, words in (
            ("contact_ids", "Please say: whom you met."),
            ("objective_reached", "Please say: whether you reached the objective."),
            ("next_step", "Please say: the next step."),
        ):
            with self.subTest(name=name):
                value = [Command.clear()] if name == "contact_ids" else False
                self.own_visit.write({**self.answers, name: value})
                with self.assertRaises(UserError) as error:
                    self.own_visit.action_report()
                self.assertIn(words, str(error.exception))
                self.assertEqual(self.visit.state, "planned")
                self.assertTrue(self.activity.active)
                self.assertFalse(self.visit.report_date)
        self.own_visit.write({"contact_ids": [Command.clear()], "next_step": False})
        with self.assertRaisesRegex(UserError, "whom you met and the next step"):
            self.own_visit.action_report()

    def test_incomplete_changes_nothing(self):
        """The dialog writes and reports at once."""
        visits = self.Visit.with_user(self.rep)
        count = self.Visit.search_count([("partner_id", "=", self.partner.id)])
        for visit in (self.own_visit, visits):
            with self.assertRaises(UserError):
                visit.action_report({"partner_id": self.partner.id, "next_step": "Go"})
            self.env.invalidate_all()
            self.assertFalse(self.visit.next_step)
            self.assertEqual(self.visit.state, "planned")
            self.assertEqual(
                self.Visit.search_count([("partner_id", "=", self.partner.id)]), count
            )
        visits.action_report({"partner_id": self.partner.id, **self.answers})
        self.assertFalse(self.visit.exists())
        self.assertEqual(self._get_card(self.partner).last_visit_date, TODAY)

    def test_lead_without_customer(self):
        """There is nobody to choose, so nobody is asked for."""
        lead = self.env["crm.lead"].create(
            {
                "name": "Deal",
                "user_id": self.rep.id,
                "company_id": self.company.id,
                "account_tier_id": self.tier_a.id,
            }
        )
        action = lead.with_user(self.rep).action_log_key_account_visit()
        visits = self.Visit.with_user(self.rep).with_context(**action["context"])
        with Form(visits, view=REPORT_VIEW) as form:
            form.outcome = "reached"
            form.next_step = "Call back"
        visit = form.record
        visit.action_report()
        self.assertEqual(visit.state, "done")
        self.assertEqual(visit.lead_id, lead)
        self.assertFalse(visit.partner_id)
        self.assertEqual(visit.follow_up_activity_id.res_model, "crm.lead")

    def test_when(self):
        with self.assertRaises(ValidationError) as error:
            self.own_visit.date_visited = date(2026, 3, 19)
        self.assertIn("done in the future", str(error.exception))
        self.env.invalidate_all()
        self.assertFalse(self.visit.date_done)
        self._report(date_visited=date(2026, 3, 16))
        self.assertEqual(self.visit.date_done, date(2026, 3, 16))
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 3, 23))

    def test_today_is_the_reps(self):
        self.rep.tz = "Pacific/Kiritimati"
        with freeze_time("2026-03-18 11:00:00"):
            self.env.invalidate_all()
            self.assertEqual(self.own_visit.date_visited, date(2026, 3, 19))
            self._report(date_visited=date(2026, 3, 19))
        self.assertEqual(self.visit.date_done, date(2026, 3, 19))

    def test_day_of_a_draft(self):
        """The day is the report's: a visit that is moved takes place later."""
        self.own_visit.date_visited = date(2026, 3, 17)
        self.rep_activity.date_deadline = date(2026, 3, 24)
        self.assertFalse(self.visit.date_done)
        self.own_visit.date_visited = date(2026, 3, 17)
        self.own_visit.date_planned = date(2026, 3, 25)
        with freeze_time("2026-03-25 09:00:00"):
            self.own_visit.action_done()
        self.assertEqual(self.visit.date_done, date(2026, 3, 25))

    def test_day_of_a_draft_that_is_cancelled(self):
        self.own_visit.date_visited = date(2026, 3, 17)
        self.own_visit.action_cancel(reason="Ill")
        self.assertFalse(self.visit.date_done)

    def test_the_form_opens_unless_cancelled(self):
        action = self.own_visit.action_open_report()
        self.assertEqual(action["res_id"], self.visit.id)
        self.assertEqual(action["target"], "new")
        self.own_visit.action_cancel(reason="Ill")
        for method in ("action_open_report", "action_report"):
            with self.assertRaisesRegex(UserError, "log a new one"):
                getattr(self.own_visit, method)()

    # --- who ----------------------------------------------------------------------

    def test_nobodys_visit_is_the_reporters(self):
        (self.partner | self.partner.child_ids).user_id = False
        self.visit._close("Again")
        visit = self.Visit._generate()
        self.assertFalse(visit.user_id)
        visit.team_id = False
        visit.with_user(self.rep2).action_report(
            {**self.answers, "commitments": "Samples"}
        )
        self.assertEqual(visit.user_id, self.rep2)
        self.assertEqual(visit.team_id, self.team)
        self.assertEqual(visit.follow_up_activity_id.user_id, self.rep2)
        self.assertEqual(visit.commitment_ids.user_id, self.rep2)

    def test_colleague_reports(self):
        """The customer's salesperson made what was planned for a colleague."""
        self.visit.write({"user_id": self.rep2.id, "date_planned": TODAY})
        self.own_visit.action_schedule_meeting()
        event = self.visit.calendar_event_id
        self.own_visit.action_report(dict(self.answers))
        self.assertEqual(self.visit.user_id, self.rep)
        self.assertFalse(self.activity.active)
        self.assertEqual(event.user_id, self.rep2)

    def test_manager_reports_on_behalf(self):
        self.visit.with_user(self.leader).action_report(dict(self.answers))
        self.assertEqual(self.visit.user_id, self.rep)
        self.assertEqual(self.visit.report_uid, self.leader)

    def test_done_by_the_customer_s_salesperson(self):
        """Whoever may read the visit may read its activity, and do it."""
        self.visit.user_id = self.rep2
        self.env.invalidate_all()
        self.assertTrue(
            self.env["mail.activity"]
            .with_user(self.rep)
            .search([("id", "=", self.activity.id)])
        )
        self.own_visit.action_done("They are interested")
        self.assertEqual(self.visit.state, "done")
        message = self.partner.message_ids.filtered("mail_activity_type_id")
        self.assertEqual(message.author_id, self.rep.partner_id)

    # --- missed -------------------------------------------------------------------

    def _miss(self):
        """Planned for the 19th, at the latest for the 21st; the 23rd is today."""
        with freeze_time("2026-03-23 09:00:00"):
            self.Visit._generate()
        self.assertEqual(self.visit.state, "missed")
        self.env.invalidate_all()
        successor = self._get_planned(self.partner)
        self.assertEqual(successor.date_due, date(2026, 3, 19))
        return successor

    def test_missed_one_was_made_in_time(self):
        self.own_visit.commitments = "Samples"
        successor = self._miss()
        self.assertEqual(self.visit.commitment_ids.state, "dropped")
        self.assertTrue(self.own_visit.can_report)
        with freeze_time("2026-03-23 09:00:00"):
            self.own_visit.action_open_report()
            with self.assertRaises(UserError):
                self.own_visit.action_report({"date_visited": "2026-03-20"})
            self.own_visit.action_report({**self.answers, "date_visited": "2026-03-20"})
        self.assertEqual(self.visit.state, "done")
        self.assertEqual(self.visit.date_done, date(2026, 3, 20))
        self.assertEqual(successor.state, "cancelled")
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 3, 27))
        self.assertEqual(self.visit.commitment_ids.state, "open")
        self.assertTrue(self.visit.commitment_ids.activity_id)
        self.assertTrue(self.visit.follow_up_activity_id)

    def test_missed_one_reported_without_a_day(self):
        self._miss()
        with freeze_time("2026-03-23 09:00:00"):
            self.env.invalidate_all()
            with Form(self.own_visit, view=REPORT_VIEW) as form:
                self.assertEqual(str(form.date_visited), "2026-03-23")
                form.date_visited = date(2026, 3, 22)
                form.date_visited = date(2026, 3, 23)
            self._report()
        self.assertEqual(self.visit.date_done, date(2026, 3, 23))
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 3, 30))

    def test_missed_one_and_a_successor_that_was_moved(self):
        successor = self._miss()
        successor.with_user(self.rep).date_planned = date(2026, 3, 26)
        with freeze_time("2026-03-23 09:00:00"):
            self._report(date_visited=date(2026, 3, 20))
        self.assertEqual(self._get_planned(self.partner), successor)
        self.assertEqual(successor.date_planned, date(2026, 3, 26))

    def test_logged_in_the_window_of_a_missed_one(self):
        for day, is_same in (
            (date(2026, 3, 16), False),
            (date(2026, 3, 17), True),
            (date(2026, 3, 21), True),
            (date(2026, 3, 22), False),
        ):
            with self.subTest(day=day), self.env.cr.savepoint() as savepoint:
                successor = self._miss()
                with freeze_time("2026-03-23 09:00:00"):
                    visit = self.Visit.with_user(self.rep).create(
                        {
                            "partner_id": self.partner.id,
                            "state": "done",
                            "date_done": day,
                        }
                    )
                self.assertEqual(not self.visit.exists(), is_same)
                if is_same:
                    self.assertEqual(visit.sudo().date_planned, date(2026, 3, 19))
                    self.assertEqual(successor.state, "cancelled")
                self.assertEqual(len(self._get_planned(self.partner)), 1)
                savepoint.rollback()
                self.env.invalidate_all()

    def test_successor_reported_in_the_window_of_the_missed_one(self):
        successor = self._miss()
        with freeze_time("2026-03-23 09:00:00"):
            successor.with_user(self.rep).action_report(
                {**self.answers, "date_visited": "2026-03-20"}
            )
        self.assertFalse(self.visit.exists())
        self.assertEqual(successor.date_done, date(2026, 3, 20))
        self.assertEqual(successor.date_planned, date(2026, 3, 19))
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 3, 27))

    # --- the next visit -----------------------------------------------------------

    def _fill_days(self):
        """Leave no time for visits, so that the next one waits in the backlog."""
        self.company.resource_calendar_id.attendance_ids.unlink()

    def _get_backlog(self):
        return self.env["key.account.due"].search(
            [
                ("partner_id", "=", self.partner.id),
                ("visit_id", "=", False),
                ("reason", "!=", False),
            ]
        )

    def test_promised_while_it_waits(self):
        self._fill_days()
        self.own_visit.action_done()
        self.assertTrue(self._get_backlog())
        self._report(next_date=date(2026, 3, 30), next_theme="Prices")
        following = self._get_planned(self.partner)
        self.assertEqual(following.date_planned, date(2026, 3, 30))
        self.assertEqual(following.cadence_id, self.cadence)
        self.assertEqual(following.date_due, date(2026, 3, 25))
        self.assertEqual(following.tier_id, self.tier_a)
        self.assertEqual(following.objective, "Prices")
        self.assertTrue(following.is_date_fixed)
        self.assertFalse(self._get_backlog())

    def test_promised_by_somebody_who_left(self):
        self.cadence.active = False
        self.own_visit.action_done()
        self.rep.active = False
        self._report(self.visit.with_user(self.leader), next_date=date(2026, 3, 30))
        following = self._get_planned(self.partner)
        self.assertEqual(following.date_planned, date(2026, 3, 30))
        self.assertFalse(following.user_id)

    def test_promised_in_an_old_draft(self):
        self.own_visit.write({**self.answers, "next_date": date(2026, 3, 20)})
        with freeze_time("2026-03-24 09:00:00"):
            self.own_visit.action_report({"date_visited": "2026-03-19"})
        following = self._get_planned(self.partner)
        self.assertEqual(following.date_planned, date(2026, 3, 26))
        self.assertFalse(following.is_date_fixed)

    def test_promised_day(self):
        self._report(next_date=date(2026, 4, 20), next_theme="Prices")
        following = self._get_planned(self.partner)
        self.assertEqual(len(following), 1)
        self.assertEqual(following.date_planned, date(2026, 4, 20))
        self.assertTrue(following.is_date_fixed)
        self.assertEqual(following.objective, "Prices")
        self.assertEqual(following.activity_id.date_deadline, date(2026, 4, 20))
        self.assertIn("Prices", following.activity_id.note)
        # the night changes nothing
        self.Visit._generate()
        self.assertEqual(self._get_planned(self.partner), following)
        self.assertEqual(following.date_planned, date(2026, 4, 20))

    def test_promised_on_the_day_of_the_cadence(self):
        self._report(next_date=date(2026, 3, 25))
        self.assertTrue(self._get_planned(self.partner).is_date_fixed)

    def test_theme_without_a_day(self):
        self._report(next_theme="Prices")
        following = self._get_planned(self.partner)
        self.assertEqual(following.objective, "Prices")
        self.assertEqual(following.date_planned, date(2026, 3, 25))
        self.assertFalse(following.is_date_fixed)

    def test_promised_without_a_cadence(self):
        self.cadence.active = False
        self._report(next_date=date(2026, 3, 30), next_theme="Prices")
        following = self._get_planned(self.partner)
        self.assertEqual(following.date_planned, date(2026, 3, 30))
        self.assertEqual(following.user_id, self.rep)
        self.assertEqual(following.objective, "Prices")
        self.assertTrue(following.activity_id.active)

    def test_no_next_visit(self):
        self.cadence.active = False
        action = self._report()
        self.assertIn("No next visit", action["params"]["message"])

    def test_promised_in_the_past(self):
        for day, words in (
            (date(2026, 3, 17), "in the past"),
            (date(2026, 3, 18), None),
        ):
            if words:
                with self.assertRaises(ValidationError) as error:
                    self.own_visit.next_date = day
                self.assertIn(words, str(error.exception))
            else:
                self.own_visit.next_date = day
        self.own_visit.date_visited = TODAY
        with self.assertRaisesRegex(ValidationError, "comes after this one"):
            self.own_visit.next_date = TODAY

    # --- follow-up ----------------------------------------------------------------

    def test_follow_up(self):
        self._report()
        activity = self.visit.follow_up_activity_id
        self.assertEqual(activity.summary, "Thank and recap: Customer")
        self.assertEqual(activity.date_deadline, date(2026, 3, 20))
        self.assertEqual(activity.user_id, self.rep)
        self.assertEqual(activity.key_account_role, "follow_up")
        self.assertEqual(
            (activity.res_model, activity.res_id), ("res.partner", self.partner.id)
        )
        # it is no visit
        following = self._get_planned(self.partner)
        activity.with_user(self.rep).action_feedback(feedback="Thanked")
        self.assertEqual(self._get_planned(self.partner), following)
        self.assertEqual(self.visit.state, "done")
        self.assertFalse(self.visit.feedback)

    def test_follow_up_on_working_days(self):
        self.cadence.follow_up_days = 3
        self.rep_activity.action_done()
        # Thursday, Friday, Monday
        activity = self.visit.follow_up_activity_id
        self.assertEqual(activity.date_deadline, date(2026, 3, 23))
        self.own_visit.write(self.answers)
        self.own_visit.action_report()
        self.assertEqual(self._get_tasks(), activity)

    def test_no_follow_up(self):
        self.cadence.follow_up_days = 0
        self._report()
        self.assertFalse(self._get_tasks())

    def test_no_follow_up_of_calls(self):
        self._report(mode="phone")
        self.assertFalse(self._get_tasks())

    def test_no_follow_up_of_what_turns_out_to_be_a_call(self):
        self.rep_activity.action_done()
        activity = self.visit.follow_up_activity_id
        self.assertTrue(activity)
        self._report(mode="phone")
        self.assertFalse(activity.exists())
        self.assertFalse(self.visit.follow_up_activity_id)

    def test_late_follow_up_is_due_today(self):
        self._report(date_visited=date(2026, 3, 2))
        self.assertEqual(self.visit.follow_up_activity_id.date_deadline, TODAY)

    def test_follow_up_goes_with_the_visit(self):
        self.company.key_account_planning = False
        self._report()
        activity = self.visit.follow_up_activity_id
        self.rep_activity.action_unarchive()
        self.assertEqual(self.visit.state, "planned")
        self.assertFalse(activity.exists())
        self.assertFalse(self.visit.report_date)

    def test_no_mail(self):
        mails = self.env["mail.mail"].search([])
        self._report(
            is_manager_needed=True,
            commitment_ids=[
                Command.create({"name": "Samples", "date_deadline": "2026-03-23"})
            ],
        )
        self.assertFalse(self.env["mail.mail"].search([]) - mails)
        suggested = self.visit._message_get_suggested_recipients(no_create=True)
        self.assertEqual(
            {row["partner_id"] for row in suggested}, set(self.rep.partner_id.ids)
        )
        self.assertFalse(self.visit._mail_get_customer())

    # --- support ------------------------------------------------------------------

    def test_support(self):
        self._report(is_manager_needed=True, support_needed="A better price")
        activity = self.visit.support_activity_id
        self.assertEqual(activity.user_id, self.leader)
        self.assertEqual(activity.summary, "Support needed: A better price")
        self.own_visit.support_needed = "A much better price"
        self.assertEqual(self.visit.support_activity_id, activity)
        self.assertEqual(self._get_tasks(), activity | self.visit.follow_up_activity_id)
        # what the rep asked for isn't for everybody who reads the customer
        activity.with_user(self.leader).action_feedback(feedback="Granted")
        self.assertNotIn("price", str(self.partner.message_ids[0].body))

    def test_support_asked_for_later(self):
        self._report()
        self.own_visit.is_manager_needed = True
        self.assertEqual(self.visit.support_activity_id.user_id, self.leader)

    def _get_administrators(self):
        group = self.env.ref("sales_team.group_sale_manager")
        return self.env["res.users"].search(
            [
                ("all_group_ids", "in", group.ids),
                ("company_ids", "in", self.company.ids),
            ],
            order="id",
        )

    def test_support_without_a_leader(self):
        self.team.user_id = False
        self._report(is_manager_needed=True)
        self.assertEqual(
            self.visit.support_activity_id.user_id, self._get_administrators()[0]
        )

    def test_support_for_the_leader(self):
        self.visit.with_user(self.leader).action_report(
            {**self.answers, "is_manager_needed": True}
        )
        self.assertEqual(
            self.visit.support_activity_id.user_id, self._get_administrators()[0]
        )

    def test_support_without_anybody(self):
        self.team.user_id = False
        self._get_administrators().write(
            {"group_ids": [Command.unlink(self.env.ref(SALES_ADMIN).id)]}
        )
        self.assertFalse(self._get_administrators())
        action = self._report(is_manager_needed=True)
        self.assertTrue(self.visit.report_date)
        self.assertFalse(self.visit.support_activity_id)
        self.assertIn("nobody to tell", action["params"]["message"])

    def test_support_taken_back(self):
        self._report(is_manager_needed=True, support_needed="A better price")
        activity = self.visit.support_activity_id
        self.own_visit.support_needed = "A much better price"
        self.assertEqual(activity.summary, "Support needed: A much better price")
        self.own_visit.is_manager_needed = False
        self.assertFalse(activity.exists())
        # asked for again, it is told again
        self.own_visit.is_manager_needed = True
        self.assertEqual(self.visit.support_activity_id.user_id, self.leader)
        self.visit.support_activity_id.with_user(self.leader).action_feedback()
        self.own_visit.is_manager_needed = False
        self.assertFalse(self.visit.support_activity_id.active)
        self.assertTrue(self.visit.support_activity_id)

    # --- Odoo's own screens -------------------------------------------------------

    def test_done_without_a_report_is_to_report(self):
        to_report = [("state", "=", "done"), ("report_date", "=", False)]
        mine = [*to_report, ("id", "=", self.visit.id)]
        self.rep_activity.action_feedback(feedback="They want a quotation")
        self.assertTrue(self.Visit.search(mine))
        self.assertTrue(self.own_visit.can_report)
        self.assertEqual(self.visit.feedback, "They want a quotation")
        following = self._get_planned(self.partner)
        self._report()
        self.assertFalse(self.Visit.search(mine))
        self.assertEqual(self._get_planned(self.partner), following)
        self.assertEqual(self.visit.feedback, "They want a quotation")

    def test_feedback_adds_to_notes(self):
        self.own_visit.feedback = "Parking behind the house"
        self.rep_activity.action_feedback(feedback="They want a quotation")
        self.assertEqual(
            self.visit.feedback, "Parking behind the house\nThey want a quotation"
        )

    def test_report_from_the_activity(self):
        action = self.rep_activity.action_report_key_account_visit("Interested")
        self.assertEqual(action["res_id"], self.visit.id)
        self.assertEqual(self.visit.feedback, "Interested")
        self.rep_activity.action_report_key_account_visit("Interested")
        self.assertEqual(self.visit.feedback, "Interested")
        self.assertTrue(self.activity.active)
        with self.assertRaises(AccessError):
            self.activity.with_user(self.rep2).action_report_key_account_visit()

    def test_activity_data(self):
        def can_report(activity, user):
            data = activity.with_user(user).activity_format()["mail.activity"]
            return {row["id"]: row for row in data}[activity.id][
                "can_report_key_account_visit"
            ]

        self.assertTrue(can_report(self.activity, self.rep))
        internal = self._create_user("ka_internal", "base.group_user")
        self.activity.user_id = internal
        self.assertFalse(can_report(self.activity, internal))
        self.activity.user_id = self.rep
        self._report()
        self.assertFalse(can_report(self.visit.follow_up_activity_id, self.rep))

    def test_report_from_the_meeting(self):
        event = self.env["calendar.event"].create(
            {
                "name": "Meeting",
                "start": "2026-03-18 10:00:00",
                "stop": "2026-03-18 11:00:00",
            }
        )
        self.visit.calendar_event_id = event
        action = event.with_user(self.rep).action_report_key_account_visit()
        self.assertEqual(action["res_id"], self.visit.id)
        self.assertEqual(action["target"], "new")
        self.env.invalidate_all()
        self.assertFalse(event.with_user(self.rep2).key_account_visit_ids)
        self.env.invalidate_all()
        self._report()
        action = event.with_user(self.rep).action_report_key_account_visit()
        self.assertNotIn("target", action)
        form = Form(event.with_user(self.rep))
        self.assertIn("key_account_visit_ids", form._view["fields"])
        internal = self._create_user("ka_internal", "base.group_user")
        with self.assertRaises(AccessError):
            event.with_user(internal).read(["key_account_visit_ids"])

    def test_uninstall(self):
        self._report(is_manager_needed=True)
        tasks = self._get_tasks()
        self.assertEqual(len(tasks), 2)
        uninstall_hook(self.env)
        self.assertFalse(tasks.exists())


@tagged("post_install", "-at_install")
class TestCommitments(ReportCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.own_visit.action_done()
        cls.commitment = (
            cls.env["key.account.commitment"]
            .with_user(cls.rep)
            .create(
                {
                    "visit_id": cls.visit.id,
                    "name": "Samples",
                    "date_deadline": "2026-03-23",
                }
            )
        )
        cls.task = cls.commitment.activity_id

    def test_activity(self):
        self.assertEqual(self.task.summary, "Samples")
        self.assertEqual(self.task.date_deadline, date(2026, 3, 23))
        self.assertEqual(self.task.user_id, self.rep)
        self.assertEqual(self.task.key_account_role, "commitment")
        self.assertEqual(self.commitment.partner_id, self.partner)
        self.assertEqual(self.commitment.company_id, self.company)

    def test_kept_by_the_activity(self):
        self.task.with_user(self.rep).action_feedback(feedback="Sent")
        self.assertEqual(self.commitment.state, "kept")
        self.assertEqual(self.commitment.date_done, TODAY)
        self.task.with_user(self.rep).action_unarchive()
        self.assertEqual(self.commitment.state, "open")
        self.assertFalse(self.commitment.date_done)

    def test_kept_by_the_button(self):
        self.commitment.action_keep()
        self.assertEqual(self.commitment.state, "kept")
        self.assertFalse(self.task.active)
        with self.assertRaisesRegex(UserError, "not open any more"):
            self.commitment.action_keep()

    def test_dropped_by_the_activity(self):
        self.task.with_user(self.rep).unlink()
        self.assertEqual(self.commitment.state, "dropped")
        self.assertEqual(self.commitment.date_done, TODAY)

    def test_dropped_by_the_button(self):
        self.commitment.action_drop()
        self.assertEqual(self.commitment.state, "dropped")
        self.assertFalse(self.task.exists())

    def test_moved(self):
        self.task.with_user(self.rep).date_deadline = date(2026, 3, 27)
        self.assertEqual(self.commitment.date_deadline, date(2026, 3, 27))
        self.commitment.date_deadline = date(2026, 3, 30)
        self.assertEqual(self.task.date_deadline, date(2026, 3, 30))
        self.commitment.date_deadline = False
        self.assertFalse(self.task.exists())
        self.assertEqual(self.commitment.state, "open")
        self.commitment.date_deadline = date(2026, 3, 31)
        self.assertEqual(self.commitment.activity_id.date_deadline, date(2026, 3, 31))

    def test_overdue(self):
        self.assertFalse(self.commitment.is_overdue)
        overdue = [("is_overdue", "=", True), ("id", "=", self.commitment.id)]
        self.commitment.date_deadline = TODAY
        self.assertFalse(self.commitment.search(overdue))
        self.commitment.date_deadline = date(2026, 3, 17)
        self.assertTrue(self.commitment.is_overdue)
        self.assertTrue(self.commitment.search(overdue))
        self.commitment.action_keep()
        self.assertFalse(self.commitment.search(overdue))

    def test_as_text(self):
        self._report(commitments="Samples\n Price list \n\nPrice list")
        first, second = self.visit.commitment_ids.sorted("id")
        self.assertEqual(first, self.commitment.sudo())
        self.assertEqual(second.name, "Price list")
        # the day of the follow-up
        self.assertEqual(second.date_deadline, date(2026, 3, 20))
        self.assertEqual(second.activity_id.user_id, self.rep)
        self.env.invalidate_all()
        self.assertEqual(self.visit.commitments, "Price list\nSamples")
        self.own_visit.commitments = "Price list"
        self.assertEqual(self.visit.commitment_ids, second)
        self.assertFalse(self.task.exists())

    def test_added_to_a_given_report(self):
        self._report()
        self.own_visit.commitment_ids = [
            Command.create({"name": "Call", "date_deadline": "2026-03-24"})
        ]
        call = self.visit.commitment_ids - self.commitment
        self.assertEqual(call.activity_id.date_deadline, date(2026, 3, 24))

    def _draft(self):
        """The next visit, with what is to be promised there."""
        planned = self._get_planned(self.partner).with_user(self.rep)
        planned.commitment_ids = [
            Command.create({"name": "Call", "date_deadline": "2026-03-30"})
        ]
        return planned

    def test_draft(self):
        planned = self._draft()
        call = planned.commitment_ids
        self.assertFalse(call.sudo().activity_id)
        call.date_deadline = date(2026, 3, 31)
        self.assertFalse(call.sudo().activity_id)
        planned.action_done()
        self.assertEqual(call.sudo().activity_id.date_deadline, date(2026, 3, 31))
        # not done after all
        self._get_planned(self.partner).unlink()
        planned.sudo().activity_id.action_unarchive()
        self.assertEqual(planned.state, "planned")
        self.assertEqual(call.state, "open")
        self.assertFalse(call.sudo().activity_id)

    def test_draft_of_a_cancelled_visit(self):
        planned = self._draft()
        planned.action_cancel(reason="Ill")
        self.assertEqual(planned.commitment_ids.state, "dropped")

    def test_draft_of_a_missed_visit(self):
        planned = self._draft()
        with freeze_time("2026-04-02 09:00:00"):
            self.Visit._generate()
        self.assertEqual(planned.state, "missed")
        self.assertEqual(planned.commitment_ids.state, "dropped")

    def test_goes_with_the_visit(self):
        planned = self._draft()
        call = planned.commitment_ids
        planned.sudo().unlink()
        self.assertFalse(call.exists())

    def test_kept_by_whom_the_activity_is_hidden_from(self):
        self.commitment.sudo().user_id = self.rep2
        self.env.invalidate_all()
        self.commitment.action_keep()
        self.assertEqual(self.commitment.state, "kept")
        self.assertFalse(self.task.active)

    # --- hand-over ----------------------------------------------------------------

    def test_salesperson_leaves(self):
        follow_up = self.visit.follow_up_activity_id
        undated = self.commitment.copy({"date_deadline": False})
        self.rep.action_archive()
        self.assertEqual(self.commitment.state, "open")
        self.assertEqual(self.commitment.user_id, self.leader)
        self.assertEqual(self.task.user_id, self.leader)
        self.assertEqual(undated.user_id, self.leader)
        self.assertEqual(follow_up.user_id, self.leader)

    def test_salesperson_leaves_and_there_is_no_leader(self):
        self.team.user_id = False
        self.rep.action_archive()
        self.assertEqual(self.commitment.state, "open")
        self.assertFalse(self.commitment.user_id)
        # as with planned visits that nobody is responsible for
        self.assertFalse(self.task.user_id)
        self.partner.user_id = self.rep2
        self.assertEqual(self.commitment.user_id, self.rep2)
        self.assertEqual(self.task.user_id, self.rep2)

    def test_salesperson_leaves_the_company(self):
        other = self._create_company("Elsewhere")
        self.rep.write(
            {"company_ids": [Command.set(other.ids)], "company_id": other.id}
        )
        self.assertEqual(self.commitment.sudo().user_id, self.leader)
        self.assertEqual(self.visit.follow_up_activity_id.user_id, self.leader)

    def test_leader_leaves(self):
        self._report(is_manager_needed=True)
        activity = self.visit.support_activity_id
        self.assertEqual(activity.user_id, self.leader)
        self.leader.action_archive()
        self.assertTrue(activity.exists())
        self.assertTrue(activity.user_id.has_group(SALES_ADMIN))

    def test_new_salesperson(self):
        follow_up = self.visit.follow_up_activity_id
        kept = self.commitment.copy({"name": "Kept"})
        kept.action_keep()
        colleagues = self.commitment.sudo().copy({"user_id": self.leader.id})
        self.partner.user_id = self.rep2
        self.assertEqual(self.commitment.user_id, self.rep2)
        self.assertEqual(self.task.user_id, self.rep2)
        self.assertEqual(follow_up.user_id, self.rep2)
        self.assertEqual(kept.sudo().user_id, self.rep)
        self.assertEqual(colleagues.user_id, self.leader)

    def test_new_salesperson_after_the_leader(self):
        self.rep.action_archive()
        self.partner.user_id = self.rep2
        self.assertEqual(self.commitment.user_id, self.rep2)
        self.assertEqual(self.visit.follow_up_activity_id.user_id, self.rep2)

    def test_new_salesperson_of_a_lead(self):
        lead = self.env["crm.lead"].create(
            {"name": "Deal", "user_id": self.rep.id, "company_id": self.company.id}
        )
        visit = self.Visit.with_user(self.rep).create(
            {"lead_id": lead.id, "state": "done", "commitments": "Samples"}
        )
        lead.user_id = self.rep2
        self.assertEqual(visit.sudo().commitment_ids.user_id, self.rep2)
        self.assertEqual(visit.sudo().commitment_ids.activity_id.user_id, self.rep2)

    def test_visit_of_somebody_who_left(self):
        self.rep.active = False
        self.partner.user_id = self.rep2
        visits = self.visit.with_user(self.rep2)
        visits.commitments = "Samples\nPrice list"
        self.assertEqual(visits.commitment_ids.user_id, self.rep2)
        with self.assertRaisesRegex(ValidationError, "has left"):
            visits.commitment_ids[0].user_id = self.rep
        planned = self._get_planned(self.partner)
        with self.assertRaisesRegex(ValidationError, "has left"):
            planned.user_id = self.rep

    def test_system_fields(self):
        for values in ({"state": "kept"}, {"partner_id": self.partner.id}):
            with self.assertRaises(AccessError):
                self.commitment.write(values)
        other = self._create_partner("Other", user_id=self.rep2.id)
        foreign = self.Visit.create({"partner_id": other.id, "user_id": self.rep2.id})
        with self.assertRaises(AccessError):
            self.commitment.visit_id = foreign
        with self.assertRaises(AccessError):
            self.commitment.create({"visit_id": foreign.id, "name": "Mine"})

    def test_responsible_of_another_company(self):
        user = self._create_user(
            "ka_foreign", SALES_ALL, company=self._create_company("Elsewhere")
        )
        with self.assertRaisesRegex(ValidationError, "doesn't work for"):
            self.commitment.sudo().user_id = user


@tagged("post_install", "-at_install")
class TestLog(ReportCommon):
    """Visits that nobody had planned."""

    def _log(self, day=TODAY, user=None, **values):
        return self.Visit.with_user(user or self.rep).create(
            {
                "partner_id": self.partner.id,
                "state": "done",
                "date_visited": day,
                **self.answers,
                **values,
            }
        )

    def test_planned_visit_that_is_due_is_the_one(self):
        action = self.partner.with_user(self.rep).action_log_key_account_visit()
        self.assertEqual(action["res_id"], self.visit.id)

    def test_edges_of_the_window(self):
        """Weekly: two days early, no more."""
        partner = self.partner.with_user(self.rep)
        self.visit.date_planned = date(2026, 3, 20)
        action = partner.action_log_key_account_visit()
        self.assertEqual(action["res_id"], self.visit.id)
        self.visit.date_planned = date(2026, 3, 21)
        action = partner.action_log_key_account_visit()
        self.assertNotIn("res_id", action)
        self.assertEqual(action["context"]["default_partner_id"], self.partner.id)

    def test_colleagues_planned_visit_is_left_to_its_place(self):
        partner = self.partner.with_user(self.rep2)
        self.assertNotIn("res_id", partner.action_log_key_account_visit())
        visit = self._log(user=self.rep2)
        visit.action_report()
        # a colleague's visit counts for the cadence, and stays the colleague's
        self.assertEqual(visit.user_id, self.rep2)
        self.assertEqual(self.visit.state, "cancelled")
        self.assertEqual(self.visit.close_reason, "Visited on Mar 18")
        self.assertFalse(self.activity.active)
        self.assertEqual(visit.cadence_id, self.cadence)
        self.assertEqual(visit.sudo().date_due, date(2026, 3, 19))
        following = self._get_planned(self.partner)
        self.assertEqual(following.date_due, date(2026, 3, 25))
        self.assertEqual(following.user_id, self.rep)

    def test_form(self):
        self.visit.action_cancel(date_resume=date(2026, 5, 4))
        action = self.partner.with_user(self.rep).action_log_key_account_visit()
        visits = self.Visit.with_user(self.rep).with_context(**action["context"])
        with Form(visits, view=REPORT_VIEW) as form:
            self.assertEqual(form.partner_id, self.partner)
            self.assertEqual(str(form.date_visited), "2026-03-18")
            form.contact_ids.add(self.bob)
            form.outcome = "reached"
            form.next_step = "Wait"
            form.date_visited = date(2026, 3, 17)
        visit = form.record
        self.assertEqual(visit.state, "done")
        self.assertFalse(visit.sudo().activity_id)
        visit.action_report()
        self.assertEqual(visit.date_done, date(2026, 3, 17))
        self.assertEqual(visit.report_uid, self.rep)
        self.assertTrue(visit.sudo().follow_up_activity_id)
        # it is after the last one, and the day to come back was given later
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 5, 4))

    def test_outdated_plan(self):
        """The cadence goes on from a visit that came much earlier than planned."""
        self.cadence.interval_unit = "month"
        self.visit._close("Again")
        self.env["key.account.planner"]._plan_now(self.partner, self.company)
        planned = self._get_planned(self.partner)
        self.assertEqual(planned.date_due, date(2026, 4, 12))
        visit = self._log()
        self.assertEqual(planned.state, "cancelled")
        self.assertEqual(planned.close_reason, "Visited on Mar 18")
        self.assertFalse(visit.cadence_id)
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 4, 18))

    def test_moved_by_hand_stays(self):
        self.own_visit.date_planned = date(2026, 4, 1)
        visit = self._log()
        visit.action_report()
        self.assertEqual(self._get_planned(self.partner), self.visit)
        self.assertEqual(self.visit.date_planned, date(2026, 4, 1))

    def test_old_visit_changes_nothing(self):
        self._log(day=date(2026, 3, 5))
        self.assertEqual(self._get_planned(self.partner), self.visit)
        self.assertEqual(self.visit.date_planned, date(2026, 3, 19))

    def test_two_at_once(self):
        visits = self.Visit.create(
            [
                {
                    "partner_id": self.partner.id,
                    "state": "done",
                    "date_done": TODAY,
                    "user_id": user.id,
                }
                for user in (self.rep, self.rep2)
            ]
        )
        self.assertEqual(visits.mapped("state"), ["done", "done"])
        self.assertFalse(self.visit.exists())
        self.assertEqual(len(self._get_planned(self.partner)), 1)

    def test_from_the_list(self):
        # as the button of the list calls it
        action = call_kw(self.Visit.with_user(self.rep), "action_log", [[]], {})
        self.assertFalse(action["context"]["default_partner_id"])
        self.assertEqual(action["context"]["default_state"], "done")

    def test_archived_customer(self):
        self.partner.active = False
        with self.assertRaisesRegex(UserError, "is archived"):
            self.partner.with_user(self.rep).action_log_key_account_visit()

    def _arrange(self, day, guests=()):
        self.own_visit.date_planned = day
        self.own_visit.action_schedule_meeting()
        event = self.visit.calendar_event_id
        event.partner_ids += self.env["res.partner"].union(*guests)
        return event

    def test_meeting_after_the_visit(self):
        event = self._arrange(date(2026, 3, 19))
        visit = self._log(user=self.leader).sudo()
        self.env.flush_all()
        self.assertFalse(event.exists())
        self.assertFalse(visit.calendar_event_id)
        self.assertFalse(self.visit.exists())
        self.assertFalse(self.activity.active)

    def test_meetings_of_a_colleague(self):
        """As for who may see the visit; only that the visit itself stays, cancelled."""
        for day, stays in ((date(2026, 3, 19), False), (TODAY, True)):
            with self.subTest(day=day), self.env.cr.savepoint() as savepoint:
                event = self._arrange(day)
                visit = self._log(user=self.rep2).sudo()
                self.env.flush_all()
                self.assertEqual(bool(event.exists()), stays)
                self.assertFalse(visit.calendar_event_id)
                self.assertEqual(self.visit.state, "cancelled")
                self.assertFalse(self.activity.active)
                savepoint.rollback()
                self.env.invalidate_all()

    def test_meeting_with_guests_after_the_visit(self):
        event = self._arrange(date(2026, 3, 19), [self.ann])
        visit = self._log(user=self.rep2).sudo()
        self.assertFalse(event.active)
        self.assertFalse(visit.calendar_event_id)

    def test_meeting_on_the_day_of_the_visit(self):
        event = self._arrange(TODAY)
        visit = self._log(user=self.leader).sudo()
        self.env.flush_all()
        self.assertTrue(event.exists())
        self.assertEqual(visit.calendar_event_id, event)
        self.assertFalse(self.visit.exists())

    def test_what_was_noted_before_stays(self):
        self.own_visit.write(
            {
                "needs": "Shorter delivery",
                "objections": "Price",
                "feedback": "Ask for Ann",
                "contact_ids": [Command.set(self.bob.ids)],
                "next_date": date(2026, 4, 1),
                "commitments": "Samples\nPrice list",
            }
        )
        note = "Parking behind the house"
        message = self.own_visit.message_post(body=note)
        promised = self.visit.commitment_ids
        visit = self._log(
            user=self.leader, objections="Quality", commitments="Call"
        ).sudo()
        self.env.flush_all()
        self.assertFalse(self.visit.exists())
        self.assertEqual(visit.needs, "Shorter delivery")
        self.assertEqual(visit.objections, "Quality")
        self.assertEqual(visit.feedback, "Ask for Ann")
        self.assertEqual(visit.contact_ids, self.ann)
        self.assertEqual(visit.next_date, date(2026, 4, 1))
        self.assertEqual(len(visit.commitment_ids), 3)
        self.assertEqual(promised.visit_id, visit)
        self.assertEqual(promised.mapped("state"), ["open", "open"])
        self.assertEqual(promised.activity_id.user_id, self.rep)
        self.assertIn(message, visit.message_ids)

    def test_day_that_was_noted_before_has_passed(self):
        self.own_visit.next_date = TODAY
        visit = self._log(user=self.rep2)
        self.assertFalse(visit.next_date)

    def test_waiting_in_the_backlog(self):
        """Also of visits that come without the dialog, such as an import."""
        self.visit._close("Again")
        calendar = self.company.resource_calendar_id
        attendances = calendar.attendance_ids.copy_data()
        calendar.attendance_ids.unlink()
        self.Visit._generate()
        rows = self.env["key.account.due"].search(
            [("partner_id", "=", self.partner.id), ("is_waiting", "=", True)]
        )
        self.assertTrue(rows)
        calendar.write({"attendance_ids": [Command.create(v) for v in attendances]})
        self.Visit.create(
            {"partner_id": self.partner.id, "state": "done", "user_id": self.rep.id}
        )
        self.assertEqual(rows.visit_id, self._get_planned(self.partner))
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 3, 25))

    def test_waiting_where_planning_is_off(self):
        self.visit._close("Again")
        self.company.resource_calendar_id.attendance_ids.unlink()
        self.Visit._generate()
        rows = self.env["key.account.due"].search(
            [("partner_id", "=", self.partner.id), ("is_waiting", "=", True)]
        )
        self.assertTrue(rows)
        self.company.key_account_planning = False
        self._log()
        self.assertFalse(rows.exists())

    def test_two_taps(self):
        action = self.partner.with_user(self.rep2).action_log_key_account_visit()
        visits = self.Visit.with_user(self.rep2).with_context(**action["context"])
        result = visits.action_report_later({"partner_id": self.partner.id})
        visit = self.Visit.search(
            [
                ("partner_id", "=", self.partner.id),
                ("user_id", "=", self.rep2.id),
                ("report_date", "=", False),
            ]
        )
        self.assertEqual((visit.state, visit.date_done), ("done", TODAY))
        self.assertIn("waits for its report", result["params"]["message"])
        self.assertIn("is planned by ka_rep", result["params"]["message"])
        self.assertNotIn("links", result["params"])

    def test_two_taps_on_a_planned_visit(self):
        self.own_visit.action_report_later({"next_step": "Send the offer"})
        self.assertEqual(self.visit.state, "done")
        self.assertFalse(self.visit.report_date)
        self.assertEqual(self.visit.next_step, "Send the offer")
        self._report()
        # it was given
        self.assertEqual(
            self.own_visit.action_report_later()["type"],
            "ir.actions.act_window_close",
        )

    def test_log_from_my_day(self):
        view = self.env.ref("crm_key_account.key_account_visit_view_kanban_my_day")
        arch = self.Visit.with_user(self.rep).get_view(view.id)["arch"]
        # whose main button it is
        self.assertIn('js_class="key_account_my_day"', arch)
        arch = self.Visit.get_view(self.env.ref(REPORT_VIEW).id)["arch"]
        self.assertIn('name="action_report_later"', arch)

    def test_future(self):
        with self.assertRaisesRegex(ValidationError, "done in the future"):
            self._log(day=date(2026, 3, 19))

    def test_contact_of_another_customer(self):
        other = self._create_partner("Other")
        stranger = self.env["res.partner"].create(
            {"name": "Stranger", "parent_id": other.id}
        )
        with self.assertRaisesRegex(ValidationError, "no contact person"):
            self._log(contact_ids=[Command.set(stranger.ids)])


@tagged("post_install", "-at_install")
class TestCorrection(ReportCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.own_visit.write(cls.answers)
        cls.own_visit.action_report()

    def test_author_for_a_week(self):
        with freeze_time("2026-03-25 08:59:59"):
            self.env.invalidate_all()
            self.assertTrue(self.own_visit.can_report)
            self.own_visit.next_step = "Wait"
            self.own_visit.action_open_report()
            self.own_visit.action_report()
        with freeze_time("2026-03-25 09:00:00"):
            self.env.invalidate_all()
            self.assertFalse(self.own_visit.can_report)
            with self.assertRaisesRegex(AccessError, "more than a week old"):
                self.own_visit.next_step = "Go"
            with self.assertRaises(AccessError):
                self.own_visit.action_open_report()
            with self.assertRaises(AccessError):
                self.own_visit.commitments = "Samples"
            self.visit.with_user(self.leader).next_step = "Go"
        self.assertEqual(self.visit.next_step, "Go")
        self.assertEqual(self.visit.report_uid, self.rep)

    def test_others_never(self):
        self.partner.user_id = self.rep2
        colleague = self.visit.with_user(self.rep2)
        self.assertTrue(colleague.has_access("write"))
        self.assertFalse(colleague.can_report)
        for values in (
            {"feedback": "Forged"},
            {"contact_ids": [Command.set(self.bob.ids)]},
            {"mode": "phone"},
            {"commitments": "Forged"},
        ):
            with self.assertRaises(AccessError):
                colleague.write(values)
        with self.assertRaisesRegex(AccessError, "is by ka_rep"):
            colleague.action_report()

    def test_not_by_the_activity(self):
        """The done activity is the rep's for ever, the report isn't."""
        self.own_visit.feedback = "Fine"
        with freeze_time("2026-04-30 09:00:00"):
            self.env.invalidate_all()
            self.rep_activity.feedback = "Forged"
            self.assertEqual(self.visit.feedback, "Fine")
            self.company.key_account_planning = False
            self._get_planned(self.partner).unlink()
            with self.assertRaises(AccessError):
                self.rep_activity.action_unarchive()

    def test_log(self):
        def get_log():
            self.flush_tracking()
            return self.visit.message_ids.tracking_value_ids

        self.assertFalse(self.visit.message_ids)
        self.assertFalse(self.visit.message_partner_ids)
        self.own_visit.write(
            {"next_step": "Wait", "contact_ids": [Command.set(self.bob.ids)]}
        )
        values = {value.field_id.name: value for value in get_log()}
        self.assertEqual(values["next_step"].old_value_char, "Send the offer")
        self.assertEqual(values["next_step"].new_value_char, "Wait")
        self.assertEqual(values["contact_ids"].new_value_char, self.bob.display_name)
        self.assertEqual(self.visit.message_ids.author_id, self.rep.partner_id)

    def test_promise_corrected(self):
        self.own_visit.next_date = date(2026, 4, 7)
        following = self._get_planned(self.partner)
        self.assertEqual(following.date_planned, date(2026, 4, 7))
        with freeze_time("2026-03-23 09:00:00"):
            following.with_user(self.rep).action_done()
            last = self._get_planned(self.partner)
            # another visit has taken place since
            self.own_visit.next_date = date(2026, 4, 9)
            self.assertNotEqual(last.date_planned, date(2026, 4, 9))

    def test_theme_corrected(self):
        """A correction of one promise leaves what was done about the other."""
        self.own_visit.next_date = date(2026, 4, 7)
        following = self._get_planned(self.partner).with_user(self.rep)
        following.date_planned = date(2026, 4, 9)
        self.own_visit.next_theme = "Prices"
        self.assertEqual(following.objective, "Prices")
        self.assertEqual(following.date_planned, date(2026, 4, 9))
        following.objective = "Delivery"
        self.own_visit.next_date = date(2026, 4, 10)
        self.assertEqual(following.date_planned, date(2026, 4, 10))
        self.assertEqual(following.objective, "Delivery")
        # the same again is no correction
        following.date_planned = date(2026, 4, 9)
        self.own_visit.next_date = date(2026, 4, 10)
        self.assertEqual(following.date_planned, date(2026, 4, 9))

    def test_promise_taken_back(self):
        self.own_visit.next_date = date(2026, 4, 7)
        following = self._get_planned(self.partner)
        self.own_visit.next_date = False
        self.assertEqual(following.state, "cancelled")
        planned = self._get_planned(self.partner)
        self.assertEqual(planned.date_planned, date(2026, 3, 25))
        self.assertFalse(planned.is_date_fixed)

    def test_promise_taken_back_after_a_move(self):
        self.own_visit.next_date = date(2026, 4, 7)
        following = self._get_planned(self.partner)
        following.with_user(self.rep).date_planned = date(2026, 4, 9)
        self.own_visit.next_date = False
        self.assertEqual(self._get_planned(self.partner), following)
        self.assertTrue(following.is_date_fixed)

    def test_log_of_commitments(self):
        def get_log():
            self.env.flush_all()
            self.cr.precommit.run()
            return [
                (value.old_value_text or "", value.new_value_text)
                for message in self.visit.message_ids.sorted("id")
                for value in message.tracking_value_ids
            ]

        log = [("", "Price list, 2026-03-30\nSamples, 2026-03-30")]
        self.own_visit.commitment_ids = [
            Command.create({"name": name, "date_deadline": "2026-03-30"})
            for name in ("Price list", "Samples")
        ]
        self.assertEqual(get_log(), log)
        self.assertFalse(self.visit.message_ids.notification_ids)
        self.assertEqual(self.visit.message_ids.author_id, self.rep.partner_id)
        first, second = self.own_visit.commitment_ids.sorted("id")
        second.date_deadline = "2026-03-31"
        log.append((log[-1][1], "Price list, 2026-03-30\nSamples, 2026-03-31"))
        self.assertEqual(get_log(), log)
        first.name = "Prices"
        log.append((log[-1][1], "Prices, 2026-03-30\nSamples, 2026-03-31"))
        self.assertEqual(get_log(), log)
        second.unlink()
        log.append((log[-1][1], "Prices, 2026-03-30"))
        self.assertEqual(get_log(), log)
        # kept, it is what was promised
        first.action_keep()
        self.assertEqual(get_log(), log)

    def test_closed_for_ever(self):
        with self.assertRaisesRegex(UserError, "is closed"):
            self.own_visit.date_visited = date(2026, 3, 16)

    def flush_tracking(self):
        self.env.flush_all()
        self.cr.precommit.run()


@tagged("post_install", "-at_install")
class TestReportRights(RightsCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.planned = {
            visit.partner_id: visit
            for visit in cls.visits
            if visit.track == "executive"
        }
        cls.met = {
            partner: cls.env["res.partner"].create(
                {"name": "Contact", "parent_id": partner.id}
            )
            for partner in cls.partners
        }
        cls.commitments = cls.env["key.account.commitment"].create(
            [
                {
                    "visit_id": cls.planned[partner].id,
                    "name": partner.name,
                    "date_deadline": "2026-03-23",
                }
                for partner in cls.partners
            ]
        )

    def _get_names(self, user):
        return set(
            self.env["key.account.commitment"]
            .with_user(user)
            .with_context(allowed_company_ids=user.company_ids.ids)
            .search([("id", "in", self.commitments.ids)])
            .mapped("name")
        )

    def test_commitments(self):
        everything = {"Own account", "Account of a colleague", "Nobody's account"}
        self.assertEqual(self._get_names(self.rep), {"Own account", "Nobody's account"})
        self.assertEqual(self._get_names(self.leader), everything)
        self.assertEqual(self._get_names(self.manager), everything)
        self.assertFalse(self._get_names(self.foreigner))
        for user in (self.internal, self.portal):
            with self.assertRaises(AccessError):
                self._get_names(user)

    def test_responsible_sees_the_own_commitment(self):
        commitment = self.commitments.filtered(
            lambda commitment: commitment.partner_id == self.others
        )
        commitment.user_id = self.rep
        self.assertIn("Account of a colleague", self._get_names(self.rep))
        # and moves it, but doesn't change what was promised
        commitment.with_user(self.rep).date_deadline = "2026-03-25"
        with self.assertRaises(AccessError):
            commitment.with_user(self.rep).name = "Less"

    def test_activities_outside_sales(self):
        self.commitments.visit_id.action_done()
        activities = self.commitments.activity_id
        self.assertEqual(len(activities), len(self.partners))
        found = self.env["mail.activity"].with_user(self.internal)
        self.assertFalse(found.search([("id", "in", activities.ids)]))
        own = self.env["mail.activity"].with_user(self.rep)
        self.assertCountEqual(
            own.search([("id", "in", activities.ids)]).mapped("res_id"),
            [
                activity.res_id
                for activity in activities
                if activity.user_id in (self.rep, self.env["res.users"])
            ],
        )

    def test_report_of_a_colleague(self):
        visit = self.planned[self.others].with_user(self.rep)
        for method in ("action_open_report", "action_report"):
            with self.assertRaises(AccessError):
                getattr(visit, method)()
        visit.with_user(self.leader).write(
            {**ANSWERS, "contact_ids": [Command.set(self.met[self.others].ids)]}
        )
        visit.with_user(self.leader).action_report()
        self.assertEqual(visit.sudo().report_uid, self.leader)
        self.assertEqual(visit.sudo().user_id, self.rep2)

    def test_outside_sales(self):
        visit = self.planned[self.own]
        for user in (self.internal, self.portal, self.foreigner):
            with self.subTest(user=user.login):
                other = visit.with_user(user).with_context(
                    allowed_company_ids=user.company_ids.ids
                )
                for method in ("action_open_report", "action_report"):
                    with self.assertRaises(AccessError):
                        getattr(other, method)()
        for user in (self.internal, self.portal):
            with self.assertRaises(AccessError):
                visit.with_user(user).get_report_contacts(self.own.id)

    def test_forged_fields(self):
        visit = self.planned[self.own].with_user(self.rep)
        for values in (
            {"report_date": "2026-03-18 09:00:00"},
            {"report_uid": self.leader.id},
            {"service_quadrant": "quality"},
            {"follow_up_activity_id": self.visits[0].activity_id.id},
            {"support_activity_id": self.visits[0].activity_id.id},
        ):
            with self.subTest(values=values), self.assertRaises(AccessError):
                visit.write(values)
        context = {"default_report_uid": self.leader.id, "default_state": "done"}
        made = visit.with_context(**context).create({"partner_id": self.own.id})
        self.assertFalse(made.report_uid)

    def test_flags_of_activities(self):
        activity = (
            self.env["mail.activity"]
            .with_user(self.rep)
            .with_context(default_key_account_role="follow_up")
            .create(
                {
                    "res_model_id": self.env["ir.model"]._get_id("res.partner"),
                    "res_id": self.own.id,
                    "key_account_role": "follow_up",
                }
            )
        )
        self.assertFalse(activity.key_account_role)

    def test_contacts(self):
        role = self.env.ref("crm_key_account.buying_role_decision_maker")
        placed, _left = self.env["res.partner"].create(
            [
                {
                    "name": "Zoe",
                    "parent_id": self.own.id,
                    "buying_role_ids": [Command.set(role.ids)],
                    "decision_level": "top",
                },
                {
                    "name": "Gone",
                    "parent_id": self.own.id,
                    "left_company_date": "2020-01-01",
                },
            ]
        )
        visits = self.Visit.with_user(self.rep)
        data = visits.get_report_contacts(self.own.id)
        self.assertTrue(data["can_create"])
        self.assertEqual(
            [(row["id"], row["place"]) for row in data["contacts"]],
            [(placed.id, "Decision maker, Top"), (self.met[self.own].id, "")],
        )

    def test_contacts_of_a_company(self):
        """Of the visit's company, not of the one that is switched on."""
        other = self._create_company("Second")
        self.rep.company_ids += other
        here, there = self.env["res.partner"].create(
            [
                {
                    "name": company.name,
                    "parent_id": self.own.id,
                    "company_id": company.id,
                }
                for company in (self.company, other)
            ]
        )
        visits = self.Visit.with_user(self.rep).with_context(
            allowed_company_ids=(self.company | other).ids
        )
        for company, contact in ((self.company, here), (other, there)):
            data = visits.get_report_contacts(self.own.id, company.id)
            ids = {row["id"] for row in data["contacts"]}
            self.assertEqual(ids & {here.id, there.id}, {contact.id})
        foreign = self._create_company("Foreign")
        with self.assertRaises(AccessError):
            visits.get_report_contacts(self.own.id, foreign.id)


@tagged("post_install", "-at_install")
class TestReportBatch(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))

    def _create_visits(self, count):
        return self.Visit.create(
            [
                {
                    "partner_id": self._create_partner(f"Customer {number}").id,
                    "user_id": self.rep.id,
                    "mode": "online",
                }
                for number in range(count)
            ]
        )

    def test_follow_ups_in_batches(self):
        counts = []
        for size in (2, 20):
            visits = self._create_visits(size)
            visits.write({"state": "done", "date_done": TODAY})
            self.env.flush_all()
            before = self.cr.sql_log_count
            self.env["key.account.visit.task"]._create_follow_ups(visits)
            self.env.flush_all()
            counts.append(self.cr.sql_log_count - before)
            self.assertEqual(len(visits.follow_up_activity_id), size)
        # core subscribes the assignee to each document
        self.assertLessEqual(counts[1] - counts[0], 18 * 2)

    def test_planning_writes_no_log(self):
        visits = self._create_visits(3)
        visits.date_planned = date(2026, 3, 20)
        visits.action_done()
        self.env.flush_all()
        self.cr.precommit.run()
        self.assertFalse(visits.message_ids)
        self.assertFalse(visits.message_follower_ids)
