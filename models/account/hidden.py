"""What exists, but not for everybody."""

from odoo.fields import Domain


def search_shown(name, operator, value):
    """Search by the x2many field ``name`` as by what the reader may read of it. Core
    asks whether there is anything, or one of these ids, as superuser: ``!= False``
    would tell of what is hidden.

    For the field's search method; one that gives back its own condition leaves the
    condition to core.
    """
    if operator in Domain.NEGATIVE_OPERATORS:
        return NotImplemented
    if operator != "in" or not hasattr(value, "__iter__"):
        return Domain(name, operator, value)
    found = Domain(name, "any", Domain("id", "in", [id_ for id_ in value if id_]))
    if False in value:
        found |= ~Domain(name, "any", Domain.TRUE)
    return found
