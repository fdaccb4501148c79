"""Whom to see next in a customer's buying centre.

A cell is a pair of a buying role and a decision level; None stands for any. Everything
here works on plain values, so that it is tested without a database.
"""

from datetime import date
from typing import NamedTuple


class Contact(NamedTuple):
    """A person at the customer's: ids of the buying roles, decision level, and the day
    of the last visit at which the person was met."""

    id: int
    roles: frozenset
    level: str | None
    last_met: date | None


def matches(contact: Contact, cell) -> bool:
    """Return whether the contact stands in the cell."""
    role, level = cell
    return (role is None or role in contact.roles) and (
        level is None or level == contact.level
    )


def choose_target(cells, contacts, executive=False):
    """Return ``(cell, contact)``: the cell that was seen longest ago, and in it the
    contact that was met longest ago; ``(cell, None)`` with the first cell if there is
    nobody in any of them; None if there is nothing to choose from.

    Cells without a contact come last: nobody can be seen there yet. Among equals the
    first cell and the lowest id win.

    :param cells: the required cells, in their order
    :param contacts: those who can be met: neither archived nor gone
    :param executive: an executive sees the top level and nobody else, be it in a
        required cell or not
    """
    cells = list(cells)
    if executive:
        tops = [contact for contact in contacts if contact.level == "top"]
        return (
            _choose(cells, tops)
            or _choose([(None, "top")], tops)
            or (cells and ((None, "top"), None))
            or None
        )
    return _choose(cells, contacts) or (cells and (cells[0], None)) or None


def _choose(cells, contacts):
    best = None
    for position, cell in enumerate(cells):
        inside = [contact for contact in contacts if matches(contact, cell)]
        if not inside:
            continue
        seen = max(contact.last_met or date.min for contact in inside)
        if best is None or (seen, position) < best[0]:
            contact = min(inside, key=lambda c: (c.last_met or date.min, c.id))
            best = (seen, position), (cell, contact)
    return best and best[1]
