from odoo import api, fields, models
from odoo.tools import SQL, Query, format_list

from ..account import features
from ..account.columns import search_column

# From where on an account shrinks or grows, in percent of the window before.
CHANGE = 25
# Of the purchase potential, below it there is room to grow; of the revenue, above it
# the account is one large order.
HALF = 50
# No chain of parent companies is longer.
MAX_DEPTH = 50
# Worked out in SQL whenever they are asked for, searched, sorted or grouped by: see
# _field_to_sql. Those of the first line cost a look at some accounts, those of the
# second one at all that the reader may see.
COLUMNS = {
    "complaint_count",
    "cost_share",
    "group_id",
    "growth",
    "growth_path",
    "is_candidate",
    "is_conceding",
    "is_shrinking",
    "is_silent",
    "is_single_order",
    "silence",
    "wallet_share",
}
SHARE_COLUMNS = {"group_share", "is_concentrated"}


class KeyAccount(models.Model):
    """What the account puts at risk, and where it may grow.

    Nothing here is stored: each figure is an SQL expression over the account's row, so
    that it can be filtered, sorted and grouped by, and is never out of date. The
    formulas are the fields' help.
    """

    _inherit = "key.account"

    group_id = fields.Many2one(
        "res.partner",
        string="Corporate Group",
        compute="_compute_columns",
        search=search_column("group_id"),
        help="The one that was chosen on the customer, else the topmost of its parent "
        "companies, else the customer itself.",
    )
    group_share = fields.Float(
        string="Group's Share (%)",
        digits=(16, 2),
        compute="_compute_shares",
        search=search_column("group_share"),
        aggregator=None,
        help="Revenue of the corporate group in percent of the revenue of all accounts "
        "that you may see in this company; negative revenue counts as none.",
    )
    is_concentrated = fields.Boolean(
        string="Concentration",
        compute="_compute_shares",
        search=search_column("is_concentrated"),
        help="The corporate group's share of the revenue is at least the limit in the "
        "settings, 10 % if nobody changed it.",
    )
    cost_share = fields.Float(
        string="Revenue with Cost (%)",
        digits=(16, 1),
        compute="_compute_columns",
        search=search_column("cost_share"),
        aggregator=None,
        help="(Revenue - revenue without cost) / revenue: how much of it the margin "
        "rate is about. Empty without revenue.",
    )
    growth = fields.Float(
        string="Growth (%)",
        digits=(16, 1),
        compute="_compute_columns",
        search=search_column("growth"),
        aggregator=None,
        help="(Revenue - revenue of the window before) / revenue of the window before; "
        "empty where there was none.",
    )
    is_shrinking = fields.Boolean(
        string="Shrinking",
        compute="_compute_columns",
        search=search_column("is_shrinking"),
        help="Growth of -25 % or less. Lost accounts don't count.",
    )
    silence = fields.Float(
        string="Silence (Intervals)",
        digits=(16, 1),
        compute="_compute_columns",
        search=search_column("silence"),
        aggregator=None,
        help="Days since the last order / the account's own usual interval, the median "
        "of the days between its orders; empty below four orders.",
    )
    is_silent = fields.Boolean(
        string="Silent",
        compute="_compute_columns",
        search=search_column("is_silent"),
        help="The last order is more of its own usual intervals ago than the settings "
        "say, 2 if nobody changed it. From four orders on. Lost accounts don't count.",
    )
    is_conceding = fields.Boolean(
        string="Costly Concessions",
        compute="_compute_columns",
        search=search_column("is_conceding"),
        help="The discount is at least the limit of the settings, 10 % if nobody "
        "changed it, and the margin rate is below the other one, 20 %. With revenue in "
        "the window. Lost accounts don't count.",
    )
    is_single_order = fields.Boolean(
        string="One Large Order",
        compute="_compute_columns",
        search=search_column("is_single_order"),
        help="More than half of the window's revenue is a single order, and the tier "
        "isn't the last one: a large order makes no key account. Lost accounts don't "
        "count.",
    )
    wallet_share = fields.Float(
        string="Share of Wallet (%)",
        digits=(16, 1),
        compute="_compute_columns",
        search=search_column("wallet_share"),
        aggregator=None,
        help="Revenue of a year (revenue x 12 / months of the policy's window) in "
        "percent of the purchase potential; empty where nobody entered it.",
    )
    growth_path = fields.Selection(
        [("deepen", "Deepen"), ("develop", "Develop")],
        string="Way to Grow",
        compute="_compute_columns",
        search=search_column("growth_path"),
        help="Deepen: buys from us already, and less than half of its purchase "
        "potential, or is in the best tier and grows by 25 % or more.\n"
        "Develop: an ordinary account, neither of the best tier nor of the last, that "
        "grows by 25 % or more; or a prospect, without revenue in this window and the "
        "one before, with an open lead.\n"
        "Lost accounts don't count.",
    )
    is_candidate = fields.Boolean(
        string="Promotion Candidate",
        compute="_compute_columns",
        search=search_column("is_candidate"),
        help="An ordinary account, neither of the best tier nor of the last, that "
        "grows by 25 % or more; and, where its purchase potential is known, buys less "
        "than half of it from us. Lost accounts don't count.",
    )
    complaint_count = fields.Integer(
        string="Open Complaints",
        compute="_compute_columns",
        search=search_column("complaint_count"),
        help="Complaints that were noted at done visits and aren't resolved.",
    )
    risk_text = fields.Char(
        string="Risks",
        compute="_compute_risk_text",
        help="What speaks against relying on this account.",
    )

    # -------------------------------------------------------------------------
    # Computes
    # -------------------------------------------------------------------------

    @api.depends(
        "chosen_group_id",
        "chosen_group_id.parent_id",
        "discount_rate",
        "expected_revenue",
        "is_account",
        "is_lost",
        "largest_order",
        "last_order_date",
        "margin_rate",
        "order_interval",
        # of complaints
        "partner_id.key_account_visit_ids.complaint",
        "partner_id.key_account_visit_ids.date_resolved",
        "partner_id.key_account_visit_ids.state",
        "partner_id.parent_id",
        "previous_revenue",
        "revenue",
        "tier_id",
        "uncosted_revenue",
        "wallet",
    )
    @api.depends_context("tz", "allowed_company_ids")
    def _compute_columns(self):
        self._read_columns(COLUMNS)

    @api.depends(
        "chosen_group_id",
        "chosen_group_id.parent_id",
        "partner_id.parent_id",
        "revenue",
    )
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_shares(self):
        self._read_columns(SHARE_COLUMNS)

    def _read_columns(self, names):
        """Work out the columns ``names`` of all these accounts by one query."""
        names = sorted(names)
        query = Query(self.env, self._table)
        query.add_where(
            SQL("%s = ANY(%s)", SQL.identifier(self._table, "id"), self._origin.ids)
        )
        rows = self.env.execute_query(
            query.select(
                SQL.identifier(self._table, "id"),
                *(self._field_to_sql(self._table, name, query) for name in names),
            )
        )
        values = {id_: row for id_, *row in rows}
        nothing = [False] * len(names)
        for account in self:
            row = values.get(account._origin.id, nothing)
            for name, value in zip(names, row, strict=True):
                account[name] = value or False

    @api.depends("is_single_threaded", *COLUMNS, *SHARE_COLUMNS)
    @api.depends_context("lang", "tz", "uid", "allowed_company_ids")
    def _compute_risk_text(self):
        flags = self._get_risk_flags()
        labels = {
            name: self._fields[name]._description_string(self.env) for name in flags
        }
        upper = self._get_tier_ids("upper")
        has_roles = features.is_used(self.env, features.BUYING_CENTER)
        for account in self:
            risks = [labels[name] for name in flags if account[name]]
            if has_roles and account.is_single_threaded and account.tier_id.id in upper:
                label = self._fields["is_single_threaded"]._description_string(self.env)
                risks.append(label)
            if account.complaint_count:
                number = account.complaint_count
                complaints = self.env._("1 open complaint")
                if number > 1:
                    complaints = self.env._("%s open complaints", number)
                risks.append(complaints)
            account.risk_text = format_list(self.env, risks)

    @api.model
    def _get_risk_flags(self):
        """Return the names of the columns that say whether something is a risk."""
        return [
            "is_concentrated",
            "is_silent",
            "is_shrinking",
            "is_conceding",
            "is_single_order",
        ]

    # -------------------------------------------------------------------------
    # Columns
    # -------------------------------------------------------------------------

    def _field_to_sql(self, alias, field_expr, query=None):
        if field_expr not in COLUMNS | SHARE_COLUMNS:
            return super()._field_to_sql(alias, field_expr, query)
        self._check_field_access(self._fields[field_expr], "read")
        if query is None:
            # without a place for joins, a query of its own
            query = Query(self.env, "same_account", SQL.identifier(self._table))
            query.add_where(
                SQL(
                    "%s = %s",
                    SQL.identifier("same_account", "id"),
                    SQL.identifier(alias, "id"),
                )
            )
            return query.subselect(
                self._field_to_sql("same_account", field_expr, query)
            )
        return getattr(self, f"_get_{field_expr}_sql")(alias, query)

    def _get_columns_sql(self, alias, query, *names):
        return {name: self._field_to_sql(alias, name, query) for name in names}

    def _get_live_sql(self, alias, query):
        """Return the condition that it is an account, and not lost."""
        return SQL(
            "(%(is_account)s AND %(is_lost)s IS NOT TRUE)",
            **self._get_columns_sql(alias, query, "is_account", "is_lost"),
        )

    def _get_limit_sql(self, alias, query, name):
        """Return what the company's settings say in ``name``."""
        company = query.left_join(
            alias, "company_id", "res_company", "id", "company_id"
        )
        return SQL.identifier(
            company, name, to_flush=self.env["res.company"]._fields[name]
        )

    @api.model
    def _get_tiers_sql(self, kind):
        """Return a query for the tiers that are ``best`` (the first of their policy),
        ``ordinary`` (those between the first and the last, the second of two), or
        ``upper`` (all but the last)."""
        self.env["key.account.tier"].flush_model(["active", "policy_id", "sequence"])
        condition = {
            "best": SQL("place = 1"),
            "ordinary": SQL("place > 1 AND (place < number OR number = 2)"),
            "upper": SQL("place < number"),
        }[kind]
        return SQL(
            """
            SELECT id
              FROM (SELECT id,
                           ROW_NUMBER() OVER (
                               PARTITION BY policy_id ORDER BY sequence, id) AS place,
                           COUNT(*) OVER (PARTITION BY policy_id) AS number
                      FROM key_account_tier
                     WHERE active
                   ) AS places
             WHERE %s
            """,
            condition,
        )

    @api.model
    def _get_tier_ids(self, kind):
        return {row[0] for row in self.env.execute_query(self._get_tiers_sql(kind))}

    def _get_group_id_sql(self, alias, query):
        partners = self.env["res.partner"]
        partners.flush_model(["commercial_partner_id", "parent_id"])
        tops = query.make_alias(alias, "topmost_parent")
        query.add_join(
            "LEFT JOIN",
            tops,
            SQL(
                """(
                WITH RECURSIVE chain AS (
                    SELECT id AS partner_id, parent_id AS top_id, 1 AS depth
                      FROM res_partner
                     WHERE parent_id IS NOT NULL AND commercial_partner_id = id
                     UNION ALL
                    SELECT chain.partner_id, parent.parent_id, depth + 1
                      FROM chain
                      JOIN res_partner parent ON parent.id = chain.top_id
                     WHERE parent.parent_id IS NOT NULL AND depth < %s
                )
                SELECT DISTINCT ON (partner_id) partner_id, top_id
                  FROM chain
                 ORDER BY partner_id, depth DESC
                )""",
                MAX_DEPTH,
            ),
            # a company that was chosen may have got a parent; itself stays itself
            SQL(
                "%s = COALESCE(%s, %s) AND %s IS DISTINCT FROM %s",
                SQL.identifier(tops, "partner_id"),
                SQL.identifier(alias, "chosen_group_id"),
                SQL.identifier(alias, "partner_id"),
                SQL.identifier(alias, "chosen_group_id"),
                SQL.identifier(alias, "partner_id"),
            ),
        )
        return SQL(
            "COALESCE(%(top)s, %(chosen_group_id)s, %(partner_id)s)",
            top=SQL.identifier(tops, "top_id"),
            **self._get_columns_sql(alias, query, "chosen_group_id", "partner_id"),
        )

    def _get_group_share_sql(self, alias, query):
        # Of whom the reader may see. A row for each account: of the groups alone
        # PostgreSQL expects too few, and loops over them.
        accounts = self._search([])
        group = self._field_to_sql(accounts.table, "group_id", accounts)
        revenue = self._field_to_sql(accounts.table, "revenue", accounts)
        shares = query.make_alias(alias, "group_share")
        query.add_join(
            "LEFT JOIN",
            shares,
            SQL(
                """(
                SELECT id,
                       100 * SUM(revenue) OVER (PARTITION BY company_id, group_id)
                           / NULLIF(SUM(revenue) OVER (PARTITION BY company_id), 0)
                           AS share
                  FROM %s AS accounts
                )""",
                accounts.subselect(
                    SQL.identifier(accounts.table, "id"),
                    SQL.identifier(accounts.table, "company_id"),
                    SQL("%s AS group_id", group),
                    SQL("GREATEST(%s, 0) AS revenue", revenue),
                ),
            ),
            SQL("%s = %s", SQL.identifier(shares, "id"), SQL.identifier(alias, "id")),
        )
        return SQL("COALESCE(%s, 0)", SQL.identifier(shares, "share"))

    def _get_is_concentrated_sql(self, alias, query):
        return SQL(
            "(%s AND %s >= %s)",
            self._get_live_sql(alias, query),
            self._field_to_sql(alias, "group_share", query),
            self._get_limit_sql(alias, query, "key_account_concentration_limit"),
        )

    def _get_cost_share_sql(self, alias, query):
        # a deposit that was settled since is revenue below zero
        return SQL(
            """
            CASE WHEN %(revenue)s > 0
                 THEN LEAST(GREATEST(100 - 100 * COALESCE(%(uncosted_revenue)s, 0)
                                     / %(revenue)s, 0), 100)
            END
            """,
            **self._get_columns_sql(alias, query, "revenue", "uncosted_revenue"),
        )

    def _get_growth_sql(self, alias, query):
        return SQL(
            """
            CASE WHEN %(previous_revenue)s > 0
                 THEN 100 * (%(revenue)s - %(previous_revenue)s) / %(previous_revenue)s
            END
            """,
            **self._get_columns_sql(alias, query, "revenue", "previous_revenue"),
        )

    def _get_is_shrinking_sql(self, alias, query):
        return SQL(
            "COALESCE(%s AND %s <= %s, FALSE)",
            self._get_live_sql(alias, query),
            self._field_to_sql(alias, "growth", query),
            -CHANGE,
        )

    def _get_silence_sql(self, alias, query):
        return SQL(
            """
            CASE WHEN %(order_interval)s > 0
                 THEN (%(today)s - %(last_order_date)s) / %(order_interval)s
            END
            """,
            today=fields.Date.context_today(self),
            **self._get_columns_sql(alias, query, "last_order_date", "order_interval"),
        )

    def _get_is_silent_sql(self, alias, query):
        return SQL(
            "COALESCE(%s AND %s > %s, FALSE)",
            self._get_live_sql(alias, query),
            self._field_to_sql(alias, "silence", query),
            self._get_limit_sql(alias, query, "key_account_silence_factor"),
        )

    def _get_is_conceding_sql(self, alias, query):
        return SQL(
            """
            COALESCE(%(live)s
                     AND %(revenue)s > 0
                     AND %(discount_rate)s >= %(discount)s
                     AND %(margin_rate)s < %(margin)s, FALSE)
            """,
            live=self._get_live_sql(alias, query),
            discount=self._get_limit_sql(alias, query, "key_account_discount_limit"),
            margin=self._get_limit_sql(alias, query, "key_account_margin_limit"),
            **self._get_columns_sql(
                alias, query, "discount_rate", "margin_rate", "revenue"
            ),
        )

    def _get_is_single_order_sql(self, alias, query):
        return SQL(
            """
            COALESCE(%(live)s
                     AND %(revenue)s > 0
                     AND 100 * %(largest_order)s > %(half)s * %(revenue)s
                     AND %(tier_id)s IN (%(upper)s), FALSE)
            """,
            live=self._get_live_sql(alias, query),
            half=HALF,
            upper=self._get_tiers_sql("upper"),
            **self._get_columns_sql(
                alias, query, "largest_order", "revenue", "tier_id"
            ),
        )

    def _get_wallet_share_sql(self, alias, query):
        # sudo: what a window is, everybody may know
        policies = self.env["key.account.policy"].sudo()._get_by_company()
        months = SQL(" ").join(
            SQL("WHEN %s THEN %s", company.id, policy.window_months)
            for company in self.env.companies.sudo()
            if (policy := company._get_key_account_policy(policies))
        )
        if not months.code:
            return SQL("NULL::numeric")  # without a policy nothing is measured
        return SQL(
            """
            CASE WHEN %(wallet)s > 0
                 THEN 100 * COALESCE(%(revenue)s, 0) * 12
                      / (CASE %(company_id)s %(months)s END)
                      / %(wallet)s
            END
            """,
            months=months,
            **self._get_columns_sql(alias, query, "wallet", "revenue", "company_id"),
        )

    def _get_growth_path_sql(self, alias, query):
        return SQL(
            """
            CASE WHEN NOT %(live)s THEN NULL
                 WHEN %(revenue)s > 0
                  AND (%(wallet_share)s < %(room)s
                       OR %(tier_id)s IN (%(best)s) AND %(growth)s >= %(change)s)
                 THEN 'deepen'
                 WHEN %(tier_id)s IN (%(ordinary)s) AND %(growth)s >= %(change)s
                   OR %(expected_revenue)s > 0
                  AND COALESCE(%(revenue)s, 0) <= 0
                  AND COALESCE(%(previous_revenue)s, 0) <= 0
                 THEN 'develop'
            END
            """,
            live=self._get_live_sql(alias, query),
            best=self._get_tiers_sql("best"),
            ordinary=self._get_tiers_sql("ordinary"),
            change=CHANGE,
            room=HALF,
            **self._get_columns_sql(
                alias,
                query,
                "expected_revenue",
                "growth",
                "previous_revenue",
                "revenue",
                "tier_id",
                "wallet_share",
            ),
        )

    def _get_is_candidate_sql(self, alias, query):
        return SQL(
            """
            COALESCE(%(live)s
                     AND %(tier_id)s IN (%(ordinary)s)
                     AND %(growth)s >= %(change)s
                     AND COALESCE(%(wallet_share)s < %(room)s, TRUE), FALSE)
            """,
            live=self._get_live_sql(alias, query),
            ordinary=self._get_tiers_sql("ordinary"),
            change=CHANGE,
            room=HALF,
            **self._get_columns_sql(alias, query, "growth", "tier_id", "wallet_share"),
        )

    def _get_complaint_count_sql(self, alias, query):
        self.env["key.account.visit"].flush_model(
            ["company_id", "complaint", "date_resolved", "partner_id", "state"]
        )
        open_ones = query.make_alias(alias, "open_complaints")
        query.add_join(
            "LEFT JOIN",
            open_ones,
            SQL(
                """(
                SELECT partner_id, company_id, COUNT(*)::int AS number
                  FROM key_account_visit
                 WHERE complaint IS NOT NULL
                   AND date_resolved IS NULL
                   AND state = 'done'
                 GROUP BY partner_id, company_id
                )"""
            ),
            SQL(
                "%s = %s AND %s = %s",
                SQL.identifier(open_ones, "partner_id"),
                SQL.identifier(alias, "partner_id"),
                SQL.identifier(open_ones, "company_id"),
                SQL.identifier(alias, "company_id"),
            ),
        )
        return SQL("COALESCE(%s, 0)", SQL.identifier(open_ones, "number"))
