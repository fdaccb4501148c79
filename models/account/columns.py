"""Fields that aren't stored, and that SQL has a column for all the same."""

from odoo import fields
from odoo.fields import Domain
from odoo.tools import SQL

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


def is_among(path, query, column):
    """Return the domain of those whose ``path`` is among the numbers of a query.

    PostgreSQL looks through all numbers of ``IN`` for each row where it stands behind
    an OR or a NOT and they are more than fit into its memory; asked for one, as here,
    it looks it up.

    :param str path: a field, or one of the record that a field refers to
    :param query: :class:`odoo.tools.Query`, or SQL in parentheses
    :param str column: of the query
    """

    def to_sql(model, alias, outer):
        *fields_before, name = path.split(".")
        for each in fields_before:
            comodel = model.env[model._fields[each].comodel_name]
            found = outer.make_alias(alias, each)
            same = (model._field_to_sql(alias, each), SQL.identifier(found, "id"))
            outer.add_join("LEFT JOIN", found, comodel._table, SQL("%s = %s", *same))
            model, alias = comodel, found
        numbers = query
        if not isinstance(query, SQL):
            numbers = query.subselect(SQL.identifier(query.table, column))
        return SQL(
            "EXISTS (SELECT FROM %s AS among WHERE among.%s = %s)",
            numbers,
            SQL.identifier(column),
            model._field_to_sql(alias, name, outer),
        )

    return Domain.custom(to_sql=to_sql)


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
