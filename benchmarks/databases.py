"""The databases of the benchmark, and how they are copied. For each size:

- ``key_account_bench_100k_plain``: the data, in an Odoo without the addon;
- ``key_account_bench_100k``: a copy with the addon installed, where it never ran;
- ``key_account_bench_100k_live``: a copy of that in which people have decided and
  visited for some months, and the agendas are full;
- ``key_account_bench_100k_reps``: a copy of that with many salespeople, for as long as
  they are measured.

Each keeps in its comment what it was made from, so that a second call finds them ready.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

import history
import psycopg2
import usage

from odoo import SUPERUSER_ID, api
from odoo.modules import Manifest
from odoo.modules.registry import Registry
from odoo.sql_db import close_db
from odoo.tools import config

import data

ADDON = "crm_key_account"
BASE = os.environ.get("KEY_ACCOUNT_BASE", "key_account_base")
# Of the three databases together, measured at 100,000 customers
BYTES_PER_CUSTOMER = 40_000
# Folders of the addon that Odoo loads
LOADED = ("data", "engine", "models", "report", "security", "views", "wizard")


def say(text):
    print(f"==> {text}", flush=True)


class Size(NamedTuple):
    """How much data, and the databases that hold it."""

    label: str
    customers: int
    # of the database with many of them; 0: one for each thousand customers
    salespeople: int = 0

    @property
    def invoices(self):
        return 4 * self.customers

    @property
    def plain(self):
        return f"key_account_bench_{self.label}_plain"

    @property
    def clean(self):
        return f"key_account_bench_{self.label}"

    @property
    def live(self):
        return f"key_account_bench_{self.label}_live"

    @property
    def reps(self):
        return f"key_account_bench_{self.label}_reps"


@contextmanager
def connection(name):
    """A connection outside Odoo's transactions, for VACUUM and CREATE DATABASE."""
    arguments = {
        "host": config["db_host"] or None,
        "port": config["db_port"] or None,
        "user": config["db_user"] or None,
        "password": config["db_password"] or None,
    }
    conn = psycopg2.connect(dbname=name, **arguments)
    conn.autocommit = True
    try:
        yield conn
    finally:
        conn.close()


def execute(name, statement, arguments=None):
    with connection(name) as conn, conn.cursor() as cr:
        cr.execute(statement, arguments)
        return cr.fetchall() if cr.description else None


@contextmanager
def environment(name, uid=SUPERUSER_ID, context=None):
    """An environment with an empty cache, in a transaction that is rolled back unless
    the caller commits it."""
    with Registry(name).cursor() as cr:
        try:
            yield api.Environment(cr, uid, context or {})
        finally:
            cr.rollback()


def vacuum(name, *tables, full=False):
    """Clean tables up, by default all, and renew their statistics."""
    options = "(FULL, ANALYZE)" if full else "(ANALYZE)"
    for table in tables or [""]:
        execute(name, f"VACUUM {options} {table}")


def clean_up(name):
    """Remove what a measurement wrote and rolled back. The addon sees to statistics of
    its tables itself: they stay as they are."""
    tables = [*usage.WRITTEN, *usage.own_tables(execute, name)]
    execute(name, f"VACUUM {', '.join(tables)}")


# ---------------------------------------------------------------------------
# What a database was made from
# ---------------------------------------------------------------------------
def stamp_of(name):
    rows = execute(
        "postgres",
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database "
        "WHERE datname = %s",
        [name],
    )
    return rows[0][0] or "-" if rows else None


def set_stamp(name, stamp):
    execute("postgres", f"COMMENT ON DATABASE {name} IS %s", [stamp])


def plain_stamp(size):
    code = hashlib.sha256(Path(data.__file__).read_bytes()).hexdigest()[:12]
    return json.dumps(
        {
            "customers": size.customers,
            "invoices": size.invoices,
            "base": stamp_of(BASE),
            "code": code,
            # The revenue window ends today: data of last month would be half empty
            "month": f"{date.today():%Y-%m}",
        }
    )


