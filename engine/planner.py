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

Where a customer receives on some days only, the others are none for that visit, and no
time is kept free for it there.
"""

from collections import defaultdict
from datetime import date, timedelta
from heapq import heapify, heappop, heappush
from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple

from .cadence import choose_day, tolerance_days
from .receiving import ALWAYS, Receiving

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
    """A visit that is to be placed, or (``waiting``) one that is taken into account.

    :param bool on_route: no special trip is made for it
    :param bool on_site: somebody goes there; a call is no trip, and no reason to plan
        others nearby
    :param receiving: the days on which it may be placed
    """

    key: tuple
    date_due: date
    days: int
    tier: int = 0
    stage: int = 0
    load: int = VISIT_LOAD
    on_route: bool = False
    area: Area = NOWHERE
    on_site: bool = True
    receiving: Receiving = ALWAYS


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
    on_site: bool = True
    tier: int = 0
    stage: int = 0
    receiving: Receiving = ALWAYS


class Slot(NamedTuple):
    """A day, or the reason why there is none: ``capacity``, ``away``, ``route``, or
    ``closed``: there is room, but on days on which nobody is received."""

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


class _Item(NamedTuple):
    due: Due
    first: date  # not before, and not after
    last: date
    is_real: bool  # else only its time is kept free


class _Kind(NamedTuple):
    """Who of a kind is the most urgent doesn't depend on the day."""

    days: int
    tier: int
    stage: int
    load: int
    receiving: Receiving


class _Waiting(NamedTuple):
    date_due: date
    key: tuple
    is_real: bool
    item: _Item


def _wait(queues, item):
    due = item.due
    kind = _Kind(due.days, due.tier, due.stage, due.load, due.receiving)
    heappush(queues[kind], _Waiting(due.date_due, due.key, item.is_real, item))


def _get_urgency(due, day):
    """Return a key by which the longest overdue, in intervals, comes first."""
    return ((due.date_due - day).days / due.days, due.tier, due.stage, due.key)


