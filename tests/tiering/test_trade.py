"""How accounts trade: single cases by hand, and random books counted once more."""

import random
from collections import defaultdict
from datetime import timedelta
from statistics import mean, median

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time

from odoo import Command
from odoo.tests import tagged

from ..common import TODAY, KeyAccountCommon

NAMES = (
    "order_count",
    "last_order_date",
    "order_interval",
    "discount_rate",
    "days_late",
    "win_rate",
)
YEAR = relativedelta(months=12)


def ago(days):
    return TODAY - timedelta(days=days)


class TradeCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.company.key_account_planning = False
        cls.partner = cls._create_partner("Kestrel")

    def _run(self, today=TODAY, incremental=False):
        self.policy._run_companies(self.company, today, incremental=incremental)

    def _get_figures(self, partner=None):
        """Return the columns as they are stored: nothing is told from 0."""
        self.env.flush_all()
        self.cr.execute(
            f"SELECT {', '.join(NAMES)} FROM key_account "
            "WHERE company_id = %s AND partner_id = %s",
            [self.company.id, (partner or self.partner).id],
        )
        row = self.cr.dictfetchone()
        return {
            name: float(value) if name.endswith(("val", "rate", "late")) else value
            for name, value in row.items()
            if value is not None
        }

    @classmethod
    def _pay(cls, move, day, amount=None):
        wizard = (
            cls.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"payment_date": day})
        )
        if amount:
            wizard.amount = amount
        wizard.action_create_payments()

    @classmethod
    def _create_order(cls, partner, day, lines, **values):
        order = cls.env["sale.order"].create(
            {
                "partner_id": partner.id,
                "company_id": cls.company.id,
                "order_line": [
                    Command.create(
                        {
                            "product_id": cls.product.id,
                            "product_uom_qty": quantity,
                            "price_unit": price,
                            "discount": discount,
                            "tax_ids": [Command.clear()],
                        }
                    )
                    for quantity, price, discount in lines
                ],
                **values,
            }
        )
        order.action_confirm()
        order.date_order = f"{day} 12:00:00"
        return order

    @classmethod
    def _prepare_lines(cls, lines):
        return {
            "invoice_line_ids": [
                Command.create(
                    {
                        "name": "Sale",
                        "quantity": quantity,
                        "price_unit": price,
                        "discount": discount,
                        "tax_ids": [Command.clear()],
                    }
                )
                for quantity, price, discount in lines
            ]
        }


