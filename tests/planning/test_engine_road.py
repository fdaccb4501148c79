from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from odoo.tests import BaseCase

from ...engine import road
from ...engine.road import Stop
from .test_engine_who import RELAXED

HOURS = st.none() | st.integers(8 * 60, 18 * 60)
PLACES = st.tuples(st.floats(53, 54), st.floats(9, 11))


@st.composite
def stops(draw, hours=HOURS, max_size=7):
    rows = draw(st.lists(st.tuples(PLACES, hours), max_size=max_size))
    return [Stop(key, *place, hour) for key, (place, hour) in enumerate(rows)]


class TestRoad(BaseCase):
    """Stops of a day in the order in which they are made."""

    @RELAXED
    @given(stops())
    def test_every_stop_once_and_appointments_by_their_hours(self, day):
        order = road.order_stops(day, 8 * 60)
        self.assertEqual(sorted(order, key=lambda stop: stop.key), day)
        hours = [stop.start for stop in order if stop.start is not None]
        self.assertEqual(hours, sorted(hours))
        self.assertEqual(road.order_stops(day[::-1], 8 * 60), order)
        for stop, time in zip(order, road.get_times(order, 8 * 60), strict=True):
            self.assertGreaterEqual(time, stop.start or 8 * 60)

    @RELAXED
    @given(stops(hours=st.none(), max_size=4))
    def test_few_stops_go_the_shortest_way(self, day):
        shortest = min(road.get_length(way) for way in permutations(day))
        self.assertAlmostEqual(
            road.get_length(road.order_stops(day)), shortest, delta=0.01
        )

    @RELAXED
    @given(stops(hours=st.none(), max_size=3), PLACES, st.integers(8 * 60, 18 * 60))
    def test_nobody_is_late_for_the_only_appointment(self, day, place, hour):
        order = road.order_stops([*day, Stop(99, *place, hour)], 8 * 60)
        index = [stop.key for stop in order].index(99)
        self.assertEqual(road.get_times(order, 8 * 60)[index], hour)

    def test_time_before_an_appointment_is_used(self):
        near, far = Stop(1, 53.6, 10.0), Stop(2, 53.9, 10.0)
        meeting = Stop(3, 53.5, 10.0, start=9 * 60 + 30)
        order = road.order_stops([far, near, meeting], 8 * 60)
        self.assertEqual(order, [near, meeting, far])
        # there is time for the far one, and less to drive afterwards
        meeting = meeting._replace(start=10 * 60)
        order = road.order_stops([far, near, meeting], 8 * 60)
        self.assertEqual(order, [far, meeting, near])
        # for both, on one way
        meeting = meeting._replace(start=13 * 60)
        order = road.order_stops([far, near, meeting], 8 * 60)
        self.assertEqual(order, [far, near, meeting])

    def test_kilometres_and_times(self):
        # a degree of latitude on a sphere of 6,371 km
        order = [Stop(1, 50, 10), Stop(2, 51, 10), Stop(3, 51, 10, start=13 * 60)]
        self.assertAlmostEqual(road.get_length(order), 111.195, places=3)
        first, second, third = road.get_times(order, 8 * 60)
        self.assertEqual(first, 480)
        self.assertAlmostEqual(second, 480 + 60 + 111.195 / 50 * 60, places=2)
        self.assertEqual(third, 780)
        self.assertEqual(road.get_length([]), 0)
        self.assertEqual(road.order_stops([]), [])
