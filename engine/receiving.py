"""When a customer receives visitors: weekdays, hours, and days when it is closed.

It is written as one line of text, in the manner of OpenStreetMap's opening hours::

    Mo-Fr 08:00-12:00,13:00-17:00; Sa 09:00-12:00; closed 2026-08-01/2026-08-31

Days without hours count from midnight to midnight; on a weekday that no part names
nobody is received. Without any weekday somebody is always there, but on the days on
which it is closed. Times and days are those of the customer's place.
"""

import re
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
CLOSED = "closed"
MINUTES_PER_DAY = 24 * 60
_NUMBERS = {name.lower(): number for number, name in enumerate(WEEKDAYS)}
_TIMES = re.compile(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)", re.ASCII)


class Receiving(NamedTuple):
    """When somebody is received.

    :param tuple weekly: for each weekday from Monday on pairs of minutes, from and to;
        empty: always
    :param tuple closed: pairs of days, the first one and the last one
    """

    weekly: tuple = ()
    closed: tuple = ()

    def receives(self, day: date) -> bool:
        return bool(self.get_hours(day))

    def get_hours(self, day: date) -> tuple:
        """Return pairs of minutes of the day; none: nobody is received."""
        if any(first <= day <= last for first, last in self.closed):
            return ()
        return self.weekly[day.weekday()] if self.weekly else ((0, MINUTES_PER_DAY),)


ALWAYS = Receiving()


def make(weekly=(), closed=()) -> Receiving:
    """Return what equals whatever means the same: spans in order, those that touch each
    other one.

    :param weekly: for each weekday pairs of minutes
    :raise ValueError: for a span that doesn't end after it begins, on the same day
    """
    weekly = tuple(tuple(_join(spans, 0)) for spans in weekly)
    for begin, end in (span for spans in weekly for span in spans):
        if not 0 <= begin < end <= MINUTES_PER_DAY:
            raise ValueError(f"{begin}-{end}")
    closed = [(first.toordinal(), last.toordinal()) for first, last in closed]
    if any(first > last for first, last in closed):
        raise ValueError(CLOSED)
    return Receiving(
        weekly if any(weekly) else (),
        tuple(
            (date.fromordinal(first), date.fromordinal(last))
            # days that follow each other touch
            for first, last in _join(closed, 1)
        ),
    )


def _join(spans, gap):
    joined = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1] + gap and begin <= end:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


@lru_cache(maxsize=4096)
def parse(text) -> Receiving:
    """Return what a text says, in whatever order; an empty one says: always.

    :raise ValueError: with the part that isn't understood
    """
    weekly, closed = [set() for _ in WEEKDAYS], []
    for part in (text or "").replace("\n", ";").split(";"):
        words = part.split()
        if not words:
            continue
        try:
            if words[0].lower() == CLOSED:
                closed.append(_parse_days("".join(words[1:])))
            else:
                _parse_weekdays(words, weekly)
        except (KeyError, ValueError) as error:
            raise ValueError(part.strip()) from error
    return make(weekly, closed)


def _parse_days(text):
    first, _, last = text.partition("/")
    days = tuple(date.fromisoformat(day) for day in (first, last or first))
    if days[0] > days[1]:
        raise ValueError(text)
    return days


def _parse_weekdays(words, weekly):
    """Add the spans of ``Mo-We,Fr 08:00-12:00,13:00-17:00`` to ``weekly``."""
    # blanks may stand behind commas
    names, times = [], []
    for word in ",".join(words).split(","):
        if word:
            (times if word[0].isdigit() else names).append(word)
    if not names:
        raise ValueError(words)
    spans = [_parse_times(time) for time in times] or [(0, MINUTES_PER_DAY)]
    for name in names:
        first, _, last = name.lower().partition("-")
        begin, end = _NUMBERS[first], _NUMBERS[last or first]
        # Sa-Mo goes over the end of the week
        for number in range(begin, end + 1 if begin <= end else end + 8):
            weekly[number % 7].update(spans)


def _parse_times(text):
    match = _TIMES.fullmatch(text)
    if not match:
        raise ValueError(text)
    hours, minutes, end_hours, end_minutes = map(int, match.groups())
    if max(minutes, end_minutes) > 59:
        raise ValueError(text)
    begin, end = hours * 60 + minutes, end_hours * 60 + end_minutes
    if not begin < end <= MINUTES_PER_DAY:
        raise ValueError(text)
    return begin, end


def format_text(receiving) -> str:
    """Return the text of ``receiving``, the same for whatever means the same."""
    parts = []
    for numbers, spans in get_groups(receiving):
        days = ",".join(
            WEEKDAYS[first] if first == last else f"{WEEKDAYS[first]}-{WEEKDAYS[last]}"
            for first, last in get_runs(numbers)
        )
        times = ",".join(
            f"{format_minutes(begin)}-{format_minutes(end)}" for begin, end in spans
        )
        parts.append(days if is_all_day(spans) else f"{days} {times}")
    for first, last in receiving.closed:
        days = f"{first}" if first == last else f"{first}/{last}"
        parts.append(f"{CLOSED} {days}")
    return "; ".join(parts)


def format_minutes(minutes):
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def is_all_day(spans):
    return spans == ((0, MINUTES_PER_DAY),)


def get_groups(receiving):
    """Return pairs of the weekdays with the same hours, as numbers, and these hours, in
    order."""
    groups = {}
    for number, spans in enumerate(receiving.weekly):
        if spans:
            groups.setdefault(spans, []).append(number)
    return [(numbers, spans) for spans, numbers in groups.items()]


def get_runs(numbers):
    """Return pairs of the first and the last one of numbers that follow each other."""
    runs = [[numbers[0], numbers[0]]] if numbers else []
    for previous, number in pairwise(numbers):
        if number == previous + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return [tuple(run) for run in runs]
