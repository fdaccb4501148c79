"""Fields that aren't stored, and that SQL has a column for all the same."""

from odoo import fields


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


class Date(Column, fields.Date):
    pass


class Float(Column, fields.Float):
    pass


class Integer(Column, fields.Integer):
    pass
