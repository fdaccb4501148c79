"""`make core-tests`: what the addon changes in core's own tests.

The tests of the addons that it extends run on two databases at the same time, one with
the addon and one without, and what differs is printed. Not a part of `make test`:
core's tests fail here and there in any database with demo data or other modules, and
they take long.
"""

import json
import os
from contextlib import ExitStack

from . import base, databases, python, testing
from .base import ADDON, ADDONS, DEV, HOME, say, step

PLAIN = "key_account_core_plain"
WITH = "key_account_core"
MODULES = "test_mail"
# Folders of tests; of a pattern, the files
SUITES = {
    "crm": "*",
    "sale_crm": "*",
    "sales_team": "*",
    "calendar": "*",
    "contacts": "*",
    "sale_management": "*",
    "mail": "*",
    "test_mail": "test_mail_*",
}
# What a counted block of core may ask more for the whole batch
QUERIES = 2


def run(found):
    """Core's suites with the addon against without; of part of them with T=."""
    paths = list(_find(found, (os.environ.get("T") or " ".join(SUITES)).split()))
    with base.locked("databases", "Waiting for another command that makes databases"):
        _make(found)
    step("Running core's tests with the addon, and at the same time without it")
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_pytest(found, database, paths))
            for database in (PLAIN, WITH)
        ]
        for process in processes:
            process.wait()
    return _compare(*(_read(database) for database in (PLAIN, WITH)))


def _find(found, names):
    """The files of tests of some of the suites."""
    for name in names:
        if name not in SUITES:
            raise base.Failure(f"There is no {name}: one of {', '.join(SUITES)}.")
        folders = [
            folder
            for folder in found.addons_path
            if (folder / name / "__manifest__.py").exists()
        ]
        for path in sorted((folders[0] / name / "tests").glob(f"{SUITES[name]}.py")):
            if path.name.startswith("test_"):
                yield path


def _make(found):
    """Both databases, if they aren't of this Odoo and of this addon."""
    stamp = f"{databases.make_base(found)} {MODULES}"
    new = f"{PLAIN}_new"
    if databases.stamp_of(PLAIN) != stamp:
        step("Installing core's test addons")
        databases.copy(databases.BASE, new)
        databases.run_odoo(
            found, new, ["-i", MODULES], "installing core's test addons", PLAIN
        )
        databases.finish(PLAIN, stamp)
    stamp = f"{stamp} {databases.addon_stamp()}"
    new = f"{WITH}_new"
    if databases.stamp_of(WITH) != stamp:
        step(f"Installing {ADDON} beside them, as a company does")
        databases.copy(PLAIN, new)
        databases.run_odoo(found, new, ["-i", ADDON], f"installing {ADDON}", WITH)
        databases.finish(WITH, stamp)


def _get_report(database):
    return HOME / f"tmp/{database}.json"


def _pytest(found, database, paths):
    _get_report(database).unlink(missing_ok=True)
    log = base.new_log(f"{database}_tests")
    output = base.new_log(f"{database}_pytest")
    return testing.running(
        [python.PYTHON, "-m", "pytest", "-c", DEV / "pytest.ini", "-q"]
        + ["--rootdir", ADDONS, "-o", f"cache_dir={HOME}/cache/{database}"]
        + ["-p", "core_report", "--odoo-http", f"--odoo-database={database}"]
        + ["--odoo-log-level=info", f"--odoo-extra=logfile={log}", *paths],
        cwd=ADDONS,
        env=found.environ(
            PYTHONPATH=f"{found.path}:{DEV}",
            KEY_ACCOUNT_REPORT=_get_report(database),
        ),
        stdout=open(output, "a"),
        stderr=-2,  # the same
    )


def _read(database):
    try:
        return json.loads(_get_report(database).read_text())
    except (OSError, ValueError):
        raise base.Failure(
            base.explain("running core's tests", base.LOG / f"{database}_pytest.log")
        ) from None


def _compare(plain, mine):
    """Print what differs; give 1 if something is worse with the addon."""
    before, after = plain["outcomes"], mine["outcomes"]
    for text, outcomes in (("without", before), ("with", after)):
        failed = sum(outcome == "failed" for outcome in outcomes.values())
        say(f"    {len(outcomes)} tests {text} the addon, {failed} failed")
    worse = [
        f"{name}: {before.get(name, 'not run')} without the addon, {outcome} with it"
        for name, outcome in {**dict.fromkeys(before, "not run"), **after}.items()
        if outcome != before.get(name) and outcome != "passed"
    ]
    rows = []
    for name, counts in mine["queries"].items():
        known = plain["queries"].get(name, [])
        for number, (old, new) in enumerate(zip(known, counts, strict=False), 1):
            if new > old:
                rows.append((new - old, f"{name}, block {number}: {old} → {new}"))
    blocks = sum(map(len, mine["queries"].values()))
    say(
        f"    {blocks} blocks with counted queries, {len(rows)} ask more with the addon"
    )
    for difference, text in sorted(rows, reverse=True):
        say(f"    +{difference} {text}")
    worse += [text for difference, text in rows if difference > QUERIES]
    if worse:
        say(
            "\n".join(["    Worse with the addon:", *(f"    {text}" for text in worse)])
        )
        say(f"==> make core-tests FAILED: {len(worse)} differences, listed above")
        return 1
    say("==> make core-tests passed: the same failures with the addon and without it")
    return 0
