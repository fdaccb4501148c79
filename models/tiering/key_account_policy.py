import hashlib
import logging
from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import Command, api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, split_every

from ...const import ANALYZED_ROWS, BATCH_SIZE, INTERNAL
from ..account import clock
from .methods import METHODS
from .touched import get_touched_ids

_logger = logging.getLogger(__name__)

# Every account is measured after so many days, though nothing seems to have changed.
FULL_RUN_DAYS = 7


class KeyAccountPolicy(models.Model):
    """How a company sorts its customers into tiers.

    The nightly run measures every account in SQL (:meth:`_measure`), compares the
    tier that the figures suggest with the tier in force, and records a
    ``key.account.tier.change`` for each account that moves (:meth:`_move`).
    """

    _name = "key.account.policy"
    _description = "Tiering Policy"
    _order = "company_id, name, id"
    # Places up to this one are exact every night, those behind after a run of all.
    _exact_ranks = 1000

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        index=True,
        help="Leave empty to share the policy among the companies that have no policy "
        "of their own.",
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
        "currency. Expected revenue is that of the account's open leads and "
        "opportunities.",
    )
    revenue_basis = fields.Selection(
        [("invoiced", "Posted invoices"), ("ordered", "Confirmed orders")],
        required=True,
        default="invoiced",
        help="Where revenue and margin are read. Credit notes subtract.",
    )
    window_months = fields.Integer(
        string="Window (months)",
        required=True,
        default=12,
        help="Revenue and margin of this many months up to today count.",
    )
    tier_ids = fields.One2many("key.account.tier", "policy_id", copy=True)
    auto_apply = fields.Boolean(
        string="Apply Automatically",
        default=True,
        help="When off, the run proposes and a sales administrator applies.",
    )
    hysteresis = fields.Float(
        string="Hysteresis (%)",
        digits=(5, 2),
        default=5.0,
        help="An account moves at once only when its figure is clear of the accounts "
        "on the other side of the boundary (or of the threshold) by more than this "
        "many percent. Keeps accounts near a boundary from going to and fro.",
    )
    min_tenure_days = fields.Integer(
        string="Minimum Tenure (days)",
        default=90,
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
        for policy in self:
            policy.pending_count = self.env["key.account.tier.change"].search_count(
                [
                    ("state", "=", "proposed"),
                    ("to_tier_id.policy_id", "=", policy.id),
                ]
            )

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

    @api.constrains("window_months", "hysteresis", "min_tenure_days")
    def _check_numbers(self):
        for policy in self:
            if policy.window_months < 1:
                raise ValidationError(
                    self.env._("The window must be at least one month.")
                )
            if not 0 <= policy.hysteresis < 100:
                raise ValidationError(
                    self.env._("The hysteresis must be from 0 to below 100 percent.")
                )
            if policy.min_tenure_days < 0:
                raise ValidationError(
                    self.env._("The minimum tenure must be 0 days or more.")
                )

    # `name` and `active` so that a policy without the key in its values is checked too
    @api.constrains("name", "active", "method", "tier_ids")
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
            policy._get_method().check()

    def _check_tiers_unless_deferred(self):
        """Check after a change of a single tier, unless a whole policy is being saved:
        its lines arrive one by one and are right only together."""
        if self.env.context.get("key_account_defer_tier_check") is not INTERNAL:
            self._check_tiers()

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        deferred = self.with_context(key_account_defer_tier_check=INTERNAL)
        return super(KeyAccountPolicy, deferred).create(vals_list).with_env(self.env)

    def write(self, vals):
        deferred = self.with_context(key_account_defer_tier_check=INTERNAL)
        return super(KeyAccountPolicy, deferred).write(vals)

    def unlink(self):
        # Through the ORM, so that tiers in use are refused with a sentence.
        self.with_context(key_account_defer_tier_check=INTERNAL).tier_ids.unlink()
        return super().unlink()

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
            changes |= self.sudo()._run_companies(company)
            placed += len(self.sudo()._get_placed(company))
        applied = len(changes.filtered(lambda change: change.state == "applied"))
        message = self.env._(
            "%(applied)s accounts moved, %(proposed)s changes proposed.",
            applied=applied,
            proposed=len(changes) - applied,
        )
        if placed:
            message = self.env._(
                "%(placed)s accounts placed for the first time. %(moved)s",
                placed=placed,
                moved=message,
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": message,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_preview(self):
        """Show which accounts a run would move, and change nothing."""
        self.ensure_one()
        self.check_access("write")
        companies = self._get_companies() & self.env.companies
        with self.env.cr.savepoint() as savepoint:
            lines = []
            for company in companies:
                lines += [
                    {
                        "partner_id": change.partner_id.id,
                        "company_id": company.id,
                        "from_tier_id": change.from_tier_id.id,
                        "to_tier_id": change.to_tier_id.id,
                        "reason": change.reason,
                    }
                    for change in self.sudo()._run_companies(company)
                ]
                lines += [
                    {
                        "partner_id": account.partner_id.id,
                        "company_id": company.id,
                        "from_tier_id": False,
                        "to_tier_id": account.tier_id.id,
                        "reason": self._get_reason(
                            company, account[self.metric], account.rank
                        ),
                    }
                    for account in self.sudo()._get_placed(company)
                ]
            savepoint.rollback()
        self.env.invalidate_all(flush=False)
        preview = self.env["key.account.tier.preview"].create(
            {"policy_id": self.id, "line_ids": [Command.create(vals) for vals in lines]}
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Accounts That Would Move"),
            "res_model": "key.account.tier.preview",
            "res_id": preview.id,
            "view_mode": "form",
            "target": "new",
        }

    def action_view_changes(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_tier_change_action"
        )
        action["domain"] = [("to_tier_id.policy_id", "=", self.id)]
        return action

    @api.model
    def _cron_run(self):
        """Run every policy, one company after the other, a commit after each."""
        companies = self.env["res.company"].search(Domain.TRUE)
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(companies))
        for company in companies:
            policy = self._get_for_company(company)
            try:
                with self.env.cr.savepoint():
                    policy._run_companies(company, incremental=True)
            except Exception:
                # The other companies' runs don't depend on this one.
                _logger.exception("Tiering of company %s failed", company.id)
            if not cron._commit_progress(1):
                break

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    @api.model
    def _get_for_company(self, company):
        """Return the active policy of ``company``: its own, else the shared one, else
        an empty recordset."""
        policies = self.sudo().search([("company_id", "in", [company.id, False])])
        own = policies.filtered("company_id")
        return (own or policies)[:1].with_env(self.env)

    def _get_companies(self):
        """Return the companies in which one of these policies is in force."""
        companies = self.env["res.company"].sudo().search(Domain.TRUE)
        return companies.filtered(
            lambda company: self._get_for_company(company) in self
        ).with_env(self.env)

    def _get_tiers(self):
        """Return the tiers, best first, also while they are being edited."""
        self.ensure_one()
        return self.tier_ids.sorted(lambda tier: (tier.sequence, tier._origin.id))

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
        cards = self.env["key.account"].sudo()
        dues = self.env["key.account.due"].sudo()
        for company in companies:
            policy = self._get_for_company(company)
            day = today or clock.get_today(company)
            touched = None
            if policy and incremental:
                touched = policy._get_touched_ids(company, day)
            if policy:
                changed = policy._run_company(company, day, touched)
                changes |= changed
                is_kept = dues._is_kept(company)
                moved = []
                if is_kept or touched is not None:
                    placed = policy._get_placed(company)
                    moved = (changed.partner_id | placed.partner_id).ids
                if touched is not None:
                    touched += moved
                if is_kept:
                    measured = moved if touched is None else touched
                    dues._refresh(company, measured, [], today)
                    dues._refresh_leads(company)
            # After the tiers: they say who must have been met, and how often.
            cards._update_relationships(company, touched, day)
            cards._update_effort(company, day, touched)
        return changes

    def _get_touched_ids(self, company, today):
        """Return whom a run has to measure; None: everybody."""
        company = company.sudo()
        if (
            not company.key_account_computed_at
            or not company.key_account_run_date
            or company.key_account_run_date > today
            or not company.key_account_full_run_date
            or company.key_account_full_run_date + timedelta(days=FULL_RUN_DAYS)
            <= today
            or company.key_account_run_key != self._get_run_key(company)
        ):
            return None
        self.env.flush_all()
        touched = get_touched_ids(
            self.env,
            company,
            self.window_months,
            company.key_account_computed_at,
            company.key_account_run_date,
            today,
        )
        # Also by leads that are gone, or went to another customer.
        rows = self.env.execute_query(
            SQL(
                """
                SELECT COALESCE(lead.partner_id, account.partner_id)
                  FROM (%(leads)s) AS lead
                  FULL JOIN (
                        SELECT partner_id, expected_revenue
                          FROM key_account
                         WHERE company_id = %(company)s AND is_account
                       ) AS account ON account.partner_id = lead.partner_id
                 WHERE ROUND(COALESCE(lead.expected_revenue, 0)::numeric, %(digits)s)
                       != COALESCE(account.expected_revenue, 0)
                    OR account.partner_id IS NULL
                """,
                leads=self._get_leads_sql(company),
                company=company.id,
                digits=company.currency_id.decimal_places,
            )
        )
        return list({*touched, *(row[0] for row in rows)})

    def _get_run_key(self, company):
        """Return a digest of the configuration that figures and evidence depend on."""
        policy = self.sudo()
        records = [
            policy,
            policy.tier_ids,
            policy.tier_ids.cell_ids,
            self.env["key.account.relationship.criterion"]._get_criteria(company),
        ]
        text = repr(
            [
                [(record._name, record.id, record.write_date) for record in each]
                for each in records
            ]
        )
        return hashlib.sha256(text.encode()).hexdigest()

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
        # The report below converts to the first company: here, only one is allowed.
        self = self.with_context(allowed_company_ids=company.ids)
        today = today or clock.get_today(company)
        self._measure(company, today, touched)
        changes = self._move(company, today)
        self._update_leads(company)
        self.env.cr.execute(
            SQL(
                "UPDATE key_account_policy SET last_run = %s WHERE id = %s",
                fields.Datetime.now(),
                self.id,
            )
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE res_company
                   SET key_account_computed_at = %(now)s,
                       key_account_run_date = %(today)s,
                       key_account_full_run_date = CASE
                           WHEN %(full)s THEN %(today)s
                           ELSE key_account_full_run_date END,
                       key_account_run_key = %(key)s
                 WHERE id = %(company)s
                """,
                now=fields.Datetime.now(),
                today=today,
                full=touched is None,
                key=self._get_run_key(company),
                company=company.id,
            )
        )
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

    def _get_placed(self, company):
        """Return the accounts of ``company`` that this transaction's last run gave
        their first tier."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT account.id
                  FROM key_account_measure measure
                  JOIN key_account account
                    ON account.partner_id = measure.partner_id
                   AND account.company_id = %s
                 WHERE measure.tier_id IS NULL
                   AND account.tier_id IS NOT NULL
                 ORDER BY account.rank, account.id
                """,
                company.id,
            )
        )
        return self.env["key.account"].browse(row[0] for row in rows)

    def _get_tiers_values(self):
        """Return the tiers as SQL rows (id, position, threshold, share)."""
        return SQL(", ").join(
            SQL("(%s, %s, %s, %s)", tier.id, position, tier.threshold, tier.share)
            for position, tier in enumerate(self._get_tiers(), start=1)
        )

    def _get_method(self):
        """Return how the policy sorts accounts, see :mod:`.tiering_methods`."""
        return METHODS[self.method](self)

    def _get_sales_sql(self, company, today, partner_ids=None):
        """Return a query for revenue, margin and previous revenue per commercial
        partner: untaxed, in the currency of ``company``.

        Every customer that was ever invoiced (or has a confirmed order) has a row;
        only figures of the window count.

        :param partner_ids: limit to these commercial partners
        """
        start = today - relativedelta(months=self.window_months)
        previous_start = start - relativedelta(months=self.window_months)
        among = SQL("TRUE")
        moves = SQL("TRUE")
        if partner_ids is not None:
            among = SQL("partner.commercial_partner_id = ANY(%s)", partner_ids)
            # As numbers: PostgreSQL would look at all lines to find those of a query.
            rows = self.env.execute_query(
                SQL(
                    """
                    SELECT move.id
                      FROM account_move move
                      JOIN res_partner partner ON partner.id = move.partner_id
                     WHERE move.company_id = %s AND %s
                    """,
                    company.id,
                    among,
                )
            )
            moves = SQL("move_id = ANY(%s)", [row[0] for row in rows])
        current = SQL("day > %s AND day <= %s", start, today)
        previous = SQL("day > %s AND day <= %s", previous_start, start)
        invoices = SQL(
            """
            SELECT partner_id, invoice_date AS day,
                   price_subtotal AS revenue, price_margin AS margin
              FROM (%s) AS report
             WHERE company_id = %s
               AND state = 'posted'
               AND move_type IN ('out_invoice', 'out_refund', 'out_receipt')
               AND %s
            """,
            self.env["account.invoice.report"]._table_query,
            company.id,
            moves,
        )
        orders = SQL(
            """
            SELECT partner_id,
                   (date_order AT TIME ZONE 'UTC' AT TIME ZONE %s)::date AS day,
                   amount_untaxed / COALESCE(NULLIF(currency_rate, 0), 1) AS revenue,
                   margin / COALESCE(NULLIF(currency_rate, 0), 1) AS margin
              FROM sale_order
             WHERE company_id = %s
               AND state = 'sale'
            """,
            company.resource_calendar_id.tz or "UTC",
            company.id,
        )
        ordered = self.revenue_basis == "ordered"
        return SQL(
            """
            SELECT commercial_partner_id AS partner_id,
                   SUM(revenue) FILTER (WHERE %(current)s) AS revenue,
                   SUM(margin) FILTER (WHERE %(current)s) AS margin,
                   SUM(revenue) FILTER (WHERE %(previous)s) AS previous_revenue
              FROM (%(sales)s) AS sales
              JOIN res_partner partner ON partner.id = sales.partner_id
             WHERE %(among)s
             GROUP BY 1
             UNION ALL
            SELECT commercial_partner_id, 0, 0, 0
              FROM (%(others)s) AS others
              JOIN res_partner partner ON partner.id = others.partner_id
             WHERE %(among)s
             GROUP BY 1
            """,
            among=among,
            current=current,
            previous=previous,
            sales=orders if ordered else invoices,
            # Whoever has only orders, or only invoices, is an account as well.
            others=self._get_other_accounts_sql(company, ordered),
        )

    def _get_other_accounts_sql(self, company, ordered):
        if ordered:
            return SQL(
                """
                SELECT partner_id FROM account_move
                 WHERE company_id = %s AND state = 'posted'
                   AND move_type IN ('out_invoice', 'out_refund', 'out_receipt')
                """,
                company.id,
            )
        return SQL(
            """
            SELECT partner_id FROM sale_order
             WHERE company_id = %s AND state = 'sale'
            """,
            company.id,
        )

    def _get_leads_sql(self, company):
        """Return a query for expected revenue (company currency) per commercial
        partner with a lead. Open leads count; won and lost ones only make an account.
        """
        return SQL(
            """
            SELECT partner.commercial_partner_id AS partner_id,
                   SUM(lead.expected_revenue)
                       FILTER (WHERE lead.active AND lead.won_status = 'pending')
                       AS expected_revenue
              FROM crm_lead lead
              LEFT JOIN crm_team team ON team.id = lead.team_id
              LEFT JOIN res_users owner ON owner.id = lead.user_id
              JOIN res_partner partner ON partner.id = lead.partner_id
             WHERE %s = %s
             GROUP BY 1
            """,
            self.env["crm.lead"]._get_key_account_company_sql(),
            company.id,
        )

    def _measure(self, company, today, touched=None):
        """Write the company's accounts: figures, rank, share and suggested tier.

        :param touched: ids of the commercial partners to measure; the figures of the
            others are what they were. Default: all
        """
        # Compiling the query takes longer than running it.
        self.env.cr.execute("SET LOCAL jit = off")
        # Apart from writing: PostgreSQL reads in parallel only for this kind.
        self.env.cr.execute("DROP TABLE IF EXISTS key_account_measure")
        figures = self._get_figures_sql(company, today, touched)
        differs = SQL("TRUE")
        if touched is None:
            # For a fraction of the rows that there are, which PostgreSQL expects, it
            # looked every customer up by itself.
            self.env.cr.execute("SET LOCAL enable_nestloop = off")
        else:
            figures = SQL(
                """
                SELECT *, TRUE AS is_measured, NULL::int AS old_rank,
                       NULL::int AS old_suggested_tier_id, NULL::int AS old_tier_id
                  FROM (%s) AS measured
                 UNION ALL
                SELECT partner_id, is_account, revenue, margin, previous_revenue,
                       expected_revenue, FALSE, rank, suggested_tier_id, tier_id
                  FROM key_account
                 WHERE company_id = %s
                   AND is_account
                   AND NOT partner_id = ANY(%s)
                """,
                figures,
                company.id,
                touched,
            )
            # Of those that weren't measured: whose place or tier is another one now, or
            # whose lock may be over
            differs = SQL(
                """
                is_measured
                OR old_rank IS NULL
                OR old_tier_id IS NULL
                OR LEAST(rank, old_rank) <= %s
                OR suggested_tier_id IS DISTINCT FROM old_suggested_tier_id
                """,
                self._exact_ranks,
            )
        self.env.cr.execute(
            SQL(
                """
                CREATE TEMP TABLE key_account_measure ON COMMIT DROP AS
                WITH figures AS (%(figures)s
                ), ranked AS (
                    SELECT figures.*,
                           %(metric)s AS figure,
                           RANK() OVER best AS rank,
                           RANK() OVER best - 1 AS count_before,
                           COUNT(*) OVER everybody AS count_total,
                           -- of those strictly better
                           COALESCE(SUM(GREATEST(%(metric)s, 0)) OVER (
                               best GROUPS BETWEEN UNBOUNDED PRECEDING
                                               AND 1 PRECEDING), 0) AS figure_before,
                           SUM(GREATEST(%(metric)s, 0)) OVER everybody AS figure_total
                      FROM figures
                    WINDOW everybody AS (PARTITION BY is_account),
                           best AS (PARTITION BY is_account ORDER BY %(metric)s DESC)
                ), tiered AS (
                    SELECT *, %(suggested)s AS suggested_tier_id FROM ranked
                )
                SELECT tiered.partner_id, partner.user_id, is_account, revenue, margin,
                       COALESCE(ROUND(100 * margin / NULLIF(revenue, 0), 2), 0)
                           AS margin_rate,
                       previous_revenue, expected_revenue,
                       COALESCE(ROUND(
                           100 * GREATEST(figure, 0) / NULLIF(figure_total, 0), 4), 0)
                           AS share,
                       CASE WHEN is_account THEN rank::int END AS rank,
                       CASE WHEN is_account THEN suggested_tier_id END
                           AS suggested_tier_id,
                       old.tier_id  -- before the run
                  FROM (SELECT * FROM tiered WHERE %(differs)s) AS tiered
                  JOIN res_partner partner ON partner.id = tiered.partner_id
                  LEFT JOIN (
                        SELECT partner_id, tier_id
                          FROM key_account
                         WHERE company_id = %(company)s
                       ) AS old ON old.partner_id = tiered.partner_id
                """,
                figures=figures,
                metric=SQL.identifier(self.metric),
                suggested=self._get_method().get_suggested_tier_sql(),
                differs=differs,
                company=company.id,
            )
        )
        self.env.cr.execute("SET LOCAL enable_nestloop TO DEFAULT")
        self._write_measure(company, today, touched)

    def _get_figures_sql(self, company, today, partner_ids=None):
        """Return a query for the figures per commercial partner, in the currency of
        ``company`` and rounded as it is.

        :param partner_ids: limit to these commercial partners
        """
        among = SQL("TRUE")
        if partner_ids is not None:
            among = SQL("partner_id = ANY(%s)", partner_ids)
        return SQL(
            """
            SELECT partner_id,
                   BOOL_OR(is_account) AS is_account,
                   ROUND(SUM(revenue)::numeric, %(digits)s) AS revenue,
                   ROUND(SUM(margin)::numeric, %(digits)s) AS margin,
                   ROUND(SUM(previous_revenue)::numeric, %(digits)s)
                       AS previous_revenue,
                   ROUND(SUM(expected_revenue)::numeric, %(digits)s)
                       AS expected_revenue
              FROM (
                    SELECT partner_id,
                           COALESCE(revenue, 0) AS revenue,
                           COALESCE(margin, 0) AS margin,
                           COALESCE(previous_revenue, 0) AS previous_revenue,
                           0 AS expected_revenue,
                           TRUE AS is_account
                      FROM (%(sales)s) AS sales
                     UNION ALL
                    SELECT partner_id, 0, 0, 0, COALESCE(expected_revenue, 0), TRUE
                      FROM (%(leads)s) AS leads
                     WHERE %(among)s
                     UNION ALL
                    -- those that may be none any more
                    SELECT partner_id, 0, 0, 0, 0, FALSE
                      FROM key_account
                     WHERE company_id = %(company)s AND is_account AND %(among)s
                   ) AS sources
             GROUP BY partner_id
            """,
            digits=company.currency_id.decimal_places,
            sales=self._get_sales_sql(company, today, partner_ids),
            leads=self._get_leads_sql(company),
            among=among,
            company=company.id,
        )

    def _write_measure(self, company, today, touched):
        """Write what was measured where it differs, and make the accounts that are new
        with their tier and all that is true of an account of which nothing else is
        known: most are such, and aren't looked at again then."""
        columns = [
            "user_id",
            "is_account",
            "revenue",
            "margin",
            "margin_rate",
            "previous_revenue",
            "expected_revenue",
            "share",
            "rank",
            "suggested_tier_id",
        ]

        def prefixed(alias, names):
            return SQL(", ").join(SQL.identifier(alias, name) for name in names)

        # What wouldn't change is neither locked nor written.
        differs = SQL(
            "(%s) IS DISTINCT FROM (%s)",
            prefixed("measure", columns),
            prefixed("old", columns),
        )
        if touched is not None:
            # Every sale moves the places of thousands by one or two: behind the first
            # ones they wait for the run of all.
            lasting = [name for name in columns if name not in ("share", "rank")]
            differs = SQL(
                """
                CASE WHEN measure.rank > %(exact)s AND old.rank > %(exact)s
                     THEN (%(measured)s) IS DISTINCT FROM (%(old)s)
                     ELSE %(differs)s
                END
                """,
                exact=self._exact_ranks,
                measured=prefixed("measure", lasting),
                old=prefixed("old", lasting),
                differs=differs,
            )
        defaults = self.env["key.account"]._get_silent_values(company)
        self.env.cr.execute(
            SQL(
                """
                WITH required AS (
                    SELECT tier_id, COUNT(*) AS cells
                      FROM key_account_tier_cell
                     GROUP BY tier_id
                )
                INSERT INTO key_account (
                       partner_id, company_id, tier_id, tier_since, coverage,
                       required_count, %(silent)s, %(columns)s)
                SELECT measure.partner_id, %(company)s,
                       %(placed)s, CASE WHEN %(placed)s IS NOT NULL THEN %(today)s END,
                       CASE WHEN required.cells > 0 THEN 0 END,
                       COALESCE(required.cells, 0), %(values)s, %(measured)s
                  FROM key_account_measure measure
                  LEFT JOIN key_account old
                         ON old.partner_id = measure.partner_id
                        AND old.company_id = %(company)s
                  LEFT JOIN required ON required.tier_id = %(placed)s
                 WHERE %(differs)s
                    OR old.tier_id IS NULL AND %(placed)s IS NOT NULL
                    ON CONFLICT (partner_id, company_id) DO UPDATE
                   SET (%(columns)s) = ROW(%(excluded)s),
                       tier_id = COALESCE(key_account.tier_id, excluded.tier_id),
                       tier_since = CASE WHEN key_account.tier_id IS NULL
                                         THEN excluded.tier_since
                                         ELSE key_account.tier_since END
                """,
                columns=SQL(", ").join(map(SQL.identifier, columns)),
                silent=SQL(", ").join(map(SQL.identifier, defaults)),
                values=SQL(", ").join(defaults.values()),
                company=company.id,
                today=today,
                placed=self._get_placed_tier_sql(today),
                differs=differs,
                measured=prefixed("measure", columns),
                excluded=prefixed("excluded", columns),
            )
        )
        rowcount = self.env.cr.rowcount
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account SET is_touched = FALSE
                 WHERE company_id = %s AND is_touched
                """,
                company.id,
            )
        )
        if touched is None and rowcount > ANALYZED_ROWS:
            # Without statistics the next statements take a full table for an empty one.
            self.env.cr.execute("ANALYZE key_account")

    def _get_placed_tier_sql(self, today):
        """Return the tier of an account that has none yet, as an SQL expression over
        ``measure`` and its row ``old``: NULL where it has one, or a lock says to wait.
        With ``auto_apply`` off nobody is placed without being asked."""
        if not self.auto_apply:
            return SQL("NULL::int")
        return SQL(
            """
            CASE WHEN old.tier_id IS NULL
                  AND COALESCE(old.tier_locked_until < %s, TRUE)
                 THEN measure.suggested_tier_id END
            """,
            today,
        )

    def _get_moves_sql(self, company, today):
        """Return a query for the accounts that leave their tier: ``partner_id``,
        ``from_tier_id``, ``to_tier_id``, ``figure``, ``rank``.

        An account whose suggested tier differs from the one in force moves when it is
        not locked and

        - it has no tier yet, or one of another policy; or
        - it has been in its tier for the minimum tenure; or
        - it is clear of the boundary that it crosses by more than the hysteresis.

        The boundary is the edge of the tier that the account leaves, as the method
        has it.
        """
        return SQL(
            """
            WITH tiers (id, position, threshold, share) AS (VALUES %(tiers)s),
                 bounds AS (%(bounds)s)
            SELECT card.partner_id, card.tier_id AS from_tier_id,
                   card.suggested_tier_id AS to_tier_id,
                   card.%(metric)s AS figure, card.rank
              FROM key_account card
              JOIN tiers suggested ON suggested.id = card.suggested_tier_id
              LEFT JOIN tiers current ON current.id = card.tier_id
              LEFT JOIN bounds ON bounds.position = current.position
             WHERE card.company_id = %(company)s
               AND card.tier_id IS DISTINCT FROM card.suggested_tier_id
               AND COALESCE(card.tier_locked_until < %(today)s, TRUE)
               AND (current.id IS NULL
                    OR COALESCE(card.tier_since <= %(tenured)s, TRUE)
                    OR CASE WHEN suggested.position < current.position
                            THEN COALESCE(card.%(metric)s >
                                 bounds.upper_edge * (1 + %(hysteresis)s), TRUE)
                            ELSE COALESCE(card.%(metric)s <
                                 bounds.lower_edge * (1 - %(hysteresis)s), TRUE)
                        END)
            """,
            tiers=self._get_tiers_values(),
            bounds=self._get_method().get_edges_sql(company),
            company=company.id,
            today=today,
            tenured=today - relativedelta(days=self.min_tenure_days),
            metric=SQL.identifier(self.metric),
            hysteresis=self.hysteresis / 100,
        )

    def _move(self, company, today):
        """Record a change for every account that moves and, with ``auto_apply``, give
        it the new tier. Who is placed for the first time (:meth:`_measure`) has nothing
        to remember.

        Changes are made through the ORM, in batches: automation rules and other addons
        hear of them.

        :return: the changes made
        """
        changes = self.env["key.account.tier.change"]
        moves = self._get_moves_sql(company, today)
        # A proposal that the figures no longer support leaves the queue; so does every
        # proposal when the run applies by itself.
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account_tier_change
                   SET state = 'rejected', note = %(withdrawn)s, date = %(today)s
                 WHERE id IN (
                       SELECT proposal.id
                         FROM key_account_tier_change proposal
                         LEFT JOIN (%(moves)s) AS move
                           ON move.partner_id = proposal.partner_id
                          AND move.to_tier_id = proposal.to_tier_id
                        WHERE proposal.state = 'proposed'
                          AND proposal.company_id = %(company)s
                          AND (%(auto_apply)s OR move.partner_id IS NULL))
                """,
                withdrawn=self.env._("Withdrawn: the figures changed."),
                today=today,
                company=company.id,
                auto_apply=self.auto_apply,
                moves=moves,
            )
        )
        changes.invalidate_model(["state", "note", "date"])
        rows = self.env.execute_query(
            SQL(
                """
                SELECT partner_id, from_tier_id, to_tier_id, figure, rank
                  FROM (%(moves)s) AS move
                 WHERE %(auto_apply)s OR NOT EXISTS (
                       -- proposed already, or a manager said no to the same move within
                       -- the minimum tenure
                       SELECT FROM key_account_tier_change change
                        WHERE change.partner_id = move.partner_id
                          AND change.company_id = %(company)s
                          AND (change.state = 'proposed'
                               OR change.to_tier_id = move.to_tier_id
                                  AND change.state = 'rejected'
                                  AND change.user_id IS NOT NULL
                                  AND change.date > %(tenured)s))
                 ORDER BY partner_id
                """,
                company=company.id,
                tenured=today - relativedelta(days=self.min_tenure_days),
                moves=moves,
                auto_apply=self.auto_apply,
            )
        )
        for batch in split_every(BATCH_SIZE, rows):
            changes |= changes.create(
                [
                    {
                        "partner_id": partner_id,
                        "company_id": company.id,
                        "from_tier_id": from_tier_id,
                        "to_tier_id": to_tier_id,
                        "state": "applied" if self.auto_apply else "proposed",
                        "reason": self._get_reason(company, figure, rank),
                        "date": today,
                    }
                    for partner_id, from_tier_id, to_tier_id, figure, rank in batch
                ]
            )
        changes.flush_recordset()
        if changes and self.auto_apply:
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE key_account account
                       SET tier_id = to_tier_id, tier_since = %s
                      FROM key_account_tier_change change
                     WHERE change.id = ANY(%s)
                       AND account.partner_id = change.partner_id
                       AND account.company_id = change.company_id
                    """,
                    today,
                    changes.ids,
                )
            )
        return changes

    def _get_reason(self, company, figure, rank):
        """Return why an account is in its tier, in words."""
        amount = f"{figure:,.{company.currency_id.decimal_places}f}"
        if self.metric == "expected_revenue":
            return self.env._(
                "Expected revenue: %(figure)s %(currency)s, rank %(rank)s",
                figure=amount,
                currency=company.currency_id.name,
                rank=rank,
            )
        metric = dict(self._fields["metric"]._description_selection(self.env))
        return self.env._(
            "%(metric)s of %(months)s months: %(figure)s %(currency)s, rank %(rank)s",
            metric=metric[self.metric],
            months=self.window_months,
            figure=amount,
            currency=company.currency_id.name,
            rank=rank,
        )

    def _update_leads(self, company, lead_ids=None):
        """Give the company's leads the tier of their customer; without a customer, the
        tier that their expected revenue would have (see :meth:`_get_cutoffs`).

        :param lead_ids: limit to these leads
        """
        cutoffs = self._get_cutoffs(company)
        prospective = SQL("NULL::int")
        if cutoffs:
            prospective = SQL(
                "CASE WHEN lead.expected_revenue <= 0 THEN %s %s ELSE %s END",
                self._get_tiers()[-1].id,
                SQL(" ").join(
                    SQL("WHEN lead.expected_revenue >= %s THEN %s", cutoff, tier.id)
                    for tier, cutoff in cutoffs
                ),
                self._get_tiers()[-1].id,
            )
        self.env.cr.execute(
            SQL(
                """
                UPDATE crm_lead
                   SET account_tier_id = target.tier_id
                  FROM (SELECT lead.id,
                               CASE WHEN lead.partner_id IS NULL THEN %(prospective)s
                               ELSE account.tier_id
                               END AS tier_id
                          FROM crm_lead lead
                          LEFT JOIN crm_team team ON team.id = lead.team_id
                          LEFT JOIN res_users owner ON owner.id = lead.user_id
                          LEFT JOIN res_partner partner ON partner.id = lead.partner_id
                          LEFT JOIN key_account account
                                 ON account.partner_id = partner.commercial_partner_id
                                AND account.company_id = %(company)s
                         WHERE %(lead_company)s = %(company)s
                           AND (%(all_leads)s OR lead.id = ANY(%(lead_ids)s))
                       ) AS target
                 WHERE target.id = crm_lead.id
                   AND crm_lead.account_tier_id IS DISTINCT FROM target.tier_id
                """,
                prospective=prospective,
                company=company.id,
                lead_company=self.env["crm.lead"]._get_key_account_company_sql(),
                all_leads=lead_ids is None,
                lead_ids=list(lead_ids or []),
            )
        )

    def _get_cutoffs(self, company):
        """Return ``(tier, figure)`` pairs, best first: the smallest figure that an
        account of ``company`` needs for the tier."""
        return self._get_method().get_cutoffs(company)
