"""Fields that know their bounds, and what else comes from outside.

A number or a day beyond them is refused with one sentence before anything is written,
at whatever door it comes in: a form, an import, a wizard, RPC, a customer's field that
writes to the account. Without them PostgreSQL's integers overflow and days leave the
calendar, where reading, planning and reports meet them later, of everybody.

What is read from the database isn't checked: a migration has healed what was there.
"""

import math
from datetime import date
from operator import attrgetter

from dateutil.relativedelta import relativedelta

from odoo import fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Command

from . import clock

# Ten years: the longest interval between two visits, and how far ahead people plan.
MAX_DAYS = 3650
YEARS_AHEAD = 10
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2199, 12, 31)
# Below this an amount of any currency is told apart from the next cent.
MAX_AMOUNT = 10**13
SEQUENCES = (-(10**6), 10**6)
# Those of Odoo's palette
COLORS = (0, 11)
# More than anybody reads
LONGEST_LINE, LONGEST_TEXT = 1000, 20000
# PostgreSQL refuses the first one, XML and browsers most of the others.
CONTROL_CHARACTERS = dict.fromkeys({*range(32), 127} - set(map(ord, "\t\n\r")))
# Halves of a character, which no encoding knows
CONTROL_CHARACTERS |= dict.fromkeys(range(0xD800, 0xE000))
MAX_ID = 2**31 - 1


class _Bounded:
    """What a field of :mod:`odoo.fields` does about bounds.

    :param bounds: the lowest and the highest value
    """

    bounds = None
    _related_bounds = property(attrgetter("bounds"))

    def _get_bounds(self, env):
        return self.bounds

    def _format_bound(self, env, bound):
        return f"{bound:,g}" if isinstance(bound, float) else f"{bound:,d}"

    def _to_value(self, value):
        """Return the value to compare, None if there is nothing to.

        :raise ValueError: if it is none
        """
        raise NotImplementedError

    def _check_bounds(self, value, record, is_needed=True):
        """Refuse a value beyond the bounds.

        :param is_needed: also where nothing, or 0, isn't enough
        :raise ValidationError: if it is beyond, or no value at all
        """
        try:
            checked = self._to_value(value)
        except (AttributeError, OverflowError, TypeError, ValueError):
            checked = math.nan
        bounds = self._get_bounds(record.env)
        if not bounds or checked is None or not (checked or is_needed):
            return
        lowest, highest = bounds
        # what is no number compares with nothing
        if checked == checked and lowest <= checked <= highest:
            return
        env = record.env
        raise ValidationError(
            env._(
                "“%(field)s” must be from %(lowest)s to %(highest)s.",
                field=self._description_string(env),
                lowest=self._format_bound(env, lowest),
                highest=self._format_bound(env, highest),
            )
        )

    def write(self, records, value):
        # what is computed shows what is stored elsewhere
        if self.store:
            self._check_bounds(value, records)
        return super().write(records, value)

    def convert_to_column_insert(self, value, record, values=None, validate=True):
        self._check_bounds(value, record)
        return super().convert_to_column_insert(value, record, values, validate)

    def convert_to_cache(self, value, record, validate=True):
        # On a form a field may still be empty. What is computed of the others there
        # would meet this one.
        if self.store and record and not all(record._ids):
            self._check_bounds(value, record, is_needed=False)
        try:
            return super().convert_to_cache(value, record, validate)
        except (AttributeError, OverflowError, TypeError, ValueError):
            self._check_bounds(value, record)
            raise


class Integer(_Bounded, fields.Integer):
    def _to_value(self, value):
        if isinstance(value, dict):
            return None
        if isinstance(value, float) and not value.is_integer():
            raise ValueError(value)
        return int(value or 0)


class Float(_Bounded, fields.Float):
    def _to_value(self, value):
        # Core's rounding to cents makes 10000000000000.02 of the highest amount.
        return float(f"{float(value or 0):.15g}")


class Monetary(_Bounded, fields.Monetary):
    _to_value = Float._to_value


class Date(_Bounded, fields.Date):
    """
    :param bool is_plan: a day on which something is to be done, ten years ahead at
        most: planning looks at all days until then
    """

    bounds = (FIRST_DAY, LAST_DAY)
    is_plan = False
    _related_is_plan = property(attrgetter("is_plan"))

    def _get_bounds(self, env):
        lowest, highest = self.bounds
        # what planning works out from people's days may lie further ahead
        if self.is_plan and not env.su:
            highest = fields.Date.today() + relativedelta(years=YEARS_AHEAD)
        return lowest, highest

    def _format_bound(self, env, bound):
        return clock.format_day(env, bound)

    def _to_value(self, value):
        return fields.Date.to_date(value)


