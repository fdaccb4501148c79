"""The road: in which order the stops of a day are made.

Who drives is to be back early: appointments are kept, the time between them is used,
and the way is short. Distances are great circles: which order is short, they tell as
well as roads do. Stops at a fixed hour stand; each other one goes where it costs least
(cheapest insertion), then a part is turned round, or a stop moved, until neither makes
it better (2-opt and or-opt; Croes 1958, Or 1976).
"""

from typing import NamedTuple

from .planner import distance_km

# Straight lines at this speed stand for roads at a higher one.
SPEED_KMH = 50


class Stop(NamedTuple):
    """A place to be that day.

    ``start`` is the hour of an appointment, in minutes since midnight in the zone of
    whoever drives; None: at any time. ``minutes`` is how long one stays. Latitude and
    longitude are in degrees.
    """

    key: int
    latitude: float
    longitude: float
    start: int | None = None
    minutes: int = 60


def order_stops(stops, day_start=0):
    """Return the stops in the order in which they are made.

    Appointments follow by their hours. What fits between no two of them comes after the
    last one.

    :param stops: :class:`Stop` s; equal input gives an equal order
    :param day_start: when one is at the first stop, in minutes since midnight
    """
    stops = sorted(stops, key=lambda stop: stop.key)
    order = sorted(
        (stop for stop in stops if stop.start is not None),
        key=lambda stop: stop.start,
    )
    free = [stop for stop in stops if stop.start is None]
    while free:
        ways = ((stop, way) for stop in free for way in _insert(order, stop))
        stop, order = min(ways, key=lambda choice: _get_cost(choice[1], day_start))
        free.remove(stop)
    cost = _get_cost(order, day_start)
    while True:
        better = min(_vary(order), key=lambda way: _get_cost(way, day_start))
        if _get_cost(better, day_start) >= cost:
            break
        order, cost = better, _get_cost(better, day_start)
    return order


def get_length(order):
    """Return how far it is from the first stop to the last one, in kilometres."""
    return sum(map(distance_km, order, order[1:]))


def get_times(order, day_start=0):
    """Return when one is at each stop, in minutes since midnight. Whoever is early for
    an appointment waits."""
    times = []
    time, previous = day_start, None
    for stop in order:
        if previous:
            time += previous.minutes + distance_km(previous, stop) / SPEED_KMH * 60
        if stop.start is not None:
            time = max(time, stop.start)
        times.append(time)
        previous = stop
    return times


def _get_cost(order, day_start):
    """Minutes late for appointments, the end of the day, and the way; rounded, so that
    what is gained is more than an error of rounding."""
    times = get_times(order, day_start)
    late = sum(
        time - stop.start
        for stop, time in zip(order, times, strict=True)
        if stop.start is not None
    )
    end = times[-1] + order[-1].minutes if order else day_start
    return round(late, 3), round(end, 3), round(get_length(order), 3)


def _insert(order, stop):
    for place in range(len(order) + 1):
        yield [*order[:place], stop, *order[place:]]


def _vary(order):
    """Yield the order, and what becomes of it by one change that leaves appointments in
    theirs."""
    yield order
    for first in range(len(order)):
        for last in range(first + 1, len(order)):
            part = order[first : last + 1]
            if sum(stop.start is not None for stop in part) < 2:
                yield [*order[:first], *reversed(part), *order[last + 1 :]]
    for stop in order:
        if stop.start is None:
            yield from _insert([other for other in order if other != stop], stop)
