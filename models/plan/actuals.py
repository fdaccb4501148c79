"""What the books say of some accounts in some period, by the very lines that the
tiering run counts (:mod:`..tiering.measure`)."""

from odoo.tools import SQL

from ..account import clock
from ..account.books import get_invoices_sql, get_orders_sql
from ..tiering.measure import get_lines_sql, get_total_sql

# What the lines are read from, past the ORM
SOURCES = (
    "account.move",
    "account.move.line",
    "res.partner",
    "sale.order",
    "sale.order.line",
)


def _get_lines_sql(env, company, firm_ids):
    """Return the query of :func:`get_lines_sql`, with what it reads written."""
    for name in SOURCES:
        env[name].flush_model()
    return get_lines_sql(env, company, firm_ids)


def _sum_sql(company, name):
    return SQL("(%s)::float", get_total_sql(company, name))


def get_actuals(env, company, periods):
    """Return ``{key: (revenue, margin)}`` of those with any, untaxed, in the currency
    of ``company``.

    One query, whatever their number.

    :param periods: ``(key, ids of accounts, first day, last day)``, both days included;
        the key is a number
    """
    rows = [
        (key, firm_id, first, last)
        for key, firm_ids, first, last in periods
        for firm_id in firm_ids
    ]
    if not rows:
        return {}
    keys, firm_ids, firsts, lasts = (list(column) for column in zip(*rows, strict=True))
    found = env.execute_query(
        SQL(
            """
            SELECT period.key, %(revenue)s, %(margin)s
              FROM (%(lines)s) AS line
              JOIN UNNEST(%(keys)s::int[], %(firms)s::int[], %(firsts)s::date[],
                          %(lasts)s::date[]) AS period(key, firm_id, first, last)
                ON period.firm_id = line.firm_id
               AND line.day BETWEEN period.first AND period.last
             GROUP BY period.key
            """,
            revenue=_sum_sql(company, "revenue"),
            margin=_sum_sql(company, "margin"),
            lines=_get_lines_sql(env, company, set(firm_ids)),
            keys=keys,
            firms=firm_ids,
            firsts=firsts,
            lasts=lasts,
        )
    )
    return {key: (revenue or 0.0, margin or 0.0) for key, revenue, margin in found}


def get_months(env, company, firm_ids, first, last):
    """Return ``{account id: {first day of a month: revenue}}`` of what was sold in the
    period, untaxed, in the currency of ``company``. One query."""
    if not firm_ids:
        return {}
    result = {}
    for firm_id, month, revenue in env.execute_query(
        SQL(
            """
            SELECT firm_id, DATE_TRUNC('month', day)::date, %(revenue)s
              FROM (%(lines)s) AS line
             WHERE day BETWEEN %(first)s AND %(last)s
             GROUP BY 1, 2
            """,
            revenue=_sum_sql(company, "revenue"),
            lines=_get_lines_sql(env, company, firm_ids),
            first=first,
            last=last,
        )
    ):
        result.setdefault(firm_id, {})[month] = revenue or 0.0
    return result


def get_bought_categories(env, company, firm_ids, first, last):
    """Return the ids of the categories of products that the accounts were invoiced for,
    or ordered, in the period."""
    for name in SOURCES:
        env[name].flush_model()
    branches = company._get_key_account_branches()
    rows = env.execute_query(
        SQL(
            """
            SELECT DISTINCT template.categ_id
              FROM (
                    SELECT item.product_id
                      FROM (%(invoices)s) AS move
                      JOIN account_move_line item ON item.move_id = move.id
                     WHERE move.firm_id = ANY(%(firms)s)
                       AND move.company_id = ANY(%(companies)s)
                       AND move.state = 'posted'
                       AND move.move_type IN ('out_invoice', 'out_receipt')
                       AND move.invoice_date BETWEEN %(first)s AND %(last)s
                       AND item.display_type = 'product'
                     UNION
                    SELECT item.product_id
                      FROM (%(orders)s) AS sale
                      JOIN sale_order_line item ON item.order_id = sale.id
                     WHERE sale.company_id = ANY(%(companies)s)
                       AND sale.state = 'sale'
                       AND (sale.date_order AT TIME ZONE 'UTC'
                                AT TIME ZONE %(zone)s)::date
                           BETWEEN %(first)s AND %(last)s
                   ) AS item
              JOIN product_product product ON product.id = item.product_id
              JOIN product_template template ON template.id = product.product_tmpl_id
             WHERE template.categ_id IS NOT NULL
            """,
            invoices=get_invoices_sql(),
            orders=get_orders_sql(list(firm_ids)),
            firms=list(firm_ids),
            companies=branches.ids,
            zone=clock.get_sql_timezone(company),
            first=first,
            last=last,
        )
    )
    return [row[0] for row in rows]
