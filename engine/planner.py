"""Which visit goes on which day: one salesperson's agenda.

Plain dates of the salesperson's own calendar, plain numbers, no database. Days with a
capacity are working days: leaves and public holidays aren't among them, and hours that
meetings take are taken off. Loads and capacities are in the same unit, quarters of a
visit.

The days are gone through one by one. On each, whoever has waited longest in proportion
to the interval comes first: that stretches everybody's interval alike when there is too
little time. A visit that is placed comes back one interval later, and so does one that
was planned before: the time that these will need is left free for them when they are
more urgent by then. Otherwise a salesperson's days would be filled, two weeks ahead,
with visits that can wait, before the weekly ones are due again.
"""

from collections import defaultdict
from datetime import date, timedelta
from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple

from .cadence import choose_day, tolerance_days

VISIT_LOAD = 4
CALL_LOAD = 1
EARTH_RADIUS_KM = 6371.0


class Area(NamedTuple):
    """Where an account is."""

    latitude: float = 0.0
    longitude: float = 0.0
    country: int = 0
    zip: str = ""
    city: str = ""


NOWHERE = Area()


class Due(NamedTuple):
    """A visit that is to be placed, or (``waiting``) one that is taken into account."""

    key: tuple
    date_due: date
    days: int
    tier: int = 0
    stage: int = 0
    load: int = VISIT_LOAD
    on_route: bool = False
    area: Area = NOWHERE


class Booked(NamedTuple):
    """A visit that has its day already: nothing moves it.

    :param int days: its interval; 0 if it doesn't come back by itself
    """

    key: tuple
    day: date
    days: int = 0
    load: int = VISIT_LOAD
    on_route: bool = False
    area: Area = NOWHERE


class Slot(NamedTuple):
    """A day, or the reason why there is none: ``capacity``, ``away`` or ``route``."""

    day: date | None
    reason: str | None = None


class Nearness(NamedTuple):
    """What counts as near: kilometres where both places have coordinates, else so many
    first characters of the postal code (0: don't look at it), else the city."""

    radius_km: float = 20.0
    zip_length: int = 3

    def is_near(self, one: Area, other: Area) -> bool:
        """Return whether two places are near; nothing is near an unknown one."""
        if (one.latitude or one.longitude) and (other.latitude or other.longitude):
            return distance_km(one, other) <= self.radius_km
        if one.country and other.country and one.country != other.country:
            return False
        if self.zip_length and one.zip and other.zip:
            length = self.zip_length
            return one.zip[:length].lower() == other.zip[:length].lower()
        return bool(one.city) and one.city.strip().lower() == other.city.strip().lower()


def distance_km(one: Area, other: Area) -> float:
    """Return the great-circle distance, by the haversine formula on a sphere."""
    lat1, lon1, lat2, lon2 = map(
        radians, (one.latitude, one.longitude, other.latitude, other.longitude)
    )
    chord = (
        sin((lat2 - lat1) / 2) ** 2
        + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(chord)))


def overdue_ratio(date_due: date, days: int, day: date) -> float:
    """Return the days since the last visit over the interval, as of ``day``: 1 on the
    due date, 2 when it has taken twice as long."""
    return 1 + (day - date_due).days / days


class _Item(NamedTuple):
    due: Due
    first: date  # not before, and not after
    last: date
    is_real: bool  # else only its time is kept free


class _Agenda:
    def __init__(self, capacity, booked):
        self.free = dict(capacity)
        for visit in booked:
            self.take(visit.day, visit.load)

    def take(self, day, load):
        if day in self.free:
            self.free[day] -= load

    def fits(self, day, load):
        return self.free.get(day, 0) >= load


