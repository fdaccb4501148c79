"""`make companions`: the addons that go beside ours, installed and tested."""

import os
import re

from . import base, databases, python, testing
from .base import CHECKOUT, say, step

FOLDER = CHECKOUT / "companions"
DATABASE = "key_account_companions"


def get_names():
    return sorted(path.parent.name for path in FOLDER.glob("*/__manifest__.py"))


def options(found):
    """Odoo's options by which it finds them, and what they build on."""
    folders = [*found.addons_path, FOLDER, python.COMPANIONS / "odoo/addons"]
    return ["--addons-path", ",".join(map(str, folders))]


def environ(found):
    paths = [found.path, python.COMPANIONS]
    return found.environ(PYTHONPATH=":".join(map(str, paths)))


def run(found):
    """Install them on a copy of the demo database, with their tests, which ask core's
    own check of what a dashboard names as well; T= names some of them."""
    names = os.environ.get("T", "").split() or get_names()
    with base.locked("setup", "Waiting for another command that makes the same"):
        python.make_companions()
    with base.locked("databases", "Waiting for another command that makes databases"):
        databases.make(found, databases.DEMO)
        databases.copy(databases.DEMO, DATABASE)
    step(f"Installing and testing {', '.join(names)}")
    path = base.new_log("companions")
    with open(path, "a") as file:
        with testing.running(
            [*found.command, "-d", DATABASE, "-i", ",".join(names)]
            + options(found)
            + ["--test-enable", "--test-tags", ",".join(f"/{name}" for name in names)]
            + ["--stop-after-init", f"--http-port={base.free_port()}"],
            stdout=file,
            stderr=-2,  # the same
            env=environ(found),
            cwd=base.HOME,
        ) as process:
            code = process.wait()
    count = sum(
        bool(re.match(r"Starting (\w+\.test\w*) \.\.\.", text))
        for _level, _logger, text in testing.records(path)
    )
    problems = list(testing.complaints(path))
    for problem in problems:
        say(f"    {problem}")
    databases.drop(DATABASE)
    if code or problems or not count:
        say(f"==> make companions FAILED: see {path}")
        return 1
    say(f"==> make companions passed: {count} tests")
    return 0
