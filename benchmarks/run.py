"""The benchmark of crm_key_account: `make bench`, `make bench SIZE="100k 1m"`.

Measures in pairs, A B A B ..., because machines are noisy: what counts are the ratios
of neighbours, and of these the median. Nothing that is measured is committed.
See docs/performance.md for what is measured and for results.
"""

import argparse
import gc
import logging
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial

from odoo.tools import config

SIZES = ("10k", "100k", "1m")
# Pairs of a measurement, from so many customers on
ROUNDS = ((0, 5), (50_000, 3), (500_000, 1))
# They take so little time that a neighbour disturbs a pair easily
SCREEN_ROUNDS = 60
# Those of a manager who looks at a million customers take half a minute
OWN_SCREEN_ROUNDS = ((0, 10), (500_000, 2))
# From 100,000 customers to ten times as many
GROWTH_GOAL = 1.3
REFERENCE = "`_read_group` of the invoice analysis"
# Visits a day that leave room for about 400, and about 4,000, beside full agendas
FEW, MANY = 9, 40
# A run's peak of memory above an idle process
MEMORY_GOAL = 512
MEGABYTE = 1 << 20
# Customers whose visits are measured one by one
BATCH = 2000


@dataclass
class Measurement:
    """One line of the table: ``ours`` against ``theirs``, in pairs."""

    name: str
    against: str
    goal: float | None = None
    ours: list = field(default_factory=list)
    theirs: list = field(default_factory=list)
    queries: list = field(default_factory=list)
    # How much was done, for those whose work isn't given
    note: str = ""
    size: object = None

    @property
    def ratios(self):
        return [our / their for our, their in zip(self.ours, self.theirs, strict=True)]

    @property
    def figure(self):
        return statistics.median(self.ratios)

    @property
    def more_queries(self):
        return max((ours - theirs for ours, theirs in self.queries), default=0)

    @property
    def is_met(self):
        return self.figure <= self.goal and self.more_queries <= 2

    @property
    def goal_text(self):
        if not self.goal:
            return "–"
        return f"≤ {self.goal:g}" + (", +2 queries" if self.queries else "")

    @property
    def figure_text(self):
        text = f"{self.figure:.3g}"
        if self.queries:
            ours, theirs = self.queries[-1]
            text += f", {theirs} → {ours} queries"
        return text

    @property
    def detail(self):
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        note = f" ({self.note})" if self.note else ""
        return (
            f"{min(self.ratios):.3g} to {max(self.ratios):.3g}; "
            f"{_time(ours)} / {_time(theirs)}{note}"
        )

    def cells(self, growth):
        """Return the cells of the table.

        :param growth: this figure divided by that of the size before, or None
        """
        reached = "–"
        if self.goal:
            reached = "reached" if self.is_met else "**not reached**"
        growth_text = ""
        if growth:
            growth_text = f"{growth:.2f} ×"
            if self.size.customers == 1_000_000:
                goal = "" if growth <= GROWTH_GOAL else ": **not reached**"
                growth_text += f" (≤ {GROWTH_GOAL:g}{goal})"
        return [
            self.name,
            self.against,
            self.size.label,
            self.goal_text,
            self.figure_text,
            reached,
            growth_text,
            self.detail,
        ]


class Memory(Measurement):
    """A line in megabytes, whatever the speed."""

    @property
    def figure(self):
        return max(self.ours)

    @property
    def goal_text(self):
        return f"≤ {self.goal} MB"

    @property
    def figure_text(self):
        return f"{self.figure:.0f} MB"

    @property
    def detail(self):
        return ""


def _time(seconds):
    if seconds >= 1:
        return f"{seconds:.2f} s"
    if seconds >= 0.001:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1e6:.0f} µs"


def timed(name, function, **environment):
    """Time a function of an environment in a transaction that is rolled back; return
    the seconds, the number of queries and what the function returned."""
    with databases.environment(name, **environment) as env:
        # The first statement opens the connection
        env.cr.execute("SELECT 1")
        env.user.has_group("base.group_user")
        return clocked(env, function)


