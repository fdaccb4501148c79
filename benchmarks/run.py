"""The benchmark of crm_key_account: `make bench`, `make bench ARGS="--rounds 9"`.

Measures in pairs, A B A B ..., because machines are noisy: what counts are the ratios
of neighbours, and of these the median. Nothing that is measured is committed.
See docs/performance.md for results.
"""

import argparse
import gc
import logging
import statistics
import sys
import time
from dataclasses import dataclass, field

from odoo.tools import config

# They take so little time that a neighbour disturbs a pair easily
SCREEN_ROUNDS = 60


@dataclass
class Measurement:
    """One line of the table: ``ours`` against ``theirs``, in pairs."""

    name: str
    against: str
    goal: float | None = None
    ours: list = field(default_factory=list)
    theirs: list = field(default_factory=list)
    queries: list = field(default_factory=list)

    @property
    def ratios(self):
        return [our / their for our, their in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self):
        return statistics.median(self.ratios)

    @property
    def more_queries(self):
        return max((ours - theirs for ours, theirs in self.queries), default=None)

    @property
    def is_met(self):
        return self.ratio <= self.goal and (
            self.more_queries is None or self.more_queries <= 2
        )

    def cells(self):
        goal = "–"
        met = "–"
        if self.goal:
            goal = f"≤ {self.goal:g}"
            met = "yes" if self.is_met else "**no**"
        queries = ""
        if self.queries:
            ours, theirs = self.queries[-1]
            queries = f"{theirs} → {ours}"
            goal += ", +2 queries"
        return [
            self.name,
            self.against,
            goal,
            f"{self.ratio:.3g}",
            f"{min(self.ratios):.3g} to {max(self.ratios):.3g}",
            f"{_time(statistics.median(self.ours))} / "
            f"{_time(statistics.median(self.theirs))}",
            queries,
            met,
        ]


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
        gc.collect()
        queries = env.cr.sql_log_count
        start = time.perf_counter()
        result = function(env)
        env.flush_all()
        seconds = time.perf_counter() - start
        return seconds, env.cr.sql_log_count - queries, result


# ---------------------------------------------------------------------------
# The tiering run
# ---------------------------------------------------------------------------
def read_report(env):
    """What a person would look at instead: core's invoice analysis by customer."""
    company = data.company_of(env)
    report = env["account.invoice.report"].with_context(allowed_company_ids=company.ids)
    return len(
        report._read_group(
            [
                ("state", "=", "posted"),
                ("move_type", "in", ["out_invoice", "out_refund", "out_receipt"]),
                ("company_id", "=", company.id),
            ],
            ["commercial_partner_id"],
            ["price_subtotal:sum"],
        )
    )


def measure_runs(rounds):
    against = "`_read_group` of the invoice analysis"
    first = Measurement("Tiering, first run", against, 4)
    again = Measurement("Tiering, nothing changed", against, 2)
    for measurement, name in ((first, databases.CLEAN), (again, databases.LIVE)):
        databases.say(measurement.name)
        timed(name, read_report)
        for _ in range(rounds):
            measurement.theirs.append(timed(name, read_report)[0])
            seconds, _, moves = timed(name, usage.run_policy)
            measurement.ours.append(seconds)
            # What was rolled back has to go before the next round
            databases.vacuum(name, *usage.WRITTEN_BY_RUN)
        print(f"    {moves} accounts moved", flush=True)
    return [first, again]


