import gc
import json
from datetime import timedelta
from unittest.mock import patch

import psycopg2.errors
from freezegun import freeze_time

from odoo import SUPERUSER_ID, api, fields
from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw, get_public_method
from odoo.sql_db import db_connect
from odoo.tests import get_db_name, tagged
from odoo.tools import mute_logger

from odoo.addons.crm_key_account.models.account import attempts
from odoo.addons.crm_key_account.models.visit import key_account_night
from odoo.addons.crm_key_account.tests.common import KeyAccountCommon
from odoo.addons.queue_job.controllers.main import RunJobController
from odoo.addons.queue_job.exception import RetryableJobError
from odoo.addons.queue_job.job import Job
from odoo.addons.queue_job.tests.common import trap_jobs

from ..models import key_account_night as night_module
from ..models.key_account_night import LIVE, LOCK

NIGHT = "odoo.addons.crm_key_account_queue.models.key_account_night"


class QueueCommon(KeyAccountCommon):
    """Two companies that plan, three salespeople in one of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls._create_company("Other Company")
        cls.env["res.company"].search(
            [("id", "not in", (cls.company | cls.other).ids)]
        ).key_account_planning = False
        cls.env["key.account.cadence"].create(
            [
                {
                    "company_id": company.id,
                    "track": "visit",
                    "interval_count": 1,
                    "interval_unit": "week",
                }
                for company in cls.company | cls.other
            ]
        )
        cls.job = cls.env.ref("crm_key_account.ir_cron_tiering")
        cls.Night = cls.env["key.account.night"]
        cls.Job = cls.env["queue.job"]
        cls.accounts = cls.env["res.partner"]
        nobody = cls.env["res.users"]
        for user in (cls.rep, cls.rep, cls.rep2, cls.leader, nobody):
            cls.accounts |= cls._create_partner("Kestrel", user_id=user.id)
        cls._create_invoices(
            [(partner, 1000, fields.Date.today()) for partner in cls.accounts]
        )
        cls.policy._run_companies(cls.company)

    def setUp(self):
        super().setUp()
        self.patch(attempts.time, "sleep", lambda seconds: None)
        # each phase is a job, and each salesperson
        self.patch(night_module, "SMALL", 0)
        self.patch(night_module, "MIN_ROWS", 1)
        self.Night.search([]).write({"phases": False})

    def _get_night(self, company=None):
        company = company or self.company
        return self.Night.search([("company_id", "=", company.id)])

    def _begin(self):
        """Return the night of the company, which has begun and isn't queued."""
        self.Night.sudo()._begin(key_account_night.PHASES)
        return self._get_night().sudo()

    def _call_cron(self):
        """Call the scheduled action; return the jobs that are queued now."""
        with self.enter_registry_test_mode():
            self.job.method_direct_trigger()
        self.env.invalidate_all()
        # the demo's companies have had theirs
        ours = self.company | self.other
        self.Night.search([("company_id", "not in", ours.ids)]).phases = False
        return self._get_live()

    def _watch(self):
        with self.enter_registry_test_mode():
            watch = self.env.ref("crm_key_account_queue.ir_cron_watch")
            watch.method_direct_trigger()
        self.env.invalidate_all()

    def _get_domain(self):
        # not those of the demo's companies
        return [("company_id", "in", (self.company | self.other).ids)]

    def _get_live(self, *steps):
        jobs = self.Job.search([*self._get_domain(), ("state", "in", LIVE)], order="id")
        if steps:
            jobs = jobs.filtered(lambda job: self._get_step(job) in steps)
        return jobs

    def _get_step(self, job):
        return job.identity_key.split(":", 3)[3]

    def _run_job(self, record):
        """Do what queue_job's controller does in a worker, without its savepoint: a
        test has one connection, and the job's own transactions would be inside."""
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            job = Job.load(api.Environment(cr, SUPERUSER_ID, {}), record.uuid)
            job.set_started()
            job.store()
            job.env.flush_all()
            try:
                job.perform()
            except RetryableJobError as error:
                job.env.invalidate_all()
                job.postpone(result=str(error), seconds=error.seconds)
                job.set_pending(reset_retry=False)
                job.store()
            else:
                job.env.invalidate_all()
                job.set_done()
                job.store()
                RunJobController._enqueue_dependent_jobs(job.env, job)
        self.env.invalidate_all()

    def _run_jobs(self):
        """Run whatever may be run, one by one, the last first: any order will do."""
        ran = []
        while True:
            job = self.Job.search(
                [
                    *self._get_domain(),
                    ("state", "=", "pending"),
                    ("eta", "=", False),
                ],
                order="id desc",
                limit=1,
            )
            if not job:
                return ran
            ran.append((job.company_id, self._get_step(job)))
            self._run_job(job)

    def _get_planned_visits(self):
        visits = self.Visit.search(
            [("company_id", "=", self.company.id), ("state", "=", "planned")]
        )
        return {
            (visit.partner_id, visit.track): (visit.user_id, visit.date_planned)
            for visit in visits
        }

    def _fail(self, name, errors, model="key.account.policy", when=None):
        """Have a method fail once for each error.

        :param when: whether it is to fail, called with its arguments
        """
        cls = type(self.env[model])
        original = getattr(cls, name)
        errors = list(errors)

        def fail(records, *args, **kwargs):
            if errors and (not when or when(*args, **kwargs)):
                raise errors.pop(0)
            return original(records, *args, **kwargs)

        return patch.object(cls, name, fail)

    def _fail_company(self, name, errors, company=None):
        company = company or self.company
        return self._fail(
            name, errors, when=lambda called, *args, **kw: called == company
        )


