import random
from datetime import timedelta
from unittest.mock import patch

import psycopg2

from odoo import Command
from odoo.sql_db import Cursor
from odoo.tests import tagged

from ..common import TODAY, KeyAccountCommon

DAY = TODAY - timedelta(days=10)


class BooksCommon(KeyAccountCommon):
    """A contact who works for one firm, and then for another one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.key_account_planning = False
        cls.old_firm, cls.new_firm = (
            cls._create_partner(name) for name in ("Old firm", "New firm")
        )
        cls.contact = cls.env["res.partner"].create(
            {"name": "Mover", "parent_id": cls.old_firm.id}
        )

    @classmethod
    def _create_order(cls, partner, amount=100, quantity=1, **values):
        line = {
            "product_id": cls.product.id,
            "product_uom_qty": quantity,
            "price_unit": amount,
            "tax_ids": [Command.clear()],
            **values.pop("line", {}),
        }
        order = cls.env["sale.order"].create(
            {
                "partner_id": partner.id,
                "company_id": cls.company.id,
                "order_line": [Command.create(line)],
                **values,
            }
        )
        order.action_confirm()
        # the day of its confirmation
        order.date_order = DAY
        return order

    @classmethod
    def _invoice_order(cls, order, **values):
        move = order._create_invoices(**values)
        move.invoice_date = DAY
        move.action_post()
        return move

    def _run(self, incremental=False):
        self.policy._run_companies(self.company, TODAY, incremental=incremental)

    def _get_figures(self, name="revenue"):
        return [self._get_card(firm)[name] for firm in (self.old_firm, self.new_firm)]


@tagged("post_install", "-at_install")
class TestFirms(BooksCommon):
    def _check_move(self, old, new):
        """Move the contact: what a night finds is what a run of all does."""
        self._run()
        self.assertEqual(self._get_figures(), [old + new, 0])
        self.contact.parent_id = self.new_firm
        for incremental in (True, False):
            self._run(incremental)
            self.assertEqual(self._get_figures(), [old, new])
        self.assertEqual(self._get_figures("is_account"), [bool(old), bool(new)])

    def test_an_invoice_stays_with_the_firm(self):
        refund = {"move_type": "out_refund"}
        self._create_invoices(
            [(self.contact, 700, DAY), (self.contact, 50, DAY, refund)]
        )
        self._check_move(650, 0)

    def test_a_reversal_is_of_the_firm_that_was_invoiced(self):
        """Whether a part or all comes back, also when the contact has moved since."""
        (move,) = self._create_invoices([(self.contact, 700, DAY)])
        self._run()
        self.contact.parent_id = self.new_firm
        refund = move._reverse_moves([{"invoice_date": DAY}])
        self.assertEqual(refund.commercial_partner_id, self.new_firm)
        refund.invoice_line_ids.price_unit = 200
        refund.action_post()
        for incremental in (True, False):
            self._run(incremental)
            self.assertEqual(self._get_figures(), [500, 0])
            self.assertFalse(self._get_card(self.new_firm).is_account)
        # another contact that somebody names on it is meant
        refund.button_draft()
        refund.partner_id = self.new_firm
        refund.action_post()
        for incremental in (True, False):
            self._run(incremental)
            self.assertEqual(self._get_figures(), [700, -200])

    def test_archived_contact(self):
        self._create_invoices([(self.contact, 700, DAY)])
        self.contact.active = False
        self._run()
        self.assertEqual(self._get_figures()[0], 700)

    def test_new_invoices_are_the_new_firm_s(self):
        self._create_invoices([(self.contact, 700, DAY)])
        self.contact.parent_id = self.new_firm
        self._create_invoices([(self.contact, 30, DAY)])
        self._run()
        self.assertEqual(self._get_figures(), [700, 30])

    def test_a_customer_that_becomes_a_contact_brings_its_invoices(self):
        self._create_invoices([(self.old_firm, 700, DAY)])
        self._run()
        self.old_firm.write({"is_company": False, "parent_id": self.new_firm.id})
        for incremental in (True, False):
            self._run(incremental)
            self.assertEqual(self._get_card(self.new_firm).revenue, 700)
            self.assertFalse(self._get_card(self.old_firm).is_account)

    def test_a_customer_that_is_merged_into_a_contact(self):
        """Its firm has the invoices; what was decided about the customer ends."""
        person = self._create_partner("Mover", is_company=False)
        self._create_invoices([(self.contact, 400, DAY), (person, 300, DAY)])
        self._run()
        self.assertEqual(self._get_card(person).tier_id, self.tier_a)
        self.env["base.partner.merge.automatic.wizard"].create(
            {
                "partner_ids": [Command.set((self.contact | person).ids)],
                "dst_partner_id": self.contact.id,
            }
        ).action_merge()
        self.env.invalidate_all()
        self.assertFalse(self._get_card(self.contact).tier_id)
        for incremental in (True, False):
            self._run(incremental)
            self.assertEqual(self._get_figures(), [700, 0])

    def test_an_order_that_odoo_knows_nothing_of_follows_the_contact(self):
        self.policy.revenue_basis = "ordered"
        self._create_order(self.contact)
        self._check_move(0, 100)

    def test_an_order_to_an_invoice_address_stays(self):
        self.policy.revenue_basis = "ordered"
        self.env["res.partner"].create(
            {"name": "Accounts", "type": "invoice", "parent_id": self.old_firm.id}
        )
        self._create_order(self.contact)
        self._check_move(100, 0)

    def test_an_invoiced_order_stays(self):
        self.policy.revenue_basis = "ordered"
        move = self._invoice_order(self._create_order(self.contact))
        self._check_move(100, 0)
        # nobody knows any more
        move.button_draft()
        for incremental in (True, False):
            self._run(incremental)
            self.assertEqual(self._get_figures(), [0, 100])

    def test_the_firm_that_orders_counts_whoever_pays(self):
        self.policy.revenue_basis = "ordered"
        self._create_order(self.old_firm, partner_invoice_id=self.new_firm.id)
        self._run()
        self.assertEqual(self._get_figures(), [100, 0])
        self.policy.revenue_basis = "invoiced"
        self._invoice_order(self.env["sale.order"].search([], limit=1, order="id DESC"))
        self._run()
        self.assertEqual(self._get_figures(), [0, 100])

    def test_the_ladder_asks_the_same_firm(self):
        criteria = self.env["key.account.relationship.criterion"]
        criteria.search([]).active = False
        criteria.create(
            {
                "name": "Orders",
                "kind": "automatic",
                "measure": "orders_quarters",
                "level": "preferred_supplier",
                "quarters": 1,
                "company_id": self.company.id,
            }
        )
        self._invoice_order(self._create_order(self.contact))
        self.contact.parent_id = self.new_firm
        self._run()
        self.assertEqual(
            self._get_figures("suggested_relationship_level"),
            ["preferred_supplier", False],
        )


@tagged("post_install", "-at_install")
class TestCosts(BooksCommon):
    """A product costs 40 when it is ordered, and 90 today."""

    def _get_margin(self):
        self._raise_cost()
        self._run()
        return self._get_card(self.old_firm).margin

    def _raise_cost(self):
        self.product.with_company(self.company).standard_price = 90

    def test_an_invoice_of_an_order_keeps_its_cost(self):
        order = self._create_order(self.old_firm, quantity=10)
        self._invoice_order(order)
        self._run()
        self.assertEqual(self._get_figures("margin"), [600, 0])
        self.assertEqual(self._get_margin(), 600)

    def test_what_was_entered_on_the_order_counts(self):
        order = self._create_order(self.old_firm, line={"purchase_price": 70})
        self._invoice_order(order)
        self.assertEqual(self._get_margin(), 30)

    def test_an_invoice_without_an_order_has_the_cost_of_the_product(self):
        line = {
            "product_id": self.product.id,
            "price_unit": 100,
            "quantity": 10,
            "tax_ids": [Command.clear()],
        }
        lines = {"invoice_line_ids": [Command.create(line)]}
        self._create_invoices([(self.old_firm, 0, DAY, lines)])
        self.assertEqual(self._get_margin(), 100)

    def test_an_order_keeps_its_margin(self):
        self.policy.revenue_basis = "ordered"
        self._create_order(self.old_firm, quantity=10)
        self.assertEqual(self._get_margin(), 600)

    def test_a_part_is_invoiced(self):
        order = self._create_order(self.old_firm, quantity=10)
        move = order._create_invoices()
        move.invoice_date = DAY
        move.invoice_line_ids.quantity = 3
        move.action_post()
        self.assertEqual(self._get_margin(), 180)

    def test_units(self):
        """Ordered by the dozen, invoiced in pieces."""
        dozen = self.env.ref("uom.product_uom_dozen")
        order = self._create_order(
            self.old_firm, 1200, 2, line={"product_uom_id": dozen.id}
        )
        self.assertEqual(order.order_line.purchase_price, 480)
        move = order._create_invoices()
        move.invoice_date = DAY
        move.invoice_line_ids.write(
            {
                "product_uom_id": self.env.ref("uom.product_uom_unit").id,
                "quantity": 6,
                "price_unit": 100,
            }
        )
        move.action_post()
        self.assertEqual(self._get_margin(), 6 * (100 - 40))

    def test_an_order_in_another_currency(self):
        dollar = self.env.ref("base.USD")
        dollar.active = True
        self.env["res.currency.rate"].create(
            {
                "name": "2020-01-01",
                "rate": 2,
                "currency_id": dollar.id,
                "company_id": self.company.id,
            }
        )
        pricelist = self.env["product.pricelist"].create(
            {
                "name": "Dollars",
                "currency_id": dollar.id,
                "company_id": self.company.id,
            }
        )
        order = self._create_order(self.old_firm, 200, 10, pricelist_id=pricelist.id)
        self.assertEqual(order.order_line.purchase_price, 80)
        move = self._invoice_order(order)
        self.assertEqual(move.currency_id, dollar)
        self.assertEqual(self._get_margin(), 600)

    def test_a_reversal_leaves_nothing(self):
        move = self._invoice_order(self._create_order(self.old_firm, quantity=10))
        wizard = (
            self.env["account.move.reversal"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"journal_id": move.journal_id.id, "date": DAY})
        )
        wizard.refund_moves()
        refund = move.reversal_move_ids
        refund.invoice_date = DAY
        if refund.state == "draft":
            refund.action_post()
        self.assertEqual(self._get_margin(), 0)
        self.assertEqual(self._get_figures(), [0, 0])

    def test_a_deposit_costs_nothing(self):
        order = self._create_order(self.old_firm, quantity=10)
        wizard = (
            self.env["sale.advance.payment.inv"]
            .with_context(active_model="sale.order", active_ids=order.ids)
            .create({"advance_payment_method": "percentage", "amount": 30})
        )
        wizard.create_invoices()
        deposit = order.invoice_ids
        deposit.invoice_date = DAY
        deposit.action_post()
        self.assertEqual(self._get_margin(), 300)
        card = self._get_card(self.old_firm)
        self.assertEqual((card.margin_rate, card.cost_share), (0, 0))
        final = self._invoice_order(order, final=True)
        self.assertEqual(final.amount_untaxed, 700)
        self.assertEqual(self._get_margin(), 600)
        self.assertEqual(self._get_figures(), [1000, 0])
        self.env.invalidate_all()
        self.assertEqual((card.margin_rate, card.cost_share), (60, 100))

    def test_a_night_keeps_the_cost_too(self):
        self._run()
        self._invoice_order(self._create_order(self.old_firm, quantity=10))
        self._raise_cost()
        self._run(incremental=True)
        self.assertEqual(self._get_figures("margin"), [600, 0])


@tagged("post_install", "-at_install")
class TestMarginRate(BooksCommon):
    """The rate is one of what has a cost, against plain Python."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bare = cls.product.create({"name": "Bare", "type": "service"})
        rand = random.Random(19)
        cls.firms = cls.old_firm | cls.new_firm
        cls.firms |= cls.env["res.partner"].union(
            *(cls._create_partner(f"Firm {number}") for number in range(6))
        )
        products = cls.product | cls.bare
        # firm, product, quantity, price: the last ones have no cost, one, or nothing
        cls.sales = [
            (firm, rand.choice(products), rand.randint(1, 4), rand.randint(30, 900) / 4)
            for firm in cls.firms[:5]
            for _ in range(rand.randint(1, 5))
        ]
        cls.sales += [
            (cls.firms[5], cls.bare, 2, 50),
            (cls.firms[6], cls.product, 2, 30),
        ]

    def _check(self):
        cards = self.env["key.account"].browse()
        for incremental in (False, True):
            self._run(incremental)
            self.env.invalidate_all()
            for firm in self.firms:
                lines = [line[1:] for line in self.sales if line[0] == firm]
                revenue = sum(count * price for _, count, price in lines)
                costed = [line for line in lines if line[0] == self.product]
                known = sum(count * price for _, count, price in costed)
                cost = sum(40 * count for _, count, _price in costed)
                card = self._get_card(firm)
                cards |= card
                if not lines:
                    self.assertFalse(card)
                    continue
                self.assertAlmostEqual(card.revenue, revenue, 2)
                self.assertAlmostEqual(card.margin, revenue - cost, 2)
                self.assertAlmostEqual(card.uncosted_revenue, revenue - known, 2)
                rate = 100 * (known - cost) / known if known else 0
                self.assertAlmostEqual(card.margin_rate, rate, 2)
                self.assertAlmostEqual(
                    card.cost_share, 100 * known / revenue, delta=0.051
                )
        unknown = cards.search([("margin_rate", "=", False), ("id", "in", cards.ids)])
        self.assertIn(self._get_card(self.firms[5]), unknown)
        self.assertNotIn(self._get_card(self.firms[6]), unknown)
        known = cards.search([("cost_share", "<", 100), ("id", "in", cards.ids)])
        self.assertEqual(known, cards.filtered("uncosted_revenue"))

    def test_of_invoices(self):
        self._create_invoices(
            [
                (
                    firm,
                    0,
                    DAY,
                    {
                        "invoice_line_ids": [
                            Command.create(
                                {
                                    "product_id": product.id,
                                    "quantity": quantity,
                                    "price_unit": price,
                                    "tax_ids": [Command.clear()],
                                }
                            )
                        ]
                    },
                )
                for firm, product, quantity, price in self.sales
            ]
        )
        self._check()

    def test_of_orders(self):
        self.policy.revenue_basis = "ordered"
        for firm in self.firms:
            lines = [line[1:] for line in self.sales if line[0] == firm]
            if lines:
                self._create_order(
                    firm,
                    order_line=[
                        Command.create(
                            {
                                "product_id": product.id,
                                "product_uom_qty": quantity,
                                "price_unit": price,
                                "tax_ids": [Command.clear()],
                            }
                        )
                        for product, quantity, price in lines
                    ],
                )
        self._check()

    def test_a_discount_on_all(self):
        """A line of its own is no revenue without a cost: it is less for what has
        one, and for what has none, in proportion."""
        self.sales = []
        for firm, bare in ((self.firms[0], 0), (self.firms[1], 2), (self.firms[2], 4)):
            order = self._create_order(
                firm,
                order_line=[
                    Command.create(
                        {
                            "product_id": product.id,
                            "product_uom_qty": quantity,
                            "price_unit": 100,
                            "tax_ids": [Command.clear()],
                        }
                    )
                    for product, quantity in (
                        (self.product, 4 - bare),
                        (self.bare, bare),
                    )
                    if quantity
                ],
            )
            self.env["sale.order.discount"].create(
                {
                    "sale_order_id": order.id,
                    "discount_type": "so_discount",
                    "discount_percentage": 0.1,
                }
            ).action_apply_discount()
            self._invoice_order(order)
        for basis in ("invoiced", "ordered"):
            self.policy.revenue_basis = basis
            self._run()
            self.env.invalidate_all()
            cards = [self._get_card(firm) for firm in self.firms[:3]]
            for name, expected in (
                ("revenue", [360, 360, 360]),
                ("margin", [200, 280, 360]),
                ("uncosted_revenue", [0, 180, 360]),
                # 360 less 160, 180 less 80, nothing known
                ("margin_rate", [55.56, 55.56, 0]),
            ):
                with self.subTest(basis=basis, name=name):
                    self.assertEqual([card[name] for card in cards], expected)

    def test_of_invoiced_orders(self):
        for firm, product, quantity, price in self.sales:
            line = {"product_id": product.id}
            self._invoice_order(self._create_order(firm, price, quantity, line=line))
        # what is noted on the order counts
        (self.product | self.bare).with_company(self.company).standard_price = 7
        self._check()


