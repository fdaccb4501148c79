import threading
from datetime import timedelta
from functools import partial
from unittest.mock import patch

import psycopg2.errors

from odoo import SUPERUSER_ID, Command, api, fields
from odoo.exceptions import UserError, ValidationError
from odoo.modules.registry import Registry
from odoo.service.model import retrying
from odoo.tests import BaseCase, Form, freeze_time, get_db_name, tagged
from odoo.tools import mute_logger

from ...models.account import attempts
from ..common import KeyAccountCommon

NIGHT = "odoo.addons.crm_key_account.models.visit.key_account_night"


@tagged("post_install", "-at_install")
class TestNight(KeyAccountCommon):
    """One job tiers, updates relationships and plans, company by company."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # these companies alone: others take their time
        cls.other = cls._create_company("Other Company")
        cls.env["res.company"].search(
            [("id", "not in", (cls.company | cls.other).ids)]
        ).key_account_planning = False
        cls.env["key.account.cadence"].create(
            {
                "company_id": cls.company.id,
                "track": "visit",
                "interval_count": 1,
                "interval_unit": "week",
            }
        )
        cls.job = cls.env.ref("crm_key_account.ir_cron_tiering")
        cls.Night = cls.env["key.account.night"]
        cls.account = cls._create_partner("Kestrel")
        cls._create_invoices([(cls.account, 1000, fields.Date.today())])
        cls.done = []

    def setUp(self):
        super().setUp()
        self.patch(attempts.time, "sleep", lambda seconds: None)
        self.Night.search([]).write({"phases": False})

    def _run_job(self):
        """Call the job as Odoo's scheduler does; return what it says is left."""
        with self.enter_registry_test_mode():
            self.job.method_direct_trigger()
        self.env.invalidate_all()
        progress = self.env["ir.cron.progress"].search(
            [("cron_id", "=", self.job.id)], order="id desc", limit=1
        )
        return progress.remaining

    def _get_night(self, company=None):
        company = company or self.company
        return self.Night.search([("company_id", "=", company.id)])

    def _fail(self, name, errors, model="key.account.policy", company=None):
        """Have a method fail for one company, once for each error; the last one
        stays."""
        company = company or self.company
        cls = type(self.env[model])
        original = getattr(cls, name)
        errors = list(errors)

        def fail(records, called, *args, **kwargs):
            self.done.append((name, called))
            if called == company and errors:
                error = errors.pop(0)
                if error:
                    raise error
            return original(records, called, *args, **kwargs)

        return patch.object(cls, name, fail)

    def test_deleting_fails(self):
        """What can't be deleted is named in the log, and costs nobody the night."""
        for model, name in (
            ("key.account.check.in", "_delete_old"),
            ("key.account.retention", "_delete_notes"),
        ):
            self.company.key_account_note_months = 1
            with self.subTest(model):

                def fail(*_args):
                    raise ValueError("A file is locked")

                with (
                    patch.object(type(self.env[model]), name, fail),
                    self.assertLogs(NIGHT, "ERROR") as logs,
                ):
                    self.assertFalse(self._run_job())
                self.assertIn("too old failed", logs.output[0])
                self.assertFalse(self._get_night().phases)
                self.assertTrue(self._get_card(self.account).tier_id)

    def test_leave_until_further_notice(self):
        """Of one who never comes back nothing is planned; everybody else works."""
        theirs = self._create_partner("Heron", user_id=self.rep2.id)
        self._create_invoices([(theirs, 1000, fields.Date.today())])
        self.rep.tz = self.rep2.tz = "Asia/Tokyo"
        resource = self.env["resource.resource"].create(
            {
                "name": "Rep",
                "user_id": self.rep.id,
                "company_id": self.company.id,
            }
        )
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Until further notice",
                "resource_id": resource.id,
                "date_from": fields.Datetime.now() - timedelta(days=2),
                "date_to": "9999-12-31 23:59:59",
            }
        )
        self.assertFalse(self._run_job())
        self.assertFalse(self._get_night().failure_count)
        self.assertTrue(self._get_planned(theirs))
        self.assertFalse(self._get_planned(self.account))

    def test_one_job(self):
        planning = self.env.ref("crm_key_account.ir_cron_planning")
        self.assertEqual(planning, self.job)
        self.assertEqual(self._run_job(), 0)
        card = self._get_card(self.account)
        self.assertEqual(card.tier_id, self.tier_a)
        self.assertTrue(card.next_visit_date)
        night = self._get_night()
        self.assertFalse(night.phases)
        self.assertFalse(night.failure_count)

    def test_a_conflict_costs_a_retry(self):
        conflict = psycopg2.errors.SerializationFailure()
        for name, model in (
            ("_run_tiers", "key.account.policy"),
            ("_run_relationships", "key.account.policy"),
            ("_get_plans", "key.account.planner"),
            ("_create_free", "key.account.plan.values"),
        ):
            with self.subTest(name=name), self._fail(name, [conflict] * 7, model):
                self.assertEqual(self._run_job(), 0)
            self.assertTrue(self._get_card(self.account).next_visit_date)
            self.assertFalse(self._get_night().failure_count)
            self.env["key.account.visit"].search(
                [("partner_id", "=", self.account.id)]
            ).unlink()

    def test_every_conflict_is_one(self):
        for error in (
            psycopg2.errors.SerializationFailure,
            psycopg2.errors.DeadlockDetected,
            psycopg2.errors.LockNotAvailable,
        ):
            with self._fail("_run_tiers", [error()]):
                self.assertEqual(self._run_job(), 0)
            self.assertFalse(self._get_night().failure_count)

    def test_a_conflict_that_stays_is_told_and_tried_again(self):
        conflict = psycopg2.errors.SerializationFailure("could not serialize")
        triggers = self.env["ir.cron.trigger"].search([("cron_id", "=", self.job.id)])
        with (
            self._fail("_run_tiers", [conflict] * 100),
            mute_logger(NIGHT, "odoo.addons.base.models.ir_cron"),
        ):
            # the other company isn't lost
            self.assertEqual(self._run_job(), 1)
            self.assertTrue(self.other.key_account_has_dues)
            night = self._get_night()
            self.assertEqual(night.phases, ["tiering", "relationships", "planning"])
            self.assertEqual(night.failure_count, 1)
            self.assertFalse(self.company.key_account_computed_at)
            # called again within minutes
            triggers = self.env["ir.cron.trigger"].search(
                [("cron_id", "=", self.job.id), ("id", "not in", triggers.ids)]
            )
            self.assertTrue(triggers)
            soon = fields.Datetime.now() + timedelta(minutes=2)
            self.assertLess(min(triggers.mapped("call_at")), soon)
            # told to an administrator
            admin = self.env.ref("base.user_admin")
            self.assertIn(admin, night.activity_ids.user_id)
            told = night.activity_ids
            self.assertIn("could not serialize", told[0].note)
            # too soon
            self.assertEqual(self._run_job(), 1)
            self.assertEqual(night.failure_count, 1)
            # again, and nobody is told twice
            night.date_retry = fields.Datetime.now()
            self.done.clear()
            self.assertEqual(self._run_job(), 1)
            self.assertEqual(night.failure_count, 2)
            self.assertEqual(night.activity_ids, told)
            # others had their night
            self.assertEqual({company for _, company in self.done}, {self.company})
        night.date_retry = fields.Datetime.now()
        self.assertEqual(self._run_job(), 0)
        self.assertFalse(night.failure_count)
        self.assertFalse(night.activity_ids)
        self.assertTrue(self._get_card(self.account).next_visit_date)

    def test_what_fails_for_long_keeps_nobody_from_the_next_night(self):
        with (
            self._fail("_run_tiers", [UserError("bad")] * 100),
            mute_logger(NIGHT, "odoo.addons.base.models.ir_cron"),
        ):
            self.assertEqual(self._run_job(), 1)
            # planning doesn't wait for it
            self.assertTrue(self.company.key_account_has_dues)
            self.assertEqual(self._get_night().phases, ["tiering"])
            first = self._get_night(self.other).date_start
            with freeze_time(fields.Datetime.now() + timedelta(days=3)):
                self.assertEqual(self._run_job(), 1)
                self.assertGreater(self._get_night(self.other).date_start, first)

    def test_planned_again_by_tiers_that_come_late(self):
        """Planning doesn't wait for tiers that fail, and follows when they come."""
        with (
            self._fail("_run_tiers", [UserError("bad")]),
            mute_logger(NIGHT, "odoo.addons.base.models.ir_cron"),
        ):
            self.assertEqual(self._run_job(), 1)
        night = self._get_night()
        self.assertEqual(night.phases, ["tiering"])
        night.date_retry = fields.Datetime.now()
        self.done.clear()
        with self._fail("_get_plans", [], "key.account.planner"):
            self.assertEqual(self._run_job(), 0)
        self.assertEqual(self.done, [("_get_plans", self.company)])
        self.assertFalse(night.phases)
        self.assertFalse(night.failure_count)

    def test_what_was_told_goes_when_all_is_done(self):
        """Not when another part is, but also where nothing is left to do."""
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        self.policy.branches_apart = True
        with (
            self._fail("_run_tiers", [UserError("bad")] * 100, company=branch),
            mute_logger(NIGHT, "odoo.addons.base.models.ir_cron"),
        ):
            self.assertEqual(self._run_job(), 1)
            night = self._get_night(branch)
            self.assertTrue(night.activity_ids)
            night.date_retry = fields.Datetime.now()
            with self.enter_registry_test_mode(), self.registry.cursor() as cr:
                env = api.Environment(cr, SUPERUSER_ID, {})
                env["key.account.planner"]._cron_generate()
            self.env.invalidate_all()
            self.assertTrue(night.activity_ids)
        # its accounts are those of the company again
        self.policy.branches_apart = False
        self.assertEqual(self._run_job(), 0)
        self.assertFalse(night.activity_ids)
        self.assertFalse(night.phases)
        self.assertFalse(night.failure_count)

    def test_a_killed_job_goes_on_where_it_was(self):
        self._run_job()
        self._get_night().phases = ["planning"]
        with (
            self._fail("_run_tiers", []),
            self._fail("_get_plans", [], "key.account.planner"),
        ):
            self.done.clear()
            self.assertEqual(self._run_job(), 0)
        self.assertEqual(self.done, [("_get_plans", self.company)])

    def test_ended_by_somebody_else(self):
        """Of two that are at it, the one that comes second has nothing left to do."""

        def end(planner, company, steps):
            self._get_night(company).phases = False

        with patch.object(type(self.env["key.account.planner"]), "_end_night", end):
            self.assertEqual(self._run_job(), 0)
        self.assertFalse(self._get_night().failure_count)

    def test_what_is_left_to_do(self):
        """In words, for whoever opens the night that failed."""
        self._run_job()
        night = self._get_night()
        self.assertEqual(night.phases_left, "nothing")
        night.phases = ["tiering", "relationships", "planning"]
        self.assertEqual(
            night.phases_left, "tier customers, update relationships, and plan visits"
        )
        with Form(night.with_user(self.env.ref("base.user_admin"))) as form:
            self.assertEqual(form.phases_left, night.phases_left)

    def test_no_time_left(self):
        """Odoo calls again: what is done stays done."""
        self.patch(attempts.Attempts, "has_time", False)
        with mute_logger("odoo.addons.base.models.ir_cron"):
            self.assertGreaterEqual(self._run_job(), 2)
        self.patch(attempts.Attempts, "has_time", True)
        self.assertEqual(self._run_job(), 0)

    def test_doors_do_their_part(self):
        for model, name, done in (
            ("key.account.policy", "_cron_run", {"_run_tiers"}),
            ("key.account.visit", "_cron_generate", {"_get_plans"}),
        ):
            self.done.clear()
            with (
                self._fail("_run_tiers", []),
                self._fail("_get_plans", [], "key.account.planner"),
                self.enter_registry_test_mode(),
            ):
                with self.registry.cursor() as cr:
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    getattr(env[model], name)()
            self.assertEqual({called for called, _ in self.done}, done)

    def test_a_company_that_doesnt_plan(self):
        self.company.key_account_planning = False
        self._run_job()
        self.assertFalse(self._get_card(self.account).next_visit_date)
        self.assertFalse(self._get_night().phases)

    def test_night_heals(self):
        self._run_job()
        visit = self.env["key.account.visit"].search(
            [("partner_id", "=", self.account.id)]
        )
        self.env.flush_all()
        self.cr.execute(
            "UPDATE res_partner SET active = FALSE WHERE id = %s", [self.account.id]
        )
        self.env.invalidate_all()
        self._run_job()
        self.assertEqual(visit.close_reason, "Customer archived")


