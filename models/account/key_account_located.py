from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from . import columns
from .columns import INDIRECT_OPERATORS


class KeyAccountLocated(models.AbstractModel):
    """Where the customer is, or the lead while it has none: lists are searched, sorted
    and grouped by it."""

    _name = "key.account.located"
    _inherit = "key.account.shown"
    _description = "Address"

    # sudo: whoever may read the row may know where it is
    city = columns.Char(
        sql="_get_area_sql",
        compute="_compute_area",
        search="_search_city",
        compute_sudo=True,
    )
    country_id = columns.Many2one(
        "res.country",
        sql="_get_area_sql",
        compute="_compute_area",
        search="_search_country_id",
        compute_sudo=True,
    )

    def _get_document_names(self):
        """Return the names of the fields that say who it is: the first one that isn't
        empty."""
        return ["partner_id"]

    def _get_document(self):
        """Return who it is: the first of these that isn't empty."""
        return self.partner_id

    # Not by the customer's address: to look who lives there costs each change of one.
    @api.depends(lambda self: self._get_document_names())
    def _compute_area(self):
        for record in self:
            document = record._get_document()
            record.city = document.city
            record.country_id = document.country_id

    def _search_city(self, operator, value):
        return self._search_area("city", operator, value)

    def _search_country_id(self, operator, value):
        return self._search_area("country_id", operator, value)

    def _search_area(self, name, operator, value):
        if operator in INDIRECT_OPERATORS:
            return NotImplemented
        # sudo ("any!"): as it is computed
        there, found, before = Domain(name, operator, value), Domain.FALSE, Domain.TRUE
        for document in self._get_document_names():
            found |= before & Domain(document, "any!", there)
            before &= Domain(document, "=", False)
        return found

    def _get_area_sql(self, alias, name):
        """Return the customer's field ``name``, or the lead's, as an SQL expression."""
        whens = []
        for document in self._get_document_names():
            model = self.env[self._fields[document].comodel_name]
            id_ = self._field_to_sql(alias, document)
            whens.append(
                SQL(
                    "WHEN %(id)s IS NOT NULL THEN"
                    " (SELECT %(name)s FROM %(table)s WHERE id = %(id)s)",
                    id=id_,
                    name=SQL.identifier(name, to_flush=model._fields[name]),
                    table=SQL.identifier(model._table),
                )
            )
        return SQL("CASE %s END", SQL(" ").join(whens))
