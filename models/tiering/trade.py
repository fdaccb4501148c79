"""How the accounts of a company trade: how often they order, what they are given, when
they pay, what is won of them. Measured for whomever a run measures, into a temporary
table that the ranking may read, and written where it differs.
"""

from dateutil.relativedelta import relativedelta

from odoo.tools import SQL

from ...const import NO_AMOUNT
from ..account import clock
from ..account.books import (
    get_invoices_sql,
    get_kept_invoices_sql,
    get_orders_sql,
    keep_invoices,
)
from ..account.differing import get_columns_sql

# {column of key.account: its type, with the decimals that are kept}
COLUMNS = {
    "order_count": SQL("int"),
    "last_order_date": SQL("date"),
    "order_interval": SQL("numeric(16, 1)"),
    "largest_order": SQL("numeric(32, 2)"),
    "discount_rate": SQL("numeric(16, 2)"),
    "days_late": SQL("numeric(16, 1)"),
    "win_rate": SQL("numeric(16, 2)"),
}
# An interval is typical from so many days with an order on,
RHYTHM_ORDERS = 4
# of the years up to the last order: rhythms change.
RHYTHM_YEARS = 3


class Trade:
    """The trade of a company's accounts, see the fields of ``key.account``.

    Orders are posted invoices, or confirmed orders where the policy's basis is those;
    whose they are says :mod:`..account.books`. Refunds are no orders, nor is what adds
    up to nothing: samples, replacements. Payments are those of invoices in any case.

    :ivar policy: the policy in force, in the environment of the run
    :ivar company: the company of the run
    :ivar date today: last day of the window
    :ivar ids: ids of the commercial partners to measure, whose invoices are kept then,
        see :func:`..account.books.keep_invoices`; None: all
    """

    def __init__(self, policy, company, today, touched=None):
        self.policy = policy
        self.env = policy.env
        self.company = company
        self.today = today
        self.start = today - relativedelta(months=policy.window_months)
        self.books = company._get_key_account_branches().ids
        self.is_paid = has_payments(self.env, self.books)
        self.ids = touched
        if touched is not None:
            self.ids = list({*touched, *self._get_overdue_ids()})
            keep_invoices(self.env, self.books, self.ids)

    def measure(self):
        """Put what is measured into the temporary table ``key_account_trade``: a row
        for each of :attr:`ids`, else for each account that trades."""
        # Compiling the query takes longer than running it.
        self.env.cr.execute(
            "SET LOCAL jit = off; DROP TABLE IF EXISTS key_account_trade"
        )
        sources = [self._get_orders_sql(), self._get_leads_sql()]
        if self.is_paid:
            sources.append(self._get_payments_sql())
        if self.ids is not None:
            # also those that don't trade any more
            sources.append(
                self._get_rows_sql(SQL("unnest(%s::int[]) AS partner_id", self.ids))
            )
        self.env.cr.execute(
            SQL(
                """
                CREATE TEMP TABLE key_account_trade ON COMMIT DROP AS
                SELECT partner_id, %s
                  FROM (%s) AS sources
                 WHERE partner_id IS NOT NULL
                 GROUP BY partner_id
                """,
                SQL(", ").join(
                    SQL("MAX(%s) AS %s", SQL.identifier(name), SQL.identifier(name))
                    for name in COLUMNS
                ),
                SQL(" UNION ALL ").join(SQL("(%s)", source) for source in sources),
            )
        )
        # without statistics what joins it loops over it
        self.env.cr.execute("ANALYZE key_account_trade")

    def save(self):
        """Write what was measured to the accounts where it differs."""
        names = SQL(", ").join(map(SQL.identifier, COLUMNS))
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account
                   SET (%(names)s) = ROW(%(values)s)
                  FROM (SELECT account.id, %(measured)s
                          FROM key_account account
                          %(join)s key_account_trade trade
                            ON trade.partner_id = account.partner_id
                         WHERE account.company_id = %(company)s
                       ) AS trade (id, %(names)s)
                 WHERE trade.id = key_account.id
                   AND (%(values)s) IS DISTINCT FROM (%(written)s)
                """,
                names=names,
                values=get_columns_sql("trade", COLUMNS),
                written=get_columns_sql("key_account", COLUMNS),
                measured=get_kept_sql("account"),
                join=SQL("LEFT JOIN" if self.ids is None else "JOIN"),
                company=self.company.id,
            )
        )

    # -------------------------------------------------------------------------
    # Sources
    # -------------------------------------------------------------------------

    def _get_rows_sql(self, source, **values):
        """Return a query of all columns, NULL where ``values`` has no expression."""
        return SQL(
            "SELECT partner_id, %s FROM %s",
            SQL(", ").join(
                SQL(
                    "(%s)::%s AS %s",
                    values.get(name, SQL("NULL")),
                    kind,
                    SQL.identifier(name),
                )
                for name, kind in COLUMNS.items()
            ),
            source,
        )

    def _among(self, *column):
        if self.ids is None:
            return SQL("TRUE")
        return SQL("%s = ANY(%s)", SQL.identifier(*column), self.ids)

    def _in_window(self, *column):
        column = SQL.identifier(*column)
        return SQL("(%s > %s AND %s <= %s)", column, self.start, column, self.today)

    def _get_invoices_sql(self):
        if self.ids is None:
            return get_invoices_sql()
        return get_kept_invoices_sql()

    def _get_documents_sql(self):
        """Return a query for ``id``, ``firm_id``, ``day``, ``amount`` (untaxed, in
        company currency, negative for a refund) and ``weight``, by which amounts of
        lines are multiplied."""
        if self.policy.revenue_basis == "ordered":
            return SQL(
                """
                SELECT id, firm_id, amount_untaxed * weight AS amount, day, weight
                  FROM (SELECT *, 1 / COALESCE(NULLIF(currency_rate, 0), 1) AS weight,
                               (date_order AT TIME ZONE 'UTC' AT TIME ZONE %s)::date
                                   AS day
                          FROM (%s) AS sale
                         WHERE company_id = ANY(%s) AND state = 'sale'
                       ) AS sale
                """,
                clock.get_sql_timezone(self.company),
                get_orders_sql(self.ids),
                self.books,
            )
        return SQL(
            """
            SELECT id, firm_id, amount_untaxed_signed AS amount, invoice_date AS day,
                   CASE move_type WHEN 'out_refund' THEN -1 ELSE 1 END
                   / COALESCE(NULLIF(invoice_currency_rate, 0), 1) AS weight
              FROM (%s) AS move
             WHERE company_id = ANY(%s) AND state = 'posted'
            """,
            self._get_invoices_sql(),
            self.books,
        )

    def _get_given_sql(self):
        """Return a query for ``document_id`` and ``given``, what was taken off the
        price, untaxed: of lines with a discount, and of those that are one."""
        is_discount = SQL(
            """
            COALESCE(product_id IN (
                SELECT sale_discount_product_id
                  FROM res_company
                 WHERE sale_discount_product_id IS NOT NULL
            ), FALSE)
            """
        )
        given = SQL(
            """
            CASE WHEN %s THEN -price_subtotal
                 -- of what is free nothing is left to tell it by
                 WHEN discount >= 100 THEN price_unit * quantity
                 ELSE price_subtotal * discount / (100 - discount) END AS given
            """,
            is_discount,
        )
        if self.policy.revenue_basis == "ordered":
            return SQL(
                """
                SELECT document_id, %s
                  FROM (SELECT order_id AS document_id, product_id, discount,
                               price_unit, product_uom_qty AS quantity, price_subtotal
                          FROM sale_order_line
                         WHERE display_type IS NULL AND is_downpayment IS NOT TRUE
                       ) AS line
                 WHERE discount != 0 OR %s
                """,
                given,
                is_discount,
            )
        return SQL(
            """
            SELECT move_id AS document_id, %s
              FROM account_move_line
             WHERE display_type = 'product' AND (discount != 0 OR %s)
            """,
            given,
            is_discount,
        )

    def _get_orders_sql(self):
        """Return a query for number, last day and rhythm of orders, and for what was
        given away, in percent of what all would have cost: the lines' discounts, and
        lines with the company's product for discounts on a whole order."""
        return self._get_rows_sql(
            SQL(
                """
                (WITH documents AS NOT MATERIALIZED (
                    SELECT *, COALESCE(amount > 0, FALSE) AS is_order
                      FROM (%(documents)s) AS documents
                     WHERE day <= %(today)s
                ), days AS (
                    -- of several orders on a day one has a gap
                    SELECT firm_id, day, amount, is_order,
                           FIRST_VALUE(day) OVER of_firm AS last_day,
                           NULLIF(day - LEAD(day) OVER of_firm, 0) AS gap,
                           day IS DISTINCT FROM LEAD(day) OVER of_firm AS is_new
                      FROM documents
                    WINDOW of_firm AS (
                        PARTITION BY firm_id, is_order ORDER BY day DESC)
                ), totals AS (
                    SELECT firm_id,
                           CASE WHEN BOOL_OR(is_order) THEN
                               COUNT(*) FILTER (WHERE is_order AND %(current)s)
                           END AS order_count,
                           -- what can't be right is counted, but is no amount
                           MAX(amount) FILTER (
                               WHERE is_order AND amount < %(most)s AND %(current)s)
                               AS largest_order,
                           MAX(day) FILTER (WHERE is_order) AS last_order_date,
                           CASE WHEN COUNT(*) FILTER (
                                         WHERE is_order AND is_new AND day > since)
                                     >= %(least)s
                                THEN PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY gap)
                                     FILTER (WHERE is_order AND day - gap > since)
                           END AS order_interval,
                           SUM(amount) FILTER (WHERE %(current)s) AS paid
                      FROM (SELECT *,
                                   (last_day - make_interval(years => %(years)s))::date
                                       AS since
                              FROM days) AS days
                     GROUP BY firm_id
                ), discounts AS (
                    SELECT firm_id, SUM(weight * line.given) AS given
                      FROM documents
                      JOIN (%(lines)s) AS line ON line.document_id = documents.id
                     WHERE %(current)s
                     GROUP BY firm_id
                )
                SELECT totals.*, totals.firm_id AS partner_id,
                       100 * COALESCE(given, 0)
                       / NULLIF(GREATEST(
                             ROUND((paid + COALESCE(given, 0))::numeric, 2), 0), 0)
                           AS discount_rate
                  FROM totals
                  LEFT JOIN discounts ON discounts.firm_id = totals.firm_id
                ) AS orders
                WHERE order_count IS NOT NULL OR discount_rate IS NOT NULL
                """,
                documents=self._get_documents_sql(),
                lines=self._get_given_sql(),
                today=self.today,
                current=self._in_window("day"),
                least=RHYTHM_ORDERS,
                most=NO_AMOUNT,
                years=RHYTHM_YEARS,
            ),
            order_count=SQL("order_count"),
            last_order_date=SQL("last_order_date"),
            order_interval=SQL("order_interval"),
            largest_order=SQL("largest_order"),
            # A discount is part of the price: none is less than nothing, or all.
            discount_rate=SQL(
                "CASE WHEN discount_rate IS NOT NULL"
                " THEN LEAST(GREATEST(discount_rate, 0), 100) END"
            ),
        )

    def _get_payments_sql(self):
        """Return a query for the average days from an instalment's due date to the day
        that settled it, or to today while it is open and overdue; what was paid in time
        counts as 0. Open ones that aren't due yet say nothing."""
        payments = SQL(
            """
            (SELECT firm_id AS partner_id,
                    AVG(GREATEST(CASE WHEN reconciled THEN paid ELSE %(today)s END
                                 - date_maturity, 0)) AS days_late
               FROM (SELECT move.firm_id, item.date_maturity,
                            BOOL_OR(item.reconciled) AS reconciled,
                            MAX(partial.max_date) AS paid
                       FROM (%(invoices)s) AS move
                       JOIN account_move_line item ON item.move_id = move.id
                       LEFT JOIN account_partial_reconcile partial
                              ON partial.debit_move_id = item.id
                      WHERE move.company_id = ANY(%(books)s)
                        AND move.state = 'posted'
                        AND move.move_type != 'out_refund'
                        AND %(current)s
                        AND item.display_type = 'payment_term'
                        AND item.balance > 0
                      GROUP BY item.id, move.firm_id
                    ) AS instalments
              WHERE CASE WHEN reconciled THEN paid IS NOT NULL
                         ELSE date_maturity < %(today)s END
              GROUP BY firm_id) AS payments
            """,
            invoices=self._get_invoices_sql(),
            books=self.books,
            today=self.today,
            current=self._in_window("move", "invoice_date"),
        )
        return self._get_rows_sql(payments, days_late=SQL("days_late"))

    def _get_leads_sql(self):
        """Return a query for the share of those won in the leads that were closed."""
        closed = SQL(
            """
            (SELECT partner.commercial_partner_id AS partner_id,
                    100.0 * COUNT(*) FILTER (WHERE lead.won_status = 'won')
                        / COUNT(*) AS win_rate
               FROM crm_lead lead
               JOIN res_partner partner ON partner.id = lead.partner_id
               LEFT JOIN crm_team team ON team.id = lead.team_id
               LEFT JOIN res_users owner ON owner.id = lead.user_id
              WHERE lead.won_status IN ('won', 'lost')
                AND (lead.date_closed AT TIME ZONE 'UTC' AT TIME ZONE %(tz)s)::date
                    > %(start)s
                AND (lead.date_closed AT TIME ZONE 'UTC' AT TIME ZONE %(tz)s)::date
                    <= %(today)s
                AND %(lead_company)s = %(company)s
                AND %(among)s
              GROUP BY partner.commercial_partner_id) AS closed
            """,
            tz=clock.get_sql_timezone(self.company),
            start=self.start,
            today=self.today,
            lead_company=self.env["crm.lead"]._get_key_account_company_sql(),
            company=self.company.id,
            among=self._among("partner", "commercial_partner_id"),
        )
        return self._get_rows_sql(closed, win_rate=SQL("win_rate"))

    def _get_overdue_ids(self):
        """Return whose open invoices are a day later than yesterday."""
        if not self.is_paid:
            return []
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT move.firm_id
                  FROM (%s) AS move
                 WHERE move.company_id = ANY(%s)
                   AND move.state = 'posted'
                   AND move.amount_residual != 0
                   AND %s
                   AND EXISTS (
                       SELECT FROM account_move_line item
                        WHERE item.move_id = move.id
                          AND item.display_type = 'payment_term'
                          AND item.reconciled IS NOT TRUE
                          AND item.date_maturity < %s)
                """,
                get_invoices_sql(),
                self.books,
                self._in_window("move", "invoice_date"),
                self.today,
            )
        )
        return [firm_id for (firm_id,) in rows]


def get_kept_sql(account):
    """Return the expressions for what an account keeps of its row in ``trade``, which
    may be missing: what is no account trades nothing.

    :param str account: the alias that tells ``is_account``
    """
    is_account = SQL.identifier(account, "is_account")
    return SQL(", ").join(
        SQL("CASE WHEN %s THEN %s END", is_account, SQL.identifier("trade", name))
        if name != "order_count"
        else SQL(
            "CASE WHEN %s THEN COALESCE(trade.order_count, 0) ELSE 0 END", is_account
        )
        for name in COLUMNS
    )


def get_trade_sql(company, touched=None):
    """Return a query of the trade of all accounts: of those that this run measured, and
    of the others as it was.

    :param touched: None: the run measures all
    """
    if touched is None:
        return SQL("SELECT * FROM key_account_trade")
    names = SQL(", ").join(map(SQL.identifier, COLUMNS))
    return SQL(
        """
        SELECT partner_id, %(names)s FROM key_account_trade
         UNION ALL
        SELECT partner_id, %(names)s
          FROM key_account account
         WHERE company_id = %(company)s
           AND is_account
           AND NOT EXISTS (
               SELECT FROM key_account_trade
                WHERE partner_id = account.partner_id)
        """,
        names=names,
        company=company.id,
    )


def has_payments(env, books):
    """Return whether payments are noted in the books of these companies at all: where
    they aren't, every invoice would look overdue."""
    ((is_paid,),) = env.execute_query(
        SQL(
            """
            SELECT EXISTS (
                SELECT FROM account_partial_reconcile WHERE company_id = ANY(%s))
            """,
            books,
        )
    )
    return is_paid