@tagged("post_install", "-at_install")
class TestRules(KeyAccountCommon):
    """Automation rules and other addons do something with an activity while it is
    created: core's ``create`` is the one that they stand in front of."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partners = cls.env["res.partner"]
        for name in ("Kestrel", "Merlin"):
            cls.partners |= cls._create_partner(name)
        cls.env["key.account.cadence"].search([]).active = False
        cls.env["key.account.cadence"].create(
            {
                "company_id": cls.company.id,
                "track": "visit",
                "interval_count": 1,
                "interval_unit": "week",
            }
        )
        cls._set_tier(cls.partners, cls.tier_a)
        cls.Visit.search([("partner_id", "in", cls.partners.ids)]).unlink()
        cls.env.flush_all()
        cls.kind = cls.env.ref("crm_key_account.mail_activity_type_visit")

    def _rule(self, do):
        """Have each new visit's activity go through ``do``."""
        cls = type(self.env["mail.activity"])
        create = cls.create

        def create_and_do(activities, vals_list):
            made = create(activities, vals_list)
            do(made.filtered(lambda activity: activity.activity_type_id == self.kind))
            return made

        return patch.object(cls, "create", create_and_do)

    def _get_planned(self):
        self.env.invalidate_all()
        return self.Visit.search(
            [("partner_id", "in", self.partners.ids), ("state", "=", "planned")]
        )

    def _assert_agreed(self, user, day):
        visits = self._get_planned()
        self.assertEqual(visits.partner_id, self.partners)
        for visit in visits:
            self.assertEqual(visit.user_id, user)
            self.assertEqual(visit.activity_id.user_id, user)
            self.assertEqual(visit.date_planned, day)
            self.assertEqual(visit.activity_id.date_deadline, day)

    def _test_moved(self, as_write):
        day = fields.Date.today() + timedelta(days=9)
        values = {"user_id": self.rep2.id, "date_deadline": day}

        def move(activities):
            if as_write:
                activities.write(values)
            else:
                # one that writes past the addon's methods
                for name, value in values.items():
                    activities[name] = value
                activities.flush_recordset()

        with self._rule(move):
            self.Visit._generate(company=self.company)
        self._assert_agreed(self.rep2, day)
        # the next night leaves it so
        self.Visit._generate(company=self.company)
        self._assert_agreed(self.rep2, day)

    def test_rule_moves_activities(self):
        self._test_moved(True)

    def test_rule_assigns_field_by_field(self):
        self._test_moved(False)

    def test_addon_has_other_values(self):
        """Another addon's create takes other values than it was given."""
        day = fields.Date.today() + timedelta(days=9)
        cls = type(self.env["mail.activity"])
        create = cls.create

        def create_other(activities, vals_list):
            return create(
                activities,
                [
                    {**vals, "user_id": self.rep2.id, "date_deadline": day}
                    for vals in vals_list
                ],
            )

        with patch.object(cls, "create", create_other):
            self.Visit._generate(company=self.company)
        self._assert_agreed(self.rep2, day)

    def test_by_hand(self):
        with self._rule(lambda activities: activities.write({"user_id": self.rep2.id})):
            visit = self.Visit.with_user(self.rep).create(
                {"partner_id": self.partners[0].id, "date_planned": "2030-01-07"}
            )
        self.assertEqual(visit.sudo().user_id, self.rep2)
        self.assertEqual(visit.sudo().activity_id.user_id, self.rep2)

    def test_refused_activities(self):
        def refuse(activities):
            if self.partners[0].id in activities.mapped("res_id"):
                raise ValidationError(self.env._("not a member of the team"))

        with (
            self._rule(refuse),
            self.assertLogs("odoo.addons.crm_key_account", "WARNING") as logs,
        ):
            self.Visit._generate(company=self.company)
        self.assertEqual(self._get_planned().partner_id, self.partners[1])
        self.assertIn("not a member of the team", "".join(logs.output))
        row = self.env["key.account.due"].search(
            [("partner_id", "=", self.partners[0].id), ("reason", "=", "refused")]
        )
        self.assertTrue(row.is_waiting)
        self.assertEqual(row.refusal, "not a member of the team")

    def test_a_salesperson_from_elsewhere(self):
        """What can't be a visit isn't half of one."""
        stranger = self._create_user("ka_stranger", "base.group_portal")
        with (
            self._rule(lambda activities: activities.write({"user_id": stranger.id})),
            self.assertLogs("odoo.addons.crm_key_account", "WARNING"),
        ):
            self.Visit._generate(company=self.company)
        self.assertFalse(self._get_planned())
        rows = self.env["key.account.due"].search([("reason", "=", "refused")])
        self.assertEqual(rows.partner_id, self.partners)


