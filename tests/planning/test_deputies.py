from datetime import timedelta

from odoo import Command
from odoo.tests import tagged

from ..common import SALES, SALES_ALL, TODAY
from .test_planning import PlanningCommon


@tagged("post_install", "-at_install")
class TestDeputies(PlanningCommon):
    """A customer without a salesperson: that of its contacts, else of its invoices."""

    def setUp(self):
        super().setUp()
        self.account = self._create_accounts(1, user_id=False)

    def _create_contact(self, user, **values):
        return self.env["res.partner"].create(
            {
                "name": "Buyer",
                "parent_id": self.account.id,
                "user_id": user.id,
                **values,
            }
        )

    def _invoice(self, user, days_ago, **values):
        day = TODAY - timedelta(days=days_ago)
        values = {"invoice_user_id": user.id, **values}
        self._create_invoices([(self.account, 100, day, values)])

    def _plan(self):
        self._get_planned(self.account).sudo().unlink()
        self.Visit._generate(self.account, self.company)
        visit = self._get_planned(self.account)
        row = self.Due.search([("partner_id", "=", self.account.id)])
        self.assertEqual(row.user_id, visit.user_id)
        return visit

    def test_of_most_contacts(self):
        self._create_contact(self.rep2)
        self.assertEqual(self._plan().user_id, self.rep2)
        self._create_contact(self.rep)
        self._create_contact(self.rep)
        self.assertEqual(self._plan().user_id, self.rep)
        self.assertEqual(self._plan().team_id, self.team)
        # a latecomer on the account counts before
        self.account.user_id = self.rep2
        self.assertEqual(self._plan().user_id, self.rep2)

    def test_of_the_invoices(self):
        self._invoice(self.rep2, 30, move_type="out_refund")
        self._invoice(self.rep, 20)
        self._invoice(self.rep2, 10)
        visit = self._plan()
        self.assertEqual((visit.user_id, visit.team_id), (self.rep, self.team))
        self._create_contact(self.rep2)
        self.assertEqual(self._plan().user_id, self.rep2)

    def test_of_two_who_invoice_in_turn(self):
        """What is planned doesn't go to and fro with each invoice."""
        self._invoice(self.rep2, 200)
        self.Visit._generate(self.account, self.company)
        visit = self._get_planned(self.account)
        for user, days_ago in (
            (self.rep, 150),
            (self.rep, 120),
            (self.rep2, 90),
            (self.rep, 60),
        ):
            self._invoice(user, days_ago)
            self._plan_night()
            self.assertEqual(visit.user_id, self.rep2, days_ago)
        self.assertEqual(visit.activity_id.user_id, self.rep2)

    def test_of_who_goes_on_to_invoice(self):
        """Who invoiced it first doesn't count after a year without another one."""
        self._invoice(self.rep2, 400)
        self._invoice(self.rep, 366)
        self.assertEqual(self._plan().user_id, self.rep2)
        self._invoice(self.rep, 36)
        self.assertEqual(self._plan().user_id, self.rep2)
        self._invoice(self.rep, 35)
        self.assertEqual(self._plan().user_id, self.rep)
        # nor whoever has left, however late they invoiced
        self._invoice(self.leader, 2)
        self.rep.active = False
        self.assertEqual(self._plan().user_id, self.leader)
        self.leader.active = False
        self.assertEqual(self._plan().user_id, self.rep2)

    def test_an_invoice_to_a_contact_who_has_left(self):
        """It is the firm's all the same, as the books have it."""
        contact = self._create_contact(self.env["res.users"])
        values = {"invoice_user_id": self.rep2.id}
        self._create_invoices([(contact, 100, TODAY, values)])
        elsewhere = self._create_accounts(1, user_id=False)
        contact.parent_id = elsewhere
        self.assertEqual(self._plan().user_id, self.rep2)
        self.Visit._generate(elsewhere, self.company)
        self.assertFalse(self._get_planned(elsewhere).user_id)

    def test_an_invoice_of_who_is_a_contact_now(self):
        former = self._create_accounts(1, user_id=False)
        values = {"invoice_user_id": self.rep2.id}
        self._create_invoices([(former, 100, TODAY, values)])
        former.write({"is_company": False, "parent_id": self.account.id})
        self.assertEqual(self._plan().user_id, self.rep2)

    def test_what_is_planned_goes_along(self):
        """With whoever serves the customer now, at once or at night; what a person gave
        to somebody else, or planned, stays there."""
        self.Visit._generate(self.account, self.company)
        visit = self._get_planned(self.account)
        self.assertFalse(visit.user_id)
        contact = self._create_contact(self.rep2)
        self._plan_night()
        self.assertEqual((visit.user_id, visit.team_id), (self.rep2, self.team))
        self.assertEqual(visit.activity_id.user_id, self.rep2)
        contact.user_id = self.rep
        self.assertEqual(visit.user_id, self.rep)
        other = self._create_contact(self.rep2)
        contact.action_archive()
        self.assertEqual(visit.user_id, self.rep2)
        other.unlink()
        self._plan_night()
        self.assertFalse(visit.user_id)
        contact.action_unarchive()
        self.assertEqual(visit.user_id, self.rep)
        visit.with_user(self.leader).action_move(str(visit.date_planned), self.rep2.id)
        contact.user_id = self.leader
        self._plan_night()
        self.assertEqual(visit.user_id, self.rep2)
        self.assertEqual(visit.activity_id.user_id, self.rep2)

    def test_what_is_planned_comes_back(self):
        """Who left sales and comes back gets back what is still open."""
        self._create_contact(self.rep)
        self._invoice(self.rep2, 10)
        self.Visit._generate(self.account, self.company)
        visit = self._get_planned(self.account)
        self.assertEqual(visit.user_id, self.rep)
        self.rep.active = False
        self.assertEqual(visit.user_id, self.rep2)
        self.rep.active = True
        self._plan_night()
        self.assertEqual(visit.user_id, self.rep)

    def _plan_night(self):
        self.Due._refresh(self.company, planning=True)
        self.Visit._generate(company=self.company)

    def test_whoever_left_does_not_count(self):
        self._create_contact(self.rep2)
        self._invoice(self.rep, 10)
        self.rep2.active = False
        self.assertEqual(self._plan().user_id, self.rep)
        self.rep.active = False
        self.assertFalse(self._plan().user_id)

    def test_an_invoice_of_another_company(self):
        other = self._create_company("Elsewhere")
        self.rep.company_ids |= other
        self._create_invoices(
            [(self.account, 100, TODAY, {"invoice_user_id": self.rep.id})], other
        )
        self.assertFalse(self._plan().user_id)

    def test_a_salesperson_of_the_account_who_left_has_a_leader(self):
        self.account.user_id = self.rep2
        self._create_contact(self.rep)
        self.rep2.active = False
        self.assertEqual(self._plan().user_id, self.leader)

    def test_before_the_leader_of_the_latest_lead(self):
        self.env["crm.lead"].create(
            {"name": "L", "partner_id": self.account.id, "team_id": self.team.id}
        )
        self.assertEqual(self._plan().user_id, self.leader)
        self._create_contact(self.rep)
        self.assertEqual(self._plan().user_id, self.rep)

    def test_the_latest_lead_of_a_branch(self):
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        self.team.company_id = False
        self.env["crm.lead"].create(
            {
                "name": "L",
                "partner_id": self.account.id,
                "company_id": branch.id,
                "team_id": self.team.id,
                "user_id": False,
            }
        )
        self.assertEqual(self._plan().user_id, self.leader)

    def test_a_team_of_a_branch(self):
        """It serves the accounts of the company above: its capacity and its leader
        count."""
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        boss, user = (
            self._create_user(login, groups)
            for login, groups in (("ka_boss", SALES_ALL), ("ka_there", SALES))
        )
        (boss | user).company_ids |= branch
        team = self.env["crm.team"].create(
            {
                "name": "There",
                "company_id": branch.id,
                "user_id": boss.id,
                "member_ids": [Command.set(user.ids)],
            }
        )
        members = self.env["crm.team.member"]
        member = members.search([("user_id", "=", user.id)])
        member.write({"key_account_daily_capacity": 1, "seniority": "senior"})
        self.assertEqual(members._get_daily_capacities(user, self.company)[user.id], 1)
        self.assertEqual(members._get_seniorities(self.company)[user.id], "senior")
        self.account.user_id = user
        visit = self._plan()
        self.assertEqual((visit.user_id, visit.team_id), (user, team))
        user.active = False
        self.assertEqual((visit.user_id, visit.team_id), (boss, team))

    def test_executives_are_sent_by_the_sponsor_or_the_leader(self):
        self.line.copy({"track": "executive", "sequence": 2})
        self.env["crm.lead"].create(
            {"name": "L", "partner_id": self.account.id, "team_id": self.team.id}
        )
        self._create_contact(self.rep)
        self.Visit._generate(self.account, self.company)
        visit = self._get_planned(self.account, "executive")
        self.assertEqual(visit.user_id, self.leader)

    def test_a_contact_gets_a_salesperson(self):
        contact = self._create_contact(self.env["res.users"])
        self.Visit._generate(self.account, self.company)
        row = self.Due.search([("partner_id", "=", self.account.id)])
        self.assertFalse(row.user_id)
        contact.user_id = self.rep
        self.assertEqual(row.user_id, self.rep)
