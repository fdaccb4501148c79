"""The databases: a base without the addon, and copies of it with the addon."""

import re
import shutil
import subprocess

from . import base, odoo, postgres
from .base import ADDON, CHECKOUT, Failure, step
from .postgres import sql

BASE = "key_account_base"
DEMO = "key_account_demo"
TEST = "key_account_test"
# What the addon builds on and what people use it with; slow, so it is done once
MODULES = "crm,sale_crm,sale_margin,sale_management,contacts"
# Folders and endings that change what Odoo would load
LOADED = {".py", ".xml", ".csv", ".js", ".scss", ".css", ".po", ".sql"}
NOT_LOADED = {".git", "dev", "docs", "benchmarks", "tests", ".ci"}


def filestore(name):
    return odoo.DATA / "filestore" / name


def stamp_of(name):
    """What the database was made from, as kept in its comment; None without it."""
    text = sql(
        "SELECT coalesce(shobj_description(oid, 'pg_database'), '-') "
        f"FROM pg_database WHERE datname = '{name}'"
    )
    return text or None


def drop(name):
    sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    shutil.rmtree(filestore(name), ignore_errors=True)


def copy(source, target):
    """`createdb -T`, and the filestore, which that leaves out."""
    drop(target)
    sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{source}'"
    )
    sql(f'CREATE DATABASE "{target}" TEMPLATE "{source}"')
    if filestore(source).is_dir():
        shutil.copytree(filestore(source), filestore(target))


def finish(name, stamp):
    """Give a completed database its name: a half-made one never has it."""
    new = f"{name}_new"
    drop(name)
    if filestore(new).is_dir():
        filestore(new).rename(filestore(name))
    sql(f'ALTER DATABASE "{new}" RENAME TO "{name}"')
    set_stamp(name, stamp)


def set_stamp(name, stamp):
    sql(f"COMMENT ON DATABASE \"{name}\" IS '{stamp}'")


def addon_stamp():
    """A hash of the files that Odoo loads, to update a database when they change."""
    parts = []
    for path in sorted(CHECKOUT.rglob("*")):
        inside = path.relative_to(CHECKOUT)
        if inside.parts[0] in NOT_LOADED or path.suffix not in LOADED:
            continue
        if path.is_file():
            parts += [str(inside), path.read_bytes()]
    return base.stamp_of(*parts)


def run_odoo(found, database, arguments, what, log):
    """Run Odoo until it has done something, its log in a file; give the path."""
    path = base.new_log(log)
    command = [*found.command, "-d", database, "--stop-after-init", "--no-http"]
    command += arguments
    with open(path, "a") as file:
        code = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=found.environ(),
            cwd=base.HOME,
        ).returncode
    text = path.read_text(errors="replace")
    # Odoo ends well too when a module couldn't be installed and was left out
    if code or " CRITICAL " in text or "Some modules are not loaded" in text:
        errors = re.findall(r"^(?:\w+(?:\.\w+)*Error|odoo\.\S+): .*", text, re.M)
        if errors:
            base.say(f"    {errors[-1]}")
        raise Failure(base.explain(what, path))
    return path


def _base_stamp(found):
    return base.stamp_of(MODULES, str(found.package))


def make_base(found):
    """The database without the addon; where 'copy' starts, and the benchmark too."""
    stamp = _base_stamp(found)
    if stamp_of(BASE) == stamp:
        return stamp
    step("Making the base database with Odoo's demo data (two minutes)")
    base.need_space(1500, "the databases")
    new = f"{BASE}_new"
    drop(new)
    run_odoo(
        found,
        new,
        ["-i", MODULES, "--with-demo"],
        "making the base database",
        "base_database",
    )
    finish(BASE, stamp)
    return stamp


def make(found, name, fresh=False):
    """A copy of the base with the addon in it; or the one that's there, updated."""
    kept = make_base(found)
    now = addon_stamp()
    have = (stamp_of(name) or "-").split()
    log = f"install_{name}"
    if not fresh and have[0] == kept:
        if have[1:] == [now]:
            return None
        step(f"Updating {ADDON} in the database {name}")
        # Should this be broken off, the old stamp makes the next run do it again
        path = run_odoo(found, name, ["-u", ADDON], f"updating {ADDON} in {name}", log)
        set_stamp(name, f"{kept} {now}")
        return path
    if not (CHECKOUT / "__manifest__.py").exists():
        raise Failure(f"{CHECKOUT} has no __manifest__.py: there is no addon yet.")
    step(f"Installing {ADDON} with its demo data in the database {name}")
    new = f"{name}_new"
    copy(BASE, new)
    path = run_odoo(
        found, new, ["-i", ADDON, "--with-demo"], f"installing {ADDON}", log
    )
    finish(name, f"{kept} {now}")
    return path
