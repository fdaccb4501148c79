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
VERSION = 5
# Every account is measured after so many days, though nothing seems to have changed.
FULL_RUN_DAYS = 7


def get_touched_ids(policy, company, today):
    """Return the ids of the commercial partners to measure; None: all.

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
    """Note how far the run is, see :func:`get_touched_ids`.

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
    """Return whose documents, contacts or visits changed since the last run, came into
    what is counted, or left it."""
    sold, closed = _get_document_periods(env, company, window_months, today)
    rows = env.execute_query(
        SQL(
            "%s UNION %s UNION %s",
            _get_changed_sales_sql(company, sold),
            _get_changed_contacts_sql(company, closed, today),
            SQL(" UNION ").join(env["key.account"]._get_touched_sql(company, today)),
        )
    )
    return [partner_id for (partner_id,) in rows if partner_id]


def _get_changed_sales_sql(company, sold):
    """Return a query for the customers of invoices and orders that changed, or that the
    periods ``sold`` came to include or to leave out."""
    return SQL(
        """
        -- of the firm that was invoiced, and of the one that its contact is at
        SELECT unnest(ARRAY[move.firm_id, partner.commercial_partner_id])
          FROM (SELECT firm_id, partner_id FROM (%(invoices)s) AS changed
                 WHERE company_id = ANY(%(books)s) AND write_date >= %(since)s
                 UNION ALL
                -- apart: by the index of the days
                SELECT firm_id, partner_id FROM (%(invoices)s) AS dated
                 WHERE company_id = ANY(%(books)s) AND %(invoiced)s
               ) AS move
          JOIN res_partner partner ON partner.id = move.partner_id
         UNION
        -- of whomever an order can be, see get_orders_sql
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
         WHERE sale.company_id = ANY(%(books)s)
           AND (sale.write_date >= %(since)s OR %(ordered)s)
        """,
        books=company._get_key_account_branches().ids,
        invoices=get_invoices_sql(),
        since=company._get_key_account_run_moment(),
        invoiced=_get_between_sql(SQL("invoice_date"), sold),
        # wherever on earth the day began
        ordered=_get_between_sql(
            SQL("sale.date_order"),
            [(first, last + timedelta(days=2)) for first, last in sold],
        ),
    )


def _get_changed_contacts_sql(company, closed, today):
    """Return a query for the customers whose leads or contacts changed, or whose leads
    were closed in the periods ``closed``."""
    return SQL(
        """
        SELECT partner.commercial_partner_id
          FROM crm_lead lead
          JOIN res_partner partner ON partner.id = lead.partner_id
         WHERE lead.write_date >= %(since)s OR %(closed)s
         UNION
        SELECT unnest(ARRAY[id, commercial_partner_id])
          FROM res_partner
         WHERE write_date >= %(since)s
            OR left_company_date > %(last_day)s AND left_company_date <= %(today)s
        """,
        since=company._get_key_account_run_moment(),
        last_day=company.key_account_run_date,
        today=today,
        closed=_get_between_sql(
            SQL("lead.date_closed"),
            [(first, last + timedelta(days=2)) for first, last in closed],
        ),
    )


def _get_document_periods(env, company, window_months, today):
    """Return the days that came into what is counted, or left it, since the last run,
    as pairs (after the one, up to the other): those of orders and invoices, and those
    on which leads were closed."""
    last_day = company.key_account_run_date
    sale_months, lead_months = env["key.account"]._get_watched_months(company)

    def get_periods(months):
        return [
            (last_day - relativedelta(months=n), today - relativedelta(months=n))
            for n in sorted(months)
        ]

    # the window and the one before
    windows = list(
        zip(
            _go_back(last_day, window_months, 2),
            _go_back(today, window_months, 2),
            strict=True,
        )
    )
    periods = [*windows, *get_periods(sale_months)]
    # the window of quotations that were won or lost
    return periods, [*windows[:2], *get_periods(lead_months)]


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