@tagged("post_install", "-at_install")
class TestQueueing(QueueCommon):
    """What is queued, in which order, and what isn't queued twice."""

    def test_one_chain_for_each_company(self):
        night = self._begin()
        with trap_jobs() as trap:
            night._queue(key_account_night.PHASES)
            trap.assert_jobs_count(3)
            for name in ("_job_tiering", "_job_relationships", "_job_preparation"):
                trap.assert_enqueued_job(
                    getattr(night.with_context(company_id=self.company.id), name),
                    properties={"max_retries": 0},
                )
            names = ["_job_tiering", "_job_relationships", "_job_preparation"]
            first, second, third = sorted(
                trap.enqueued_jobs, key=lambda job: names.index(job.method_name)
            )
            self.assertFalse(first.depends_on)
            self.assertEqual(second.depends_on, {first})
            self.assertEqual(third.depends_on, {second})
            for job in trap.enqueued_jobs:
                self.assertEqual(job.channel, "root.key_account")
                self.assertEqual(job.company_id, self.company.id)
                self.assertTrue(job.job_config.allow_commit)
                self.assertIn(self.company.name, job.description)

    def test_only_what_is_left(self):
        night = self._begin()
        night.phases = ["planning"]
        with trap_jobs() as trap:
            night._queue(key_account_night.PHASES)
            trap.assert_jobs_count(1)
            self.assertEqual(trap.enqueued_jobs[0].method_name, "_job_preparation")
        with trap_jobs() as trap:
            night._queue(["tiering"])
            trap.assert_jobs_count(0)

    def test_a_job_for_each_salesperson(self):
        night = self._begin()
        self.env["key.account.due"]._refresh(self.company, planning=True)
        with trap_jobs() as trap:
            night._queue_agendas(night._get_groups())
            agendas = [
                job for job in trap.enqueued_jobs if job.method_name == "_job_agenda"
            ]
            [end] = set(trap.enqueued_jobs) - set(agendas)
            self.assertEqual(end.method_name, "_job_end")
            self.assertEqual(
                {job.args for job in agendas},
                {(self.rep.id,), (self.rep2.id,), (self.leader.id,), (None,)},
            )
            self.assertEqual(end.depends_on, set(agendas))
            for job in agendas:
                self.assertFalse(job.depends_on)
            self.assertEqual(len({job.identity_key for job in agendas}), 4)

    def test_groups(self):
        """Whose rows together are worth a job is one; a large company has no more jobs
        than would be of use."""
        night = self._begin()
        self.env["key.account.due"]._refresh(self.company, planning=True)
        # in the order of their ids, with 1, 2 and 1 visits, beside one of nobody
        leader, rep, rep2 = self.leader.id, self.rep.id, self.rep2.id
        for least, most, groups in (
            (50, 50, [[None, leader, rep, rep2]]),
            (5, 50, [[None, leader, rep, rep2]]),
            (4, 50, [[None, leader, rep], [rep2]]),
            (2, 50, [[None, leader], [rep], [rep2]]),
            (1, 50, [[None], [leader], [rep], [rep2]]),
            (1, 2, [[None, leader], [rep], [rep2]]),
            (1, 1, [[None, leader, rep, rep2]]),
        ):
            self.patch(night_module, "MIN_ROWS", least)
            self.patch(night_module, "MAX_JOBS", most)
            self.assertEqual(night._get_groups(), groups)

    def test_names(self):
        """Whom a job is about."""
        night = self._begin()
        name = self.company.name
        for user_ids, text in (
            ([None], f"Plan unassigned visits: {name}"),
            ([self.rep.id], f"Plan visits of {self.rep.name}: {name}"),
            ([None, self.rep.id], f"Plan visits of {self.rep.name}: {name}"),
            (
                [None, self.rep.id, self.rep2.id, self.leader.id],
                f"Plan visits of {self.rep.name} and 2 more: {name}",
            ),
        ):
            self.assertEqual(night._get_agenda_text(user_ids), text)

    def test_duplicates(self):
        """Calling again queues nothing again, also while jobs wait for others, run, or
        are to come again."""
        jobs = self._call_cron()
        self.assertEqual(len(jobs), 6)
        self.assertEqual(self._call_cron(), jobs)
        jobs[0].state = "started"
        self.assertEqual(self._call_cron(), jobs)
        jobs[0].write({"state": "pending", "eta": fields.Datetime.now()})
        self.assertEqual(self._call_cron(), jobs)
        # nor by whoever queues a job of its own
        night = self._get_night().sudo()
        night._get_phase_job("relationships").delay()
        self.assertEqual(self._get_live(), jobs)

    def test_what_was_lost_is_queued_again(self):
        """Whoever cancels jobs, or sets them to be done, loses nothing."""
        jobs = self._call_cron()
        jobs.button_cancelled()
        self._watch()
        again = self._get_live()
        self.assertEqual(len(again), 6)
        self.assertFalse(again & jobs)

    def test_the_next_night(self):
        """What waits since the last one isn't done twice; what runs is let run."""
        with freeze_time(fields.Datetime.now() - timedelta(days=1)):
            jobs = self._call_cron()
        started = jobs.filtered(lambda job: job.company_id == self.other)[:1]
        started.state = "started"
        self.job.nextcall = fields.Datetime.now() - timedelta(minutes=1)
        now = self._call_cron()
        self.assertEqual((jobs - started).mapped("state"), ["cancelled"] * 5)
        self.assertEqual(
            {self._get_step(job) for job in now - started},
            {"tiering", "relationships", "planning"},
        )
        self.assertEqual((now - started).company_id, self.company)
        # the other company's night is queued when that job is done
        started.state = "done"
        now = self._call_cron()
        self.assertEqual(len(now), 6)

    def test_cron_has_nothing_left(self):
        self._call_cron()
        progress = self.env["ir.cron.progress"].search(
            [("cron_id", "=", self.job.id)], order="id desc", limit=1
        )
        self.assertEqual(progress.remaining, 0)


