"""Planned visits beside what others plan them with: `make bench-peers`.

In one run, on copies of one database: this addon; OCA's ``crm_salesperson_planner``,
from its newest wheel; core's ``activity_schedule`` and activity plans; rows in plain
SQL, as the limit. For each: visits a second, queries and mails a visit, what is left
after its process was killed in the middle and began again, and what becomes of a visit
that somebody moves.

Each plans in the way of its own scheduled job; where there is none, in a transaction
for every fifty customers, as Odoo's rules for jobs ask for. No mail is sent: those that
would be are counted.

OCA's addon is of Odoo 18; :data:`PATCHES` is all that is changed to run it here.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

from odoo.tools import config

NAME = "key_account_peers"
OCA = "crm_salesperson_planner"
# How many customers: those that take a second each plan for fewer
COUNT = 1000
SLOW_COUNT = 100
# Customers in a transaction, where somebody writes the job
BATCH = 50
# From so many planned visits of those that are left, the process is killed
HALF = 0.5
# OCA's addon on Odoo 19: files, what is looked for, what takes its place
PATCHES = (
    ("__manifest__.py", r'"version": "18\.0', '"version": "19.0'),
    # a customer has one phone number now
    ("models/*visit.py", r" *partner_mobile = .*\n", ""),
    ("views/*visit_views.xml", r'<field\s+name="partner_mobile"[^>]*/>', ""),
    # groups of search views have no attributes any more
    ("views/*.xml", r"<group[^>]*\bexpand=[^>]*>", "<group>"),
    ("models/*.py", r"fields\.first\(([^()]*)\)", r"(\1)[:1]"),
    ("models/*.py", r'"groups_id"', '"group_ids"'),
    ("views/*.xml", r"\bgroups_id\b", "group_ids"),
)


def parse():
    parser = argparse.ArgumentParser(
        prog="make bench-peers ARGS=...", description=__doc__
    )
    parser.add_argument("--count", type=int, default=COUNT, help="customers")
    parser.add_argument(
        "--slow", type=int, default=SLOW_COUNT, help="of OCA's and core's"
    )
    parser.add_argument("--only", choices=PEERS, action="append", help="of these")
    parser.add_argument("--do", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args()


# ---------------------------------------------------------------------------
# Who plans
# ---------------------------------------------------------------------------
class Peer:
    """Something that plans visits to customers."""

    key = label = None
    # the rows that are planned visits, with the customer as ``partner``
    planned = None
    # what a customer has one of
    kind = "partner"
    is_slow = True
    # nothing is seen before its end
    is_one_transaction = False

    def get_customers(self, env, count):
        company = data.company_of(env)
        env = env(context={"allowed_company_ids": company.ids})
        ids = usage.customer_ids(env)[:count]
        return env["res.partner"].browse(ids)

    def prepare(self, env, count):
        """Say what is to be planned; not measured."""

    def plan(self, env, count):
        """Plan as a scheduled job does, and commit."""

    def move(self, env):
        """Move a planned visit by three days, as a user does; return its customer."""

    def count_sql(self):
        return f"SELECT COUNT(*) FROM ({self.planned}) AS planned"

    def double_sql(self):
        """How many are planned a second time for a customer."""
        return (
            "SELECT COALESCE(SUM(number - 1), 0) FROM (SELECT COUNT(*) AS number "
            f"FROM ({self.planned}) AS planned GROUP BY {self.kind}) AS customers"
        )


class Ours(Peer):
    key, label = "ours", "crm_key_account"
    # a customer may be due for a visit and for a call; leads have none yet
    planned = (
        "SELECT COALESCE(partner_id, -lead_id) AS partner, track "
        "FROM key_account_visit WHERE state = 'planned'"
    )
    kind = "partner, track"
    is_slow = False

    def prepare(self, env, count):
        company = data.company_of(env)
        company.write(
            {"key_account_daily_capacity": 100, "key_account_horizon_days": 365}
        )
        env["key.account.policy"]._run_companies(company)

    def plan(self, env, count):
        env["key.account.night"]._cron_night(["planning"])

    def move(self, env):
        company = data.company_of(env)
        visit = (
            env["key.account.visit"]
            .with_context(allowed_company_ids=company.ids)
            .search(
                [("state", "=", "planned"), ("partner_id", "!=", False)],
                order="date_planned, id",
                limit=1,
            )
        )
        visit.with_user(visit.user_id).date_planned += timedelta(days=3)
        return visit.partner_id


class Activities(Peer):
    key, label = "schedule", "core: activity_schedule"
    planned = (
        "SELECT res_id AS partner FROM mail_activity "
        "WHERE res_model = 'res.partner' AND active AND summary = 'Benchmark'"
    )

    def plan(self, env, count):
        customers = self.get_customers(env, count)
        for start in range(0, count, BATCH):
            for partner in customers[start : start + BATCH]:
                partner.activity_schedule(
                    "mail.mail_activity_data_call",
                    date_deadline=date.today() + timedelta(days=7),
                    summary="Benchmark",
                    user_id=partner.user_id.id,
                )
            env.cr.commit()

    def move(self, env):
        activity = env["mail.activity"].search(
            [("summary", "=", "Benchmark")], order="id", limit=1
        )
        moved = activity.with_user(activity.user_id)
        moved.date_deadline += timedelta(days=3)
        return env["res.partner"].browse(activity.res_id)


class Plans(Activities):
    key, label = "plan", "core: activity plan"

    def prepare(self, env, count):
        env["mail.activity.plan"].create(
            {
                "name": "Benchmark",
                "res_model": "res.partner",
                "template_ids": [
                    (
                        0,
                        0,
                        {
                            "activity_type_id": env.ref(
                                "mail.mail_activity_data_call"
                            ).id,
                            "summary": "Benchmark",
                            "responsible_type": "on_demand",
                            "delay_count": 7,
                        },
                    )
                ],
            }
        )

    def plan(self, env, count):
        plan = env["mail.activity.plan"].search([("name", "=", "Benchmark")])
        customers = self.get_customers(env, count)
        wizard = env["mail.activity.schedule"]
        for start in range(0, count, BATCH):
            batch = customers[start : start + BATCH]
            # one who is responsible for all that are ticked
            for user, theirs in batch.grouped("user_id").items():
                wizard.with_context(
                    active_model="res.partner", active_ids=theirs.ids
                ).create(
                    {"plan_id": plan.id, "plan_on_demand_user_id": user.id}
                ).action_schedule_plan()
            env.cr.commit()


class Templates(Peer):
    key, label = "oca", f"OCA {OCA}"
    is_one_transaction = True
    planned = (
        "SELECT partner_id AS partner FROM crm_salesperson_planner_visit "
        "WHERE state IN ('draft', 'confirm')"
    )

    def prepare(self, env, count):
        days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
        start = date.today() + timedelta(days=7)
        env["crm.salesperson.planner.visit.template"].create(
            [
                {
                    "partner_ids": [(6, 0, partner.ids)],
                    "user_id": partner.user_id.id,
                    "start": start,
                    "start_date": start,
                    "stop_date": start,
                    "rrule_type": "weekly",
                    "interval": 1,
                    "end_type": "count",
                    "count": 10,
                    days[start.weekday()]: True,
                    "state": "in-progress",
                }
                for partner in self.get_customers(env, count)
            ]
        )

    def plan(self, env, count):
        # one visit each; its own job plans seven
        env["crm.salesperson.planner.visit.template"]._cron_create_visits(days=1)
        env.cr.commit()

    def move(self, env):
        visit = env["crm.salesperson.planner.visit"].search([], order="id", limit=1)
        visit.with_user(visit.user_id).date += timedelta(days=3)
        return visit.partner_id


class Rows(Activities):
    key, label = "sql", "plain SQL: rows of activities"
    is_slow = False

    def plan(self, env, count):
        customers = self.get_customers(env, count)
        kind = env.ref("mail.mail_activity_data_call").id
        model = env["ir.model"]._get_id("res.partner")
        for start in range(0, count, BATCH):
            env.cr.execute(
                """
                INSERT INTO mail_activity (
                    res_model_id, res_model, res_id, res_name, activity_type_id,
                    summary, date_deadline, user_id, active, create_uid, create_date,
                    write_uid, write_date)
                SELECT %s, 'res.partner', id, name, %s, 'Benchmark',
                       CURRENT_DATE + 7, user_id, TRUE, 1, NOW(), 1, NOW()
                  FROM res_partner WHERE id = ANY(%s)
                """,
                [model, kind, customers[start : start + BATCH].ids],
            )
            env.cr.commit()


PEERS = {peer.key: peer() for peer in (Ours, Templates, Activities, Plans, Rows)}


# ---------------------------------------------------------------------------
# In a process of its own
# ---------------------------------------------------------------------------
@contextmanager
def no_mail(env):
    """Keep what would be sent."""
    mails = type(env["mail.mail"])
    with (
        patch.object(mails, "send", lambda self, *args, **kwargs: True),
        patch.object(mails, "send_after_commit", lambda self: None, create=True),
    ):
        yield


def do(what, key, name, count):
    """Do a step of a peer in a database, and print what it took as JSON."""
    peer = PEERS[key]
    result = {}
    with databases.environment(name) as env, no_mail(env):
        if what == "plan":
            # as a server that has run for a while
            env["ir.cron"].search([], limit=1)
            before, begin = env.cr.sql_log_count, time.monotonic()
            peer.plan(env, count)
            result["seconds"] = time.monotonic() - begin
            result["queries"] = env.cr.sql_log_count - before
        elif what == "prepare":
            peer.prepare(env, count)
        else:
            result["partner"] = peer.move(env).id
        env.cr.commit()
    print(json.dumps(result), flush=True)


# ---------------------------------------------------------------------------
# From outside
# ---------------------------------------------------------------------------
class Runs:
    """Runs steps of peers in databases that are made for them."""

    def __init__(self, addons):
        self.addons = addons

    def start(self, what, key, name, count):
        command = [sys.executable, __file__, "--do", what, key, name, str(count)]
        environ = {**os.environ, "KEY_ACCOUNT_PEERS": str(self.addons)}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)

    def run(self, *arguments):
        process = self.start(*arguments)
        out, _ = process.communicate()
        if process.returncode:
            sys.exit(f"{arguments} ended with {process.returncode}.")
        return json.loads(out.strip().splitlines()[-1])


def ask(name, query, *arguments):
    return databases.execute(name, query, arguments)[0][0]


def measure(runs, peer, count):
    """Return what there is to say about one of them."""
    ready, work = f"{NAME}_ready", f"{NAME}_work"
    databases.copy(NAME, ready)
    runs.run("prepare", peer.key, ready, count)
    databases.copy(ready, work)
    mails = ask(work, "SELECT COUNT(*) FROM mail_mail")
    result = runs.run("plan", peer.key, work, count)
    made = ask(work, peer.count_sql())
    result.update(
        label=peer.label,
        made=made,
        mails=ask(work, "SELECT COUNT(*) FROM mail_mail") - mails,
        to_customers=ask(
            work,
            """
            SELECT COUNT(*) FROM mail_mail_res_partner_rel rel
              JOIN res_partner partner ON partner.id = rel.res_partner_id
             WHERE partner.ref LIKE 'BENCH%%'
            """,
        ),
    )
    result["moved"] = _move(runs, peer, work, count)
    databases.copy(ready, work)
    result["crash"] = _crash(runs, peer, work, count, made, result["seconds"])
    for name in (ready, work):
        databases.drop(name)
    return result


def _move(runs, peer, name, count):
    """Move a visit and plan again; return how many more there are for its customer."""
    partner = runs.run("move", peer.key, name, count)["partner"]
    query = f"SELECT COUNT(*) FROM ({peer.planned}) AS planned WHERE partner = %s"
    before = ask(name, query, partner)
    runs.run("plan", peer.key, name, count)
    return ask(name, query, partner) - before


def _crash(runs, peer, name, count, expected, seconds):
    """Kill the process in the middle, and begin again.

    :return: visits that were there after the kill; planned twice and missing in the end
    """
    process = runs.start("plan", peer.key, name, count)
    begin = None
    while process.poll() is None:
        number = ask(name, peer.count_sql())
        # what is in one transaction shows nothing before its end
        active = ask(
            "postgres",
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = %s "
            "AND application_name LIKE 'odoo%%'",
            name,
        )
        if active and begin is None:
            begin = time.monotonic()
        late = begin and time.monotonic() - begin > HALF * seconds + 5
        if number >= HALF * expected or late and peer.is_one_transaction:
            process.kill()
            break
        time.sleep(0.02)
    killed = process.wait() < 0
    process.stdout.close()
    kept = ask(name, peer.count_sql())
    runs.run("plan", peer.key, name, count)
    return {
        "killed": killed,
        "kept": kept,
        "double": int(ask(name, peer.double_sql())),
        "missing": max(expected - ask(name, peer.count_sql()), 0),
    }


def make_addons(folder):
    """Put OCA's addon, patched, into a folder; return its version."""
    source = Path(os.environ["KEY_ACCOUNT_PACKAGES"]) / "odoo/addons" / OCA
    target = folder / OCA
    shutil.copytree(source, target)
    version = re.search(
        r'"version": "([^"]+)"', (target / "__manifest__.py").read_text()
    )
    for pattern, old, new in PATCHES:
        for path in target.glob(pattern):
            text = path.read_text()
            changed = re.sub(old, new, text)
            if changed != text:
                path.write_text(changed)
    return version[1]