@tagged("post_install", "-at_install")
class TestOldTimeZones(BooksCommon):
    def _run_without(self, name):
        """Run on a PostgreSQL that doesn't know a time zone."""
        execute = Cursor.execute

        def refuse(cursor, query, params=None, log_exceptions=True):
            if name in repr(query) + repr(params):
                raise psycopg2.errors.InvalidParameterValue(name)
            return execute(cursor, query, params, log_exceptions)

        self.env.flush_all()
        with patch.object(Cursor, "execute", refuse):
            self._run()

    def test_old_names(self):
        """The day of an order, also where PostgreSQL has no name for the zone."""
        self.policy.revenue_basis = "ordered"
        order = self._create_order(self.old_firm)
        for name, moment in (
            ("Asia/Calcutta", "18:29:59"),
            ("US/Eastern", "03:59:59"),
            ("Etc/GMT+12", "11:59:59"),
        ):
            self.company.resource_calendar_id.tz = name
            day = TODAY + timedelta(days=name != "Asia/Calcutta")
            for late in (False, True):
                with self.subTest(zone=name, late=late):
                    order.date_order = f"{day} {moment}"
                    order.date_order += timedelta(seconds=late)
                    self._run_without(name)
                    # in Calcutta, New York and on the date line: the window ends
                    self.assertEqual(self._get_figures()[0], 0 if late else 100)
