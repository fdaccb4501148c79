from datetime import date, timedelta
from unittest.mock import patch

from dateutil.relativedelta import relativedelta

from odoo import Command
from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import SQL, mute_logger

from ...models.tiering import methods as tiering_methods
from ..common import TODAY, KeyAccountCommon


@tagged("post_install", "-at_install")
class TestTiering(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partners = [cls._create_partner(f"Account {n}") for n in range(6)]
        cls.day = TODAY - timedelta(days=10)

    def _invoice(self, *amounts, day=None):
        self._create_invoices(
            [
                (partner, amount, day or self.day)
                for partner, amount in zip(self.partners, amounts, strict=False)
                if amount
            ]
        )

    def _get_codes(self, field="account_tier_id"):
        return "".join(partner[field].code or "-" for partner in self.partners)

    # --- methods -------------------------------------------------------------

    def test_pareto(self):
        # before: 0, 50, 75, 90, 95, 98
        self._invoice(500, 250, 150, 50, 30, 20)
        changes = self.policy._run(TODAY)
        self.assertEqual(self._get_codes(), "AAABCC")
        self.assertFalse(changes, "a first placement has nothing to remember")
        cards = [self._get_card(partner) for partner in self.partners]
        self.assertEqual([card.rank for card in cards], [1, 2, 3, 4, 5, 6])
        self.assertEqual([card.share for card in cards], [50, 25, 15, 5, 3, 2])
        self.assertEqual(
            [card.cumulative_share for card in cards], [50, 75, 90, 95, 98, 100]
        )

    def test_each_reads_tiers_in_the_own_language(self):
        """Also where a transaction serves two readers."""
        self.env["res.lang"]._activate_lang("fr_FR")
        self.tier_a.with_context(lang="fr_FR").name = "Clé"
        partner = self._create_partner("Acme")
        self._create_invoices([(partner, 1000, TODAY)])
        self.policy._run(TODAY)
        self._set_tier(partner, self.tier_b)
        self._set_tier(partner, self.tier_a)
        change = self.env["key.account.tier.change"].search(
            [("partner_id", "=", partner.id), ("to_tier_id", "=", self.tier_a.id)]
        )
        self._set_tier(partner, self.tier_b)
        for record, name in (
            (change, "display_name"),
            (partner, "key_account_explanation"),
            (self.policy, "cadence_gap"),
        ):
            with self.subTest(field=name):
                self.assertNotIn("Clé", record[name])
                self.assertIn("Clé", record.with_context(lang="fr_FR")[name])

    def test_search_by_cumulative_share(self):
        """As filters do that were saved while it was stored."""
        self._invoice(500, 250, 150, 50, 30, 20)
        other = self._create_partner("No account")
        self.Card._ensure(other.ids, self.company)
        self.policy._run(TODAY)
        cards = [self._get_card(partner) for partner in [*self.partners, other]]
        company = ("company_id", "=", self.company.id)
        for operator, value, expected in (
            ("<", 90, [0, 1, 6]),
            ("<=", 90, [0, 1, 2, 6]),
            (">", 95, [4, 5]),
            (">=", 95, [3, 4, 5]),
        ):
            with self.subTest(operator=operator):
                domain = [company, ("cumulative_share", operator, value)]
                found = self.Card.search(domain)
                self.assertEqual(
                    [number for number, card in enumerate(cards) if card in found],
                    expected,
                )

    def test_pareto_boundary_is_exact(self):
        # the second account starts at exactly 80 %: no longer in the first tier
        self._invoice(800, 150, 50)
        self.policy._run(TODAY)
        self.assertEqual(self._get_codes()[:3], "ABC")

    def test_pyramid(self):
        self.policy.write(
            {
                "method": "pyramid",
                "tier_ids": [
                    Command.update(self.tier_a.id, {"share": 20}),
                    Command.update(self.tier_b.id, {"share": 80}),
                ],
            }
        )
        # before: 0, 20, 40, 60, 80 percent of five accounts
        self._invoice(500, 400, 300, 200, 100)
        self.policy._run(TODAY)
        self.assertEqual(self._get_codes()[:5], "ABBBC")

    def test_threshold(self):
        self.policy.active = False
        policy = self._create_policy("threshold", (1000, 100, 0))
        self._invoice(1000, 999.99, 100, 99.99, 0.01)
        policy._run(TODAY)
        self.assertEqual(self._get_codes()[:5], "ABBCC")

    def test_a_method_of_another_addon(self):
        """A class and an entry of the selection: nothing else."""

        class Best(tiering_methods.Threshold):
            key = "best"
            label = "The best ones"

            def explain(self):
                return "So many accounts are in a tier or in a better one."

            def get_condition_sql(self, tier):
                return SQL("count_before < %s", tier.threshold)

            def check(self):
                if self.tiers[0].threshold < 1:
                    raise ValidationError(self.env._("At least one."))

            def get_cutoffs(self, company):
                return [(self.tiers[0], 1)]

        field = type(self.policy)._fields["method"]
        # what selection_add does
        self.patch(field, "selection", [*field.selection, ("best", "The best ones")])
        self.patch(field, "_selection", dict(field.selection))
        with patch.dict(tiering_methods.METHODS, {"best": Best}):
            self.policy.active = False
            policy = self._create_policy("best", (2, 3, 9))
            with self.assertRaisesRegex(ValidationError, "At least one"):
                policy._get_tiers()[0].threshold = 0
            policy._get_tiers()[0].threshold = 2
            with Form(policy.with_user(self.manager)) as form:
                self.assertEqual(form.method_text, Best(policy).explain())
                self.assertEqual(form.tier_bound, "threshold")
            self._invoice(400, 300, 200, 100)
            policy._run(TODAY)
            self.assertEqual(self._get_codes()[:4], "AABC")
            lead = self.env["crm.lead"].create(
                {
                    "name": "L",
                    "probability": 100,
                    "company_id": self.company.id,
                    "user_id": self.rep.id,
                    "expected_revenue": 5,
                }
            )
            self.assertEqual(lead.account_tier_id.code, "A")

    def test_equal_figures_get_equal_tiers(self):
        self._invoice(400, 400, 50, 50, 50)
        self.policy._run(TODAY)
        self.assertEqual(self._get_codes()[:5], "AABBB")
        self.assertEqual(
            [self._get_card(partner).rank for partner in self.partners[:5]],
            [1, 1, 3, 3, 3],
        )

    def test_zero_and_negative_go_to_the_last_tier(self):
        self._invoice(100)
        self._create_invoices(
            [
                (self.partners[1], 50, self.day),
                (self.partners[1], 50, self.day, {"move_type": "out_refund"}),
                (self.partners[2], 70, self.day, {"move_type": "out_refund"}),
            ]
        )
        self.policy._run(TODAY)
        self.assertEqual(self._get_codes()[:3], "ACC")
        self.assertEqual(self._get_card(self.partners[1]).revenue, 0)
        self.assertEqual(self._get_card(self.partners[2]).revenue, -70)
        # negative figures don't push the total below what the others make
        self.assertEqual(self._get_card(self.partners[0]).share, 100)

    def test_only_losses(self):
        self._create_invoices(
            [(self.partners[0], 70, self.day, {"move_type": "out_refund"})]
        )
        # what else makes it an account adds nothing
        order = self.env["sale.order"].create(
            {
                "partner_id": self.partners[0].id,
                "company_id": self.company.id,
                "order_line": [
                    Command.create({"product_id": self.product.id, "price_unit": 9})
                ],
            }
        )
        order.action_confirm()
        self.env["crm.lead"].create(
            {
                "name": "Deal",
                "partner_id": self.partners[0].id,
                "company_id": self.company.id,
                "expected_revenue": 5,
            }
        )
        self.policy._run(TODAY)
        self.assertEqual(self._get_codes()[:1], "C")
        card = self._get_card(self.partners[0])
        self.assertEqual((card.revenue, card.expected_revenue), (-70, 5))

    def test_nothing_at_all(self):
        self.assertFalse(self.policy._run(TODAY))

    # --- what counts ----------------------------------------------------------

    def test_window(self):
        start = TODAY - relativedelta(months=12)
        self._create_invoices(
            [
                (self.partners[0], 1, TODAY),
                (self.partners[0], 2, start + timedelta(days=1)),
                (self.partners[0], 4, start),
                (self.partners[0], 8, start - relativedelta(months=12)),
                (self.partners[0], 16, TODAY + timedelta(days=1)),
            ]
        )
        self.policy._run(TODAY)
        card = self._get_card(self.partners[0])
        self.assertEqual(card.revenue, 3)
        self.assertEqual(card.previous_revenue, 4)

    def test_drafts_and_bills_do_not_count(self):
        moves = self._create_invoices(
            [
                (self.partners[0], 10, self.day),
                (self.partners[1], 10, self.day, {"move_type": "in_invoice"}),
            ]
        )
        moves[0].button_draft()
        self.policy._run(TODAY)
        self.assertFalse(self._get_card(self.partners[0]))
        self.assertFalse(self._get_card(self.partners[1]))

    def test_contacts_count_for_their_company(self):
        contact = self.env["res.partner"].create(
            {"name": "Buyer", "parent_id": self.partners[0].id}
        )
        self._create_invoices(
            [(contact, 100, self.day), (self.partners[0], 50, self.day)]
        )
        self.policy._run(TODAY)
        self.assertEqual(self._get_card(self.partners[0]).revenue, 150)
        self.assertFalse(self._get_card(contact))
        self.assertEqual(contact.account_tier_id, self.tier_a)
        later = self.env["res.partner"].create(
            {"name": "New buyer", "parent_id": self.partners[0].id}
        )
        self.assertEqual(later.account_tier_id, self.tier_a)

    def test_margin_is_ranked_by_when_chosen(self):
        self.policy.metric = "margin"
        line = {
            "invoice_line_ids": [
                Command.create(
                    {
                        "product_id": self.product.id,
                        "price_unit": 50,
                        "quantity": 2,
                        "tax_ids": [Command.clear()],
                    }
                )
            ]
        }
        self._create_invoices(
            [(self.partners[0], 0, self.day, line), (self.partners[1], 90, self.day)]
        )
        self.policy._run(TODAY)
        card = self._get_card(self.partners[0])
        self.assertEqual((card.revenue, card.margin), (100, 20))
        self.assertEqual(card.margin_rate, 20)
        self.assertEqual(card.rank, 2)
        self.assertEqual(self._get_card(self.partners[1]).rank, 1)

    def test_orders_as_basis(self):
        self.policy.revenue_basis = "ordered"
        order = self.env["sale.order"].create(
            {
                "partner_id": self.partners[0].id,
                "company_id": self.company.id,
                "order_line": [
                    Command.create(
                        {
                            "product_id": self.product.id,
                            "product_uom_qty": 3,
                            "price_unit": 100,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
            }
        )
        self._invoice(0, 500)
        self.policy._run(order.date_order.date())
        self.assertFalse(self._get_card(self.partners[0]), "a quotation is no order")
        order.action_confirm()
        self.policy._run(order.date_order.date())
        card = self._get_card(self.partners[0])
        self.assertEqual((card.revenue, card.margin), (300, 180))
        # invoiced only: an account, but without ordered revenue
        self.assertEqual(self._get_card(self.partners[1]).revenue, 0)

    def test_expected_revenue_of_open_leads(self):
        self.policy.metric = "expected_revenue"
        leads = self.env["crm.lead"].create(
            [
                {
                    "name": f"Lead {amount}",
                    "partner_id": self.partners[0].id,
                    "company_id": self.company.id,
                    "expected_revenue": amount,
                    "type": "opportunity",
                }
                for amount in (1, 2, 4)
            ]
        )
        leads[1].action_set_lost()
        leads[2].action_set_won()
        self.policy._run(TODAY)
        self.assertEqual(self._get_card(self.partners[0]).expected_revenue, 1)

    def test_lead_makes_an_account(self):
        self.env["crm.lead"].create(
            {
                "name": "First contact",
                "partner_id": self.partners[0].id,
                "company_id": self.company.id,
            }
        )
        self.policy._run(TODAY)
        self.assertEqual(self._get_codes()[:2], "C-")

    def test_account_that_is_none_any_more(self):
        self._invoice(100, 50)
        self.policy._run(TODAY)
        self.env["account.move"].search(
            [("partner_id", "=", self.partners[1].id)]
        ).button_draft()
        self.policy._run(TODAY)
        card = self._get_card(self.partners[1])
        self.assertFalse(card.is_account)
        self.assertEqual((card.revenue, card.rank), (0, 0))

    # --- companies and currencies ----------------------------------------------

    def test_foreign_currency_counts_in_company_currency(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        self.env["res.currency.rate"].create(
            {
                "currency_id": usd.id,
                "company_id": self.company.id,
                "name": "2020-01-01",
                "rate": 4.0,
            }
        )
        self._create_invoices(
            [(self.partners[0], 400, self.day, {"currency_id": usd.id})]
        )
        self.policy._run(TODAY)
        self.assertEqual(self._get_card(self.partners[0]).revenue, 100)

    def test_two_companies_two_tiers(self):
        other = self._create_company("Other Company", "base.USD")
        self.env.user.company_ids += other
        big, small = self.partners[:2]
        self._create_invoices([(big, 900, self.day), (small, 50, self.day)])
        self._create_invoices([(big, 5, self.day), (small, 95, self.day)], other)
        self.assertEqual(
            self.policy._get_for_company(other).company_id,
            self.env["res.company"],
            "a company without a policy uses the shared one",
        )
        self.policy._run(TODAY)
        shared = self.policy._get_for_company(other)
        shared._run_companies(other, TODAY)
        tiers = {
            (partner, company): partner.with_company(company).account_tier_id.code
            for partner in (big, small)
            for company in (self.company, other)
        }
        self.assertEqual(tiers[big, self.company], "A")
        self.assertEqual(tiers[small, other], "A")
        self.assertEqual(tiers[big, other], "C")
        self.assertEqual(tiers[small, self.company], "B")
        found = (
            self.env["res.partner"]
            .with_company(other)
            .search(
                [("account_tier_id.code", "=", "A"), ("id", "in", (big | small).ids)]
            )
        )
        self.assertEqual(found, small)

    # --- stability --------------------------------------------------------------

    def test_rerun_changes_nothing(self):
        self._invoice(500, 250, 150, 50, 30, 20)
        self.policy._run(TODAY)
        self.assertFalse(self.policy._run(TODAY))
        self.assertFalse(self.policy._run(TODAY + timedelta(days=1)))

    def test_lock(self):
        self._invoice(900, 50)
        partner = self.partners[0]
        partner.write(
            {
                "account_tier_id": self.tier_c.id,
                "account_tier_locked_until": TODAY,
                "account_tier_lock_reason": "Insolvency",
            }
        )
        self.policy._run(TODAY)
        self.assertEqual(partner.account_tier_id, self.tier_c)
        self.assertEqual(self._get_card(partner).suggested_tier_id, self.tier_a)
        self.policy._run(TODAY + timedelta(days=1))
        self.assertEqual(partner.account_tier_id, self.tier_a)

    def _prepare_threshold(self, figure):
        """An account that was in B when the threshold of A was 1000."""
        self.policy.active = False
        policy = self._create_policy("threshold", (1000, 100, 0), hysteresis=5)
        self._invoice(900, day=TODAY - timedelta(days=300))
        policy._run(TODAY)
        self.assertEqual(self.partners[0].account_tier_id.code, "B")
        self._invoice(figure - 900)
        return policy

    def test_hysteresis_up(self):
        policy = self._prepare_threshold(1050)
        policy._run(TODAY + timedelta(days=1))
        self.assertEqual(self.partners[0].account_tier_id.code, "B")
        self._invoice(0.01)
        policy._run(TODAY + timedelta(days=1))
        self.assertEqual(self.partners[0].account_tier_id.code, "A")

    def test_hysteresis_ends_with_the_tenure(self):
        policy = self._prepare_threshold(1010)
        policy.min_tenure_days = 30
        # the run reads the company's day, which is what the tenure starts from
        card = self._get_card(self.partners[0])
        self.assertEqual(card.tier_since, TODAY)
        policy._run(TODAY + timedelta(days=29))
        self.assertEqual(self.partners[0].account_tier_id.code, "B")
        policy._run(TODAY + timedelta(days=30))
        self.assertEqual(self.partners[0].account_tier_id.code, "A")

    def test_hysteresis_down(self):
        policy = self._prepare_threshold(1100)
        policy._run(TODAY)
        self.assertEqual(self.partners[0].account_tier_id.code, "A")
        self._create_invoices(
            [(self.partners[0], 150, self.day, {"move_type": "out_refund"})]
        )
        policy._run(TODAY)  # 950: not below 1000 less 5 %
        self.assertEqual(self.partners[0].account_tier_id.code, "A")
        self._create_invoices(
            [(self.partners[0], 0.01, self.day, {"move_type": "out_refund"})]
        )
        policy._run(TODAY)
        self.assertEqual(self.partners[0].account_tier_id.code, "B")

    def test_hysteresis_with_shares(self):
        self.policy.tier_ids = [Command.update(self.tier_b.id, {"share": 92})]
        self._invoice(900, 60, 40)
        self.policy._run(TODAY)
        self.assertEqual(self._get_codes()[:3], "ABC")
        # the third overtakes the second by less than 5 %: both stay
        self._invoice(0, 0, 22)
        self.policy._run(TODAY)
        self.assertEqual(self._get_card(self.partners[2]).suggested_tier_id.code, "B")
        self.assertEqual(self._get_card(self.partners[1]).suggested_tier_id.code, "C")
        self.assertEqual(self._get_codes()[:3], "ABC")
        # clear of it: both move
        self._invoice(0, 0, 20)
        self.policy._run(TODAY)
        self.assertEqual(self._get_codes()[:3], "ACB")

    # --- proposals ---------------------------------------------------------------

    def test_proposals(self):
        self.policy.auto_apply = False
        self._invoice(900, 60)
        changes = self.policy._run(TODAY)
        self.assertEqual(changes.mapped("state"), ["proposed"] * 2)
        self.assertEqual(self._get_codes()[:2], "--")
        self.assertFalse(self.policy._run(TODAY), "proposed once")
        first = changes.filtered(lambda c: c.partner_id == self.partners[0])
        first.with_user(self.manager).action_apply()
        self.assertEqual(first.state, "applied")
        self.assertEqual(first.user_id, self.manager)
        self.assertEqual(self._get_codes()[:2], "A-")
        self.assertEqual(self._get_card(self.partners[0]).tier_id, self.tier_a)
        self.assertEqual(
            self.env["key.account.tier.change"].search_count(
                [("partner_id", "=", self.partners[0].id)]
            ),
            1,
            "applying a proposal makes no second line of history",
        )
        with self.assertRaises(UserError):
            first.action_apply()

    def test_rejected_proposal_does_not_come_back_next_morning(self):
        self.policy.auto_apply = False
        self._invoice(900)
        change = self.policy._run(TODAY)
        change.with_user(self.manager).action_reject()
        change.date = TODAY
        self.assertFalse(self.policy._run(TODAY + timedelta(days=1)))
        self.assertTrue(self.policy._run(TODAY + timedelta(days=91)))

    def test_proposal_is_withdrawn_when_the_figures_change(self):
        self.policy.auto_apply = False
        self._invoice(900, 200)
        change = self.policy._run(TODAY).filtered(
            lambda c: c.partner_id == self.partners[1]
        )
        self.assertEqual(change.to_tier_id.code, "B")
        self._invoice(0, 5000)
        new = self.policy._run(TODAY)
        self.assertEqual(change.state, "rejected")
        self.assertFalse(change.user_id)
        self.assertEqual(
            new.filtered(lambda c: c.partner_id == self.partners[1]).to_tier_id.code,
            "A",
        )

    def test_set_by_hand_keeps_the_reason(self):
        self._invoice(900)
        self.policy._run(TODAY)
        wizard = (
            self.env["key.account.tier.set"]
            .with_user(self.manager)
            .create(
                {
                    "partner_id": self.partners[0].id,
                    "tier_id": self.tier_b.id,
                    "reason": "Contract ends in May",
                }
            )
        )
        wizard.action_set()
        partner = self.partners[0]
        self.assertEqual(partner.account_tier_id, self.tier_b)
        self.assertTrue(partner.account_tier_locked_until)
        change = self.env["key.account.tier.change"].search(
            [("partner_id", "=", partner.id)], order="id desc", limit=1
        )
        self.assertEqual(change.reason, "Contract ends in May")
        self.assertEqual(change.from_tier_id, self.tier_a)
        self.assertEqual(change.user_id, self.manager)
        with self.assertRaises(ValidationError):
            wizard.locked_until = date(2020, 1, 1)

    def test_preview_changes_nothing(self):
        self._invoice(900, 60)
        action = self.policy.with_user(self.manager).action_preview()
        preview = self.env[action["res_model"]].browse(action["res_id"])
        self.assertEqual(
            set(preview.line_ids.mapped("partner_id.id")),
            {self.partners[0].id, self.partners[1].id},
        )
        self.assertFalse(self._get_card(self.partners[0]))
        self.assertEqual(self._get_codes()[:2], "--")
        self.assertFalse(
            self.env["key.account.tier.change"].search(
                [("company_id", "=", self.company.id)]
            )
        )

    def test_action_run_is_for_own_companies(self):
        self._invoice(900)
        self.policy.with_user(self.manager).action_run()
        self.assertTrue(self._get_card(self.partners[0]))

    def test_cron(self):
        self._invoice(900)
        with self.enter_registry_test_mode():
            self.env.ref("crm_key_account.ir_cron_tiering").method_direct_trigger()
        self.env.invalidate_all()
        self.assertTrue(self._get_card(self.partners[0]))
        self.assertTrue(self.policy.last_run)

    # --- leads --------------------------------------------------------------------

    def test_lead_takes_the_tier_of_its_customer(self):
        self._invoice(900, 60)
        lead = self.env["crm.lead"].create(
            {
                "name": "Deal",
                "partner_id": self.partners[0].id,
                "company_id": self.company.id,
            }
        )
        self.assertFalse(lead.account_tier_id)
        self.policy._run(TODAY)
        self.assertEqual(lead.account_tier_id, self.tier_a)
        lead.partner_id = self.partners[1]
        self.assertEqual(lead.account_tier_id, self.tier_b)
        self._set_tier(self.partners[1], self.tier_c)
        self.assertEqual(lead.account_tier_id, self.tier_c)
        found = self.env["crm.lead"].search(
            [("account_tier_id", "=", self.tier_c.id), ("id", "=", lead.id)]
        )
        self.assertEqual(found, lead)

    def _create_prospect(self, **values):
        return self.env["crm.lead"].create(
            {
                "name": "New",
                "company_id": self.company.id,
                "expected_revenue": 60,
                "probability": 100,
                "type": "opportunity",
                **values,
            }
        )

    def _check_prospect(self, lead, code, **values):
        """The ORM and the run have to agree."""
        lead.write(values)
        self.assertEqual(lead.account_tier_id.code, code, values)
        self.env.flush_all()
        self.cr.execute("UPDATE crm_lead SET account_tier_id = NULL")
        self.env.invalidate_all()
        self.policy._run(TODAY)
        self.assertEqual(lead.account_tier_id.code, code, values)

    def test_prospective_tier(self):
        self._invoice(900, 60, 10)
        lead = self._create_prospect(expected_revenue=1000, probability=6)
        self.assertFalse(lead.account_tier_id, "nothing was measured yet")
        self.policy._run(TODAY)
        self.assertEqual(lead.account_tier_id, self.tier_b)
        for amount, probability, code in (
            (1000, 90, "A"),
            (1000, 89.9, "B"),
            (900, 100, "A"),
            (60, 99, "C"),
            (1000000, 0, "C"),
            (0, 50, "C"),
            (-1, 50, "C"),
        ):
            self._check_prospect(
                lead, code, expected_revenue=amount, probability=probability
            )

    def test_recurring_revenue_of_a_prospect(self):
        """By the month, for the months of the window."""
        self._invoice(900, 60, 10)
        yearly = self.env["crm.recurring.plan"].create(
            {"name": "Per year", "number_of_months": 12}
        )
        monthly = self.env["crm.recurring.plan"].create(
            {"name": "Per month", "number_of_months": 1}
        )
        lead = self._create_prospect(expected_revenue=0, probability=50)
        self.policy._run(TODAY)
        for amount, plan, months, code in (
            (1800, yearly, 12, "A"),
            (1788, yearly, 12, "B"),
            (150, monthly, 12, "A"),
            (150, monthly, 11, "B"),
            (149, monthly, 12, "B"),
        ):
            self.policy.window_months = months
            self._check_prospect(
                lead, code, recurring_revenue=amount, recurring_plan=plan.id
            )
        # the deal comes on top, once
        self.policy.window_months = 12
        self._check_prospect(lead, "A", expected_revenue=12)

    def test_prospects_are_compared_by_the_policy_s_metric(self):
        self.policy.metric = "margin"
        line = {
            "product_id": self.product.id,
            "price_unit": 50,
            "quantity": 20,
            "tax_ids": [Command.clear()],
        }
        lines = {"invoice_line_ids": [Command.create(line)]}
        self._create_invoices([(self.partners[0], 0, self.day, lines)])
        self.policy._run(TODAY)
        self.assertEqual(self._get_card(self.partners[0]).margin, 200)
        lead = self._create_prospect(expected_revenue=1000)
        self._check_prospect(lead, "A")
        self._check_prospect(lead, "C", expected_revenue=990)
        # open leads of accounts aren't weighed either
        self.policy.metric = "expected_revenue"
        self._create_prospect(
            partner_id=self.partners[0].id, expected_revenue=500, probability=10
        )
        self.policy._run(TODAY)
        self._check_prospect(lead, "A", expected_revenue=500, probability=5)
        self._check_prospect(lead, "C", expected_revenue=499, probability=99)

    # --- reasons ------------------------------------------------------------------

    def _get_reason(self, amount, currency, metric="revenue", lang="en_US"):
        """Return the reason of a move, for a reader of a language."""
        company = self._create_company(f"In {currency}", currency)
        self.env.user.company_ids |= company
        policy = self.policy.copy({"company_id": company.id, "min_tenure_days": 0})
        policy.write({"active": True, "metric": metric})
        large, small = self.partners[:2]
        day = TODAY - timedelta(days=30)
        self._create_invoices([(large, 1, day), (small, 100, day)], company)
        policy._run(day)
        self._create_invoices([(large, amount - 1, self.day)], company)
        changes = policy._run(TODAY)
        change = changes.filtered(lambda change: change.partner_id == large)
        self.assertEqual(change.state, "applied")
        change = change.with_context(lang=lang)
        self.assertEqual(self._get_card(large, company).revenue, amount)
        return change.reason.replace("\N{NO-BREAK SPACE}", " ")

    def test_reason_of_large_amounts(self):
        self.assertEqual(
            self._get_reason(2_750_000_000_000, "base.VND"),
            "Revenue of 12 months: 2,750,000,000,000 VND, rank 1, before 1, "
            "boundary 100",
        )

    def test_reason_of_one_month(self):
        measured = {"metric": "revenue", "months": 1, "figure": 500, "rank": 2}
        self.assertRegex(
            self.policy._explain(self.company, measured),
            r"^Revenue of one month: 500\.00 \w+, rank 2$",
        )

    def test_reason_in_the_reader_s_format_and_currency_s_decimals(self):
        self.env["res.lang"]._activate_lang("de_DE")
        self.assertIn(
            ": 1.234,567 KWD", self._get_reason(1234.567, "base.KWD", lang="de_DE")
        )

    # --- automation rules ---------------------------------------------------------

    def test_rules_hear_of_the_tiers_of_a_run(self):
        """Where one waits for it, tiers are given through the ORM: the first as well as
        the next ones. One that is refused keeps no other account from its tier."""
        accounts = type(self.Card)
        heard = []
        write = accounts.write

        def note(records, vals):
            if "tier_id" in vals:
                if self.partners[2] in records.partner_id:
                    raise ValueError("Not this one")
                before = {account.partner_id: account.tier_id for account in records}
                heard.extend((p, before[p].code, vals["tier_id"]) for p in before)
            return write(records, vals)

        self.patch(accounts, "_is_watched", lambda self: True)
        self.patch(accounts, "write", note)
        self._invoice(800, 150, 50)
        self.policy.min_tenure_days = 0
        with mute_logger("odoo.addons.crm_key_account.models.account.attempts"):
            changes = self.policy._run(TODAY)
        self.assertFalse(changes)
        self.assertEqual(self._get_codes(), "AB----")
        a, b, _ = self.policy.tier_ids.ids
        first, second = self.partners[:2]
        self.assertEqual(set(heard), {(first, False, a), (second, False, b)})
        heard.clear()
        self._create_invoices([(second, 9000, self.day)])
        with mute_logger("odoo.addons.crm_key_account.models.account.attempts"):
            changes = self.policy._run(TODAY)
        self.assertEqual(changes.partner_id, first | second)
        self.assertEqual(second.account_tier_id, self.tier_a)
        self.assertIn((second, "B", a), heard)
        self.assertEqual(self._get_card(second).tier_since, TODAY)

    # --- performance ---------------------------------------------------------------

    def test_fixed_number_of_statements(self):
        """Also with as many changes to remember."""
        self.policy.write({"min_tenure_days": 0, "hysteresis": 0})
        self._invoice(900, 60)
        self.policy._run(TODAY)  # fills the caches of Odoo itself
        counts = []
        for number in (1, 50):
            partners = self.env["res.partner"].union(
                *(self._create_partner(f"Many {number} {n}") for n in range(number))
            )
            self._create_invoices([(p, 100 + p.id, self.day) for p in partners])
            self.policy._run(TODAY)
            partners.account_tier_id = self.tier_c
            moving = self.env["key.account"].search_count(
                [
                    ("partner_id", "in", partners.ids),
                    ("suggested_tier_id", "!=", self.tier_c.id),
                ]
            )
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            changes = self.policy._run(TODAY)
            counts.append(self.cr.sql_log_count - before)
            self.assertEqual(len(changes), moving)
            self.assertGreaterEqual(moving, number / 2)
        self.assertEqual(counts[0], counts[1])


@tagged("post_install", "-at_install")
class TestBadInput(KeyAccountCommon):
    def _assert_refused(self, text, **values):
        before = self.policy.read()
        with self.assertRaisesRegex(ValidationError, text), self.cr.savepoint():
            self.policy.write(values)
        self.env.invalidate_all()
        self.assertEqual(self.policy.read(), before)

    def test_no_tiers(self):
        self._assert_refused("no tiers", tier_ids=[Command.clear()])
        with self.assertRaisesRegex(ValidationError, "no tiers"):
            self.env["key.account.policy"].create(
                {"name": "Empty", "company_id": self._create_company("Empty").id}
            )

    def test_shares(self):
        def shares(a, b, c):
            tiers = (self.tier_a, self.tier_b, self.tier_c)
            return [
                Command.update(tier.id, {"share": share})
                for tier, share in zip(tiers, (a, b, c), strict=True)
            ]

        self._assert_refused("reach only 99.99", tier_ids=shares(80, 95, 99.99))
        self._assert_refused("above that", tier_ids=shares(95, 80, 100))
        self._assert_refused("above that", tier_ids=shares(95, 95, 100))
        self._assert_refused("above 0", tier_ids=shares(0, 95, 100))
        self._assert_refused("from 0 to 100", tier_ids=shares(80, 95, 101))
        with self.assertRaisesRegex(ValidationError, "reach only"), self.cr.savepoint():
            self.tier_c.share = 99
        # right only together: accepted
        self.policy.write({"tier_ids": shares(97, 98, 100)})
        self.assertEqual(self.tier_a.share, 97)

    def test_thresholds(self):
        def thresholds(a, b, c):
            tiers = (self.tier_a, self.tier_b, self.tier_c)
            return [
                Command.update(tier.id, {"threshold": value})
                for tier, value in zip(tiers, (a, b, c), strict=True)
            ]

        for values in ((100, 100, 0), (100, 200, 0), (0, 0, 0)):
            self._assert_refused(
                "highest threshold first",
                method="threshold",
                tier_ids=thresholds(*values),
            )
        self._assert_refused(
            "can't be negative", method="threshold", tier_ids=thresholds(2, 1, -1)
        )

    def test_numbers(self):
        self._assert_refused("from 1 to 120", window_months=0)
        self._assert_refused("from 1 to 120", window_months=-12)
        self._assert_refused("from 0 to 99.99", hysteresis=-1)
        self._assert_refused("from 0 to 99.99", hysteresis=100)
        self._assert_refused("from 0 to 3,650", min_tenure_days=-1)

    def test_a_scorecard_without_criteria(self):
        self._assert_refused("sum to zero: add a criterion", method="scorecard")

    def test_tiers_of_a_file_are_locked_as_in_the_dialog(self):
        kestrel, heron = self._create_partner("Kestrel"), self._create_partner("Heron")
        partners = self.env["res.partner"].with_user(self.manager)
        self.manager.group_ids += self.env.ref("base.group_partner_manager")

        def load(names, *rows):
            result = partners.load(names, [list(map(str, row)) for row in rows])
            self.assertTrue(result["ids"], result["messages"])
            self.env.invalidate_all()

        tier = "account_tier_id/.id"
        load([".id", tier], (kestrel.id, self.tier_a.id), (heron.id, ""))
        wizard = self.env["key.account.tier.set"].new({"partner_id": kestrel.id})
        self.assertTrue(kestrel.account_tier_locked_until)
        self.assertEqual(kestrel.account_tier_locked_until, wizard.locked_until)
        self.assertEqual(kestrel.account_tier_lock_reason, "Imported")
        self.assertFalse(heron.account_tier_locked_until)
        self.policy._run()
        self.env.invalidate_all()
        self.assertEqual(kestrel.account_tier_id, self.tier_a)
        # the file may say otherwise
        load(
            [".id", tier, "account_tier_locked_until"],
            (kestrel.id, self.tier_b.id, ""),
            (heron.id, self.tier_b.id, "2099-12-31"),
        )
        self.assertFalse(kestrel.account_tier_locked_until)
        self.assertEqual(str(heron.account_tier_locked_until), "2099-12-31")
        # without a minimum tenure the dialog locks nothing
        self.policy.min_tenure_days = 0
        heron.account_tier_locked_until = False
        load([".id", tier], (heron.id, self.tier_a.id))
        self.assertFalse(heron.account_tier_locked_until)

    def test_two_active_policies(self):
        with self.assertRaisesRegex(ValidationError, "already active"):
            self._create_policy()

    def test_two_shared_policies(self):
        with self.assertRaisesRegex(ValidationError, "already active"):
            self._create_policy(company_id=False)

    def test_copy_is_archived(self):
        copy = self.policy.copy()
        self.assertFalse(copy.active)
        self.assertEqual(len(copy.tier_ids), 3)

    def test_archived_policy_does_not_run(self):
        self.policy.active = False
        with self.assertRaisesRegex(UserError, "archived"):
            self.policy._run_company(self.company, TODAY)

    def test_tier_in_use(self):
        partner = self._create_partner("Customer")
        self._set_tier(partner, self.tier_b)
        with self.assertRaisesRegex(UserError, "in use"), self.cr.savepoint():
            self.tier_b.unlink()
        with self.assertRaisesRegex(UserError, "in use"), self.cr.savepoint():
            self.policy.unlink()
        with self.assertRaisesRegex(UserError, "in use"), self.cr.savepoint():
            self.policy.tier_ids = [Command.delete(self.tier_b.id)]
        self.assertTrue(self.tier_b.exists())
        self.tier_a.unlink()
        self.assertFalse(self.tier_a.exists())

    def test_policy_without_use_can_be_deleted(self):
        self.policy.unlink()
        self.assertFalse(self.tier_a.exists())
