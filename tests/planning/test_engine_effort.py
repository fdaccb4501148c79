"""Hours shared out among accounts: within hours and limits, fair, and the best."""

from itertools import product
from math import isclose

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odoo.tests import BaseCase

from ...engine import effort
from ...engine.effort import Account, Choice

RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
BETAS = st.floats(0.01, 0.99)
MARGINS = st.sampled_from([-500, 0, 1, 10, 999.5, 10**6, 10**12]) | st.floats(1, 10**6)
DAYS = st.sampled_from([1, 5, 7, 14, 21, 30, 60, 90, 365, 3650])


@st.composite
def accounts(draw):
    fewest = draw(st.floats(0.1, 60))
    return Account(
        draw(MARGINS),
        draw(st.sampled_from([0, 0.1, 4, 12, 26, 52, 365])),
        draw(st.sampled_from([0.25, 1, 4 / 3, 8])),
        fewest,
        fewest * draw(st.floats(1, 20)),
    )


@st.composite
def choices(draw):
    days = draw(DAYS)
    steps = draw(st.lists(DAYS, max_size=3))
    return Choice(
        draw(MARGINS),
        days,
        draw(st.sampled_from([0.25, 1, 4 / 3])),
        effort.get_options(days, steps, 1, 3650),
    )


def count(accounts_, visits):
    return sum(a.hours * x for a, x in zip(accounts_, visits, strict=True))


def get_total(accounts_, visits, beta):
    return sum(
        effort.get_contribution(a.margin, a.visits, x, beta)
        for a, x in zip(accounts_, visits, strict=True)
    )


def sum_choice(choices_, chosen, beta):
    """Return hours and contribution of intervals, by the formula as it is written."""
    hours = total = 0
    for choice, days in zip(choices_, chosen, strict=True):
        hours += 365 / days * choice.hours
        total += choice.margin * (choice.days / days) ** beta
    return hours, total


