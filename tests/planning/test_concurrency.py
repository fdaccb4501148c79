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

    def _run_second(self, env, results):
        # as Odoo runs what a user asks for
        try:
            results.append(len(retrying(partial(self._generate, env), env)))
        except Exception as error:
            results.append(error)

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
        results = []
        with self.registry.cursor() as first_cr, self.registry.cursor() as second_cr:
            # Both environments are made here: Odoo's own runner holds the lock of the
            # registries while it runs tests, and a thread would wait for it.
            first = api.Environment(first_cr, SUPERUSER_ID, {})
            second = api.Environment(second_cr, SUPERUSER_ID, {})
            # takes a snapshot that is older than the commit of the first one
            second["key.account.visit"].search_count([])
            self.assertEqual(len(self._generate(first)), 3)
            first.flush_all()
            thread = threading.Thread(target=self._run_second, args=(second, results))
            thread.start()
            # the second one now waits until the first commits, and begins anew
            thread.join(0.5)
            self.assertTrue(thread.is_alive(), "the second one has to wait")
            first_cr.commit()
            thread.join(30)
        self.assertEqual(results, [0])
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