def clocked(env, function):
    """Time a function in a transaction that has begun; see :func:`timed`."""
    gc.collect()
    queries = env.cr.sql_log_count
    start = time.perf_counter()
    result = function(env)
    env.flush_all()
    seconds = time.perf_counter() - start
    return seconds, env.cr.sql_log_count - queries, result


def reference(name):
    """Time what everything is compared with."""
    return statistics.median(timed(name, usage.read_report)[0] for _ in range(3))


# ---------------------------------------------------------------------------
# The tiering run
# ---------------------------------------------------------------------------
def measure_runs(size, rounds):
    first = Measurement("First run, relationships and effort included", REFERENCE, 8)
    second = Measurement("Run right after a first run", REFERENCE, 4)
    again = Measurement("Run with nothing changed", REFERENCE, 4)
    databases.say(f"{size.label}: {first.name}, and another")
    # what a process does once, such as to import
    reference(size.clean)
    for _ in range(rounds):
        their = reference(size.clean)
        with databases.environment(size.clean) as env:
            for measurement in (first, second):
                seconds, _, changes = clocked(env, usage.run_policy)
                measurement.ours.append(seconds)
                measurement.theirs.append(their)
                measurement.note = f"{changes:,} changes"
        # What was rolled back has to go before the next round
        databases.clean_up(size.clean)
    databases.say(f"{size.label}: {again.name}")
    for _ in range(rounds):
        again.theirs.append(reference(size.live))
        seconds, _, changes = timed(size.live, usage.run_policy)
        again.ours.append(seconds)
        again.note = f"{changes:,} changes"
        databases.clean_up(size.live)
    return [first, second, again]


def measure_scorecard(size, rounds):
    """The same run by the value scorecard and by Pareto, and what both measure of how
    accounts trade."""
    pareto = "the same by Pareto"
    lines = [
        (Measurement("First run by the value scorecard", pareto, 1.5), size.clean),
        (Measurement("Another one, nothing changed", pareto, 1.5), size.live),
    ]
    trade = Measurement("How all accounts trade, in a first run", REFERENCE, 1)
    for measurement, name in lines:
        databases.say(f"{size.label}: {measurement.name}")
        for _ in range(rounds):
            for seconds, prepare in (
                (measurement.theirs, None),
                (measurement.ours, usage.use_scorecard),
            ):
                with databases.environment(name) as env:
                    if prepare:
                        prepare(env)
                    if name == size.live:
                        # What the tiers moved moves coverage, and that the scores.
                        for _settling in range(2):
                            usage.run_policy(env)
                    seconds.append(clocked(env, usage.run_policy)[0])
                databases.clean_up(name)
    databases.say(f"{size.label}: {trade.name}")
    for _ in range(rounds):
        trade.theirs.append(reference(size.live))
        trade.ours.append(timed(size.live, usage.measure_trade)[0])
    return [measurement for measurement, _name in lines] + [trade]


def measure_night(size, rounds):
    night = Measurement("Night after a day that touched 1,000 accounts", REFERENCE, 1.5)
    databases.say(f"{size.label}: {night.name}")
    theirs = [reference(size.live) for _ in range(rounds)]
    with databases.environment(size.live) as env:
        usage.work_a_day(env)
        with usage.tomorrow():
            for their in theirs:
                env.invalidate_all()
                with env.cr.savepoint(flush=False) as savepoint:
                    night.ours.append(clocked(env, usage.run_night)[0])
                    night.theirs.append(their)
                    savepoint.rollback()
    databases.clean_up(size.live)
    return [night]


