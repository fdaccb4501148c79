"""When a customer is due, in plain Python: what the statement that works it out for all
of them must say."""

from datetime import date, timedelta

from ...engine.cadence import add_interval


def first_due(key: int, days: int, today: date) -> date:
    """Return the first due date of an account that was never visited.

    The accounts are spread evenly over their first interval by ``key`` (the
    account's id), so that switching the addon on doesn't put ten thousand visits
    on one morning. The date depends on the calendar and the key alone: asking
    again tomorrow gives the same date until it has passed.
    """
    return today + timedelta(days=(key - today.toordinal()) % days)


def next_due(last_done: date | None, count: int, unit: str, resume: date | None = None):
    """Return the next due date, or None if there is neither a visit nor a date.

    :param last_done: day of the last done visit on the track
    :param resume: day that somebody named when cancelling a later visit; a
        person's word goes before the cadence
    """
    if resume:
        return resume
    return last_done and add_interval(last_done, count, unit)
