import threading
from functools import partial

from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry
from odoo.service.model import retrying
from odoo.tests import BaseCase, get_db_name, tagged


@tagged("post_install", "-at_install")
class TestConcurrency(BaseCase):
    """Two generators at once, on two real connections that commit."""

    def setUp(self):
        super().setUp()
        self.registry = Registry(get_db_name())
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            tier = env.ref("crm_key_account.tier_key")
            partners = env["res.partner"].create(
                [{"name": f"Concurrent {n}", "is_company": True} for n in range(3)]
            )
            partners.account_tier_id = tier
            self.company_id = env.company.id
            self.partner_ids = partners.ids
        self.addCleanup(self._clean_up)

    def _clean_up(self):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            partners = env["res.partner"].browse(self.partner_ids)
            visits = env["key.account.visit"].search(
                [("partner_id", "in", partners.ids)]
            )
            visits.unlink()
            partners.unlink()

    def _generate(self, env):
        partners = env["res.partner"].browse(self.partner_ids)
        company = env["res.company"].browse(self.company_id)
        return env["key.account.visit"]._generate(partners, company)

    def _count(self):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            visits = env["key.account.visit"].search(
                [("partner_id", "in", self.partner_ids), ("state", "=", "planned")]
            )
            activities = env["mail.activity"].search(
                [("res_model", "=", "res.partner"), ("res_id", "in", self.partner_ids)]
            )
            return len(visits), len(activities)

    def test_two_at_once(self):
        committed = []
        with self.registry.cursor() as first_cr, self.registry.cursor() as second_cr:
            first = api.Environment(first_cr, SUPERUSER_ID, {})
            second = api.Environment(second_cr, SUPERUSER_ID, {})
            # takes a snapshot that is older than the commit of the first one
            second["key.account.visit"].search_count([])
            self.assertEqual(len(self._generate(first)), 3)
            first.flush_all()

            def commit():
                committed.append(True)
                first_cr.commit()

            # The second one waits until the first commits, and begins anew. It is the
            # one that stays in this thread: Odoo's own runner holds the lock of the
            # registries, which a new beginning asks for.
            timer = threading.Timer(0.5, commit)
            timer.start()
            # as Odoo runs what a user asks for
            visits = retrying(partial(self._generate, second), second)
            self.assertTrue(committed, "the second one has to wait")
            self.assertFalse(visits)
            timer.join()
        self.assertEqual(self._count(), (3, 3))

    def test_after_a_crash(self):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            self.assertEqual(len(self._generate(env)), 3)
            env.flush_all()
            cr.rollback()
        self.assertEqual(self._count(), (0, 0))
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            self.assertEqual(len(self._generate(env)), 3)
        self.assertEqual(self._count(), (3, 3))
