"""Whom we met at an account, within the period of its tier."""

from odoo.tools import SQL

from ..account.key_account import DEFAULT_MONTHS
from .measures import get_present_sql

# Expressions over ``met``: how many contacts and colleagues there are, and how many of
# the cells that a tier requires are covered
COUNTS = SQL(
    """
    threads AS (
        SELECT card_id, COUNT(DISTINCT contact_id) AS contacts,
               COUNT(DISTINCT user_id) AS users
          FROM (
                SELECT card_id, contact_id, user_id
                  FROM met
                 UNION ALL
                -- who came along was there
                SELECT met.card_id, met.contact_id, rel.user_id
                  FROM met
                  JOIN key_account_visit_participant_rel rel
                    ON rel.visit_id = met.visit_id
               ) AS people
         GROUP BY card_id
    ), covered AS (
        SELECT card_id, COUNT(DISTINCT cell.id) AS cells
          FROM met
          JOIN key_account_tier_cell cell
            ON cell.tier_id = met.tier_id
           AND COALESCE(cell.decision_level = met.decision_level,
                        cell.decision_level IS NULL)
          LEFT JOIN key_account_buying_role_partner_rel role
            ON role.partner_id = met.contact_id
           AND role.role_id = cell.role_id
         WHERE cell.role_id IS NULL OR role.role_id IS NOT NULL
         GROUP BY card_id
    ), required AS (
        SELECT tier_id, COUNT(*) AS cells
          FROM key_account_tier_cell
         GROUP BY tier_id
    )
    """
)
# Expression: what to write on the ``accounts``
RESULT = SQL(
    """
    result AS (
        SELECT accounts.id,
               ROUND(100.0 * COALESCE(covered.cells, 0) / required.cells, 2)
                   AS coverage,
               COALESCE(required.cells, 0) AS required_count,
               COALESCE(covered.cells, 0) AS covered_count,
               COALESCE(threads.contacts, 0) AS met_contact_count,
               COALESCE(threads.users, 0) AS met_user_count,
               COALESCE(threads.contacts = 1 OR threads.users = 1, FALSE)
                   AS is_single_threaded
          FROM accounts
          LEFT JOIN required ON required.tier_id = accounts.tier_id
          LEFT JOIN covered ON covered.card_id = accounts.id
          LEFT JOIN threads ON threads.card_id = accounts.id
    )
    """
)


def update_coverage(env, company, scope, today, partner_ids=None):
    """Count who was met within the tier's period, and in which required cells.

    Contacts count while they are active, at this account and open to this company.

    :param SQL scope: condition on the accounts, ``card``
    :param partner_ids: ids of their customers; None: all of the company
    """
    env.cr.execute(
        SQL(
            """
            WITH todays (company_id, today) AS (VALUES (%(company)s, %(today)s)),
            %(met)s, %(counts)s, %(result)s
            UPDATE key_account card
               SET coverage = result.coverage,
                   required_count = result.required_count,
                   covered_count = result.covered_count,
                   met_contact_count = result.met_contact_count,
                   met_user_count = result.met_user_count,
                   is_single_threaded = result.is_single_threaded
              FROM result
             WHERE result.id = card.id
               AND (card.coverage, card.required_count, card.covered_count,
                    card.met_contact_count, card.met_user_count,
                    card.is_single_threaded)
                   IS DISTINCT FROM
                   (result.coverage, result.required_count, result.covered_count,
                    result.met_contact_count, result.met_user_count,
                    result.is_single_threaded)
            """,
            company=company.id,
            today=today,
            met=_get_met_sql(env, scope, partner_ids),
            counts=COUNTS,
            result=RESULT,
        )
    )


def get_coverage_sql(env, company, tier, today):
    """Return a query for ``partner_id`` and ``coverage``, in percent of the contacts
    that ``tier`` requires, of the accounts of ``company`` that have any of it, whatever
    their own tier.

    :param date today: the last day that counts
    """
    return SQL(
        """
        WITH todays (company_id, today) AS (VALUES (%(company)s, %(today)s::date)),
        %(met)s, %(counts)s
        SELECT accounts.partner_id,
               ROUND(100.0 * covered.cells / required.cells, 2) AS coverage
          FROM covered
          JOIN accounts ON accounts.id = covered.card_id
          JOIN required ON required.tier_id = accounts.tier_id
        """,
        company=company.id,
        today=today,
        met=_get_met_sql(
            env, SQL("card.company_id = %s", company.id), None, SQL("%s", tier.id)
        ),
        counts=COUNTS,
    )


def _get_met_sql(env, scope, partner_ids, tier=None):
    """Return the expressions ``accounts``: those to look at, and ``met``: the contacts
    who were met there, and by whom.

    :param SQL tier: the id of the tier by which it is asked; None: the account's own
    """
    return SQL(
        """
        accounts AS %(kept)s (
            SELECT card.id, card.partner_id, card.company_id, tier.id AS tier_id,
                   COALESCE(tier.coverage_months, %(default)s) AS months
              FROM key_account card
              LEFT JOIN key_account_tier tier ON tier.id = %(tier)s
             WHERE %(scope)s
        ), met AS (
            SELECT accounts.id AS card_id, accounts.tier_id,
                   visit.id AS visit_id, visit.user_id,
                   contact.id AS contact_id, contact.decision_level
              FROM accounts
              JOIN todays ON todays.company_id = accounts.company_id
              JOIN key_account_visit visit
                ON visit.partner_id = accounts.partner_id
               AND visit.company_id = accounts.company_id
               AND visit.state = 'done'
               AND visit.date_done <= todays.today
               AND visit.date_done + make_interval(months => accounts.months)
                   > todays.today
              JOIN key_account_visit_contact_rel rel ON rel.visit_id = visit.id
              JOIN res_partner contact
                ON contact.id = rel.contact_id
               AND contact.commercial_partner_id = accounts.partner_id
               AND %(present)s
                )
        """,
        # A few are looked up first; of all, each use has its own best way.
        kept=SQL("NOT MATERIALIZED" if partner_ids is None else "MATERIALIZED"),
        tier=SQL("card.tier_id") if tier is None else tier,
        default=DEFAULT_MONTHS,
        scope=scope,
        present=get_present_sql(env),
    )