class Committed(BaseCase):
    """Two connections that commit, and what they made is deleted."""

    def setUp(self):
        super().setUp()
        self.registry = Registry(get_db_name())
        with self.registry.cursor() as cr:
            env = self._get_env(cr)
            company = env.company
            self.company_id = company.id
            self.was_planning = company.key_account_planning
            company.key_account_planning = True
            users = env["res.users"].with_context(no_reset_password=True)
            group = env.ref("sales_team.group_sale_salesman")
            self.user_ids = [
                users.create(
                    {
                        "name": login,
                        "login": login,
                        "company_id": company.id,
                        "company_ids": [Command.set(company.ids)],
                        "group_ids": [Command.link(group.id)],
                    }
                ).id
                for login in ("night_rep", "night_rep2")
            ]
            partners = env["res.partner"].create(
                [
                    {
                        "name": f"Side by Side {index}",
                        "is_company": True,
                        "user_id": self.user_ids[0],
                    }
                    for index in range(3)
                ]
            )
            self.partner_ids = partners.ids
            # asked for first, planned by nobody
            with patch.object(
                type(env["key.account.planner"]), "_plan_now", lambda *args: None
            ):
                partners.account_tier_id = env.ref("crm_key_account.tier_key")
            self.new_company_ids = []
        self.addCleanup(self._clean_up)

    def _get_env(self, cr):
        return api.Environment(cr, SUPERUSER_ID, {})

    def _clean_up(self):
        with self.registry.cursor() as cr:
            env = self._get_env(cr)
            partners = env["res.partner"].browse(self.partner_ids).exists()
            domain = [("partner_id", "in", partners.ids)]
            env["key.account.visit"].search(domain).unlink()
            users = env["res.users"].browse(self.user_ids)
            users.partner_id.active = True
            partners.unlink()
            people = users.partner_id
            users.unlink()
            people.unlink()
            env["res.company"].browse(
                self.company_id
            ).key_account_planning = self.was_planning

    def _get_partners(self, env):
        return env["res.partner"].browse(self.partner_ids)

    def _get_plans(self, env):
        company = env["res.company"].browse(self.company_id)
        planner = env["key.account.planner"].sudo().with_company(company)
        planner._refresh_dues(company, self.partner_ids, [])
        plans = planner._get_plans(
            company, ["visit"], self.partner_ids, [], None, False
        )
        return company, plans

    def _create(self, env, company, plans):
        values = env["key.account.plan.values"].with_company(company)
        return values._create_batch(company, plans)

    def _run_night(self):
        """Do what the next night does first; all of it would plan for others too."""
        with self.registry.cursor() as cr:
            env = self._get_env(cr)
            company = env["res.company"].browse(self.company_id)
            env["key.account"].sudo()._complete_history(company)
            env["key.account.visit.repair"]._heal(company)


