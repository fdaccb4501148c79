from datetime import timedelta

from odoo import Command, fields
from odoo.tests import HttpCase, tagged

from ..models.account import clock
from .common import KeyAccountCommon
from .relationship.test_relationship import RelationshipCommon


class TourCommon(KeyAccountCommon, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["key.account.cadence"].search([]).active = False
        cls.env["key.account.cadence"].create(
            {"tier_id": cls.tier_a.id, "company_id": cls.company.id}
        )

    def _plan_visits(self):
        """A visit for Monday, a week after the last one, and one of a colleague."""
        today = fields.Date.today()
        monday = today + timedelta(days=7 - today.weekday())
        partner = self._create_partner("Tour Customer")
        other = self._create_partner("Colleague Customer", user_id=self.rep2.id)
        self._set_tier(partner | other, self.tier_a)
        self.Visit._generate()
        visits = self._get_planned(partner) | self._get_planned(other)
        visits.date_planned = monday
        return visits[0]

    def _check_next(self, visit):
        self.env.invalidate_all()
        self.assertEqual(visit.state, "done")
        self.assertFalse(visit.activity_id.active)
        following = self._get_planned(visit.partner_id)
        self.assertEqual(following.date_due, visit.date_done + timedelta(days=7))
        self.assertTrue(following.activity_id.active)


@tagged("post_install", "-at_install")
class TestTours(TourCommon):
    def test_rep(self):
        visit = self._plan_visits()
        self.start_tour("/odoo/customer-visits", "key_account_rep", login="ka_rep")
        self._check_next(visit)

    def test_substitute(self):
        """Before a leave, from the menu of one's visits."""
        self._plan_visits()
        self.start_tour(
            "/odoo/customer-visits", "key_account_substitute", login="ka_rep"
        )

    def test_admin(self):
        self.manager.group_ids += self.env.ref("base.group_allow_export")
        today = clock.get_today(self.company)
        partners = [
            self._create_partner(f"{name} Customer")
            for name in ("First", "Second", "Third")
        ]
        self._create_invoices(
            [
                (partner, amount, today)
                for partner, amount in zip(partners, (600, 300, 100), strict=True)
            ]
        )
        self.policy._run()
        self.assertEqual(partners[1].account_tier_id, self.tier_a)
        self.start_tour(
            "/odoo/tiering-policies", "key_account_admin", login="ka_manager"
        )
        self.env.invalidate_all()
        self.assertEqual(self.tier_a.share, 50)
        self.assertEqual(partners[0].account_tier_id, self.tier_a)
        self.assertEqual(partners[1].account_tier_id, self.tier_a, "undone")
        changes = self.env["key.account.tier.change"].search(
            [("partner_id", "=", partners[1].id)]
        )
        self.assertEqual(
            changes.mapped("to_tier_id.code"), ["A", "B"], "the history stays"
        )


@tagged("post_install", "-at_install")
class TestLadderTours(RelationshipCommon, HttpCase):
    def test_ladder(self):
        """A rep records evidence, a manager approves, the ladder moves, and the next
        executive visit appears."""
        account = self._create_partner("Tour Customer")
        self.Card._ensure(account.ids, self.company)
        self._create_criterion(name="They prefer us", months=12)
        self._create_criterion(name="Executives in contact", level="partner", months=12)
        self.env["key.account.cadence"].create(
            {
                "company_id": self.company.id,
                "relationship_level": "partner",
                "track": "executive",
                "interval_unit": "month",
            }
        )
        self.Evidence.create(
            {
                "partner_id": account.id,
                "company_id": self.company.id,
                "criterion_id": self.Criterion.search(
                    [("name", "=", "They prefer us")]
                ).id,
                "note": "They say so",
            }
        )
        url = f"/odoo/res.partner/{account.id}"
        self.start_tour(url, "key_account_ladder_rep", login="ka_rep")
        self.env.invalidate_all()
        self.assertEqual(account.relationship_level, "transactional")
        self.start_tour(
            "/odoo/relationship-changes",
            "key_account_ladder_manager",
            login="ka_manager",
        )
        self.env.invalidate_all()
        self.assertEqual(account.relationship_level, "partner")
        self.start_tour(url, "key_account_ladder_moved", login="ka_manager")
        visit = self._get_planned(account, "executive")
        self.assertEqual(visit.user_id, self.leader)
        self.assertEqual(visit.activity_id.user_id, self.leader)


@tagged("post_install", "-at_install")
class TestPhoneTours(TourCommon):
    browser_size = "375x667"
    touch_enabled = True

    def test_rep(self):
        visit = self._plan_visits()
        self.start_tour(
            "/odoo/customer-visits", "key_account_rep_phone", login="ka_rep"
        )
        self._check_next(visit)

    def test_report(self):
        """My Day, the card, the brief, the report, and the next visit is there."""
        visit = self._plan_visits()
        planned = self.Visit.search([("company_id", "=", self.company.id)])
        planned.date_planned = clock.get_today(self.company, self.rep)
        self.env["res.partner"].create(
            {"name": "Tour Contact", "parent_id": visit.partner_id.id}
        )
        visit.partner_id.company_id = self.company
        self.start_tour("/odoo/my-day", "key_account_report_phone", login="ka_rep")
        self._check_next(visit)
        self.assertEqual(visit.report_uid, self.rep)
        self.assertEqual(visit.mode, "online")
        self.assertEqual(
            sorted(visit.contact_ids.mapped("name")), ["Tour Contact", "Tour Stranger"]
        )
        # whoever was added there is no contact of other companies
        self.assertFalse(visit.contact_ids.filtered(lambda each: not each.company_id))
        self.assertTrue(visit.follow_up_activity_id)

    def test_log(self):
        """Two taps on the customer's page."""
        partner = self._create_partner("Tour Customer")
        self.start_tour(
            f"/odoo/res.partner/{partner.id}",
            "key_account_log_phone",
            login="ka_rep",
        )
        visit = self.Visit.search([("partner_id", "=", partner.id)])
        self.assertEqual((visit.state, visit.user_id), ("done", self.rep))
        self.assertFalse(visit.report_date)


@tagged("post_install", "-at_install")
class TestThumbTours(TourCommon):
    """How many taps it takes: the tours count them."""

    browser_size = "390x844"
    touch_enabled = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partner = cls._create_partner("Tour Customer")
        cls.contact = cls.env["res.partner"].create(
            {"name": "Tour Contact", "parent_id": cls.partner.id}
        )
        cls.today = clock.get_today(cls.company, cls.rep)

    def _plan_today(self):
        self._set_tier(self.partner, self.tier_a)
        self.Visit._generate()
        visit = self._get_planned(self.partner)
        visit.date_planned = self.today
        return visit

    def _plan_call(self):
        line = self.env["key.account.cadence"].search([("active", "=", True)])
        line.write({"track": "contact", "interval_unit": "month"})
        self._set_tier(self.partner, self.tier_a)
        self.Visit._generate()
        call = self._get_planned(self.partner, "contact") or self.Visit.create(
            {"partner_id": self.partner.id, "user_id": self.rep.id, "track": "contact"}
        )
        call.date_planned = self.today
        return call

    def _log(self, tour):
        """Log from My Day, as it is without a visit."""
        self._set_tier(self.partner, self.tier_a)
        self.Card._ensure(self.partner.ids, self.company)
        self.start_tour("/odoo/my-day", tour, login="ka_rep")
        self.env.invalidate_all()
        return self.Visit.search(
            [("partner_id", "=", self.partner.id), ("state", "=", "done")]
        )

    def test_my_day(self):
        """From CRM, which a phone opens by its icon: with that tap, three. From
        wherever one is in Odoo, among the activities."""
        self._plan_today()
        for url, tour in (
            (
                "/odoo/action-crm.crm_lead_action_my_activities",
                "key_account_taps_my_day",
            ),
            ("/odoo/discuss", "key_account_taps_from_another_app"),
        ):
            self.start_tour(url, tour, login="ka_rep")

    def test_report(self):
        visit = self._plan_today()
        self.start_tour("/odoo/my-day", "key_account_taps_report", login="ka_rep")
        self._check_next(visit)
        self.assertEqual(visit.contact_ids, self.contact)
        self.assertEqual(visit.objective_reached, "reached")

    def test_nobody(self):
        visit = self._plan_today()
        self.start_tour("/odoo/my-day", "key_account_taps_nobody", login="ka_rep")
        self._check_next(visit)
        self.assertTrue(visit.is_nobody_met)

    def test_unplanned(self):
        visit = self._log("key_account_taps_unplanned")
        self.assertTrue(visit.report_date)
        self.assertEqual(visit.track, "visit")

    def test_call(self):
        """It is logged, and fulfils the one that is due; its report can wait."""
        call = self._plan_call()
        visit = self._log("key_account_taps_call")
        self.assertEqual((visit.track, visit.mode), ("contact", "phone"))
        self.assertFalse(call.exists())
        self.assertTrue(self._get_planned(self.partner, "contact"))

    def test_due_call(self):
        call = self._plan_call()
        self.start_tour("/odoo/my-day", "key_account_taps_due_call", login="ka_rep")
        self.env.invalidate_all()
        self.assertEqual((call.state, call.track), ("done", "contact"))

    def test_cancel(self):
        visit = self._plan_today()
        self.start_tour("/odoo/my-day", "key_account_taps_cancel", login="ka_rep")
        self.env.invalidate_all()
        self.assertEqual(visit.state, "cancelled")
        day = self._get_planned(self.partner).date_planned
        self.assertLessEqual(abs((day - self.today).days - 7), 2)

    def test_photo(self):
        visit = self._plan_today()
        self.start_tour("/odoo/my-day", "key_account_photo_phone", login="ka_rep")
        self._check_next(visit)
        self.assertEqual(visit.attachment_ids.name, "shelf.jpg")

    def test_draft(self):
        """What was typed is there again, until the report is saved or discarded."""
        visit = self._log("key_account_draft_phone")
        self.assertEqual(visit.next_step, "Send the offer")
        self.assertEqual(
            sorted(visit.contact_ids.mapped("name")), ["Tour Newcomer", "Tour Stranger"]
        )


@tagged("post_install", "-at_install")
class TestPlanTours(KeyAccountCommon, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.ref("sales_team.group_sale_salesman").implied_ids += cls.env.ref(
            "crm_key_account.group_use_account_plan"
        )
        cls.partner = cls._create_partner("Tour Customer")
        today = clock.get_today(cls.company)
        cls._create_invoices([(cls.partner, 600, today)])
        cls.policy._run()

    def test_rep_prints_a_profile(self):
        """On screen, and as PDF where there is wkhtmltopdf."""
        self.start_tour(
            f"/odoo/res.partner/{self.partner.id}",
            "key_account_profile",
            login="ka_rep",
        )

    def _create_plan(self):
        return self.env["key.account.plan"].create(
            {
                "partner_id": self.partner.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "target_revenue": 1000,
                "objective_ids": [Command.create({"name": "Two sites more"})],
            }
        )

    def test_from_the_pyramid_to_a_plan(self):
        self._create_plan()
        self.start_tour(
            "/odoo/key-account-portfolio",
            "key_account_pyramid_to_plan",
            login="ka_leader",
        )

    def test_director_opens_a_plan(self):
        plan = self._create_plan()
        self.start_tour(
            "/odoo/account-plans", "key_account_plan_director", login="ka_leader"
        )
        self.env.invalidate_all()
        self.assertEqual((plan.state, plan.approver_id), ("approved", self.leader))