def make_database(addons, count):
    """Make the database: customers and salespeople of the benchmark, both addons."""
    databases.say(f"Making {count:,} customers and installing both addons")
    databases.copy(databases.BASE, NAME)
    with databases.environment(NAME) as env:
        data.fill(env, count, 2 * count)
        env.cr.commit()
    databases.forget(NAME)
    databases.execute(NAME, "UPDATE ir_module_module SET demo = FALSE")
    command = [sys.executable, "-m", "odoo", "server", "-d", NAME]
    command += ["-i", f"{databases.ADDON},{OCA}", "--stop-after-init", "--no-http"]
    command += ["--log-level=error", f"--addons-path={get_addons_path(addons)}"]
    subprocess.run(command, check=True)
    databases.execute(NAME, "UPDATE ir_cron SET active = FALSE")
    databases.vacuum(NAME)


def get_addons_path(addons):
    return ",".join([*config["addons_path"], str(addons)])


def report(results, version):
    """Print the table."""
    server = databases.execute("postgres", "SHOW server_version")[0][0].split()[0]
    print(
        f"\nOdoo {release.version}, PostgreSQL {server}, {databases.ADDON} "
        f"{Manifest.for_addon(databases.ADDON)['version']}, {OCA} {version} with "
        f"{len(PATCHES)} patches\n"
    )
    columns = ("", "visits", "visits/s", "queries", "mails", "crash", "moved")
    widths = (32, 8, 10, 9, 24, 30, 20)
    line = "".join(f"{{:<{width}}}" for width in widths).format
    print(line(*columns))
    print(line("", "", "", "a visit", "a visit", "", "").rstrip())
    for each in results:
        made = each["made"] or 1
        crash = each["crash"]
        lost = "" if not crash["missing"] else f", {crash['missing']} missing"
        mails = f"{each['mails'] / made:.1f}"
        if each["to_customers"]:
            mails += f" ({each['to_customers'] / made:.1f} customer's)"
        moved = "planned once more" if each["moved"] else "stays, planned once"
        print(
            line(
                each["label"],
                each["made"],
                f"{each['made'] / each['seconds']:.1f}",
                f"{each['queries'] / made:.1f}",
                mails,
                f"{crash['kept']} kept, {crash['double']} double{lost}"
                if crash["killed"]
                else "was done before the kill",
                moved,
            ).rstrip()
        )