@tagged("post_install", "-at_install")
class TestSideBySide(Committed):
    """Planning, and a user who changes what it plans for: both see what was there
    before, both commit. The next night heals what comes of it."""

    def _run_planner_first(self, change):
        """The user begins while the planner's visits aren't committed, in this thread:
        Odoo's own runner holds the lock of the registries, which a new try asks for."""
        with self.registry.cursor() as planner_cr, self.registry.cursor() as user_cr:
            planner, user = self._get_env(planner_cr), self._get_env(user_cr)
            user["res.partner"].search_count([])
            visits = self._create(planner, *self._get_plans(planner))
            self.assertEqual(visits.partner_id.ids, self.partner_ids)
            planner.flush_all()
            timer = threading.Timer(1, planner_cr.commit)
            timer.start()
            retrying(partial(change, user), user)
            timer.join()

    def _run_user_first(self, change):
        """The user commits after the planner has chosen the days."""
        with self.registry.cursor() as planner_cr, self.registry.cursor() as user_cr:
            planner, user = self._get_env(planner_cr), self._get_env(user_cr)
            plans = self._get_plans(planner)
            # no locks while the user works
            planner_cr.commit()
            planner["res.partner"].search_count([])
            change(user)
            user_cr.commit()
            try:
                with mute_logger("odoo.sql_db"):
                    self._create(planner, *plans)
                    planner_cr.commit()
            except attempts.CONFLICTS:
                planner_cr.rollback()

    def _check(self, change, assert_right):
        for run in (self._run_planner_first, self._run_user_first):
            with self.subTest(run=run.__name__):
                run(change)
                self._run_night()
                with self.registry.cursor() as cr:
                    env = self._get_env(cr)
                    assert_right(env)
                    self._assert_sound(env)
            self.doCleanups()
            self.setUp()

    def _get_planned(self, env):
        return env["key.account.visit"].search(
            [("partner_id", "in", self.partner_ids), ("state", "=", "planned")]
        )

    def _assert_sound(self, env):
        """What holds whatever happened."""
        for visit in self._get_planned(env):
            self.assertTrue(visit.partner_id.active)
            self.assertEqual(visit.account_user_id, visit.partner_id.user_id)
            self.assertEqual(len(visit.activity_id), 1)
            self.assertEqual(visit.activity_id.user_id, visit.user_id)
            self.assertEqual(visit.activity_id.date_deadline, visit.date_planned)
            self.assertEqual(visit.activity_id.res_id, visit.partner_id.id)
        activities = env["mail.activity"].search(
            [
                ("res_model", "=", "res.partner"),
                ("res_id", "in", self.partner_ids),
                ("key_account_role", "=", "visit"),
            ]
        )
        self.assertEqual(activities, self._get_planned(env).activity_id)

    def test_archived_customer(self):
        def assert_right(env):
            planned = self._get_planned(env)
            self.assertNotIn(self.partner_ids[0], planned.partner_id.ids)

        self._check(
            lambda env: self._get_partners(env)[0].action_archive(), assert_right
        )

    def test_moved_customer(self):
        def change(env):
            company = env["res.company"].search(
                [("id", "!=", self.company_id)], limit=1
            ) or env["res.company"].create({"name": "Elsewhere"})
            self._get_partners(env)[0].company_id = company

        def assert_right(env):
            planned = self._get_planned(env)
            self.assertNotIn(self.partner_ids[0], planned.partner_id.ids)

        self._check(change, assert_right)

    def test_contact(self):
        def change(env):
            partners = self._get_partners(env)
            partners[0].write({"is_company": False, "parent_id": partners[1].id})

        def assert_right(env):
            planned = self._get_planned(env)
            self.assertNotIn(self.partner_ids[0], planned.partner_id.ids)
            cards = env["key.account"].search(
                [("partner_id", "=", self.partner_ids[0])]
            )
            self.assertFalse(cards.tier_id)

        self._check(change, assert_right)

    def test_archived_salesperson(self):
        def change(env):
            env["res.users"].browse(self.user_ids[0]).action_archive()

        def assert_right(env):
            self.assertNotIn(self.user_ids[0], self._get_planned(env).user_id.ids)

        self._check(change, assert_right)

    def test_other_salesperson(self):
        def change(env):
            self._get_partners(env)[0].user_id = self.user_ids[1]

        def assert_right(env):
            visit = self._get_planned(env).filtered(
                lambda visit: visit.partner_id.id == self.partner_ids[0]
            )
            self.assertIn(visit.user_id.id, (self.user_ids[1], False))

        self._check(change, assert_right)

    def test_merge(self):
        def change(env):
            partners = self._get_partners(env)
            partners[1].user_id = self.user_ids[1]
            env["base.partner.merge.automatic.wizard"]._merge(
                partners[:2].ids, partners[1], extra_checks=False
            )

        def assert_right(env):
            visits = self._get_planned(env).filtered(
                lambda visit: visit.partner_id.id == self.partner_ids[1]
            )
            self.assertLessEqual(len(visits), 1)
            self.assertIn(visits.user_id.id, (self.user_ids[1], False))
            card = env["key.account"].search(
                [
                    ("partner_id", "=", self.partner_ids[1]),
                    ("company_id", "=", self.company_id),
                ]
            )
            last = env["key.account.tier.change"].search(
                [("partner_id", "=", self.partner_ids[1]), ("state", "=", "applied")],
                order="id desc",
                limit=1,
            )
            self.assertEqual(last.to_tier_id, card.tier_id)

        self._check(change, assert_right)