def plan(dues, booked, capacity, today, horizon_days, waiting=(), nearness=None):
    """Place visits of one salesperson.

    Equal input gives an equal plan, in whatever order it comes. At most one visit per
    key: a key that is booked keeps its day.

    :param dues: iterable of :class:`Due`, to be placed
    :param booked: iterable of :class:`Booked`, fixed
    :param capacity: {working day: load that fits on it}
    :param horizon_days: a visit goes on a day in this horizon, or in its own window,
        30 % of the interval around the due date, whichever reaches further
    :param waiting: iterable of :class:`Due` that aren't placed now, but compete
    :param nearness: a :class:`Nearness`, for visits on a route
    :return: {key: :class:`Slot`}
    """
    booked = list(booked)
    slots = {visit.key: Slot(visit.day) for visit in booked}
    unique = {}
    for due in sorted(dues):
        if due.key not in slots:
            unique.setdefault(due.key, due)
    agenda = _Agenda(capacity, booked)
    open_days = sorted(day for day in capacity if day >= today and capacity[day] > 0)
    days = set(open_days)
    result = {key: slots[key] for key in {due.key for due in dues} & slots.keys()}
    items, routes = [], []
    for due in unique.values():
        window = _get_window(due, today, horizon_days, open_days, days)
        if not window:
            # all days are taken by meetings, or there are none
            is_there = any(day >= today for day in capacity)
            result[due.key] = Slot(None, "capacity" if is_there else "away")
        elif due.on_route:
            routes.append((due, *window))
        else:
            items.append(_Item(due, *window, True))
    placed = _go_through_days(items, booked, waiting, agenda, open_days, today)
    for item in items:
        day = placed.get(item.due.key)
        result[item.due.key] = Slot(day) if day else Slot(None, "capacity")
    anchors = defaultdict(list)
    for visit in booked:
        if not visit.on_route:
            anchors[visit.day].append(visit.area)
    for item in items:
        if item.due.key in placed:
            anchors[placed[item.due.key]].append(item.due.area)
    routes.sort(key=lambda route: _get_urgency(route[0], today))
    for due, _target, last in routes:
        result[due.key] = _place_on_route(
            due, last, agenda, open_days, today, anchors, nearness or Nearness()
        )
    return result


def _get_urgency(due, day):
    return (-overdue_ratio(due.date_due, due.days, day), due.tier, due.stage, due.key)


def _get_earliest(due, today):
    return max(today, due.date_due - timedelta(days=tolerance_days(due.days)))


def _get_window(due, today, horizon_days, open_days, days):
    """Return the nearest open day to the due date, and the last one that will do; None
    if there is no open day far and wide. Who comes back from a leave after the window
    has the horizon from that day on."""
    target = choose_day(due.date_due, due.days, today, days)
    if not target:
        return None
    last = max(
        due.date_due + timedelta(days=tolerance_days(due.days)),
        today + timedelta(days=horizon_days),
    )
    if target > last:
        last = target + timedelta(days=horizon_days)
    return target, last


def _go_through_days(items, booked, waiting, agenda, open_days, today):
    """Return {key: day} of the real items that found one."""
    if not items:
        return {}
    end = max(item.last for item in items)
    releases = defaultdict(list)
    for item in items:
        releases[item.first].append(item)
    for due in waiting:
        _release(releases, due, max(due.date_due, today), end)
    for visit in booked:
        if visit.days:
            back = max(visit.day, today) + timedelta(days=visit.days)
            due = Due(visit.key, back, visit.days, load=visit.load)
            _release(releases, due, back, end)
    placed = {}
    queue = []
    release_days = sorted(releases)
    for day in open_days:
        if day > end:
            break
        new = []
        while release_days and release_days[0] <= day:
            new += releases.pop(release_days.pop(0))
        queue = sorted(queue + new, key=lambda item: _get_urgency(item.due, day))
        rest = []
        for item in queue:
            slot = day if agenda.fits(day, item.due.load) else None
            if not slot and item.is_real and item.first == day:
                slot = _get_earlier_day(item, day, agenda, open_days, today)
            if not slot:
                # After its window it waits for another run, but still goes before
                # those that are less urgent.
                rest.append(item if day < item.last else item._replace(is_real=False))
                continue
            agenda.take(slot, item.due.load)
            if item.is_real:
                placed[item.due.key] = slot
            back = slot + timedelta(days=item.due.days)
            if back <= end:
                _release(releases, item.due._replace(date_due=back), back, end)
                if back not in release_days:
                    release_days = sorted(releases)
        queue = rest
    return placed


def _release(releases, due, day, end):
    if day <= end and not due.on_route:
        releases[day].append(_Item(due, day, date.max, False))


def _get_earlier_day(item, day, agenda, open_days, today):
    """Return the latest open day before ``day`` on which the visit isn't too early: a
    few days early is better than late."""
    earliest = _get_earliest(item.due, today)
    for earlier in reversed(open_days):
        if earliest <= earlier < day and agenda.fits(earlier, item.due.load):
            return earlier
    return None


def _place_on_route(due, last, agenda, open_days, today, anchors, nearness):
    """Return the slot nearest to the due date, among the days on which the salesperson
    is near anyway."""
    target = max(due.date_due, today)
    earliest = _get_earliest(due, today)
    window = sorted(
        (day for day in open_days if earliest <= day <= last),
        key=lambda day: (abs((day - target).days), day),
    )
    fitting = [day for day in window if agenda.fits(day, due.load)]
    for day in fitting:
        if any(nearness.is_near(due.area, area) for area in anchors[day]):
            agenda.take(day, due.load)
            return Slot(day)
    return Slot(None, "route" if fitting or not window else "capacity")
