import logging
import re

from odoo.tests import HttpCase, no_retry, tagged

from odoo.addons.web.tests import test_js

SUITE = "@crm_key_account"


class HootCommon(HttpCase):
    def _run_hoot(self, preset):
        """Run the unit tests of this addon's JavaScript, as web runs those of all."""
        suite_id = test_js.HOOTCommon._generate_hash(self, SUITE)
        # HOOT takes a run without tests for a success: only its log tells
        messages = []
        logger = self._logger.getChild("browser")
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.INFO)

        def collect(record):
            messages.append(record.getMessage())
            return True

        logger.addFilter(collect)
        self.addCleanup(logger.removeFilter, collect)
        self.browser_js(
            f"/web/tests?headless&loglevel=2&preset={preset}&timeout=15000"
            f"&id={suite_id}",
            "",
            "",
            login="admin",
            # An unknown suite means all tests of Odoo: these take longer
            timeout=180,
            success_signal="[HOOT] Test suite succeeded",
            error_checker=test_js.unit_test_error_checker,
        )
        ended = re.compile(re.escape(f'[HOOT] "{SUITE}" ended (passed: ') + "[1-9]")
        self.assertTrue(any(map(ended.match, messages)), "No test ran")


@tagged("post_install", "-at_install")
class TestHoot(HootCommon):
    @no_retry
    def test_desktop(self):
        self._run_hoot("desktop")


@tagged("post_install", "-at_install")
class TestPhoneHoot(HootCommon):
    browser_size = "375x667"
    touch_enabled = True

    @no_retry
    def test_phone(self):
        self._run_hoot("mobile&tag=-headless")
