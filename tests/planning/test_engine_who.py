from datetime import date, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odoo.tests import BaseCase

from ...engine import assignment, cadence, figures
from ...engine.assignment import Account, Place, Rep

RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
DAYS = st.dates(date(2024, 1, 1), date(2028, 12, 31))
HAMBURG = Place(1, None, "Hamburg", "20457")

PLACES = st.builds(
    Place,
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 3]),
    st.sampled_from([None, "Hamburg", "hamburg ", "Bremen"]),
    st.sampled_from([None, "20457", "20 459", "28195"]),
)
REPS = st.lists(
    st.builds(
        Rep,
        st.integers(1, 8),
        st.integers(1, 3),
        st.integers(0, 20),
        st.integers(0, 20),
    ),
    max_size=6,
    unique_by=lambda rep: rep.id,
)
ACCOUNTS = st.lists(
    st.builds(
        Account,
        st.integers(1, 100),
        st.integers(0, 3),
        st.booleans(),
        st.sampled_from([0, 0.25, 0.5, 1]),
        PLACES,
        st.sampled_from([None, 1, 2, 9]),
        st.dictionaries(st.integers(1, 8), st.integers(1, 5), max_size=3),
        st.dictionaries(st.integers(1, 8), st.integers(1, 5), max_size=3),
    ),
    max_size=12,
    unique_by=lambda account: account.id,
)


class TestAssignment(BaseCase):
    def _suggest(self, account, reps, served=()):
        areas = assignment.count_areas(served)
        return assignment.suggest([account], reps, areas)[account.id]

    def test_seniority_is_a_condition(self):
        reps = [Rep(1, 1, 30, 0), Rep(2, 2, 30, 0)]
        served = [(1, HAMBURG)] * 5
        account = Account(7, 2, False, 1, HAMBURG, None, {1: 9}, {1: 9})
        self.assertEqual(self._suggest(account, reps, served).rep_id, 2)
        nobody = self._suggest(account._replace(min_seniority=3), reps, served)
        self.assertIsNone(nobody.rep_id)
        self.assertIsNone(self._suggest(account, []).rep_id)

    def test_area_goes_from_narrow_to_wide(self):
        place = Place(1, 3, "Hamburg", "20457")
        served = [
            (4, Place(1, None, None, None)),
            (3, Place(1, 3, None, None)),
            (2, Place(1, 3, "HAMBURG ", "99999")),
            (1, Place(1, 3, "Elsewhere", "20 99")),
        ]
        account = Account(7, 0, False, 1, place)
        for rep_id, area in enumerate(
            ("postal_code", "city", "state", "country"), start=1
        ):
            reps = [Rep(number, 2, 30, 0) for number in range(rep_id, 6)]
            suggestion = self._suggest(account, reps[::-1], served)
            self.assertEqual((suggestion.rep_id, suggestion.area), (rep_id, area))
        alone = self._suggest(account, [Rep(5, 2, 30, 0)], served)
        self.assertEqual((alone.rep_id, alone.area), (5, None))
        # the same city of another country is another city
        abroad = self._suggest(
            account._replace(place=Place(2, None, "Hamburg", "20457")),
            [Rep(5, 2, 30, 0), Rep(1, 2, 30, 20)],
            served,
        )
        self.assertEqual(abroad.rep_id, 5)

    def test_most_accounts_in_the_area(self):
        reps = [Rep(1, 2, 30, 0), Rep(2, 2, 30, 5)]
        served = [(1, HAMBURG)] + [(2, HAMBURG)] * 2
        suggestion = self._suggest(Account(7, 0, False, 1, HAMBURG), reps, served)
        self.assertEqual((suggestion.rep_id, suggestion.neighbours), (2, 2))

    def test_full_comes_last(self):
        served = [(1, HAMBURG)] * 5
        account = Account(7, 0, False, 1, HAMBURG)
        for demand, expected, is_full in ((29, 1, False), (29.5, 2, False)):
            reps = [Rep(1, 2, 30, demand), Rep(2, 2, 30, 0)]
            suggestion = self._suggest(account, reps, served)
            self.assertEqual(
                (suggestion.rep_id, suggestion.is_full), (expected, is_full)
            )
        # all full: still somebody
        reps = [Rep(1, 2, 30, 29.5), Rep(2, 2, 30, 31)]
        suggestion = self._suggest(account, reps, served)
        self.assertEqual((suggestion.rep_id, suggestion.is_full), (1, True))

    def test_low_value_accounts_train(self):
        reps = [Rep(1, 3, 30, 0), Rep(2, 1, 30, 20), Rep(3, 2, 30, 0)]
        account = Account(7, 1, True, 1, HAMBURG, None, {1: 3})
        self.assertEqual(self._suggest(account, reps).rep_id, 2)
        self.assertTrue(self._suggest(account, reps).is_trainee)
        account = account._replace(is_training=False)
        self.assertEqual(self._suggest(account, reps).rep_id, 1)
        # also before who is nearer, while there is room; the others by area
        account = account._replace(is_training=True)
        near = [(3, HAMBURG), (1, HAMBURG)]
        self.assertEqual(self._suggest(account, reps, near).rep_id, 2)
        reps[1] = reps[1]._replace(demand=30)
        self.assertEqual(self._suggest(account, reps, near).rep_id, 3)
        self.assertEqual(self._suggest(account, reps, near[1:]).rep_id, 1)

    def test_past_contact(self):
        reps = [Rep(1, 2, 30, 0), Rep(2, 2, 30, 9), Rep(3, 2, 30, 9)]
        account = Account(7, 0, False, 1, HAMBURG, None, {3: 1}, {2: 8})
        self.assertEqual(self._suggest(account, reps).rep_id, 3)
        self.assertEqual(self._suggest(account._replace(visits={}), reps).rep_id, 2)
        self.assertEqual(
            self._suggest(account._replace(visits={}, documents={}), reps).rep_id, 1
        )

    def test_a_list_does_not_pile_up(self):
        reps = [Rep(number, 2, 4, 0) for number in (1, 2, 3)]
        accounts = [Account(n, 0, False, 1, HAMBURG) for n in range(12)]
        suggestions = assignment.suggest(accounts, reps, assignment.count_areas([]))
        chosen = [suggestion.rep_id for suggestion in suggestions.values()]
        self.assertEqual({n: chosen.count(n) for n in (1, 2, 3)}, {1: 4, 2: 4, 3: 4})

    def test_who_gives_away_gets_room(self):
        """A trainee full with key accounts is free for low-value ones."""
        reps = [Rep(1, 1, 2, 2), Rep(2, 3, 5, 0)]
        accounts = [
            Account(10, 3, False, 1, HAMBURG, user_id=1),
            Account(11, 1, True, 1, HAMBURG),
        ]
        suggestions = assignment.suggest(accounts, reps, assignment.count_areas([]))
        self.assertEqual(suggestions[10].rep_id, 2)
        self.assertEqual(suggestions[11].rep_id, 1)
        self.assertFalse(suggestions[11].is_full)

    @RELAXED
    @given(ACCOUNTS, REPS, st.randoms())
    def test_deterministic_and_never_below_the_seniority(self, accounts, reps, rng):
        areas = assignment.count_areas(
            (account.user_id, account.place) for account in accounts if account.user_id
        )
        suggestions = assignment.suggest(accounts, reps, areas)
        shuffled = rng.sample(reps, len(reps))
        self.assertEqual(assignment.suggest(accounts, shuffled, areas), suggestions)
        self.assertEqual(suggestions.keys(), {account.id for account in accounts})
        seniority = {rep.id: rep.seniority for rep in reps}
        for account in accounts:
            fit = [n for n, have in seniority.items() if have >= account.min_seniority]
            rep_id = suggestions[account.id].rep_id
            self.assertEqual(rep_id is not None, bool(fit))
            if rep_id:
                self.assertIn(rep_id, fit)


