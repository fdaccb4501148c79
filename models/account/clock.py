"""What day it is: for a person, in a company, and where the day begins first."""

from datetime import datetime
from functools import cache, lru_cache

import pytz
from babel.dates import format_date

from odoo import fields
from odoo.tools import babel_locale_parse
from odoo.tools.misc import get_lang

EASTERNMOST = "Pacific/Kiritimati"


def get_timezone(company, user=None):
    """Return the time zone of a user, else of the company's working hours, else UTC.

    :param company: a ``res.company``, or an empty one
    :param user: a ``res.users``; nobody: the company's time zone
    """
    tz = user and user.sudo().tz
    return pytz.timezone(tz or company.sudo().resource_calendar_id.tz or "UTC")


def get_timezones(company, users):
    """Return {user id: time zone of :func:`get_timezone`}; False stands for nobody."""
    own = pytz.timezone(company.sudo().resource_calendar_id.tz or "UTC")
    zones = {
        user.id: pytz.timezone(user.tz) if user.tz else own for user in users.sudo()
    }
    return {**zones, False: own}


def get_today(company, user=None):
    """Return today's date in the time zone of :func:`get_timezone`."""
    return datetime.now(get_timezone(company, user)).date()


def get_days_elsewhere(here):
    """Return {name of a time zone: its day} where it isn't the day ``here``."""
    now = datetime.now(pytz.utc)
    # nowhere does the day begin in between
    quarter = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    return {zone: day for zone, day in _get_days(quarter).items() if day != here}


@lru_cache(maxsize=2)
def _get_days(moment):
    return {
        name: moment.astimezone(pytz.timezone(name)).date()
        for name in pytz.all_timezones
    }


def get_latest_today():
    """Return today's date where the day begins first: nowhere is it a later one."""
    return datetime.now(pytz.timezone(EASTERNMOST)).date()


def format_day(env, day, weekday=False, year=False):
    """Return a day as the web client shows it beside: "12 Nov", "Nov 12" or "11月12日",
    as the reader's language has it, with the year if it is another one than today's.

    :param bool weekday: with the day of the week
    :param bool year: with the year in any case: what is printed is read later
    """
    if not day:
        return ""
    locale = babel_locale_parse(get_lang(env).code)
    skeleton = "MMMEd" if weekday else "MMMd"
    if year or day.year != fields.Date.context_today(env.user).year:
        skeleton = f"y{skeleton}"
    return format_date(day, locale.datetime_skeletons[skeleton], locale=locale)


def format_month(env, day):
    """Return the month of a day with its year, as the reader's language has it: "Mar
    2026", "Mär. 2026" or "2026年3月"."""
    locale = babel_locale_parse(get_lang(env).code)
    return format_date(day, locale.datetime_skeletons["yMMM"], locale=locale)


def get_sql_timezone(company):
    """Return the time zone of a company's working hours as PostgreSQL knows it, for
    ``AT TIME ZONE``.

    Odoo keeps names that were replaced long ago, as browsers send them. PostgreSQL
    knows them where its system has them installed, which isn't always so.
    """
    return _get_sql_name(get_timezone(company).zone)


@cache
def _get_sql_name(name):
    places = {zone for zones in pytz.country_timezones.values() for zone in zones}
    if name in places or name == "UTC":
        return name
    # Old names are copies of new ones.
    rules = _read_rules(name)
    for place in sorted(places):
        if _read_rules(place) == rules:
            return place
    # No place on earth: the file ends with the rule in force, as POSIX writes it.
    return rules.rsplit(b"\n", 2)[-2].decode()


def _read_rules(name):
    with pytz.open_resource(name) as file:
        return file.read()
