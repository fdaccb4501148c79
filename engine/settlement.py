"""What becomes of what was planned when a visit takes place.

Somebody was at the customer's: what was planned there, was missed or waits may have
taken place with it, be outdated, or stay. All of it is decided by ``TABLE``, whose rows
are read from above: the first that fits decides. No row knows a record; the adapter
tells what there is, and does what the row says.
"""

from enum import Enum
from typing import NamedTuple


class Event(Enum):
    """What happened."""

    DONE = "a planned visit was done"
    LOGGED = "a visit was logged that the cadence hadn't asked for"
    LATE = "a visit was noted late, in the place of a missed one"
    PROMISED = "the customer was promised a day or a theme"
    WITHDRAWN = "a promised day was taken back"


class Waits(Enum):
    """What there is of the same account on the same track."""

    MISSED = "missed"
    CADENCE = "planned by the cadence"
    PROMISED = "planned by the cadence, still on the promised day, without a meeting"
    PERSON = "planned or moved by a person"
    BACKLOG = "waiting in the backlog"
    NOTHING = "nothing"


class Fate(Enum):
    """What becomes of what there is."""

    STAYS = "stays"
    TAKEN = "becomes one with the visit, which keeps what was noted"
    REPLACED = "is closed with its notes; the visit gets its line and dates"
    CLOSED = "is closed"
    PROMISED = "gets the promised day and theme"
    FREED = "stays, and the cadence may move it"


class Reason(Enum):
    """What is said on what is closed."""

    VISITED = "visited"
    WITHDRAWN = "not promised any more"


class Plan(Enum):
    """What is planned anew."""

    CADENCE = "by the cadence"
    PROMISE = "for the promised day"


class Situation(NamedTuple):
    """What decides, about one visit and one thing that there is."""

    event: Event
    waits: Waits
    # Nobody has visited the account on this track since.
    is_latest: bool
    # The visit was made as early as the cadence allows, and not after the window of
    # what is missed.
    is_in_time: bool
    # The user may see what there is, or nobody is responsible for it.
    is_in_reach: bool
    # The company lets the cadence plan.
    is_planning: bool
    # A day that is still to come was promised.
    has_day: bool


class Outcome(NamedTuple):
    fate: Fate = Fate.STAYS
    reason: Reason | None = None
    plan: Plan | None = None
    # Its salesperson is told of the promise.
    is_told: bool = False


class When(NamedTuple):
    """Which situations a row is about: the values that fit, None for any."""

    event: tuple | None = None
    waits: tuple | None = None
    is_latest: bool | None = None
    is_in_time: bool | None = None
    is_in_reach: bool | None = None
    is_planning: bool | None = None
    has_day: bool | None = None

    def matches(self, situation):
        return all(
            wanted is None
            or (value in wanted if isinstance(wanted, tuple) else value is wanted)
            for wanted, value in zip(self, situation, strict=True)
        )


class Row(NamedTuple):
    story: str
    when: When
    outcome: Outcome


PLANNED = (Waits.CADENCE, Waits.PROMISED, Waits.PERSON)
# The account was visited, other than as planned.
UNPLANNED = (Event.LOGGED, Event.LATE)
LOGGED, PROMISED, WITHDRAWN = (Event.LOGGED,), (Event.PROMISED,), (Event.WITHDRAWN,)
MISSED, BACKLOG = (Waits.MISSED,), (Waits.BACKLOG,)

