"""What `make run`, `make test` and the others do."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

from . import (
    base,
    browser,
    chaos_queue,
    companions,
    core_tests,
    databases,
    fuzz,
    odoo,
    postgres,
    python,
    testing,
)
from . import page as pages
from . import uninstall as uninstalling
from .base import ADDON, CHECKOUT, HOME, Failure, say, step
from .chaos import make_chaos


@contextmanager
def environment(chromium=False):
    """Everything that Odoo needs, made if it's missing; PostgreSQL runs meanwhile."""
    base.make_home()
    base.end_orphans()
    with base.locked("setup", "Waiting for another command that makes the same"):
        base.link_addon()
        python.make_venv()
        python.make_node()
        python.make_data_sets()
        found = odoo.find_odoo()
        if chromium:
            browser.make_chromium()
        odoo.write_config(found, postgres.settings())
    with postgres.server():
        try:
            yield found
        finally:
            # A browser or a server that outlived its test
            base.end_processes(os.getpid())


def making_databases():
    return base.locked("databases", "Waiting for another command that makes databases")


# ---------------------------------------------------------------------------
# make run
# ---------------------------------------------------------------------------
WELCOME = """
    {url}
    login: admin    password: admin    (sets tiers and cadence)
    login: kate     password: kate     (a rep; also matteo, ingrid, dana)
    login: helen    password: helen    (their team leader)

    Look first at CRM > Accounts: tiers from the posted invoices, overdue visits
    in red. Then CRM > Visits as kate. docs/try_it.md tells the story.
    Log: {log}
    Ctrl-C stops the server and everything started with it.
"""


def run(_options):
    """The addon with its demo data, in a browser of yours."""
    port = int(os.environ.get("PORT") or 8069)
    if not base.port_is_free(port):
        raise Failure(
            f"Port {port} is taken: name another one, as in `make run PORT={port + 1}`."
        )
    with environment() as found:
        with making_databases():
            databases.make(found, databases.DEMO)
        log = base.new_log("run")
        with _serving(found, databases.DEMO, port, log) as (server, url):
            say(WELCOME.format(url=url, log=log))
            server.wait()
            raise Failure(f"Odoo ended by itself: see the end of {log}.")


@contextmanager
def _serving(found, database, port, log):
    """Odoo on a database, until this ends; give its process and address."""
    step("Starting Odoo")
    with open(log, "a") as file:
        server = subprocess.Popen(
            [*found.command, "-d", database, f"--http-port={port}"]
            + [f"--db-filter=^{database}$"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=found.environ(),
            cwd=HOME,
            # Ctrl-C reaches us alone, and we end the server in order
            start_new_session=True,
        )
    try:
        url = f"http://localhost:{port}"
        _wait_for(url, server, log)
        yield server, url
    finally:
        step("Stopping Odoo")
        _end(server)


def _wait_for(url, server, log):
    end = time.monotonic() + 120
    while True:
        try:
            # Through the login page, so that it is built before somebody looks
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"{url}/web/login", timeout=60):
                return
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise Failure(base.explain("starting Odoo", log)) from None
            time.sleep(0.3)


def _end(process):
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue


# ---------------------------------------------------------------------------
# make shell, make walk, make bench
# ---------------------------------------------------------------------------
def shell(_options):
    """Odoo's shell; a script may come from standard input."""
    base.Output.stream = sys.stderr
    name = os.environ.get("DB") or databases.DEMO
    with environment() as found:
        with making_databases():
            if name in (databases.DEMO, databases.TEST):
                databases.make(found, name)
            elif name == databases.BASE:
                databases.make_base(found)
            elif databases.stamp_of(name) is None:
                raise Failure(f"There is no database {name}.")
        # Odoo logs to stderr, so stdout is the script's own
        # Ctrl-C is the shell's own, which goes on after it; a handler of Python's is
        # not passed on to it, as SIG_IGN would be
        signal.signal(signal.SIGINT, lambda *_: None)
        return _in_front(
            [*found.command, "shell", "-d", name, "--no-http"], found.environ()
        )


def walk(_options):
    """Which files a click goes through, on the demo data; nothing of it is kept."""
    base.Output.stream = sys.stderr
    with environment() as found:
        with making_databases():
            databases.make(found, databases.DEMO)
        with open(base.DEV / "walk.py") as script:
            return _in_front(
                [*found.command, "shell", "-d", databases.DEMO, "--no-http"]
                + ["--log-level=warn"],
                found.environ(),
                stdin=script,
            )


def i18n(_options):
    """The template of translations anew, and the translations merged with it."""
    with environment() as found:
        with making_databases():
            # One that was upgraded lacks records that came later with the addon.
            databases.make(found, databases.TEST, fresh=True)
        with open(base.DEV / "i18n.py") as script:
            failed = _in_front(
                [*found.command, "shell", "-d", databases.TEST, "--no-http"]
                + ["--log-level=warn"],
                found.environ(),
                stdin=script,
            )
    return failed or format(_options)


