"""`make test` and `make lint`: what runs, and what counts as a failure."""

import json
import os
import re
import signal
import subprocess
import time
from contextlib import contextmanager

from . import base, databases, python
from .base import ADDON, ADDONS, CHECKOUT, DEV, HOME, Failure, say, step
from .databases import FRESH, TEST, TEST_RUNNER

RECORD = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ "
    r"(?P<level>[A-Z]+) \S+ (?P<logger>\S+?): (?P<text>.*)$"
)
# Checks of OCA's for its own repositories: a README generated from parts, and names
# short enough for its translation server
NOT_CHECKED = ("prefer-readme-rst", "weblate-component-too-long")
OURS = re.compile(r"crm_key_account|\bkey\.account\.")
PYTEST_LOG = "pytest_odoo"
FRESH_LOG = "pytest_fresh"
FRESH_TEST = f"{ADDON}/tests/visit/test_start.py::TestStartTours::test_first_hour"
RUNNER_LOG = "odoo_runner"
REPORT = HOME / "tmp/pytest.json"
LINT_LOG = "core_lint"
LINT_REPORT = HOME / "tmp/core_lint.json"


# ---------------------------------------------------------------------------
# Reading Odoo's logs
# ---------------------------------------------------------------------------
def records(path):
    """(level, logger, text) of a log; a traceback belongs to the line before it."""
    current = None
    for line in path.read_text(errors="replace").splitlines():
        match = RECORD.match(line)
        if match:
            if current:
                yield tuple(current)
            current = [match["level"], match["logger"], match["text"]]
        elif current:
            current[2] += "\n" + line
    if current:
        yield tuple(current)


def complaints(path):
    """Warnings and errors in a log that come from this addon or name it."""
    for level, logger, text in records(path):
        if level not in ("WARNING", "ERROR", "CRITICAL"):
            continue
        # Folders called like the addon aren't the addon
        plain = text.replace(str(ADDONS / ADDON), "ADDON")
        for folder in (HOME, CHECKOUT):
            plain = plain.replace(str(folder), "")
        if OURS.search(f"{logger} {plain.replace('ADDON', ADDON)}"):
            yield f"{level} {logger}: {text}"


# ---------------------------------------------------------------------------
# make test
# ---------------------------------------------------------------------------
class Problems(list):
    def add(self, text):
        say(f"    FAILED: {text}")
        self.append(text)


def test(found):
    """All tests, or with K= or T= a part of them by pytest alone."""
    part = []
    if os.environ.get("T"):
        for path in os.environ["T"].split():
            if not (CHECKOUT / path.partition("::")[0]).exists():
                raise Failure(f"There is no {path}.")
            part.append(f"{ADDON}/{path}")
    if os.environ.get("K"):
        part += [] if part else [f"{ADDON}/tests"]
        part += ["-k", os.environ["K"]]
    with base.locked("test", "Waiting for another `make test`"):
        if part:
            return _test_part(found, part)
        return _test_all(found)


def _test_part(found, part):
    with base.locked("databases", "Waiting for another command that makes databases"):
        log = databases.make(found, TEST)
    problems = Problems()
    _check_log(log, problems)
    step("Running the tests with pytest")
    with _pytest(found, part) as process:
        code = process.wait()
    _read_pytest(code, problems)
    return _close(problems, [])


def _test_all(found):
    """pytest in front and Odoo's runner behind it, each on a database of its own."""
    problems, results = Problems(), []
    with base.locked("databases", "Waiting for another command that makes databases"):
        log = databases.make(found, TEST, fresh=True)
        databases.copy(TEST, TEST_RUNNER)
    _check_log(log, problems)

    step("Running the tests with pytest, and at the same time with Odoo's own runner")
    say(f"    The runner's log: {base.LOG}/{RUNNER_LOG}.log")
    start = time.monotonic()
    with _odoo_runner(found) as runner, _pytest(found, [f"{ADDON}/tests"]) as pytest:
        while pytest.poll() is None and runner.poll() is None:
            time.sleep(0.5)
        # One without the other, as when updating fails, isn't worth waiting for
        if runner.poll() and not _read_names():
            _end(pytest)
        # A core is free now, and so is a database
        begin = time.monotonic()
        free = TEST if runner.poll() is None else TEST_RUNNER
        with _core_lint(found, free) as lint:
            ran = _read_pytest(pytest.wait(), problems)
            results.append(_result("pytest", len(ran), start))
            if not ran:
                _end(runner)
            step("Running Odoo's own test_lint on this addon")
            count = _read_core_lint(lint.wait(), problems)
        results.append(_result("test_lint", count, begin))
        _test_fresh(found, problems)

        if runner.poll() is None:
            step(f"Odoo's own runner goes on, after {len(_read_names())} tests so far")
        code = runner.wait()
    names = _read_odoo_runner(code, problems)
    results.append(_result("Odoo's runner", len(names), start))
    if ran and names:
        _compare(ran, names, problems)
    return _close(problems, results)


