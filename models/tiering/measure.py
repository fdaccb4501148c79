"""The figures of a company's accounts: measured by one statement, written where they
differ by another."""

from dateutil.relativedelta import relativedelta

from odoo.tools import SQL

from ...const import ANALYZED_ROWS, NO_AMOUNT
from ..account import clock, features
from ..account.books import (
    find_invoices,
    find_kept,
    get_found_sql,
    get_invoices_sql,
    get_orders_sql,
    get_reversals_sql,
)
from ..account.differing import get_columns_sql
from ..account.outsiders import get_outsiders_sql
from ..account.trial import is_trial
from .trade import COLUMNS as TRADE_COLUMNS
from .trade import get_kept_sql, get_trade_sql

# What is measured of an account.
COLUMNS = [
    "user_id",
    "is_account",
    "revenue",
    "margin",
    "margin_rate",
    "uncosted_revenue",
    "previous_revenue",
    "expected_revenue",
    "has_invalid_amounts",
    "share",
    "score",
    "score_points",
    "rank",
    "suggested_tier_id",
]
# What others' figures move too.
RELATIVE_COLUMNS = {"share", "score", "score_points", "rank"}


def get_leads_sql(env, company):
    """Return a query for expected revenue (company currency) per commercial partner
    with a lead. Open leads count; won and lost ones only make an account.
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
        env["crm.lead"]._get_key_account_company_sql(),
        company.id,
    )


def get_lines_sql(env, company, firm_ids=None):
    """Return a query for what was sold, on whatever day, by the lines that a run in
    ``company`` counts; see :meth:`Measurement.get_lines_sql`.

    :param firm_ids: limits the accounts; None: all
    """
    # As the run asks: the report converts to the first company that is allowed.
    branches = company._get_key_account_branches()
    # sudo: the rules of the run, whoever asks what came of them
    policies = env["key.account.policy"].sudo().with_company(company)
    policies = policies.with_context(allowed_company_ids=branches.ids)
    policy = policies._get_for_company(company.with_env(policies.env))
    firm_ids = None if firm_ids is None else list(firm_ids)
    today = clock.get_today(company)
    return Measurement(policy, company.sudo(), today, firm_ids).get_lines_sql()


def get_total_sql(company, name):
    """Return the sum of an amount of :func:`get_lines_sql`, numeric, rounded as the
    company's currency is. What is no amount of money counts as none, as in the run."""
    return SQL(
        "CASE WHEN abs(SUM(%(name)s)) < %(most)s"
        " THEN ROUND(SUM(%(name)s)::numeric, %(digits)s) ELSE 0 END",
        name=SQL.identifier(name),
        most=NO_AMOUNT,
        # sudo: how many decimals money has is no secret
        digits=company.sudo().currency_id.decimal_places,
    )


