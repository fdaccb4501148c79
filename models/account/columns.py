"""Fields that aren't stored, and that SQL has a column for all the same."""

from odoo import fields
from odoo.fields import Domain

# Where a search method doesn't know them, core makes the opposites of the others, and
# refuses the rest with a sentence.
HIERARCHICAL_OPERATORS = {"child_of", "parent_of"}
INDIRECT_OPERATORS = {*Domain.NEGATIVE_OPERATORS, *HIERARCHICAL_OPERATORS}


def search_column(name):
    """Return a search method for the field ``name``, which has a column in SQL: it
    gives back the same condition, by which domains treat a field as a column."""

    def search(self, operator, value):
        if operator in HIERARCHICAL_OPERATORS:
            return NotImplemented
        return Domain(name, operator, value)

    return search


class Column:
    """What a field of :mod:`odoo.fields` does to be an SQL expression: lists search,
    sort and group by it.

    Core asks each field of a query for its column. The other fields of the model hear
    nothing of it, as they would of an overridden ``_field_to_sql``.

    :param str sql: name of the model's method that returns the expression, for the
        alias of the model's table and the field's name
    """

    sql = None

    def to_sql(self, model, alias):
        return getattr(model, self.sql)(alias, self.name)


class Char(Column, fields.Char):
    pass


class Date(Column, fields.Date):
    pass


class Float(Column, fields.Float):
    pass


class Integer(Column, fields.Integer):
    pass


class Many2one(Column, fields.Many2one):
    pass
