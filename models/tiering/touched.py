"""Whose figures or evidence can have changed since the last run of a company.

A night's run measures these accounts, and ranks all by what it finds; any run measures
how these trade (:mod:`.trade`). Those that lose a document, or a contact with
documents, to others are marked when it happens (:meth:`key.account._touch`). What
leaves no trace, such as a product's cost, is found by the run of all accounts, once a
week.
"""

import hashlib
import logging
from datetime import timedelta
from typing import NamedTuple

import psycopg2.errors
from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.tools import SQL, mute_logger

from ..account import features
from ..account.books import get_invoices_sql
from ..account.outsiders import get_outsiders_sql
from .measure import get_leads_sql
from .trade import has_payments

_logger = logging.getLogger(__name__)

# Counted up when figures come to mean something else: the next run measures everybody.
VERSION = 6
# Every account is measured after so many days, though nothing seems to have changed.
FULL_RUN_DAYS = 7


class Touched(NamedTuple):
    """Whom a night looks at, as ids of commercial partners.

    Days pass for many more customers than anything happens to: a quarter's end, or the
    day on which a meeting is too long ago, says nothing about figures.

    :ivar measured: whose figures, trade and due dates can be others
    :ivar related: whose relationship can be: these as well
    """

    measured: list
    related: list


def get_touched(policy, company, today):
    """Return whom to look at, see :class:`Touched`; None: everybody.

    The parameters are those of :func:`get_measured_ids`.
    """
    measured = get_measured_ids(policy, company, today)
    if measured is None:
        return None
    related = _get_related_ids(policy.env, company.sudo(), today)
    return Touched(measured, list({*measured, *related}))


def get_measured_ids(policy, company, today):
    """Return the ids of the commercial partners to measure; None: everybody.

    :param policy: the policy in force
    :param company: the company of the run
    :param date today: the last day of this run's window
    """
    company = company.sudo()
    if (
        not company.key_account_computed_at
        or not company.key_account_run_date
        or company.key_account_run_date > today
        or not company.key_account_full_run_date
        or company.key_account_full_run_date + timedelta(days=FULL_RUN_DAYS) <= today
        or company.key_account_run_key != _get_run_key(policy, company)
    ):
        return None
    env = policy.env
    env.flush_all()
    return list(
        {
            *_get_changed_ids(env, company, policy.window_months, today),
            *_get_other_leads_ids(env, company),
        }
    )


def note_run(policy, company, today, touched):
    """Note how far the run is, see :func:`get_touched`.

    :param touched: ids of those that were measured in every respect; None: all
    """
    now = fields.Datetime.now()
    cr = policy.env.cr
    # Past the ORM: the configuration is as it was. Companies with the same policy run
    # side by side: whoever finds its row taken leaves it, another one says the same.
    try:
        with mute_logger("odoo.sql_db"), cr.savepoint(flush=False):
            cr.execute(
                SQL(
                    """
                    UPDATE key_account_policy
                       SET last_run = %s
                     WHERE id IN (SELECT id FROM key_account_policy WHERE id = %s
                                     FOR NO KEY UPDATE SKIP LOCKED)
                    """,
                    now,
                    policy.id,
                )
            )
    except psycopg2.errors.SerializationFailure:
        _logger.info("Policy %s was run by another company just now", policy.id)
    cr.execute(
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
            now=now,
            today=today,
            full=touched is None,
            key=_get_run_key(policy, company),
            company=company.id,
        )
    )