class _Text:
    """What a field of :mod:`odoo.fields` does about texts: control characters are left
    out, blanks alone say nothing, and nobody reads more than so much.

    :param int longest: number of characters
    """

    longest = LONGEST_TEXT
    _related_longest = property(attrgetter("longest"))

    def _clean(self, value, record):
        if not isinstance(value, str):
            return value
        text = clean_text(value)
        env, field = record.env, self._description_string(record.env)
        if not text and self.required:
            raise ValidationError(
                env._("“%s” says nothing: put it in words.", field),
            )
        if text and len(text) > self.longest:
            raise ValidationError(
                env._(
                    "“%(field)s” is too long: %(longest)s characters at most.",
                    field=field,
                    longest=self.longest,
                )
            )
        return text

    def write(self, records, value):
        return super().write(records, self._clean(value, records))

    def convert_to_column_insert(self, value, record, values=None, validate=True):
        value = self._clean(value, record)
        return super().convert_to_column_insert(value, record, values, validate)

    def convert_to_cache(self, value, record, validate=True):
        # An empty text stays one: core looks for what isn't set by comparing with it.
        if value and isinstance(value, str):
            value = clean_text(value)
        return super().convert_to_cache(value, record, validate)


class Char(_Text, fields.Char):
    longest = LONGEST_LINE


class Text(_Text, fields.Text):
    pass


def clean_text(value):
    """Return a text without control characters, False if nothing but blanks is left."""
    text = str(value or "").translate(CONTROL_CHARACTERS)
    return text if text.strip() else False


def to_day(env, value):
    """Return the day that a client named, None if it named none.

    :raise UserError: if it is no day, or one that is out of the calendar
    """
    try:
        day = fields.Date.to_date(value)
    except (AttributeError, TypeError, ValueError):
        day = None
    if value and not (day and FIRST_DAY <= day <= LAST_DAY):
        raise UserError(
            env._(
                "%(value)s is no day from %(first)s to %(last)s: write it as "
                "year-month-day.",
                value=value,
                first=FIRST_DAY.year,
                last=LAST_DAY.year,
            )
        )
    return day


def to_record(model, value):
    """Return the record that a client named by its id, an empty one if it named none.

    :raise UserError: if it is no id
    """
    if not value or isinstance(value, models.BaseModel):
        return value or model.browse()
    if type(value) is not int or not 0 < value <= MAX_ID:
        raise UserError(
            model.env._(
                "%(value)s is no id of “%(model)s”: choose it from the list.",
                value=value,
                model=model._description,
            )
        )
    return model.browse(value)


def to_values(model, values):
    """Return the values of a form that a client sent, {} if it sent none.

    :raise UserError: if they are no values, or one is none of its field
    """
    if values and not isinstance(values, dict):
        raise UserError(
            model.env._("What stands on the form must be sent as values by field.")
        )
    values = dict(values or {})
    check_values(model, [values])
    return values


def check_values(model, vals_list):
    """Refuse values that name records by what is no id, are no choice, or lie beyond
    their bounds: for models that look at values before they are written.

    :raise UserError: if there is one
    """
    for vals in vals_list:
        for name in vals.keys() & model._fields.keys():
            field = model._fields[name]
            if isinstance(field, _Bounded):
                field._check_bounds(vals[name], model)
            elif field.type == "many2one":
                to_record(model.env[field.comodel_name], vals[name])
            elif field.type == "selection":
                _check_choice(field, model.env, vals[name])
            elif field.type in ("many2many", "one2many"):
                _check_commands(field, model.env, vals[name])


def _check_choice(field, env, value):
    # what is no text and no number is no choice either
    is_known = not value or value in field.get_values(env)
    if not is_known or isinstance(value, (dict, list, tuple)):
        raise ValidationError(
            env._(
                "“%(value)s” is no choice of “%(field)s”.",
                value=value,
                field=field._description_string(env),
            )
        )


def _is_id(value):
    return type(value) is int and abs(value) <= MAX_ID


def _is_command(value):
    """Return whether a client says by ``value`` what becomes of which records."""
    if not isinstance(value, (list, tuple)):
        return False
    kind, id_, values = (*value, None, None, None)[:3]
    if not isinstance(kind, int) or kind not in list(Command):
        return False
    if kind == Command.SET:
        return isinstance(values, (list, tuple)) and all(map(_is_id, values))
    if kind in (Command.CREATE, Command.UPDATE) and not isinstance(values, dict):
        return False
    # a new line has whatever number the form gave it
    return kind in (Command.CREATE, Command.CLEAR) or _is_id(id_)


def _check_commands(field, env, value):
    is_known = not value or isinstance(value, models.BaseModel)
    if not is_known and isinstance(value, (list, tuple)):
        is_known = all(_is_id(item) or _is_command(item) for item in value)
    if not is_known:
        raise ValidationError(
            env._(
                "“%s” names no records: choose them from the list.",
                field._description_string(env),
            )
        )
