import logging
from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import format_list

from ..account.attempts import CONFLICTS, Attempts

_logger = logging.getLogger(__name__)

# In this order: tiers say who must be met and how often, both say when to plan.
PHASES = ("tiering", "relationships", "planning")
# A company that failed is tried again after so many minutes, twice as many each time.
FIRST_DELAY, LONGEST_DELAY = 1, 60


class KeyAccountNight(models.Model):
    """The nightly job: it tiers, updates relationships and plans, company by company.

    Each step is a transaction of its own, and is tried again where it met another one
    (:mod:`..account.attempts`). A row says what of the night is left to do in a
    company, so that a job that was killed, or ran out of time, goes on where it was. A
    company that fails keeps no other one from its night: it is tried again within
    minutes, and the administrators are told, until it is done.
    """

    _name = "key.account.night"
    _inherit = ["key.account.thread", "mail.activity.mixin"]
    _description = "Nightly Run of a Company"
    _rec_name = "company_id"
    _order = "company_id"

    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    date_start = fields.Datetime(string="Began On", readonly=True)
    phases = fields.Json(string="To Do", readonly=True)
    phases_left = fields.Char(string="Still to Do", compute="_compute_phases_left")
    failure_count = fields.Integer(
        string="Failures",
        readonly=True,
        help="How many times it failed since it was last done.",
    )
    date_retry = fields.Datetime(string="Next Try On", readonly=True)
    error = fields.Char(string="What Went Wrong", readonly=True)

    _company_uniq = models.UniqueIndex("(company_id)")

    @api.depends("phases")
    @api.depends_context("lang")
    def _compute_phases_left(self):
        names = {
            "tiering": self.env._("tier customers"),
            "relationships": self.env._("update relationships"),
            "planning": self.env._("plan visits"),
        }
        for night in self:
            left = [names[phase] for phase in night.phases or ()]
            night.phases_left = (
                format_list(self.env, left) if left else self.env._("nothing")
            )

    # -------------------------------------------------------------------------
    # The job
    # -------------------------------------------------------------------------

    @api.model
    def _cron_night(self, phases=PHASES):
        """Do what is left of the night, or begin a new one.

        :param phases: names out of :data:`PHASES`; default: all
        """
        attempts = Attempts(self.env)
        self._tidy_up(attempts, self.env["key.account.check.in"].sudo()._delete_old)
        nights = attempts(self.sudo()._begin, phases)
        attempts.remaining = len(nights)
        if not attempts.has_time:
            # Nothing done, something left: Odoo calls again after other jobs.
            self.env["ir.cron"]._commit_progress(remaining=attempts.remaining)
            return
        for night in nights:
            if night.date_retry and night.date_retry > fields.Datetime.now():
                continue
            if night._run(attempts, phases):
                attempts.remaining -= 1
            if not attempts.has_time:
                break
        self._tidy_up(self.env["key.account.retention"]._run, attempts)
        # what failed, or had no time, stays: never "fully done" then
        self.env["ir.cron"]._commit_progress(remaining=attempts.remaining)
        _logger.info(
            "Night of %s companies: %s left, %s steps tried again",
            len(nights),
            attempts.remaining,
            attempts.repeated,
        )

    @api.model
    def _tidy_up(self, step, *args):
        """Delete what isn't kept any longer. The next night does it where that fails:
        it costs no company this one."""
        try:
            step(*args)
        except Exception:
            _logger.exception("Deleting what is too old failed")

    @api.model
    def _begin(self, phases):
        """Return the companies' rows that have something left to do: what is left of a
        night that was interrupted or failed, unless the next one is due."""
        companies = self.env["res.company"].search(Domain.TRUE)
        companies = companies._get_key_account_keepers()
        nights = self.search(Domain.TRUE)
        gone = nights.filtered(lambda night: night.company_id not in companies)
        nights -= gone
        # its accounts are another company's now: nothing is left to do
        gone.filtered("phases").phases = False
        for night in gone.filtered("failure_count"):
            night._note_success()
        nights |= self.with_context(mail_create_nolog=True).create(
            [{"company_id": company.id} for company in companies - nights.company_id]
        )
        wanted = set(phases)
        left = nights.filtered(lambda night: wanted & set(night.phases or []))
        call = self._get_last_call()
        if not left or call and min(left.mapped("date_start")) < call:
            for night in nights:
                night.write(
                    {
                        "date_start": fields.Datetime.now(),
                        "phases": _sort_phases(wanted | set(night.phases or [])),
                        "date_retry": False,
                    }
                )
            left = nights
        return left.sorted(lambda night: night.company_id.id)

    @api.model
    def _get_last_call(self):
        """Return when the job that runs was to be called last by its interval, False if
        it is called in between."""
        job = self.env["ir.cron"].browse(self.env.context.get("cron_id") or ())
        now = fields.Datetime.now()
        if not job or job.nextcall > now:
            return False
        call = job.nextcall
        step = relativedelta(**{job.interval_type: job.interval_number})
        # left as it was while something fails
        while call + step <= now:
            call += step
        return call

    def _run(self, attempts, phases):
        """Do the phases that are left of one company's night.

        :return: whether all is done; False: something failed, or there was no time
        """
        self.ensure_one()
        touched = error = None
        for phase in PHASES:
            if phase not in phases or phase not in (self.phases or ()):
                continue
            try:
                if phase == "tiering":
                    touched = attempts(self._run_tiering)
                elif phase == "relationships":
                    attempts(self._run_relationships, touched)
                elif not self._run_planning(attempts):
                    return False
            except CONFLICTS as conflict:
                # Soon it will be quieter: what comes after waits for it.
                _logger.warning(
                    "%s of company %s met others too often: %s",
                    phase,
                    self.company_id.id,
                    conflict,
                )
                error = conflict
                break
            except Exception as failure:
                # Perhaps in another addon, perhaps for long: the rest doesn't wait.
                _logger.exception("%s of company %s failed", phase, self.company_id.id)
                error = failure
        attempts(self._note_failure if error else self._note_success, error)
        return not error

    def _run_tiering(self):
        policies = self.env["key.account.policy"]
        _, touched = policies._run_tiers(self.company_id, incremental=True)
        if self.failure_count:
            # What comes after didn't wait, and was done by the tiers of before.
            self.phases = list(PHASES)
        self._finish("tiering")
        return touched

    def _run_relationships(self, touched):
        """Bring relationships up to date.

        :param touched: as tiering returns it; None, also where tiering is of an earlier
            call: all accounts
        """
        policies = self.env["key.account.policy"]
        policies._run_relationships(self.company_id, touched)
        self._finish("relationships")

    def _run_planning(self, attempts):
        """Plan, where the company plans here.

        :return: whether all is planned; False: there was no time
        """
        company = self.company_id
        if company.key_account_planning:
            planner = self.env["key.account.planner"].with_company(company)
            if not planner._plan_night(company, attempts):
                return False
        else:
            # what people plan comes back to them all the same
            follow = self.env["key.account.visit.follow"].sudo()
            attempts(follow._end_substitutions, company)
        attempts(self._finish, "planning")
        return True

    @api.model
    def _run_now(self, company):
        """Do all phases for one company at once, in the transaction of whoever asks for
        it. Doesn't commit.

        The job is kept from beginning meanwhile, as core does for one that runs: of
        two that plan the same, one would begin anew for nothing.

        :return: the visits planned
        :raise UserError: if the job, or somebody else, is at it
        """
        if self._is_running(company):
            raise UserError(
                self.env._(
                    "Customers are being tiered and visits planned at the moment: look "
                    "again in a few minutes."
                )
            )
        self.env["key.account.policy"].sudo()._run_companies(company)
        return self.env["key.account.planner"]._generate(company=company)

    @api.model
    def _is_running(self, company):
        """Return whether the job is at it; else it doesn't begin before the end of this
        transaction."""
        job = self.env.ref("crm_key_account.ir_cron_tiering", raise_if_not_found=False)
        return bool(job) and not job.sudo().try_lock_for_update(allow_referencing=True)

    def _finish(self, phase):
        # somebody else may have done it at the same time
        self.phases = _sort_phases(set(self.phases or ()) - {phase})

    # -------------------------------------------------------------------------
    # What went wrong
    # -------------------------------------------------------------------------

    def _note_failure(self, error):
        """Have the job called again, and tell the administrators, once until the night
        is done."""
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2**self.failure_count)
        self.write(
            {
                "failure_count": self.failure_count + 1,
                "date_retry": fields.Datetime.now() + timedelta(minutes=delay),
                "error": (str(error).strip() or type(error).__name__)[:500],
            }
        )
        self._call_again()
        administrators = self.company_id._get_key_account_administrators()
        for user in administrators - self.activity_ids.user_id:
            texts = self.with_context(lang=user.lang).env
            self.activity_schedule(
                "mail.mail_activity_data_warning",
                summary=texts._("Nightly run failed: %s", self.company_id.name),
                note=texts._(
                    "Customers were not tiered, or visits not planned: %s It is tried "
                    "again every few minutes; this note goes when it is done.",
                    self.error,
                ),
                user_id=user.id,
            )

    def _call_again(self):
        self.env.ref("crm_key_account.ir_cron_tiering")._trigger(self.date_retry)

    def _note_success(self, _error=None):
        """Forget what went wrong before, once all is done."""
        if self.failure_count and not self.phases:
            self.write({"failure_count": 0, "date_retry": False, "error": False})
            self.activity_ids.unlink()


def _sort_phases(names):
    return [name for name in PHASES if name in names] or False