def _get_run_key(policy, company):
    """Return a digest of the configuration that figures and evidence depend on."""
    policy = policy.sudo()
    books = company._get_key_account_branches().ids
    used = features.get_used(policy.env)
    records = [
        policy,
        policy.tier_ids,
        policy.criterion_ids,
        *policy.env["key.account"]._get_watched_records(company),
    ]
    if features.BUYING_CENTER in used:
        records.append(policy.tier_ids.cell_ids)
    text = repr(
        [
            VERSION,
            used,
            books,
            has_payments(policy.env, books),
            # also what was changed since the run in one transaction with it
            policy.revenue_basis,
            policy.window_months,
            *(
                [(record._name, record.id, record.write_date) for record in each]
                for each in records
            ),
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _get_other_leads_ids(env, company):
    """Return the customers whose leads are others than was measured: also by leads that
    are gone, or went to another customer."""
    rows = env.execute_query(
        SQL(
            """
            SELECT COALESCE(lead.partner_id, account.partner_id)
              FROM (%(leads)s) AS lead
              FULL JOIN (
                    SELECT partner_id, expected_revenue
                      FROM key_account
                     WHERE company_id = %(company)s AND is_account
                   ) AS account ON account.partner_id = lead.partner_id
             WHERE (ROUND(COALESCE(lead.expected_revenue, 0)::numeric, %(digits)s)
                    != COALESCE(account.expected_revenue, 0)
                    OR account.partner_id IS NULL)
               AND COALESCE(lead.partner_id, account.partner_id)
                   NOT IN (%(outsiders)s)
            """,
            outsiders=get_outsiders_sql(env, company),
            leads=get_leads_sql(env, company),
            company=company.id,
            digits=company.currency_id.decimal_places,
        )
    )
    return [partner_id for (partner_id,) in rows]


def _get_changed_ids(env, company, window_months, today):
    """Return whose documents or contacts changed since the last run, and whose came
    into the windows of the figures, or left them."""
    last_day = company.key_account_run_date
    # the window and the one before
    windows = list(
        zip(
            _go_back(last_day, window_months, 2),
            _go_back(today, window_months, 2),
            strict=True,
        )
    )
    since = company._get_key_account_run_moment()
    return _fetch_ids(
        env,
        _get_written_sales_sql(company, since),
        _get_dated_sales_sql(company, windows),
        SQL(
            """
            SELECT partner.commercial_partner_id
              FROM crm_lead lead
              JOIN res_partner partner ON partner.id = lead.partner_id
             WHERE lead.write_date >= %(since)s OR %(closed)s
             UNION
            SELECT unnest(ARRAY[id, commercial_partner_id])
              FROM res_partner
             WHERE write_date >= %(since)s
            """,
            since=since,
            closed=_get_closed_sql(windows[:2]),
        ),
        *env["key.account"]._get_touched_sql(company, today),
    )


def _get_related_ids(env, company, today):
    """Return about whose relationship there is something else to be said, though
    nothing was written: by the day alone, or by visits."""
    last_day = company.key_account_run_date
    sale_months, lead_months = env["key.account"]._get_watched_months(company)

    def get_periods(months):
        return [
            (last_day - relativedelta(months=n), today - relativedelta(months=n))
            for n in sorted(months)
        ]

    return _fetch_ids(
        env,
        _get_dated_sales_sql(company, get_periods(sale_months)),
        SQL(
            """
            SELECT partner.commercial_partner_id
              FROM crm_lead lead
              JOIN res_partner partner ON partner.id = lead.partner_id
             WHERE %(closed)s
             UNION
            SELECT commercial_partner_id
              FROM res_partner
             WHERE left_company_date > %(last_day)s AND left_company_date <= %(today)s
            """,
            closed=_get_closed_sql(get_periods(lead_months)),
            last_day=last_day,
            today=today,
        ),
        *env["key.account"]._get_related_sql(company, today),
    )


def _fetch_ids(env, *queries):
    rows = env.execute_query(SQL(" UNION ").join(SQL("(%s)", each) for each in queries))
    return [partner_id for (partner_id,) in rows if partner_id]


def _get_written_sales_sql(company, since):
    """Return a query for the customers of invoices and orders that changed."""
    books = company._get_key_account_branches().ids
    return SQL(
        """
        %(invoiced)s UNION %(ordered)s
        """,
        invoiced=_get_invoiced_sql(books, SQL("write_date >= %s", since)),
        ordered=_get_ordered_sql(books, SQL("sale.write_date >= %s", since)),
    )


def _get_dated_sales_sql(company, periods):
    """Return a query for the customers of invoices and orders of these days; apart from
    those that changed: by the index of the days."""
    books = company._get_key_account_branches().ids
    # wherever on earth the day began
    wider = [(first, last + timedelta(days=2)) for first, last in periods]
    return SQL(
        """
        %(invoiced)s UNION %(ordered)s
        """,
        invoiced=_get_invoiced_sql(
            books, _get_between_sql(SQL("invoice_date"), periods)
        ),
        ordered=_get_ordered_sql(
            books, _get_between_sql(SQL("sale.date_order"), wider)
        ),
    )


def _get_invoiced_sql(books, condition):
    """Return a query for the firms that were invoiced, and those that their contacts
    are at."""
    return SQL(
        """
        SELECT unnest(ARRAY[move.firm_id, partner.commercial_partner_id])
          FROM (SELECT firm_id, partner_id
                  FROM (%(invoices)s) AS invoices
                 WHERE company_id = ANY(%(books)s) AND %(condition)s
               ) AS move
          JOIN res_partner partner ON partner.id = move.partner_id
        """,
        invoices=get_invoices_sql(),
        books=books,
        condition=condition,
    )


def _get_ordered_sql(books, condition):
    """Return a query for whomever an order can be of, see
    :func:`..account.books.get_orders_sql`."""
    return SQL(
        """
        SELECT unnest(ARRAY[partner.commercial_partner_id,
                            payer.commercial_partner_id,
                            firm.commercial_partner_id])
          FROM sale_order sale
          JOIN res_partner partner ON partner.id = sale.partner_id
          JOIN res_partner payer ON payer.id = sale.partner_invoice_id
          LEFT JOIN sale_order_line sold ON sold.order_id = sale.id
          LEFT JOIN sale_order_line_invoice_rel rel ON rel.order_line_id = sold.id
          LEFT JOIN account_move_line item ON item.id = rel.invoice_line_id
          LEFT JOIN res_partner firm ON firm.id = item.partner_id
         WHERE sale.company_id = ANY(%(books)s) AND %(condition)s
        """,
        books=books,
        condition=condition,
    )


def _get_closed_sql(periods):
    """Return the condition on a ``lead`` that it was closed in these periods, wherever
    on earth the day began."""
    return _get_between_sql(
        SQL("lead.date_closed"),
        [(first, last + timedelta(days=2)) for first, last in periods],
    )


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
