"""What a run of a policy would do: the run itself, within a trial that is undone."""

from odoo.tools import SQL

from ..account.trial import is_trial
from .moves import Moves


class TriedMoves(Moves):
    """The moves of a trial: who moves is decided by the same query, but nobody hears of
    it, since it won't have happened. Proposals count as applied."""

    def apply(self):
        changes = self.env["key.account.tier.change"]
        self.env.cr.execute("DROP TABLE IF EXISTS key_account_tried_move")
        self.env.cr.execute(
            SQL(
                "CREATE TEMP TABLE key_account_tried_move ON COMMIT DROP AS %s",
                self._get_wanted_moves_sql(self._get_moves_sql()),
            )
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account account
                   SET tier_id = to_tier_id, tier_since = %s
                  FROM key_account_tried_move move
                 WHERE account.partner_id = move.partner_id
                   AND account.company_id = %s
                """,
                self.today,
                self.company.id,
            )
        )
        return changes


def get_moves(policy, company, today):
    """Return who carries out the moves of a run: those of a trial aren't recorded."""
    moves = TriedMoves if is_trial(policy.env) else Moves
    return moves(policy, company, today)


class WhatIf:
    """A run of a policy in a company, within a trial, and what it has changed.

    :ivar policy: the policy, in force
    :ivar company: the company whose accounts it moves
    """

    def __init__(self, policy, company):
        self.policy = policy.sudo()
        self.env = self.policy.env
        self.company = company.sudo()

    def run(self):
        """Run the policy.

        :return: a dict of ``moves`` and ``tiers``, in JSON, and ``loads`` before and
            after, see :meth:`key.account.load._get_loads`; None where no visits are
            planned
        """
        is_planned = self.company.key_account_planning
        loads = self.env["key.account.load"]
        visits = []
        if is_planned:
            is_kept = self.env["key.account.due"]._is_kept(self.company)
            visits.append(loads._get_visits(self.company, is_kept))
        self._remember()
        self.policy._run_tiers(self.company)
        if is_planned:
            visits.append(loads._get_visits(self.company, False))
        return {
            "moves": self._get_moves_json(),
            "tiers": self._get_tiers_json(),
            "loads": loads._get_loads(self.company, *visits) if visits else None,
        }

    def _remember(self):
        """Keep the accounts as they are before the run."""
        self.env.flush_all()
        self.env.cr.execute("DROP TABLE IF EXISTS key_account_before")
        self.env.cr.execute(
            SQL(
                """
                CREATE TEMP TABLE key_account_before ON COMMIT DROP AS
                SELECT partner_id, is_account, tier_id, revenue, %s AS figure
                  FROM key_account
                 WHERE company_id = %s
                """,
                SQL.identifier(self.policy._get_figure()),
                self.company.id,
            )
        )
        self.env.cr.execute("ANALYZE key_account_before")

    def _get_moved_sql(self):
        """Return a query for the accounts that have another tier than before the run.

        Columns are those of ``key.account.tier.preview.line``.
        """
        return SQL(
            """
            SELECT account.partner_id, account.user_id, account.company_id,
                   before.tier_id AS from_tier_id, account.tier_id AS to_tier_id,
                   account.%(metric)s AS figure, before.figure AS earlier_figure,
                   before.figure IS NOT NULL AS has_earlier_figure,
                   COALESCE(move.boundary, 0) AS boundary, account.rank
              FROM key_account account
              LEFT JOIN key_account_before before
                     ON before.partner_id = account.partner_id
              LEFT JOIN key_account_tried_move move
                     ON move.partner_id = account.partner_id
             WHERE account.company_id = %(company)s
               AND account.tier_id IS DISTINCT FROM before.tier_id
            """,
            metric=SQL.identifier(self.policy._get_figure()),
            company=self.company.id,
        )

    def _get_places_sql(self):
        """Return rows (tier id, its place in its policy, its name) for a VALUES list:
        names and places may be those of a form that isn't saved. Accounts may be in
        tiers that aren't used any more."""
        tiers = self.env["key.account.tier"].with_context(active_test=False).search([])
        places = dict(self.env.execute_query(tiers._get_places_sql()))
        rows = [SQL("(NULL::int, NULL::int, NULL::varchar)")]
        rows += [
            SQL("(%s, %s, %s)", each.id, places[each.id], each.name) for each in tiers
        ]
        return SQL(", ").join(rows)

    def _get_moves_json(self):
        """Return the accounts that have another tier than before the run, in JSON: as
        a text, a hundred thousand take PostgreSQL less time than Odoo their ids."""
        ((text,),) = self.env.execute_query(
            SQL(
                """
                WITH places (tier_id, place, name) AS (VALUES %(places)s)
                SELECT COALESCE(json_agg(lines), '[]')::text
                  FROM (
                        SELECT moved.*, source.name AS from_name,
                               target.name AS to_name,
                               CASE WHEN moved.from_tier_id IS NULL THEN 'new'
                                    WHEN moved.to_tier_id IS NULL THEN 'out'
                                    WHEN target.place < source.place THEN 'up'
                                    WHEN target.place > source.place THEN 'down'
                                    ELSE 'same' END AS direction
                          FROM (%(moved)s) AS moved
                          LEFT JOIN places source
                                 ON source.tier_id = moved.from_tier_id
                          LEFT JOIN places target
                                 ON target.tier_id = moved.to_tier_id
                         ORDER BY moved.rank, moved.partner_id
                       ) AS lines
                """,
                places=self._get_places_sql(),
                moved=self._get_moved_sql(),
            )
        )
        return text

    def _get_tiers_json(self):
        """Return the pyramid in JSON: number and revenue of the accounts of each tier,
        before and after the run."""
        ((text,),) = self.env.execute_query(
            SQL(
                """
                WITH places (tier_id, place, name) AS (VALUES %(places)s),
                accounts AS (
                    SELECT tier_id, 1 AS count_before, 0 AS count_after,
                           revenue AS revenue_before, 0 AS revenue_after
                      FROM key_account_before
                     WHERE is_account
                     UNION ALL
                    SELECT tier_id, 0, 1, 0, revenue
                      FROM key_account
                     WHERE company_id = %(company)s AND is_account
                     UNION ALL
                    -- also those that are empty
                    SELECT unnest(%(tiers)s), 0, 0, 0, 0
                ), pyramid AS (
                    SELECT tier_id, SUM(count_before) AS count_before,
                           SUM(count_after) AS count_after,
                           COALESCE(SUM(revenue_before), 0) AS revenue_before,
                           COALESCE(SUM(revenue_after), 0) AS revenue_after
                      FROM accounts
                     GROUP BY tier_id
                )
                SELECT json_agg(lines)::text
                  FROM (
                        SELECT %(company)s AS company_id, %(currency)s AS currency_id,
                               places.name,
                               -- the policy's own first, no tier last
                               CASE WHEN pyramid.tier_id = ANY(%(own)s)
                                    THEN places.place
                                    ELSE 1000 + COALESCE(places.place, 1000)
                               END AS sequence,
                               count_before, count_after, revenue_before, revenue_after,
                               COALESCE(100 * count_before
                                   / NULLIF(SUM(count_before) OVER (), 0), 0)
                                   AS share_before,
                               COALESCE(100 * count_after
                                   / NULLIF(SUM(count_after) OVER (), 0), 0)
                                   AS share_after,
                               COALESCE(100 * revenue_before
                                   / NULLIF(SUM(revenue_before) OVER (), 0), 0)
                                   AS revenue_share_before,
                               COALESCE(100 * revenue_after
                                   / NULLIF(SUM(revenue_after) OVER (), 0), 0)
                                   AS revenue_share_after
                          FROM pyramid
                          LEFT JOIN places ON places.tier_id = pyramid.tier_id
                       ) AS lines
                """,
                places=self._get_places_sql(),
                tiers=self.policy._get_tiers().ids,
                own=self.policy.with_context(active_test=False).tier_ids.ids,
                company=self.company.id,
                currency=self.company.currency_id.id,
            )
        )
        return text
