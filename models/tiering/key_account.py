import logging

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, formatLang

from ...const import LOGGED_IDS
from ..account import words
from .scorecard import Explanation

_logger = logging.getLogger(__name__)


class KeyAccount(models.Model):
    """What the tiering run measures of an account, and the history of its tiers."""

    _inherit = "key.account"

    revenue = fields.Monetary(
        readonly=True,
        help="Untaxed revenue of the policy's window, credit notes subtracted.",
    )
    margin = fields.Monetary(
        readonly=True,
        help="Untaxed revenue less cost. What comes from an order costs what was noted "
        "there; what was invoiced without one, what the product costs today. Where no "
        "cost is known, all of the revenue counts.",
    )
    margin_rate = fields.Float(
        string="Margin (%)",
        digits=(16, 2),
        readonly=True,
        aggregator=None,
        help="Margin in percent of revenue, both of what has a cost: nobody has "
        "entered one of 0. Empty where there is no revenue with a cost.",
    )
    uncosted_revenue = fields.Monetary(
        string="Revenue without Cost",
        readonly=True,
        help="Revenue of the policy's window of which no cost is known: without a "
        "product, or with a cost of 0. Deposits belong to it.",
    )
    expected_revenue = fields.Monetary(
        readonly=True,
        help="Expected revenue of the open leads and opportunities.",
    )
    # NULL where there is nothing to say: of nearly all
    has_invalid_amounts = fields.Boolean(
        string="Amounts to Correct",
        readonly=True,
        help="Invoices, orders or leads add up to what is no amount: it counts as "
        "zero, and the account stays in its tier.",
    )
    previous_revenue = fields.Monetary(
        readonly=True,
        help="Revenue of the window before this one.",
    )
    share = fields.Float(
        string="Share (%)",
        digits=(16, 4),
        readonly=True,
        help="Share of the account in the figure that the policy ranks by.",
    )
    score = fields.Float(
        digits=(5, 2),
        readonly=True,
        aggregator="avg",
        help="Points of the value scorecard, from 0 to 100: those of its criteria, "
        "averaged by weight. Empty where the policy is another one.",
    )
    # {criterion id: [points, figure]}
    score_points = fields.Json(is_internal=True, readonly=True)
    score_bars = fields.Html(
        is_internal=True,
        string="Points",
        compute="_compute_score_bars",
        sanitize=False,
        help="Points of each criterion, from 0 to 100, and how much they count.",
    )
    explanation = fields.Char(
        compute="_compute_explanation",
        help="Why the account is in its tier, and with a scorecard what would lift it "
        "to the next one.",
    )
    rank = fields.Integer(
        readonly=True,
        aggregator=None,
        help="Place among the company's accounts; equal figures share a place. Places "
        "behind the first thousand are brought up to date once a week.",
    )
    cumulative_share = fields.Float(
        string="Cumulative Share (%)",
        digits=(16, 4),
        compute="_compute_cumulative_share",
        search="_search_cumulative_share",
        aggregator=None,
        help="Share of this and all better accounts together.",
    )
    suggested_tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        ondelete="set null",
        help="The tier that the figures alone would give.",
    )

    order_count = fields.Integer(
        string="Orders",
        readonly=True,
        help="Invoices (confirmed orders, where the policy counts those) of the "
        "policy's window. Credit notes and what adds up to nothing don't count.",
    )
    last_order_date = fields.Date(
        string="Last Order",
        readonly=True,
        aggregator="max",
        help="Day of the last invoice (confirmed order, where the policy counts those) "
        "with an amount.",
    )
    order_interval = fields.Float(
        string="Order Interval (days)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="How often it orders by itself: median of the days between two days with "
        "an order, over the three years up to the last one. Empty with fewer than four "
        "such days.",
    )
    largest_order = fields.Monetary(
        readonly=True,
        aggregator="max",
        help="The largest single invoice (confirmed order, where the policy counts "
        "those) of the policy's window, untaxed.",
    )
    discount_rate = fields.Float(
        string="Discount (%)",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="Share of the list price that was given away in the policy's window: "
        "discounts of lines, and of whole orders, divided by price × quantity of all "
        "lines; credit notes subtract.",
    )
    days_late = fields.Float(
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Average days from the due date of the invoices of the policy's window to "
        "the day on which they were settled; of open ones that are overdue, to today. "
        "Paid in time counts as 0, what isn't due yet says nothing. Empty where no "
        "payments are noted in Odoo.",
    )
    win_rate = fields.Float(
        string="Win Rate (%)",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="Leads and opportunities won, divided by those won or lost, in the "
        "policy's window.",
    )

    _company_invalid_idx = models.Index("(company_id) WHERE has_invalid_amounts")

    def _get_score_explanations(self):
        """Return {account: what its score is made of}, of those that have one."""
        explanations = {}
        policies = self.env["key.account.policy"]
        scored = self.filtered(lambda account: account.score_points is not False)
        for company, accounts in scored.grouped("company_id").items():
            # sudo: a policy may have gone to another company meanwhile
            policy = policies._get_for_company(company).sudo()
            if policy and policy.method == "scorecard":
                for account in accounts:
                    explanations[account] = Explanation(account.sudo(), policy)
        return explanations

    @api.depends("score_points", "suggested_tier_id")
    @api.depends_context("lang")
    def _compute_score_bars(self):
        explanations = self._get_score_explanations()
        for account in self:
            explanation = explanations.get(account)
            account.score_bars = explanation and explanation.get_bars()

    @api.depends("score_points", "suggested_tier_id", "rank", "share", "is_excluded")
    @api.depends_context("lang")
    def _compute_explanation(self):
        explanations = self._get_score_explanations()
        for account in self:
            texts = [account._get_rank_text()]
            if account.rank and account in explanations:
                texts.append(explanations[account].get_lift())
            account.explanation = words.join_said(self.env, texts)

    def _get_rank_text(self):
        """Return the place of the account in one sentence."""
        if self.is_excluded:
            return self.env._("Not an account: no tier, no share, no visits.")
        if not self.rank:
            return self.env._("Not measured yet: the tiering run fills in the figures.")
        if self.score_points is not False:
            return self.env._(
                "Rank %(rank)s, with %(score)s of 100 points.",
                rank=self.rank,
                score=formatLang(self.env, self.score),
            )
        return self.env._(
            "Rank %(rank)s, with %(share)s %% of the total.",
            rank=self.rank,
            share=formatLang(self.env, self.share),
        )

    def action_open_score(self):
        """Show what the score is made of."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Score"),
            "res_model": self._name,
            "res_id": self.id,
            "views": [
                (self.env.ref("crm_key_account.key_account_view_form_score").id, "form")
            ],
            "target": "new",
        }

    @api.depends("is_account", "revenue", "margin", "expected_revenue")
    def _compute_cumulative_share(self):
        """Add up the shares of the account and of all better ones: asked for rarely, so
        that one customer's new invoice doesn't change the row of every other one."""
        shares = {}
        if self.ids:
            shares = dict(self.env.execute_query(self._get_cumulative_shares_sql()))
        for account in self:
            account.cumulative_share = shares.get(account._origin.id, 0)

    def _get_cumulative_shares_sql(self):
        """Return a query of these accounts: id, and the cumulative share.

        All accounts of the companies are added up by the figures of these: that takes
        no sorting of all of them, as :meth:`_get_cumulated_sql` does for a search.
        """
        return SQL(
            """
            WITH accounts AS NOT MATERIALIZED (%(figures)s
            ), asked AS (
                SELECT id, company_id, figure
                  FROM accounts
                 WHERE is_account AND figure IS NOT NULL AND id = ANY(%(ids)s)
            ), bounds AS (
                SELECT company_id, array_agg(DISTINCT figure ORDER BY figure) AS figures
                  FROM asked
                 GROUP BY company_id
            ), sums AS (
                -- those with the figure of the place, or more than it and less than
                -- that of the next
                SELECT company_id, width_bucket(figure, figures) AS place,
                       SUM(GREATEST(figure, 0)) AS figure
                  FROM accounts
                  JOIN bounds USING (company_id)
                 WHERE is_account
                 GROUP BY company_id, place
            )
            SELECT asked.id,
                   ROUND(100 * SUM(sums.figure) FILTER (
                             WHERE place >= width_bucket(asked.figure, figures))
                         / NULLIF(SUM(sums.figure), 0), 4)
              FROM asked
              JOIN bounds USING (company_id)
              JOIN sums USING (company_id)
             GROUP BY asked.id
            """,
            figures=self._get_ranked_sql(self.company_id),
            ids=self.ids,
        )

    def _search_cumulative_share(self, operator, value):
        try:
            share = float(value)
        except (TypeError, ValueError):
            share = None
        if share is None or operator not in ("<", "<=", ">", ">="):
            raise UserError(
                self.env._("Compare the cumulative share with a number, by < or >.")
            )
        accounts = SQL(
            "(SELECT id FROM (%s) AS accounts WHERE COALESCE(cumulated, 0) %s %s)",
            self._get_cumulated_sql(self.env.companies),
            SQL(operator),
            share,
        )
        return Domain("id", "in", accounts)

    def _get_cumulated_sql(self, companies):
        """Return a query of all rows of these companies: id, and the share of all
        accounts up to this one in the figure that the policy ranks by; NULL for those
        that are no accounts."""
        return SQL(
            """
            SELECT id,
                   CASE WHEN is_account
                        THEN ROUND(100 * SUM(GREATEST(figure, 0)) OVER best
                                   / NULLIF(SUM(GREATEST(figure, 0)) OVER everybody, 0),
                                   4)
                   END AS cumulated
              FROM (%s) AS accounts
            WINDOW everybody AS (PARTITION BY company_id, is_account),
                   best AS (PARTITION BY company_id, is_account ORDER BY figure DESC)
            """,
            self._get_ranked_sql(companies),
        )

    def _get_ranked_sql(self, companies):
        """Return a query of all rows of these companies: ``id``, ``company_id``,
        ``is_account`` and the ``figure`` that the policy ranks by."""
        metrics = {
            company.id: self.env["key.account.policy"]._get_for_company(company).metric
            for company in companies.sudo()
        }
        self.flush_model(
            ["company_id", "is_account", *{*filter(None, metrics.values()), "revenue"}]
        )
        figure = SQL(" ").join(
            SQL("WHEN %s THEN %s", company_id, SQL.identifier(metric))
            for company_id, metric in metrics.items()
            if metric
        )
        return SQL(
            """
            SELECT id, company_id, is_account,
                   (CASE company_id %s ELSE revenue END)::numeric AS figure
              FROM key_account
             WHERE company_id = ANY(%s)
            """,
            figure or SQL("WHEN NULL THEN NULL"),
            companies.ids,
        )

    @api.constrains("tier_id", "company_id")
    def _check_tier_company(self):
        for account in self:
            company = account.tier_id.company_id
            # a policy holds for branches as well
            if company and company not in account.company_id.sudo().parent_ids:
                raise ValidationError(
                    self.env._(
                        "The tier %(tier)s belongs to %(company)s: choose one of this "
                        "company's policy.",
                        tier=account.tier_id.name,
                        company=company.name,
                    )
                )

    def _log_decisions(self, vals):
        if "tier_id" in vals:
            self._log_tiers(vals["tier_id"], vals.get("tier_lock_reason"))
        return super()._log_decisions(vals)

    def _log_tiers(self, tier_id, lock_reason):
        """Keep in the history that somebody is about to give the accounts a tier."""
        changes = self.env["key.account.tier.change"]
        by_hand = self.env._("Set by hand")
        self._get_proposals(changes).write({"state": "rejected", "note": by_hand})
        changes.create(
            [
                {
                    "partner_id": account.partner_id.id,
                    "company_id": account.company_id.id,
                    "from_tier_id": account.tier_id.id,
                    "to_tier_id": tier_id,
                    "state": "applied",
                    "reason": self.env.context.get("key_account_reason")
                    or lock_reason
                    or account.tier_lock_reason
                    or by_hand,
                    "user_id": self.env.uid,
                }
                for account in self
            ]
        )

    @api.model
    def _get_histories(self):
        return super()._get_histories() | {
            "tier_id": ("key.account.tier.change", "from_tier_id", "to_tier_id"),
        }

    @api.model
    def _get_invalid(self, company):
        """Return the customers of ``company`` whose amounts can't be right, and name
        them in the log."""
        accounts = self.sudo().search(
            [("company_id", "=", company.id), ("has_invalid_amounts", "=", True)],
            order="id",
        )
        if accounts:
            _logger.warning(
                "Company %s: the amounts of %s customers are none and count as zero: "
                "%s",
                company.id,
                len(accounts),
                accounts.partner_id.ids[:LOGGED_IDS],
            )
        return accounts.partner_id