class TestFigures(BaseCase):
    def test_edges(self):
        first, last = date(2026, 3, 1), date(2026, 3, 31)
        for due, count, unit, expected in (
            (first, 1, "week", 5),
            (date(2026, 3, 4), 1, "week", 4),
            (date(2026, 3, 3), 1, "week", 5),
            (last, 1, "week", 1),
            (date(2026, 4, 1), 1, "day", 0),
            # overdue since long ago: begins with the period
            (date(2025, 1, 1), 1, "week", 5),
            (date(2025, 1, 1), 2, "week", 3),
            (first, 1, "month", 1),
            (first, 1, "day", 31),
            (first, 30, "day", 2),
            (first, 31, "day", 1),
        ):
            with self.subTest(due=due, count=count, unit=unit):
                self.assertEqual(
                    figures.count_due_dates(due, count, unit, first, last), expected
                )
        self.assertEqual(
            figures.count_due_dates(first, 1, "week", date(2026, 3, 30), last), 1
        )
        self.assertEqual(figures.count_due_dates(first, 1, "week", last, first), 0)

    def test_a_monthly_date_keeps_its_day(self):
        due = date(2026, 1, 31)
        for end, expected in (
            (date(2026, 2, 27), 1),
            (date(2026, 2, 28), 2),
            (date(2026, 3, 30), 2),
            (date(2026, 3, 31), 3),
        ):
            self.assertEqual(
                figures.count_due_dates(due, 1, "month", due, end), expected
            )

    @RELAXED
    @given(
        DAYS,
        st.integers(1, 40),
        st.sampled_from(["day", "week"]),
        DAYS,
        st.integers(0, 62),
    )
    def test_as_a_walk_over_the_days(self, due, count, unit, start, length):
        end = start + timedelta(days=length)
        step = cadence.interval_days(count, unit)
        first = max(due, start)
        days = (start + timedelta(days=n) for n in range(length + 1))
        expected = sum(day >= first and (day - first).days % step == 0 for day in days)
        self.assertEqual(
            figures.count_due_dates(due, count, unit, start, end), expected
        )
