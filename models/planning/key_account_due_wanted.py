from odoo import api, models
from odoo.tools import SQL

from ...const import NO_AMOUNT
from ..account import bounds, clock
from ..account.outsiders import get_outsiders_sql
from .key_account_cadence import CALL_TRACKS


class KeyAccountDue(models.Model):
    """What the cadence asks for: a query of common table expressions, a method for
    each."""

    _inherit = "key.account.due"

    # -------------------------------------------------------------------------
    # What the cadence asks for
    # -------------------------------------------------------------------------

    @api.model
    def _get_wanted_sql(
        self, company, partner_ids=None, lead_ids=None, today=None, planning=False
    ):
        """Return a query for what the cadence asks for: the columns of the rows; see
        :meth:`_refresh`.

        Accounts that nobody visited so far are spread evenly over their first interval
        by their ids, so that switching the addon on doesn't put ten thousand visits on
        one morning. The day depends on the calendar and the id alone: asking again
        tomorrow gives the same one until it has passed. Once asked for, because it came
        within the horizon or a visit was planned, it stays, whatever the interval.
        """
        here = clock.get_today(company)
        books = company._get_key_account_branches().ids
        # ``today`` given: it is everybody's
        days_off = self._get_days_off_sql(None if today else here)
        today = today or here
        return SQL(
            """
            WITH %(days_off)s, %(lines)s, subjects AS MATERIALIZED (%(subjects)s
            ), %(matched)s, %(asked)s, %(responsibles)s,
            history AS MATERIALIZED (%(history)s
            ), %(dated)s, %(dates)s
            SELECT partner_id, lead_id, track, account_id, %(company)s AS company_id,
                   cadence_id, loss_id, tier_id, level AS relationship_level,
                   stage AS engagement_stage, account_user_id, user_id, team_id, days,
                   on_route,
                   -- whoever is to correct it sees it in the backlog at once
                   CASE WHEN is_invalid
                        THEN LEAST(date_due, COALESCE(today, %(today)s))
                        ELSE date_due END AS date_due,
                   CASE WHEN last_done IS NULL THEN COALESCE(since, date_due)
                        ELSE date_due END AS date_since,
                   -- until the next visit
                   GREATEST(
                       CASE WHEN last_done IS NULL OR last_escalated > last_done
                            THEN last_escalated END,
                       CASE WHEN last_done IS NULL OR old_escalated > last_done
                            THEN old_escalated END) AS date_escalated,
                   CASE WHEN planned_id IS NULL
                        THEN CASE WHEN is_invalid THEN 'data'
                                  ELSE COALESCE(NULLIF(old_reason, 'data'),
                                                %(new_reason)s) END END AS reason,
                   planned_id AS visit_id
              FROM due
            """,
            days_off=days_off,
            lines=self._get_lines_sql(company),
            subjects=self._get_subjects_sql(company, books, partner_ids, lead_ids),
            matched=self._get_matched_sql(),
            asked=self._get_asked_sql(),
            responsibles=self._get_responsibles_sql(company, books, SQL("asked")),
            history=self._get_history_sql(company, partner_ids, lead_ids),
            dated=self._get_dated_sql(company, partner_ids, lead_ids),
            dates=self._get_dates_sql(company, today),
            company=company.id,
            today=today,
            new_reason=self._get_new_reason_sql(company, today, planning),
        )

    @api.model
    def _get_days_off_sql(self, here):
        """Return the expression ``days_off``: today's date of those whose day isn't the
        company's.

        :param here: the company's day; None: nobody has another one
        """
        days = clock.get_days_elsewhere(here) if here else {}
        return SQL(
            """
            days_off AS MATERIALIZED (
                SELECT users.id AS user_id, zones.today
                  FROM res_users users
                  JOIN res_partner partner ON partner.id = users.partner_id
                  JOIN (VALUES %s) AS zones (tz, today) ON zones.tz = partner.tz
                 WHERE users.active
                   AND users.share IS NOT TRUE
            )
            """,
            SQL(", ").join(
                SQL("(%s, %s::date)", zone, day)
                for zone, day in {None: None, **days}.items()
            ),
        )

    @api.model
    def _get_lines_sql(self, company):
        """Return the expressions ``lines``: the cadence of ``company``, with intervals
        in days and as spans, and ``tracks`` that have a line."""
        return SQL(
            """
            lines AS (
                SELECT id, sequence, tier_id, relationship_level, engagement_stage,
                       track, on_route,
                       interval_count * CASE interval_unit WHEN 'day' THEN 1
                           WHEN 'week' THEN 7 ELSE 30 END AS days,
                       CASE interval_unit
                           WHEN 'month' THEN make_interval(months => interval_count)
                           WHEN 'week' THEN make_interval(days => 7 * interval_count)
                           ELSE make_interval(days => interval_count) END AS span
                  FROM key_account_cadence
                 WHERE active
                   AND (company_id = ANY(%(companies)s) OR company_id IS NULL)
                   AND interval_count BETWEEN 1 AND %(max_days)s
            ), tracks AS (
                SELECT DISTINCT track FROM lines
            )
            """,
            companies=company.sudo().parent_ids.ids,
            max_days=bounds.MAX_DAYS,
        )

    @api.model
    def _get_matched_sql(self):
        """Return the expressions ``kinds`` of ``subjects``, and ``matched``: for each
        kind the first line of a track that fits it."""
        return SQL(
            """
            kinds AS MATERIALIZED (
                -- few: what a line looks at
                SELECT DISTINCT tier_id, level, stage, own_days > 0 AS has_own,
                       loss_id IS NOT NULL AS is_lost
                  FROM subjects
            ), matched AS MATERIALIZED (
                -- who has an interval of its own, or is to be won back, needs no line
                -- for its tier: any line of the track says how the visit is made
                SELECT kinds.*, tracks.track, line.id AS cadence_id, line.days,
                       line.span,
                       -- to the day of winning it back, which a person named, there
                       -- is a trip of its own
                       line.on_route IS TRUE AND tracks.track != ALL(%s)
                           AND NOT kinds.is_lost AS on_route
                  FROM kinds
                 CROSS JOIN tracks
                  JOIN LATERAL (
                        SELECT *
                          FROM (
                                SELECT lines.*,
                                       (tier_id IS NULL
                                        OR tier_id IS NOT DISTINCT FROM kinds.tier_id)
                                       AND (relationship_level IS NULL
                                            OR relationship_level = kinds.level)
                                       AND (engagement_stage IS NULL
                                            OR engagement_stage = kinds.stage)
                                       AS is_match
                                  FROM lines
                                 WHERE lines.track = tracks.track
                               ) AS candidates
                         WHERE is_match OR kinds.is_lost
                               OR kinds.has_own AND tracks.track = 'visit'
                         ORDER BY is_match DESC, sequence, id
                         LIMIT 1
                       ) AS line ON TRUE
            )
            """,
            CALL_TRACKS,
        )

    @api.model
    def _get_asked_sql(self):
        """Return the expression ``asked``: ``subjects`` with the track, line and
        interval on which each is to be visited."""
        return SQL(
            """
            asked AS (
                SELECT subjects.*,
                       -- a lead that has no customer: its id, below zero
                       COALESCE(partner_id, -lead_id) AS key,
                       has_invalid_amounts IS TRUE
                           OR has_invalid_interval IS TRUE AND matched.track = 'visit'
                           AS is_invalid,
                       matched.track, matched.cadence_id, matched.on_route,
                       CASE WHEN matched.track = 'visit' AND own_days > 0
                            THEN own_days ELSE days END AS days,
                       CASE WHEN matched.track = 'visit' AND own_days > 0
                            THEN make_interval(days => own_days) ELSE span END AS span
                  FROM subjects
                  JOIN matched
                    ON matched.tier_id IS NOT DISTINCT FROM subjects.tier_id
                   AND matched.level = subjects.level
                   AND matched.stage = subjects.stage
                   AND matched.has_own = (own_days > 0)
                   AND matched.is_lost = (subjects.loss_id IS NOT NULL)
                 WHERE (is_wanted OR own_days > 0 AND matched.track = 'visit')
                   -- nobody visits a lost account, but to win it back
                   AND (loss_id IS NULL
                        OR matched.track = 'visit' AND date_win_back IS NOT NULL
                           AND is_won_back IS NOT TRUE)
            )
            """
        )

    @api.model
    def _get_dated_sql(self, company, partner_ids, lead_ids):
        """Return the expressions ``old``: what the rows say, and ``dated``:
        ``responsibles`` with it, with ``history``, and with a day of their own."""
        return SQL(
            """
            old AS MATERIALIZED (
                SELECT COALESCE(due.partner_id, -due.lead_id) AS key, due.track,
                       due.date_since, due.days, due.date_escalated, due.reason
                  FROM key_account_due due
                 -- a lead may come from another company
                 WHERE (due.company_id = %(company)s OR due.partner_id IS NULL)
                   AND %(scope)s
            ), dated AS (
                SELECT responsibles.*,
                       last_done, last_resume, last_cancelled, first_asked,
                       last_escalated, planned_id, days_off.today,
                       old.date_since AS old_since, old.days AS old_days,
                       old.date_escalated AS old_escalated, old.reason AS old_reason
                  FROM responsibles
                  LEFT JOIN history
                    ON history.track = responsibles.track
                   AND history.key = responsibles.key
                  LEFT JOIN days_off ON days_off.user_id = responsibles.user_id
                  LEFT JOIN old
                    ON old.track = responsibles.track AND old.key = responsibles.key
            )
            """,
            company=company.id,
            scope=self._get_scope_sql(partner_ids, lead_ids),
        )

    @api.model
    def _get_dates_sql(self, company, today):
        """Return the expressions ``waiting``: ``dated`` with the day to come back and
        since when it is asked for, and ``due``, with the due date."""
        return SQL(
            """
            waiting AS (
                SELECT dated.*,
                       CASE WHEN loss_id IS NULL
                            -- counts when it was given after the last visit
                            THEN CASE WHEN last_done IS NULL
                                           OR last_cancelled > last_done
                                      THEN last_resume
                                      WHEN last_cancelled = last_done
                                      THEN (%(latest_of_day)s) END
                            -- GREATEST skips what is empty
                            ELSE GREATEST(date_win_back, loss_resume)
                            END AS resume,
                       CASE WHEN last_done IS NULL THEN LEAST(
                            first_asked,
                            CASE WHEN old_days = days
                                      OR old_since <= COALESCE(today, %(today)s)
                                                      + %(horizon)s
                                 THEN old_since END) END AS since,
                       COALESCE(partner_id, lead_id)
                           - (COALESCE(today, %(today)s) - DATE '0001-01-01' + 1)
                           AS spread
                  FROM dated
            ), due AS (
                SELECT waiting.*,
                       -- one day out of the calendar would stop all others
                       LEAST(%(last_day)s, GREATEST(%(first_day)s, COALESCE(
                           resume, (last_done + span)::date, since,
                           -- as Python's remainder: never below zero
                           COALESCE(today, %(today)s)
                               + mod(mod(spread, days) + days, days)
                       ))) AS date_due
                  FROM waiting
            )
            """,
            latest_of_day=self._get_latest_of_day_sql(company),
            first_day=bounds.FIRST_DAY,
            last_day=bounds.LAST_DAY,
            today=today,
            horizon=company.sudo().key_account_horizon_days,
        )

    @api.model
    def _get_new_reason_sql(self, company, today, planning):
        """Return the reason to wait that most of those have in the end who come within
        the horizon; none unless planning is about to look for days."""
        if not planning:
            return SQL("NULL")
        return SQL(
            """
            CASE WHEN date_due <= COALESCE(today, %s) + %s
                 THEN CASE WHEN on_route THEN 'route' ELSE 'capacity' END END
            """,
            today,
            company.sudo().key_account_horizon_days,
        )

    # -------------------------------------------------------------------------
    # Whom it may ask for
    # -------------------------------------------------------------------------

    @api.model
    def _get_subjects_sql(self, company, books, partner_ids=None, lead_ids=None):
        """Return a query for whom the cadence may ask: accounts, and open leads that
        have no customer yet.

        :param books: ids of the companies whose customers they may be
        """
        queries = []
        if is_asked(partner_ids):
            queries.append(self._get_accounts_sql(company, books, partner_ids))
        if is_asked(lead_ids):
            queries.append(self._get_leads_sql(company, lead_ids))
        return SQL(" UNION ALL ").join(queries)

    @api.model
    def _get_accounts_sql(self, company, books, partner_ids):
        """Return the query of :meth:`_get_subjects_sql` for accounts."""
        return SQL(
            """
            SELECT card.partner_id, NULL::int AS lead_id, card.id AS account_id,
                   card.tier_id,
                   card.relationship_level AS level,
                   COALESCE(card.engagement_stage, 'target') AS stage,
                   partner.user_id AS account_user_id,
                   LEAST(GREATEST(card.visit_interval_days, 0), %(max_days)s)
                       AS own_days,
                   card.executive_sponsor_id AS sponsor_id,
                   loss.id AS loss_id, loss.date_win_back,
                   loss.resume AS loss_resume, loss.is_done AS is_won_back,
                   card.visit_interval_days NOT BETWEEN 0 AND %(max_days)s
                       AS has_invalid_interval,
                   card.has_invalid_amounts,
                   card.is_account OR card.tier_id IS NOT NULL
                       OR card.relationship_level != 'transactional'
                       OR loss.id IS NOT NULL AS is_wanted
              FROM key_account card
              JOIN res_partner partner
                ON partner.id = card.partner_id
               AND partner.commercial_partner_id = partner.id
               AND partner.active
               AND (partner.company_id IS NULL
                    OR partner.company_id = ANY(%(books)s))
              LEFT JOIN (%(losses)s) AS loss
                ON loss.partner_id = card.partner_id
             WHERE card.company_id = %(company)s
               AND card.partner_id NOT IN (%(outsiders)s)
               AND %(scope)s
            """,
            outsiders=get_outsiders_sql(self.env, company),
            books=books,
            losses=self._get_losses_sql(company, partner_ids),
            company=company.id,
            max_days=bounds.MAX_DAYS,
            scope=SQL("TRUE")
            if partner_ids is None
            else SQL("card.partner_id = ANY(%s)", list(partner_ids)),
        )

    @api.model
    def _get_leads_sql(self, company, lead_ids):
        """Return the query of :meth:`_get_subjects_sql` for leads."""
        return SQL(
            """
            SELECT NULL::int AS partner_id, lead.id AS lead_id,
                   NULL::int AS account_id, lead.account_tier_id AS tier_id,
                   COALESCE(lead.relationship_level, 'transactional') AS level,
                   COALESCE(lead.engagement_stage, 'target') AS stage,
                   lead.user_id AS account_user_id, 0 AS own_days,
                   NULL::int AS sponsor_id, NULL::int AS loss_id,
                   NULL::date AS date_win_back, NULL::date AS loss_resume,
                   NULL::boolean AS is_won_back,
                   FALSE AS has_invalid_interval,
                   abs(lead.expected_revenue) >= %(most)s AS has_invalid_amounts,
                   TRUE AS is_wanted
              FROM crm_lead lead
              LEFT JOIN crm_team team ON team.id = lead.team_id
              LEFT JOIN res_users owner ON owner.id = lead.user_id
             WHERE lead.active
               AND lead.partner_id IS NULL
               AND lead.won_status = 'pending'
               AND lead.account_tier_id IS NOT NULL
               AND %(lead_company)s = %(company)s
               AND %(scope)s
            """,
            lead_company=self.env["crm.lead"]._get_key_account_company_sql(),
            most=NO_AMOUNT,
            company=company.id,
            scope=SQL("TRUE")
            if lead_ids is None
            else SQL("lead.id = ANY(%s)", list(lead_ids)),
        )

    @api.model
    def _get_losses_sql(self, company, partner_ids=None):
        """Return a query for the lost accounts, and what came of winning them back:
        whether the visit took place, also a few days before the day that was asked
        for, and the day to come back if it was cancelled."""
        return SQL(
            """
            SELECT loss.id, loss.partner_id, loss.date_win_back,
                   win_back.is_done, win_back.resume
              FROM key_account_loss loss
              LEFT JOIN LATERAL (
                    SELECT BOOL_OR(state = 'done'
                                   AND (loss_id = loss.id
                                        OR date_done >= loss.date_win_back)) AS is_done,
                           (ARRAY_AGG(date_resume ORDER BY date_cancelled DESC, id DESC)
                               FILTER (WHERE state = 'cancelled'
                                       AND date_resume IS NOT NULL
                                       AND loss_id = loss.id))[1]
                               AS resume
                      FROM key_account_visit
                     WHERE partner_id = loss.partner_id
                       AND company_id = loss.company_id
                       AND track = 'visit'
                   ) AS win_back ON TRUE
             WHERE loss.company_id = %s
               AND loss.date_returned IS NULL
               AND %s
            """,
            company.id,
            SQL("TRUE")
            if partner_ids is None
            else SQL("loss.partner_id = ANY(%s)", list(partner_ids)),
        )

    # -------------------------------------------------------------------------
    # What happened so far
    # -------------------------------------------------------------------------

    @api.model
    def _get_history_sql(self, company, partner_ids=None, lead_ids=None):
        """Return a query for what happened on each track: the last done visit, the day
        to come back of the last one that a person cancelled, unless it was to win the
        account back, which may have returned since; the last escalation; what was asked
        for first; and the planned visit."""
        queries = []
        for column, sign, ids, own in (
            ("partner_id", SQL(""), partner_ids, SQL("TRUE")),
            # a visit at the customer of a lead is no plan for the lead
            ("lead_id", SQL("-"), lead_ids, SQL("partner_id IS NULL")),
        ):
            if not is_asked(ids):
                continue
            key = SQL.identifier(column)
            queries.append(
                SQL(
                    """
                    SELECT %(sign)s%(key)s AS key, track,
                           MAX(date_done) FILTER (WHERE state = 'done') AS last_done,
                           MAX(date_cancelled)
                               FILTER (WHERE date_resume IS NOT NULL
                                       AND loss_id IS NULL) AS last_cancelled,
                           (ARRAY_AGG(date_resume ORDER BY date_cancelled DESC, id DESC)
                               FILTER (WHERE date_resume IS NOT NULL
                                       AND loss_id IS NULL))[1] AS last_resume,
                           MAX(date_escalated) AS last_escalated,
                           MIN(date_due) FILTER (WHERE state IN ('planned', 'missed'))
                               AS first_asked,
                           MIN(id) FILTER (WHERE state = 'planned' AND %(own)s)
                               AS planned_id
                      FROM key_account_visit
                     WHERE company_id = %(company)s
                       AND %(scope)s
                     GROUP BY %(key)s, track
                    """,
                    sign=sign,
                    own=own,
                    company=company.id,
                    scope=SQL("%s IS NOT NULL", key)
                    if ids is None
                    else SQL("%s = ANY(%s)", key, list(ids)),
                    key=key,
                )
            )
        return SQL(" UNION ALL ").join(queries)

    @api.model
    def _get_latest_of_day_sql(self, company):
        """Return a query for the day to come back of the row ``dated``, whose last
        visit was on the day on which somebody named it: none if the visit came
        afterwards."""
        return SQL(
            """
            SELECT date_resume
              FROM key_account_visit closed
             WHERE (closed.partner_id = dated.partner_id
                    OR dated.partner_id IS NULL AND closed.lead_id = dated.lead_id)
               AND closed.company_id = %s
               AND closed.track = dated.track
               AND (closed.state = 'done' AND closed.date_done = dated.last_done
                    OR closed.state = 'cancelled'
                       AND closed.date_cancelled = dated.last_done
                       AND closed.date_resume IS NOT NULL
                       AND closed.loss_id IS NULL)
             -- nobody knows the moment of what was closed long ago
             ORDER BY closed.closed_at DESC NULLS LAST, closed.id DESC
             LIMIT 1
            """,
            company.id,
        )


def is_asked(ids):
    """Return whether there is anybody in ``ids``; None stands for everybody."""
    return ids is None or bool(ids)
