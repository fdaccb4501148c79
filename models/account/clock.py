"""What day it is: for a person, in a company, and where the day begins first."""

from datetime import datetime

import pytz

EASTERNMOST = "Pacific/Kiritimati"


def get_timezone(company, user=None):
    """Return the time zone of a user, else of the company's working hours, else UTC.

    :param company: a ``res.company``, or an empty one
    :param user: a ``res.users``; nobody: the company's time zone
    """
    tz = user and user.sudo().tz
    return pytz.timezone(tz or company.sudo().resource_calendar_id.tz or "UTC")


def get_today(company, user=None):
    """Return today's date in the time zone of :func:`get_timezone`."""
    return datetime.now(get_timezone(company, user)).date()


def get_latest_today():
    """Return today's date where the day begins first: nowhere is it a later one."""
    return datetime.now(pytz.timezone(EASTERNMOST)).date()
