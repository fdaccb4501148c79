"""Load while the night runs: twenty salespeople on a server with two workers, in turns
without and with the nightly job, which begins anew as soon as it is done and measures
every account each time.

`make load` (SIZE=10k; ARGS="--pairs 3 --seconds 45") prints for each screen the median
and the 95th percentile of both, and the median of the turns' ratios: other work on the
computer meets both alike. The goal is no error, and a ratio of at most 1.5.
"""

import argparse
import csv
import json
import math
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

from odoo.tools import config

# The fifth screen is a report that is given: it writes, and plans the next visit.
SCREENS = {
    "my_day": ("key.account.visit", "kanban", "key_account_visit_view_kanban_my_day"),
    "brief": ("key.account.visit", "form", "key_account_visit_view_form"),
    "report": ("key.account.visit", "form", "key_account_visit_view_form_report"),
    "accounts": ("key.account", "list", "key_account_view_list"),
}
USERS = 20
# A salesperson looks at a screen for so long, in seconds: half of it at least, half
# more at most. Two workers that have more to do than they can measure their queue.
PAUSE = 6
# The first screens fill the caches of each worker: until each was opened so often, and
# for so many seconds at most
WARM_SCREENS, WARM_UP = 6, 300
GOAL = 1.5
# Nobody waits longer for a report, in seconds, or than so many times the usual
LONGEST_WAIT, TIMES_USUAL = 2, 3
JOB = "SELECT res_id FROM ir_model_data WHERE module = 'crm_key_account' AND name = %s"


def parse():
    parser = argparse.ArgumentParser(
        prog="make load SIZE=... ARGS=...", description=__doc__
    )
    parser.add_argument("--pairs", type=int, default=3, help="of turns")
    parser.add_argument("--seconds", type=int, default=45, help="of a turn")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--pause", type=int, default=PAUSE, help="seconds between two screens of a user"
    )
    parser.add_argument(
        "--keep", action="store_true", help="the database, for another call"
    )
    return parser.parse_args()


def get_size():
    label = os.environ.get("SIZE", "").strip().lower() or "10k"
    if not re.fullmatch(r"[1-9]\d*k", label):
        sys.exit(f"SIZE={label}: a number of customers, such as 10k or 100k")
    return databases.Size(label, int(label[:-1]) * 1000)


# ---------------------------------------------------------------------------
# The database
# ---------------------------------------------------------------------------
def prepare(size):
    """Make a copy of the database in which people have worked for months, with as many
    salespeople as there are users; return its name, their logins and what the views
    ask for."""
    name = f"key_account_load_{size.label}"
    if not databases.stamp_of(name):
        databases.make(size)
        databases.copy(size.live, name)
    with databases.environment(name) as env:
        logins = _make_users(env)
        # a usual night finds full agendas
        usage.generate(env)
        specs = {}
        rep = env["res.users"].search([("login", "=", logins[0])])
        for key, (model, kind, view) in SCREENS.items():
            theirs = env(user=rep)
            view_id = env.ref(f"crm_key_account.{view}").id
            arch, fields = screens.get_view(theirs, model, kind, view_id)
            specs[key] = {
                "model": model,
                "spec": screens.get_spec(theirs, model, arch, fields),
                "order": arch.get("default_order", ""),
            }
        env.cr.commit()
    databases.execute(name, "UPDATE ir_cron SET active = FALSE")
    databases.execute(
        name,
        f"UPDATE ir_cron SET active = TRUE WHERE id = ({JOB})",
        ["ir_cron_tiering"],
    )
    databases.vacuum(name)
    databases.forget(name)
    return name, logins, specs


def _make_users(env):
    """Give customers of the benchmark's salespeople to more of them, and each of them
    the login as password."""
    users = env["res.users"].search([("login", "=like", "bench%")], order="id")
    if len(users) >= USERS:
        return users.mapped("login")
    more = (
        env["res.users"]
        .with_context(no_reset_password=True)
        .create(
            [
                {
                    **users[0].copy_data()[0],
                    "name": f"Salesperson {number}",
                    "login": f"bench{number}",
                    "email": f"bench{number}@example.com",
                }
                for number in range(len(users) + 1, USERS + 1)
            ]
        )
    )
    team = users[0].crm_team_member_ids.crm_team_id[:1]
    env["crm.team.member"].create(
        [{"crm_team_id": team.id, "user_id": user.id} for user in more]
    )
    company = data.company_of(env)
    # nobody is told of each customer
    env = env(
        context={
            "allowed_company_ids": company.ids,
            "mail_auto_subscribe_no_notify": True,
            "mail_notrack": True,
            "tracking_disable": True,
        }
    )
    customers = env["res.partner"].browse(usage.customer_ids(env))
    for number, user in enumerate(more):
        # in one stroke: each gives an account and its visits over
        theirs = customers[number::USERS]
        theirs.write({"user_id": user.id})
        env.flush_all()
        env.invalidate_all()
    for user in users | more:
        user.password = user.login
    return (users | more).mapped("login")