class TestAllocate(BaseCase):
    @RELAXED
    @given(st.lists(accounts(), max_size=8), st.floats(0, 5000), BETAS)
    def test_within_hours_and_limits(self, accounts_, hours, beta):
        plan = effort.allocate(accounts_, hours, beta)
        least = count(accounts_, [a.fewest for a in accounts_])
        for account, visits in zip(accounts_, plan.visits, strict=True):
            self.assertTrue(account.fewest <= visits <= account.most)
            if account.margin <= 0 or not account.visits:
                self.assertEqual(visits, account.fewest)
        self.assertLessEqual(
            count(accounts_, plan.visits), max(hours, least) * (1 + 1e-9) + 1e-9
        )
        self.assertGreaterEqual(plan.worth, 0)

    @RELAXED
    @given(st.lists(accounts(), max_size=6), accounts(), st.floats(0, 5000), BETAS)
    def test_equal_accounts_get_equal_time(self, accounts_, account, hours, beta):
        plan = effort.allocate([account, *accounts_, account], hours, beta)
        self.assertEqual(plan.visits[0], plan.visits[-1])

    @RELAXED
    @given(
        st.lists(accounts(), max_size=6), accounts(), MARGINS, st.floats(0, 5000), BETAS
    )
    def test_more_margin_never_gets_less(self, accounts_, account, more, hours, beta):
        poor, rich = sorted([account.margin, more])
        plan = effort.allocate(
            [
                account._replace(margin=poor),
                *accounts_,
                account._replace(margin=rich),
            ],
            hours,
            beta,
        )
        self.assertLessEqual(plan.visits[0], plan.visits[-1])
        # and not when only this account is another one
        visits = [
            effort.allocate(
                [account._replace(margin=m), *accounts_], hours, beta
            ).visits[0]
            for m in (poor, rich)
        ]
        self.assertLessEqual(visits[0], visits[1] * (1 + 1e-9))

    @RELAXED
    @given(
        st.lists(accounts(), min_size=1, max_size=3),
        st.floats(0, 2000),
        st.floats(0.05, 0.9),
    )
    def test_nobody_finds_a_better_one(self, accounts_, hours, beta):
        """On a grid of 9 numbers of visits between the limits of each account."""
        if not all(account.margin > 0 and account.visits for account in accounts_):
            return
        plan = effort.allocate(accounts_, hours, beta)
        best = get_total(accounts_, plan.visits, beta)
        grids = [
            [a.fewest + (a.most - a.fewest) * part / 8 for part in range(9)]
            for a in accounts_
        ]
        for visits in product(*grids):
            if count(accounts_, visits) <= hours:
                self.assertLessEqual(
                    get_total(accounts_, visits, beta), best * (1 + 1e-6)
                )

    def test_albers_rule(self):
        """Where no limit binds, time is in proportion to the contribution."""
        accounts_ = [
            Account(margin, visits, hours, 0.001, 10**6)
            for margin, visits, hours in ((100, 12, 1), (900, 26, 2), (50, 4, 0.5))
        ]
        plan = effort.allocate(accounts_, 100, 0.34)
        self.assertAlmostEqual(count(accounts_, plan.visits), 100, 6)
        total = get_total(accounts_, plan.visits, 0.34)
        for account, visits in zip(accounts_, plan.visits, strict=True):
            part = get_total([account], [visits], 0.34)
            self.assertAlmostEqual(account.hours * visits / 100, part / total, 6)
            # the next hour brings the same everywhere: the multiplier
            worth = effort.get_worth(part, visits, account.hours, 0.34)
            self.assertAlmostEqual(worth, plan.worth, 6)
        more = effort.allocate(accounts_, 100.001, 0.34)
        gain = get_total(accounts_, more.visits, 0.34) - total
        self.assertAlmostEqual(gain / 0.001, plan.worth, 3)

    def test_few(self):
        self.assertEqual(effort.allocate([], 10, 0.34), ([], 0.0))
        one = Account(1000, 10, 2, 5, 40)
        self.assertAlmostEqual(effort.allocate([one], 30, 0.34).visits[0], 15)
        self.assertEqual(effort.allocate([one], 0, 0.34).visits, [5])
        self.assertEqual(effort.allocate([one], 80, 0.34), ([40], 0.0))
        self.assertEqual(effort.allocate([one], 10**9, 0.34), ([40], 0.0))

    def test_bad_input(self):
        account = Account(1000, 10, 2, 5, 40)
        for beta in (0, 1, -1, float("nan")):
            with self.assertRaises(ValueError):
                effort.allocate([account], 10, beta)
        for values in ({"fewest": 0}, {"most": 4}, {"hours": 0}):
            with self.assertRaises(ValueError):
                effort.allocate([account._replace(**values)], 10, 0.34)


class TestChoose(BaseCase):
    @RELAXED
    @given(st.lists(choices(), max_size=8), st.floats(0, 5000), BETAS)
    def test_within_hours_and_options(self, choices_, hours, beta):
        chosen = effort.choose(choices_, hours, beta)
        for choice, days in zip(choices_, chosen, strict=True):
            self.assertIn(days, choice.options)
            if days != choice.days:
                self.assertGreater(abs(days - choice.days), choice.days / 4)
        used, total = sum_choice(choices_, chosen, beta)
        longest = [max(choice.options) for choice in choices_]
        least = sum_choice(choices_, longest, beta)[0]
        self.assertLessEqual(used, max(hours, least) * (1 + 1e-9))
        today = sum_choice(choices_, [choice.days for choice in choices_], beta)
        if today[0] <= hours:
            self.assertGreaterEqual(total, today[1] - 1e-9 * abs(today[1]))

    @RELAXED
    @given(st.lists(choices(), max_size=6), choices(), st.floats(0, 5000), BETAS)
    def test_equal_accounts_get_equal_time(self, choices_, choice, hours, beta):
        chosen = effort.choose([choice, *choices_, choice], hours, beta)
        self.assertEqual(chosen[0], chosen[-1])

    @RELAXED
    @given(
        st.lists(choices(), max_size=6), choices(), MARGINS, st.floats(0, 5000), BETAS
    )
    def test_more_margin_never_gets_less(self, choices_, choice, more, hours, beta):
        poor, rich = sorted([choice.margin, more])
        # what has no margin isn't put before: it stays, see the list of suggestions
        if poor <= 0:
            return
        chosen = effort.choose(
            [choice._replace(margin=poor), *choices_, choice._replace(margin=rich)],
            hours,
            beta,
        )
        self.assertGreaterEqual(chosen[0], chosen[-1])

    @RELAXED
    @given(st.lists(choices(), min_size=1, max_size=5), st.floats(0, 2000), BETAS)
    def test_nobody_finds_a_better_one(self, choices_, hours, beta):
        """Of all combinations, none that takes no more hours brings more, unless
        today's was kept."""
        if not all(choice.margin > 0 for choice in choices_):
            return
        chosen = effort.choose(choices_, hours, beta)
        today = [choice.days for choice in choices_]
        used, best = sum_choice(choices_, chosen, beta)
        for combination in product(*(choice.options for choice in choices_)):
            time, total = sum_choice(choices_, combination, beta)
            if time <= used * (1 - 1e-12) and chosen != today:
                self.assertLessEqual(total, best * (1 + 1e-9))

    def test_hours_go_where_they_bring_most(self):
        options = [14, 7, 30]
        rich, poor = Choice(9000, 14, 1, options), Choice(100, 14, 1, options)
        hours = 2 * 365 / 14
        self.assertEqual(effort.choose([rich, poor], hours, 0.34), [14, 14])
        # two poor ones make room for a rich one
        self.assertEqual(
            effort.choose([rich, poor, poor], hours * 1.5, 0.34), [7, 30, 30]
        )
        self.assertEqual(effort.choose([rich, poor], hours * 2, 0.34), [7, 7])
        self.assertEqual(effort.choose([rich, poor], 0, 0.34), [30, 30])
        self.assertEqual(effort.choose([], 10, 0.34), [])

    def test_options(self):
        self.assertEqual(
            effort.get_options(28, [7, 21, 30, 35, 36, 90], 7, 60), [28, 7, 36]
        )
        self.assertEqual(effort.get_options(14, [], 1, 90), [14])


