"""Fields of customers that show what was decided about their account: their columns in
SQL are those of the account in the current company."""

from odoo import fields

from . import bounds
from .columns import Column


class JoinedAccount(str):
    """The alias of an account that a query has beside its customer."""


class _Decision(Column):
    sql = "_get_decision_sql"

    def condition_to_sql(self, field_expr, operator, value, model, alias, query):
        # Few accounts, of many customers: PostgreSQL begins with them.
        alias = model._join_key_account(alias, query)
        return super().condition_to_sql(
            field_expr, operator, value, model, alias, query
        )


class Boolean(_Decision, fields.Boolean):
    pass


class Char(_Decision, bounds.Char):
    pass


class Date(_Decision, bounds.Date):
    pass


class Float(_Decision, bounds.Float):
    pass


class Integer(_Decision, bounds.Integer):
    pass


class Many2one(_Decision, fields.Many2one):
    pass


class Selection(_Decision, fields.Selection):
    pass