def get_placed(env, company):
    """Return the accounts of ``company`` that this transaction's last run gave their
    first tier."""
    rows = env.execute_query(
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
    return env["key.account"].browse(row[0] for row in rows)


def count_elsewhere(company, tiers, others):
    """Return how many accounts of ``company`` this transaction's last measurement puts
    into a better tier than the last run did, into a worse one, and how many there are.
    Tiers are compared by their place.

    :param tiers: of the policy that was measured by, the best first
    :param others: of the policy that was run
    """
    places = SQL(", ").join(
        SQL("(%s, %s)", tier.id, place)
        for each in (tiers, others)
        for place, tier in enumerate(each)
    )
    (counts,) = tiers.env.execute_query(
        SQL(
            """
            WITH places (tier_id, place) AS (VALUES %s)
            SELECT COUNT(*) FILTER (WHERE here.place < there.place),
                   COUNT(*) FILTER (WHERE here.place > there.place),
                   COUNT(*)
              FROM key_account_measure measure
              JOIN key_account account
                ON account.partner_id = measure.partner_id
               AND account.company_id = %s
              JOIN places here ON here.tier_id = measure.suggested_tier_id
              JOIN places there ON there.tier_id = account.suggested_tier_id
             WHERE measure.is_account
            """,
            places,
            company.id,
        )
    )
    return counts


class Measurement:
    """What a policy measures of the accounts of a company.

    :ivar policy: the policy in force, in the environment of the run
    :ivar company: the company of the run
    :ivar date today: last day of the window
    :ivar touched: ids of the commercial partners to measure; the figures of the others
        are what they were. None: all
    :ivar trade: what was measured of their trade before, see :class:`.trade.Trade`
    """

    # Places up to this one are exact every night, those behind after a run of all.
    exact_ranks = 1000

    def __init__(self, policy, company, today, touched=None, trade=None):
        self.policy = policy
        self.env = policy.env
        self.company = company
        self.today = today
        self.touched = touched
        self.trade = trade
        # whose books are measured
        self.books = company._get_key_account_branches().ids
        # nobody hears of what is only tried
        self.is_watched = not is_trial(self.env) and (
            self.env["key.account"]._is_watched()
        )

    def run(self):
        """Write the company's accounts: figures, rank, share, score and suggested tier.
        Those that are new get their first tier with it."""
        self.measure()
        self._write()
        if self.is_watched and self.policy.auto_apply:
            self._place_watched()
        self._take_tiers()

    def measure(self):
        """Put what is measured into the temporary table ``key_account_measure``, after
        the trade (:mod:`.trade`)."""
        figures, differs = self._get_figures_sql(), SQL("TRUE")
        # Compiling the query takes longer than running it.
        settings = ["SET LOCAL jit = off"]
        if self.touched is None:
            # For a fraction of the rows that there are, which PostgreSQL expects, it
            # looked every customer up by itself.
            settings.append("SET LOCAL enable_nestloop = off")
        else:
            figures, differs = self._add_untouched(figures)
        measure = self._get_measure_sql(figures, differs)
        # Apart from writing: PostgreSQL reads in parallel only for this kind.
        settings.append("DROP TABLE IF EXISTS key_account_measure")
        self.env.cr.execute("; ".join(settings))
        self.env.cr.execute(measure)
        self.env.cr.execute("SET LOCAL enable_nestloop TO DEFAULT")

    # -------------------------------------------------------------------------
    # Sources
    # -------------------------------------------------------------------------

    def _get_figures_sql(self):
        """Return a query for the figures per commercial partner, in the currency of
        the company and rounded as it is.

        One of the rows of a customer has the figure, the others have NULL: the largest
        one is it, and takes less to find than a sum.
        """
        among = SQL("TRUE")
        if self.touched is not None:
            among = SQL("partner_id = ANY(%s)", self.touched)
        return SQL(
            """
            SELECT partner_id,
                   BOOL_OR(is_account) AS is_account,
                   ROUND(COALESCE(MAX(revenue), 0)::numeric, %(digits)s)
                       AS revenue,
                   ROUND(COALESCE(MAX(margin), 0)::numeric, %(digits)s)
                       AS margin,
                   ROUND(COALESCE(MAX(uncosted_revenue), 0)::numeric, %(digits)s)
                       AS uncosted_revenue,
                   ROUND(COALESCE(MAX(previous_revenue), 0)::numeric, %(digits)s)
                       AS previous_revenue,
                   ROUND(COALESCE(MAX(expected_revenue), 0)::numeric, %(digits)s)
                       AS expected_revenue,
                   CASE WHEN BOOL_OR(is_invalid) THEN TRUE END
                       AS has_invalid_amounts
              FROM (
                    SELECT partner_id,
                           %(revenue)s AS revenue,
                           %(margin)s AS margin,
                           %(uncosted_revenue)s AS uncosted_revenue,
                           %(previous_revenue)s AS previous_revenue,
                           NULL AS expected_revenue,
                           TRUE AS is_account,
                           GREATEST(abs(revenue), abs(margin), abs(previous_revenue))
                               >= %(most)s AS is_invalid
                      FROM (%(sales)s) AS sales
                     UNION ALL
                    SELECT partner_id, NULL AS revenue, NULL AS margin,
                           NULL AS uncosted_revenue, NULL AS previous_revenue,
                           %(expected_revenue)s AS expected_revenue,
                           TRUE AS is_account,
                           abs(expected_revenue) >= %(most)s AS is_invalid
                      FROM (%(leads)s) AS leads
                     WHERE %(among)s
                     UNION ALL
                    -- those that may be none any more
                    SELECT partner_id, NULL AS revenue, NULL AS margin,
                           NULL AS uncosted_revenue, NULL AS previous_revenue,
                           NULL AS expected_revenue,
                           FALSE AS is_account, FALSE AS is_invalid
                      FROM key_account
                     WHERE company_id = %(company)s AND is_account AND %(among)s
                   ) AS sources
             WHERE NOT is_account OR partner_id NOT IN (%(outsiders)s)
             GROUP BY partner_id
            """,
            outsiders=get_outsiders_sql(self.env, self.company),
            digits=self.company.currency_id.decimal_places,
            sales=self._get_sales_sql(),
            leads=get_leads_sql(self.env, self.company),
            among=among,
            company=self.company.id,
            most=NO_AMOUNT,
            **{
                name: _get_bounded_sql(name)
                for name in (
                    "revenue",
                    "margin",
                    "uncosted_revenue",
                    "previous_revenue",
                    "expected_revenue",
                )
            },
        )

    def _get_sales_sql(self):
        """Return a query for revenue, margin, revenue of which no cost is known, and
        previous revenue per commercial partner: untaxed, in the currency of the
        company.

        Every customer that was ever invoiced (or has a confirmed order) has a row;
        only figures of the window count. Who has both has another one without figures.
        """
        window = relativedelta(months=self.policy.window_months)
        start = self.today - window
        ordered = self.policy.revenue_basis == "ordered"
        current = SQL("day > %s AND day <= %s", start, self.today)
        found = self._find_invoices()
        invoices, orders = get_invoices_sql(found), get_orders_sql(self.touched)
        among = SQL("TRUE")
        if self.touched is not None:
            among = SQL("firm_id = ANY(%s)", self.touched)
        return SQL(
            """
            SELECT firm_id AS partner_id,
                   SUM(revenue) FILTER (WHERE %(current)s) AS revenue,
                   SUM(margin) FILTER (WHERE %(current)s) AS margin,
                   %(uncosted)s AS uncosted_revenue,
                   SUM(revenue) FILTER (WHERE %(previous)s) AS previous_revenue
              FROM (%(sales)s) AS sales
             GROUP BY 1
             UNION ALL
            -- Whoever has only orders, or only invoices, is an account as well.
            SELECT DISTINCT firm_id, NULL::numeric AS revenue, NULL::numeric AS margin,
                   NULL::numeric AS uncosted_revenue, NULL::numeric AS previous_revenue
              FROM (%(others)s) AS others
             WHERE company_id = ANY(%(books)s) AND state = %(state)s AND %(among)s
            """,
            among=among,
            books=self.books,
            current=current,
            uncosted=self._get_uncosted_sql(current),
            previous=SQL("day > %s AND day <= %s", start - window, start),
            sales=self._get_ordered_sql(orders)
            if ordered
            else self._get_invoiced_sql(found),
            others=invoices if ordered else orders,
            state="posted" if ordered else "sale",
        )

    def _get_uncosted_sql(self, current):
        """Return the revenue of which no cost is known, of lines that are ``current``.
        A discount on all that was sold, a line of its own, takes its part of it."""
        return SQL(
            """
            CASE WHEN SUM(revenue) FILTER (WHERE %(current)s) > 0
                  AND SUM(revenue - discount) FILTER (WHERE %(current)s) > 0
                 THEN SUM(uncosted_revenue) FILTER (WHERE %(current)s)
                      * (SUM(revenue) FILTER (WHERE %(current)s)
                         / SUM(revenue - discount) FILTER (WHERE %(current)s))
                 ELSE SUM(uncosted_revenue) FILTER (WHERE %(current)s) END
            """,
            current=current,
        )

    def _find_invoices(self):
        """Return the invoices of the accounts to measure, see
        :func:`..account.books.find_invoices`; None: all."""
        if self.touched is None:
            return None
        if not self.trade:
            return find_invoices(self.env, self.books, self.touched)
        # The trade is that of some more.
        return find_kept(self.env, self.touched)

    def _get_invoiced_sql(self, found):
        """Return a query for ``firm_id``, ``day``, ``revenue`` and ``margin`` of lines,
        and ``uncosted_revenue``, that of lines of which no cost is known; of those with
        a price below zero it is ``discount``.

        The report's own margin is at today's cost of the product. A line that comes
        from an order has the cost that was noted there. A cost of zero is one that
        nobody entered: Odoo doesn't tell them apart.

        :param found: as :meth:`_find_invoices` returns it
        """
        report = self.env["account.invoice.report"]
        # With the contact's firm as the invoice has it: else all invoices had to be
        # joined once more.
        query = SQL(
            "%s, move.commercial_partner_id AS firm_id,"
            " line.price_unit < 0 AS is_discount %s %s",
            report._select(),
            report._from(),
            report._where(),
        )
        firms = SQL(
            """
            LEFT JOIN (%s) AS reversal ON reversal.id = report.move_id
            JOIN res_partner firm
              ON firm.id = COALESCE(reversal.partner_id, report.firm_id)
            """,
            get_reversals_sql(),
        )
        firm_id = SQL("firm.commercial_partner_id")
        among_moves = among_items = SQL("TRUE")
        if found is not None:
            firms = SQL(
                "JOIN (%s) AS found ON found.id = report.move_id", get_found_sql(found)
            )
            firm_id = SQL("found.firm_id")
            # As numbers: PostgreSQL would look at all lines to find those of a query.
            among_moves = SQL("move_id = ANY(%s)", found[0])
            among_items = SQL(
                """
                rel.invoice_line_id IN (
                    SELECT id FROM account_move_line WHERE %s)
                """,
                among_moves,
            )
        return SQL(
            """
            SELECT %(firm_id)s AS firm_id, report.invoice_date AS day,
                   report.price_subtotal AS revenue,
                   CASE WHEN sold.item_id IS NULL THEN report.price_margin
                        ELSE report.price_subtotal
                             - report.quantity * COALESCE(unit.factor, 1) * sold.cost
                   END AS margin,
                   CASE WHEN %(uncosted)s AND report.is_discount IS NOT TRUE
                        THEN report.price_subtotal ELSE 0 END AS uncosted_revenue,
                   CASE WHEN %(uncosted)s AND report.is_discount
                        THEN report.price_subtotal ELSE 0 END AS discount
              FROM (%(report)s) AS report
              %(firms)s
              LEFT JOIN uom_uom unit ON unit.id = report.product_uom_id
              LEFT JOIN (
                    -- of one unit of reference, in the currency of the company
                    SELECT rel.invoice_line_id AS item_id,
                           AVG(CASE WHEN line.is_downpayment THEN 0
                                    ELSE COALESCE(line.purchase_price, 0)
                                         / COALESCE(NULLIF(sale.currency_rate, 0), 1)
                                         / COALESCE(NULLIF(unit.factor, 0), 1)
                               END) AS cost
                      FROM sale_order_line_invoice_rel rel
                      JOIN sale_order_line line ON line.id = rel.order_line_id
                      JOIN sale_order sale ON sale.id = line.order_id
                      LEFT JOIN uom_uom unit ON unit.id = line.product_uom_id
                     WHERE %(among_items)s
                     GROUP BY rel.invoice_line_id
                   ) AS sold ON sold.item_id = report.id
             WHERE report.company_id = ANY(%(books)s)
               AND report.state = 'posted'
               AND report.move_type IN ('out_invoice', 'out_refund', 'out_receipt')
               AND %(among_moves)s
            """,
            uncosted=SQL("COALESCE(sold.cost, report.inventory_value, 0) = 0"),
            report=query,
            firms=firms,
            firm_id=firm_id,
            among_moves=among_moves,
            among_items=among_items,
            books=self.books,
        )

    def _get_ordered_sql(self, orders):
        """Return the same of orders, with the margin that was noted there."""
        # Of all, PostgreSQL adds the lines up at once, else order by order; where
        # nobody asks for it, it does neither.
        uncosted = SQL(
            """
            (SELECT order_id,
                    SUM(price_subtotal) FILTER (WHERE price_unit >= 0) AS revenue,
                    SUM(price_subtotal) FILTER (WHERE price_unit < 0) AS discount
               FROM sale_order_line
              WHERE COALESCE(purchase_price, 0) = 0 AND %s
              GROUP BY order_id)
            """,
            SQL("TRUE") if self.touched is None else SQL("order_id = sale.id"),
        )
        return SQL(
            """
            SELECT firm_id,
                   (date_order AT TIME ZONE 'UTC' AT TIME ZONE %(zone)s)::date AS day,
                   amount_untaxed / COALESCE(NULLIF(currency_rate, 0), 1) AS revenue,
                   margin / COALESCE(NULLIF(currency_rate, 0), 1) AS margin,
                   COALESCE(uncosted.revenue, 0)
                       / COALESCE(NULLIF(currency_rate, 0), 1) AS uncosted_revenue,
                   COALESCE(uncosted.discount, 0)
                       / COALESCE(NULLIF(currency_rate, 0), 1) AS discount
              FROM (%(orders)s) AS sale
              LEFT JOIN %(lateral)s %(uncosted)s AS uncosted
                ON uncosted.order_id = sale.id
             WHERE company_id = ANY(%(books)s)
               AND state = 'sale'
            """,
            zone=clock.get_sql_timezone(self.company),
            orders=orders,
            lateral=SQL() if self.touched is None else SQL("LATERAL"),
            uncosted=uncosted,
            books=self.books,
        )

    def get_lines_sql(self):
        """Return a query for what was sold, as the run counts it, on whatever day: the
        account's ``firm_id``, ``day``, ``revenue``, ``margin``, ``uncosted_revenue``
        and ``discount``, untaxed, in the currency of the company."""
        if self.policy.revenue_basis == "ordered":
            return self._get_ordered_sql(get_orders_sql(self.touched))
        return self._get_invoiced_sql(self._find_invoices())

    # -------------------------------------------------------------------------
    # Measuring
    # -------------------------------------------------------------------------

    def _add_untouched(self, figures):
        """Return the query with those that aren't measured, to rank all of them, and
        the condition on those that can differ from what is written."""
        all_figures = SQL(
            """
            SELECT *, TRUE AS is_measured, NULL::int AS old_rank,
                   NULL::int AS old_suggested_tier_id, NULL::int AS old_tier_id
              FROM (%s) AS measured
             UNION ALL
            SELECT partner_id, is_account, revenue, margin, uncosted_revenue,
                   previous_revenue, expected_revenue, has_invalid_amounts,
                   FALSE AS is_measured, rank AS old_rank,
                   suggested_tier_id AS old_suggested_tier_id, tier_id AS old_tier_id
              FROM key_account
             WHERE company_id = %s
               AND is_account
               AND NOT partner_id = ANY(%s)
            """,
            figures,
            self.company.id,
            self.touched,
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
            self.exact_ranks,
        )
        return all_figures, differs

    def _get_measure_sql(self, figures, differs):
        """Return the statement that puts what is measured into a temporary table.

        :param SQL figures: query for the figures to rank
        :param SQL differs: condition on those to look at further
        """
        method = self.policy._get_method()
        return SQL(
            """
            CREATE TEMP TABLE key_account_measure ON COMMIT DROP AS
            WITH figures AS (%(figures)s
            ), ranked AS (
                SELECT figures.*,
                       %(figure)s AS figure,
                       RANK() OVER best AS rank,
                       RANK() OVER best - 1 AS count_before,
                       COUNT(*) OVER everybody AS count_total,
                       -- of those strictly better
                       COALESCE(SUM(GREATEST(%(figure)s, 0)) OVER (
                           best GROUPS BETWEEN UNBOUNDED PRECEDING
                                           AND 1 PRECEDING), 0) AS figure_before,
                       SUM(GREATEST(%(figure)s, 0)) OVER everybody AS figure_total,
                       SUM(GREATEST(%(metric)s, 0)) OVER everybody AS metric_total
                  FROM figures
                WINDOW everybody AS (PARTITION BY is_account),
                       best AS (PARTITION BY is_account ORDER BY %(figure)s DESC)
            ), tiered AS (
                SELECT *, %(suggested)s AS suggested_tier_id FROM ranked
            )
            SELECT tiered.partner_id, partner.user_id, is_account, revenue, margin,
                   -- unknown where nobody entered a cost
                   ROUND(100 * (margin - uncosted_revenue)
                         / NULLIF(revenue - uncosted_revenue, 0), 2) AS margin_rate,
                   uncosted_revenue, previous_revenue, expected_revenue,
                   has_invalid_amounts,
                   COALESCE(ROUND(
                       100 * GREATEST(%(metric)s, 0) / NULLIF(metric_total, 0), 4), 0)
                       AS share,
                   CASE WHEN is_account THEN score END AS score,
                   CASE WHEN is_account THEN score_points END AS score_points,
                   CASE WHEN is_account THEN rank::int END AS rank,
                   -- what can't be right moves nobody
                   CASE WHEN is_account AND has_invalid_amounts IS NULL
                        THEN suggested_tier_id END AS suggested_tier_id,
                   old.tier_id, old.earlier_figure  -- before the run
              FROM (SELECT * FROM tiered WHERE %(differs)s) AS tiered
              JOIN res_partner partner ON partner.id = tiered.partner_id
              LEFT JOIN (
                    SELECT partner_id, tier_id, %(figure)s AS earlier_figure
                      FROM key_account
                     WHERE company_id = %(company)s
                   ) AS old ON old.partner_id = tiered.partner_id
            """,
            figures=method.get_scores_sql(
                figures,
                get_trade_sql(self.company, self.trade and self.trade.ids),
                self.company,
                self.today,
            ),
            figure=SQL.identifier(method.figure or self.policy.metric),
            metric=SQL.identifier(self.policy.metric),
            suggested=method.get_suggested_tier_sql(),
            differs=differs,
            company=self.company.id,
        )

    # -------------------------------------------------------------------------
    # Writing
    # -------------------------------------------------------------------------

    def _write(self):
        """Write what was measured where it differs, and make the accounts that are new
        with their tier and all that is true of an account of which nothing else is
        known: most are such, and aren't looked at again then."""
        silent = self.env["key.account"]._get_silent_values(self.company)
        required = SQL("SELECT NULL::int, 0 WHERE FALSE")
        if features.is_used(self.env, features.BUYING_CENTER):
            required = SQL(
                "SELECT tier_id, COUNT(*) FROM key_account_tier_cell GROUP BY tier_id"
            )
        self.env.cr.execute(
            SQL(
                """
                WITH required (tier_id, cells) AS (%(required)s)
                INSERT INTO key_account (
                       partner_id, company_id, tier_id, tier_since, coverage,
                       required_count, %(silent)s, %(columns)s, %(trade_columns)s)
                SELECT measure.partner_id, %(company)s,
                       %(placed)s, CASE WHEN %(placed)s IS NOT NULL THEN %(today)s END,
                       CASE WHEN required.cells > 0 THEN 0 END,
                       COALESCE(required.cells, 0), %(values)s, %(measured)s,
                       %(traded)s
                  FROM key_account_measure measure
                  LEFT JOIN key_account_trade trade
                         ON trade.partner_id = measure.partner_id
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
                columns=SQL(", ").join(map(SQL.identifier, COLUMNS)),
                trade_columns=SQL(", ").join(map(SQL.identifier, TRADE_COLUMNS)),
                traded=get_kept_sql("measure"),
                required=required,
                silent=SQL(", ").join(map(SQL.identifier, silent)),
                values=SQL(", ").join(silent.values()),
                company=self.company.id,
                today=self.today,
                placed=self._get_placed_tier_sql(),
                differs=self._get_differs_sql(),
                measured=get_columns_sql("measure", COLUMNS),
                excluded=get_columns_sql("excluded", COLUMNS),
            )
        )
        rowcount = self.env.cr.rowcount
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account SET is_touched = FALSE
                 WHERE company_id = %s AND is_touched
                """,
                self.company.id,
            )
        )
        if self.touched is None and rowcount > ANALYZED_ROWS:
            # Without statistics the next statements take a full table for an empty one.
            self.env.cr.execute("ANALYZE key_account")

    def _place_watched(self):
        """Give those that have none yet their first tier through the ORM."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT account.suggested_tier_id, array_agg(account.id ORDER BY rank)
                  FROM key_account account
                 WHERE account.company_id = %s
                   AND account.tier_id IS NULL
                   AND account.suggested_tier_id IS NOT NULL
                   AND COALESCE(account.tier_locked_until < %s, TRUE)
                 GROUP BY account.suggested_tier_id
                """,
                self.company.id,
                self.today,
            )
        )
        for tier_id, ids in rows:
            self.env["key.account"].browse(ids)._give_tier(tier_id, self.today)
        self.env["key.account"].flush_model()

    def _take_tiers(self):
        """Those that are no accounts, whatever they were taken for, have no tier."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account
                   SET tier_id = NULL, tier_since = NULL, tier_locked_until = NULL,
                       tier_lock_reason = NULL
                 WHERE company_id = %s AND tier_id IS NOT NULL AND partner_id IN (%s)
                """,
                self.company.id,
                get_outsiders_sql(self.env, self.company),
            )
        )

    def _get_differs_sql(self):
        """Return the condition on ``measure`` and its row ``old`` that something would
        change: else the row is neither locked nor written."""
        differs = SQL(
            "(%s) IS DISTINCT FROM (%s)",
            get_columns_sql("measure", COLUMNS),
            get_columns_sql("old", COLUMNS),
        )
        if self.touched is None:
            return differs
        # Every sale moves the places of thousands by one or two: behind the first ones
        # they wait for the run of all.
        lasting = [name for name in COLUMNS if name not in RELATIVE_COLUMNS]
        return SQL(
            """
            CASE WHEN measure.rank > %(exact)s AND old.rank > %(exact)s
                 THEN (%(measured)s) IS DISTINCT FROM (%(old)s)
                 ELSE %(differs)s
            END
            """,
            exact=self.exact_ranks,
            measured=get_columns_sql("measure", lasting),
            old=get_columns_sql("old", lasting),
            differs=differs,
        )

    def _get_placed_tier_sql(self):
        """Return the tier of an account that has none yet, as an SQL expression over
        ``measure`` and its row ``old``: NULL where it has one, or a lock says to wait.
        With ``auto_apply`` off nobody is placed without being asked; where a rule waits
        for it, they are placed through the ORM (:meth:`_place_watched`)."""
        if not self.policy.auto_apply or self.is_watched:
            return SQL("NULL::int")
        return SQL(
            """
            CASE WHEN old.tier_id IS NULL
                  AND COALESCE(old.tier_locked_until < %s, TRUE)
                 THEN measure.suggested_tier_id END
            """,
            self.today,
        )


def _get_bounded_sql(name):
    """Return an amount, or 0 where it is beyond all amounts; NULL where there is
    none."""
    return SQL(
        "CASE WHEN abs(%(name)s) >= %(most)s THEN 0 ELSE %(name)s END",
        name=SQL.identifier(name),
        most=NO_AMOUNT,
    )
