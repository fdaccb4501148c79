"""When customers receive, as their accounts say it, and in words."""

from datetime import time
from functools import lru_cache

from babel.dates import get_day_names

from odoo.exceptions import ValidationError
from odoo.tools import format_list, format_time
from odoo.tools.misc import babel_locale_parse, get_lang

from ...const import CALL_MODES
from ...engine import receiving as engine
from . import bounds, clock, words


class ReceivingHours(bounds.Char):
    """Keeps :mod:`...engine.receiving`'s text, however it was written."""

    def _clean(self, value, record):
        text = super()._clean(str(value) if value else value, record)
        # what is computed shows what the account keeps, and hands over what is said
        if not text or not self.store:
            return text
        try:
            receiving = engine.parse(text)
            for days in receiving.closed:
                if not bounds.FIRST_DAY <= days[0] <= days[1] <= bounds.LAST_DAY:
                    raise ValueError("/".join(map(str, days)))
        except ValueError as error:
            raise ValidationError(
                record.env._(
                    "“%(part)s” is no time to receive: write it as %(example)s.",
                    part=str(error),
                    example="Mo-We,Fr 08:00-12:00,13:30-17:00; "
                    "closed 2026-08-01/2026-08-31",
                )
            ) from error
        return engine.format_text(receiving) or False


# of a hundred customers many say the same
@lru_cache(maxsize=1024)
def get_receiving(text, mode="on_site"):
    """Return :class:`...engine.receiving.Receiving` of what an account says.

    :param mode: how the visit is made; who receives visitors on Tuesdays can be called
        on other days, but not while closed
    """
    try:
        receiving = engine.parse(text or "")
    except ValueError:
        # it came past the ORM: one account's stops nobody
        receiving = engine.ALWAYS
    if mode in CALL_MODES and receiving.weekly:
        return receiving._replace(weekly=())
    return receiving


def get_words(env, text, today):
    """Return when somebody receives in the user's language, as in "Mon–Fri 8:00 AM –
    12:00 PM; closed Aug 1 – Aug 31". What has passed isn't told.

    :param date today: which day it is for the user
    """
    receiving = get_receiving(text)
    lang = get_lang(env).code
    names = get_day_names("abbreviated", locale=babel_locale_parse(lang))
    parts = []
    for numbers, spans in engine.get_groups(receiving):
        days = format_list(
            env,
            (
                "–".join(names[number] for number in sorted({first, last}))
                for first, last in engine.get_runs(numbers)
            ),
        )
        hours = ""
        if not engine.is_all_day(spans):
            hours = format_list(
                env,
                (
                    " – ".join(_format_minutes(env, minutes) for minutes in span)
                    for span in spans
                ),
            )
        parts.append(f"{days} {hours}".strip())
    for first, last in receiving.closed:
        if last >= today:
            days = " – ".join(
                clock.format_day(env, day) for day in sorted({first, last})
            )
            parts.append(env._("closed %s", days))
    return words.join_clauses(env, parts)


def _format_minutes(env, minutes):
    moment = time(*divmod(minutes % engine.MINUTES_PER_DAY, 60))
    return format_time(env, moment, time_format="short")
