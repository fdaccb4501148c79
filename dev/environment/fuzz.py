"""`make fuzz`: random sequences of what people do, as many as there is time for.

The sequences are those of `tests/fuzz.py`, which `make test` does a few of; here on a
database of its own, so that several can run at once with different seeds.
"""

import os

from . import base, databases, python, testing
from .base import ADDON, ADDONS, DEV, Failure, say, step

USUAL = {"number": 10000, "seed": 1, "minutes": 60, "tries": 25}


def run(found):
    """Run sequences until so many are done, or so many minutes have passed.

    :return: 1 if there was a fault, else 0
    """
    options = _get_options()
    name = f"key_account_fuzz_{options['seed']}"
    with base.locked("databases", "Waiting for another command that makes databases"):
        databases.make(found, databases.DEMO)
        databases.copy(databases.DEMO, name)
    step(
        f"{options['number']} sequences from seed {options['seed']} on, for "
        f"{options['minutes']} minutes at most"
    )
    log = base.new_log(name)
    try:
        with testing.running(
            [python.PYTHON, "-m", "pytest", "-c", DEV / "pytest.ini", "-s", "-q"]
            + ["--rootdir", ADDONS, "-p", "no:cacheprovider"]
            + [f"--odoo-database={name}", "--odoo-log-level=info"]
            + [f"--odoo-extra=logfile={log}"]
            + [f"{ADDON}/tests/test_fuzz.py::TestFuzz"],
            cwd=ADDONS,
            env=found.environ(
                PYTHONPATH=f"{found.path}:{DEV}",
                KEY_ACCOUNT_FUZZ=" ".join(str(value) for value in options.values()),
            ),
        ) as process:
            code = process.wait()
    finally:
        databases.drop(name)
    say(f"==> make fuzz {'FAILED: the faults are above' if code else 'passed'}")
    return 1 if code else 0


def _get_options():
    """Return what ``ARGS`` says: number=…, seed=…, minutes=…, tries=… (how
    often a fault's sequence is shortened)"""
    options = dict(USUAL)
    for part in os.environ.get("ARGS", "").split():
        key, _, value = part.partition("=")
        if key not in USUAL or not value.isdigit():
            raise Failure(
                "ARGS says how much, as in "
                '`make fuzz ARGS="number=1000 seed=7 minutes=30"`.'
            )
        options[key] = int(value)
    return options
