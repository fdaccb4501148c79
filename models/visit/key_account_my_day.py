from datetime import datetime, time, timedelta
from urllib.parse import urlencode

import pytz

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, format_time

from ...engine import road

# As many as one link takes: nine on the way and the last one.
MAX_STOPS = 10
# More than anybody does on one day: the customers show the rest.
MAX_TASKS = 30
# Nobody receives earlier, in minutes since midnight.
DAY_START = 8 * 60
# What is to be done that day besides the visits
TASK_ROLES = ("commitment", "follow_up")
# Google's documented link, which phones open in their maps without a key.
NAVIGATION_URL = "https://www.google.com/maps/dir/?"


def get_midnight(env):
    """Return when today began for the user, in UTC without a zone, as stored."""
    today = fields.Date.context_today(env.user)
    midnight = env.tz.localize(datetime.combine(today, time.min))
    return midnight.astimezone(pytz.utc).replace(tzinfo=None)


class KeyAccountVisit(models.Model):
    """At which hour of the day the visit is."""

    _inherit = "key.account.visit"

    route_time = fields.Datetime(
        string="On the Route At",
        readonly=True,
        copy=False,
        help="When the salesperson is about to be there, by the order in which that "
        "day's stops make a short way.",
    )
    hour = fields.Char(
        compute="_compute_hour",
        # sudo: whoever may read the visit may know when its meeting is
        compute_sudo=True,
        help="When the meeting begins; ≈: about when the route comes by.",
    )

    @api.depends("calendar_event_id.start", "calendar_event_id.allday", "route_time")
    @api.depends_context("lang", "tz", "uid")
    def _compute_hour(self):
        midnight = get_midnight(self.env)
        next_midnight = midnight + timedelta(days=1)
        for visit in self:
            event = visit.calendar_event_id
            visit.hour = False
            if event and not event.allday and event.start >= midnight:
                visit.hour = visit._get_meeting_hour()
            elif visit.route_time and midnight <= visit.route_time < next_midnight:
                about = format_time(
                    self.env, visit.route_time, time_format="short", tz=self.env.tz.zone
                )
                visit.hour = f"≈ {about}"

    def _get_hour_order_sql(self, alias, query):
        # By the hour itself, not by how it is written.
        event = query.left_join(
            alias, "calendar_event_id", "calendar_event", "id", "calendar_event_id"
        )
        self.env["calendar.event"].flush_model(["allday", "start"])
        self.flush_model(["calendar_event_id", "route_time"])
        midnight = get_midnight(self.env)
        return SQL(
            "COALESCE("
            "CASE WHEN NOT COALESCE(%(allday)s, FALSE) AND %(start)s >= %(midnight)s"
            " THEN %(start)s END,"
            " CASE WHEN %(route)s >= %(midnight)s THEN %(route)s END)",
            allday=SQL.identifier(event, "allday"),
            start=SQL.identifier(event, "start"),
            route=SQL.identifier(alias, "route_time"),
            midnight=midnight,
        )

    @api.model
    @api.readonly
    def get_my_day(self):
        """See :meth:`key.account.my.day._get_day`."""
        return self.env["key.account.my.day"]._get_day()

    @api.model
    def action_route(self):
        """See :meth:`key.account.my.day._plan_route`."""
        return self.env["key.account.my.day"]._plan_route()


