"""The databases of the benchmark, and how they are copied.

- ``key_account_bench_plain``: the data, in an Odoo without the addon;
- ``key_account_bench``: a copy with the addon installed, where it never ran;
- ``key_account_bench_live``: a copy of that in which it ran, and planned visits.

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
PLAIN = "key_account_bench_plain"
CLEAN = "key_account_bench"
LIVE = "key_account_bench_live"
# Folders of the addon that Odoo loads
LOADED = ("data", "engine", "models", "report", "security", "views", "wizard")


def say(text):
    print(f"==> {text}", flush=True)


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
    options = "(FULL, ANALYZE)" if full else "(ANALYZE)"
    for table in tables or [None]:
        execute(name, f"VACUUM {options} {table or ''}")


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


def plain_stamp(customers, invoices):
    code = hashlib.sha256(Path(data.__file__).read_bytes()).hexdigest()[:12]
    return json.dumps(
        {
            "customers": customers,
            "invoices": invoices,
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
    execute("postgres", f"CREATE DATABASE {target} TEMPLATE {source}")
    if os.path.isdir(config.filestore(source)):
        shutil.copytree(config.filestore(source), config.filestore(target))


def make(customers, invoices, batch, fresh=False):
    """Make what isn't there, or was made from something else."""
    plain = plain_stamp(customers, invoices)
    clean = f"{plain} {addon_stamp()}"
    live = f"{clean} {batch}"
    if fresh or stamp_of(PLAIN) != plain:
        copy(BASE, PLAIN)
        say(f"Making {customers:,} customers and {invoices:,} posted invoices")
        with environment(PLAIN) as env:
            data.fill(env, customers, invoices)
            env.cr.commit()
        usage.tune(execute, PLAIN)
        vacuum(PLAIN)
        set_stamp(PLAIN, plain)
    if fresh or stamp_of(CLEAN) != clean:
        copy(PLAIN, CLEAN)
        _install(CLEAN)
        usage.tune(execute, CLEAN)
        vacuum(CLEAN)
        set_stamp(CLEAN, clean)
    if fresh or stamp_of(LIVE) != live:
        copy(CLEAN, LIVE)
        say("Running the policy and planning visits")
        with environment(LIVE) as env:
            usage.run_policy(env)
            env.cr.commit()
        vacuum(LIVE)
        with environment(LIVE) as env:
            usage.plan_visits(env, batch)
            env.cr.commit()
        with environment(LIVE) as source, environment(PLAIN) as target:
            usage.copy_activities(source, target)
            target.cr.commit()
        # Updated rows move to the end of their tables: put both in the same order
        for name in (LIVE, PLAIN):
            vacuum(name)
            vacuum(name, "res_partner", "crm_lead", "mail_activity", full=True)
        set_stamp(LIVE, live)


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


def versions():
    """What the results depend on, for the report."""
    from odoo import release

    rows = execute(PLAIN, "SHOW server_version")
    return f"Odoo {release.version}, PostgreSQL {rows[0][0].split()[0]}, Python " + (
        ".".join(map(str, sys.version_info[:3]))
    )