@tagged("post_install", "-at_install")
class TestTrade(TradeCommon):
    def test_orders(self):
        """Two on a day are two orders and one day; refunds and nothing are none."""
        refund = {"move_type": "out_refund"}
        days = (400, 40, 30, 30, 10)
        self._create_invoices(
            [(self.partner, 100, ago(days)) for days in days]
            + [(self.partner, 50, ago(2), refund), (self.partner, 0, ago(1))]
            + [(self.partner, 100, TODAY + timedelta(days=1))]
        )
        self._run()
        self.assertEqual(
            self._get_figures(),
            {
                "order_count": 4,
                "last_order_date": ago(10),
                "order_interval": 20,
                "discount_rate": 0,
            },
        )

    def test_a_rhythm_needs_four_days(self):
        self._create_invoices([(self.partner, 100, ago(n)) for n in (30, 20, 20, 10)])
        self._run()
        self.assertNotIn("order_interval", self._get_figures())
        self._create_invoices([(self.partner, 100, ago(4))])
        self._run()
        self.assertEqual(self._get_figures()["order_interval"], 10)
        # long ago it ordered every other day
        old = [ago(10) - 4 * YEAR - timedelta(days=2 * n) for n in range(9)]
        self._create_invoices([(self.partner, 100, day) for day in old])
        self._run()
        self.assertEqual(self._get_figures()["order_interval"], 10)

    def test_discounts(self):
        """10 % of 900 and all of 100, less what was credited, and none of last year."""
        lines = [(9, 100, 10), (1, 100, 100)]
        self._create_invoices(
            [
                (self.partner, 0, ago(9), self._prepare_lines(lines)),
                (self.partner, 0, ago(500), self._prepare_lines([(1, 100, 50)])),
            ]
        )
        self._run()
        self.assertEqual(self._get_figures()["discount_rate"], 19)
        refund = {"move_type": "out_refund", **self._prepare_lines([(1, 100, 100)])}
        self._create_invoices([(self.partner, 0, ago(5), refund)])
        self._run()
        self.assertEqual(self._get_figures()["discount_rate"], 10)

    def test_only_samples_and_refunds(self):
        """What is free is no order, and all of its price is given away; a refund alone
        is neither."""
        other = self._create_partner("Merlin")
        self._create_invoices(
            [
                (self.partner, 0, ago(9), self._prepare_lines([(1, 100, 100)])),
                (other, 50, ago(2), {"move_type": "out_refund"}),
            ]
        )
        for incremental in (False, True):
            self._run(incremental=incremental)
            figures = self._get_figures()
            self.assertEqual(figures, {"order_count": 0, "discount_rate": 100})
            self.assertEqual(self._get_figures(other), {"order_count": 0})

    def test_a_discount_of_a_price_with_tax(self):
        """Untaxed, as all amounts: 10 of 200."""
        tax = self.env["account.tax"].create(
            {
                "name": "21 % incl.",
                "amount": 21,
                "price_include_override": "tax_included",
                "company_id": self.company.id,
            }
        )
        lines = self._prepare_lines([(1, 121, 10), (1, 100, 0)])
        lines["invoice_line_ids"][0][2]["tax_ids"] = [Command.set(tax.ids)]
        self._create_invoices([(self.partner, 0, ago(9), lines)])
        self._run()
        self.assertEqual(self._get_figures()["discount_rate"], 5)

    def test_orders_in_another_currency(self):
        """The largest one is the one that is worth most, in the company's currency."""
        dollar = self.env.ref("base.USD")
        dollar.active = True
        self.env["res.currency.rate"].create(
            {
                "name": ago(100),
                "currency_id": dollar.id,
                "company_id": self.company.id,
                "company_rate": 4,
            }
        )
        pricelist = self.env["product.pricelist"].create(
            {"name": "Dollars", "currency_id": dollar.id}
        )
        self.policy.revenue_basis = "ordered"
        self._create_order(self.partner, ago(3), [(1, 300, 0)])
        self._create_order(
            self.partner, ago(4), [(1, 800, 50)], pricelist_id=pricelist.id
        )
        self._run()
        card = self._get_card(self.partner)
        self.assertEqual(card.largest_order, 300)
        # 400 of 800 dollars, 100 of 500 in all
        self.assertEqual(self._get_figures()["discount_rate"], 20)

    def test_a_discount_on_the_order(self):
        self.policy.revenue_basis = "ordered"
        order = self._create_order(self.partner, ago(3), [(10, 100, 0)])
        wizard = self.env["sale.order.discount"].create(
            {
                "sale_order_id": order.id,
                "discount_type": "so_discount",
                "discount_percentage": 0.15,
            }
        )
        wizard.action_apply_discount()
        self._run()
        self.assertEqual(self._get_figures()["discount_rate"], 15)
        self.assertEqual(self._get_card(self.partner).revenue, 850)

    def test_payments(self):
        """In time, late, in two parts, open and overdue, open and not due yet."""
        moves = self._create_invoices(
            [
                (self.partner, 100, ago(60), {"invoice_date_due": ago(due)})
                for due in (20, 20, 20, 9, -5)
            ]
        )
        self._run()
        self.assertNotIn("days_late", self._get_figures(), "nobody notes payments")
        self._pay(moves[0], ago(25))
        self._pay(moves[1], ago(14))
        self._pay(moves[2], ago(18), 40)
        self._pay(moves[2], ago(10))
        self._run()
        self.assertAlmostEqual(
            self._get_figures()["days_late"], mean([0, 6, 10, 9]), delta=0.051
        )
        # a day later the open one is a day later: by a night as by a run of all
        for incremental in (True, False):
            self._run(TODAY + timedelta(days=1), incremental)
            self.assertAlmostEqual(
                self._get_figures()["days_late"], mean([0, 6, 10, 10]), delta=0.051
            )

    def test_instalments(self):
        terms = self.env["account.payment.term"].create(
            {
                "name": "Halves",
                "line_ids": [
                    Command.create({"value_amount": 50, "nb_days": days})
                    for days in (10, 40)
                ],
            }
        )
        (move,) = self._create_invoices(
            [(self.partner, 100, ago(50), {"invoice_payment_term_id": terms.id})]
        )
        self._pay(move, ago(30), 50)
        self._run()
        # due 40 and 10 days ago
        self.assertEqual(self._get_figures()["days_late"], 10)

    def test_leads(self):
        leads = self.env["crm.lead"].create(
            [
                {
                    "name": "Deal",
                    "type": "opportunity",
                    "partner_id": self.partner.id,
                    "company_id": self.company.id,
                }
                for _number in range(4)
            ]
        )
        self._run()
        self.assertEqual(self._get_figures(), {"order_count": 0})
        leads[0].action_set_won()
        leads[1:3].action_set_lost()
        self._run()
        self.assertEqual(self._get_figures()["win_rate"], 33.33)
        leads[1].date_closed = "2025-03-01 12:00:00"
        self._run()
        self.assertEqual(self._get_figures()["win_rate"], 50)

    def test_who_is_no_account_trades_nothing(self):
        self._create_invoices([(self.partner, 100, ago(9))])
        self._run()
        self.assertEqual(self._get_figures()["order_count"], 1)
        self.partner.with_company(self.company).key_account_is_excluded = True
        self._run(incremental=True)
        self.assertEqual(self._get_figures(), {"order_count": 0})

    def test_nothing_is_written_twice(self):
        self._create_invoices([(self.partner, 100, ago(n)) for n in (9, 8, 7, 6)])
        self._run()
        self.cr.execute("SELECT xmin, ctid FROM key_account ORDER BY id")
        rows = self.cr.fetchall()
        self._run()
        self.cr.execute("SELECT xmin, ctid FROM key_account ORDER BY id")
        self.assertEqual(self.cr.fetchall(), rows)


