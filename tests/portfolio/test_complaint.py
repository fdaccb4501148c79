from datetime import date, timedelta

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from ..common import TODAY
from ..visit.test_brief import BriefCommon


@freeze_time("2026-03-18 12:00:00")
@tagged("post_install", "-at_install")
class TestComplaint(BriefCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.done = cls._visit(complaint="Two deliveries were late")

    def _get_count(self):
        self.env.flush_all()
        self.env.invalidate_all()
        return self._get_card(self.account).complaint_count

    def _get_brief(self, **values):
        return self._get_sections(**values).get("complaints")

    def test_until_it_is_resolved(self):
        self.assertTrue(self.done.is_complaint_open)
        self.assertEqual(
            self._get_brief(), "Complaints Open Two deliveries were late 03/17/2026"
        )
        self.assertEqual(self._get_count(), 1)
        self.assertIn("1 open complaint", self._get_card(self.account).risk_text)
        self.done.with_user(self.rep).action_resolve()
        self.assertEqual(self.done.date_resolved, TODAY)
        self.assertEqual(self.done.resolved_uid, self.rep)
        self.assertFalse(self.done.is_complaint_open)
        # news for the next visit
        self.assertIn("Resolved on 03/18/2026", self._get_brief())
        self.assertEqual(self._get_count(), 0)
        self._visit(day=TODAY)
        self._plan(self.account, day=TODAY + timedelta(days=9), track="contact")
        visit = self._plan(self.account, day=TODAY + timedelta(days=9))
        # of the same day: one may have come after the other
        self.assertTrue(self._get_brief(visit=visit))
        with freeze_time("2026-03-20 12:00:00"):
            self._visit(day=date(2026, 3, 20))
            self.assertFalse(self._get_brief(visit=self._get_planned(self.account)))
        self.done.date_resolved = False
        self.assertFalse(self.done.resolved_uid)
        self.assertEqual(self._get_count(), 1)

    def test_what_is_read_is_up_to_date(self):
        card = self._get_card(self.account)
        self.assertEqual(card.complaint_count, 1)
        self._visit(complaint="The third one too")
        self.assertEqual(card.complaint_count, 2)
        self.assertIn("2 open complaints", card.risk_text)
        self.done.with_user(self.rep).action_resolve()
        self.assertEqual(card.complaint_count, 1)
        self.assertIn("1 open complaint", card.risk_text)

    def test_of_done_visits_alone(self):
        self.visit.complaint = "A draft"
        self.assertEqual(self._get_count(), 1)
        self.assertNotIn("A draft", self._get_brief())
        self.visit.action_cancel()
        self.assertEqual(self._get_count(), 1)

    def test_of_a_lead(self):
        lead = self._create_lead(partner_id=False)
        values = {"partner_id": False, "lead_id": lead.id}
        self._visit(complaint="No call", **values)
        visit = self._plan(self.account, **values)
        self.assertIn("No call", self._get_brief(visit=visit))
        self.assertNotIn("No call", self._get_brief())

    def test_any_time_by_whoever_may_see_it(self):
        """A report is corrected for a week, a complaint is resolved when it is."""
        self.done.sudo().write(
            {"report_date": "2026-01-01 12:00:00", "report_uid": self.rep.id}
        )
        done = self.done.with_user(self.rep)
        with self.assertRaises(AccessError):
            done.complaint = "Something else"
        done.action_resolve()
        self.assertEqual(self.done.resolved_uid, self.rep)
        with self.assertRaisesRegex(UserError, "no open complaint"):
            done.action_resolve()
        self.account.user_id = self.rep2
        self.done.sudo().write({"user_id": self.rep2.id, "date_resolved": False})
        with self.assertRaises(AccessError):
            done.action_resolve()
        with self.assertRaises(AccessError):
            done.resolved_uid = self.rep

    def test_days(self):
        for day, sentence in (
            (TODAY + timedelta(days=1), "isn't resolved in the future"),
            (TODAY - timedelta(days=2), "after it was made"),
        ):
            with self.assertRaisesRegex(ValidationError, sentence), self.cr.savepoint():
                self.done.date_resolved = day
        other = self._visit(day=TODAY - timedelta(days=9))
        with self.assertRaisesRegex(ValidationError, "Note the complaint before"):
            other.date_resolved = TODAY
        self.done.date_resolved = TODAY
        # it was none
        self.done.complaint = False
        self.assertFalse(self.done.date_resolved)

    def test_search(self):
        other = self._visit(day=TODAY - timedelta(days=9), complaint="Broken")
        visits = self.Visit.search(
            [("is_complaint_open", "=", True), ("partner_id", "=", self.account.id)]
        )
        self.assertEqual(visits, self.done | other)
        other.action_resolve()
        visits = self.Visit.search(
            [("is_complaint_open", "=", False), ("partner_id", "=", self.account.id)]
        )
        self.assertEqual(visits, self.visit | other)
        self.assertEqual(self._get_count(), 1)

    def test_queries(self):
        """As many for one complaint as for many."""
        counts = []
        for _ in range(2):
            self._read()
            before = self.cr.sql_log_count
            self._read()
            counts.append(self.cr.sql_log_count - before)
            for days in range(2, 12):
                self._visit(day=TODAY - timedelta(days=days), complaint="Late")
        self.assertEqual(*counts)
