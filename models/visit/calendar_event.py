from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Command, Domain

from ..account import clock
from ..account.hidden import search_shown

# So long after it was held a meeting is offered as a visit to report.
OFFER_DAYS = 7
# More than anybody holds in that time
MAX_OFFERS = 100


class CalendarEvent(models.Model):
    """Keeps visits in step with their meetings, whoever changes these: as superuser,
    since a colleague outside sales may move or delete a meeting too."""

    _inherit = "calendar.event"

    # No link of the meeting's own: only its form reads it
    key_account_visit_ids = fields.One2many(
        "key.account.visit",
        "calendar_event_id",
        string="Customer Visits",
        search="_search_key_account_visit_ids",
        groups="sales_team.group_sale_salesman",
        copy=False,
    )

    # Who said that the meeting was no visit
    key_account_declined_ids = fields.Many2many(
        "res.users",
        "key_account_meeting_declined_rel",
        "event_id",
        "user_id",
        groups=fields.NO_ACCESS,
        copy=False,
    )
    key_account_is_offered = fields.Boolean(
        compute="_compute_key_account_is_offered",
        groups="sales_team.group_sale_salesman",
        exportable=False,
        help="Held by the user with a customer's contact, and no visit so far.",
    )

    @api.depends_context("uid", "company")
    def _compute_key_account_is_offered(self):
        saved = self._origin
        offers = saved._get_key_account_offers() if saved else {}
        for event in self:
            event.key_account_is_offered = event._origin in offers

    def _search_key_account_visit_ids(self, operator, value):
        return search_shown("key_account_visit_ids", operator, value)

    def _get_key_account_visits(self):
        return (
            self.env["key.account.visit"]
            .sudo()
            .search([("calendar_event_id", "in", self.ids)])
        )

    def _remember_series(self, vals):
        """Return the first meeting of the series that ``vals`` changes as a whole, or
        from this one on, and {visit: when its meeting of the series is to be}."""
        if vals.get("recurrence_update") not in ("all_events", "future_events"):
            return self.browse(), {}
        shift = timedelta()
        for name in ("stop", "start"):
            if vals.get(name) and self[:1][name]:
                shift = fields.Datetime.to_datetime(vals[name]) - self[:1][name]
        events = self.recurrence_id.calendar_event_ids
        moments = {
            visit: visit.calendar_event_id.start + shift
            for visit in events._get_key_account_visits()
        }
        return self.recurrence_id.base_event_id, moments

    def _follow_series(self, moments):
        """Give visits that lost their meeting when its series was made anew the one of
        the series that is nearest.

        :param dict moments: when the meeting is to be, by visit
        """
        events = self.sudo().exists().recurrence_id.calendar_event_ids
        for visit, moment in moments.items():
            if events and not visit.calendar_event_id:
                visit._follow_meeting(
                    min(events, key=lambda event: abs(event.start - moment))
                )

    def _free_key_account_visits(self):
        self._get_key_account_visits()._release_meetings(self)

    @api.model
    def _get_key_account_offers(self):
        """Return {meeting: customer} of what the user has held in the last days with
        contacts of accounts, and nobody has reported as a visit: the user's own
        meetings alone, among these if there are any, and none that is private. A fixed
        number of queries.
        """
        held = self._find_held()
        if not held:
            return {}
        company = self.env.company._get_key_account_home()
        guests = held._get_guests()
        known = self._get_met_accounts(guests, company)
        met = {}
        for event in held:
            if accounts := guests[event].commercial_partner_id & known:
                met[event] = accounts
        taken = self._get_visited_days(met, company)
        offers = {}
        for event, accounts in met.items():
            day = event._get_held_day(company, self.env.user)
            # of several customers one after the other
            left = accounts.filtered(lambda each, day=day: (each.id, day) not in taken)
            if left:
                offers[event.with_env(self.env)] = left[:1].with_env(self.env)
        return offers

    @api.model
    def _find_held(self):
        """Return the meetings of :meth:`_get_key_account_offers`, whomever they were
        held with, as superuser."""
        me, now = self.env.user, fields.Datetime.now()
        domain = (
            Domain("stop", "<", now)
            & Domain("start", ">=", now - timedelta(days=OFFER_DAYS))
            & (
                Domain("user_id", "=", me.id)
                | Domain("partner_ids", "in", me.partner_id.ids)
            )
            & Domain("privacy", "!=", "private")
        )
        if self:
            domain &= Domain("id", "in", self.ids)
        held = self.search(domain, order="start desc, id", limit=MAX_OFFERS)
        # the report of the visit that it was arranged for comes first
        held -= (
            self.env["key.account.visit"]
            .search_fetch(
                [
                    ("calendar_event_id", "in", held.ids),
                    ("state", "in", ["planned", "missed"]),
                ],
                ["calendar_event_id"],
            )
            .sudo()
            .calendar_event_id
        )
        # sudo: of the user's own meetings, which the rules have let through
        return held.sudo().filtered(
            lambda event: (
                event.effective_privacy != "private"
                and me not in event.key_account_declined_ids
                and not event._is_declined_by(me)
            )
        )

    def _is_declined_by(self, user):
        return any(
            attendee.partner_id == user.partner_id and attendee.state == "declined"
            for attendee in self.attendee_ids
        )

    def _get_guests(self):
        """Return {meeting: who attends it, but colleagues and who declined}."""
        colleagues = (
            self.env["res.users"]
            .with_context(active_test=False)
            .search_fetch(
                [("partner_id", "in", self.partner_ids.ids), ("share", "=", False)],
                ["partner_id"],
            )
            .partner_id
        )
        return {
            event: event.partner_ids
            - colleagues
            - event.attendee_ids.filtered(
                lambda attendee: attendee.state == "declined"
            ).partner_id
            for event in self
        }

    @api.model
    def _get_met_accounts(self, guests, company):
        """Return the accounts of the guests in ``company``, of those that are for the
        user's eyes.

        :param dict guests: partners by meeting
        """
        partners = self.env["res.partner"].union(*guests.values())
        rows = (
            self.env["key.account"]
            .with_user(self.env.user)
            .search_fetch(
                [
                    ("partner_id", "in", partners.commercial_partner_id.ids),
                    # a customer may have moved to another company since
                    ("partner_id", "any", [("active", "=", True)]),
                    ("company_id", "=", company.id),
                    ("is_excluded", "!=", True),
                    "|",
                    ("is_account", "=", True),
                    ("tier_id", "!=", False),
                ],
                ["partner_id"],
            )
        )
        return rows.sudo().partner_id

    @api.model
    def _get_visited_days(self, met, company):
        """Return pairs of an account's id and a day on which somebody visited it; of
        meetings that are visits the days of these meetings.

        :param dict met: accounts by meeting
        """
        partners = self.env["res.partner"].union(*met.values())
        # sudo: whoever of the company visited them
        visits = (
            self.env["key.account.visit"]
            .sudo()
            .search_fetch(
                Domain("company_id", "=", company.id)
                & Domain("partner_id", "in", partners.ids)
                & (
                    Domain("calendar_event_id", "in", [event.id for event in met])
                    | Domain("state", "=", "done")
                    & Domain(
                        "date_done",
                        ">=",
                        # wherever the user is: a day may be another one there
                        fields.Date.today() - timedelta(days=OFFER_DAYS + 2),
                    )
                ),
                ["partner_id", "date_done", "calendar_event_id"],
            )
        )
        held = {event.id: event._get_held_day(company, self.env.user) for event in met}
        return {
            (visit.partner_id.id, day)
            for visit in visits
            for day in (visit.date_done, held.get(visit.calendar_event_id.id))
            if day
        }

    def _get_held_day(self, company, user):
        """Return the day of the meeting where ``user`` is."""
        tz = clock.get_timezone(company, user)
        agenda = self.env["key.account.agenda"]
        return agenda._get_event_period(self.sudo(), tz)[0].date()

    def action_decline_key_account_visit(self):
        """Note that the meeting was no visit: it isn't offered to the user any more.

        :raise AccessError: if it isn't offered
        """
        self._check_offered()
        # sudo: it is nobody's but the user's
        self.sudo().key_account_declined_ids = [Command.link(self.env.uid)]
        return True

    @api.model
    def _get_key_account_offer_rows(self):
        """Return what is shown of the meetings that are offered, the latest first."""
        return [
            {
                "id": event.id,
                "name": event.name,
                "customer": account.display_name,
                "date": fields.Date.to_string(
                    event._get_held_day(self.env.company, self.env.user)
                ),
            }
            for event, account in self.browse()._get_key_account_offers().items()
        ]

    def _check_offered(self):
        """Return the customer with whom the meeting was held.

        :raise AccessError: if it isn't offered to the user
        """
        self.ensure_one()
        self.env["key.account.visit"].check_access("create")
        account = self._get_key_account_offers().get(self)
        if not account:
            raise AccessError(
                self.env._("This meeting is no visit of yours: refresh the page.")
            )
        return account

    def _report_offered_visit(self):
        """Open the report of a visit with what the meeting tells."""
        account = self._check_offered()
        # not that of a planned visit: it took place as the meeting says
        action = self.env["key.account.visit"]._get_new_log_action(account)
        event, company = self.sudo(), self.env.company._get_key_account_home()
        guests = event._get_guests()[event].filtered(
            lambda partner: (
                partner.commercial_partner_id == account
                and not partner.is_company
                and partner.type == "contact"
            )
        )
        colleagues = event.partner_ids.user_ids.filtered(
            lambda user: (
                not user.share
                and company in user.company_ids
                and not event._is_declined_by(user)
            )
        )
        action["context"] = {
            **action["context"],
            "default_date_visited": self._get_held_day(company, self.env.user),
            # those of another company are for others to name
            "default_contact_ids": guests.sudo(False)._filtered_access("read").ids,
            "default_participant_ids": (colleagues - self.env.user).ids,
            "default_mode": "online" if event.videocall_location else "on_site",
        }
        return action

    def action_report_key_account_visit(self):
        """Open the report of the visit that this meeting is, or the visit, if it was
        reported or cancelled; of a meeting that is offered for a customer that of a new
        visit.

        :raise AccessError: if it is none that the user may read
        """
        self.ensure_one()
        if self.key_account_is_offered:
            return self._report_offered_visit()
        visit = self.key_account_visit_ids[:1]
        if not visit:
            raise AccessError(
                self.env._("This meeting is no visit of yours: refresh the page.")
            )
        if visit.state in ("planned", "missed", "done") and not visit.report_date:
            return visit.action_open_report()
        return {
            "type": "ir.actions.act_window",
            "res_model": "key.account.visit",
            "res_id": visit.id,
            "view_mode": "form",
        }