def addon_stamp():
    addon = Path(Manifest.for_addon(ADDON).path).resolve()
    digest = hashlib.sha256((addon / "__manifest__.py").read_bytes())
    for folder in LOADED:
        for path in sorted((addon / folder).rglob("*")):
            if path.suffix in {".py", ".xml", ".csv"}:
                digest.update(str(path.relative_to(addon)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


# ---------------------------------------------------------------------------
# Making them
# ---------------------------------------------------------------------------
def drop(name):
    forget(name)
    execute("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    shutil.rmtree(config.filestore(name), ignore_errors=True)


def forget(name):
    """Close our own connections, so that the database can be copied."""
    Registry.delete(name)
    close_db(name)


def copy(source, target):
    say(f"Copying {source} to {target}")
    drop(target)
    forget(source)
    execute(
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
        [source],
    )
    # File by file: else all of it goes through the write-ahead log
    version = execute("postgres", "SHOW server_version_num")[0][0]
    strategy = "STRATEGY = FILE_COPY" if int(version) >= 150000 else ""
    execute("postgres", f"CREATE DATABASE {target} TEMPLATE {source} {strategy}")
    if os.path.isdir(config.filestore(source)):
        shutil.copytree(config.filestore(source), config.filestore(target))


def make(size, fresh=False):
    """Make what isn't there, or was made from something else."""
    plain = plain_stamp(size)
    clean = f"{plain} {addon_stamp()}"
    code = hashlib.sha256(Path(history.__file__).read_bytes()).hexdigest()[:12]
    live = f"{clean} {code}"
    today = f"{live} {date.today()}"
    has_plain = not fresh and stamp_of(size.plain) == plain
    has_clean = not fresh and stamp_of(size.clean) == clean
    live_stamp = "" if fresh else stamp_of(size.live) or ""
    _check_disk(size, 3 - has_plain - has_clean - live_stamp.startswith(live))
    if not has_plain:
        copy(BASE, size.plain)
        say(f"Making {size.customers:,} customers and {size.invoices:,} invoices")
        with environment(size.plain) as env:
            data.fill(env, size.customers, size.invoices)
            env.cr.commit()
        usage.tune(execute, size.plain)
        vacuum(size.plain)
        set_stamp(size.plain, plain)
    if not has_clean:
        copy(size.plain, size.clean)
        _install(size.clean)
        usage.tune(execute, size.clean)
        # Core's: it would be the same without the addon
        vacuum(size.clean, *usage.WRITTEN)
        set_stamp(size.clean, clean)
    if not live_stamp.startswith(live):
        copy(size.clean, size.live)
        _live(size)
    if live_stamp != today:
        _catch_up(size)
        set_stamp(size.live, today)


def _check_disk(size, count):
    """Stop before the disk is full, where the server's disk is ours."""
    folder = execute("postgres", "SHOW data_directory")[0][0]
    if not count or not os.path.isdir(folder):
        return
    needed = size.customers * BYTES_PER_CUSTOMER * count // 3
    replaced = 0
    for name in (size.plain, size.clean, size.live)[-count:]:
        if stamp_of(name):
            replaced += execute("postgres", "SELECT pg_database_size(%s)", [name])[0][0]
    free = shutil.disk_usage(folder).free
    say(
        f"{size.label}: about {needed / 1e9:.1f} GB to make, {free / 1e9:.0f} GB free, "
        f"{replaced / 1e9:.1f} GB of older ones go"
    )
    if needed * 1.3 > free + replaced:
        sys.exit(f"That is too little of {folder}'s disk: choose a smaller SIZE.")


def _live(size):
    """Run the policy, decide and visit."""
    say("Running the policy, deciding and visiting")
    with environment(size.live) as env:
        usage.run_policy(env)
        # those without customers, as a night does
        others = env["res.company"].search([]) - data.company_of(env)
        env["key.account.policy"]._run_companies(others)
        env.cr.commit()
    # By the next night autovacuum has seen to it
    vacuum(size.live)
    with environment(size.live) as env:
        history.make(env, usage.customer_ids(env))
        env.cr.commit()
    vacuum(size.live)


def _catch_up(size):
    """Run and plan as of today until nothing changes."""
    say("Running and planning")
    for _ in range(2):
        with environment(size.live) as env:
            usage.run_policy(env)
            env.cr.commit()
        vacuum(size.live)
        with environment(size.live) as env:
            made = len(usage.generate(env))
            env.cr.commit()
        print(f"    {made:,} visits planned", flush=True)
    # A night looks at what was written since the run before: not at what was just made
    for table in usage.DATED:
        execute(
            size.live,
            f"UPDATE {table} SET write_date = write_date - interval '40 days' "
            "WHERE write_date > now() AT TIME ZONE 'UTC' - interval '20 days'",
        )
    with environment(size.live) as source, environment(size.plain) as target:
        usage.copy_activities(source, target)
        target.cr.commit()
    # Updated rows move to the end of their tables: put both in the same order
    for name in (size.live, size.plain):
        vacuum(name)
        vacuum(name, "res_partner", "crm_lead", "mail_activity", full=True)


def _install(name):
    say(f"Installing {ADDON}")
    # Demo data comes with an addon when all that it depends on have theirs
    execute(name, "UPDATE ir_module_module SET demo = FALSE")
    command = [sys.executable, "-m", "odoo", "server", "-d", name, "-i", ADDON]
    command += ["--stop-after-init", "--no-http", "--log-level=warn"]
    subprocess.run(command, check=True)
    rows = execute(name, "SELECT state FROM ir_module_module WHERE name = %s", [ADDON])
    if rows != [("installed",)]:
        sys.exit(f"{ADDON} couldn't be installed: see the log above.")


def versions(size):
    """What the results depend on, for the report."""
    from odoo import release

    rows = execute(size.plain, "SHOW server_version")
    return f"Odoo {release.version}, PostgreSQL {rows[0][0].split()[0]}, Python " + (
        ".".join(map(str, sys.version_info[:3]))
    )