def bench(_options):
    """The benchmark, inside the environment."""
    script = CHECKOUT / "benchmarks/run.py"
    if not script.exists():
        raise Failure("There is no benchmarks/run.py yet.")
    with environment() as found:
        with making_databases():
            databases.make_base(found)
        arguments = os.environ.get("ARGS", "").split()
        return _in_front(
            [python.PYTHON, script, *arguments],
            found.environ(
                KEY_ACCOUNT_BASE=databases.BASE,
                KEY_ACCOUNT_DATA=odoo.DATA,
                PGHOST=postgres.settings()["host"],
                PGPORT=postgres.settings()["port"],
                PGUSER=postgres.settings()["user"],
            ),
        )


def load(_options):
    """Twenty salespeople at work, without and with the night."""
    return _measure("load")


def bench_peers(_options):
    """Planned visits of this addon and of what else plans them, side by side."""
    # its dependencies are Odoo's own addons
    return _measure("peers", "--no-deps", "--require-hashes")


def _measure(name, *options):
    """Run a script of the benchmarks, with the packages of its own that it needs.

    :param options: of pip
    """
    with environment() as found:
        with base.locked("setup", "Waiting for another command that makes the same"):
            packages = python.make_packages(name, *options)
        with making_databases():
            databases.make_base(found)
        return _in_front(
            [python.PYTHON, CHECKOUT / f"benchmarks/{name}.py"]
            + os.environ.get("ARGS", "").split(),
            found.environ(
                KEY_ACCOUNT_BASE=databases.BASE,
                KEY_ACCOUNT_DATA=odoo.DATA,
                KEY_ACCOUNT_LOG=base.LOG,
                KEY_ACCOUNT_PACKAGES=packages,
                PGHOST=postgres.settings()["host"],
                PGPORT=postgres.settings()["port"],
                PGUSER=postgres.settings()["user"],
            ),
        )


def chaos(_options):
    """Nights, users and `kill -9`; ARGS= names how many kills."""
    (kills,) = _get_numbers("the number of kills, as in `make chaos ARGS=100`", 1)
    with environment() as found:
        return make_chaos(found, kills)


def chaos_queue_(_options):
    """Nights as jobs of a queue, and `kill -9`; ARGS= names how many kills, and the
    companies, salespeople and customers."""
    numbers = _get_numbers(
        "the number of kills, and if you like of companies, of salespeople in each and "
        'of customers of each, as in `make chaos-queue ARGS="100 4 5 100"`',
        1,
        4,
    )
    with environment() as found:
        return chaos_queue.make_chaos(found, numbers[0], numbers[1:])


def _get_numbers(what, *lengths):
    try:
        numbers = [int(text) for text in (os.environ.get("ARGS") or "20").split()]
    except ValueError:
        numbers = []
    if len(numbers) not in lengths:
        raise Failure(f"ARGS is {what}.")
    return numbers


def fuzz_(_options):
    """Random sequences of what people do; ARGS= says how many."""
    with environment() as found:
        return fuzz.run(found)


def _in_front(command, env, stdin=None):
    """Run a command with our own input and output, and give its exit code.

    :param stdin: a file to be its input instead
    """
    process = subprocess.Popen(
        [str(part) for part in command], env=env, cwd=HOME, stdin=stdin
    )
    try:
        return process.wait()
    except BaseException:
        _end(process)
        raise


# ---------------------------------------------------------------------------
# make test, make lint
# ---------------------------------------------------------------------------
def test(_options):
    """The whole test suite, or with K= or T= a part of it."""
    with environment(chromium=True) as found:
        return testing.test(found)


def core(_options):
    """Core's own tests, with the addon against without."""
    with environment(chromium=True) as found:
        with base.locked("test", "Waiting for another `make test`"):
            return core_tests.run(found)


def companions_(_options):
    """The addons that go beside ours."""
    with environment() as found:
        return companions.run(found)


def uninstall(_options):
    """Beside many addons: labels that clash, and what is left afterwards."""
    with environment() as found:
        return uninstalling.run(found)


def lint(_options):
    """The checkers, each on the whole addon."""
    _make_checkers()
    return testing.lint()


def format(_options):
    """ruff and prettier rewrite the files."""
    _make_checkers()
    return testing.rewrite()


def _make_checkers():
    base.make_home()
    with base.locked("setup", "Waiting for another command that makes the same"):
        base.link_addon()
        python.make_venv()
        python.make_node()


# ---------------------------------------------------------------------------
# make page, make pictures
# ---------------------------------------------------------------------------
def page(_options):
    """The page of the Apps store, from the README."""
    target = CHECKOUT / pages.PICTURES / "index.html"
    try:
        target.write_text(pages.render((CHECKOUT / "README.md").read_text()))
    except ValueError as error:
        raise Failure(f"README.md: {error}.") from None
    say(f"{target}")