TABLE = (
    Row(
        "What was marked missed was made in time: it is noted late.",
        When(
            (Event.DONE, Event.LOGGED),
            MISSED,
            is_in_time=True,
            is_in_reach=True,
        ),
        Outcome(Fate.TAKEN),
    ),
    Row(
        "A colleague made it: the notes stay with whose visit it was.",
        When((Event.DONE, Event.LOGGED), MISSED, is_in_time=True),
        Outcome(Fate.REPLACED, Reason.VISITED),
    ),
    Row(
        "Another day than it was missed on: it stays missed.",
        When(waits=MISSED),
        Outcome(),
    ),
    Row(
        "Somebody was there since: what is planned goes on from that visit.",
        When(is_latest=False),
        Outcome(),
    ),
    Row(
        "The planned visit was done: what is planned now follows it.",
        When((Event.DONE,)),
        Outcome(),
    ),
    Row(
        "The planned visit was due: it took place, just not as planned.",
        When(LOGGED, PLANNED, is_in_time=True, is_in_reach=True, is_planning=True),
        Outcome(Fate.TAKEN, plan=Plan.CADENCE),
    ),
    Row(
        "The same where the cadence doesn't plan.",
        When(LOGGED, PLANNED, is_in_time=True, is_in_reach=True),
        Outcome(Fate.TAKEN),
    ),
    Row(
        "A colleague's was due: it need not take place, its notes stay there.",
        When(LOGGED, PLANNED, is_in_time=True, is_planning=True),
        Outcome(Fate.REPLACED, Reason.VISITED, Plan.CADENCE),
    ),
    Row(
        "The same where the cadence doesn't plan.",
        When(LOGGED, PLANNED, is_in_time=True),
        Outcome(Fate.REPLACED, Reason.VISITED),
    ),
    Row(
        "What the cadence planned is outdated: it goes on from this visit.",
        When(UNPLANNED, (Waits.CADENCE,), is_planning=True),
        Outcome(Fate.CLOSED, Reason.VISITED, Plan.CADENCE),
    ),
    Row(
        "What waits in the backlog is planned from this visit on.",
        When(UNPLANNED, BACKLOG, is_planning=True),
        Outcome(plan=Plan.CADENCE),
    ),
    Row(
        "What a person planned or moved stays, and where nothing plans, all does.",
        When(UNPLANNED),
        Outcome(),
    ),
    Row(
        "A colleague's next visit isn't moved: the colleague is told.",
        When(PROMISED, (*PLANNED, Waits.BACKLOG), is_in_reach=False),
        Outcome(is_told=True),
    ),
    Row(
        "The next visit is brought to what was promised.",
        When(PROMISED, PLANNED),
        Outcome(Fate.PROMISED),
    ),
    Row(
        "None is planned: it is, for that day.",
        When(PROMISED, has_day=True),
        Outcome(plan=Plan.PROMISE),
    ),
    Row(
        "The day isn't promised any more: the cadence chooses one.",
        When(WITHDRAWN, (Waits.PROMISED,), is_in_reach=True, is_planning=True),
        Outcome(Fate.CLOSED, Reason.WITHDRAWN, Plan.CADENCE),
    ),
    Row(
        "The same where the cadence doesn't plan: it has nothing better.",
        When(WITHDRAWN, (Waits.PROMISED,), is_in_reach=True),
        Outcome(Fate.FREED),
    ),
    Row(
        "All else stays: a theme waits for a visit, a day that was moved since or "
        "has a meeting is a person's.",
        When(),
        Outcome(),
    ),
)


def find_row(situation: Situation) -> Row:
    """Return the first row that fits."""
    return next(row for row in TABLE if row.when.matches(situation))


def decide(situation: Situation) -> Outcome:
    """Return what becomes of what there is."""
    return find_row(situation).outcome


def print_table() -> str:
    """Return the table in Markdown, as ``docs/architecture.md`` has it. An empty cell
    fits anything."""
    lines = [
        [
            "how a salesperson would tell it",
            "what happened",
            "what there is",
            "latest",
            "in time",
            "in reach",
            "planning",
            "day to come",
            "what becomes of it",
            "planned anew",
            "told",
        ]
    ]
    lines.append(["---"] * len(lines[0]))
    for number, (story, when, outcome) in enumerate(TABLE, start=1):
        fate = outcome.fate.value
        if outcome.reason:
            fate = f"{fate}: {outcome.reason.value}"
        lines.append(
            [
                f"{number}. {story}",
                *map(_print_values, when),
                fate,
                outcome.plan.value if outcome.plan else "",
                "its salesperson" if outcome.is_told else "",
            ]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _print_values(wanted):
    if isinstance(wanted, tuple):
        return "; ".join(value.name.lower() for value in wanted)
    return {None: "", True: "yes", False: "no"}[wanted]