def main():
    options = parse()
    if options.do:
        what, key, name, count = options.do
        return do(what, key, name, int(count))
    with tempfile.TemporaryDirectory(prefix="key_account_peers_") as temporary:
        addons = Path(temporary)
        version = make_addons(addons)
        make_database(addons, options.count)
        runs, results = Runs(addons), []
        try:
            for key in options.only or PEERS:
                peer = PEERS[key]
                count = options.slow if peer.is_slow else options.count
                databases.say(f"{peer.label}: {count} customers")
                results.append(measure(runs, peer, min(count, options.count)))
        finally:
            for name in (f"{NAME}_ready", f"{NAME}_work"):
                databases.drop(name)
        report(results, version)
    databases.drop(NAME)
    return 0


if __name__ == "__main__":
    # Before Odoo's modules are imported: they read the configuration
    config.parse_config(["--log-level=error"], setup_logging=True)
    if os.environ.get("KEY_ACCOUNT_PEERS"):
        arguments = [
            f"--addons-path={get_addons_path(os.environ['KEY_ACCOUNT_PEERS'])}"
        ]
        config.parse_config([*arguments, "--log-level=error"], setup_logging=True)
    import databases
    import usage

    from odoo import release
    from odoo.modules import Manifest

    import data

    sys.exit(main())
