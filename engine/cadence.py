"""When a customer is due, and on which day the visit goes.

Everything here works on plain dates of the rep's own calendar; time zones are
settled before. An interval is a count and a unit (``day``, ``week``, ``month``);
a month is a calendar month, so that a monthly visit keeps its day of the month.
"""

from datetime import date, timedelta

from dateutil.relativedelta import relativedelta

UNIT_DAYS = {"day": 1, "week": 7, "month": 30}
EARLY_TOLERANCE = 0.3
# A rep who is away for longer than this gets nothing planned in the meantime.
MAX_SEARCH_DAYS = 92


def add_interval(day: date, count: int, unit: str) -> date:
    """Return ``day`` plus ``count`` units; 31 January plus a month is 28 February."""
    if unit == "month":
        return day + relativedelta(months=count)
    return day + timedelta(days=count * UNIT_DAYS[unit])


def interval_days(count: int, unit: str) -> int:
    """Return the nominal length of an interval in days (a month counts 30)."""
    return count * UNIT_DAYS[unit]


def tolerance_days(days: int) -> int:
    """Return by how many days a visit may be early: 30 % of the interval."""
    return int(days * EARLY_TOLERANCE)


def choose_day(due: date, days: int, today: date, working_days) -> date | None:
    """Return the working day nearest to ``due``, or None if there is none.

    Never before ``today``; early by at most 30 % of the interval of ``days``
    days. Among equally near days the earlier one wins.

    :param working_days: container of the rep's working days (leaves and public
        holidays taken out), reaching at least ``MAX_SEARCH_DAYS`` behind ``due``
    """
    target = max(due, today)
    earliest = max(today, due - timedelta(days=tolerance_days(days)))
    for distance in range(MAX_SEARCH_DAYS + 1):
        before = target - timedelta(days=distance)
        if before >= earliest and before in working_days:
            return before
        after = target + timedelta(days=distance)
        if after in working_days:
            return after
    return None
