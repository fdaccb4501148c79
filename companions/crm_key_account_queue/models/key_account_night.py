import logging
from contextlib import contextmanager

from odoo import api, fields, models
from odoo.fields import Domain

from odoo.addons.crm_key_account.models.account.attempts import CONFLICTS, Attempts
from odoo.addons.crm_key_account.models.visit.key_account_night import PHASES
from odoo.addons.queue_job.delay import chain, group
from odoo.addons.queue_job.exception import RetryableJobError
from odoo.addons.queue_job.job import (
    CANCELLED,
    DONE,
    ENQUEUED,
    PENDING,
    STARTED,
    WAIT_DEPENDENCIES,
)

_logger = logging.getLogger(__name__)

LIVE = (WAIT_DEPENDENCIES, PENDING, ENQUEUED, STARTED)
# Seconds until a job comes again that met somebody for a moment
BUSY_WAIT = 5
# A company with no more accounts than these does its night in one job.
SMALL = 1000
# So many rows of what is due are worth a job, which asks some fifty questions before
# its first visit; and a company has no more of these jobs than about so many, since
# each reads what is due of the whole company.
MIN_ROWS, MAX_JOBS = 50, 50
# More customers than these: relationships of all are brought up to date, as one
# statement does it anyway.
MAX_TOUCHED = 10000
# First half of the key of PostgreSQL's advisory lock; the other is a user's id.
LOCK = 1_261_063_025


class PhaseFailed(RetryableJobError):
    """What comes after needn't wait for it."""