def _test_fresh(found, problems):
    """The first hour, on a database without demo data."""
    step("Installing without demo data, for the tour of the first hour")
    _check_log(databases.make_fresh(found), problems)
    with _pytest(found, [FRESH_TEST], FRESH, FRESH_LOG) as process:
        _read_pytest(process.wait(), problems, FRESH_LOG)
    databases.drop(FRESH)


def _result(name, count, start):
    text = f"{name} {count} tests in {time.monotonic() - start:.0f} s"
    step(text)
    return text


def _close(problems, results):
    for problem in problems:
        say(f"    {problem}")
    if problems:
        say(f"==> make test FAILED: {len(problems)} problem(s), listed above")
        return 1
    say(f"==> make test passed: {', '.join(results) or 'the chosen part'}")
    return 0


def _check_log(log, problems):
    """An installation, or a test, that complains about this addon is a failure."""
    if log is None:
        return
    found = list(complaints(log))
    for text in found[:10]:
        say("    " + "\n    ".join(text.splitlines()[:30]))
    if found:
        problems.add(f"{len(found)} warnings or errors about {ADDON} in {log}")


@contextmanager
def running(command, **options):
    """A process that doesn't outlive this; Ctrl-C reaches us alone, and we end it."""
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        **options,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process):
    """As Ctrl-C would, so that it can close its browser."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue


def _pytest(found, part, database=TEST, log=PYTEST_LOG):
    """pytest in front."""
    REPORT.unlink(missing_ok=True)
    log = base.new_log(log)
    return running(
        [python.PYTHON, "-m", "pytest", "-c", DEV / "pytest.ini"]
        + ["--rootdir", ADDONS, "-o", f"cache_dir={HOME}/cache/pytest"]
        + ["-p", "pytest_report", "--odoo-http", f"--odoo-database={database}"]
        + ["--odoo-log-level=info", f"--odoo-extra=logfile={log}", *part],
        # From the parent of the link: inside, the package would get a wrong name
        cwd=ADDONS,
        env=found.environ(
            PYTHONPATH=f"{found.path}:{DEV}", KEY_ACCOUNT_REPORT=REPORT, COLUMNS="88"
        ),
    )


def _read_pytest(code, problems, log=PYTEST_LOG):
    """Look at what it left; give {(module, Class.method): has the tag standard}."""
    log = base.LOG / f"{log}.log"
    if code == 5:
        problems.add("pytest ran no test")
    elif code:
        problems.add(f"pytest ended with {code}; Odoo's log of it is {log}")
    try:
        tests = json.loads(REPORT.read_text())
    except (OSError, ValueError):
        problems.add("pytest broke off before its report")
        return {}
    for name, reason in tests["skipped"]:
        problems.add(f"skipped by pytest: {name} ({reason})")
    _check_log(log, problems)
    return {(module, name): standard for module, name, standard in tests["ran"]}


@contextmanager
def _odoo_runner(found):
    """Odoo's own runner, on the database TEST_RUNNER, into its log.

    It sees tags, and tests that no __init__ imports; and it updates the addon.
    """
    with open(base.new_log(RUNNER_LOG), "a") as file:
        with running(
            [*found.command, "-d", TEST_RUNNER, "-u", ADDON, "--stop-after-init"]
            + ["--test-enable", "--test-tags", f"/{ADDON}"]
            + [f"--http-port={base.free_port()}"],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=found.environ(),
            cwd=HOME,
        ) as process:
            yield process


def _read_names():
    """The tests, as (module, Class.method), that Odoo's runner has started."""
    names = set()
    for _level, logger, text in records(base.LOG / f"{RUNNER_LOG}.log"):
        started = re.match(r"Starting (\w+\.test\w*) \.\.\.", text)
        if started:
            names.add((logger, started[1]))
    return names


def _read_odoo_runner(code, problems):
    log = base.LOG / f"{RUNNER_LOG}.log"
    if code:
        problems.add(f"Odoo's runner ended with {code}: see {log}")
    for _level, logger, text in records(log):
        skipped = re.match(r"skipped (\w+(?:\.\w+)?.*)", text)
        if skipped and ".tests" in logger:
            problems.add(f"skipped by Odoo's runner: {skipped[1]}")
    names = _read_names()
    if not names:
        problems.add(f"Odoo's runner ran no test: see {log}")
    _check_log(log, problems)
    return names


