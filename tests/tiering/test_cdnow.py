from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time

from odoo import Command
from odoo.tests import tagged

from ..common import KeyAccountCommon
from .cdnow import COMPANY, post_purchases, read_purchases
from .scores import count_scores

LAST_DAY = date(1998, 6, 30)
BANDS = "0: 0; 1: 40; 3: 70; 6: 100"


def tier_by_hand(revenues, method, bounds):
    """The rules of the policy once more, in plain Python and another way round: walk
    down the list, group by equal figures, and look where the group starts."""
    total = sum(value for value in revenues.values() if value > 0)
    groups = defaultdict(list)
    for customer, value in revenues.items():
        groups[value].append(customer)
    result = {}
    before_value, before_count = Decimal(0), 0
    for value in sorted(groups, reverse=True):
        customers = groups[value]
        if value <= 0:
            tier = "C"
        elif method == "threshold":
            tier = next(
                (c for c, b in zip("ABC", bounds, strict=True) if value >= b), "C"
            )
        else:
            part, whole = {
                "pareto": (before_value, total),
                "pyramid": (before_count, len(revenues)),
            }[method]
            tier = next(
                (
                    c
                    for c, b in zip("ABC", bounds, strict=True)
                    if part * 100 < b * whole
                ),
                "C",
            )
        cumulated = before_value + max(value, 0) * len(customers)
        for customer in customers:
            result[customer] = (
                before_count + 1,
                value * 100 / total if value > 0 else Decimal(0),
                cumulated * 100 / total,
                tier,
            )
        before_value = cumulated
        before_count += len(customers)
    return result