@tagged("post_install", "-at_install")
class TestJobs(QueueCommon):
    """The jobs, as a worker runs them."""

    def test_a_night(self):
        """The same as the scheduled action does alone."""
        savepoint = self.cr.savepoint()
        night = self._begin()
        base = key_account_night.KeyAccountNight
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            other = night.with_env(api.Environment(cr, SUPERUSER_ID, {}))
            steps = attempts.Attempts(other.env)
            self.assertTrue(base._run(other, steps, key_account_night.PHASES))
        self.env.invalidate_all()
        expected = self._get_planned_visits()
        self.assertEqual(len(expected), len(self.accounts))
        savepoint.close(rollback=True)
        self.env.invalidate_all()
        self.assertFalse(self._get_planned_visits())
        self._call_cron()
        ran = self._run_jobs()
        mine = [step for company, step in ran if company == self.company]
        self.assertEqual(mine[:3], ["tiering", "relationships", "planning"])
        users = (self.rep, self.rep2, self.leader)
        agendas = {f"agenda:{user_id}" for user_id in (0, *(user.id for user in users))}
        self.assertEqual(set(mine[3:-1]), agendas)
        self.assertEqual(mine[-1], "end")
        self.assertEqual(self._get_planned_visits(), expected)
        self.assertFalse(self._get_live())
        for night in (self._get_night(), self._get_night(self.other)):
            self.assertFalse(night.phases)
            self.assertFalse(night.failure_count)

    def test_a_small_company(self):
        """Its night is one job, which is done in the same way."""
        self.patch(night_module, "SMALL", 50)
        self.patch(night_module, "MIN_ROWS", 50)
        [job] = self._call_cron().filtered(lambda job: job.company_id == self.company)
        self.assertEqual(
            job.name, f"Tier customers and plan visits: {self.company.name}"
        )
        # not once more
        self.assertIn(job, self._call_cron())
        ran = self._run_jobs()
        mine = [step for company, step in ran if company == self.company]
        self.assertEqual(mine, ["night"])
        self.assertEqual(len(self._get_planned_visits()), len(self.accounts))
        self.assertFalse(self._get_live())
        self.assertFalse(self._get_night().phases)

    def test_a_small_company_that_fails(self):
        """Its other phases don't wait; those that were done aren't done again."""
        self.patch(night_module, "SMALL", 50)
        with self._fail_company("_run_tiers", [UserError("bad books")]):
            with mute_logger(NIGHT):
                self._call_cron()
                self._run_jobs()
        self.assertTrue(self._get_planned_visits())
        night = self._get_night()
        self.assertEqual((night.phases, night.failure_count), (["tiering"], 1))
        self.assertTrue(night.activity_ids)
        job = self._get_live("night")
        self.assertIn("bad books", job.result)
        self.assertTrue(job.eta)
        job.eta = False
        self._run_jobs()
        self.assertFalse(self._get_live())
        self.assertFalse(night.phases)
        self.assertFalse(night.activity_ids)

    def test_a_small_company_that_is_busy(self):
        """What comes after a conflict waits."""
        self.patch(night_module, "SMALL", 50)
        conflict = psycopg2.errors.SerializationFailure("could not serialize")
        with (
            self._fail_company("_run_tiers", [conflict] * attempts.TRIES),
            mute_logger(NIGHT),
        ):
            self._call_cron()
            self._run_jobs()
        self.assertFalse(self._get_planned_visits())
        self.assertEqual(self._get_night().phases, list(key_account_night.PHASES))
        job = self._get_live("night")
        job.eta = False
        self._run_jobs()
        self.assertTrue(self._get_planned_visits())
        self.assertFalse(self._get_live())

    def test_a_small_book(self):
        """What isn't worth several jobs is planned by the one that looks at it."""
        self.patch(night_module, "MIN_ROWS", 50)
        self._call_cron()
        ran = self._run_jobs()
        mine = [step for company, step in ran if company == self.company]
        self.assertEqual(mine, ["tiering", "relationships", "planning"])
        self.assertEqual(len(self._get_planned_visits()), len(self.accounts))
        self.assertFalse(self._get_live())
        self.assertFalse(self._get_night().phases)

    def test_several_in_a_job(self):
        self.patch(night_module, "MIN_ROWS", 3)
        self._call_cron()
        ran = self._run_jobs()
        mine = [step for company, step in ran if company == self.company]
        agendas = {"agenda:0", f"agenda:{self.rep2.id}"}
        self.assertEqual(set(mine[3:-1]), agendas)
        self.assertEqual(mine[-1], "end")
        self.assertEqual(len(self._get_planned_visits()), len(self.accounts))
        self.assertFalse(self._get_live())

    def test_queued_for_one(self):
        """What was queued before an upgrade names one salesperson, or nobody."""
        night = self._begin()
        night.phases = ["planning"]
        self.env["key.account.due"]._refresh(self.company, planning=True)
        for user_id in (self.rep.id, None):
            job = night._get_delayable(f"agenda:{user_id}", "Plan")
            job._job_agenda(user_id).delay()
        self._run_jobs()
        users = {user for user, _ in self._get_planned_visits().values()}
        self.assertEqual(users, {self.rep, self.env["res.users"]})

    def test_again(self):
        """A job that was done, and is run again, does nothing."""
        self._call_cron()
        self._run_jobs()
        visits = self._get_planned_visits()
        done = self.Job.search([("company_id", "=", self.company.id)])
        done.write({"state": "pending"})
        self._run_jobs()
        self.assertEqual(self._get_planned_visits(), visits)
        self.assertEqual(set(done.mapped("state")), {"done"})
        # nor where the night isn't over
        self._get_night().phases = ["planning"]
        done.filtered(lambda job: job.method_name == "_job_agenda").state = "pending"
        self._run_jobs()
        self.assertEqual(self._get_planned_visits(), visits)

    def test_twice_at_once(self):
        """Of two that do the same, the other one was done first."""
        self.patch(night_module, "SMALL", 50)
        night = self._get_night().sudo()

        def end(planner, company, steps):
            self._get_night(company).sudo().phases = False

        with patch.object(type(self.env["key.account.planner"]), "_end_night", end):
            self._call_cron()
            self._run_jobs()
        self.assertFalse(self._get_live())
        self.assertFalse(night.failure_count)

    def test_killed_after_its_last_commit(self):
        """Preparation has queued the others, and is run again."""
        self._call_cron()
        for step in ("tiering", "relationships", "planning"):
            [job] = self._get_live(step).filtered(
                lambda job: job.company_id == self.company
            )
            self._run_job(job)
        live = self._get_live()
        job.state = "pending"
        self._run_job(job)
        self.assertEqual(self._get_live(), live)

    def test_killed_before_it_told_those_that_wait(self):
        """A job is done, and its worker died before the next one could begin."""
        self._call_cron()
        [job] = self._get_live("tiering").filtered(
            lambda job: job.company_id == self.company
        )
        with patch.object(RunJobController, "_enqueue_dependent_jobs"):
            self._run_job(job)
        self._run_jobs()
        self.assertEqual(set(self._get_live().mapped("state")), {"wait_dependencies"})
        self._watch()
        self._run_jobs()
        self.assertFalse(self._get_live())
        self.assertEqual(len(self._get_planned_visits()), len(self.accounts))

    def test_whom_tiering_touched(self):
        """Relationships look at them alone; at all, where nobody knows."""
        seen = []
        cls = type(self.env["key.account.policy"])

        def note(policies, company, touched=None, today=None):
            if company == self.company:
                seen.append(touched)

        touched = (self.env["key.account.tier.change"], [self.accounts[0].id])
        with patch.object(cls, "_run_relationships", note):
            with patch.object(cls, "_run_tiers", lambda *args, **kwargs: touched):
                self._call_cron()
                self._run_jobs()
            touched = (touched[0], [])
            with patch.object(cls, "_run_tiers", lambda *args, **kwargs: touched):
                self._call_cron()
                self._run_jobs()
            touched = (touched[0], None)
            with patch.object(cls, "_run_tiers", lambda *args, **kwargs: touched):
                self._call_cron()
                self._run_jobs()
        self.assertEqual(seen, [self.accounts[0].ids, [], None])

    def test_a_company_that_fails(self):
        """Others have their night, its other phases too; administrators are told once,
        and no longer when it is done."""
        failure = UserError("bad books")
        with (
            self._fail_company("_run_tiers", [failure] * 2),
            mute_logger(NIGHT),
        ):
            self._call_cron()
            self._run_jobs()
            self.assertTrue(self._get_planned_visits())
            self.assertFalse(self._get_night(self.other).phases)
            night = self._get_night()
            self.assertEqual(night.phases, ["tiering"])
            self.assertEqual(night.failure_count, 1)
            [job] = self._get_live()
            self.assertEqual((job.state, job.retry), ("pending", 1))
            self.assertIn("bad books", job.result)
            soon = fields.Datetime.now() + timedelta(seconds=70)
            self.assertLess(job.eta, soon)
            told = night.activity_ids
            self.assertIn(self.env.ref("base.user_admin"), told.user_id)
            self.assertIn("bad books", told[0].note)
            # and the scheduled action doesn't queue it beside
            self.assertEqual(self._call_cron(), job)
            job.eta = False
            self._run_jobs()
            self.assertEqual(night.activity_ids, told)
            self.assertEqual(night.failure_count, 2)
            later = fields.Datetime.now() + timedelta(seconds=90)
            self.assertGreater(job.eta, later)
            job.eta = False
            self._run_jobs()
        # planned before, and again by these tiers
        self.assertEqual(night.phases, ["relationships", "planning"])
        self._watch()
        self._run_jobs()
        self.assertFalse(night.phases)
        self.assertFalse(night.activity_ids)
        self.assertFalse(night.failure_count)
        self.assertEqual(job.state, "done")

    def test_a_salesperson_that_fails(self):
        """Others are planned; the company's night is done when this one is."""
        with (
            self._fail(
                "_plan_agendas",
                [UserError("bad calendar")],
                "key.account.planner",
                lambda company, steps, salespeople: salespeople == [self.rep.id],
            ),
            mute_logger(NIGHT),
        ):
            self._call_cron()
            self._run_jobs()
            users = {user for user, _ in self._get_planned_visits().values()}
            nobody = self.env["res.users"]
            self.assertEqual(users, {self.rep2, self.leader, nobody})
            night = self._get_night()
            self.assertEqual(night.phases, ["planning"])
            self.assertTrue(night.activity_ids)
            agenda = self._get_live(f"agenda:{self.rep.id}")
            end = self._get_live("end")
            self.assertEqual(
                (agenda.state, end.state), ("pending", "wait_dependencies")
            )
            self.assertIn("bad calendar", agenda.result)
            agenda.eta = False
            self._run_jobs()
        self.assertEqual(len(self._get_planned_visits()), len(self.accounts))
        self.assertFalse(night.phases)
        self.assertFalse(night.activity_ids)
        self.assertFalse(self._get_live())

    def test_one_of_several_fails(self):
        """The others of the same job are planned."""
        self.patch(night_module, "MIN_ROWS", 50)
        with (
            self._fail(
                "_plan_agendas",
                [UserError("bad calendar")] * 2,
                "key.account.planner",
                lambda company, steps, salespeople: self.rep.id in salespeople,
            ),
            mute_logger(NIGHT),
        ):
            self._call_cron()
            self._run_jobs()
            users = {user for user, _ in self._get_planned_visits().values()}
            nobody = self.env["res.users"]
            self.assertEqual(users, {self.rep2, self.leader, nobody})
            night = self._get_night()
            self.assertEqual(night.phases, ["planning"])
            self.assertTrue(night.activity_ids)
            job = self._get_live("planning")
            self.assertIn("bad calendar", job.result)
            job.eta = False
            self._run_jobs()
        self.assertEqual(len(self._get_planned_visits()), len(self.accounts))
        self.assertFalse(night.phases)
        self.assertFalse(night.activity_ids)
        self.assertFalse(self._get_live())

    def test_conflicts(self):
        """A job's own tries come first; then it gives its worker back, and what comes
        after waits."""
        conflict = psycopg2.errors.SerializationFailure("could not serialize")
        with self._fail_company("_run_tiers", [conflict] * (attempts.TRIES - 1)):
            self._call_cron()
            self._run_jobs()
            self.assertFalse(self._get_live())
        with (
            self._fail_company("_run_tiers", [conflict] * attempts.TRIES),
            mute_logger(NIGHT),
        ):
            self._call_cron()
            self._run_jobs()
            job = self._get_live("tiering")
            others = self._get_live() - job
            self.assertEqual(job.state, "pending")
            self.assertIn("could not serialize", job.result)
            self.assertLess(job.eta, fields.Datetime.now() + timedelta(seconds=15))
            self.assertEqual([j.state for j in others], ["wait_dependencies"] * 2)
            job.eta = False
            self._run_jobs()
        self.assertFalse(self._get_live())
        self.assertFalse(self._get_night().activity_ids)

    def test_somebody_is_busy(self):
        """Customers whom somebody works on are planned soon after."""
        plans = [{"partner_id": self.accounts[0].id}]
        cls = type(self.env["key.account.planner"])
        original = cls._plan_agendas

        def leave(planner, company, steps, salespeople=None):
            original(planner, company, steps, salespeople)
            return plans if salespeople == [self.rep.id] else []

        with patch.object(cls, "_plan_agendas", leave):
            self._call_cron()
            self._run_jobs()
            agenda = self._get_live(f"agenda:{self.rep.id}")
            end = self._get_live("end")
            self.assertEqual((agenda.state, agenda.retry), ("pending", 0))
            self.assertEqual(end.state, "wait_dependencies")
            # no failure
            self.assertFalse(self._get_night().failure_count)
        agenda.eta = False
        self._run_jobs()
        self.assertFalse(self._get_live())

    def test_one_agenda_at_a_time(self):
        """A salesperson has one agenda in all companies."""
        with db_connect(get_db_name()).cursor() as cr:
            cr.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK, self.rep.id])
            self._call_cron()
            self._run_jobs()
            agenda = self._get_live(f"agenda:{self.rep.id}")
            self.assertEqual((agenda.state, agenda.retry), ("pending", 0))
            cr.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, self.rep.id])
        agenda.eta = False
        self._run_jobs()
        self.assertFalse(self._get_live())
        self._check_unlocked()

    def test_several_agendas_at_a_time(self):
        """A job waits for the one of its salespeople who is planned elsewhere, and
        keeps nobody from the others meanwhile."""
        self.patch(night_module, "MIN_ROWS", 3)
        with db_connect(get_db_name()).cursor() as cr:
            cr.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK, self.rep.id])
            self._call_cron()
            self._run_jobs()
            cr.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, self.leader.id])
            is_free = cr.fetchone()[0]
            cr.execute("SELECT pg_advisory_unlock_all()")
        self.assertTrue(is_free)
        agenda = self._get_live("agenda:0")
        self.assertEqual((agenda.state, agenda.retry), ("pending", 0))
        agenda.eta = False
        self._run_jobs()
        self.assertFalse(self._get_live())
        self._check_unlocked()

    def _check_unlocked(self):
        self.cr.execute(
            """
            SELECT pid FROM pg_locks
             WHERE locktype = 'advisory' AND classid = %s
               AND database = (SELECT oid FROM pg_database
                                WHERE datname = current_database())
            """,
            [LOCK],
        )
        self.assertFalse(self.cr.fetchall())

    def test_a_company_that_doesnt_plan(self):
        self.company.key_account_planning = False
        visit = self.Visit.create(
            {
                "partner_id": self.accounts[0].id,
                "user_id": self.rep2.id,
                "substituted_user_id": self.rep.id,
                "substituted_until": fields.Date.today() - timedelta(days=3),
            }
        )
        self._call_cron()
        self._run_jobs()
        self.assertEqual(len(self._get_planned_visits()), 1)
        # what a substitute had
        self.assertEqual(visit.user_id, self.rep)
        self.assertFalse(self._get_night().phases)