class TestElasticity(BaseCase):
    def test_thin_data(self):
        grown = [(100, 10, 150, 20)] * 29
        for pairs in ([], grown, grown + [(0, 1, 1, 1), (1, 1, -1, 1), (1, 0, 1, 1)]):
            found = effort.estimate_elasticity(pairs)
            self.assertEqual((found.value, found.is_own), (0.34, False))
            self.assertLess(found.low, 0.05)
            self.assertGreater(found.high, 0.6)
        # all alike say nothing either, however many
        found = effort.estimate_elasticity(grown * 9, 0.5)
        self.assertEqual((found.value, found.is_own, found.accounts), (0.5, False, 261))

    def test_own_data(self):
        """Sure data are believed, unsure ones hardly, and n is said."""
        changes = [(10, 10 + number % 21) for number in range(200)]
        for beta in (0.1, 0.34, 0.7):
            pairs = [
                (100, before, 110 * (after / before) ** beta, after)
                for before, after in changes
            ]
            found = effort.estimate_elasticity(pairs)
            self.assertTrue(found.is_own)
            self.assertEqual(found.accounts, 200)
            self.assertAlmostEqual(found.value, beta, 3)
            self.assertTrue(found.low <= found.value <= found.high)
        noisy = [
            (100, before, 100 * 50 ** ((number * 7919 % 101) / 50 - 1), after)
            for number, (before, after) in enumerate(changes)
        ]
        found = effort.estimate_elasticity(noisy)
        self.assertTrue(found.is_own)
        self.assertGreater(found.high - found.low, 0.2)
        self.assertTrue(found.low <= 0.34 <= found.high)

    @RELAXED
    @given(
        st.lists(st.tuples(*[st.floats(-1, 10**6)] * 4), max_size=60),
        BETAS,
    )
    def test_always_between(self, pairs, prior):
        found = effort.estimate_elasticity(pairs, prior)
        for value in (found.value, found.low, found.high):
            self.assertTrue(0.01 <= value <= 0.99)
        self.assertTrue(found.low <= found.value <= found.high)
        if not found.is_own:
            self.assertEqual(found.value, prior)

    def test_flat_maximum(self):
        fewer, more = effort.get_flatness(0.34)
        self.assertTrue(isclose(fewer, 0.75**0.34 - 1))
        self.assertTrue(isclose(more, 1.25**0.34 - 1))
        self.assertEqual((round(fewer, 2), round(more, 2)), (-0.09, 0.08))
