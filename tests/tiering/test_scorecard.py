"""The value scorecard: its points counted once more in plain Python, its explanation,
who judges, and what is refused."""

from decimal import Decimal
from fractions import Fraction
from itertools import product

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import SQL

from ...models.account import clock
from ...models.account.key_account import MOST_JUDGEMENTS
from ...models.tiering import metrics
from ...models.tiering.scorecard import get_scores_sql
from ..common import TODAY, KeyAccountCommon
from .scores import count_scores

YEAR = relativedelta(months=12)


class ScorecardCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.key_account_planning = False
        cls.partners = cls.env["res.partner"].union(
            *(cls._create_partner(f"Customer {number}") for number in range(4))
        )
        cls.one, cls.two, cls.three, cls.four = cls.partners

    def _use(self, *criteria, bounds=(70, 30, 0), **values):
        """Make the scorecard the policy in force.

        :param criteria: (metric, weight[, values])
        """
        self.policy.active = False
        self.policy = self._create_policy(
            "scorecard",
            bounds,
            criterion_ids=[
                Command.create({"metric": metric, "weight": weight, **dict(*rest)})
                for metric, weight, *rest in criteria
            ],
            **values,
        )
        self.tier_a, self.tier_b, self.tier_c = self.policy.tier_ids
        return self.policy.criterion_ids

    def _run(self, incremental=False, today=TODAY):
        return self.policy._run_companies(self.company, today, incremental=incremental)

    def _get_points(self, partner):
        """Return {metric: (points, figure)}."""
        points = self._get_card(partner).score_points
        return {
            criterion.metric: tuple(points[str(criterion.id)])
            for criterion in self.policy.criterion_ids
            if str(criterion.id) in points
        }


AMOUNTS = st.one_of(
    st.sampled_from([Decimal(0), Decimal(100), Decimal("-50.5")]),
    st.decimals(-(10**6), 10**9, places=2),
)
FIGURES = {
    "revenue": AMOUNTS,
    "margin": AMOUNTS,
    "uncosted_revenue": AMOUNTS,
    "previous_revenue": AMOUNTS,
    "expected_revenue": AMOUNTS,
}
TRADE = {
    "order_count": st.integers(0, 9),
    "days_late": st.one_of(st.none(), st.decimals(0, 99, places=1)),
    "discount_rate": st.one_of(st.none(), st.decimals(0, 100, places=2)),
}
ACCOUNTS = st.lists(st.fixed_dictionaries({**FIGURES, **TRADE}), min_size=1, max_size=9)
BANDS = [(Decimal(0), 10), (Decimal("99.5"), 50), (Decimal(5000), 100)]
SCALES = [
    {"scale": "rank"},
    {"scale": "linear", "figures": (Decimal(0), Decimal(1000))},
    {"scale": "linear", "figures": (Decimal(60), Decimal("-0.5"))},
    {"scale": "bands", "bands": BANDS},
]
# {metric: (its figure by hand, more is better)}
BY_HAND = {
    "revenue": (lambda row: row["revenue"], True),
    "expected_revenue": (lambda row: row["expected_revenue"], True),
    "margin": (lambda row: row["margin"], True),
    "growth": (
        lambda row: (
            Fraction(100)
            * Fraction(row["revenue"] - row["previous_revenue"])
            / Fraction(row["previous_revenue"])
            if row["previous_revenue"] > 0
            else None
        ),
        True,
    ),
    "margin_rate": (
        lambda row: (
            Fraction(100)
            * Fraction(row["margin"] - row["uncosted_revenue"])
            / Fraction(row["revenue"] - row["uncosted_revenue"])
            if row["revenue"] > row["uncosted_revenue"]
            else None
        ),
        True,
    ),
    "order_frequency": (lambda row: row["order_count"], True),
    "days_late": (lambda row: row["days_late"], False),
    "discount": (lambda row: row["discount_rate"], False),
}