# ---------------------------------------------------------------------------
# The server and its users
# ---------------------------------------------------------------------------
def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def server(name, workers, folder, log):
    """An Odoo server with some workers and one for jobs; gives its address."""
    # a file that it can start again, for the process of the web client's bus
    script = folder / "odoo-bin"
    script.write_text("import odoo.cli\n\nodoo.cli.main()\n")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(script), "server", "-d", name]
    command += [f"--db-filter=^{name}$", "--http-interface=127.0.0.1"]
    command += [f"--http-port={port}", f"--gevent-port={free_port()}"]
    command += [f"--workers={workers}", "--max-cron-threads=1"]
    command += ["--limit-time-real=600", "--limit-time-cpu=600", "--log-level=info"]
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 120
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            try:
                with opener.open(f"{url}/web/health", timeout=5):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    sys.exit(f"Odoo didn't start: see {log.name}.")
                time.sleep(0.5)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def users(url, setup, folder, log):
    """Twenty salespeople, as another process."""
    path = folder / "setup.json"
    path.write_text(json.dumps(setup))
    command = [sys.executable, "-m", "locust", "--headless", "--only-summary"]
    command += ["-f", str(Path(__file__).with_name("locustfile.py"))]
    command += ["--users", str(USERS), "--spawn-rate", "4", "--host", url]
    found = os.pathsep.join(
        filter(None, [os.environ["KEY_ACCOUNT_PACKAGES"], os.environ.get("PYTHONPATH")])
    )
    environ = {**os.environ, "KEY_ACCOUNT_LOAD": str(path), "PYTHONPATH": found}
    environ["no_proxy"] = "127.0.0.1"
    process = subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, env=environ, cwd=folder
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


# ---------------------------------------------------------------------------
# The night
# ---------------------------------------------------------------------------
def call_night(name):
    """Have the job called, as if the policy had been changed: all is measured."""
    databases.execute(name, "UPDATE res_company SET key_account_run_key = NULL")
    databases.execute(
        name,
        "INSERT INTO ir_cron_trigger (cron_id, call_at) "
        f"SELECT ({JOB}), DATE_TRUNC('second', NOW() AT TIME ZONE 'UTC')",
        ["ir_cron_tiering"],
    )
    # Odoo listens in this database
    databases.execute("postgres", f"SELECT pg_notify('cron_trigger', '{name}')")


def is_night(name):
    """Return whether the job is called, or runs."""
    return databases.execute(
        name,
        f"""
        SELECT EXISTS (SELECT FROM ir_cron_trigger WHERE cron_id = ({JOB})
                          AND call_at <= NOW() AT TIME ZONE 'UTC')
            OR NOT EXISTS (SELECT FROM ir_cron WHERE id = ({JOB})
                              FOR NO KEY UPDATE SKIP LOCKED)
        """,
        ["ir_cron_tiering"] * 2,
    )[0][0]


def be_night(name, seconds):
    """Nights, one after the other; return the span and how many began."""
    begin, count = time.time(), 0
    while time.time() < begin + seconds:
        if not is_night(name):
            call_night(name)
            count += 1
        time.sleep(0.3)
    end = time.time()
    while is_night(name):
        time.sleep(0.5)
    return (begin, end), count


def be_quiet(seconds):
    begin = time.time()
    time.sleep(seconds)
    return (begin, time.time())


# ---------------------------------------------------------------------------
# What came of it
# ---------------------------------------------------------------------------
def read_samples(path, span):
    """Return {screen: [(milliseconds, longest call, error)]} of a span."""
    found = defaultdict(list)
    with open(path, newline="") as file:
        for began, name, spent, longest, error in csv.reader(file):
            if span[0] <= float(began) < span[1]:
                found[name].append((float(spent), float(longest), error))
    return found


def warm_up(path):
    """Wait until the users have been everywhere."""
    end = time.monotonic() + WARM_UP
    while time.monotonic() < end:
        time.sleep(1)
        found = read_samples(path, (0, math.inf)) if path.exists() else {}
        if len(found) > len(SCREENS) and min(map(len, found.values())) >= WARM_SCREENS:
            return


