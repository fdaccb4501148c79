"""What is sent twice: by two taps, over a bad line, or as the same file again."""

import threading
from unittest.mock import patch

from freezegun import freeze_time

from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry
from odoo.service.model import retrying
from odoo.tests import BaseCase, get_db_name, tagged
from odoo.tools import mute_logger

from ..common import KeyAccountCommon

REPORT = {
    "mode": "phone",
    "objective_reached": "reached",
    "next_step": "Send the offer",
}


@tagged("post_install", "-at_install")
class TestTwice(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.partner = cls._create_partner("Kestrel")
        cls.contact = cls.env["res.partner"].create(
            {"name": "Ann", "parent_id": cls.partner.id}
        )
        cls.report = {
            **REPORT,
            "partner_id": cls.partner.id,
            "contact_ids": [[4, cls.contact.id]],
            "commitment_ids": [[0, 0, {"name": "Samples"}]],
        }

    def _search_done(self):
        return self.Visit.search(
            [("partner_id", "=", self.partner.id), ("state", "=", "done")]
        )

    def test_report_of_a_new_visit(self):
        visits = self.Visit.with_user(self.rep)
        for method in ("action_report_later", "action_report", "action_report"):
            getattr(visits, method)(self.report)
        visit = self._search_done()
        self.assertEqual(len(visit), 1)
        self.assertTrue(visit.report_date)
        self.assertEqual(len(visit.commitment_ids), 1)
        # another report, or the same one by a colleague or tomorrow, is another visit
        visits.action_report({**self.report, "next_step": "Call again"})
        self.Visit.with_user(self.leader).action_report(self.report)
        with freeze_time("2026-03-19 09:00:00"):
            visits.action_report(self.report)
        self.assertEqual(len(self._search_done()), 4)

    def test_report_of_a_planned_visit(self):
        visit = self.Visit.create(
            {"partner_id": self.partner.id, "user_id": self.rep.id}
        ).with_user(self.rep)
        report = {key: self.report[key] for key in self.report.keys() - {"partner_id"}}
        visit.action_report(report)
        visit.action_report(report)
        self.assertEqual(self._search_done(), visit)
        self.assertEqual(len(visit.commitment_ids), 1)
        # corrected, and back again
        visit.action_report({"next_step": "Call again"})
        visit.action_report({"next_step": "Send the offer"})
        visit.action_report({"next_step": "Call again"})
        self.assertEqual(visit.next_step, "Call again")

    def test_report_after_it_was_undone(self):
        visit = self.Visit.create(
            {"partner_id": self.partner.id, "user_id": self.rep.id}
        ).with_user(self.rep)
        report = {key: self.report[key] for key in self.report.keys() - {"partner_id"}}
        visit.action_report(report)
        visit.sudo().activity_id.with_user(self.rep).active = True
        self.assertEqual(visit.state, "planned")
        visit.action_report(report)
        self.assertEqual(visit.state, "done")
        self.assertTrue(visit.report_date)

    # --- files -------------------------------------------------------------------

    def _load(self, names, *rows):
        return self.Visit.with_user(self.rep).load(names, [list(row) for row in rows])

    def test_file_of_past_visits(self):
        names = ["partner_id/.id", "state", "date_done", "track"]
        rows = [
            (str(self.partner.id), "Done", "2026-02-02", "Visit"),
            # two calls on one day
            (str(self.partner.id), "Done", "2026-02-03", "Call or mail"),
            (str(self.partner.id), "Done", "2026-02-03", "Call or mail"),
        ]
        result = self._load(names, *rows)
        self.assertEqual(len(result["ids"]), 3, result["messages"])
        result = self._load(names, *rows)
        self.assertFalse(result["ids"])
        self.assertIn("Kestrel on Feb 2 is there already", str(result["messages"]))
        self.assertEqual(len(self._search_done()), 3)
        # named by a contact, it is the same customer
        row = (str(self.contact.id), *rows[0][1:])
        self.assertFalse(self._load(names, row)["ids"])
        # another day is another visit
        row = (str(self.partner.id), "Done", "2026-02-04", "Visit")
        self.assertEqual(len(self._load(names, row)["ids"]), 1)

    def test_file_with_external_ids(self):
        names = ["id", "partner_id/.id", "state", "date_done", "feedback"]
        row = ("old.visit_1", str(self.partner.id), "Done", "2026-02-02", "Fine")
        first = self._load(names, row)
        self.assertEqual(len(first["ids"]), 1, first["messages"])
        second = self._load(names, (*row[:-1], "Very fine"))
        self.assertEqual(second["ids"], first["ids"], second["messages"])
        self.assertEqual(self._search_done().feedback, "Very fine")
        third = self._load(names, (*row[:3], "2026-02-03", "Fine"))
        self.assertIn("is closed", str(third["messages"]))


@tagged("post_install", "-at_install")
class TestAtOnce(BaseCase):
    """The same report five times at once, on real connections that commit, as Odoo
    answers requests: what meets another one is tried again."""

    def setUp(self):
        super().setUp()
        self.registry = Registry(get_db_name())
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            partner = env["res.partner"].create({"name": "At once", "is_company": True})
            contact = env["res.partner"].create(
                {"name": "Ann", "parent_id": partner.id}
            )
            self.partner_id = partner.id
            self.contact_id = contact.id
        self.addCleanup(self._clean_up)

    def _clean_up(self):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            visits = env["key.account.visit"].search(
                [("partner_id", "=", self.partner_id)]
            )
            visits.task_ids.unlink()
            cr.execute("DELETE FROM key_account_visit WHERE id = ANY(%s)", [visits.ids])
            env.invalidate_all()
            env["res.partner"].browse([self.contact_id, self.partner_id]).unlink()

    def _do_at_once(self, model, ids, call, uid=SUPERUSER_ID):
        """Call ``call`` five times at once with the records; fail if one is refused."""
        errors = []

        def answer(env):
            records = env[model].browse(ids)
            # the snapshot is as old as that of the others
            records.search_count([])
            barrier.wait(30)
            try:
                retrying(lambda: call(records), env)
            except Exception as error:
                errors.append(error)

        cursors = [self.registry.cursor() for _ in range(5)]
        barrier = threading.Barrier(len(cursors))
        try:
            threads = [
                threading.Thread(target=answer, args=(api.Environment(cr, uid, {}),))
                for cr in cursors
            ]
            with (
                mute_logger("odoo.sql_db", "odoo.service.model"),
                # A new try asks for the registry, whose lock Odoo's own runner holds
                # while it runs tests.
                patch.object(Registry, "_lock", threading.RLock()),
            ):
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(120)
        finally:
            for cr in cursors:
                cr.close()
        self.assertFalse(errors)

    def _report_at_once(self, visit_id, values, **options):
        self._do_at_once(
            "key.account.visit",
            visit_id or (),
            lambda visit: visit.action_report(values),
            **options,
        )
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            visits = env["key.account.visit"].search(
                [("partner_id", "=", self.partner_id), ("state", "=", "done")]
            )
            return len(visits), len(visits.commitment_ids)

    def _get_values(self):
        return {
            **REPORT,
            "contact_ids": [[4, self.contact_id]],
            "commitment_ids": [[0, 0, {"name": "Samples"}]],
        }

    def test_new_visit(self):
        values = {**self._get_values(), "partner_id": self.partner_id}
        self.assertEqual(self._report_at_once(None, values), (1, 1))

    def test_planned_visit(self):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            visit = env["key.account.visit"].create({"partner_id": self.partner_id})
            visit_id = visit.id
        self.assertEqual(self._report_at_once(visit_id, self._get_values()), (1, 1))

    def _get_admin(self, env):
        return env.ref("base.user_admin")

    def test_new_visit_of_a_user(self):
        """Who wasn't following the customer so far does so by the first one."""
        values = {**self._get_values(), "partner_id": self.partner_id}
        with self.registry.cursor() as cr:
            uid = self._get_admin(api.Environment(cr, SUPERUSER_ID, {})).id
        self.assertEqual(self._report_at_once(None, values, uid=uid), (1, 1))

    def test_check_in(self):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            user = self._get_admin(env)
            company = user.company_id
            was_used = company.key_account_check_in
            company.key_account_check_in = True
            visit = env["key.account.visit"].create(
                {
                    "partner_id": self.partner_id,
                    "company_id": company.id,
                    "user_id": user.id,
                }
            )
            uid, visit_id = user.id, visit.id
        try:
            self._do_at_once(
                "key.account.visit",
                visit_id,
                lambda visit: visit.action_check_in(),
                uid=uid,
            )
        finally:
            with self.registry.cursor() as cr:
                env = api.Environment(cr, SUPERUSER_ID, {})
                company = self._get_admin(env).company_id
                company.key_account_check_in = was_used
                count = env["key.account.check.in"].search_count(
                    [("visit_id", "=", visit_id)]
                )
        self.assertEqual(count, 1)

    def test_list_of_accounts_to_assign(self):
        with self.registry.cursor() as cr:
            user = self._get_admin(api.Environment(cr, SUPERUSER_ID, {}))
            uid, company_id = user.id, user.company_id.id
        vals = {
            "company_id": company_id,
            "partner_id": self.partner_id,
            "problem": "nobody",
        }
        model = self.registry["key.account.assignment"]
        with patch.object(model, "_prepare_lines", lambda *_args: [dict(vals)]):
            self._do_at_once(
                "key.account.assignment",
                (),
                lambda lines: lines.action_open(),
                uid=uid,
            )
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            lines = env["key.account.assignment"].search([("create_uid", "=", uid)])
            self.assertEqual(lines.partner_id.ids, [self.partner_id])
            self.assertEqual(len(lines), 1)
            lines.unlink()
