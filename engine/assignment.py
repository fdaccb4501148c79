"""Who is to serve an account: salespeople compared on plain values.

A salesperson who has less seniority than the tier asks for is never suggested. Of the
others the first one wins, by

1. free capacity: who can take the account on goes before who is full already;
2. trainees train: at low-value accounts, they go before a nearer colleague;
3. area: who serves accounts in the same postal-code area, else in the same city, state
   or country, goes before who serves none there;
4. training: at low-value accounts, the least experienced of the others;
5. past contact: more visits there, then more leads and orders;
6. area again: more accounts there;
7. more free capacity;
8. the lower id, so that equal input gives equal suggestions.

Accounts are handled one after another, the best first, and whoever is suggested has
less free capacity for the next one: a list doesn't pile up on one person.
"""

from collections import Counter
from typing import NamedTuple

# The lowest seniority
TRAINEE = 1
# So many characters of the postal code name an area: 20457 and 20459 are 20, LS1 4HR
# and LS2 are LS.
POSTAL_PREFIX = 2


class Place(NamedTuple):
    """Where an account is; empty what isn't known."""

    country: int | None = None
    state: int | None = None
    city: str | None = None
    postal_code: str | None = None

    def get_areas(self):
        """Return ``[(kind, key)]``, the narrowest area first."""
        areas = []
        code = "".join((self.postal_code or "").split()).upper()
        if code:
            prefix = code[:POSTAL_PREFIX]
            areas.append(("postal_code", (self.country, prefix)))
        city = (self.city or "").strip().casefold()
        if city:
            areas.append(("city", (self.country, city)))
        if self.state:
            areas.append(("state", (self.state,)))
        if self.country:
            areas.append(("country", (self.country,)))
        return areas


class Rep(NamedTuple):
    """A salesperson. Capacity and demand are visits per week."""

    id: int
    seniority: int
    capacity: float
    demand: float


class Account(NamedTuple):
    """An account that looks for a salesperson.

    ``min_seniority`` is the least one that the tier asks for, 0 for anybody;
    ``is_training`` tells a tier at which new salespeople train; ``demand`` are visits
    per week; ``user_id`` whoever serves it now; ``visits`` and ``documents`` count past
    contacts per salesperson.
    """

    id: int
    min_seniority: int
    is_training: bool
    demand: float
    place: Place
    user_id: int | None = None
    visits: dict = {}
    documents: dict = {}


class Suggestion(NamedTuple):
    """``rep_id`` is None where nobody has the seniority. ``free`` are the visits per
    week that the salesperson had left before this account, negative when over
    capacity."""

    rep_id: int | None
    area: str | None = None
    neighbours: int = 0
    visits: int = 0
    documents: int = 0
    free: float = 0.0
    is_full: bool = False
    is_trainee: bool = False


def count_areas(served):
    """Return a counter of accounts per salesperson and area.

    :param served: pairs of a salesperson's id and a :class:`Place`
    """
    counts = Counter()
    for rep_id, place in served:
        for kind, key in place.get_areas():
            counts[rep_id, kind, key] += 1
    return counts


def suggest(accounts, reps, areas):
    """Return ``{account id: Suggestion}``.

    :param accounts: :class:`Account` values, the best first
    :param reps: :class:`Rep` values; their order doesn't matter
    :param areas: what :func:`count_areas` returned
    """
    demand = {rep.id: rep.demand for rep in reps}
    least = min((rep.seniority for rep in reps), default=0)
    result = {}
    for account in accounts:
        best = None
        for rep in reps:
            if rep.seniority < account.min_seniority:
                continue
            suggestion, key = _rate(account, rep, demand[rep.id], areas, least)
            if best is None or key < best[0]:
                best = key, suggestion
        result[account.id] = suggestion = best[1] if best else Suggestion(None)
        if suggestion.rep_id:
            if account.user_id in demand:
                demand[account.user_id] -= account.demand
            demand[suggestion.rep_id] += account.demand
    return result


def _rate(account, rep, demand, areas, least):
    """Return the suggestion of ``rep``, and what it is compared by: the lowest wins."""
    kinds = account.place.get_areas()
    area, neighbours, distance = None, 0, len(kinds)
    for number, (kind, key) in enumerate(kinds):
        if neighbours := areas[rep.id, kind, key]:
            area, distance = kind, number
            break
    # rounded: sums of the same intervals in another order are the same
    free = round(rep.capacity - demand, 6)
    is_full = free < round(account.demand, 6)
    visits = account.visits.get(rep.id, 0)
    documents = account.documents.get(rep.id, 0)
    key = (
        is_full,
        account.is_training and rep.seniority > TRAINEE,
        distance,
        rep.seniority if account.is_training else 0,
        -visits,
        -documents,
        -neighbours,
        -free,
        rep.id,
    )
    is_trainee = account.is_training and rep.seniority == least
    return (
        Suggestion(
            rep.id, area, neighbours, visits, documents, free, is_full, is_trainee
        ),
        key,
    )
