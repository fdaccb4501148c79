from collections import defaultdict
from datetime import timedelta
from typing import NamedTuple

from odoo import api, models
from odoo.tools import SQL, float_round

from ...engine import planner
from ..account import clock
from .key_account_agenda import MODE_LOADS
from .key_account_cadence import TRACK_MODES

# A quarter of a year: single leaves and full weeks even out.
WEEKS = 13


class Load(NamedTuple):
    """What is asked of somebody in a week, and what there is time for.

    :ivar user: the salesperson; none: what nobody is responsible for
    :ivar team: the sales team
    :ivar float visits: visits a week that the cadence asks for
    :ivar float capacity: visits a week that there is time for; 0 without a salesperson
    """

    user: models.Model
    team: models.Model
    visits: float
    capacity: float


class KeyAccountLoad(models.AbstractModel):
    """How many visits a week the cadence asks of each salesperson, against the time
    that there is."""

    _name = "key.account.load"
    _description = "Load of Salespeople"

    @api.model
    def _get_visits(self, company, is_current=True):
        """Return {(user id or False, team id or False): visits a week} that the cadence
        asks for in ``company``. One query.

        Every row of what is due counts 7 / interval in days (a month counts 30), calls
        a quarter of that, as in the agenda. A visit to win a lost account back is one
        of its own, and doesn't count.

        :param is_current: by the rows of what is due; False: by what they would be if
            they were brought up to date, which takes longer and writes nothing
        """
        self.env.flush_all()
        dues = SQL("key_account_due AS due")
        if not is_current:
            # as for all rows in key.account.due._refresh
            self.env.cr.execute("SET LOCAL jit = off; SET LOCAL enable_nestloop = off")
            wanted = self.env["key.account.due"].sudo()._get_wanted_sql(company)
            dues = SQL("(%s) AS due", wanted)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT user_id, team_id, SUM(%s)::float8
                  FROM %s
                 WHERE company_id = %s AND loss_id IS NULL
                 GROUP BY user_id, team_id
                """,
                self._get_week_sql(),
                dues,
                company.id,
            )
        )
        if not is_current:
            self.env.cr.execute("SET LOCAL enable_nestloop TO DEFAULT")
        return {
            (user_id or False, team_id or False): visits
            for user_id, team_id, visits in rows
        }

    @api.model
    def _get_week_sql(self):
        """Return the visits a week that a row of what is due asks for, as an SQL
        expression over its columns."""
        shares = SQL(" ").join(
            SQL("WHEN %s THEN %s", track, MODE_LOADS[mode] / planner.VISIT_LOAD)
            for track, mode in TRACK_MODES.items()
        )
        return SQL("7.0 / days * CASE track %s ELSE 1 END", shares)

    @api.model
    def _get_capacities(self, users, company, today=None):
        """Return {user id: visits a week} that the users have time for: the average of
        the next quarter, without leaves, holidays and meetings. A fixed number of
        queries, and a few per calendar and time zone."""
        start = (today or clock.get_today(company)) + timedelta(days=1)
        days = self.env["key.account.agenda"]._get_day_capacities(
            users, company, start, start + timedelta(weeks=WEEKS, days=-1)
        )
        return {
            user.id: float_round(
                sum(days[user.id].values()) / WEEKS, precision_digits=2
            )
            for user in users
        }

    @api.model
    def _get_loads(self, company, *visits):
        """Return a list of :class:`Load` for each of ``visits`` (see
        :meth:`_get_visits`), of the same people in the same order."""
        users = self.env["res.users"].browse(
            {user_id for each in visits for user_id, _ in each if user_id}
        )
        members = self.env["crm.team.member"]._get_user_teams(company, users)
        teams = {}
        for each in visits:
            # whoever is in no team serves that of most visits
            for user_id, team_id in sorted(each, key=each.get, reverse=True):
                if user_id and user_id not in teams:
                    team = members.get(user_id)
                    teams[user_id] = team.id if team else team_id
        capacities = self._get_capacities(users, company)
        sums = []
        for each in visits:
            # one agenda, whatever the team: nobody appears twice
            by_user = defaultdict(float)
            for (user_id, team_id), number in each.items():
                by_user[user_id, teams.get(user_id, team_id)] += number
            sums.append(by_user)
        keys = dict.fromkeys(key for by_user in sums for key in by_user)
        return [
            [
                Load(
                    self.env["res.users"].browse(user_id or ()),
                    self.env["crm.team"].browse(team_id or ()),
                    by_user[user_id, team_id],
                    capacities.get(user_id, 0.0),
                )
                for user_id, team_id in keys
            ]
            for by_user in sums
        ]