@tagged("post_install", "-at_install")
class TestCollision(Committed):
    def _take(self, number):
        """Another one plans the visits of the first customers."""
        with self.registry.cursor() as cr:
            env = self._get_env(cr)
            company, plans = self._get_plans(env)
            taken = [p for p in plans if p["partner_id"] in self.partner_ids[:number]]
            self.assertEqual(len(self._create(env, company, taken)), number)

    def test_a_collision_costs_one_visit(self):
        for number in (1, 2, 3):
            with self.subTest(number=number), self.registry.cursor() as cr:
                env = self._get_env(cr)
                company, plans = self._get_plans(env)
                env.cr.commit()
                env["res.partner"].search_count([])
                self._take(number)
                sizes = []
                cls = type(env["key.account.visit"])
                create = cls._complete_new_values

                def count(visits, vals_list, create=create, note=sizes.append):
                    note(len(vals_list))
                    return create(visits, vals_list)

                with patch.object(cls, "_complete_new_values", count):
                    visits = self._create(env, company, plans)
                self.assertEqual(visits.partner_id.ids, self.partner_ids[number:])
                # all, and once again those that are left
                self.assertEqual(sizes, [3, 3 - number] if number < 3 else [3])
                cr.rollback()
            with self.registry.cursor() as cr:
                env = self._get_env(cr)
                env["key.account.visit"].search(
                    [("partner_id", "in", self.partner_ids)]
                ).unlink()

    def test_whoever_is_busy_waits_for_nobody(self):
        with self.registry.cursor() as cr, self.registry.cursor() as user_cr:
            env = self._get_env(cr)
            company, plans = self._get_plans(env)
            env.cr.commit()
            user_cr.execute(
                "UPDATE key_account SET rank = rank WHERE partner_id = %s",
                [self.partner_ids[0]],
            )
            values = env["key.account.plan.values"].with_company(company)
            busy = values._create_free(company, plans)
            self.assertEqual(
                [plan["partner_id"] for plan in busy], self.partner_ids[:1]
            )
            env.cr.commit()
            user_cr.rollback()
            self.assertFalse(values._create_free(company, busy))
            self.assertEqual(
                env["key.account.visit"].search_count(
                    [("partner_id", "in", self.partner_ids)]
                ),
                3,
            )
            # days that were chosen before somebody else planned are left out
            self.assertFalse(values._create_free(company, plans))

    def test_a_step_is_tried_with_a_new_snapshot(self):
        with self.registry.cursor() as cr:
            env = self._get_env(cr)
            partner = self._get_partners(env)[0]
            seen = []

            def step():
                seen.append(partner.name)
                if len(seen) == 1:
                    with self.registry.cursor() as user_cr:
                        user = self._get_env(user_cr)
                        self._get_partners(user)[0].name = "Renamed"
                partner.comment = "Written"
                return partner.name

            with mute_logger("odoo.sql_db"):
                attempt = attempts.Attempts(env)
                self.assertEqual(attempt(step), "Renamed")
            self.assertEqual(seen, ["Side by Side 0", "Renamed"])
            self.assertEqual(attempt.repeated, 1)
