from contextlib import contextmanager

from odoo import api, models
from odoo.tools import SQL

from . import features


class KeyAccountShown(models.AbstractModel):
    """What lists offer. A field with ``is_internal=True`` is read by code alone: nobody
    searches, groups or exports by it. Nor by what the company doesn't use. Groups by a
    selection come in its order: levels from the lowest, not by the alphabet."""

    _name = "key.account.shown"
    _description = "What Lists Offer"

    # {switch: names of the fields that go with it}
    _switched_fields = {}

    @api.model
    def _valid_field_parameter(self, field, name):
        return name == "is_internal" or super()._valid_field_parameter(field, name)

    @api.model
    def fields_get(self, allfields=None, attributes=None):
        descriptions = super().fields_get(allfields, attributes)
        for name, description in descriptions.items():
            if getattr(self._fields[name], "is_internal", False):
                for key in ("searchable", "groupable", "exportable"):
                    if key in description:
                        description[key] = False
        return features.hide(self.env, descriptions, self._switched_fields)

    def _read_group_orderby(self, order, groupby_terms, query):
        with sorted_selections(self, groupby_terms) as terms:
            return super()._read_group_orderby(order, terms, query)


@contextmanager
def sorted_selections(model, groupby_terms, names=None):
    """While a model says how its groups are sorted: give it, for selections, their
    place in the selection.

    :param dict groupby_terms: {term: SQL}, which the model may add to
    :param names: only these fields; None: all
    """
    ordered = {}
    for term, sql in groupby_terms.items():
        field = model._fields.get(term)
        if field and field.type == "selection" and (names is None or term in names):
            ordered[term] = SQL(
                "ARRAY_POSITION(%s, %s::text)", field.get_values(model.env), sql
            )
    terms = {**groupby_terms, **ordered}
    yield terms
    groupby_terms.update(
        (term, sql) for term, sql in terms.items() if term not in ordered
    )


def open_partner(record):
    """Return the action that opens the customer of a row."""
    record.ensure_one()
    return {
        "type": "ir.actions.act_window",
        "res_model": "res.partner",
        "res_id": record.partner_id.id,
        "view_mode": "form",
    }


def open_dialog(name, model, **defaults):
    """Return the action that opens a dialog: the form of a new record of ``model``.

    :param str name: the title
    :param defaults: what the form begins with
    """
    return {
        "type": "ir.actions.act_window",
        "name": name,
        "res_model": model,
        "view_mode": "form",
        "target": "new",
        "context": {f"default_{key}": value for key, value in defaults.items()},
    }