def pictures(_options):
    """The pictures of README, guides and store, on demo data made anew."""
    name = databases.PICTURES
    with environment(chromium=True) as found:
        fonts = browser.make_fonts()
        with making_databases():
            databases.make(found, name, fresh=True)
        try:
            what = "running the first night"
            databases.run_odoo(found, name, [], what, "night", NIGHT)
            log = base.new_log("pictures")
            with _serving(found, name, base.free_port(), log) as (_server, url):
                step("Taking the pictures")
                program = browser.find_chromium()
                script = base.DEV / "pictures.py"
                return _in_front(
                    [python.PYTHON, script, url, program, fonts], base.environ()
                )
        finally:
            databases.drop(name)


# As everybody sees the demo from its second day on
NIGHT = """
env["key.account.night"]._cron_night()
env.cr.commit()
"""


# ---------------------------------------------------------------------------
# make dist, make clean, make lock
# ---------------------------------------------------------------------------
def dist(_options):
    """The wheel odoo-addon-crm_key_account, and one of each companion, from what is
    committed."""
    base.make_home()
    with base.locked("setup", "Waiting for another command that makes the same"):
        python.make_venv()
    if base.output(["git", "-C", CHECKOUT, "status", "--porcelain"]).strip():
        step("Note: the wheels hold what is committed, and not everything is")
    step("Building the wheels")
    base.new_log("dist")
    folder = HOME / "tmp/dist"
    target = HOME / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target.mkdir(exist_ok=True)
    trees = {ADDON: "HEAD"}
    for name in companions.get_names():
        trees[name] = f"HEAD:companions/{name}"
    for name, tree in trees.items():
        _make_wheel(name, tree, folder)
    for wheel in (folder / "wheel").glob("*.whl"):
        os.replace(wheel, target / wheel.name)
        say(f"{target / wheel.name}")
    shutil.rmtree(folder)


def _make_wheel(name, tree, folder):
    # whool names the wheel after the folder and takes every file in it
    archive = folder / f"{name}.tar"
    base.run(
        ["git", "-C", CHECKOUT, "archive", f"--prefix={name}/", "-o", archive, tree],
        "exporting the commit",
        "dist",
    )
    base.run(["tar", "-xf", archive, "-C", folder], "exporting the commit", "dist")
    base.run(
        [python.PYTHON, "-m", "pip", "wheel", "--no-input", "--no-deps"]
        + ["--no-build-isolation", "-w", folder / "wheel", folder / name],
        "building the wheel",
        "dist",
    )


def clean(_options):
    """Stop what runs, and remove the folder, if it is ours."""
    if not HOME.exists():
        say(f"{HOME} isn't there: nothing to remove.")
        return
    if not (HOME / base.MARKER).exists():
        raise Failure(f"{HOME} wasn't made by this project: it is left alone.")
    step("Stopping what runs")
    try:
        postgres.stop()
    except Failure:
        pass  # ended the hard way, then
    base.end_processes()
    if base.elsewhere().is_dir():
        shutil.rmtree(base.make_elsewhere())
    step(f"Removing {HOME}")
    # The marker goes last, so that a broken-off removal can be taken up again
    for entry in HOME.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != base.MARKER:
            entry.unlink()
    shutil.rmtree(HOME)


def setup(_options):
    """Everything that the other commands need, made and ready."""
    with environment(chromium=True) as found, making_databases():
        databases.make_base(found)


def lock(_options):
    """Write dev/requirements.txt anew from dev/requirements.in."""
    base.make_home()
    with base.locked("setup", "Waiting for another command that makes the same"):
        folder = HOME / "uv"
        if not (folder / "bin/uv").exists():
            base.new_log("lock")
            base.run([sys.executable, "-m", "venv", folder], "making a venv", "lock")
            base.run([folder / "bin/pip", "install", "uv"], "installing uv", "lock")
        base.run(
            [folder / "bin/uv", "pip", "compile", "--universal"]
            + ["--python-version", "3.10", "--generate-hashes", "--upgrade"]
            + ["--no-emit-index-url", "--no-header"]
            + ["requirements.in", "-o", "requirements.txt"],
            "locking the Python packages",
            "lock",
            cwd=base.DEV,
        )


COMMANDS = {
    function.__name__: function
    for function in (
        run,
        test,
        shell,
        walk,
        i18n,
        lint,
        format,
        bench,
        load,
        chaos,
        uninstall,
        page,
        pictures,
        dist,
        clean,
        setup,
        lock,
    )
}
COMMANDS["core-tests"] = core
COMMANDS["companions"] = companions_
COMMANDS["fuzz"] = fuzz_
COMMANDS["chaos-queue"] = chaos_queue_
COMMANDS["bench-peers"] = bench_peers