@tagged("post_install", "-at_install")
class TestRights(QueueCommon):
    """Nobody in sales queues or runs anything but *Plan Visits Now*."""

    def test_private(self):
        for name in dir(self.Night):
            if name.startswith("_job_") or "queue" in name:
                with self.assertRaises(AccessError):
                    get_public_method(self.Night, name)

    def test_sales_has_no_jobs(self):
        job = self._call_cron()[0]
        for user in (self.rep, self.leader, self.manager):
            mine = job.with_user(user)
            for do in (
                lambda mine=mine: mine.read(["name"]),
                lambda mine=mine: mine.write({"priority": 1}),
                lambda mine=mine: mine.requeue(),
                lambda mine=mine: mine.button_cancelled(),
                lambda mine=mine: mine.unlink(),
                lambda mine=mine: mine.search([]).read(),
            ):
                with (
                    self.assertRaises(AccessError),
                    mute_logger("odoo.addons.base.models.ir_model"),
                ):
                    do()

    def test_of_another_company(self):
        """Who manages the queue of one company sees its jobs alone."""
        manager = self._create_user(
            "ka_queue", "queue_job.group_queue_job_manager", company=self.other
        )
        self._call_cron()
        jobs = (
            self.Job.with_user(manager)
            .with_context(allowed_company_ids=self.other.ids)
            .search([])
        )
        self.assertEqual(jobs.sudo().company_id, self.other)

    def test_what_a_job_opens(self):
        """Whoever manages the queue sees the night of a job, of one's own companies,
        and changes nothing."""
        manager = self._create_user(
            "ka_queue", "queue_job.group_queue_job_manager", company=self.other
        )
        jobs = self._call_cron().filtered(lambda job: job.company_id == self.other)

        def as_manager(records):
            return records.with_user(manager).with_context(
                allowed_company_ids=self.other.ids
            )

        action = as_manager(jobs[0]).open_related_action()
        night = as_manager(self.env[action["res_model"]]).browse(action["res_id"])
        self.assertEqual(night.company_id, self.other)
        self.assertIn("plan visits", night.phases_left)
        with (
            self.assertRaises(AccessError),
            mute_logger("odoo.addons.base.models.ir_model"),
        ):
            night.write({"failure_count": 0})
        with (
            self.assertRaises(AccessError),
            mute_logger("odoo.addons.base.models.ir_rule"),
        ):
            as_manager(self._get_night()).read(["error"])

    def test_by_the_nights_user(self):
        """Also where somebody else had it called."""
        jobs = self._call_cron()
        self.assertEqual(jobs.user_id, self.job.user_id)
        self.assertEqual(jobs.user_id.id, SUPERUSER_ID)

    def test_nothing_over_the_api(self):
        """queue_job's own methods of every model queue nothing for a client."""
        night = self._begin()
        jobs = self.Job.search([])
        for name in ("with_delay", "delayable"):
            # which says that nothing was done with it
            with mute_logger("odoo.addons.queue_job.delay"):
                answer = call_kw(self.Night, name, [night.ids], {})
                # what a client has of it is an error
                with self.assertRaises(TypeError):
                    json.dumps(answer)
                del answer
                gc.collect()
        self.assertEqual(self.Job.search([]), jobs)

    def test_plan_visits_now(self):
        """Not while jobs of the company run."""
        run_now = self.Night.with_user(self.manager)._run_now
        job = self._call_cron().filtered(lambda job: job.company_id == self.company)[0]
        job.state = "started"
        with self.assertRaises(UserError):
            run_now(self.company)
        job.state = "done"
        self.assertTrue(run_now(self.company))
