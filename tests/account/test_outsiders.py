from datetime import timedelta

from freezegun import freeze_time

from odoo.exceptions import AccessError
from odoo.tests import Form, tagged

from ...models.tiering.touched import get_touched
from ..common import SALES_ALL, TODAY, KeyAccountCommon

DAY = TODAY - timedelta(days=10)


@tagged("post_install", "-at_install")
class TestOutsiders(KeyAccountCommon):
    """Who buys and is no customer takes no share and gets no visit."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time(f"{TODAY} 09:00:00"))
        cls.env["key.account.cadence"].create(
            {
                "company_id": cls.company.id,
                "track": "visit",
                "interval_count": 1,
                "interval_unit": "week",
            }
        )
        cls.first, cls.second = (
            cls._create_partner(name) for name in ("First", "Second")
        )

    def _run(self, incremental=False):
        self.policy._run_companies(self.company, TODAY, incremental=incremental)
        self.Visit._generate(company=self.company)

    def _check(self, partner, is_account):
        card = self._get_card(partner)
        self.assertEqual(bool(card.is_account), is_account)
        self.assertEqual(bool(card.rank), is_account)
        self.assertEqual(bool(card.share), is_account)
        self.assertEqual(bool(partner.account_tier_id), is_account)
        self.assertEqual(bool(self._get_planned(partner)), is_account)
        rows = self.env["key.account.due"].search([("partner_id", "=", partner.id)])
        self.assertEqual(bool(rows), is_account)

    def _check_kept_out(self, partner):
        partner.user_id = self.rep
        self._create_invoices(
            [(partner, 90000, DAY), (self.first, 900, DAY), (self.second, 100, DAY)]
        )
        self.env["crm.lead"].create(
            {
                "name": "Deal",
                "partner_id": partner.id,
                "company_id": self.company.id,
                "expected_revenue": 1000,
            }
        )
        for incremental in (False, True):
            self._run(incremental)
            self._check(partner, False)
            self.assertFalse(self._get_card(partner).expected_revenue)
            self._check(self.first, True)
            self.assertEqual(self._get_card(self.first).share, 90)
            self.assertEqual(self.first.account_tier_id, self.tier_a)
            self.assertEqual(self.second.account_tier_id, self.tier_b)
        # a night doesn't look at them again and again
        self.env.flush_all()
        self.cr.execute("UPDATE crm_lead SET write_date = '2020-01-01'")
        self.cr.execute("UPDATE res_partner SET write_date = '2020-01-01'")
        self.cr.execute("UPDATE account_move SET write_date = '2020-01-01'")
        touched = get_touched(self.policy, self.company, TODAY).measured
        self.assertNotIn(partner.id, touched)

    def test_a_sister_company(self):
        self._check_kept_out(self._create_company("Sister").partner_id)

    def test_the_own_company(self):
        self._check_kept_out(self.company.partner_id)

    def test_a_branch(self):
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        self._check_kept_out(branch.partner_id)

    def test_a_company_that_becomes_another_partner(self):
        """What is remembered of our own companies isn't out of date."""
        companies = self.env["res.company"]
        sister = companies.create({"name": "Sister"})
        old = sister.partner_id
        self.assertIn(old.id, companies._get_key_account_own_ids())
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge((old | self.first).ids, self.first)
        self.assertEqual(sister.partner_id, self.first)
        own_ids = companies._get_key_account_own_ids()
        self.assertIn(self.first.id, own_ids)
        self.assertNotIn(old.id, own_ids)
        sister.partner_id = self.second
        own_ids = companies._get_key_account_own_ids()
        self.assertIn(self.second.id, own_ids)
        self.assertNotIn(self.first.id, own_ids)
        said = self.second.with_user(self.manager).key_account_explanation
        self.assertIn("One of our own", said)

    def test_what_their_form_says(self):
        for partner in (self.company.partner_id, self.rep2.partner_id):
            said = partner.with_user(self.manager).key_account_explanation
            self.assertIn("One of our own", said)
        said = self.first.with_user(self.manager).key_account_explanation
        self.assertIn("Not measured yet", said)

    def test_a_colleague(self):
        self._check_kept_out(self.rep2.partner_id)

    def test_the_visitors_of_the_website(self):
        self._check_kept_out(self.env.ref("base.public_partner"))

    def test_who_has_a_portal_account_is_a_customer(self):
        portal = self._create_user("ka_portal", "base.group_portal").partner_id
        portal.user_id = self.rep
        self._create_invoices([(portal, 100, DAY)])
        self._run()
        self._check(portal, True)

    def test_a_receipt_for_nobody(self):
        nobody = self.env["res.partner"]
        self._create_invoices(
            [(nobody, 5000, DAY, {"move_type": "out_receipt"}), (self.first, 10, DAY)]
        )
        self._run()
        self.assertEqual(self._get_card(self.first).share, 100)

    def test_a_customer_becomes_a_colleague(self):
        """Rows, visits and tiers from before: the next night ends them, and what a
        person planned stays."""
        person = self.env["res.partner"].create(
            {"name": "Ann", "user_id": self.rep.id, "email": "ann@example.com"}
        )
        self._create_invoices([(person, 900, DAY), (self.first, 100, DAY)])
        self._run()
        self._check(person, True)
        visit = self._get_planned(person)
        own = self.Visit.create(
            {
                "partner_id": person.id,
                "user_id": self.rep.id,
                "track": "contact",
                "date_planned": TODAY + timedelta(days=3),
            }
        )
        lead = self.env["crm.lead"].create(
            {
                "name": "Deal",
                "partner_id": person.id,
                "company_id": self.company.id,
            }
        )
        self.assertTrue(lead.account_tier_id)
        self._create_user("ann", "base.group_user", partner_id=person.id)
        self._run(incremental=True)
        self._check(person, False)
        self.assertEqual(visit.state, "cancelled")
        self.assertEqual(visit.close_reason, "Not an account")
        self.assertEqual(own.state, "planned")
        self.assertFalse(lead.account_tier_id)
        self.assertEqual(self._get_card(self.first).share, 100)

    # --- marked by an administrator ------------------------------------------------

    def _mark(self, partner, value=True):
        with Form(partner.with_user(self.manager)) as form:
            form.key_account_is_excluded = value

    def test_marked(self):
        walk_in = self._create_partner("Walk-in customer")
        self._create_invoices([(walk_in, 900, DAY), (self.first, 100, DAY)])
        self._run()
        self._check(walk_in, True)
        visit = self._get_planned(walk_in)
        self.policy.auto_apply = False
        self._mark(walk_in)
        # at once
        self.assertEqual(visit.state, "cancelled")
        self.assertFalse(visit.activity_id.active)
        self.assertFalse(
            self.env["key.account.due"].search([("partner_id", "=", walk_in.id)])
        )
        self.Visit._generate(walk_in, self.company)
        self.assertFalse(self._get_planned(walk_in))
        # and with the next night
        self._run(incremental=True)
        self._check(walk_in, False)
        self.assertEqual(self._get_card(self.first).share, 100)
        self.assertEqual(
            walk_in.with_user(self.rep).key_account_explanation,
            "Not an account: no tier, no share, no visits.",
        )
        # and back
        self.policy.auto_apply = True
        self._mark(walk_in, False)
        self._run(incremental=True)
        self._check(walk_in, True)
        self.assertEqual(self._get_card(walk_in).share, 90)

    def test_marked_in_one_company(self):
        self._mark(self.first)
        other = self._create_company("Elsewhere")
        self.assertFalse(self.first.with_company(other).key_account_is_excluded)
        contact = self.env["res.partner"].create(
            {"name": "Ann", "parent_id": self.first.id}
        )
        self.assertTrue(contact.key_account_is_excluded)

    def test_nothing_is_proposed(self):
        self._create_invoices([(self.first, 100, DAY), (self.second, 900, DAY)])
        self._run()
        self.policy.write({"auto_apply": False, "min_tenure_days": 0, "hysteresis": 0})
        self._create_invoices([(self.first, 10000, DAY)])
        self._run()
        change = self.env["key.account.tier.change"].search(
            [("partner_id", "=", self.first.id), ("state", "=", "proposed")]
        )
        self.assertTrue(change)
        self._mark(self.first)
        self._run(incremental=True)
        self.assertEqual(change.state, "rejected")

    def test_search(self):
        self._mark(self.first)
        both = ("id", "in", (self.first | self.second).ids)
        Partner = self.env["res.partner"]
        for value in (True, False):
            found = Partner.search([both, ("key_account_is_excluded", "=", value)])
            self.assertEqual(found, self.first if value else self.second)
        self.assertEqual(
            self.Card.search([("is_excluded", "=", True)]).partner_id, self.first
        )

    def test_only_administrators_mark(self):
        values = {"key_account_is_excluded": True}
        everything = self._create_user("ka_excluding", SALES_ALL)
        for user in (self.rep, everything):
            with self.assertRaisesRegex(AccessError, "Only a sales administrator"):
                self.first.with_user(user).write(values)
            with self.assertRaisesRegex(AccessError, "Only a sales administrator"):
                self.env["res.partner"].with_user(user).create({"name": "X", **values})
        self.assertFalse(self.first.key_account_is_excluded)
        # said by nobody: a form sends what it doesn't show
        self.env["res.partner"].with_user(self.rep).create(
            {"name": "X", "key_account_is_excluded": False}
        )
