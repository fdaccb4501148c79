from datetime import date, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odoo.tests import BaseCase

from ...engine import cadence
from .expected import first_due, next_due

# A busy machine is no failure of the rules.
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
DAYS = st.dates(date(2020, 1, 1), date(2035, 12, 31))


class TestEngine(BaseCase):
    def test_add_interval(self):
        day = date(2026, 1, 31)
        self.assertEqual(cadence.add_interval(day, 3, "day"), date(2026, 2, 3))
        self.assertEqual(cadence.add_interval(day, 2, "week"), date(2026, 2, 14))
        self.assertEqual(cadence.add_interval(day, 1, "month"), date(2026, 2, 28))

    def test_next_due(self):
        done, resume = date(2026, 3, 2), date(2026, 6, 1)
        self.assertEqual(next_due(done, 1, "week"), date(2026, 3, 9))
        self.assertEqual(next_due(done, 1, "week", resume), resume)
        self.assertEqual(next_due(None, 1, "week", resume), resume)
        self.assertIsNone(next_due(None, 1, "week"))

    @RELAXED
    @given(st.integers(1, 10**6), st.integers(1, 400), DAYS, st.integers(0, 500))
    def test_first_due_is_stable_and_within_the_interval(self, key, days, today, wait):
        due = first_due(key, days, today)
        self.assertTrue(today <= due < today + timedelta(days=days))
        later = today + timedelta(days=wait)
        if later <= due:
            self.assertEqual(first_due(key, days, later), due)

    def test_first_due_spreads_evenly(self):
        today = date(2026, 3, 18)
        counts = {}
        for key in range(1, 1401):
            due = first_due(key, 14, today)
            counts[due] = counts.get(due, 0) + 1
        self.assertEqual(set(counts.values()), {100})

    def test_choose_day(self):
        friday, saturday = date(2026, 3, 20), date(2026, 3, 21)
        sunday, monday = date(2026, 3, 22), date(2026, 3, 23)
        week = {
            friday + timedelta(days=n)
            for n in range(-30, 60)
            if (friday + timedelta(days=n)).weekday() < 5
        }
        today = date(2026, 3, 2)
        self.assertEqual(cadence.choose_day(friday, 7, today, week), friday)
        self.assertEqual(cadence.choose_day(saturday, 7, today, week), friday)
        self.assertEqual(cadence.choose_day(sunday, 7, today, week), monday)
        # a day's interval leaves no tolerance to be early
        self.assertEqual(cadence.choose_day(saturday, 1, today, week), monday)
        # overdue: today, or the next working day
        self.assertEqual(cadence.choose_day(today, 7, friday, week), friday)
        self.assertEqual(cadence.choose_day(today, 7, saturday, week), monday)
        self.assertIsNone(cadence.choose_day(friday, 7, today, set()))

    @RELAXED
    @given(
        DAYS, st.integers(1, 60), st.integers(-40, 40), st.sets(st.integers(-60, 90))
    )
    def test_choose_day_keeps_its_promises(self, due, days, offset, offsets):
        today = due + timedelta(days=offset)
        working_days = {due + timedelta(days=n) for n in offsets}
        day = cadence.choose_day(due, days, today, working_days)
        if day is None:
            target = max(due, today)
            self.assertFalse(
                [d for d in working_days if 0 <= (d - target).days <= 90],
                "a working day was within reach",
            )
        else:
            self.assertIn(day, working_days)
            self.assertGreaterEqual(day, today)
            self.assertGreaterEqual(day, due - timedelta(days=int(days * 0.3)))
