"""A pytest plugin: write which tests ran and which were skipped.

`make test` compares that with what Odoo's own runner ran, and takes a skipped
test for a failure.
"""

import json
import os

ran = []
skipped = []


def pytest_runtest_setup(item):
    cls = getattr(item, "cls", None)
    # Only tests with the tag "standard" are run by --test-tags /addon
    tags = getattr(getattr(item, "instance", None), "test_tags", {"standard"})
    name = f"{cls.__name__}.{item.originalname}" if cls else item.name
    ran.append([item.module.__name__, name, "standard" in tags])


def pytest_runtest_logreport(report):
    # An expected failure is reported as skipped too, but it did run
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr
        if isinstance(reason, tuple):
            reason = reason[2]
        skipped.append([report.nodeid, str(reason)])


def pytest_collectreport(report):
    if report.skipped:
        skipped.append([report.nodeid, "while collecting"])


def pytest_sessionfinish():
    with open(os.environ["KEY_ACCOUNT_REPORT"], "w") as file:
        json.dump({"ran": ran, "skipped": skipped}, file)
