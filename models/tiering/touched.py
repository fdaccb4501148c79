"""Whose figures or evidence can have changed since the last run of a company.

A night's run measures these accounts, and ranks all by what it finds. Those that lose a
document, or a contact with documents, to others are marked when it happens
(:meth:`key.account._touch`). What leaves no trace, such as a product's cost, is found
by the run of all accounts, once a week.
"""

from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo.tools import SQL

from ...const import QUIET_DAYS
from ..account.key_account import DEFAULT_MONTHS, EFFORT_MONTHS

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
    criteria = env["key.account.relationship.criterion"]._get_criteria(company)
    automatic = criteria.filtered(lambda criterion: criterion.kind == "automatic")
    quarters = automatic.filtered(lambda c: c.measure == "orders_quarters")
    won = automatic.filtered(lambda c: c.measure == "won_share")
    tiers = env["key.account.tier"].sudo().search([])
    # Days that come into, or leave, the window and the one before; and quarters.
    days = [
        *zip(
            _go_back(last_day, window_months, 2),
            _go_back(today, window_months, 2),
            strict=True,
        ),
        *(
            (
                last_day - relativedelta(months=3 * n),
                today - relativedelta(months=3 * n),
            )
            for n in range(1, max(quarters.mapped("quarters"), default=0) + 1)
        ),
    ]
    met = SQL(" OR ").join(
        SQL(
            "date_done + make_interval(months => %s) > %s "
            "AND date_done + make_interval(months => %s) <= %s",
            months,
            last_day,
            months,
            today,
        )
        for months in sorted(
            {0, DEFAULT_MONTHS, EFFORT_MONTHS, *tiers.mapped("coverage_months")}
        )
    )
    closed = [
        (last_day - relativedelta(months=n), today - relativedelta(months=n))
        for n in won.mapped("months")
    ]
    rows = env.execute_query(
        SQL(
            """
            -- of the firm that was invoiced, and of the one that its contact is at
            SELECT unnest(ARRAY[move.commercial_partner_id,
                                partner.commercial_partner_id])
              FROM account_move move
              JOIN res_partner partner ON partner.id = move.partner_id
             WHERE move.company_id = %(company)s
               AND move.move_type IN ('out_invoice', 'out_refund', 'out_receipt')
               AND (move.write_date >= %(since)s OR %(invoiced)s)
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
             WHERE lead.write_date >= %(since)s OR %(closed)s
             UNION
            SELECT unnest(ARRAY[id, commercial_partner_id])
              FROM res_partner
             WHERE write_date >= %(since)s
                OR left_company_date > %(last_day)s AND left_company_date <= %(today)s
             UNION
            -- whom we met, also too long ago, or on a day that was to come
            SELECT partner_id
              FROM key_account_visit
             WHERE company_id = %(company)s
               AND state = 'done'
               AND (write_date >= %(since)s OR %(met)s)
             UNION
            -- about whom nobody was asked for a while
            SELECT partner_id
              FROM key_account_relationship_change
             WHERE company_id = %(company)s
               AND date > %(last_day)s::date - %(quiet)s
               AND date <= %(today)s::date - %(quiet)s
             UNION
            SELECT partner_id
              FROM key_account
             WHERE company_id = %(company)s AND (is_touched OR date_lapse <= %(today)s)
            """,
            company=company.id,
            since=last_moment - OVERLAP,
            last_day=last_day,
            today=today,
            invoiced=_get_between_sql(SQL("move.invoice_date"), days),
            # wherever on earth the day began
            ordered=_get_between_sql(
                SQL("sale.date_order"),
                [(first, last + timedelta(days=2)) for first, last in days],
            ),
            closed=_get_between_sql(
                SQL("lead.date_closed"),
                [(first, last + timedelta(days=2)) for first, last in closed],
            ),
            met=met,
            quiet=QUIET_DAYS,
        )
    )
    return [partner_id for (partner_id,) in rows if partner_id]


def _go_back(day, months, times):
    """Return a day, and those that lie so many months before the one before it."""
    days = [day]
    for _ in range(times):
        days.append(days[-1] - relativedelta(months=months))
    return days


def _get_between_sql(column, periods):
    """Return the condition that a day is after the first and up to the second one of
    a pair."""
    if not periods:
        return SQL("FALSE")
    return SQL(
        "(%s)",
        SQL(" OR ").join(
            SQL("%s > %s AND %s <= %s", column, first, column, last)
            for first, last in periods
        ),
    )