@tagged("post_install", "-at_install")
class TestRandomBooks(TradeCommon):
    """Random invoices, credit notes, payments, orders and leads in two currencies."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dollar = cls.env.ref("base.USD")
        cls.dollar.active = True
        cls.env["res.currency.rate"].create(
            {
                "name": "2020-01-01",
                "rate": 2,
                "currency_id": cls.dollar.id,
                "company_id": cls.company.id,
            }
        )
        cls.random = random.Random(20260318)
        cls.partners = cls.env["res.partner"].union(
            *(cls._create_partner(f"Customer {number}") for number in range(12))
        )

    def _choose_lines(self):
        return [
            (
                self.random.choice((1, 2, 7)),
                self.random.choice((0, 10, 99.5)),
                self.random.choice((0, 0, 5, 12.5, 100)),
            )
            for _number in range(self.random.randint(1, 2))
        ]

    def _count_orders(self, documents, figures):
        """Count documents (day, amount, sign, lines) once more, one by one."""
        start = TODAY - YEAR
        documents = [each for each in documents if each[0] <= TODAY]
        orders = sorted(day for day, amount, _sign, _lines in documents if amount > 0)
        figures["order_count"] = sum(day > start for day in orders)
        if orders:
            figures["last_order_date"] = orders[-1]
            since = orders[-1] - 3 * YEAR
            days = sorted({day for day in orders if day > since})
            if len(days) >= 4:
                gaps = [(b - a).days for a, b in zip(days, days[1:], strict=False)]
                figures["order_interval"] = median(gaps)
        listed = given = 0
        for day, _amount, sign, lines in documents:
            for quantity, price, discount in lines if day > start else []:
                listed += sign * quantity * price
                given += sign * quantity * price * discount / 100
        if listed > 0:
            figures["discount_rate"] = min(max(100 * given / listed, 0), 100)

    def _check(self, expected):
        self._run()
        for partner in self.partners:
            found = self._get_figures(partner)
            self.assertEqual(found.keys(), expected[partner].keys(), partner.name)
            for name, value in expected[partner].items():
                if name in ("order_count", "last_order_date"):
                    self.assertEqual(found[name], value)
                else:
                    self.assertAlmostEqual(found[name], value, delta=0.051, msg=name)

    def test_invoices_and_payments(self):
        rows, facts = [], []
        for _number in range(90):
            partner = self.random.choice(self.partners)
            day = ago(self.random.choice((-3, 0, 5, 40, 41, 200, 364, 365, 366, 1500)))
            due = day + timedelta(days=self.random.choice((0, 10, 30)))
            refund = self.random.random() < 0.15
            lines = self._choose_lines()
            rate = self.random.choice((1, 2))
            values = {
                "move_type": "out_refund" if refund else "out_invoice",
                "invoice_date_due": due,
                "currency_id": (
                    self.dollar if rate == 2 else self.company.currency_id
                ).id,
                **self._prepare_lines(lines),
            }
            rows.append((partner, 0, day, values))
            facts.append((partner, day, due, -1 if refund else 1, rate, lines))
        moves = self._create_invoices(rows)
        documents, late = defaultdict(list), defaultdict(list)
        for move, (partner, day, due, sign, rate, lines) in zip(
            moves, facts, strict=True
        ):
            amount = sign * move.amount_untaxed / rate
            scaled = [(quantity, price / rate, part) for quantity, price, part in lines]
            documents[partner].append((day, amount, sign, scaled))
            if amount <= 0 or not TODAY - YEAR < day <= TODAY:
                continue
            if self.random.random() < 0.6:
                paid = day + timedelta(days=self.random.choice((0, 8, 25, 60)))
                self._pay(move, paid)
                late[partner].append(max((paid - due).days, 0))
            elif due < TODAY:
                late[partner].append((TODAY - due).days)
        expected = {}
        for partner in self.partners:
            figures = expected[partner] = {}
            self._count_orders(documents[partner], figures)
            if late[partner]:
                figures["days_late"] = mean(late[partner])
        self.assertTrue(any("days_late" in each for each in expected.values()))
        self.assertTrue(any("order_interval" in each for each in expected.values()))
        self._check(expected)

    def test_orders_and_leads(self):
        self.policy.revenue_basis = "ordered"
        documents, closed = defaultdict(list), defaultdict(list)
        for _number in range(60):
            partner = self.random.choice(self.partners)
            day = ago(self.random.choice((0, 5, 40, 41, 200, 364, 365, 1500)))
            lines = self._choose_lines()
            order = self._create_order(partner, day, lines)
            documents[partner].append((day, order.amount_untaxed, 1, lines))
        for _number in range(40):
            partner = self.random.choice(self.partners)
            day = ago(self.random.choice((0, 5, 364, 365)))
            lead = self.env["crm.lead"].create(
                {
                    "name": "Deal",
                    "type": "opportunity",
                    "partner_id": partner.id,
                    "company_id": self.company.id,
                }
            )
            won = self.random.random() < 0.5
            if won:
                lead.action_set_won()
            else:
                lead.action_set_lost()
            lead.date_closed = f"{day} 12:00:00"
            if day > TODAY - YEAR:
                closed[partner].append(won)
        expected = {}
        for partner in self.partners:
            figures = expected[partner] = {}
            self._count_orders(documents[partner], figures)
            if closed[partner]:
                figures["win_rate"] = 100 * mean(closed[partner])
        self._check(expected)
