"""Which level of relationship the evidence supports."""

import json
from collections import Counter

from odoo.tools import SQL

from ...const import LEVEL_NUMBERS, LOWEST_LEVEL, RELATIONSHIP_LEVELS
from ..account.differing import get_columns_sql
from ..account.outsiders import get_outsiders_sql
from .evaluation import get_measured_sql


def get_silent_ladder(criteria):
    """Return {column: SQL} of the ladder where no evidence is known and nobody has
    decided: the same for all such accounts of the company with these criteria."""
    next_level = LEVEL_NUMBERS[LOWEST_LEVEL] + 1
    gap = [
        {"id": criterion.id, "state": "missing", "date": None}
        for criterion in criteria.sorted(lambda c: (c.level_number, c.sequence, c.id))
        if criterion.level_number <= next_level
    ]
    return {
        "relationship_level": SQL("%s", LOWEST_LEVEL),
        "suggested_relationship_level": SQL("%s", LOWEST_LEVEL),
        "relationship_direction": SQL("NULL::varchar"),
        "relationship_gap": SQL("%s::jsonb", json.dumps(gap) if gap else None),
        "is_evidence_fallen": SQL("FALSE"),
        "date_lapse": SQL("NULL::date"),
    }


def update_levels(env, company, scope, today, partner_ids=None):
    """Find the level that the evidence supports: the highest that has criteria of
    its own, while they and all lower ones hold.

    The gap keeps the criteria that fail up to the level in force, or up to the
    next one if that is higher than what is supported.

    Accounts of which nothing is known, on the lowest level, are left alone: they
    were made with what that means (:func:`get_silent_ladder`).

    :param SQL scope: condition on the accounts, ``card``
    :param partner_ids: ids of their customers; None: all of the company
    """
    criteria = env["key.account.relationship.criterion"]._get_criteria(company)
    counts = Counter(criteria.mapped("level_number"))
    silent = get_silent_ladder(criteria)
    env.cr.execute(
        SQL(
            """
            WITH measured AS MATERIALIZED (
                %(measured)s
            ), %(accounts)s, %(numbers)s, %(gaps)s, %(result)s
            UPDATE key_account card
               SET suggested_relationship_level = result.suggested,
                   relationship_direction = result.direction,
                   relationship_gap = result.gap,
                   date_lapse = result.date_lapse,
                   is_evidence_fallen = CASE result.fallen
                       WHEN 'as before' THEN card.is_evidence_fallen
                       ELSE result.fallen = 'yes' END
              FROM result
             WHERE result.id = card.id
               AND ((card.suggested_relationship_level,
                     card.relationship_direction, card.relationship_gap,
                     card.date_lapse)
                    IS DISTINCT FROM
                    (result.suggested, result.direction, result.gap,
                     result.date_lapse)
                    OR result.fallen = 'yes' AND card.is_evidence_fallen IS NOT TRUE
                    OR result.fallen = 'no' AND card.is_evidence_fallen)
            """,
            accounts=_get_accounts_sql(env, company, scope, counts, silent),
            numbers=_get_numbers_sql(counts),
            gaps=_get_gaps_sql(criteria),
            result=_get_result_sql(today),
            measured=get_measured_sql(env, {company.id: today}, partner_ids, criteria),
        )
    )


def _get_accounts_sql(env, company, scope, counts, silent):
    """Return the expressions ``said``: of whom ``measured`` says something above the
    first level, and ``accounts``: those to look at, with their levels."""
    return SQL(
        """
        said AS (
            -- nobody gets above the first level without one of these
            SELECT DISTINCT partner_id
              FROM measured
             WHERE level_number <= %(first)s
        ), accounts AS (
            SELECT card.id, card.partner_id, card.relationship_level AS level,
                   array_position(%(levels)s, card.suggested_relationship_level)
                       AS supported_before,
                   -- contacts have no relationship of their own, and those
                   -- who left, or are none, none to raise or to lower
                   partner.commercial_partner_id = partner.id
                       AND partner.active
                       AND card.is_lost IS NOT TRUE
                       AND card.partner_id NOT IN (%(outsiders)s) AS is_compared
              FROM key_account card
              JOIN res_partner partner ON partner.id = card.partner_id
              LEFT JOIN said ON said.partner_id = card.partner_id
             WHERE %(scope)s
               AND (said.partner_id IS NOT NULL
                    OR (%(names)s) IS DISTINCT FROM (%(silent)s))
        )
        """,
        first=min(counts, default=0),
        levels=_get_levels_sql(),
        outsiders=get_outsiders_sql(env, company),
        scope=scope,
        names=get_columns_sql("card", silent),
        silent=SQL(", ").join(silent.values()),
    )


