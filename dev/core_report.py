"""A pytest plugin for core's own tests: write how each ended and what it asked for.

Core's tests say how many queries some of them take, with the modules of its own server.
`make core-tests` compares two databases instead, so here they are counted alone.
"""

import json
import os
from collections import defaultdict
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from odoo.tests.common import BaseCase

outcomes = {}
# The counted blocks of each test, in their order
queries = defaultdict(list)


@contextmanager
def count_queries(self, default=0, flush=True, **counters):
    """Stand in for core's `assertQueryCount`: count, and expect nothing."""
    if flush:
        self.env.flush_all()
        self.env.cr.flush()
    before = self.cr.sql_log_count
    # As core does: no chance clean-up of the bus
    with patch("random.random", lambda: 1):
        yield
        if flush:
            self.env.flush_all()
            self.env.cr.flush()
    # The first go of a test that is run twice only fills the caches
    if self.warm:
        name = f"{type(self).__module__}.{type(self).__name__}.{self._testMethodName}"
        queries[name].append(self.cr.sql_log_count - before)


BaseCase.assertQueryCount = count_queries


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    name = f"{item.module.__name__}.{item.cls.__name__}.{item.name}"
    # The worst of set-up, call and tear-down
    if outcomes.get(name, "passed") in ("passed", "skipped"):
        outcomes[name] = report.outcome
    return report


def pytest_collectreport(report):
    if report.failed:
        outcomes[f"{report.nodeid} (while collecting)"] = "failed"


def pytest_sessionfinish():
    with open(os.environ["KEY_ACCOUNT_REPORT"], "w") as file:
        json.dump({"outcomes": outcomes, "queries": queries}, file)