class KeyAccountNight(models.Model):
    """The night's work as jobs of OCA's ``queue_job``, which several workers and hosts
    take; the scheduled action only queues them.

    Of each company first a chain: tiering, relationships, preparation; of a small one
    they are one job. Preparation knows whose visits are due: it plans them itself,
    where that is worth no job of its own, else it queues jobs for some salespeople
    each, and one that follows them all. Each job is what the scheduled action would do
    itself, by the same methods; a second time it finds nothing to do. So whatever was
    killed is queued again by ``queue_job``, and goes on where it was.

    Nothing fails for good: a job that failed comes again, after a minute, then two, up
    to an hour, and administrators are told once, as without this addon.
    """

    _inherit = "key.account.night"

    touched = fields.Json(string="Customers to Look at", readonly=True)

    # -------------------------------------------------------------------------
    # Queueing
    # -------------------------------------------------------------------------

    def _run(self, attempts, phases):
        """Queue what is left of one company's night, instead of doing it.

        :return: True: nothing is left to the scheduled action
        """
        attempts(self._queue, phases)
        return True

    @api.model
    def _cron_watch(self):
        """Queue what was lost of a night that goes on: jobs that somebody cancelled, or
        that wait for nothing any more."""
        attempts = Attempts(self.env)
        for night in self.sudo().search(Domain.TRUE).filtered("phases"):
            attempts(night._queue, PHASES)

    def _queue(self, phases):
        """Queue the phases that are left, unless they are queued."""
        self.ensure_one()
        jobs = self._get_jobs()
        # what waits, or is to come again, since the night before: this one does it
        old = jobs.filtered(
            lambda job: (
                not job.identity_key.startswith(self._get_key())
                and job.state != STARTED
            )
        )
        old._change_job_state(CANCELLED, self.env._("The next night does it."))
        jobs -= old
        # A worker that was killed when its job was done, and before it said so to those
        # that wait for it: nobody else would.
        jobs.filtered(
            lambda job: (
                job.state == WAIT_DEPENDENCIES
                and set(job.dependency_ids.mapped("state")) <= {DONE}
            )
        ).state = PENDING
        names = [name for name in PHASES if name in self.phases and name in phases]
        if not names or jobs:
            return
        accounts = (
            self.env["key.account"]
            .sudo()
            .search_count([("company_id", "=", self.company_id.id)], limit=SMALL + 1)
        )
        # where it never ran, nobody knows how many there will be
        if 0 < accounts <= SMALL:
            text = self.env._(
                "Tier customers and plan visits: %s", self.company_id.name
            )
            self._get_delayable("night", text)._job_night(*names).delay()
        else:
            chain(*(self._get_phase_job(name) for name in names)).delay()

    def _get_phase_job(self, phase):
        name = self.company_id.name
        if phase == "tiering":
            text = self.env._("Tier customers: %s", name)
            return self._get_delayable(phase, text)._job_tiering()
        if phase == "relationships":
            text = self.env._("Update relationships: %s", name)
            return self._get_delayable(phase, text)._job_relationships()
        text = self.env._("Look at what is due: %s", name)
        return self._get_delayable(phase, text)._job_preparation()

    def _get_groups(self):
        """Return how the company's salespeople are planned: lists of users' ids, None
        among them stands for nobody, each of them worth a job."""
        company = self.company_id
        candidates = self.env["key.account.plan.candidates"].with_company(company)
        counts = candidates._count_waiting(company)
        size = max(MIN_ROWS, sum(counts.values()) // MAX_JOBS)
        groups, rows = [[None]], counts.get(None, 0)
        for user_id in sorted(counts.keys() - {None}):
            if rows >= size:
                groups.append([])
                rows = 0
            groups[-1].append(user_id)
            rows += counts[user_id]
        return groups

    def _queue_agendas(self, groups):
        """Queue the planning of each group of salespeople, and what follows.

        :param groups: see :meth:`_get_groups`
        """
        if self._get_jobs("end"):
            # by this job, before it was killed
            return
        company = self.company_id
        agendas = []
        for user_ids in groups:
            job = self._get_delayable(
                f"agenda:{user_ids[0] or 0}", self._get_agenda_text(user_ids)
            )
            agendas.append(job._job_agenda(*user_ids))
        text = self.env._("Finish planning: %s", company.name)
        chain(group(*agendas), self._get_delayable("end", text)._job_end()).delay()

    def _get_agenda_text(self, user_ids):
        company = self.company_id.name
        users = self.env["res.users"].browse(filter(None, user_ids))
        if not users:
            return self.env._("Plan unassigned visits: %s", company)
        if len(users) == 1:
            return self.env._(
                "Plan visits of %(user)s: %(company)s", user=users.name, company=company
            )
        return self.env._(
            "Plan visits of %(user)s and %(count)s more: %(company)s",
            user=users[0].name,
            count=len(users) - 1,
            company=company,
        )

    def _get_delayable(self, step, description):
        # of this company to queue_job, and tried again without end
        return self.with_context(company_id=self.company_id.id).delayable(
            description=description,
            identity_key=self._get_key(step),
            max_retries=0,
        )

    def _get_key(self, step=""):
        """Return the identity of a step of this night, or how all of its steps' begin:
        what is queued and not begun isn't queued again."""
        return f"{self._get_keys()}{self.date_start:%Y%m%d%H%M%S}:{step}"

    def _get_keys(self):
        return f"key.account.night:{self.id}:"

    def _get_jobs(self, step=None):
        """Return the jobs of this company that aren't done.

        :param step: of this night those of one step alone
        """
        self.ensure_one()
        domain = [("state", "in", LIVE)]
        if step:
            domain.append(("identity_key", "=", self._get_key(step)))
        else:
            domain.append(("identity_key", "=like", f"{self._get_keys()}%"))
        return self.env["queue.job"].sudo().search(domain)

    # -------------------------------------------------------------------------
    # Jobs
    # -------------------------------------------------------------------------

    def _job_night(self, *names):
        """Do some of the phases, one after the other."""
        failure = None
        for name in names:
            do = {
                "tiering": self._job_tiering,
                "relationships": self._job_relationships,
                "planning": self._job_preparation,
            }[name]
            try:
                do()
            except PhaseFailed as error:
                failure = failure or error
        if failure:
            raise failure

    def _job_tiering(self):
        return self._do("tiering", lambda attempts: attempts(self._run_tiering))

    def _job_relationships(self):
        def update(attempts):
            # as of this night's tiering
            is_known = self.touched and "tiering" not in self.phases
            attempts(self._run_relationships, self.touched["ids"] if is_known else None)

        return self._do("relationships", update)

    def _job_preparation(self):
        def prepare(attempts):
            company = self.company_id
            if not company.key_account_planning:
                self._run_planning(attempts)
                return
            planner = self.env["key.account.planner"].with_company(company)
            planner._prepare_night(company, attempts)
            groups = self._get_groups()
            if len(groups) > 1:
                attempts(self._queue_agendas, groups)
                return
            # as the scheduled action does
            self._plan(attempts, groups[0])
            self._end(attempts)

        return self._do("planning", prepare)

    def _job_agenda(self, *user_ids):
        """Plan the visits of some salespeople.

        :param user_ids: None: those that nobody is to make
        """
        return self._do("planning", self._plan, user_ids)

    def _job_end(self):
        return self._do("planning", self._end)

    def _plan(self, attempts, user_ids):
        company = self.company_id
        planner = self.env["key.account.planner"].with_company(company)
        user_ids = list(user_ids)
        with self._alone(user_ids):
            try:
                busy = planner._plan_agendas(company, attempts, user_ids)
            except CONFLICTS:
                raise
            except Exception:
                if len(user_ids) == 1:
                    raise
                # one by one: whoever fails keeps nobody else from it
                busy = self._plan_each(attempts, user_ids)
        if busy:
            raise RetryableJobError(
                self.env._("Somebody works on %s of the customers.", len(busy)),
                seconds=BUSY_WAIT,
                ignore_retry=True,
            )

    def _plan_each(self, attempts, user_ids):
        company = self.company_id
        planner = self.env["key.account.planner"].with_company(company)
        busy, failure = [], None
        for user_id in user_ids:
            try:
                busy += planner._plan_agendas(company, attempts, [user_id])
            except CONFLICTS:
                raise
            except Exception as error:
                failure = error
                _logger.warning("Planning of user %s failed", user_id, exc_info=True)
        if failure:
            raise failure
        return busy

    def _end(self, attempts):
        company = self.company_id
        planner = self.env["key.account.planner"].with_company(company)
        planner._end_night(company, attempts)
        attempts(self._finish, "planning")

    def _do(self, phase, step, *args):
        """Do a step of this night, unless it was done before.

        :param step: called with :class:`Attempts`, and ``args``
        :raise RetryableJobError: where it is to be tried again
        """
        self.ensure_one()
        if phase not in (self.phases or ()):
            return self.env._("It was done before.")
        attempts = Attempts(self.env)
        try:
            step(attempts, *args)
        except RetryableJobError:
            raise
        except CONFLICTS as conflict:
            # Soon it will be quieter: what comes after waits for it.
            _logger.warning(
                "%s met others too often: %s", self._get_key(phase), conflict
            )
            attempts(self._note_failure, conflict)
            raise RetryableJobError(self.error) from conflict
        except Exception as failure:
            _logger.exception("%s failed", self._get_key(phase))
            attempts(self._note_failure, failure)
            # Perhaps in another addon, perhaps for long: other phases don't wait.
            if phase != "planning":
                attempts(self._release_next)
            wait = (self.date_retry - fields.Datetime.now()).total_seconds()
            raise PhaseFailed(self.error, seconds=max(int(wait), 1)) from failure
        attempts(self._note_success)
        return None

    def _release_next(self):
        """Let the next job begin, though the one that runs isn't done."""
        job = (
            self.env["queue.job"]
            .sudo()
            .search([("uuid", "=", self.env.context.get("job_uuid"))])
        )
        waiting = job.dependent_ids.filtered(
            lambda dependent: dependent.state == WAIT_DEPENDENCIES
        )
        waiting.state = PENDING

    @contextmanager
    def _alone(self, user_ids):
        """Plan a salesperson's agenda in one company at a time: it is the same one in
        all of them. The locks last over the job's transactions, and go with the
        connection of a worker that was killed."""
        cr, locked = self.env.cr, []
        try:
            for user_id in filter(None, user_ids):
                cr.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, user_id])
                if not cr.fetchone()[0]:
                    raise RetryableJobError(
                        self.env._(
                            "The same salesperson is planned in another company."
                        ),
                        seconds=BUSY_WAIT,
                        ignore_retry=True,
                    )
                locked.append(user_id)
            yield
        finally:
            # connections are used again
            for user_id in locked:
                cr.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, user_id])

    # -------------------------------------------------------------------------
    # Steps
    # -------------------------------------------------------------------------

    def _run_tiering(self):
        touched = super()._run_tiering()
        is_short = touched is not None and len(touched) <= MAX_TOUCHED
        self.touched = {"ids": touched} if is_short else False
        return touched

    def _run_relationships(self, touched):
        result = super()._run_relationships(touched)
        self.touched = False
        return result

    def _call_again(self):
        """The job itself comes again."""

    @api.model
    def _is_running(self, company):
        nights = self.sudo().search(
            [("company_id", "=", company._get_key_account_home().id)]
        )
        jobs = nights and nights._get_jobs()
        return super()._is_running(company) or bool(
            jobs and jobs.filtered(lambda job: job.state in (ENQUEUED, STARTED))
        )
