"""Run Odoo's addon test_lint on crm_key_account alone.

test_lint's classes ask `odoo.modules` for every addon on the path, and the registry
for every model, and ran over ten minutes here. Given one addon, and complaints about
core's own models left to core, they take seconds.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ADDON = "crm_key_account"


def load():
    """Odoo with the test database, and the tests of test_lint."""
    import odoo.modules.registry
    import odoo.tests.loader
    import odoo.tools

    database = os.environ["DB"]
    odoo.tools.config.parse_config(["-d", database], setup_logging=True)
    odoo.tools.config["test_enable"] = True
    threading.current_thread().dbname = database
    threading.current_thread().testing = True
    # Loading the registry with test_enable on would run tests of its own
    with mock.patch.dict(odoo.tools.config._runtime_options, {"test_enable": False}):
        odoo.modules.registry.Registry(database)
    return odoo.tests.loader.get_test_modules("test_lint")


def only_this_addon():
    """Patches that show test_lint one addon, and one pylint target."""
    from odoo.modules import Manifest

    manifest = Manifest.for_addon(ADDON)
    if not manifest:
        sys.exit(f"{ADDON} isn't on the addons path")
    Manifest.all_addon_manifests = staticmethod(lambda: [manifest])

    from odoo.tools import config

    from odoo.addons.test_lint.tests import test_eslint, test_pylint

    def run(command, **options):
        # Odoo's own folder is always in test_pylint's list
        command = [part for part in command if part != config.root_path]
        return subprocess.run(command, **options)

    test_pylint.subprocess = SimpleNamespace(run=run)

    # The rules for point of sale's addons need a plugin, even for no file at all
    plain = test_eslint.TestESLint._test_eslint
    test_eslint.TestESLint._test_eslint = lambda self, modules, rules: (
        plain(self, modules, rules) if modules else None
    )


class Messages(logging.Handler):
    """What the tests complain about, kept for the report."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.kept = []

    def emit(self, record):
        self.kept.append(record.getMessage())


def main():
    from odoo.tests.result import OdooTestResult
    from odoo.tests.suite import OdooSuite

    modules = load()
    only_this_addon()
    import odoo.tests.loader as loader

    tests = [
        test for module in modules for test in loader.get_module_test_cases(module)
    ]
    messages = Messages()
    for name in ("odoo.addons.test_lint", ADDON):
        logging.getLogger(name).addHandler(messages)
    result = OdooTestResult()
    OdooSuite(tests)(result)
    Path(os.environ["KEY_ACCOUNT_REPORT"]).write_text(
        json.dumps(
            {
                "ran": result.testsRun,
                "skipped": result.skipped,
                "failures": result.failures_count + result.errors_count,
                "messages": messages.kept,
            }
        )
    )


if __name__ == "__main__":
    main()
