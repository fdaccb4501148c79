from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools.misc import get_lang

from ...const import NO_RANK, STAGE_NUMBERS
from ...engine.planner import VISIT_LOAD
from ..account import bounds, clock
from ..account.receiving import get_receiving
from ..planning.key_account_agenda import MODE_LOADS, WEEKDAYS
from ..planning.key_account_cadence import TRACK_MODES

WEEK_DAYS = 7
# More than anybody drags: the list shows the rest.
SHOWN_BACKLOG = 50


class KeyAccountWeekBoard(models.AbstractModel):
    """The week board: who visits whom on which day, and how full the days are. Reads
    alone; what is dragged there is ``action_move`` of a visit and ``action_plan`` of
    what waits."""

    _name = "key.account.week.board"
    _description = "Week Board"

    @api.model
    def _get_board(self, date=False, team_id=False, own=False):
        """Return the visits of a week with the salespeople's capacities, as far as the
        user may read them. A fixed number of queries.

        :param date: a day of the week, ``YYYY-MM-DD``; default: today
        :param int team_id: only this sales team, for those who see all documents
        :param bool own: only the user's own week
        :return: a dictionary: ``start`` and ``end`` of the week, the ``days`` to show,
            ``rows`` (a salesperson each, with the capacity of each working day),
            ``visits``, ``overdue`` (of earlier weeks, in the current one alone),
            ``backlog``, ``teams`` to choose from
        :raise AccessError: outside sales
        """
        Visits = self.env["key.account.visit"]
        Visits.check_access("read")
        dues = self.env["key.account.due"]
        dues.check_access("read")
        today = clock.get_today(self.env.company, self.env.user)
        days = self._get_week(bounds.to_day(self.env, date) or today)
        see_all = self.env.user.has_group("sales_team.group_sale_salesman_all_leads")
        teams = self.env["crm.team"]
        if see_all and not own:
            teams = teams.search(
                [("company_id", "in", [*self.env.companies.ids, False])]
            )
            users, domain = self._get_users(teams, team_id)
        else:
            users = self.env.user
            domain = Domain("user_id", "=", users.id)
        domain &= Domain("company_id", "in", self.env.companies.ids)
        visits = Visits.search(domain & self._get_week_domain(days))
        overdue = self._get_overdue(domain, days, today)
        waiting = domain & Domain("is_waiting", "=", True)
        # who isn't a member of a team, but has visits, is there too
        users |= (visits | overdue).user_id
        cards = self._get_cards(visits, today, days)
        unassigned = see_all and any(not visit.user_id for visit in visits)
        rows = self._get_rows(users, days, unassigned)
        # why nothing waits: perhaps nobody looked so far
        start = self.env["key.account.start"].get_state(dues._name)
        return {
            "today": fields.Date.to_string(today),
            "start": fields.Date.to_string(days[0]),
            "end": fields.Date.to_string(days[-1]),
            "days": self._get_shown_days(days, rows, cards),
            "see_all": see_all and not own,
            "is_manager": see_all,
            "teams": [{"id": team.id, "name": team.name} for team in teams],
            "rows": rows,
            "visits": cards,
            "overdue": self._get_cards(overdue, today, days),
            "backlog": self._get_backlog_cards(
                dues.search(
                    waiting, limit=SHOWN_BACKLOG, order="overdue_ratio desc, id"
                ),
                days,
            ),
            "backlog_count": dues.search_count(waiting),
            "empty": start["state"],
            "can_start": start["state"] not in (False, "off") and start["can_start"],
            "can_set": start["state"] == "off" and start["can_set"],
        }

    @api.model
    def _get_overdue(self, domain, days, today):
        """Return the planned visits of earlier weeks; none beside another week than the
        current one."""
        visits = self.env["key.account.visit"]
        if today not in days:
            return visits
        return visits.search(
            domain
            & Domain("state", "=", "planned")
            & Domain("date_planned", "<", days[0]),
            order="date_planned, id",
        )

    @api.model
    def _check_day(self, day, user, company):
        """Refuse days that have passed where the salesperson is."""
        if not day:
            raise UserError(self.env._("Choose the day of the visit."))
        if day < clock.get_today(company, user):
            raise UserError(
                self.env._("This day has passed: choose today or a later day.")
            )

    @api.model
    def _check_works_in_sales(self, user):
        """Refuse people who couldn't open the visit."""
        # the refusal names them
        user.check_access("read")
        if user and not user.sudo().has_group("sales_team.group_sale_salesman"):
            raise UserError(
                self.env._(
                    "%s doesn't work in sales: choose another salesperson.",
                    user.sudo().name,
                )
            )

    @api.model
    def _check_given(self, known, vals_list):
        """Refuse to give something to people who couldn't open it.

        :param known: who has it already
        :param list vals_list: values with the ``user_id``, if it changes
        """
        users = known.browse(
            {vals["user_id"] for vals in vals_list if vals.get("user_id")}
        )
        for user in users - known:
            self._check_works_in_sales(user)

    @api.model
    def _get_week(self, day):
        """Return the days of the week of ``day``, which starts as the user's language
        says."""
        first = int(get_lang(self.env).week_start)
        start = day - timedelta(days=(day.isoweekday() - first) % WEEK_DAYS)
        return [start + timedelta(days=number) for number in range(WEEK_DAYS)]

    @api.model
    def _get_week_domain(self, days):
        planned = Domain("state", "=", "planned")
        planned &= Domain("date_planned", ">=", days[0])
        planned &= Domain("date_planned", "<=", days[-1])
        done = Domain("state", "=", "done")
        done &= Domain("date_done", ">=", days[0])
        done &= Domain("date_done", "<=", days[-1])
        return planned | done

    @api.model
    def _get_users(self, teams, team_id):
        """Return the salespeople of the teams, and a domain of what the board shows."""
        domain = Domain.TRUE
        chosen = teams.filtered(lambda team: team.id == team_id)
        # sudo: who is in a team may be known to whoever may read it
        members = (chosen or teams).sudo().crm_team_member_ids.user_id
        if chosen:
            domain = Domain(
                "user_id", "in", (members | chosen.sudo().user_id).ids
            ) | Domain([("user_id", "=", False), ("team_id", "=", chosen.id)])
        users = members.filtered(
            lambda user: (
                user.active and not user.share and user.company_ids & self.env.companies
            )
        )
        return users.sudo(False), domain

    @api.model
    def _get_shown_days(self, days, rows, cards):
        """Return the days on which one works, also if it is a holiday this time, and
        those with visits."""
        # sudo: when a company works is no secret
        companies = self.env.companies.sudo()
        calendars = companies.resource_calendar_id
        weekdays = {int(line.dayofweek) for line in calendars.attendance_ids}
        if not all(company.resource_calendar_id for company in companies):
            weekdays.update(WEEKDAYS)
        used = {day for row in rows for day in row["capacities"]}
        used |= {card["date"] for card in cards}
        dates = {fields.Date.to_string(day): day for day in days}
        shown = [
            date
            for date, day in dates.items()
            if date in used or day.weekday() in weekdays
        ]
        return shown or list(dates)

    @api.model
    def _get_rows(self, users, days, unassigned):
        """Return a row for each of the users, and one for what nobody is responsible
        for, with the visits that fit on their working days."""
        # sudo: how many visits fit on a colleague's day tells nothing of the reasons
        users = users.sudo()
        capacities = {}
        for company, group in users.grouped(
            lambda user: (
                user.company_id
                if user.company_id in self.env.companies
                else (user.company_ids & self.env.companies)[:1]
            )
        ).items():
            capacities.update(
                self.env["key.account.agenda"]
                .sudo()
                ._get_day_capacities(group, company, days[0], days[-1])
                if company
                else {}
            )
        rows = [
            {
                "user_id": user.id,
                "name": user.name,
                "capacities": {
                    fields.Date.to_string(day): count
                    for day, count in capacities.get(user.id, {}).items()
                },
            }
            for user in users.sorted(
                lambda user: (user.id != self.env.uid, user.name.lower(), user.id)
            )
        ]
        if unassigned:
            nobody = {"user_id": False, "name": self.env._("Unassigned")}
            rows.insert(0, {**nobody, "capacities": {}})
        return rows

    @api.model
    def _get_closed(self, text, mode, days):
        """Return what a card says about when the customer receives: nothing of those
        who always do.

        :param text: the receiving hours, if the customer has some
        """
        if not text:
            return {}
        receiving = get_receiving(text, mode)
        return {
            "receiving": self.env["key.account"]._get_receiving_words(text),
            "closed": [
                fields.Date.to_string(day)
                for day in days
                if not receiving.receives(day)
            ],
        }

    @api.model
    def _get_cards(self, visits, today, days):
        """Return what the board shows of visits, the most important first.

        :param days: those of the week
        """
        # sudo: whoever may read the visit may read its tier, and when its meeting is
        visits = visits.sudo()

        def get_key(visit):
            event = visit.calendar_event_id
            return (
                not event,
                event and event.start,
                STAGE_NUMBERS.get(visit.engagement_stage, NO_RANK),
                visit.tier_id.sequence if visit.tier_id else NO_RANK,
                visit.name or "",
                visit.id,
            )

        tracks = dict(visits._fields["track"]._description_selection(self.env))
        hours = visits._get_receiving_hours()
        return [
            {
                "id": visit.id,
                "name": visit.name,
                "date": fields.Date.to_string(
                    visit.date_done if visit.state == "done" else visit.date_planned
                ),
                "user_id": visit.user_id.id,
                "user_name": visit.user_id.name,
                "state": visit.state,
                "tier": visit.tier_id.name,
                "tier_code": visit.tier_id.code,
                "color": visit.tier_id.color,
                "load": MODE_LOADS[visit.mode] / VISIT_LOAD,
                "track": visit.track,
                "track_name": tracks[visit.track],
                "summary": visit.summary,
                "is_fixed": visit.is_date_fixed,
                "is_overdue": bool(visit._get_days_overdue(today)),
                "days_overdue": visit._get_days_overdue(today),
                "meeting": visit._get_meeting_hour(),
                **self._get_closed(hours.get(visit), visit.mode, days),
            }
            for visit in visits.sorted(get_key)
        ]

    @api.model
    def _get_backlog_cards(self, rows, days):
        """Return what the board shows of the backlog."""
        # sudo: whoever may read the row may read its tier
        rows = rows.sudo()
        reasons = dict(rows._fields["reason"]._description_selection(self.env))
        tracks = dict(rows._fields["track"]._description_selection(self.env))
        return [
            {
                "id": row.id,
                "name": row.name,
                "user_id": row.user_id.id,
                "user_name": row.user_id.name,
                "tier": row.tier_id.name,
                "tier_code": row.tier_id.code,
                "color": row.tier_id.color,
                "track": row.track,
                "track_name": tracks[row.track],
                "date_due": fields.Date.to_string(row.date_due),
                "days_overdue": row.days_overdue,
                "overdue_ratio": round(row.overdue_ratio, 2),
                "reason": reasons.get(row.reason, False),
                **self._get_closed(
                    row.account_id.receiving_hours, TRACK_MODES[row.track], days
                ),
            }
            for row in rows
        ]
