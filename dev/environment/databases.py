"""The databases: bases without the addon, and copies of them with the addon."""

import ast
import re
import shutil
import subprocess

from . import base, odoo, python
from .base import ADDON, CHECKOUT, Failure, step
from .postgres import sql

BASE = "key_account_base"
# The base with posted invoices that one test needs; the tests' databases start here
CDNOW = "key_account_cdnow"
DEMO = "key_account_demo"
TEST = "key_account_test"
# A copy of TEST, for the runner that runs at the same time
TEST_RUNNER = "key_account_test_runner"
# As a company installs it, without demo data; for the tour of the first hour
FRESH = "key_account_test_fresh"
# Made anew for `make pictures`, and dropped
PICTURES = "key_account_pictures"
# What the addon builds on and what people use it with; slow, so it is done once
MODULES = "crm,sale_crm,sale_margin,sale_management,contacts"
# Endings of what an update of the addon reads, and folders that it doesn't: assets are
# read anew by each Odoo
UPDATED = {".py", ".xml", ".csv", ".po", ".sql"}
NOT_UPDATED = {
    ".git",
    ".ci",
    "benchmarks",
    "companions",
    "dev",
    "docs",
    "static",
    "tests",
}
POST = """
import os, runpy
path = os.environ["KEY_ACCOUNT_CHECKOUT"] + "/tests/tiering/cdnow.py"
runpy.run_path(path)["post_purchases"](env)
env.cr.execute("ANALYZE")
env.cr.commit()
"""
# As Odoo's own runner does before its first tour. Else the first tour pays for it, and
# on a busy machine another request waits longer for its cursor than a test allows.
BUNDLES = """
env["ir.qweb"]._pregenerate_assets_bundles()
env.cr.commit()
"""


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
    """A hash of what an update of the addon reads, to do one when that changes.

    Methods aren't part of it: a new body of one needs a new start, not an update, which
    takes longer than most files of tests.
    """
    parts = []
    for path in sorted(CHECKOUT.rglob("*")):
        inside = path.relative_to(CHECKOUT)
        if inside.parts[0] in NOT_UPDATED or path.suffix not in UPDATED:
            continue
        if path.is_file():
            text = path.read_text()
            if path.suffix == ".py" and inside.parts[0] != "migrations":
                text = declarations(text)
            parts += [str(inside), text]
    return base.stamp_of(*parts)


def assets_stamp():
    """A hash of what the bundles of assets are made from, of the addon."""
    paths = sorted(
        path
        for path in (CHECKOUT / "static").rglob("*")
        if path.suffix in {".css", ".js", ".scss", ".xml"}
    )
    return base.stamp_of(*(str(path.relative_to(CHECKOUT)) for path in paths), *paths)


def declarations(text):
    """Python code without comments and methods' bodies: fields, constraints, names.

    All of it, where a method makes tables or views.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError:  # told by whoever runs it
        return text
    for cls in ast.walk(tree):
        if not isinstance(cls, ast.ClassDef):
            continue
        methods = [node for node in cls.body if isinstance(node, ast.FunctionDef)]
        if {"init", "_auto_init"} & {method.name for method in methods}:
            return text
        for method in methods:
            method.body = []
    return ast.dump(tree)


def run_odoo(found, database, arguments, what, log, script=None):
    """Run Odoo until it has done something, its log in a file; give the path.

    :param script: Python for Odoo's shell
    """
    path = base.new_log(log)
    command = [*found.command, *(["shell"] if script else ["--stop-after-init"])]
    command += ["-d", database, "--no-http", *arguments]
    with open(path, "a") as file:
        code = subprocess.run(
            [str(part) for part in command],
            input=script or "",
            text=True,
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


def make_cdnow(found):
    """The base with the CDNOW data set, where 'copy' starts for the tests."""
    posting = CHECKOUT / "tests/tiering/cdnow.py"
    stamp = base.stamp_of(make_base(found), POST, posting, python.CDNOW)
    if stamp_of(CDNOW) == stamp:
        return stamp
    step("Posting the invoices of the CDNOW data set, for the tests (two minutes)")
    new = f"{CDNOW}_new"
    copy(BASE, new)
    run_odoo(found, new, [], "posting the CDNOW data set", "cdnow_database", POST)
    finish(CDNOW, stamp)
    return stamp


def make(found, name, fresh=False):
    """A copy of a base with the addon in it; or the one that's there, updated."""
    source = CDNOW if name == TEST else BASE
    kept = make_cdnow(found) if source == CDNOW else make_base(found)
    now = addon_stamp()
    # only tours can't wait for them
    assets = assets_stamp() if name == TEST else ""
    stamp = f"{kept} {now} {assets}".strip()
    have = (stamp_of(name) or "-").split()
    log = f"install_{name}"
    if not fresh and have[0] == kept:
        if have == stamp.split():
            return None
        path = None
        # Should this be broken off, the old stamp makes the next run do it again
        if have[1:2] != [now]:
            step(f"Updating {ADDON} in the database {name}")
            what = f"updating {ADDON} in {name}"
            path = run_odoo(found, name, ["-u", ADDON], what, log)
        if assets:
            _make_bundles(found, name)
        set_stamp(name, stamp)
        return path
    if not (CHECKOUT / "__manifest__.py").exists():
        raise Failure(f"{CHECKOUT} has no __manifest__.py: there is no addon yet.")
    step(f"Installing {ADDON} with its demo data in the database {name}")
    new = f"{name}_new"
    copy(source, new)
    path = run_odoo(
        found, new, ["-i", ADDON, "--with-demo"], f"installing {ADDON}", log
    )
    if assets:
        _make_bundles(found, new)
    finish(name, stamp)
    return path


def make_fresh(found):
    """A new database with the addon, and what it needs, alone."""
    drop(FRESH)
    log = f"install_{FRESH}"
    path = run_odoo(
        found, FRESH, ["-i", ADDON, "--without-demo"], f"installing {ADDON}", log
    )
    _make_bundles(found, FRESH)
    return path


def _make_bundles(found, name):
    step("Making the bundles of assets, for the tours")
    run_odoo(found, name, [], "making the bundles of assets", "bundles", BUNDLES)