# ---------------------------------------------------------------------------
# Planning
# ---------------------------------------------------------------------------
def measure_planning(size, rounds):
    result = []
    for name, goal, capacity in (
        ("`_generate`, agendas full", 1, None),
        ("`_generate`, about 400 visits", 5, FEW),
        ("`_generate`, about 4,000 visits", 5, MANY),
    ):
        measurement = Measurement(name, REFERENCE, goal)
        databases.say(f"{size.label}: {name}")
        for _ in range(rounds):
            measurement.theirs.append(reference(size.live))
            seconds, _, visits = timed(
                size.live, partial(usage.generate, capacity=capacity)
            )
            measurement.ours.append(seconds)
            measurement.note = f"{len(visits):,} visits"
            databases.clean_up(size.live)
        result.append(measurement)
    return result


# ---------------------------------------------------------------------------
# Visits
# ---------------------------------------------------------------------------
def measure_visits(size, rounds):
    """Visits of customers for whom there is room, by the visit."""
    schedule = Measurement(
        "A generated visit with its activity",
        "`activity_schedule` for another user, one call per record",
        1 / 20,
    )
    together = Measurement(schedule.name, "the same, one call for all records", 1 / 20)
    plain = Measurement(schedule.name, "SQL inserts of the same rows")
    name = size.live
    batch = min(BATCH, size.customers // 4)
    few = min(200, batch)
    databases.say(f"{size.label}: {batch:,} customers' visits")

    def generate(env):
        # room for all of them: what fits on no day costs no visit
        partners = usage.batch_customers(env, batch)
        return usage.generate(env, partners, capacity=100, horizon=365)

    def generated_rows(env):
        visits = generate(env)
        if not visits:
            sys.exit("No visits were made.")
        return len(visits), [
            usage.read_rows(env, "key_account_visit", visits.ids),
            usage.read_rows(env, "mail_activity", visits.activity_id.ids),
        ]

    def schedule_each(env):
        user = env.ref("base.user_admin")
        for partner in usage.batch_customers(env, batch)[:few]:
            partner.activity_schedule(
                "mail.mail_activity_data_todo", summary="Visit", user_id=user.id
            )

    def schedule_all(env):
        user = env.ref("base.user_admin")
        usage.batch_customers(env, batch)[:few].activity_schedule(
            "mail.mail_activity_data_todo", summary="Visit", user_id=user.id
        )

    made, rows = timed(name, generated_rows)[2]
    timed(name, schedule_each)
    for _ in range(rounds):
        databases.clean_up(name)
        ours, queries, _ = timed(name, generate)
        each = timed(name, schedule_each)[0] / few
        all_ = timed(name, schedule_all)[0] / few
        inserts = timed(name, lambda env: usage.insert_rows(env, rows))[0] / made
        for measurement, theirs in (
            (schedule, each),
            (together, all_),
            (plain, inserts),
        ):
            measurement.ours.append(ours / made)
            measurement.theirs.append(theirs)
    databases.clean_up(name)
    schedule.note = f"{made:,} visits, {queries / made:.3f} queries each"
    return [schedule, together, plain]


# ---------------------------------------------------------------------------
# Screens
# ---------------------------------------------------------------------------
def prepare_screens(name, get_user, get_screens):
    """Prepare screens as a user.

    :return: the arguments of :func:`timed`, and the screens
    """
    with databases.environment(name) as env:
        user = get_user(env)
        arguments = {
            "uid": user.id,
            "context": {
                "allowed_company_ids": data.company_of(env).ids,
                "lang": "en_US",
                "tz": user.tz,
            },
        }
    with databases.environment(name, **arguments) as env:
        return arguments, [screen.prepare(env) for screen in get_screens(user.id)]


def measure_screens(size, rounds):
    databases.say(f"{size.label}: screens")
    names = {"theirs": size.plain, "ours": size.live}
    prepared = {}
    for side, name in names.items():
        arguments, prepared[side] = prepare_screens(
            name, usage.salesperson, screens.get_screens
        )
        with databases.environment(name) as env:
            records = usage.records_to_open(env, usage.salesperson(env))
    result = []
    for position, screen in enumerate(prepared["ours"]):
        goal = 1.1 if screen.view_type == "kanban" else 1.3
        measurement = Measurement(f"Opening the {screen.name}", "without addon", goal)
        ids = records.get(screen.model, [None])
        for number in range(-2, max(rounds, SCREEN_ROUNDS)):
            record_id = ids[number % len(ids)] if screen.view_type == "form" else None
            seconds = {}
            queries = {}
            shown = {}
            for side, name in names.items():
                seconds[side], queries[side], shown[side] = timed(
                    name,
                    lambda env, screen=prepared[side][position], record_id=record_id: (
                        screen.open(env, record_id)
                    ),
                    **arguments,
                )
            if shown["ours"] != shown["theirs"] or not shown["ours"]:
                sys.exit(f"The {screen.name} shows different records: {shown}.")
            if number >= 0:
                measurement.ours.append(seconds["ours"])
                measurement.theirs.append(seconds["theirs"])
                measurement.queries.append((queries["ours"], queries["theirs"]))
        result.append(measurement)
    return result


def measure_own_screens(size, rounds):
    databases.say(f"{size.label}: our own screens")
    return open_own_screens(size, size.live, rounds)


def open_own_screens(size, name, rounds, text=""):
    """Open our own screens in a database, as a salesperson and as a manager, beside the
    list of customers without the addon.

    :param text: what the names of the measurements end with
    """
    result = []
    own_rounds = _get_for(size, OWN_SCREEN_ROUNDS)
    for get_user in (usage.salesperson, usage.manager):
        role, is_manager = get_user.__name__, get_user is usage.manager
        usual = prepare_screens(size.plain, get_user, lambda _: [screens.CUSTOMERS])
        arguments, own = prepare_screens(
            name,
            get_user,
            partial(screens.get_own_screens, is_manager=is_manager),
        )
        for screen in own:
            measurement = Measurement(
                f"Opening the {screen.name} as {role}{text}",
                "the partner list without addon",
            )
            # what a process does once is done before
            for number in range(-1, max(rounds, own_rounds)):
                their, queries, _ = timed(size.plain, usual[1][0].open, **usual[0])
                our, more, shown = timed(name, screen.open, **arguments)
                if number >= 0:
                    measurement.theirs.append(their)
                    measurement.ours.append(our)
                    measurement.queries.append((more, queries))
                    measurement.note = f"{shown:,} shown"
            result.append(measurement)
    return result


# ---------------------------------------------------------------------------
# Many salespeople
# ---------------------------------------------------------------------------
def measure_reps(size, rounds):
    """Nights of as many salespeople as there are thousands of customers, in a copy of
    the database that is dropped in the end: the first one plans for empty agendas,
    each next one for a day more."""
    count = size.salespeople or size.customers // 1000
    count = max(count, data.SALESPEOPLE)
    people = f"{count:,} salespeople"
    first = Measurement("First planning for many salespeople", REFERENCE)
    full = Measurement("Planning for many salespeople, agendas full", REFERENCE)
    day = Measurement("Planning a day more for many salespeople", REFERENCE)
    databases.say(f"{size.label}: {people}")
    databases.copy(size.live, size.reps)
    try:
        with databases.environment(size.reps) as env:
            usage.hire(env, count)
            env.cr.commit()
        databases.vacuum(size.reps)

        def plan(measurement, days=0):
            measurement.theirs.append(reference(size.reps))
            with usage.day(days):
                seconds, queries, made = timed(size.reps, usage.plan_night)
            measurement.ours.append(seconds)
            measurement.note = f"{people}, {made:,} visits, {queries:,} queries"
            # as autovacuum does until the next night
            databases.vacuum(size.reps)

        plan(first)
        for _ in range(rounds):
            plan(full)
        opened = open_own_screens(size, size.reps, rounds, ", many salespeople")
        # Monday to Friday
        for number in range(1, rounds + 1):
            plan(day, number)
    finally:
        databases.drop(size.reps)
    return [first, full, day, *opened]


# ---------------------------------------------------------------------------
# Portfolio
# ---------------------------------------------------------------------------
def measure_portfolio(size, rounds):
    """Against a stock pivot of the same invoices: of the policy's window, whose figures
    are on the accounts, and of a period that is read from the books."""
    databases.say(f"{size.label}: the portfolio")
    last = date.today()
    year = {"date_from": str(last - timedelta(days=364)), "date_to": str(last)}
    result = []
    for name, filters in (
        ("Opening the portfolio", {}),
        ("Opening the portfolio of another period", year),
    ):
        measurement = Measurement(name, "a pivot of the invoice analysis", 3)
        # as a manager who has opened it before: what a process does once is done
        for number in range(-1, max(rounds, 5)):
            their = timed(size.live, usage.read_pivot)[0]
            our, queries, count = timed(
                size.live, partial(usage.open_portfolio, **filters)
            )
            if number >= 0:
                measurement.theirs.append(their)
                measurement.ours.append(our)
                measurement.note = f"{count:,} accounts, {queries} queries"
        result.append(measurement)
    return result


def measure_preview(size, rounds):
    """What a policy would do, from the click on the button to the lines that are shown:
    with other shares, and by the value scorecard."""
    result = []
    for name, get_values in (
        ("Preview of other shares", usage.get_other_shares),
        ("Preview of the value scorecard", usage.get_scorecard),
    ):
        databases.say(f"{size.label}: {name}")
        measurement = Measurement(name, REFERENCE, None)
        for _ in range(rounds):
            measurement.theirs.append(reference(size.live))
            our, queries, count = timed(
                size.live, partial(usage.preview, get_values=get_values)
            )
            measurement.ours.append(our)
            measurement.note = f"{count:,} would move, {queries} queries"
            databases.clean_up(size.live)
        result.append(measurement)
    return result


# ---------------------------------------------------------------------------
# Memory
# ---------------------------------------------------------------------------
MEMORY = {
    "first": ("Memory of a first run", "clean", "run_policy"),
    "again": ("Memory of a run with nothing changed", "live", "run_policy"),
    "planning": ("Memory of `_generate`, agendas full", "live", "generate"),
}


def measure_memory(size, _rounds):
    result = []
    for key, (name, database, _) in MEMORY.items():
        databases.say(f"{size.label}: {name}")
        memory = Memory(name, "idle process", MEMORY_GOAL)
        # A process of its own: what others used isn't given back to the system
        output = subprocess.run(
            [sys.executable, __file__, "--size", size.label, "--memory-of", key],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        memory.ours.append(float(output))
        databases.clean_up(getattr(size, database))
        result.append(memory)
    return result


def print_memory(size, key):
    """Print how many megabytes of memory a run takes above idle."""
    _, database, function = MEMORY[key]
    with databases.environment(getattr(size, database)) as env:
        env.user.has_group("base.group_user")
        usage.read_report(env)
        env.invalidate_all()
        gc.collect()
        # The peak so far goes back to what is in use
        with open("/proc/self/clear_refs", "w") as control:
            control.write("5")
        idle = _peak()
        getattr(usage, function)(env)
        env.flush_all()
        print((_peak() - idle) / MEGABYTE)


def _peak():
    """Return the highest resident memory of this process, in bytes."""
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024


# ---------------------------------------------------------------------------
# The report
# ---------------------------------------------------------------------------
HEADER = (
    "Measurement",
    "Compared with",
    "Size",
    "Goal",
    "Figure",
    "Reached",
    "Growth",
    "Pairs; medians",
)


def report(measurements):
    """Print one table: the sizes of a measurement below each other."""
    by_name = {}
    for each in measurements:
        by_name.setdefault((each.name, each.against), []).append(each)
    rows = [HEADER]
    for group in by_name.values():
        previous = None
        for each in group:
            growth = each.figure / previous if previous else None
            rows.append(each.cells(growth))
            previous = each.figure
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("|", " | ".join(cells), "|")


PARTS = {
    "runs": measure_runs,
    "scorecard": measure_scorecard,
    "night": measure_night,
    "planning": measure_planning,
    "visits": measure_visits,
    "screens": measure_screens,
    "own_screens": measure_own_screens,
    "portfolio": measure_portfolio,
    "preview": measure_preview,
    "memory": measure_memory,
    "reps": measure_reps,
}


def parse_size(text):
    match = re.fullmatch(r"([1-9]\d*)([km])", text.strip().lower())
    customers = match and int(match[1]) * (1_000_000 if match[2] == "m" else 1000)
    if not customers or not 2000 <= customers <= 5_000_000:
        raise argparse.ArgumentTypeError(
            f"{text}: a number of customers from 2k to 5m, such as {', '.join(SIZES)}"
        )
    return databases.Size(match[0], customers)


def parse_sizes(text):
    words = re.split(r"[\s,]+", text.strip())
    words = SIZES if words == ["all"] else words
    return sorted(map(parse_size, words), key=lambda size: size.customers)


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return number


def parse():
    parser = argparse.ArgumentParser(
        prog="make bench SIZE=... ARGS=...", description=__doc__
    )
    parser.add_argument(
        "--size",
        type=parse_sizes,
        default=os.environ.get("SIZE", "").strip() or SIZES[0],
        help="customers, such as 100k; several in quotes, or all; given as SIZE=...",
    )
    parser.add_argument("--rounds", type=positive, help="pairs")
    parser.add_argument("--fresh", action="store_true", help="make the data anew")
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="may be given several times"
    )
    parser.add_argument(
        "--salespeople",
        type=positive,
        default=0,
        help="of --only reps; else one for each thousand customers",
    )
    parser.add_argument("--memory-of", choices=MEMORY, help=argparse.SUPPRESS)
    return parser.parse_args()


def _rounds(size):
    return _get_for(size, ROUNDS)


def _get_for(size, numbers):
    """Return the number for so many customers, of pairs of least customers and it."""
    return [number for least, number in numbers if size.customers >= least][-1]


def measure(size, options):
    """Make the databases of a size and measure in them."""
    start = time.monotonic()
    databases.make(size, options.fresh)
    made = time.monotonic()
    rounds = options.rounds or _rounds(size)
    measurements = []
    for part, function in PARTS.items():
        if part not in (options.only or PARTS):
            continue
        for measurement in function(size, rounds):
            measurement.size = size
            measurements.append(measurement)
            # for whoever doesn't wait until the end
            print("   ", "; ".join(measurement.cells(None)), flush=True)
    text = (
        f"{size.label}: {size.customers:,} customers, {size.invoices:,} posted "
        f"invoices, {size.customers // 5:,} leads, {data.SALESPEOPLE} salespersons; "
        f"medians of {rounds} pairs, {max(rounds, SCREEN_ROUNDS)} for screens; "
        f"{(made - start) / 60:.0f} minutes to make the databases, "
        f"{(time.monotonic() - made) / 60:.0f} to measure"
    )
    return measurements, text


def main():
    options = parse()
    if options.memory_of:
        return print_memory(options.size[0], options.memory_of)
    measurements, texts = [], []
    for size in options.size:
        size = size._replace(salespeople=options.salespeople)
        more, text = measure(size, options)
        measurements += more
        texts.append(text)
    print(f"\n{databases.versions(options.size[0])}", *texts, "", sep="\n")
    report(measurements)


if __name__ == "__main__":
    # Before Odoo's modules are imported: they read the configuration
    config.parse_config(["--log-level=warn"], setup_logging=True)
    import databases
    import screens
    import usage

    import data

    logging.getLogger("odoo").setLevel(logging.ERROR)
    main()