class Agenda:
    """The days of one salesperson, while visits are placed on them.

    Visits on a route come after the others, on whose days they go: :meth:`place`, then
    :meth:`place_on_route`.

    :param booked: iterable of :class:`Booked`, fixed
    :param capacity: {working day: load that fits on it}
    :param horizon_days: a visit goes on a day in this horizon, or in its own window,
        30 % of the interval around the due date, whichever reaches further
    :param nearness: a :class:`Nearness`, for visits on a route
    """

    def __init__(self, booked, capacity, today, horizon_days, nearness=None):
        self.booked = list(booked)
        self.free = dict(capacity)
        self.today = today
        self.horizon_days = horizon_days
        self.nearness = nearness or Nearness()
        self.open_days = sorted(
            day for day, load in capacity.items() if day >= today and load > 0
        )
        self._days = {ALWAYS: set(self.open_days)}
        self._windows = {}
        # all days are taken by meetings, or there are none
        self.is_there = any(day >= today for day in capacity)
        self.anchors = defaultdict(list)
        for visit in self.booked:
            self._take(visit.day, visit.load)
            self.anchor(visit, visit.day)

    def _take(self, day, load):
        if day in self.free:
            self.free[day] -= load

    def _fits(self, day, load):
        return self.free.get(day, 0) >= load

    def anchor(self, visit, day):
        """Let visits on a route go where ``visit`` is on ``day``, if somebody does."""
        if visit.on_site and not visit.on_route:
            self.anchors[day].append(visit.area)

    def get_room(self, load, end):
        """Return how many visits of a load fit on the days until ``end``."""
        return sum(
            self.free[day] // load
            for day in self.open_days
            if day <= end and self.free[day] >= load
        )

    def get_free_days(self, load):
        """Return {open day: whether a visit of a load fits on it}."""
        return {day: self._fits(day, load) for day in self.open_days}

    def get_reason(self):
        """Return why a visit that needs no route has no day."""
        return "capacity" if self.is_there else "away"

    def _get_days(self, receiving):
        """Return the open days on which somebody is received."""
        if receiving not in self._days:
            self._days[receiving] = set(filter(receiving.receives, self.open_days))
        return self._days[receiving]

    def get_last_day(self, due):
        """Return the last day that will do, None if there is no open day at all."""
        window = self._get_window(due)
        return window and window[1]

    def _get_earliest(self, due):
        return max(self.today, due.date_due - timedelta(days=tolerance_days(due.days)))

    def _get_window(self, due):
        """Return the nearest open day to the due date, and the last one that will do;
        None if there is no open day far and wide. Who comes back from a leave after the
        window has the horizon from that day on."""
        kind = due.date_due, due.days, due.receiving
        if kind not in self._windows:
            self._windows[kind] = self._find_window(due)
        return self._windows[kind]

    def _find_window(self, due):
        days = self._get_days(due.receiving)
        target = choose_day(due.date_due, due.days, self.today, days)
        if not target:
            return None
        last = max(
            due.date_due + timedelta(days=tolerance_days(due.days)),
            self.today + timedelta(days=self.horizon_days),
        )
        if target > last:
            last = target + timedelta(days=self.horizon_days)
        return target, last

    def place(self, dues, waiting=(), end=None):
        """Place visits that need no route. Where they are, :meth:`anchor` tells.

        :param dues: iterable of :class:`Due`, with a key each that isn't booked
        :param waiting: iterable of :class:`Due` that aren't placed now, but compete
        :param date end: last day of all windows, where ``dues`` are a part of what is
            to be placed, or visits on a route follow
        :return: {key: :class:`Slot`}
        """
        dues = sorted(dues)
        items = []
        for due in dues:
            if window := self._get_window(due):
                items.append(_Item(due, *window, True))
        ends = [item.last for item in items] + ([end] if end else [])
        placed = {}
        if ends:
            placed = self._go_through_days(items, waiting, max(ends))
        return {
            due.key: Slot(placed[due.key])
            if due.key in placed
            else Slot(None, "closed" if self.is_closed(due) else self.get_reason())
            for due in dues
        }

    def is_closed(self, due):
        """Return whether nobody is received on the days on which a visit would go:
        there is room on others of its window, or none of them is one to receive."""
        if due.receiving == ALWAYS:
            return False
        window = self._get_window(due._replace(receiving=ALWAYS))
        if not window:
            return False
        earliest, last = self._get_earliest(due), window[1]
        days = {
            day
            for day in self.open_days
            if earliest <= day <= last
            and (not due.on_route or self._is_near(due.area, day))
        }
        others = days - self._get_days(due.receiving)
        return any(self._fits(day, due.load) for day in others) or bool(
            days and days == others
        )

    def _go_through_days(self, items, waiting, end):
        """Return {key: day} of the real items that found one."""
        releases = defaultdict(list)
        for item in items:
            releases[item.first].append(item)
        for due in waiting:
            _release(releases, due, max(due.date_due, self.today), end)
        for visit in self.booked:
            # who is only seen on a route has no claim to a day
            if visit.days and not visit.on_route:
                back = max(visit.day, self.today) + timedelta(days=visit.days)
                due = Due(
                    visit.key,
                    back,
                    visit.days,
                    visit.tier,
                    visit.stage,
                    visit.load,
                    receiving=visit.receiving,
                )
                _release(releases, due, back, end)
        placed = {}
        queues = defaultdict(list)
        for day in self.open_days:
            if day > end:
                break
            new = []
            for released in sorted(first for first in releases if first <= day):
                new += releases.pop(released)
            for item in new:
                _wait(queues, item)
            for item in self._pick(queues, day, placed):
                self._take(day, item.due.load)
                # After its window it waits for another run, but still goes before
                # those that are less urgent. There may be no open day at the end of
                # the window, or for a while after it.
                if item.is_real and day <= item.last:
                    placed[item.due.key] = day
                self._come_back(releases, item, day, end)
            # who finds the day full may have one a few days before
            late = [item for item in new if item.is_real and item.first == day]
            for item in sorted(late, key=lambda item: _get_urgency(item.due, day)):
                if item.due.key in placed:
                    continue
                if slot := self._get_earlier_day(item, day):
                    self._take(slot, item.due.load)
                    placed[item.due.key] = slot
                    self._come_back(releases, item, slot, end)
        return placed

    def _pick(self, queues, day, placed):
        """Yield who goes on ``day``, the most urgent first, while there is room; the
        caller takes it."""
        heads = [
            (_get_urgency(queue[0].item.due, day), kind)
            for kind, queue in queues.items()
            if queue
        ]
        heapify(heads)
        while heads:
            _, kind = heappop(heads)
            if not self._fits(day, kind.load):
                continue
            if day not in self._get_days(kind.receiving):
                continue
            queue = queues[kind]
            item = heappop(queue).item
            # else it went on an earlier day
            if not (item.is_real and item.due.key in placed):
                yield item
            if queue:
                heappush(heads, (_get_urgency(queue[0].item.due, day), kind))

    def _come_back(self, releases, item, day, end):
        """Keep the time free for the next visit of who goes on ``day``."""
        back = day + timedelta(days=item.due.days)
        if back <= end:
            _release(releases, item.due._replace(date_due=back), back, end)

    def _get_earlier_day(self, item, day):
        """Return the latest open day before ``day`` on which the visit isn't too early:
        a few days early is better than late."""
        earliest = self._get_earliest(item.due)
        days = self._get_days(item.due.receiving)
        for earlier in reversed(self.open_days):
            if (
                earliest <= earlier < day
                and earlier in days
                and self._fits(earlier, item.due.load)
            ):
                return earlier
        return None

    def place_on_route(self, dues):
        """Place visits on days on which the salesperson is near anyway; see
        :meth:`place`."""
        dues = list(dues)
        days = self.place_nearby(dues)
        return {
            due.key: Slot(days[due.key])
            if due.key in days
            else Slot(None, self._get_route_reason(due))
            for due in dues
        }

    def place_nearby(self, dues):
        """Return {key: day} of the visits on a route that find a day: the nearest to
        the due date, among those on which the salesperson is near anyway."""
        dues = sorted(dues, key=lambda due: _get_urgency(due, self.today))
        least = min((due.load for due in dues), default=0)
        anchored = {
            day
            for day in self._days[ALWAYS] & self.anchors.keys()
            if self._fits(day, least)
        }
        placed = {}
        for due in dues:
            if not anchored:
                break
            window = self._get_window(due)
            if not window:
                continue
            target = max(due.date_due, self.today)
            earliest, last = self._get_earliest(due), window[1]
            days = anchored & self._get_days(due.receiving)
            for day in sorted(
                (day for day in days if earliest <= day <= last),
                key=lambda day: (abs((day - target).days), day),
            ):
                if self._fits(day, due.load) and self._is_near(due.area, day):
                    self._take(day, due.load)
                    placed[due.key] = day
                    if not self._fits(day, least):
                        anchored.discard(day)
                    break
        return placed

    def _is_near(self, area, day):
        return any(self.nearness.is_near(area, other) for other in self.anchors[day])

    def _get_route_reason(self, due):
        if self.is_closed(due):
            return "closed"
        window = self._get_window(due)
        if not window:
            return self.get_reason()
        earliest, last = self._get_earliest(due), window[1]
        days = self._get_days(due.receiving)
        days = [
            day for day in self.open_days if earliest <= day <= last and day in days
        ]
        fitting = any(self._fits(day, due.load) for day in days)
        return "route" if fitting or not days else "capacity"


def _release(releases, due, day, end):
    if day <= end and not due.on_route:
        releases[day].append(_Item(due, day, date.max, False))


def plan(dues, booked, capacity, today, horizon_days, waiting=(), nearness=None):
    """Place visits of one salesperson; see :class:`Agenda`.

    Equal input gives an equal plan, in whatever order it comes. At most one visit per
    key: a key that is booked keeps its day.

    :param dues: iterable of :class:`Due`, to be placed
    :return: {key: :class:`Slot`}
    """
    agenda = Agenda(booked, capacity, today, horizon_days, nearness)
    booked_days = {visit.key: visit.day for visit in agenda.booked}
    unique, result = {}, {}
    for due in sorted(dues):
        if due.key in booked_days:
            result[due.key] = Slot(booked_days[due.key])
        else:
            unique.setdefault(due.key, due)
    routes = [due for due in unique.values() if due.on_route]
    ends = [day for day in map(agenda.get_last_day, unique.values()) if day]
    others = [due for due in unique.values() if not due.on_route]
    result.update(agenda.place(others, waiting, max(ends, default=None)))
    for due in others:
        if day := result[due.key].day:
            agenda.anchor(due, day)
    result.update(agenda.place_on_route(routes))
    return result
