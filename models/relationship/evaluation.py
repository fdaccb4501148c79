"""What there is to say about criteria: of all accounts and criteria in one query."""

from odoo.tools import SQL

from ..account import clock
from .measures import Scope, get_contacts_met_sql, get_queries


def get_measured_sql(env, days, partner_ids=None, criteria=None):
    """Return a query for what there is to say about criteria: at most a row per account
    and criterion, none where there is nothing to be found. A company's criteria are
    asked for in its branches too, also in those that are apart, as its policy is.

    Columns: ``partner_id``, ``company_id``, ``criterion_id``, ``level_number``,
    ``sequence``, ``state`` (``holds``, ``lapsed``, ``missing``), ``actual`` (the
    figure, where there is one), ``date`` (of the latest proof), ``date_lapse`` (first
    day on which it proves nothing any more), ``evidence_id``.

    :param dict days: today's date per company id, one at least
    :param partner_ids: limit to these customers
    :param criteria: of these companies, if they are known
    """
    companies = env["res.company"].sudo().browse(days)
    if criteria is None:
        criteria = env["key.account.relationship.criterion"]._get_criteria(companies)
    scope = Scope(days, partner_ids)
    measures = [
        _name_columns(query, SQL("%s", criterion_id))
        for criterion_id, query in get_queries(criteria, scope).items()
    ]
    measures.append(
        _name_columns(_get_judged_sql(scope), SQL("criterion_id"), SQL("evidence_id"))
    )
    todays = SQL(", ").join(
        SQL(
            "(%s, %s::date, %s, %s::int[])",
            company.id,
            days[company.id],
            clock.get_sql_timezone(company),
            company.parent_ids.ids,
        )
        for company in companies
    )
    return SQL(
        """
        WITH todays (company_id, today, tz, asking_ids) AS (VALUES %(todays)s),
        met AS (%(met)s)
        SELECT measured.partner_id, measured.company_id, measured.criterion_id,
               criterion.level_number, criterion.sequence,
               CASE WHEN measured.holds THEN 'holds'
                    WHEN measured.date_lapse <= todays.today THEN 'lapsed'
                    ELSE 'missing'
               END AS state,
               measured.actual, measured.date, measured.date_lapse,
               measured.evidence_id
          FROM (%(measures)s) AS measured
          JOIN todays ON todays.company_id = measured.company_id
          JOIN key_account_relationship_criterion criterion
            ON criterion.id = measured.criterion_id
           AND (criterion.company_id IS NULL
                OR criterion.company_id = ANY(todays.asking_ids))
         WHERE criterion.id = ANY(%(criteria)s)
        """,
        todays=todays,
        met=get_contacts_met_sql(env, scope),
        criteria=criteria.ids,
        measures=SQL(" UNION ALL ").join(measures),
    )


def get_status_sql(env, days, partner_ids=None):
    """Return a query with a row per account and criterion, also for what is missing
    altogether: the columns of :func:`get_measured_sql`, and ``card_id`` and
    ``user_id``."""
    companies = env["res.company"].sudo().browse(days)
    accounts = SQL("card.company_id = ANY(%s)", companies.ids)
    if partner_ids is not None:
        accounts = SQL("%s AND card.partner_id = ANY(%s)", accounts, partner_ids)
    return SQL(
        """
        SELECT card.id AS card_id, card.partner_id, card.company_id, card.user_id,
               criterion.id AS criterion_id, criterion.level_number,
               criterion.sequence, COALESCE(measured.state, 'missing') AS state,
               measured.actual, measured.date, measured.date_lapse,
               measured.evidence_id
          FROM key_account card
          JOIN (VALUES %(asking)s) AS asking (company_id, ids)
            ON asking.company_id = card.company_id
          JOIN key_account_relationship_criterion criterion
            ON criterion.id = ANY(%(criteria)s)
           AND (criterion.company_id IS NULL OR criterion.company_id = ANY(asking.ids))
          LEFT JOIN (%(measured)s) AS measured
            ON measured.partner_id = card.partner_id
           AND measured.company_id = card.company_id
           AND measured.criterion_id = criterion.id
         WHERE %(accounts)s
        """,
        criteria=env["key.account.relationship.criterion"]._get_criteria(companies).ids,
        asking=SQL(", ").join(
            SQL("(%s, %s::int[])", company.id, company.parent_ids.ids)
            for company in companies
        ),
        measured=get_measured_sql(env, days, partner_ids),
        accounts=accounts,
    )


def _name_columns(query, criterion_id, evidence_id=None):
    """Return a measure's query with its columns by name, in the one order and of the
    types that all of them have: however the measure itself lists them."""
    return SQL(
        """
        SELECT partner_id, company_id, %(criterion_id)s AS criterion_id, holds,
               actual::numeric AS actual, date::date AS date,
               date_lapse::date AS date_lapse, %(evidence_id)s AS evidence_id
          FROM (%(query)s) AS measure
        """,
        criterion_id=criterion_id,
        evidence_id=evidence_id or SQL("NULL::int"),
        query=query,
    )


def _get_judged_sql(scope):
    """Return the latest word on each judged criterion: the columns of a measure, and
    ``criterion_id`` and ``evidence_id``.

    A withdrawn one holds no more, and counts only where there is no other: what had
    been said of earlier days was withdrawn with it, and whoever mistook the day says it
    again.
    """
    return SQL(
        """
        SELECT partner_id, company_id, criterion_id, date_lapse > today AS holds,
               NULL AS actual, date, date_lapse, evidence_id
          FROM (
                SELECT DISTINCT ON (evidence.partner_id, evidence.company_id,
                                    evidence.criterion_id)
                       evidence.partner_id, evidence.company_id,
                       evidence.criterion_id, evidence.date, todays.today,
                       LEAST(evidence.date_withdrawn,
                             evidence.date + make_interval(months => judged.months)
                       )::date AS date_lapse,
                       evidence.id AS evidence_id
                  FROM key_account_relationship_evidence evidence
                  JOIN key_account_relationship_criterion judged
                    ON judged.id = evidence.criterion_id AND judged.kind = 'judged'
                  JOIN todays ON todays.company_id = evidence.company_id
                 WHERE evidence.date <= todays.today
                   AND %s
                 ORDER BY evidence.partner_id, evidence.company_id,
                          evidence.criterion_id,
                          evidence.date_withdrawn IS NOT NULL,
                          evidence.date DESC, evidence.id DESC
               ) AS latest
        """,
        scope.among("evidence", "partner_id"),
    )
