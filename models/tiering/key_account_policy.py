import logging
from collections import Counter
from datetime import timedelta

from odoo import Command, api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import format_list, formatLang, ormcache

from ..account import bounds, clock
from ..account.pause import is_paused, paused
from ..account.trial import CACHE_KEY, forget_configuration, trial
from .measure import Measurement, count_elsewhere, get_placed
from .methods import METHODS
from .touched import get_measured_ids, get_touched, note_run
from .trade import Trade
from .what_if import WhatIf, get_moves

_logger = logging.getLogger(__name__)

CHECK_TIERS = "check_tiers"
# What is undone of a run stays undone for the minimum tenure, not less than this.
LEAST_HELD_DAYS = 30
# Those of the tiers that come with the addon: nobody has entered them.
DEFAULT_THRESHOLDS = [100000, 10000, 0]


class KeyAccountPolicy(models.Model):
    """How a company sorts its customers into tiers.

    The nightly run measures the accounts (:mod:`.measure`), compares the tier that the
    figures suggest with the tier in force, and records a ``key.account.tier.change``
    for each account that moves (:mod:`.moves`). Which tier the figures suggest is what
    the method says (:mod:`.methods`).
    """

    _name = "key.account.policy"
    _inherit = "key.account.form"
    _description = "Tiering Policy"
    _order = "company_id, name, id"

    name = bounds.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        index=True,
        # else they would hold for every company then
        ondelete="cascade",
        help="Also holds for the company's branches that have no policy of their own. "
        "Leave empty to share the policy among the companies that have none.",
    )
    branches_apart = fields.Boolean(
        help="Off: what several branches sell to a customer is added up, and the "
        "customer is one account, kept in the company of this policy (of a shared one: "
        "in the company that the branches belong to). On: each branch has accounts, "
        "visits and figures of its own. A branch with a policy of its own is apart "
        "anyway.",
    )
    method = fields.Selection(
        [(method.key, method.label) for method in METHODS.values()],
        required=True,
        default="pareto",
        help="\n".join(method.help for method in METHODS.values()),
    )
    method_text = fields.Char(
        string="How It Works",
        compute="_compute_method_text",
        help="What the tiers' figures mean.",
    )
    tier_bound = fields.Char(
        compute="_compute_method_text",
        help="Technical: the field of the tiers that says where one ends.",
    )
    metric = fields.Selection(
        [
            ("revenue", "Revenue"),
            ("margin", "Margin"),
            ("expected_revenue", "Expected revenue"),
        ],
        required=True,
        default="revenue",
        help="The figure that accounts are ranked by, untaxed and in company "
        "currency. Margin is at the cost that the order noted; an invoice without an "
        "order is at today's cost of its products. Expected revenue is that of the "
        "account's open leads and opportunities. Where no cost is known, all of the "
        "revenue is margin, as in Odoo's own reports.",
    )
    revenue_basis = fields.Selection(
        [("invoiced", "Posted invoices"), ("ordered", "Confirmed orders")],
        required=True,
        default="invoiced",
        help="Where revenue and margin are read. Credit notes subtract. What was "
        "invoiced or ordered stays with the firm of that day, as far as Odoo knows it, "
        "also when its contact goes to another firm.",
    )
    window_months = bounds.Integer(
        string="Window (months)",
        required=True,
        default=12,
        bounds=(1, 120),
        help="Revenue and margin of this many months up to today count.",
    )
    tier_ids = fields.One2many(
        "key.account.tier",
        "policy_id",
        copy=True,
        # those that were used stay on the form, to be taken back
        context={"active_test": False},
    )
    criterion_ids = fields.One2many(
        "key.account.criterion", "policy_id", string="Criteria", copy=True
    )
    auto_apply = fields.Boolean(
        string="Apply Automatically",
        default=True,
        help="When off, the run proposes and a sales administrator applies.",
    )
    hysteresis = bounds.Float(
        string="Hysteresis (%)",
        digits=(5, 2),
        default=5.0,
        bounds=(0, 99.99),
        help="An account moves at once only when its figure is clear of the accounts "
        "on the other side of the boundary (or of the threshold) by more than this "
        "many percent. Keeps accounts near a boundary from going to and fro.",
    )
    min_tenure_days = bounds.Integer(
        string="Minimum Tenure (days)",
        default=90,
        bounds=(0, bounds.MAX_DAYS),
        help="An account that is not clear of the boundary moves after it has been in "
        "its tier for this many days; 0: at once, whatever the hysteresis.",
    )
    last_run = fields.Datetime(readonly=True, copy=False)
    pending_count = fields.Integer(compute="_compute_pending_count")

    @api.depends("method")
    @api.depends_context("lang")
    def _compute_method_text(self):
        for policy in self:
            method = policy.method and policy._get_method()
            policy.method_text = method and method.explain()
            policy.tier_bound = method and method.bound

    def _compute_pending_count(self):
        counts = Counter()
        for tier, count in self.env["key.account.tier.change"]._read_group(
            [("state", "=", "proposed"), ("to_tier_id.policy_id", "in", self.ids)],
            ["to_tier_id"],
            ["__count"],
        ):
            counts[tier.policy_id.id] += count
        for policy in self:
            policy.pending_count = counts[policy._origin.id]

    # -------------------------------------------------------------------------
    # Constraints
    # -------------------------------------------------------------------------

    @api.constrains("active", "company_id")
    def _check_one_active_per_company(self):
        for policy in self.filtered("active"):
            other = self.sudo().search(
                [
                    ("id", "!=", policy.id),
                    ("company_id", "=", policy.company_id.id),
                ],
                limit=1,
            )
            if other:
                raise ValidationError(
                    self.env._(
                        "The policy %(other)s is already active for %(company)s: "
                        "archive it before you activate another one.",
                        other=other.name,
                        company=policy.company_id.name or self.env._("all companies"),
                    )
                )

    # `name` and `active` so that a policy without the key in its values is checked too
    @api.constrains("name", "active", "method", "tier_ids", "criterion_ids")
    def _check_tiers(self):
        """Refuse an active policy whose tiers can't hold every account."""
        for policy in self.filtered("active"):
            if not policy._get_tiers():
                raise ValidationError(
                    self.env._(
                        "The policy %(policy)s has no tiers: add at least one.",
                        policy=policy.name,
                    )
                )
            # without a method the database refuses it, and says why
            if policy.method:
                policy._get_method().check()

    @api.onchange("method")
    def _onchange_method(self):
        """Propose where the tiers end. What somebody entered stays, and presets don't
        change without a word."""
        if not self.method:
            return None
        if not self._origin and not self.tier_ids:
            self.tier_ids = self._prepare_preset_tiers()
        method, tiers = self._get_method(), self._get_tiers()
        usual = method.get_usual_bounds(self.company_id or self.env.company)
        entered = method.bound and tiers.mapped(method.bound)
        if not usual or entered == usual:
            return None
        values = format_list(self.env, (f"{bound:g}" for bound in usual))
        presets = [each.usual.get(len(tiers)) for each in METHODS.values()]
        is_possible = not method.highest or max(entered, default=0) <= method.highest
        known = [*presets, DEFAULT_THRESHOLDS]
        if any(entered) and is_possible and entered not in known:
            message = self.env._(
                "What was entered for the tiers stays. Usual for this method: %s.",
                values,
            )
        else:
            for tier, bound in zip(tiers, usual, strict=True):
                tier[method.bound] = bound
            if not any(entered):
                return None
            message = self.env._(
                "The tiers end at %s now, as is usual for this method.", values
            )
        title = self.env._("Tiers")
        return {"warning": {"title": title, "message": message, "type": "notification"}}

    def _check_tiers_unless_deferred(self):
        """Check after a change of a single tier, unless a whole policy is being saved:
        its lines arrive one by one and are right only together."""
        if not is_paused(self.env, CHECK_TIERS):
            self._check_tiers()

    @api.onchange("method")
    def _onchange_method_criteria(self):
        """A scorecard begins with the criteria that came with us."""
        preset = self.env.ref(
            "crm_key_account.policy_scorecard", raise_if_not_found=False
        )
        if self.method == "scorecard" and not self.criterion_ids and preset:
            self.criterion_ids = [
                Command.create(vals)
                for vals in preset.sudo().criterion_ids.copy_data({"policy_id": False})
            ]

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        with paused(self.env, CHECK_TIERS):
            policies = super().create(vals_list)
        # which branches have accounts of their own
        forget_configuration(self.env)
        return policies

    def write(self, vals):
        with paused(self.env, CHECK_TIERS):
            res = super().write(vals)
        if {"active", "branches_apart", "company_id", "method"} & vals.keys():
            forget_configuration(self.env)
        return res

    def unlink(self):
        # Through the ORM, so that tiers in use are refused with a sentence.
        with paused(self.env, CHECK_TIERS):
            self.tier_ids.unlink()
            self.criterion_ids.unlink()
        res = super().unlink()
        forget_configuration(self.env)
        return res

    def copy_data(self, default=None):
        # Two active policies for a company are refused.
        vals_list = super().copy_data(default)
        for policy, vals in zip(self, vals_list, strict=True):
            vals["active"] = False
            vals["name"] = self.env._("%s (copy)", policy.name)
        return vals_list

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_run(self):
        """Run the policy now, for the companies that the user works in."""
        self.check_access("write")
        companies = self._get_companies() & self.env.companies
        placed = 0
        changes = self.env["key.account.tier.change"].sudo()
        for company in companies:
            # sudo: a run counts the documents of all, and writes all accounts
            changes |= self.sudo()._run_companies(company)
            placed += len(get_placed(self.sudo().env, company))
        applied = len(changes.filtered(lambda change: change.state == "applied"))
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self._get_run_text(placed, applied, len(changes) - applied),
                "next": self._get_action_after_run(),
            },
        }

    def _get_action_after_run(self):
        """Return where to go from the form: to the accounts, in the first steps."""
        if not self.env.context.get("key_account_start"):
            return {"type": "ir.actions.client", "tag": "soft_reload"}
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_action"
        )
        # the form isn't where one comes back to
        return {**action, "target": "main"}

    @api.model
    def _get_run_text(self, placed, applied, proposed):
        """Return in words what a run did; a first one placed accounts, and that nobody
        moved goes without saying."""
        texts = []
        if placed == 1:
            texts.append(self.env._("1 account placed for the first time"))
        elif placed:
            texts.append(self.env._("%s accounts placed for the first time", placed))
        if applied or not placed:
            texts.append(
                self.env._("1 account moved")
                if applied == 1
                else self.env._("%s accounts moved", applied)
            )
        if proposed or not placed:
            texts.append(
                self.env._("1 change proposed")
                if proposed == 1
                else self.env._("%s changes proposed", proposed)
            )
        return format_list(self.env, texts)

    def action_preview(self, values=None):
        """Show what a run would do, and change nothing: who moves, what the tiers hold,
        and how many visits a week follow.

        A policy that isn't in force is tried in the place of the one that is.

        :param dict values: what stands on the form and isn't saved, as :meth:`write`
            takes it; of a policy that was never saved, as :meth:`create` does
        """
        self.check_access("write" if self else "create")
        replaced = self.browse()
        with trial(self.env):
            policy, replaced = self._try_values(bounds.to_values(self, values))
            companies = policy._get_companies() & self.env.companies
            if not companies:
                raise UserError(
                    self.env._(
                        "None of your companies goes by this policy: each has one of "
                        "its own. Preview that one."
                    )
                )
            found = [WhatIf(policy, company).run() for company in companies]
            settings = {"is_proposing": not policy.auto_apply}
        return self.env["key.account.tier.preview"]._show(
            found,
            **settings,
            policy_id=self.id,
            is_draft=bool(values or not self),
            replaced=format_list(self.env, replaced.exists().mapped("name")),
        )

    def action_open_run(self):
        """Show what a run would do, before it is run."""
        return self.action_preview()

    def action_open_undo(self):
        """Ask why the last run in the user's company that moved something is to be
        undone."""
        self.ensure_one()
        self.check_access("write")
        company = self.env.company._get_key_account_home()
        last = self.env["key.account.tier.change"].search(
            [
                ("company_id", "=", company.id),
                ("run_number", "!=", False),
                ("state", "=", "applied"),
            ],
            order="run_number desc",
            limit=1,
        )
        if not last:
            raise UserError(
                self.env._("No run has moved an account of %s so far.", company.name)
            )
        return last.action_open_undo()

    def action_compare_scorecard(self):
        """Say how many accounts would sit elsewhere under a scorecard, and change
        nothing.

        :raise UserError: if there is no scorecard
        """
        self.ensure_one()
        self.check_access("write")
        # sudo: whoever may change the policy may know how many; an archived one will do
        scorecard = (
            self.sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("method", "=", "scorecard"),
                    ("criterion_ids.weight", ">", 0),
                    ("company_id", "in", [self.company_id.id, False]),
                ],
                order="company_id, id",
                limit=1,
            )
        )
        if not scorecard or not scorecard._get_tiers():
            raise UserError(
                self.env._(
                    "There is no scorecard to compare with: add a policy with this "
                    "method, it may stay archived."
                )
            )
        scorecard._get_method().check()
        higher = lower = total = 0
        for company in self._get_companies() & self.env.companies:
            with self.env.cr.savepoint() as savepoint:
                counts = scorecard._count_elsewhere(company, self)
                savepoint.rollback()
            higher, lower, total = (
                higher + counts[0],
                lower + counts[1],
                total + counts[2],
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "info",
                "sticky": True,
                "title": self.env._("Under %s", scorecard.name),
                "message": self.env._(
                    "%(elsewhere)s of %(total)s accounts would sit elsewhere: "
                    "%(higher)s in a better tier, %(lower)s in a worse one.",
                    elsewhere=higher + lower,
                    total=total,
                    higher=higher,
                    lower=lower,
                ),
            },
        }

    def _count_elsewhere(self, company, policy):
        """Measure by ``self`` and return how many accounts of ``company`` are in a
        better tier than the figures suggest by ``policy``, in a worse one, and at all.
        Tiers are compared by their place: the first one is the best of both."""
        self.env.flush_all()
        self = self.with_context(
            allowed_company_ids=company._get_key_account_branches().ids
        ).with_company(company)
        today = clock.get_today(company)
        Trade(self, company, today).measure()
        Measurement(self, company, today).measure()
        return count_elsewhere(company, self._get_tiers(), policy.sudo()._get_tiers())

    def _try_values(self, values):
        """Write the values, with all checks, and put the policy in force; see
        :meth:`action_preview`.

        :return: the policy, and those that it takes the place of
        """
        self = self[:1]
        company_id = values.get("company_id", self.company_id.id)
        # sudo: the one in force may be that of all companies
        others = self.sudo().search(
            [("company_id", "=", company_id), ("id", "!=", self.id)]
        )
        if self.active and values.get("active", True):
            others = others.browse()
        others.active = False
        if self:
            # what isn't changed is no change: what was undone stays undone
            if values:
                self.write(values)
            policy = self
        else:
            policy = self.create(values)
        if not policy.active:
            policy.active = True
        policy.flush_recordset()
        return policy, others

    def action_view_changes(self):
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_tier_change_action"
        )
        action["domain"] = [("to_tier_id.policy_id", "=", self.id)]
        return action

    @api.model
    def _cron_run(self):
        """Tier the customers of every company, and update relationships; see
        :meth:`key.account.night._cron_night`."""
        self.env["key.account.night"]._cron_night(["tiering", "relationships"])

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    @api.model
    def _get_preset(self):
        """Return the policy that came with us, as superuser; an empty recordset if it
        was deleted, or became another company's."""
        preset = self.env.ref(
            "crm_key_account.policy_default", raise_if_not_found=False
        )
        preset = (preset or self.browse()).sudo()
        return preset.filtered(
            lambda policy: (
                not policy.company_id or policy.company_id in self.env.companies
            )
        )

    def _prepare_preset_tiers(self):
        """Return the tiers that a new policy begins with."""
        names = ("name", "code", "sequence", "color", "threshold", "share")
        return [
            Command.create(
                {"preset_id": tier.id, **{name: tier[name] for name in names}}
            )
            for preset in self._get_preset()
            for tier in preset._get_tiers()
        ]

    @api.model
    def _get_preset_tier(self, tier):
        """Return the tier of :meth:`_get_preset` like ``tier``: with its code, else in
        its place, the last one for those behind; as superuser, perhaps empty."""
        preset = self._get_preset()
        tiers = preset._get_tiers() if preset else tier.browse()
        place = [*tier.policy_id._get_tiers()].index(tier)
        same = tiers.filtered(lambda each: each.code and each.code == tier.code)
        return same[:1] or tiers[place : place + 1] or tiers[-1:]

    @api.model
    def _get_for_company(self, company):
        """Return the active policy of ``company``: its own, else that of the nearest
        company that it is a branch of, else the shared one, else an empty recordset."""
        policies = self.sudo()._get_by_company()
        return company._get_key_account_policy(policies).with_env(self.env)

    @api.model
    def _get_by_company(self):
        """Return {company, or none for the shared one: active policy}."""
        companies = self.env["res.company"]
        return {
            companies.browse(company_id or ()): self.browse(policy_id)
            for company_id, policy_id in self._get_ids_by_company().items()
        }

    @api.model
    # within a trial apart: others go on with what is in force
    @ormcache(CACHE_KEY)
    def _get_ids_by_company(self):
        policies = self.sudo().with_context(active_test=True).search(Domain.TRUE)
        return {policy.company_id.id: policy.id for policy in policies}

    def _get_default_lock(self):
        """Return until when a tier that a person sets is left alone, unless the person
        says otherwise; False if there is no minimum tenure, or no policy."""
        days = self.sudo().min_tenure_days
        today = fields.Date.context_today(self)
        return today + timedelta(days=days) if days else False

    def _get_held_days(self):
        """Return for how many days runs don't repeat what was undone of one."""
        return max(self.sudo().min_tenure_days, LEAST_HELD_DAYS)

    def _get_change_date(self):
        """Return when somebody changed last what moves accounts, in UTC."""
        policy = self.sudo()
        records = [policy, *policy.tier_ids, *policy.criterion_ids]
        return max(record.write_date for record in records)

    def _get_companies(self):
        """Return the companies in which one of these policies is in force, and that
        keep accounts."""
        companies = self.env["res.company"].sudo().search(Domain.TRUE)
        policies = self.sudo()._get_by_company()
        return companies.filtered(
            lambda company: (
                company._get_key_account_policy(policies) in self
                and company._get_key_account_home() == company
            )
        ).with_env(self.env)

    @api.model
    @ormcache("company_id", CACHE_KEY)
    def _get_judged_names(self, company_id):
        """Return what a company's scorecard wants people to judge: customers show these
        fields only."""
        company = self.env["res.company"].browse(company_id)
        policy = self._get_for_company(company).sudo()
        if not policy or policy.method != "scorecard":
            return ()
        criteria = policy._get_method().criteria
        return tuple(sorted({each._get_metric().judged for each in criteria} - {None}))

    def _get_tiers(self):
        """Return the tiers, best first, also while they are being edited."""
        self.ensure_one()
        return self.tier_ids.filtered("active").sorted(
            lambda tier: (tier.sequence, tier._origin.id)
        )

    def _get_method(self):
        """Return how the policy sorts accounts, see :mod:`.methods`."""
        return METHODS[self.method](self)

    def _get_figure(self):
        """Return the column of accounts that the policy ranks by."""
        return self._get_method().figure or self.metric

    def _get_reason(self, company, figure, rank):
        """Return why an account is in its tier, in words."""
        return self._explain(company, self._prepare_measured(figure, rank))

    def _prepare_measured(self, figure, rank, before=None):
        """Return what to remember of why an account is in its tier: whoever reads it
        has another language and another format of numbers.

        :param before: the figure of the run before; None: it had none
        """
        return {
            "before": before,
            "metric": self._get_figure(),
            "months": self.window_months,
            "figure": figure,
            "rank": rank,
        }

    @api.model
    def _explain(self, company, measured):
        """Return in words what was measured; see :meth:`_prepare_measured`."""
        if measured["metric"] == "score":
            return self.env._(
                "Score: %(score)s of 100 points, rank %(rank)s",
                score=formatLang(self.env, measured["figure"], digits=2),
                rank=measured["rank"],
            )
        currency = company.sudo().currency_id
        amount = formatLang(
            self.env, measured["figure"], digits=currency.decimal_places
        )
        if measured["metric"] == "expected_revenue":
            return self.env._(
                "Expected revenue: %(figure)s %(currency)s, rank %(rank)s",
                figure=amount,
                currency=currency.name,
                rank=measured["rank"],
            )
        metric = dict(self._fields["metric"]._description_selection(self.env))
        values = {
            "metric": metric[measured["metric"]],
            "figure": amount,
            "currency": currency.name,
            "rank": measured["rank"],
        }
        if measured["months"] == 1:
            return self.env._(
                "%(metric)s of one month: %(figure)s %(currency)s, rank %(rank)s",
                **values,
            )
        return self.env._(
            "%(metric)s of %(months)s months: %(figure)s %(currency)s, rank %(rank)s",
            months=measured["months"],
            **values,
        )

    @api.model
    def _explain_move(self, company, measured, boundary):
        """Return in words where an account came from, to go on after
        :meth:`_explain`."""
        digits = company.sudo().currency_id.decimal_places
        if measured["metric"] == "score":
            digits = 2
        text = ""
        if measured.get("before") is not None:
            before = formatLang(self.env, measured["before"], digits=digits)
            text += self.env._(", before %s", before)
        if boundary:
            edge = formatLang(self.env, boundary, digits=digits)
            text += self.env._(", boundary %s", edge)
        return text

    # -------------------------------------------------------------------------
    # The run
    # -------------------------------------------------------------------------

    def _run(self, today=None):
        """Measure the accounts and move them, in every company where a policy of
        ``self`` is in force. Doesn't commit.

        :param date today: last day of the window; default: today in the time zone of
            the company's working hours
        :return: the changes that were applied or proposed by this run
        """
        return self._run_companies(self._get_companies(), today)

    def _run_companies(self, companies, today=None, incremental=False):
        """Run the policy of each company, its relationships and its effort.

        :param bool incremental: measure what can have changed since the last run, where
            one of all accounts is at most a week old and the configuration is the same
        """
        changes = self.env["key.account.tier.change"]
        for company in companies._get_key_account_keepers():
            changed, touched = self._run_tiers(company, today, incremental)
            changes |= changed
            # After the tiers: they say who must have been met, and how often.
            self._run_relationships(company, touched, today)
        return changes

    @api.model
    def _run_tiers(self, company, today=None, incremental=False):
        """Measure and move the accounts of ``company``, if a policy is in force there;
        see :meth:`_run_companies`.

        :return: the changes, and the ids of the customers whose relationship may have
            changed by that, or by what was measured; None: all
        """
        changes = self.env["key.account.tier.change"]
        policy = self._get_for_company(company)
        if not policy:
            return changes, None
        day = today or clock.get_today(company)
        touched = get_touched(policy, company, day) if incremental else None
        measured = touched and touched.measured
        changes = policy._run_company(company, day, measured)
        dues = self.env["key.account.due"].sudo()
        is_kept = dues._is_kept(company)
        invalid = self.env["key.account"]._get_invalid(company)
        moved = []
        if is_kept or touched is not None:
            placed = get_placed(self.env, company)
            moved = (changes.partner_id | placed.partner_id | invalid).ids
        if is_kept:
            others = dues._get_invalid(company).partner_id.ids
            dues._refresh(company, [*(measured or ()), *moved, *others], [], today)
            dues._refresh_leads(company)
        return changes, touched and [*touched.related, *moved]

    @api.model
    def _run_relationships(self, company, touched=None, today=None):
        """Bring relationships and effort of the accounts of ``company`` up to date.

        :param touched: ids of customers; None: all
        """
        day = today or clock.get_today(company)
        # Compiling the statements takes longer than running them.
        self.env.cr.execute("SET LOCAL jit = off")
        accounts = self.env["key.account"].sudo()
        accounts._complete_history(company)
        accounts._update_relationships(company, touched, day)
        accounts._update_effort(company, day, touched)

    def _run_company(self, company, today=None, touched=None):
        """Run the policy for one company; see :meth:`_run`.

        A fixed number of statements, whatever the number of accounts, and one batch of
        changes for every so many that move.
        """
        self.ensure_one()
        self._check_tiers()
        if not self.active:
            raise UserError(
                self.env._("The policy %s is archived: restore it first.", self.name)
            )
        # Here, in the caller's company: pending fields may be computed from it.
        self.env.flush_all()
        self = self.sudo().with_company(company)
        # The report below converts to the first company, whose currency is that of its
        # branches: here, no other one is allowed.
        branches = company._get_key_account_branches()
        self = self.with_context(allowed_company_ids=branches.ids)
        today = today or clock.get_today(company)
        # How an account trades follows its documents alone, unlike margins, which
        # follow the costs of products: a run of all needs it of those that changed.
        traded = touched
        if touched is None:
            traded = get_measured_ids(self, company, today)
        trade = Trade(self, company, today, traded)
        trade.measure()
        Measurement(self, company, today, touched, trade).run()
        trade.save()
        moves = get_moves(self, company, today)
        changes = moves.apply()
        moves.update_leads()
        note_run(self, company, today, traded)
        # The statements above went past the ORM's cache.
        self.env.invalidate_all(flush=False)
        _logger.info(
            "Tiering of company %s by policy %s: %s accounts measured, %s changes",
            company.id,
            self.id,
            "all" if touched is None else len(touched),
            len(changes),
        )
        return changes