@tagged("post_install", "-at_install")
class TestCdnow(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.purchases = read_purchases()
        partners = (
            cls.env["res.partner"]
            # 2,357 mails to the salesperson take a minute
            .with_context(active_test=False, mail_auto_subscribe_no_notify=True)
            .search([("company_id", "=", cls.company.id), ("ref", "!=", False)])
        )
        partners.write({"active": True, "company_id": False, "user_id": cls.rep.id})
        partners = partners.with_env(cls.env)
        cls.partners = {partner.ref: partner for partner in partners}
        # Statistics, as a database in use has: without any, each run takes half a
        # minute. They outlive the rows.
        cls.Card._ensure(partners.ids, cls.company)
        cls.env.cr.execute("ANALYZE key_account")
        cls.Card.search([("company_id", "=", cls.company.id)]).unlink()

    @classmethod
    def _create_company(cls, name, currency="base.EUR"):
        """Take the company that has the purchases for the test's own; post them, where
        ``make test`` hasn't done it."""
        if hasattr(cls, "company"):
            return super()._create_company(name, currency)
        company = cls.env.ref(COMPANY, raise_if_not_found=False)
        company = company or post_purchases(cls.env)
        company.active = True
        return company

    def _get_revenues(self, today):
        start = today - relativedelta(months=12)
        revenues = {customer: Decimal(0) for customer in self.partners}
        for customer, day, amount in self.purchases:
            if start < day <= today:
                revenues[customer] += amount
        return revenues

    def _check(self, method, bounds, today):
        revenues = self._get_revenues(today)
        expected = tier_by_hand(revenues, method, [Decimal(str(b)) for b in bounds])
        cards = self.Card.search([("company_id", "=", self.company.id)])
        self.assertEqual(len(cards), len(self.partners))
        for card in cards:
            customer = card.partner_id.ref
            rank, share, cumulated, tier = expected[customer]
            self.assertEqual(Decimal(str(card.revenue)), revenues[customer], customer)
            self.assertEqual(card.rank, rank, customer)
            for value, exact in (
                (card.share, share),
                (card.cumulative_share, cumulated),
            ):
                rounded = exact.quantize(Decimal("0.0001"), ROUND_HALF_UP)
                self.assertEqual(
                    Decimal(str(value)).quantize(Decimal("0.0001")), rounded, customer
                )
            self.assertEqual(card.suggested_tier_id.code, tier, customer)
            self.assertEqual(card.partner_id.account_tier_id.code, tier, customer)
        self.assertEqual(set(cards.mapped("tier_id.code")), set("ABC"))

    def test_all_methods_against_a_recomputation(self):
        for method, bounds in (
            ("pareto", (80, 95, 100)),
            ("pyramid", (20, 95, 100)),
            ("threshold", (200, 50, 0)),
            ("pareto", (67.5, 99.99, 100)),
        ):
            self.policy.active = False
            self.policy = self._create_policy(method, bounds, hysteresis=0)
            # some of the data, then all: credit for moves as well as for first tiers
            for today in (date(1998, 1, 31), LAST_DAY):
                with self.subTest(method=method, today=today):
                    self.policy.min_tenure_days = 0
                    self.policy._run(today)
                    self._check(method, bounds, today)

    def test_the_scorecard_against_a_recomputation(self):
        """Rank, line and bands, of what the purchases say: each account's score, points
        and place."""
        year = relativedelta(months=12)
        self.policy.active = False
        self.policy = self._create_policy(
            "scorecard",
            (60, 25, 0),
            hysteresis=0,
            min_tenure_days=0,
            criterion_ids=[
                Command.create({"metric": metric, "weight": weight, **values})
                for metric, weight, values in (
                    ("revenue", 5, {}),
                    (
                        "growth",
                        1,
                        {"scale": "linear", "figure_none": -80, "figure_full": 120.5},
                    ),
                    ("order_frequency", 2, {"scale": "bands", "bands": BANDS}),
                    ("recency", 3, {}),
                    ("win_rate", 9, {}),
                )
            ],
        )
        for today in (date(1998, 1, 31), LAST_DAY):
            self.policy._run(today)
            revenues = self._get_revenues(today)
            previous = self._get_revenues(today - year)
            days = defaultdict(list)
            for customer, day, amount in self.purchases:
                if day <= today and amount > 0:
                    days[customer].append(day)
            rows = {
                customer: {
                    "revenue": revenue,
                    "growth": Fraction(revenue - previous[customer])
                    * 100
                    / Fraction(previous[customer])
                    if previous[customer]
                    else None,
                    "order_frequency": sum(
                        day > today - year for day in days[customer]
                    ),
                    "recency": (today - max(days[customer])).days
                    if days[customer]
                    else None,
                }
                for customer, revenue in revenues.items()
            }
            expected = count_scores(
                rows,
                {
                    "revenue": {"weight": 5, "scale": "rank", "higher_is_better": True},
                    "growth": {
                        "weight": 1,
                        "scale": "linear",
                        "figures": (Decimal(-80), Decimal("120.5")),
                    },
                    "order_frequency": {
                        "weight": 2,
                        "scale": "bands",
                        "bands": [(0, 0), (1, 40), (3, 70), (6, 100)],
                    },
                    "recency": {
                        "weight": 3,
                        "scale": "rank",
                        "higher_is_better": False,
                    },
                },
            )
            cards = self.Card.search([("company_id", "=", self.company.id)])
            self.assertEqual(len(cards), len(self.partners))
            places = sorted(
                (score for score, _points in expected.values()), reverse=True
            )
            names = {str(each.id): each.metric for each in self.policy.criterion_ids}
            for card in cards:
                customer = card.partner_id.ref
                score, points = expected[customer]
                self.assertEqual(
                    {
                        names[key]: Decimal(str(pair[0]))
                        for key, pair in card.score_points.items()
                    },
                    points,
                    customer,
                )
                self.assertEqual(Decimal(str(card.score)), score, customer)
                self.assertEqual(card.rank, places.index(score) + 1, customer)
                tier = "A" if score >= 60 else "B" if score >= 25 else "C"
                self.assertEqual(card.suggested_tier_id.code, tier, customer)
                self.assertEqual(card.partner_id.account_tier_id.code, tier, customer)
            self.assertEqual(set(cards.mapped("tier_id.code")), set("ABC"))

    def test_a_quarter_of_visits(self):
        """Plan, visit and plan again from April to June 1998: each gap between visits
        is the cadence's, but for weekends and a public holiday."""
        # no day is full
        self.company.key_account_daily_capacity = 100
        self.env["key.account.cadence"].search([]).active = False
        intervals = {"A": 7, "B": 14}
        for tier in (self.tier_a, self.tier_b):
            self.env["key.account.cadence"].create(
                {
                    "tier_id": tier.id,
                    "company_id": self.company.id,
                    "interval_count": intervals[tier.code] // 7,
                }
            )
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Holiday",
                "calendar_id": self.company.resource_calendar_id.id,
                "company_id": self.company.id,
                "date_from": "1998-05-01 00:00:00",
                "date_to": "1998-05-01 23:59:59",
            }
        )
        start = date(1998, 4, 1)
        # a part of the customers is enough for the gaps, and quick
        chosen = list(self.partners.values())[::40]
        others = self.env["res.partner"].union(*self.partners.values()) - (
            self.env["res.partner"].union(*chosen)
        )
        self.policy._run(start)
        others.write({"company_id": self._create_company("Elsewhere").id})
        day = start
        while day < start + timedelta(days=91):
            with freeze_time(datetime.combine(day, datetime.min.time())):
                self.Visit._generate()
                due = self.Visit.search(
                    [
                        ("company_id", "=", self.company.id),
                        ("state", "=", "planned"),
                        ("date_planned", "<=", day),
                    ]
                )
                due.activity_id.action_feedback(feedback="Seen")
            day += timedelta(days=1)
        visits = self.Visit.search(
            [("company_id", "=", self.company.id), ("state", "=", "done")],
            order="partner_id, date_done",
        )
        checked = 0
        for partner, history in visits.grouped("partner_id").items():
            interval = intervals[partner.account_tier_id.code]
            days = history.mapped("date_done")
            self.assertLess((days[0] - start).days, interval + 3)
            for before, after in zip(days, days[1:], strict=False):
                due = before + timedelta(days=interval)
                self.assertLess(after.weekday(), 5)
                self.assertNotEqual(after, date(1998, 5, 1))
                # the working day nearest to the due date, the earlier among equals
                near = [due + timedelta(days=n) for n in range(-interval // 3, 4)]
                working = [
                    d
                    for d in near
                    if d.weekday() < 5
                    and d != date(1998, 5, 1)
                    and (due - d).days <= interval * 0.3
                ]
                self.assertEqual(
                    after, min(working, key=lambda d: (abs((d - due).days), d))
                )
                checked += 1
            planned = self._get_planned(partner)
            self.assertEqual(len(planned), 1)
        tiered = [p for p in chosen if p.account_tier_id.code in intervals]
        self.assertEqual(visits.partner_id, self.env["res.partner"].union(*tiered))
        self.assertGreater(checked, 100)
