"""How many visits a cadence asks for within a period, on plain dates."""

from datetime import date

from .cadence import add_interval


def count_due_dates(
    first_due: date, count: int, unit: str, start: date, end: date
) -> int:
    """Return how many due dates fall from ``start`` to ``end``, both included.

    The first one is ``first_due``, or ``start`` if the account is overdue by then; the
    others follow in steps of the interval, as if each visit took place on its day.
    They are counted from the first one, so that a monthly date keeps its day.

    :param first_due: next due date of the account
    :param count: the interval, in units; at least 1
    :param unit: ``day``, ``week`` or ``month``
    """
    first = day = max(first_due, start)
    number = 0
    while day <= end:
        number += 1
        day = add_interval(first, number * count, unit)
    return number