def _get_numbers_sql(counts):
    """Return the expressions ``held``: how many criteria of each level hold, and
    ``numbers``: the levels of ``accounts`` in force and supported, as numbers."""
    supported, held = _get_supported_sql(counts)
    return SQL(
        """
        held AS (
            SELECT partner_id %(held)s
              FROM measured
             WHERE state = 'holds'
             GROUP BY partner_id
        ), numbers AS (
            SELECT accounts.id, partner_id, level, supported_before,
                   is_compared,
                   array_position(%(levels)s, level::varchar) AS number,
                   %(supported)s AS supported
              FROM accounts
              LEFT JOIN held USING (partner_id)
        )
        """,
        levels=_get_levels_sql(),
        supported=supported,
        held=held,
    )


def _get_gaps_sql(criteria):
    """Return the expression ``gaps``: the criteria that fail, see
    :func:`update_levels`."""
    return SQL(
        """
        gaps AS (
            SELECT numbers.id,
                   jsonb_agg(
                       jsonb_build_object(
                           'id', criterion.id,
                           'state', COALESCE(state, 'missing'),
                           'date', CASE state WHEN 'lapsed' THEN date_lapse END)
                       ORDER BY criterion.level_number, criterion.sequence,
                                criterion.id) AS gap
              FROM numbers
              JOIN key_account_relationship_criterion criterion
                ON criterion.id = ANY(%(criteria)s)
               AND criterion.level_number <= GREATEST(number, supported + 1)
              LEFT JOIN measured
                     ON measured.partner_id = numbers.partner_id
                    AND measured.criterion_id = criterion.id
             WHERE state IS DISTINCT FROM 'holds'
             GROUP BY numbers.id
        )
        """,
        criteria=criteria.ids,
    )


def _get_result_sql(today):
    """Return the expression ``result``: what to write on the accounts."""
    return SQL(
        """
        result AS (
            SELECT numbers.id, (%(levels)s)[supported] AS suggested,
                   CASE WHEN NOT is_compared THEN NULL
                        WHEN supported > number THEN 'promotion'
                        WHEN supported < number THEN 'demotion'
                   END AS direction,
                   CASE WHEN NOT is_compared OR supported >= number THEN 'no'
                        WHEN supported_before >= number THEN 'yes'
                        ELSE 'as before'
                   END AS fallen,
                   gap, lapses.date_lapse
              FROM numbers
              LEFT JOIN gaps ON gaps.id = numbers.id
              LEFT JOIN (
                    SELECT partner_id, MIN(date_lapse) AS date_lapse
                      FROM measured
                     WHERE date_lapse > %(today)s
                     GROUP BY partner_id
                   ) AS lapses ON lapses.partner_id = numbers.partner_id
        )
        """,
        levels=_get_levels_sql(),
        today=today,
    )


def _get_levels_sql():
    """Return the levels, the lowest first, as an array."""
    return SQL(
        "ARRAY[%s]::varchar[]",
        SQL(", ").join(SQL("%s", level) for level, _ in RELATIONSHIP_LEVELS),
    )


def _get_supported_sql(counts):
    """Return the highest level that is supported, as an SQL expression over the columns
    ``level_N``, and these: how many criteria of level N hold, as further columns
    of a query by customer.

    :param dict counts: how many criteria there are by level number
    """
    supported = SQL("1")
    holding = SQL("TRUE")
    for number in sorted(counts):
        holding = SQL(
            "%s AND COALESCE(level_%s, 0) = %s", holding, number, counts[number]
        )
        supported = SQL("CASE WHEN %s THEN %s ELSE %s END", holding, number, supported)
    held = SQL("").join(
        SQL(", COUNT(*) FILTER (WHERE level_number = %s) AS level_%s", number, number)
        for number in counts
    )
    return supported, held