class KeyAccountMyDay(models.AbstractModel):
    """What a salesperson's day holds besides the visits themselves, and the road from
    one to the next. The user's own visits alone."""

    _name = "key.account.my.day"
    _description = "Day of a Salesperson"

    @api.model
    def _get_day(self):
        """Return what My Day shows above the visits. A fixed number of queries.

        :return: ``{"tasks": what is due today or late, "meetings": those held that may
            be visits, "route": the stops or False}``
        :raise AccessError: outside sales
        """
        self.env["key.account.visit"].check_access("read")
        stops, more = self._get_stops()
        return {
            "tasks": self._get_tasks(),
            "meetings": self.env["calendar.event"]._get_key_account_offer_rows(),
            "route": self._get_route(stops, more),
        }

    # -------------------------------------------------------------------------
    # To do
    # -------------------------------------------------------------------------

    @api.model
    def _get_tasks(self):
        """Return the commitments and thanks of the user that are due today or late."""
        today = fields.Date.context_today(self)
        activities = self.env["mail.activity"].search(
            Domain("user_id", "=", self.env.uid)
            & Domain("key_account_role", "in", TASK_ROLES)
            & Domain("key_account_company_id", "in", self.env.companies.ids)
            & Domain("date_deadline", "<=", today),
            order="date_deadline, id",
            limit=MAX_TASKS,
        )
        # sudo: whoever is to do it may know for which customer
        return [
            {
                "id": activity.id,
                "role": activity.key_account_role,
                "summary": activity.summary or activity.display_name,
                # thanks name the customer themselves
                "customer": activity.key_account_role == "commitment"
                and activity.sudo().key_account_visit_id.name,
                "res_model": activity.res_model,
                "res_id": activity.res_id,
                "days_overdue": (today - activity.date_deadline).days,
            }
            for activity in activities
        ]

    # -------------------------------------------------------------------------
    # The road
    # -------------------------------------------------------------------------

    @api.model
    def _get_stops(self):
        """Return the user's visits of the day at customers' places, by their hours,
        and how many more there are than a route takes: those of earlier days first."""
        today = fields.Date.context_today(self)
        visits = self.env["key.account.visit"].search(
            Domain("user_id", "=", self.env.uid)
            & Domain("state", "=", "planned")
            & Domain("mode", "=", "on_site")
            & Domain("date_planned", "<=", today)
            & Domain("company_id", "in", self.env.companies.ids),
            order="hour, date_planned desc, engagement_stage, tier_id, id",
        )
        return visits[:MAX_STOPS], len(visits[MAX_STOPS:])

    @api.model
    def _get_route(self, visits, more):
        """Return what is shown of the road along ``visits``, in this order.

        :return: a dictionary: number of stops, whether each has its hour, kilometres
            (great circles, from the first stop to the last), a link that opens the
            phone's navigation, names of stops without coordinates, number of visits
            that the route doesn't take; False where there is no road, and none can
            be found
        """
        located = visits.filtered(lambda visit: visit._get_coordinates())
        if len(located) + len(self._get_localizable(visits - located)) < 2:
            return False
        missing = visits - located
        midnight = get_midnight(self.env)
        is_planned = bool(located) and all(
            # a long way may take longer than the day, and is one nevertheless
            visit.hour or visit.route_time and visit.route_time >= midnight
            for visit in located
        )
        way = [self._get_stop(visit) for visit in located]
        places = [
            place for visit in located | missing if (place := visit._get_place_text())
        ]
        return {
            "count": len(visits),
            "is_planned": is_planned,
            "km": round(road.get_length(way)) if is_planned else 0,
            "url": self._get_navigation_url(places) if is_planned else False,
            "missing": missing.mapped("name"),
            "more": more,
        }

    @api.model
    def _plan_route(self):
        """Put the user's stops of the day that have no hour in a short order, between
        the meetings, which keep theirs. The order is kept for that day.

        :return: as :meth:`_get_day`
        :raise UserError: if fewer than two stops have coordinates
        """
        visits, _more = self._get_stops()
        visits.check_access("write")
        self._locate(visits)
        located = visits.filtered(lambda visit: visit._get_coordinates())
        if len(located) < 2 and hasattr(visits.partner_id, "geo_localize"):
            raise UserError(
                self.env._(
                    "A route needs two customers to visit today whose addresses have "
                    "coordinates, and Geo Localization found too few: enter them on "
                    "the customers' forms.",
                )
            )
        if len(located) < 2:
            raise UserError(
                self.env._(
                    "A route needs two customers to visit today whose addresses have "
                    "coordinates: Odoo's Geo Localization finds them, once an "
                    "administrator installs it.",
                )
            )
        midnight = get_midnight(self.env)
        now = (fields.Datetime.now() - midnight) // timedelta(minutes=1)
        order = road.order_stops(
            [self._get_stop(visit) for visit in located], max(DAY_START, now)
        )
        times = road.get_times(order, max(DAY_START, now))
        # sudo: planning alone writes it
        for stop, minutes in zip(order, times, strict=True):
            located.browse(stop.key).sudo().route_time = stop.start is None and (
                midnight + timedelta(minutes=round(minutes))
            )
        (visits - located).sudo().route_time = False
        return self._get_day()

    @api.model
    def _locate(self, visits):
        """Have Odoo's Geo Localization look up the coordinates of customers that have
        none, where it is installed; what it doesn't find stays without."""
        try:
            if partners := self._get_localizable(visits):
                partners.geo_localize()
        except UserError:
            # The provider doesn't answer: their names are shown.
            return

    @api.model
    def _get_localizable(self, visits):
        """Return the customers whose coordinates Odoo's Geo Localization may find."""
        # sudo: the coordinates of customers whom the user is to visit today
        partners = visits.sudo().partner_id
        if not hasattr(partners, "geo_localize"):
            return partners.browse()
        return partners.filtered(
            lambda partner: (
                not (partner.partner_latitude or partner.partner_longitude)
                and (partner.city or partner.zip)
            )
        )

    @api.model
    def _get_stop(self, visit):
        """Return the visit as the road knows it; a meeting of today has its hour."""
        # sudo: whoever may read the visit may know when its meeting is
        event = visit.sudo().calendar_event_id
        begin, length = None, visit.company_id.key_account_meeting_hours * 60
        if event and not event.allday:
            minutes = (event.start - get_midnight(self.env)) // timedelta(minutes=1)
            if minutes >= 0:
                begin = minutes
                length = (event.stop - event.start) // timedelta(minutes=1)
        return road.Stop(visit.id, *visit._get_coordinates(), begin, length)

    @api.model
    def _get_navigation_url(self, places):
        """Return a link that opens the navigation with all places in this order, from
        where the phone is. They go to the maps' provider when it is tapped."""
        return NAVIGATION_URL + urlencode(
            {
                "api": 1,
                "travelmode": "driving",
                "destination": places[-1],
                "waypoints": "|".join(places[:-1]),
            }
        )
