from collections import defaultdict
from datetime import date, timedelta
from typing import NamedTuple

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from ...const import NO_RANK, STAGE_NUMBERS
from ...engine import cadence as engine
from ...engine import planner
from ..account import clock
from ..account.differing import write_differing
from ..account.key_account_mixin import get_account_keys
from ..account.receiving import get_receiving
from .key_account_agenda import MODE_LOADS
from .key_account_cadence import CALL_TRACKS, TRACK_MODES

# Without what can't be planned before somebody corrects it
PLANNABLE = SQL("due.reason IS DISTINCT FROM 'data'")


class Wanted(NamedTuple):
    """A row of what is due that wants a day."""

    id: int
    user_id: int | None
    due: planner.Due


class Group(NamedTuple):
    """How much of a salesperson, a load and an interval waits for a day."""

    company_id: int
    user_id: int | None
    on_route: bool
    days: int
    is_call: bool
    count: int
    latest: date
    last: date
    earliest: date
    is_limited: bool  # their customers receive on some days only

    @property
    def load(self):
        return planner.CALL_LOAD if self.is_call else planner.VISIT_LOAD


class KeyAccountPlanCandidates(models.AbstractModel):
    """What is due and has no day yet: the rows of ``key.account.due`` that planning
    looks at, and why there is no day for them."""

    _name = "key.account.plan.candidates"
    _description = "Candidates of the Planner"

    @api.model
    def _get_wanted(self, company, tracks, scope):
        """Return what has no day yet, in no order."""
        return self._execute_wanted(
            SQL("key_account_due AS due"),
            SQL(
                "due.company_id = %s AND due.track = ANY(%s) AND due.visit_id IS NULL"
                " AND %s AND %s",
                company.id,
                list(tracks),
                PLANNABLE,
                scope,
            ),
        )

    @api.model
    def _execute_wanted(self, source, condition):
        """Return a list of :class:`Wanted` of a FROM clause with ``due``."""
        rows = self.env.execute_query_dict(
            SQL(
                """
                SELECT due.id, due.user_id, due.partner_id, due.lead_id, due.company_id,
                       due.track, due.date_due, due.days, due.on_route,
                       due.engagement_stage, COALESCE(tier.sequence, %s) AS tier_rank,
                       card.receiving_hours
                  FROM %s
                  LEFT JOIN key_account_tier tier ON tier.id = due.tier_id
                  LEFT JOIN key_account card ON card.id = due.account_id
                 WHERE %s
                """,
                NO_RANK,
                source,
                condition,
            )
        )
        wanted = []
        for key, row in zip(get_account_keys(rows), rows, strict=True):
            mode = TRACK_MODES[row["track"]]
            due = planner.Due(
                key,
                row["date_due"],
                row["days"],
                row["tier_rank"],
                STAGE_NUMBERS.get(row["engagement_stage"], NO_RANK),
                MODE_LOADS[mode],
                row["on_route"],
                on_site=mode == "on_site",
                receiving=get_receiving(row["receiving_hours"], mode),
            )
            wanted.append(Wanted(row["id"], row["user_id"], due))
        return wanted

    @api.model
    def _add_areas(self, wanted):
        areas = self.env["key.account.agenda"]._get_areas(
            row.due.key[:2] for row in wanted
        )
        return [
            row._replace(
                due=row.due._replace(area=areas.get(row.due.key[:2], planner.NOWHERE))
            )
            for row in wanted
        ]

    @api.model
    def _get_users(self, company):
        """Return the salespeople for whom something waits."""
        rows = self.env.execute_query(
            SQL(
                """
                -- one look into the index for each of them
                WITH RECURSIVE users (id) AS (
                    SELECT MIN(user_id) FROM key_account_due
                     WHERE company_id = %(company)s AND visit_id IS NULL
                     UNION ALL
                    SELECT (SELECT MIN(user_id) FROM key_account_due
                             WHERE company_id = %(company)s AND visit_id IS NULL
                               AND user_id > users.id)
                      FROM users
                     WHERE users.id IS NOT NULL
                )
                SELECT id FROM users WHERE id IS NOT NULL
                """,
                company=company.id,
            )
        )
        return self.env["res.users"].browse(row[0] for row in rows)

    @api.model
    def _count_waiting(self, company):
        """Return {user id: how many rows wait for a day within the horizon} of all for
        whom something waits, also later; None stands for nobody."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT user_id, COUNT(*) FILTER (WHERE date_due <= %s)
                  FROM key_account_due
                 WHERE company_id = %s AND visit_id IS NULL
                 GROUP BY user_id
                """,
                clock.get_today(company)
                + timedelta(days=company.key_account_horizon_days),
                company.id,
            )
        )
        return dict(rows)

    @api.model
    def _get_groups(self, lasts):
        """Return a list of :class:`Group` of what waits.

        :param dict lasts: {user id: {company id: last due date to look at}}
        """
        picks = [
            SQL("(%s::int, %s::int, %s::date)", user_id, company_id, last)
            for user_id, by_company in lasts.items()
            for company_id, last in by_company.items()
        ]
        if not picks:
            return []
        rows = self.env.execute_query_dict(
            SQL(
                """
                WITH picks (user_id, company_id, last) AS (VALUES %(picks)s)
                SELECT due.company_id, NULLIF(COALESCE(due.user_id, 0), 0) AS user_id,
                       due.on_route, due.days, due.track = ANY(%(calls)s) AS is_call,
                       COUNT(*) AS count, MAX(date_due) AS latest, picks.last,
                       MIN(date_due) AS earliest, %(limited)s AS is_limited
                  FROM key_account_due due
                  JOIN picks
                    ON picks.company_id = due.company_id
                   AND COALESCE(picks.user_id, 0) = COALESCE(due.user_id, 0)
                   AND due.date_due <= picks.last
                 WHERE due.visit_id IS NULL AND %(plannable)s
                 GROUP BY 1, 2, 3, 4, 5, picks.last, is_limited
                """,
                picks=SQL(", ").join(picks),
                limited=self._get_limited_sql(),
                plannable=PLANNABLE,
                calls=CALL_TRACKS,
            )
        )
        return [Group(**row) for row in rows]

    @api.model
    def _get_earliest(self, groups, agendas, rooms):
        """Return the rows of each group that are due first, as many as there is room
        for until the end of the longest window; of equal due dates all. Of customers
        who receive on some days only, as many of each who receive on the same ones:
        whoever is in front may not be able to take the room.

        :param dict rooms: {user id: end of the longest window}
        """
        picks, unassigned = {False: [], True: []}, []
        for group in groups:
            end = rooms.get(group.user_id)
            agenda = agendas[group.user_id]
            if end and group.is_limited:
                # their windows may begin after all others'
                end = date.max
            number = min(end and agenda.get_room(group.load, end) or 0, group.count)
            if number and not group.user_id:
                unassigned.append(group)
            elif number:
                picks[group.is_limited].append(
                    SQL(
                        "(%s, %s, %s, %s, %s, %s::date)",
                        group.company_id,
                        group.user_id,
                        group.days,
                        group.is_call,
                        number,
                        group.last,
                    )
                )
        wanted = []
        any_limited = any(group.is_limited for group in groups)
        if picks[False]:
            others = SQL("NOT %s", self._get_limited_sql()) if any_limited else None
            wanted += self._execute_wanted(
                self._get_picked_sql(picks[False], others), SQL("TRUE")
            )
        if picks[True]:
            wanted += self._execute_wanted(
                self._get_limited_picked_sql(picks[True]),
                SQL("due.place <= due.number"),
            )
        for group in unassigned:
            wanted += self._execute_wanted(
                SQL("key_account_due AS due"), self._get_unassigned_sql(group)
            )
        return wanted

    @api.model
    def _get_unassigned_sql(self, group):
        """Return the condition on a row ``due`` that it is one of ``group``, for which
        nobody is responsible."""
        return SQL(
            """
            due.company_id = %s AND due.user_id IS NULL AND NOT due.on_route
            AND due.days = %s AND (due.track = ANY(%s)) = %s
            AND due.date_due <= %s AND due.visit_id IS NULL AND %s
            AND %s = %s
            """,
            group.company_id,
            group.days,
            CALL_TRACKS,
            group.is_call,
            group.last,
            PLANNABLE,
            self._get_limited_sql(),
            group.is_limited,
        )

    @api.model
    def _get_limited_sql(self):
        """Return the condition on a row ``due`` that its customer receives on some days
        only."""
        return SQL(
            """
            EXISTS (SELECT FROM key_account limited
                     WHERE limited.id = due.account_id
                       AND limited.receiving_hours IS NOT NULL)
            """
        )

    @api.model
    def _get_limited_picked_sql(self, picks):
        """Return the FROM clause of the rows ``due`` of customers who receive on some
        days only, those first that are due first; see :meth:`_get_picked_sql`."""
        return SQL(
            """
            (SELECT due.*, pick.number,
                    RANK() OVER (
                        PARTITION BY due.company_id, due.user_id, due.days,
                                     pick.is_call, card.receiving_hours
                        ORDER BY due.date_due) AS place
               FROM key_account card
               JOIN key_account_due due ON due.account_id = card.id
               JOIN (VALUES %(picks)s)
                    AS pick (company_id, user_id, days, is_call, number, last)
                 ON due.company_id = pick.company_id
                AND due.user_id = pick.user_id
                AND NOT due.on_route
                AND due.days = pick.days
                AND (due.track = ANY(%(calls)s)) = pick.is_call
                AND due.date_due <= pick.last
                AND due.visit_id IS NULL
                AND %(plannable)s
              WHERE card.receiving_hours IS NOT NULL
            ) AS due
            """,
            picks=SQL(", ").join(picks),
            plannable=PLANNABLE,
            calls=CALL_TRACKS,
        )

    @api.model
    def _get_picked_sql(self, picks, condition=None):
        """Return the FROM clause of the rows ``due`` that are due first in each of
        ``picks``: rows of a VALUES list, a salesperson, a load and an interval each.

        :param condition: what else is asked of a row
        """
        return SQL(
            """
            (VALUES %(picks)s)
                AS pick (company_id, user_id, days, is_call, number, last)
            CROSS JOIN LATERAL (
                SELECT *
                  FROM key_account_due due
                 WHERE company_id = pick.company_id
                   AND user_id = pick.user_id
                   AND NOT on_route
                   AND days = pick.days
                   AND (track = ANY(%(calls)s)) = pick.is_call
                   AND date_due <= pick.last
                   AND visit_id IS NULL
                   AND %(plannable)s
                   AND %(condition)s
                 ORDER BY date_due
                 FETCH FIRST pick.number ROWS WITH TIES
            ) AS due
            """,
            picks=SQL(", ").join(picks),
            plannable=PLANNABLE,
            condition=condition or SQL("TRUE"),
            calls=CALL_TRACKS,
        )

    @api.model
    def _get_competing(self, agendas, rooms, todays, company, others=False):
        """Return {user id: list of :class:`planner.Due`} of what waits for a day and
        isn't placed now, but competes: salespeople have one agenda in all companies.

        :param dict rooms: {user id: end of the longest window of what is placed}
        :param others: only in other companies than ``company``
        """
        companies = (
            self.env["res.company"]
            .sudo()
            .search_fetch(Domain.TRUE, ["key_account_horizon_days"])
        )
        if others:
            companies -= company
        lasts = {
            user_id: {
                other.id: todays[user_id]
                + timedelta(days=other.key_account_horizon_days)
                for other in companies
            }
            for user_id, end in rooms.items()
            if user_id and end
        }
        groups = [group for group in self._get_groups(lasts) if not group.on_route]
        waiting = defaultdict(list)
        for row in self._get_earliest(groups, agendas, rooms):
            waiting[row.user_id].append(row.due)
        return waiting

    @api.model
    def _get_nearby(self, company, tracks, agendas, todays):
        """Return the rows on a route that are near where their salespeople go on a day
        on which there is room. Coarsely: the planner looks closely."""
        anchors = set()
        for user_id, agenda in agendas.items():
            for day, is_free in agenda.get_free_days(planner.VISIT_LOAD).items():
                if is_free:
                    anchors.update((user_id or 0, area) for area in agenda.anchors[day])
        if not anchors:
            return []
        near = self._get_near_sql(company, tracks, anchors, todays)
        return self._add_areas(
            self._execute_wanted(
                SQL(
                    "key_account_due AS due JOIN (%s) AS near ON near.id = due.id", near
                ),
                SQL("TRUE"),
            )
        )

    @api.model
    def _get_near_sql(self, company, tracks, anchors, todays):
        """Return a query for the ids of the rows on a route that are near an anchor.

        :param anchors: pairs (user id or 0, area) of days on which there is room
        """
        nearness = company._get_key_account_nearness()
        length = nearness.zip_length
        values = [
            SQL(
                "(%s, %s::float8, %s::float8, %s, %s, %s)",
                user_id,
                area.latitude,
                area.longitude,
                area.country,
                area.zip[:length].lower(),
                area.city.strip().lower(),
            )
            for user_id, area in anchors
        ]
        return SQL(
            """
            WITH anchors (user_id, latitude, longitude, country_id, zip, city)
                AS (VALUES %(anchors)s),
            %(places)s
            SELECT places.id
              FROM places
              JOIN anchors USING (user_id)
             WHERE is_placed AND (anchors.latitude != 0 OR anchors.longitude != 0)
               AND abs(places.latitude - anchors.latitude) <= %(degrees)s
               AND LEAST(abs(places.longitude - anchors.longitude),
                         360 - abs(places.longitude - anchors.longitude))
                   * cos(radians(LEAST(90, %(degrees)s
                         + GREATEST(abs(places.latitude), abs(anchors.latitude)))))
                   <= %(degrees)s
             UNION
            SELECT places.id
              FROM places
              JOIN anchors USING (user_id, zip)
             WHERE zip != ''
             UNION
            SELECT places.id
              FROM places
              JOIN anchors USING (user_id, city)
             WHERE city != ''
             UNION
            -- PostgreSQL may not know their lower case
            SELECT id FROM places WHERE zip ~ '[^ -~]' OR city ~ '[^ -~]'
            """,
            anchors=SQL(", ").join(values),
            places=self._get_places_sql(company, tracks, todays, length),
            # a degree of latitude is a little more than 111 km
            degrees=nearness.radius_km / 111 + 0.01,
        )

    @api.model
    def _get_places_sql(self, company, tracks, todays, length):
        """Return the expressions ``lasts``: the end of each horizon, and ``places``:
        the rows on a route within it, with where they are.

        :param length: how much of a postal code counts
        """
        lasts = [
            SQL(
                "(%s, %s::date)",
                user_id or 0,
                today + timedelta(days=company.key_account_horizon_days),
            )
            for user_id, today in todays.items()
        ]
        return SQL(
            """
            lasts (user_id, last) AS (VALUES %(lasts)s),
            places AS MATERIALIZED (
                SELECT due.id, lasts.user_id,
                       COALESCE(partner.partner_latitude, 0)::float8 AS latitude,
                       COALESCE(partner.partner_longitude, 0)::float8 AS longitude,
                       (partner.partner_latitude != 0
                        OR partner.partner_longitude != 0) IS TRUE AS is_placed,
                       COALESCE(partner.country_id, lead.country_id, 0) AS country_id,
                       lower(left(replace(COALESCE(partner.zip, lead.zip, ''), ' ', ''),
                                  %(length)s)) AS zip,
                       lower(btrim(COALESCE(partner.city, lead.city, ''))) AS city
                  FROM key_account_due due
                  JOIN lasts ON lasts.user_id = COALESCE(due.user_id, 0)
                            AND due.date_due <= lasts.last
                  LEFT JOIN res_partner partner ON partner.id = due.partner_id
                  LEFT JOIN crm_lead lead
                         ON lead.id = due.lead_id AND due.partner_id IS NULL
                 WHERE due.company_id = %(company)s
                   AND due.track = ANY(%(tracks)s)
                   AND due.on_route
                   AND due.visit_id IS NULL
                   AND %(plannable)s
            )
            """,
            lasts=SQL(", ").join(lasts),
            length=length,
            company=company.id,
            plannable=PLANNABLE,
            tracks=list(tracks),
        )

    @api.model
    def _note_reason(self, ids, reason):
        rows = self.env["key.account.due"].sudo().browse(ids)
        rows.filtered(lambda row: row.reason != reason).reason = reason

    @api.model
    def _note_reasons(self, company, tracks, agendas, todays, plans, closed):
        """Note why what is due within the horizon has no day. Two statements.

        :param plans: ids of the rows that have one now
        :param closed: ids of the rows whose customers don't receive when there is room
        """
        users, free = [], [SQL("(NULL::int, NULL::date, NULL::boolean)")]
        for user_id, agenda in agendas.items():
            users.append(
                SQL(
                    "(%s, %s::date, %s, %s)",
                    user_id or 0,
                    todays[user_id],
                    agenda.get_reason(),
                    bool(agenda.open_days),
                )
            )
            free += [
                SQL("(%s, %s::date, %s)", user_id or 0, day, fits)
                for day, fits in agenda.get_free_days(planner.VISIT_LOAD).items()
            ]
        rows = self.env.execute_query(
            SQL(
                """
                WITH agendas (user_id, today, reason, is_open) AS (VALUES %(users)s),
                free (user_id, day, fits) AS (VALUES %(free)s),
                %(windows)s, %(reasons)s
                SELECT id, reason
                  FROM reasons
                  -- != ALL would be taken to leave nothing, to be looped over
                 WHERE NOT EXISTS (SELECT FROM UNNEST(%(plans)s::int[]) AS plan (id)
                                    WHERE plan.id = reasons.id)
                   AND old_reason IS DISTINCT FROM reason
                """,
                users=SQL(", ").join(users),
                free=SQL(", ").join(free),
                windows=self._get_windows_sql(company, tracks),
                reasons=self._get_reasons_sql(company, tracks, closed),
                plans=list(plans),
            )
        )
        write_differing(self.env["key.account.due"], ["reason"], rows)

    @api.model
    def _get_windows_sql(self, company, tracks):
        """Return the expressions ``windows``: the days on which each row that waits may
        be planned, and ``spans``: whether there is room on them for who goes on a
        route."""
        return SQL(
            """
            windows AS MATERIALIZED (
                SELECT due.id, due.on_route, due.reason AS old_reason,
                       agendas.user_id, agendas.reason, agendas.is_open,
                       GREATEST(agendas.today, due.date_due - tolerance.days)
                           AS first,
                       GREATEST(agendas.today + %(horizon)s,
                                due.date_due + tolerance.days) AS last
                  FROM key_account_due due
                  JOIN agendas
                    ON agendas.user_id = COALESCE(due.user_id, 0)
                   AND due.date_due <= agendas.today + %(horizon)s
                 CROSS JOIN LATERAL (
                       SELECT floor(due.days * %(share)s::float8)::int AS days
                     ) AS tolerance
                 WHERE due.company_id = %(company)s
                   AND due.track = ANY(%(tracks)s)
                   AND due.visit_id IS NULL
                   AND %(plannable)s
            ), spans AS MATERIALIZED (
                -- few: a window for each due date and interval
                SELECT spans.*, BOOL_OR(free.fits) AS fits,
                       COUNT(free.day) = 0 AS is_empty
                  FROM (
                        SELECT DISTINCT user_id, first, last
                          FROM windows
                         WHERE on_route AND is_open
                       ) AS spans
                  LEFT JOIN free
                    ON free.user_id = spans.user_id
                   AND free.day BETWEEN spans.first AND spans.last
                 GROUP BY spans.user_id, spans.first, spans.last
            )
            """,
            horizon=company.key_account_horizon_days,
            share=engine.EARLY_TOLERANCE,
            company=company.id,
            plannable=PLANNABLE,
            tracks=list(tracks),
        )

    @api.model
    def _get_reasons_sql(self, company, tracks, closed):
        """Return the expression ``reasons``: what each row is to say.

        :param closed: see :meth:`_note_reasons`
        """
        return SQL(
            """
            reasons AS (
                -- not due in the horizon any more
                SELECT due.id, due.reason AS old_reason, NULL AS reason
                  FROM key_account_due due
                  JOIN agendas
                    ON agendas.user_id = COALESCE(due.user_id, 0)
                   AND due.date_due > agendas.today + %(horizon)s
                 WHERE due.company_id = %(company)s
                   AND due.track = ANY(%(tracks)s)
                   AND due.visit_id IS NULL
                   AND due.reason IS NOT NULL
                 UNION ALL
                SELECT windows.id, windows.old_reason,
                       CASE WHEN windows.id = ANY(%(closed)s) THEN 'closed'
                            WHEN spans.fits OR spans.is_empty THEN 'route'
                            ELSE windows.reason END AS reason
                  FROM windows
                  LEFT JOIN spans
                    ON windows.on_route
                   AND spans.user_id = windows.user_id
                   AND spans.first = windows.first
                   AND spans.last = windows.last
            )
            """,
            horizon=company.key_account_horizon_days,
            company=company.id,
            closed=list(closed),
            tracks=list(tracks),
        )
