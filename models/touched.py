"""Whose figures or evidence can have changed since the last run of a company.

A night's run measures these accounts, and ranks all by what it finds. What leaves no
trace in the rows that are read here, such as a deleted invoice or a product's cost, is
found by the run of all accounts, once a week.
"""

from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo.tools import SQL

from .key_account import DEFAULT_MONTHS

# Transactions that were under way during the last run are read again.
OVERLAP = timedelta(hours=1)


def get_touched_ids(env, company, window_months, last_moment, last_day, today):
    """Return the ids of the commercial partners to measure.

    :param company: the company of the run
    :param int window_months: the policy's window
    :param datetime last_moment: when the last run wrote, in UTC
    :param date last_day: the last day of the last run's window
    :param date today: the last day of this run's window
    """
    since = last_moment - OVERLAP
    start = relativedelta(months=window_months)
    # Days that come into, or leave, the window and the one before.
    days = [(last_day - n * start, today - n * start) for n in range(3)]
    tiers = env["key.account.tier"].sudo().search([])
    periods = {*tiers.mapped("coverage_months"), DEFAULT_MONTHS}
    met = [(last_day, today)] + [
        (last_day - relativedelta(months=n), today - relativedelta(months=n))
        for n in sorted(periods)
    ]
    rows = env.execute_query(
        SQL(
            """
            SELECT commercial_partner_id
              FROM account_move
             WHERE company_id = %(company)s
               AND move_type IN ('out_invoice', 'out_refund', 'out_receipt')
               AND (write_date >= %(since)s OR %(invoiced)s)
             UNION
            SELECT partner.commercial_partner_id
              FROM sale_order sale
              JOIN res_partner partner ON partner.id = sale.partner_id
             WHERE sale.company_id = %(company)s
               AND (sale.write_date >= %(since)s OR %(ordered)s)
             UNION
            SELECT partner.commercial_partner_id
              FROM crm_lead lead
              JOIN res_partner partner ON partner.id = lead.partner_id
             WHERE lead.write_date >= %(since)s
             UNION
            SELECT unnest(ARRAY[id, commercial_partner_id])
              FROM res_partner
             WHERE write_date >= %(since)s
             UNION
            -- whom we met too long ago, or on a day that was to come
            SELECT partner_id
              FROM key_account_visit
             WHERE company_id = %(company)s AND state = 'done' AND %(met)s
             UNION
            SELECT partner_id
              FROM key_account
             WHERE company_id = %(company)s AND date_lapse <= %(today)s
            """,
            company=company.id,
            since=since,
            today=today,
            invoiced=_get_between_sql("invoice_date", days),
            # wherever on earth the day began
            ordered=_get_between_sql(
                "date_order",
                [(first, last + timedelta(days=2)) for first, last in days],
            ),
            met=_get_between_sql("date_done", met),
        )
    )
    return [partner_id for (partner_id,) in rows if partner_id]


def _get_between_sql(column, periods):
    """Return the condition that a day is after the first and up to the second one of
    a pair."""
    column = SQL.identifier(column)
    return SQL(
        "(%s)",
        SQL(" OR ").join(
            SQL(
                "%(column)s > %(first)s AND %(column)s <= %(last)s",
                column=column,
                first=first,
                last=last,
            )
            for first, last in periods
        ),
    )
