"""What accounts bought, and how they were visited, in a period."""

from typing import NamedTuple

from dateutil.relativedelta import relativedelta

from odoo.exceptions import UserError
from odoo.tools import SQL

from ...engine.planner import VISIT_LOAD
from ..account import bounds, clock
from ..planning.key_account_agenda import MODE_LOADS
from ..tiering.measure import get_lines_sql, get_total_sql

# Of a company without a policy
WINDOW_MONTHS = 12
DAY_HOURS = 24


class Period(NamedTuple):
    """From one day to another, both included.

    :ivar is_window: the window of the last tiering run: its figures are on the
        accounts, and the books needn't be read
    """

    first: object
    last: object
    is_window: bool


def get_period(env, company, date_from=False, date_to=False):
    """Return the :class:`Period` that a client named; if it named none, the window of
    the policy as of its last run.

    :param date_from: first day, ``YYYY-MM-DD`` or a date
    :param date_to: last day
    :raise UserError: if they are no days, only one is named, or they are out of order
    """
    first, last = bounds.to_day(env, date_from), bounds.to_day(env, date_to)
    if not first and not last:
        policy = env["key.account.policy"].sudo()._get_for_company(company)
        months = policy.window_months or WINDOW_MONTHS
        last = company.sudo().key_account_run_date or clock.get_today(company)
        first = last - relativedelta(months=months) + relativedelta(days=1)
        return Period(first, last, True)
    if not first or not last:
        raise UserError(
            env._("A period has a first and a last day: enter both of them, or none.")
        )
    if first > last:
        raise UserError(
            env._("The period ends before it begins: enter a later last day.")
        )
    return Period(first, last, False)


def get_figures_sql(env, company, period, partner_ids=None):
    """Return a query of the accounts of ``company``: ``id``, ``partner_id``,
    ``user_id``, ``tier_id``, ``relationship_level``, and of the period ``revenue`` and
    ``margin`` (untaxed, in the currency of the company, credit notes subtracted),
    ``visits`` (done, calls and mails not counted) and ``hours``.

    What isn't asked for of it costs nothing: PostgreSQL leaves out joins that neither
    add nor remove rows. Everything has to be flushed.

    :param partner_ids: limit to these customers; None: all
    """
    sales = SQL()
    revenue, margin = SQL("card.revenue"), SQL("card.margin")
    if not period.is_window:
        sales = SQL(
            "LEFT JOIN (%s) AS sales ON sales.partner_id = card.partner_id",
            get_sales_sql(env, company, period, partner_ids),
        )
        revenue, margin = SQL("sales.revenue"), SQL("sales.margin")
    return SQL(
        """
        SELECT card.id, card.partner_id, card.user_id, card.tier_id,
               card.relationship_level,
               COALESCE(%(revenue)s, 0) AS revenue,
               COALESCE(%(margin)s, 0) AS margin,
               COALESCE(made.visits, 0) AS visits,
               COALESCE(made.hours, 0) AS hours
          FROM key_account card
          %(sales)s
          LEFT JOIN (%(visits)s) AS made ON made.partner_id = card.partner_id
         WHERE card.company_id = %(company)s
           AND %(among)s
        """,
        revenue=revenue,
        margin=margin,
        sales=sales,
        visits=_get_visits_sql(company, period, partner_ids),
        company=company.id,
        among=_get_among_sql("card.partner_id", partner_ids),
    )


def get_moves_sql(company, period):
    """Return a query for the accounts of ``company`` that ended the period in another
    tier than they began it in: ``id``, ``from_tier_id``, ``to_tier_id``. Who went and
    came back didn't move. A first placement by the figures is no move."""
    return SQL(
        """
        SELECT card.id, change.from_tier_id, change.to_tier_id
          FROM key_account card
          JOIN (
                SELECT partner_id,
                       (ARRAY_AGG(from_tier_id ORDER BY date, id))[1]
                           AS from_tier_id,
                       (ARRAY_AGG(to_tier_id ORDER BY date DESC, id DESC))[1]
                           AS to_tier_id
                  FROM key_account_tier_change
                 WHERE company_id = %(company)s
                   AND state = 'applied'
                   AND date BETWEEN %(first)s AND %(last)s
                 GROUP BY partner_id
               ) AS change ON change.partner_id = card.partner_id
         WHERE card.company_id = %(company)s
           AND change.from_tier_id IS DISTINCT FROM change.to_tier_id
        """,
        company=company.id,
        first=period.first,
        last=period.last,
    )


def _get_among_sql(column, partner_ids):
    if partner_ids is None:
        return SQL("TRUE")
    return SQL("%s = ANY(%s)", SQL(column), list(partner_ids))


def get_sales_sql(env, company, period, partner_ids=None):
    """Return a query for revenue and margin per commercial partner, from the books that
    the policy reads, by the rules of the tiering run."""
    return SQL(
        """
        SELECT firm_id AS partner_id, %(revenue)s AS revenue, %(margin)s AS margin
          FROM (%(lines)s) AS line
         WHERE day BETWEEN %(first)s AND %(last)s
         GROUP BY firm_id
        """,
        lines=get_lines_sql(env, company, partner_ids),
        first=period.first,
        last=period.last,
        revenue=get_total_sql(company, "revenue"),
        margin=get_total_sql(company, "margin"),
    )


def _get_visits_sql(company, period, partner_ids):
    """Return a query for done visits and their hours per customer. Calls and mails are
    no visits, but take their time.

    The hours are those of the meeting, if the visit has one at a time of the day; else
    the company's length of a meeting, a part of it for calls and mails, as they take of
    a day's capacity.
    """
    shares = SQL(" ").join(
        SQL("WHEN %s THEN %s", mode, load / VISIT_LOAD)
        for mode, load in MODE_LOADS.items()
    )
    return SQL(
        """
        SELECT visit.partner_id,
               COUNT(*) FILTER (WHERE visit.track IN ('visit', 'executive'))
                   AS visits,
               SUM(CASE WHEN event.duration > 0 AND event.allday IS NOT TRUE
                        THEN LEAST(event.duration, %(longest)s)
                        ELSE %(length)s * CASE visit.mode %(shares)s ELSE 1 END
                   END) AS hours
          FROM key_account_visit visit
          LEFT JOIN calendar_event event ON event.id = visit.calendar_event_id
         WHERE visit.company_id = %(company)s
           AND visit.state = 'done'
           AND visit.date_done BETWEEN %(first)s AND %(last)s
           AND %(among)s
         GROUP BY visit.partner_id
        """,
        longest=DAY_HOURS,
        length=company.sudo().key_account_meeting_hours,
        shares=shares,
        company=company.id,
        first=period.first,
        last=period.last,
        among=_get_among_sql("visit.partner_id", partner_ids),
    )