def percentile(values, share):
    """Return the value that ``share`` of all don't exceed, by nearest rank."""
    values = sorted(values)
    return values[max(math.ceil(share * len(values)) - 1, 0)]


def get_ratio(without, beside, name, share):
    """Return the median of the turns' ratios of a percentile, NaN without any."""
    pairs = [
        percentile([each[0] for each in other[name]], share)
        / percentile([each[0] for each in one[name]], share)
        for one, other in zip(without, beside, strict=True)
        if one[name] and other[name]
    ]
    return statistics.median(pairs) if pairs else math.nan


def report(path, quiet, nights, counts):
    """Print the table; return whether the goals are reached."""
    without = [read_samples(path, span) for span in quiet]
    beside = [read_samples(path, span) for span in nights]
    names = sorted({name for turn in (*without, *beside) for name in turn})
    header = ("screen", "times", "median", "95th", "median", "95th", "median", "95th")
    print(f"\n{'':22}{'without':>16}{'with the night':>22}{'ratio':>16}")
    line = "{:<12}{:>11}{:>7}{:>8}{:>12}{:>10}{:>8}{:>8}{:>9}".format
    print(line(*header, "longest"))
    is_good, errors = True, []
    for name in names:
        alone = [each[0] for turn in without for each in turn[name]]
        night = [each[0] for turn in beside for each in turn[name]]
        errors += [each[2] for turn in (*without, *beside) for each in turn[name]]
        if not alone or not night:
            print(f"{name:<12} was opened too rarely: take longer turns")
            is_good = False
            continue
        ratios = [get_ratio(without, beside, name, share) for share in (0.5, 0.95)]
        is_good = is_good and ratios[1] <= GOAL
        print(
            line(
                name,
                f"{len(alone)}/{len(night)}",
                *(f"{percentile(alone, share):.0f}" for share in (0.5, 0.95)),
                *(f"{percentile(night, share):.0f}" for share in (0.5, 0.95)),
                *(f"{ratio:.2f}" for ratio in ratios),
                f"{max(night):.0f}",
            )
        )
        if name == "report":
            limit = max(1000 * LONGEST_WAIT, TIMES_USUAL * statistics.median(alone))
            late = sum(each > limit for each in night)
            print(f"{'':12}{late} reports waited longer than {limit / 1000:.1f} s")
    errors = [error for error in errors if error]
    print(f"\nmilliseconds; ratios: medians of {len(quiet)} pairs of turns")
    print(f"{sum(counts)} nights began in {len(nights)} turns; {len(errors)} errors")
    for error in sorted(set(errors))[:5]:
        print(f"    {errors.count(error)} x {error}")
    return is_good and not errors


def main():
    options, size = parse(), get_size()
    name, logins, specs = prepare(size)
    with tempfile.TemporaryDirectory(prefix="key_account_load_") as temporary:
        folder = Path(temporary)
        samples = folder / "samples.csv"
        setup = {
            "database": name,
            "logins": logins,
            "pause": (options.pause / 2, 1.5 * options.pause),
            "samples": str(samples),
            "screens": specs,
        }
        quiet, nights, counts = [], [], []
        with (
            open(
                Path(os.environ["KEY_ACCOUNT_LOG"]) / "load_odoo.log", "w"
            ) as odoo_log,
            open(Path(os.environ["KEY_ACCOUNT_LOG"]) / "load_locust.log", "w") as log,
            server(name, options.workers, folder, odoo_log) as url,
        ):
            databases.say(f"{USERS} salespeople on {options.workers} workers")
            with users(url, setup, folder, log) as process:
                warm_up(samples)
                for number in range(1, options.pairs + 1):
                    databases.say(f"Turn {number} of {options.pairs}: without, with")
                    quiet.append(be_quiet(options.seconds))
                    span, count = be_night(name, options.seconds)
                    nights.append(span)
                    counts.append(count)
                    if process.poll() is not None:
                        sys.exit(f"The users are gone: see {log.name}.")
        print(
            f"\n{databases.versions(size)}, {size.customers:,} "
            f"customers, {USERS} users, {options.workers} workers"
        )
        is_good = report(samples, quiet, nights, counts)
    if not options.keep:
        databases.drop(name)
    return 0 if is_good else 1


if __name__ == "__main__":
    # Before Odoo's modules are imported: they read the configuration
    config.parse_config(["--log-level=warn"], setup_logging=True)
    import databases
    import screens
    import usage

    import data

    sys.exit(main())