# ---------------------------------------------------------------------------
# Visits
# ---------------------------------------------------------------------------
def measure_visits(rounds, batch):
    schedule = Measurement(
        "A generated visit with its activity",
        "`activity_schedule` for another user, one call per record",
        1 / 20,
    )
    together = Measurement(schedule.name, "the same, one call for all records", 1 / 20)
    plain = Measurement(schedule.name, "SQL inserts of the same rows")
    name = databases.LIVE
    databases.say(f"{batch:,} visits")
    few = min(200, batch)

    def generate(env):
        company = data.company_of(env)
        # room for all of them: what fits on no day costs no visit
        company.key_account_horizon_days = 365
        company.key_account_daily_capacity = 100
        env.flush_all()
        visits = env["key.account.visit"].with_company(company)
        return visits._generate(usage.batch_customers(env, batch), company)

    def generated_rows(env):
        visits = generate(env)
        # more where the cadence asks for calls too
        if len(visits) < batch:
            sys.exit(f"{len(visits)} visits were made instead of {batch}.")
        return len(visits), [
            usage.read_rows(env, "mail_activity", visits.activity_id.ids),
            usage.read_rows(env, "key_account_visit", visits.ids),
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
        databases.vacuum(name, *usage.WRITTEN_BY_VISITS)
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
    print(f"    {queries / made:.3f} queries per visit", flush=True)
    return [schedule, together, plain]


# ---------------------------------------------------------------------------
# Screens
# ---------------------------------------------------------------------------
def measure_screens(rounds):
    databases.say("Screens")
    names = {"theirs": databases.PLAIN, "ours": databases.LIVE}
    prepared = {}
    for side, name in names.items():
        with databases.environment(name) as env:
            user = usage.salesperson(env)
            arguments = {
                "uid": user.id,
                "context": {
                    "allowed_company_ids": user.company_id.ids,
                    "lang": "en_US",
                    "tz": user.tz,
                },
            }
            records = usage.records_to_open(env, user)
        with databases.environment(name, **arguments) as env:
            prepared[side] = [
                screen.prepare(env) for screen in screens.get_screens(user.id)
            ]
    result = []
    for position, screen in enumerate(prepared["ours"]):
        measurement = Measurement(f"Opening the {screen.name}", "without addon", 1.1)
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


# ---------------------------------------------------------------------------
# The report
# ---------------------------------------------------------------------------
HEADER = (
    "Measurement",
    "Compared with",
    "Goal",
    "Ratio",
    "Pairs",
    "Medians",
    "Queries",
    "Met",
)


def report(measurements):
    rows = [HEADER, *(measurement.cells() for measurement in measurements)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("|", " | ".join(cells), "|")


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return number


def parse():
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--customers", type=positive, default=100_000)
    parser.add_argument("--invoices", type=positive, default=400_000)
    parser.add_argument("--batch", type=positive, default=10_000, help="visits")
    parser.add_argument("--rounds", type=positive, default=5, help="pairs")
    parser.add_argument("--fresh", action="store_true", help="make the data anew")
    parser.add_argument(
        "--only",
        choices=["runs", "visits", "screens"],
        action="append",
        help="may be given several times",
    )
    options = parser.parse_args()
    options.batch = min(options.batch, options.customers // 2)
    if options.customers < 100:
        parser.error("--customers: 100 or more")
    if options.invoices < options.customers:
        parser.error("--invoices: no fewer than customers")
    return options


def main():
    options = parse()
    start = time.monotonic()
    databases.make(options.customers, options.invoices, options.batch, options.fresh)
    measurements = []
    wanted = options.only or ["runs", "visits", "screens"]
    if "runs" in wanted:
        measurements += measure_runs(options.rounds)
    if "visits" in wanted:
        measurements += measure_visits(options.rounds, options.batch)
    if "screens" in wanted:
        measurements += measure_screens(options.rounds)
    print(
        f"\n{options.customers:,} customers, {options.invoices:,} posted invoices; "
        f"{databases.versions()}; medians of {options.rounds} pairs, "
        f"{max(options.rounds, SCREEN_ROUNDS)} for screens\n"
    )
    report(measurements)
    print(f"\n{(time.monotonic() - start) / 60:.0f} minutes in all")


if __name__ == "__main__":
    # Before Odoo's modules are imported: they read the configuration
    config.parse_config(["--log-level=warn"], setup_logging=True)
    import databases
    import screens
    import usage

    import data

    logging.getLogger("odoo").setLevel(logging.ERROR)
    main()