@tagged("post_install", "-at_install")
class TestScores(ScorecardCommon):
    def _measure(self, rows):
        """Score rows of figures that no book has."""

        def select(names):
            values = SQL(", ").join(
                SQL(
                    "(%s)",
                    SQL(", ").join(
                        [SQL("%s", -number)]
                        + [
                            SQL(
                                "%s::numeric",
                                row[name] if row[name] is None else str(row[name]),
                            )
                            for name in names
                        ]
                    ),
                )
                for number, row in enumerate(rows, start=1)
            )
            return SQL(
                "SELECT *, TRUE AS is_account "
                "FROM (VALUES %s) AS given (partner_id, %s)",
                values,
                SQL(", ").join(map(SQL.identifier, names)),
            )

        found = self.env.execute_query(
            SQL(
                "SELECT partner_id, score, score_points FROM (%s) AS scores",
                get_scores_sql(
                    self.policy._get_method().criteria,
                    select(FIGURES),
                    select(TRADE),
                    self.company,
                    TODAY,
                ),
            )
        )
        return {-number: (score, points) for number, score, points in found}

    def test_any_figures(self):
        """One account, equal ones, negative and missing figures, by every scale."""
        criteria = [
            {
                "metric": metric,
                "weight": weight,
                "higher_is_better": better,
                **scale,
            }
            for weight, ((metric, (_figure, better)), scale) in enumerate(
                product(BY_HAND.items(), SCALES), start=1
            )
        ]
        self._use(("revenue", 1))
        self.policy.criterion_ids = [
            Command.clear(),
            *(Command.create(self._prepare(each)) for each in criteria),
        ]
        numbers = {
            str(each.id): number
            for number, each in enumerate(self.policy.criterion_ids)
        }
        counted = dict(enumerate(criteria))

        @settings(
            max_examples=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
        )
        @given(ACCOUNTS)
        def check(rows):
            found = self._measure(rows)
            expected = count_scores(
                {
                    key: {
                        number: BY_HAND[each["metric"]][0](row)
                        for number, each in counted.items()
                    }
                    for key, row in enumerate(rows, start=1)
                },
                counted,
            )
            for key, (score, points) in expected.items():
                self.assertEqual(
                    {
                        numbers[name]: Decimal(str(pair[0]))
                        for name, pair in found[key][1].items()
                    },
                    points,
                    rows,
                )
                self.assertEqual(Decimal(str(found[key][0])), score, rows)

        check()

    def _prepare(self, criterion):
        vals = {name: criterion[name] for name in ("metric", "weight")}
        vals["scale"] = criterion["scale"]
        if criterion["scale"] == "linear":
            vals["figure_none"], vals["figure_full"] = map(float, criterion["figures"])
        if criterion["scale"] == "bands":
            vals["bands"] = "; ".join(
                f"{start}: {part}" for start, part in criterion["bands"]
            )
        return vals

    def test_one_account(self):
        """Nobody to compare with: the middle."""
        self._use(("revenue", 3), ("days_late", 1))
        self._create_invoices([(self.one, 700, TODAY)])
        self._run()
        self.assertEqual(self._get_card(self.one).score, 50)
        self.assertEqual(self._get_points(self.one), {"revenue": (50, 700)})
        self.assertEqual(self.one.account_tier_id, self.tier_b)

    def test_all_equal(self):
        self._use(("revenue", 1))
        self._create_invoices([(partner, 700, TODAY) for partner in self.partners])
        self._run()
        cards = self.Card.search([("company_id", "=", self.company.id)])
        self.assertEqual(set(cards.mapped("score")), {50})
        self.assertEqual(set(cards.mapped("rank")), {1})

    def test_books(self):
        """Two currencies, a credit note, nothing, a loss, and no cost."""
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
        self.product.with_company(self.company).standard_price = 40

        def sell(price, quantity=1):
            return {
                "invoice_line_ids": [
                    Command.create(
                        {
                            "product_id": self.product.id,
                            "price_unit": price,
                            "quantity": quantity,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ]
            }

        before = TODAY - YEAR
        self._create_invoices(
            [
                # 1000 - 200, margin 600 - 160
                (self.one, 0, TODAY, sell(100, 10)),
                (self.one, 0, TODAY, {"move_type": "out_refund", **sell(100, 2)}),
                (self.one, 0, before, sell(400)),
                # 500, at a loss of 300
                (self.two, 0, TODAY, {"currency_id": dollar.id, **sell(50, 20)}),
                (self.two, 0, before, sell(1000)),
                # without a product: nobody knows the cost
                (self.three, 600, TODAY),
                (self.four, 0, TODAY),
            ]
        )
        self._use(
            ("revenue", 2),
            ("growth", 1, {"scale": "linear", "figure_none": -50, "figure_full": 100}),
            ("margin", 1),
            ("margin_rate", 1, {"scale": "linear", "figure_full": 80}),
        )
        self._run()
        margin_of_two = 500 - 20 * 40
        expected = count_scores(
            {
                self.one: self._row(800, 400, 480),
                self.two: self._row(500, 1000, margin_of_two),
                self.three: self._row(600, 0, 600, 600),
                self.four: self._row(0, 0, 0),
            },
            {
                "revenue": {"weight": 2, "scale": "rank", "higher_is_better": True},
                "growth": {"weight": 1, "scale": "linear", "figures": (-50, 100)},
                "margin": {"weight": 1, "scale": "rank", "higher_is_better": True},
                "margin_rate": {"weight": 1, "scale": "linear", "figures": (0, 80)},
            },
        )
        for partner, (score, points) in expected.items():
            found = self._get_points(partner)
            self.assertEqual(
                {name: Decimal(str(pair[0])) for name, pair in found.items()}, points
            )
            card = self._get_card(partner)
            self.assertEqual(Decimal(str(card.score)), score)
            tier = "A" if score >= 70 else "B" if score >= 30 else "C"
            self.assertEqual(card.suggested_tier_id.code, tier)
            self.assertEqual(partner.account_tier_id.code, tier)
            better = [each for each, _points in expected.values() if each > score]
            self.assertEqual(card.rank, len(better) + 1)
        # the share stays one of revenue
        self.assertAlmostEqual(self._get_card(self.one).share, 100 * 800 / 1900, 3)

    @staticmethod
    def _row(revenue, previous, margin, uncosted=0):
        row = {
            "revenue": Decimal(revenue),
            "previous_revenue": Decimal(previous),
            "margin": Decimal(margin),
            "uncosted_revenue": Decimal(uncosted),
        }
        return {
            name: BY_HAND[name][0](row)
            for name in ("revenue", "growth", "margin", "margin_rate")
        }

    def test_every_metric(self):
        """What is on the account counts, step by step."""
        criteria = self._use(
            *((key, 1) for key in metrics.METRICS),
        )
        steps = {
            "relationship_level": 4,
            "value_type": 3,
            "competition": 3,
            "accessibility": 3,
            "buying_process": 3,
            "quality_standards": 3,
        }
        for criterion in criteria:
            figures = (1, steps.get(criterion.metric, 100))
            if criterion.metric == "competition":
                figures = figures[::-1]
            criterion.write(
                {
                    "scale": "linear",
                    "figure_none": figures[0],
                    "figure_full": figures[1],
                }
            )
        self._create_invoices([(self.one, 100, TODAY - relativedelta(days=9))])
        self._run()
        found = self._get_points(self.one)
        self.assertEqual(
            found,
            {
                "revenue": (100, 100),
                "expected_revenue": (0, 0),
                "margin": (100, 100),
                "order_frequency": (0, 1),
                "recency": (8.08, 9),
                "discount": (0, 0),
                "relationship_level": (0, 1),
            },
            "no data of the others",
        )
        self.one.with_company(self.company).write(
            {
                "relationship_level": "preferred_supplier",
                "account_value_type": "extrinsic",
                "account_competition": "low",
                "account_accessibility": "high",
                "account_buying_process": "medium",
                "account_quality_standards": "low",
            }
        )
        self._run(incremental=True)
        found = self._get_points(self.one)
        self.assertEqual(found["relationship_level"], (33.33, 2))
        self.assertEqual(found["value_type"], (50, 2))
        self.assertEqual(found["competition"], (100, 1))
        self.assertEqual(found["accessibility"], (100, 3))
        self.assertEqual(found["buying_process"], (50, 2))
        self.assertEqual(found["quality_standards"], (0, 1))

    def test_coverage_moves_nobody_to_and_fro(self):
        """Ten nights: what a tier asks for doesn't change the points of whoever comes
        into it."""
        half = {"scale": "linear", "figure_full": 1000}
        self._use(
            ("revenue", 1, half),
            ("coverage", 1, {"scale": "linear", "figure_full": 100}),
            min_tenure_days=0,
        )
        for tier, levels in (
            (self.tier_a, ("top", "middle", "working", False)),
            (self.tier_b, ("working",)),
        ):
            role = self.env.ref("crm_key_account.buying_role_decision_maker").id
            tier.cell_ids = [
                Command.create({"decision_level": level, "role_id": not level and role})
                for level in levels
            ]
        amounts = (600, 50, 1000, 0)
        self._create_invoices(
            [
                (partner, amount, TODAY)
                for partner, amount in zip(self.partners, amounts, strict=True)
            ]
        )
        met = self.env["res.partner"].create(
            [
                {"name": f"At {each.name}", "parent_id": each.id, **values}
                for each, values in (
                    (self.one, {"decision_level": "working"}),
                    (self.three, {"decision_level": "working"}),
                )
            ]
        )
        self.Visit.create(
            [
                {
                    "partner_id": each.parent_id.id,
                    "state": "done",
                    "date_done": TODAY,
                    "contact_ids": [Command.set(each.ids)],
                }
                for each in met
            ]
        )
        tiers = []
        for night in range(10):
            self._run(incremental=bool(night), today=TODAY + relativedelta(days=night))
            tiers.append([each.account_tier_id.code for each in self.partners])
        # by A's four contacts: 60 and 25 points, 5 and 0, 100 and 25, 0 and 0
        self.assertEqual(tiers, [["B", "C", "B", "C"]] * 10)
        changes = self.env["key.account.tier.change"]
        self.assertFalse(changes.search([("company_id", "=", self.company.id)]))
        self.assertEqual(self._get_points(self.one)["coverage"], (25, 25))
        self.assertEqual(self._get_points(self.four)["coverage"], (0, 0))
        # shown is what the account's own tier asks for
        self.assertEqual(self._get_card(self.one).coverage, 100)
        self.tier_a.cell_ids.unlink()
        self._run()
        self.assertEqual(self._get_points(self.one)["coverage"], (100, 100))
        self.tier_b.cell_ids.unlink()
        self._run()
        self.assertNotIn("coverage", self._get_points(self.one))

    def test_another_metric(self):
        """A class and an entry of the selection: nothing else."""

        class Own(metrics.Metric):
            key = "visits"
            label = "Visits"
            unit = "count"
            help = "Visits: done ones of a year."

            def get_sql(self, today):
                return SQL("COALESCE(account.visit_count, 0)")

        metrics.register(Own)
        self.addCleanup(metrics.METRICS.pop, "visits")
        field = self.env["key.account.criterion"]._fields["metric"]
        # what selection_add does
        self.patch(field, "selection", [*field.selection, ("visits", "Visits")])
        self.patch(field, "_selection", dict(field.selection))
        self._use(("visits", 1, {"scale": "linear", "figure_full": 4}))
        self._create_invoices([(self.one, 700, TODAY)])
        self.Visit.create(
            {
                "partner_id": self.one.id,
                "state": "done",
                "date_done": TODAY - relativedelta(days=3),
            }
        )
        self._run()
        self._run()
        self.assertEqual(self._get_points(self.one), {"visits": (25, 1)})
        self.assertIn("25.0 points", self._get_card(self.one).score_bars)

    def test_statements_dont_grow(self):
        self._use(("revenue", 2), ("recency", 1), ("coverage", 1))
        self._run()  # fills the caches of Odoo itself
        counts = []
        for number in (1, 50):
            partners = [
                self._create_partner(f"Batch {number} {n}") for n in range(number)
            ]
            self._create_invoices([(each, 10, TODAY) for each in partners])
            self._run()
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self._run()
            counts.append(self.cr.sql_log_count - before)
        self.assertEqual(*counts)

    def test_moves_by_the_score(self):
        """Hysteresis and the change's reason are those of the score."""
        self._use(("revenue", 1, {"scale": "linear", "figure_full": 1000}))
        self._create_invoices([(self.one, 690, TODAY)])
        self._run()
        self.assertEqual(self.one.account_tier_id, self.tier_b)
        # 72 points: not 5 % above 70
        self._create_invoices([(self.one, 30, TODAY)])
        self.assertFalse(self._run())
        self._create_invoices([(self.one, 30, TODAY)])
        change = self._run()
        self.assertEqual(change.to_tier_id, self.tier_a)
        self.assertEqual(
            change.reason,
            "Score: 75.00 of 100 points, rank 1, before 72.00, boundary 70.00",
        )
        self.assertEqual(self._get_card(self.one).suggested_tier_id, self.tier_a)

    def test_leads_without_a_customer(self):
        """The tier whose accounts typically bring as much."""
        self._use(("revenue", 1))
        self._create_invoices(
            [
                (partner, amount, TODAY)
                for partner, amount in zip(
                    self.partners, (1000, 500, 400, 10), strict=True
                )
            ]
        )
        self._run()
        leads = self.env["crm.lead"].create(
            [
                {
                    "name": "Deal",
                    "type": "opportunity",
                    "company_id": self.company.id,
                    "expected_revenue": revenue,
                    "probability": 100,
                }
                for revenue in (1000, 450, 20, 0)
            ]
        )
        self.assertEqual(
            leads.mapped("account_tier_id.code"), ["A", "B", "C"], leads.mapped("name")
        )
        before = [lead.account_tier_id for lead in leads]
        self._run()
        self.assertEqual([lead.account_tier_id for lead in leads], before)

    def test_other_methods_have_no_score(self):
        self._use(("revenue", 1))
        self._create_invoices([(self.one, 700, TODAY)])
        self._run()
        self.assertTrue(self._get_card(self.one).score_points)
        self.policy.write({"method": "threshold"})
        self._run()
        card = self._get_card(self.one)
        self.assertFalse(card.score_points)
        self.assertFalse(card.score)
        self.assertFalse(card.score_bars)


@tagged("post_install", "-at_install")
class TestExplanation(ScorecardCommon):
    def _explain(self, partner):
        self._run()
        return self._get_card(partner).explanation

    def test_what_would_lift_it(self):
        self._use(
            ("revenue", 3, {"scale": "linear", "figure_full": 1000}),
            ("order_frequency", 1, {"scale": "bands", "bands": "0: 0; 3: 50; 9: 100"}),
        )
        self._create_invoices([(self.one, 600, TODAY)])
        text = self._explain(self.one)
        self.assertEqual(
            text,
            "Rank 1, with 45.00 of 100 points. 25.0 more points make it Key account. "
            "Each of these is enough: Revenue 934 instead of 600; Order frequency 9 "
            "instead of 1.",
        )
        # it is what it says
        self._create_invoices([(self.one, 334, TODAY)])
        self.assertIn("No tier is above", self._explain(self.one))

    def test_no_more_than_it_takes(self):
        """Where less is better, the figure from which on it is enough."""
        self._use(
            ("revenue", 1, {"scale": "linear", "figure_full": 1000}),
            ("recency", 1, {"scale": "bands", "bands": "0: 100; 8: 60; 31: 0"}),
        )
        self._create_invoices([(self.one, 400, TODAY - relativedelta(days=40))])
        self.assertIn("Recency 30.9 days instead of 40.0 days", self._explain(self.one))
        self.policy.tier_ids[1].threshold = 60
        self.assertIn("Recency 7.9 days instead of 40.0 days", self._explain(self.one))
        criterion = self.policy.criterion_ids[1]
        criterion.bands = "0: 0; 8: 60; 31: 100; 90: 20"
        for before, points, figure in (
            (4, 60, 8),
            (4, 61, 31),
            (95, 61, 89.9),
        ):
            with self.subTest(before=before, points=points):
                self.assertEqual(criterion._find_figure(points, before), figure)

    def test_no_criterion_alone(self):
        self._use(
            ("revenue", 1, {"scale": "linear", "figure_full": 1000}),
            ("order_frequency", 1, {"scale": "bands", "bands": "0: 0; 3: 50"}),
        )
        self._create_invoices([(self.one, 100, TODAY)])
        self.policy.tier_ids[1].threshold = 60
        text = self._explain(self.one)
        self.assertIn("55.0 more points make it Ordinary account. No criterion", text)

    def test_by_others(self):
        self._use(("revenue", 1))
        self._create_invoices(
            [
                (partner, amount, TODAY)
                for partner, amount in zip(self.partners, (4, 3, 2, 1), strict=True)
            ]
        )
        self.assertIn(
            "Revenue better than 70.0 % of the others instead of 66.7 %",
            self._explain(self.two),
        )

    def test_nothing_is_known(self):
        self._use(("value_type", 1))
        self._create_invoices([(self.one, 600, TODAY)])
        self.assertEqual(self._get_card(self.one).score_points, False)
        self._run()
        self.assertEqual(self._get_card(self.one).score, 0)
        self.assertEqual(self.one.account_tier_id, self.tier_c)

    def test_bars(self):
        self._use(("revenue", 3), ("days_late", 1))
        self._create_invoices(
            [(self.one, 600, TODAY), (self.two, 500, TODAY), (self.three, 1, TODAY)]
        )
        self._run()

        def name(criteria):
            criteria.display_name = "<script>alert(1)</script>"

        model = self.env.registry["key.account.criterion"]
        self.patch(model, "_compute_display_name", name)
        self.env.invalidate_all()
        bars = self._get_card(self.two).score_bars
        self.assertIn("width: 50%", bars)
        self.assertIn("50.0 points, counts 100 %", bars)
        self.assertIn("no data: left out", bars)
        self.assertNotIn("<script>", bars)

    def test_a_list_asks_once(self):
        self._use(("revenue", 3), ("days_late", 1))
        self._create_invoices([(each, 600, TODAY) for each in self.partners])
        self._run()
        cards = self.Card.search([("company_id", "=", self.company.id)])
        counts = []
        # the first time for the caches of Odoo itself
        for some in (cards, cards[:1].with_prefetch(), cards):
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            some.with_user(self.rep).mapped("explanation")
            some.with_user(self.rep).mapped("score_bars")
            counts.append(self.cr.sql_log_count - before)
        self.assertEqual(counts[1], counts[2])

    def test_who_sees_it(self):
        self._use(("revenue", 1))
        self._create_invoices([(self.one, 600, TODAY)])
        self._run()
        card = self._get_card(self.one)
        for user in (self.rep, self.leader, self.manager):
            action = self.one.with_user(user).action_open_key_account_score()
            self.assertEqual(action["res_id"], card.id)
            self.assertTrue(card.with_user(user).score_bars)
        self.assertEqual(self.one.with_user(self.rep).key_account_score, 50)
        self.assertFalse(self.one.with_user(self.rep2).key_account_score)
        with self.assertRaises(AccessError):
            self.one.with_user(self.rep2).action_open_key_account_score()
        with self.assertRaisesRegex(UserError, "Not measured"):
            self.four.with_user(self.rep).action_open_key_account_score()


@tagged("post_install", "-at_install")
class TestJudged(ScorecardCommon):
    def test_shown_where_a_criterion_uses_it(self):
        one = self.one.with_user(self.rep).with_company(self.company)
        self.assertFalse(one.key_account_judged)
        criteria = self._use(("competition", 1), ("quality_standards", 1))
        self.env.invalidate_all()
        self.assertEqual(one.key_account_judged, "competition quality_standards")
        criteria[1].weight = 0
        self.env.invalidate_all()
        self.assertEqual(one.key_account_judged, "competition")
        self.policy.active = False
        self.env.invalidate_all()
        self.assertFalse(one.key_account_judged)

    def test_who_judges(self):
        other = self._create_partner("Colleague's", user_id=self.rep2.id)
        self.one.with_user(self.rep).account_competition = "high"
        self.assertEqual(self._get_card(self.one).competition, "high")
        for user in (self.leader, self.manager):
            other.with_user(user).account_accessibility = "low"
        for name in ("competition", "accessibility", "buying_process"):
            with self.assertRaisesRegex(AccessError, "account of ka_rep2"):
                other.with_user(self.rep)[f"account_{name}"] = "high"
        found = self.env["res.partner"].search([("account_competition", "=", "high")])
        self.assertEqual(found, self.one)

    def test_history(self):
        """Who said what, and when, for those who see the account."""
        with freeze_time("2026-01-05 12:00:00"):
            self.one.with_user(self.rep).account_competition = "high"
        self.one.with_user(self.rep).account_competition = "high"
        self.one.with_user(self.manager).write(
            {"account_competition": "low", "account_quality_standards": "medium"}
        )
        self.one.with_user(self.manager).account_quality_standards = False
        card = self._get_card(self.one).with_user(self.rep)
        day = clock.format_day(self.env, clock.get_today(self.company))
        self.assertEqual(
            card.judgement_history.splitlines(),
            [
                f"{day}, {self.manager.name}: Quality Standards Medium → –",
                f"{day}, {self.manager.name}: Competition High → Low",
                f"{day}, {self.manager.name}: Quality Standards – → Medium",
                f"Jan 5, {self.rep.name}: Competition – → High",
            ],
        )
        with self.assertRaises(AccessError):
            card.with_user(self.rep2).read(["judgements"])
        with self.assertRaises(AccessError):
            card.judgements = []
        # one of many says nothing of the others
        self.two.account_competition = "low"
        (self.one | self.two).write({"account_competition": "medium"})
        for partner, before in ((self.one, "low"), (self.two, "low")):
            last = self._get_card(partner).judgements[0]
            self.assertEqual((last["before"], last["after"]), (before, "medium"))
        for number in range(2 * MOST_JUDGEMENTS):
            self.two.account_competition = ("low", "high")[number % 2]
        history = self._get_card(self.two).judgements
        self.assertEqual(len(history), MOST_JUDGEMENTS)

    def test_merged_customers_keep_it(self):
        self.one.account_competition = "high"
        self.one.account_accessibility = "low"
        self.two.account_accessibility = "medium"
        self.env["base.partner.merge.automatic.wizard"]._merge(
            (self.one | self.two).ids, self.two
        )
        self.assertEqual(self.two.account_competition, "high")
        self.assertEqual(
            {
                (each["field"], each["after"])
                for each in self._get_card(self.two).judgements
            },
            {("competition", "high"), ("accessibility", "medium")},
            "what wasn't taken over is no history of it",
        )


@tagged("post_install", "-at_install")
class TestPolicies(ScorecardCommon):
    def test_the_preset(self):
        """It can be used as it is, and is archived until somebody does."""
        preset = self.env.ref("crm_key_account.policy_scorecard")
        self.assertFalse(preset.active)
        self.policy.active = False
        preset.write({"company_id": self.company.id, "active": True})
        self.policy = preset
        self._create_invoices([(self.one, 600, TODAY), (self.two, 5, TODAY)])
        self._run()
        cards = self._get_card(self.one) | self._get_card(self.two)
        self.assertGreater(*cards.mapped("score"))
        dimensions = set(preset.criterion_ids.mapped("dimension"))
        self.assertEqual(dimensions, {"value", "accessibility", "profitability"})

    def test_choosing_the_method(self):
        """The policy in force takes criteria and thresholds from the preset, and keeps
        its tiers: cadence and history refer to them."""
        self.tier_a.threshold = 100000
        tiers = self.policy.tier_ids
        with Form(self.policy) as form:
            form.method = "scorecard"
        preset = self.env.ref("crm_key_account.policy_scorecard")
        self.assertEqual(
            self.policy.criterion_ids.mapped("metric"),
            preset.criterion_ids.mapped("metric"),
        )
        self.assertEqual(self.policy.tier_ids, tiers)
        self.assertEqual(tiers.mapped("threshold"), [70, 30, 0])

    def test_copies_have_the_criteria(self):
        self._use(("revenue", 1), ("margin", 2))
        copy = self.policy.copy()
        self.assertEqual(copy.criterion_ids.mapped("weight"), [1, 2])

    def _refuse(self, text, **values):
        before = self.policy.read(), self.policy.criterion_ids.read()
        with self.assertRaisesRegex(ValidationError, text), self.cr.savepoint():
            self.policy.write(values)
        self.env.invalidate_all()
        self.assertEqual((self.policy.read(), self.policy.criterion_ids.read()), before)

    def _change(self, **values):
        return {"criterion_ids": [Command.update(self.policy.criterion_ids.id, values)]}

    def test_bad_weights(self):
        self._use(("revenue", 1))
        text = "sum to zero: add a criterion, or give one a weight"
        self._refuse(text, **self._change(weight=0))
        self._refuse(text, criterion_ids=[Command.clear()])
        self._refuse("“Weight” must be from 0 to 999", **self._change(weight=-1))
        self._refuse("“Weight” must be", **self._change(weight=float("nan")))
        for door in (
            lambda criterion: criterion.write({"weight": 0}),
            lambda criterion: criterion.unlink(),
        ):
            with self.assertRaisesRegex(ValidationError, text), self.cr.savepoint():
                door(self.policy.criterion_ids)
        self.policy.active = False
        with self.assertRaisesRegex(ValidationError, text), self.cr.savepoint():
            self._create_policy("scorecard", (70, 30, 0))

    def test_bad_thresholds(self):
        self._use(("revenue", 1))
        tier = self.policy.tier_ids[0]
        self._refuse(
            "at most 100 points: lower the threshold of Key account",
            tier_ids=[Command.update(tier.id, {"threshold": 101})],
        )
        self._refuse(
            "put the highest threshold first",
            tier_ids=[Command.update(tier.id, {"threshold": 20})],
        )

    def test_bad_scales(self):
        self._use(("revenue", 1))
        self._refuse(
            "Revenue: 0 and 100 points are at the same figure",
            **self._change(scale="linear"),
        )
        for bands, text in (
            (False, "Revenue has no bands"),
            (" ; ", "Revenue has no bands"),
            ("much", "“much” is no band"),
            ("10,5: 3", "is no band"),
            ("10: 3; 10: 5", "“10: 5” overlaps"),
            ("10: 3; 5: 5", "overlaps"),
            ("0 - 10: 3; 5: 5", "overlaps"),
            ("0 - 10: 3; 20: 5", "gap before the band “20: 5”, let it begin at 10"),
            ("10 - 5: 3", "ends before it begins"),
            ("0: 101", "must be 0 to 100"),
            ("99999999999999999999: 5", "is no amount"),
        ):
            with self.subTest(bands=bands):
                self._refuse(text, **self._change(scale="bands", bands=bands))
        self.policy.criterion_ids.write(
            {"scale": "bands", "bands": "-5 - 0: 1; 0: 2.5"}
        )
        self.assertEqual(self.policy.criterion_ids._get_bands(), [(-5, 1), (0, 2.5)])

    def test_a_metric_without_data(self):
        """It is left out, of all accounts as of one."""
        self._use(("revenue", 1), ("win_rate", 9))
        self._create_invoices([(self.one, 600, TODAY), (self.two, 5, TODAY)])
        self._run()
        self.assertEqual(self._get_card(self.one).score, 100)
        self.assertEqual(self._get_card(self.two).score, 0)

    def test_forms_begin_with_what_can_be_saved(self):
        self._use(("revenue", 1))
        with Form(self.policy) as form:
            for metric, figures in (
                ("competition", (3, 1)),
                ("relationship_level", (1, 4)),
                ("win_rate", (0, 100)),
            ):
                with form.criterion_ids.new() as line:
                    line.metric = metric
                    line.scale = "linear"
                    self.assertEqual((line.figure_none, line.figure_full), figures)
            with form.criterion_ids.new() as line:
                line.scale = "bands"

    def test_compared_with_the_scorecard(self):
        self._create_invoices(
            [
                (partner, amount, TODAY)
                for partner, amount in zip(
                    self.partners, (900, 60, 30, 10), strict=True
                )
            ]
        )
        with freeze_time("2026-03-18 09:00:00"):
            self._run()
            before = self.Card.search([]).read()
            scorecard = self._create_policy(
                "scorecard",
                (60, 30, 0),
                active=False,
                criterion_ids=[Command.create({"metric": "revenue"})],
            )
            action = self.policy.with_user(self.manager).action_compare_scorecard()
            # A, B, C, C by revenue; 100, 66.67, 33.33 and 0 points
            self.assertEqual(
                self._get_suggested(), ["A", "B", "C", "C"], action["params"]
            )
            self.assertEqual(
                action["params"]["message"],
                "2 of 4 accounts would sit elsewhere: 2 in a better tier, 0 in a worse "
                "one.",
            )
            self.assertEqual(self.Card.search([]).read(), before)
            with self.assertRaises(AccessError):
                self.policy.with_user(self.leader).action_compare_scorecard()
            scorecard.unlink()
            self.env.ref("crm_key_account.policy_scorecard").unlink()
            with self.assertRaisesRegex(UserError, "no scorecard to compare with"):
                self.policy.action_compare_scorecard()

    def _get_suggested(self):
        return [self._get_card(each).suggested_tier_id.code for each in self.partners]