def _compare(ran, names, problems):
    """Both runners must have run the same test methods."""
    by_pytest = {name for name, standard in ran.items() if standard}
    for module, name in sorted(by_pytest - names):
        problems.add(
            f"only pytest ran {module}.{name}: is the file imported in "
            "tests/__init__.py, and the method the class's own?"
        )
    for module, name in sorted(names - set(ran)):
        problems.add(f"only Odoo's runner ran {module}.{name}")


@contextmanager
def _core_lint(found, database):
    """Odoo's addon test_lint, on this addon alone, into its log."""
    LINT_REPORT.unlink(missing_ok=True)
    found.find("test_lint")
    with open(base.new_log(LINT_LOG), "a") as file:
        with running(
            [python.PYTHON, DEV / "core_lint.py"],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=found.environ(
                KEY_ACCOUNT_REPORT=LINT_REPORT,
                DB=database,
                PATH=_environment()["PATH"],
            ),
            cwd=HOME,
        ) as process:
            yield process


def _read_core_lint(code, problems):
    log = base.LOG / f"{LINT_LOG}.log"
    try:
        result = json.loads(LINT_REPORT.read_text())
    except (OSError, ValueError):
        problems.add(base.explain("running test_lint", log))
        return 0
    for line in result["messages"]:
        say("    " + line.replace("\n", "\n    "))
    if code or result["failures"] or result["skipped"]:
        problems.add(
            f"test_lint: {result['failures']} failures, "
            f"{result['skipped']} skipped: see {log}"
        )
    if not result["ran"]:
        problems.add(f"test_lint ran no test: see {log}")
    return result["ran"]


# ---------------------------------------------------------------------------
# make lint, make format
# ---------------------------------------------------------------------------
def _environment():
    path = f"{python.NODE}/node_modules/.bin:{base.environ()['PATH']}"
    return base.environ(PATH=path)


def _files(*endings):
    """The checkout's files with these endings, as git sees them."""
    listed = base.output(
        ["git", "-C", CHECKOUT, "ls-files", "-co", "--exclude-standard"], check=False
    )
    if listed is None:  # not a git checkout: an unpacked archive
        names = [str(path.relative_to(CHECKOUT)) for path in CHECKOUT.rglob("*")]
    else:
        names = listed.splitlines()
    return [
        name
        for name in sorted(names)
        if name.endswith(endings)
        and (CHECKOUT / name).is_file()
        and not re.match(
            # written by programs
            r"static/lib/|dev/package-lock\.json|companions/.*/data/files/",
            name,
        )
    ]


def _prettier(option):
    plugin = python.NODE / "node_modules/@prettier/plugin-xml/src/plugin.js"
    files = _files(".xml", ".js", ".scss", ".css", ".json", ".yaml", ".yml")
    return ["prettier", option, f"--plugin={plugin}", *files]


def lint():
    """Every checker, even after one has complained."""
    checkers = [
        ("ruff check", ["ruff", "check", "."]),
        ("ruff format", ["ruff", "format", "--check", "."]),
        ("pylint-odoo", ["pylint", "--rcfile=.pylintrc", ADDONS / ADDON]),
        (
            "oca-odoo-pre-commit-hooks",
            ["oca-checks-odoo-module", f"--disable={','.join(NOT_CHECKED)}", "."],
        ),
        ("prettier", _prettier("--check")),
    ]
    for files, options in (
        (_files(".pot"), []),
        # It would take a word that a language has in common for one that is missing.
        (_files(".po"), ["--disable=po-pretty-format"]),
    ):
        if files:
            checkers.append(("oca-checks-po", ["oca-checks-po", *options, *files]))
    failed = []
    for name, command in checkers:
        step(name)
        if _checker(command):
            failed.append(name)
    if failed:
        say(f"==> make lint FAILED: {', '.join(failed)}")
        return 1
    say("==> make lint passed")
    return 0


def rewrite():
    """Let the formatters have their way."""
    for command in (
        ["ruff", "check", "--fix", "--select=I,UP", "."],
        ["ruff", "format", "."],
        _prettier("--write"),
    ):
        step(command[0])
        if _checker(command):
            return 1
    # It also complains of what it has just mended: its verdict is make lint's.
    _checker(["oca-checks-po", "--fix", *_files(".pot")])
    return 0


def _checker(command):
    with running(command, cwd=CHECKOUT, env=_environment()) as process:
        return process.wait()
