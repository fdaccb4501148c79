from datetime import datetime, timedelta
from urllib.parse import urlencode

import pytz

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import clean_context, format_time, groupby
from odoo.tools.intervals import Intervals

from ...engine.receiving import ALWAYS
from ..account import bounds, clock, words
from ..account.receiving import get_receiving
from .key_account_visit import REPORT_FIELDS

# Meetings start on a quarter of an hour.
MINUTES = 15
# So long after it was planned on the week board, a visit goes back to the backlog.
UNDO_TIME = timedelta(minutes=10)
# So far an overdue visit moves to become a meeting.
LOOK_AHEAD_DAYS = 14
ALL_DAY = ALWAYS.get_hours(bounds.FIRST_DAY)


class KeyAccountVisit(models.Model):
    """When and where. A planned visit may have a meeting in its salesperson's calendar:
    both are kept in step from either side; see ``calendar.event`` for the other one.

    Nobody is invited, and no mail goes out, unless a person does that in the calendar.
    """

    _inherit = "key.account.visit"

    meeting_start = fields.Datetime(
        related="calendar_event_id.start",
        string="Meeting Starts",
    )
    # sudo: whoever may read the visit may know where it is
    phone = fields.Char(
        compute="_compute_place",
        compute_sudo=True,
        help="Of the contact to see, else of the customer or the lead.",
    )
    map_url = fields.Char(
        string="Map",
        compute="_compute_place",
        compute_sudo=True,
        help="A link to the customer's address on a map; opened by a tap only.",
    )
    receiving_text = fields.Char(
        string="Receives",
        compute="_compute_receiving",
        compute_sudo=True,
        help="When the customer receives visitors.",
    )
    is_not_received = fields.Boolean(
        compute="_compute_receiving",
        compute_sudo=True,
        help="Planned for a day on which the customer receives nobody.",
    )

    @api.depends(
        "partner_id.phone",
        "partner_id.contact_address_inline",
        "target_contact_id.phone",
        "lead_id.phone",
    )
    def _compute_place(self):
        for visit in self:
            record = visit.partner_id or visit.lead_id
            visit.phone = visit.map_url = False
            if not visit._is_shown(record):
                continue
            visit.phone = record.phone
            target = visit.target_contact_id
            if target.phone and visit._is_shown(target):
                visit.phone = target.phone
            if place := visit._get_address_line():
                # As in the invitations of Odoo's own calendar and events.
                visit.map_url = "https://maps.google.com/maps?" + urlencode(
                    {"q": place}
                )

    @api.depends("partner_id", "company_id", "date_planned", "mode", "state")
    @api.depends_context("lang", "tz")
    def _compute_receiving(self):
        hours = self._get_receiving_hours()
        texts = {
            text: self.env["key.account"]._get_receiving_words(text)
            for text in set(hours.values())
        }
        for visit in self:
            text = hours.get(visit)
            visit.receiving_text = text and texts[text]
            visit.is_not_received = bool(
                text
                and visit.state == "planned"
                and visit.date_planned
                and not get_receiving(text, visit.mode).receives(visit.date_planned)
            )

    def _get_receiving_hours(self):
        """Return {visit: text} of those whose customers have receiving hours, by one
        query."""
        texts = self.env["key.account"]._get_receiving_hours(
            (visit.partner_id.id, visit.company_id.id) for visit in self
        )
        keys = {visit: (visit.partner_id.id, visit.company_id.id) for visit in self}
        return {visit: texts[key] for visit, key in keys.items() if key in texts}

    def _get_address_line(self):
        """Return the address of the customer or lead on one line, if there is any."""
        record = self.partner_id or self.lead_id
        parts = [record.street, record.zip, record.city]
        if not any(parts):
            return False
        parts += [record.state_id.name, record.country_id.name]
        return ", ".join(part for part in parts if part)

    def _get_coordinates(self):
        """Return latitude and longitude of the customer in degrees, if known."""
        # sudo: whoever may read the visit may know where it is
        partner = self.sudo().partner_id
        place = (partner.partner_latitude, partner.partner_longitude)
        return place if any(place) else False

    def _get_place_text(self):
        """Return where the visit is, as maps understand it."""
        if place := self._get_coordinates():
            return ",".join(f"{degrees:.6f}" for degrees in place)
        return self.sudo()._get_address_line()

    @api.depends("partner_id.city", "lead_id.city")
    def _compute_area(self):
        shown = self.filtered(lambda visit: visit._is_shown(visit._get_document()))
        (self - shown).update({"city": False, "country_id": False})
        return super(KeyAccountVisit, shown)._compute_area()

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_move(self, date, user_id):
        """Move a planned visit to another day or salesperson, as a person's decision:
        its activity and meeting follow.

        :param date: the day, ``YYYY-MM-DD``
        :param int user_id: the salesperson; ``False`` for nobody
        :raise UserError: if the visit isn't planned any more, or the day has passed
        """
        self.ensure_one()
        self.check_access("write")
        self._check_planned()
        board = self.env["key.account.week.board"]
        day = bounds.to_day(self.env, date)
        user = bounds.to_record(self.env["res.users"], user_id)
        board._check_day(day, user, self.company_id)
        board._check_works_in_sales(user)
        self._move_to(day, user)
        return True

    def action_undo_move(self, date, user_id, is_fixed=False, moved=None):
        """Take back what :meth:`action_move` did, also to a day that has passed.

        :param date: the day before, ``YYYY-MM-DD``
        :param int user_id: the salesperson before; ``False`` for nobody
        :param bool is_fixed: whether a person had chosen that day
        :param moved: the day and the salesperson's id that it was moved to
        :raise UserError: if the visit isn't planned any more, or was moved since
        """
        self.ensure_one()
        self.check_access("write")
        self._check_planned()
        # another one's change isn't the user's to take back
        if moved and moved != [
            fields.Date.to_string(self.date_planned),
            self.user_id.id,
        ]:
            raise UserError(
                self.env._(
                    "The visit to %s was moved since: refresh the page.", self.name
                )
            )
        day = bounds.to_day(self.env, date)
        user = bounds.to_record(self.env["res.users"], user_id)
        if not day:
            raise UserError(self.env._("Choose the day of the visit."))
        self._move_to(day, user)
        if not is_fixed and not self.calendar_event_id:
            # sudo: planning alone writes it
            self.sudo().is_date_fixed = False
        return True

    def action_undo_plan(self):
        """Take back what ``action_plan`` of the backlog has just done: the visit waits
        for a day again.

        :raise UserError: if the visit isn't planned any more, or somebody has worked
            with it since
        """
        self.ensure_one()
        self.check_access("write")
        self._check_planned()
        is_new = self.create_date >= fields.Datetime.now() - UNDO_TIME
        # sudo: what hangs on the visit may be hidden from its reader
        visit = self.sudo()
        if (
            {visit.create_uid, visit.write_uid} != {self.env.user}
            or not is_new
            or visit.calendar_event_id
            or visit.commitment_ids
            or visit._is_noted_on()
        ):
            raise UserError(
                self.env._(
                    "The visit to %s is more than just planned: cancel it.", self.name
                )
            )
        visit.unlink()
        return True

    def _is_noted_on(self):
        """Return whether somebody has written something about the visit, left a file,
        or been at the door: it would go with it."""
        check_ins = self.env["key.account.check.in"]
        return bool(
            any(self[name] for name in REPORT_FIELDS - {"mode"})
            or self.message_ids
            or self.attachment_ids
            or check_ins.search_count([("visit_id", "=", self.id)], limit=1)
        )

    @api.model
    @api.readonly
    def get_week_board(self, date=False, team_id=False, own=False):
        """See :meth:`key.account.week.board._get_board`."""
        return self.env["key.account.week.board"]._get_board(date, team_id, own)

    def action_schedule_meeting(self):
        """Put the visit into its salesperson's calendar, in the first free hour of the
        planned day, and open the meeting. Nobody is invited. An overdue visit moves to
        the first day that has room.

        :raise UserError: if the visit isn't planned, nobody is responsible, or the
            salesperson has no time on that day
        """
        self.ensure_one()
        self.check_access("write")
        if not self.sudo().calendar_event_id:
            self._check_planned()
            self.sudo()._create_meeting()
        return self.action_open_meeting()

    def action_open_meeting(self):
        """Open the visit's meeting."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Meeting"),
            "res_model": "calendar.event",
            "res_id": self.sudo().calendar_event_id.id,
            "views": [[False, "form"]],
        }

    # -------------------------------------------------------------------------
    # Visits and meetings
    # -------------------------------------------------------------------------

    def _move_to(self, day, user):
        """Write day and salesperson where they differ: each is a person's word."""
        vals = {}
        if day != self.date_planned:
            vals["date_planned"] = day
        if user != self.user_id:
            vals["user_id"] = user.id
        if vals:
            self.write(vals)

    def _create_meeting(self):
        if not self.user_id:
            raise UserError(
                self.env._(
                    "Nobody is responsible for the visit: choose a salesperson first."
                )
            )
        duration = self.company_id.key_account_meeting_hours
        begin = self._get_free_slot(timedelta(hours=duration))
        start = begin.astimezone(pytz.utc).replace(tzinfo=None)
        if begin.date() != self.date_planned:
            self.date_planned = begin.date()
        env = self.env(context=self._get_meeting_context())
        event = env["calendar.event"].create(
            {
                **self._prepare_meeting_values(),
                "start": start,
                "stop": start + timedelta(hours=duration),
                "user_id": self.user_id.id,
                "partner_ids": [Command.set(self.user_id.partner_id.ids)],
                "activity_ids": [Command.set(self.activity_id.ids)],
            }
        )
        self._accept_meeting(event)
        self._link_meeting(event)

    def _link_meeting(self, event):
        """Take ``event`` for the visit's meeting: a person chose this day."""
        self.write({"calendar_event_id": event.id, "is_date_fixed": True})

    def _accept_meeting(self, event):
        """Mark the salesperson as coming, also if a manager plans the visit."""
        event.attendee_ids.filtered(
            lambda attendee: attendee.partner_id == self.user_id.partner_id
        ).state = "accepted"

    def _prepare_meeting_values(self):
        """Return what the meeting says about the customer. Colleagues see it in the
        calendar: the reason of the visit, with tier and cadence, isn't in it."""
        record = self.partner_id or self.lead_id
        visit = self.with_context(lang=self.user_id.lang or self.env.lang)
        if self.partner_id:
            lines = self.partner_id._display_address(without_company=True).split("\n")
        else:
            lead = self.lead_id
            town = " ".join(part for part in (lead.zip, lead.city) if part)
            lines = [lead.street or "", town, lead.country_id.name or ""]
        return {
            "name": visit.env._("Visit: %s", record.display_name),
            "location": ", ".join(line.strip() for line in lines if line.strip()),
            "res_model_id": self.env["ir.model"]._get_id(record._name),
            "res_id": record.id,
            "opportunity_id": self.lead_id.id,
            # A lead isn't for everybody who may read the calendar.
            "privacy": False if self.partner_id else "private",
        }

    def _get_free_slot(self, duration):
        """Return when the salesperson has time on the planned day, in their time zone:
        within working hours, not in the past; over lunch where nothing else is long
        enough. If that day has passed, on the first day from today that has room.
        Within the hours at which the customer receives, by the salesperson's clock; on
        a day without any that somebody chose, these don't count.
        """
        user, company, day = self.user_id, self.company_id, self.date_planned
        first = last = max(day, self._get_today())
        if day < first:
            last = first + timedelta(days=LOOK_AHEAD_DAYS)
        work = self.env["key.account.agenda"]._get_working_times(
            user, company, first, last
        )[user.id]
        now = datetime.now(work.tz)
        busy = self.env["key.account.agenda"]._get_busy_intervals(
            user, company, first, last, own_visits=True
        )
        text = self._get_receiving_hours().get(self)
        receiving = get_receiving(text, self.mode)
        for here, slots in groupby(work.slots, lambda slot: slot[0].date()):
            open_hours = receiving.get_hours(here)
            if not open_hours and here == day:
                open_hours = ALL_DAY
            hours = Intervals(
                (*self._get_moments(here, span, work.tz), self.browse())
                for span in open_hours
            )
            over_lunch = [(slots[0][0], slots[-1][1])]
            for spans in (slots, over_lunch):
                free = Intervals((*span, self.browse()) for span in spans) & hours
                for begin, end, _ in free - busy.get(user.id, Intervals()):
                    begin = self._round_up(max(begin, now))
                    if begin + duration <= end:
                        return begin
        problem = self.env._(
            "%(user)s has no time for a meeting of %(hours)s h on %(day)s: choose "
            "another day.",
            user=user.name,
            hours=words.format_number(self.env, duration / timedelta(hours=1)),
            day=clock.format_day(self.env, first),
        )
        if text:
            note = self._get_receiving_note(text)
            problem = words.join_said(self.env, (problem, note))
        raise UserError(problem)

    @api.model
    def _get_receiving_note(self, text):
        hours = self.env["key.account"]._get_receiving_words(text)
        return self.env._("They receive: %s.", hours)

    @api.model
    def _get_moments(self, day, minutes, tz):
        """Return the moments so many minutes after a day began, by the clock."""
        midnight = datetime.combine(day, datetime.min.time())
        return [tz.localize(midnight + timedelta(minutes=number)) for number in minutes]

    def _round_up(self, moment):
        rest = timedelta(
            minutes=moment.minute % MINUTES,
            seconds=moment.second,
            microseconds=moment.microsecond,
        )
        return moment + timedelta(minutes=MINUTES) - rest if rest else moment

    def _get_meeting_context(self):
        """Return a context in which a client's defaults don't count, and Odoo tells
        nobody about what planning does to a meeting: whoever invited others moves it in
        the calendar, and Odoo tells them."""
        return {
            **{
                key: value
                for key, value in clean_context(self.env.context).items()
                if key not in ("active_id", "active_ids", "active_model")
            },
            "no_mail_to_attendees": True,
            # for Google's calendar
            "send_updates": False,
            "skip_attendee_notification": True,
            "skip_contact_description": True,
        }

    def _get_meeting(self):
        env = self.env(context=self._get_meeting_context())
        return self.calendar_event_id.with_env(env)

    def _carry_to_meetings(self, vals, before):
        """Do with the meetings what ``vals`` did with their visits."""
        for visit, (day, user) in before.meetings.items():
            if visit.calendar_event_id:
                visit._carry_to_meeting(day, user, vals)

    def _carry_to_meeting(self, previous_day, previous_user, vals):
        """Do with the meeting what was done with its visit.

        :param previous_day: the planned day before
        :param previous_user: the salesperson before
        :param vals: what was written
        """
        if self.state == "done":
            if self._get_meeting_day() > self.date_done:
                # it took place before
                self._remove_meetings()
            return
        if self.state != "planned" or not self.user_id:
            self._remove_meetings()
            return
        event = self._get_meeting()
        values = {}
        if self.date_planned != previous_day or self.user_id != previous_user:
            values.update(self._get_moved_period(event, previous_user))
        if self.user_id != previous_user:
            values.update(
                user_id=self.user_id.id,
                partner_ids=[
                    Command.unlink(previous_user.partner_id.id),
                    Command.link(self.user_id.partner_id.id),
                ],
            )
        if {"lead_id", "partner_id"} & vals.keys():
            values.update(self._prepare_meeting_values())
        if values:
            event.write(values)
            self._accept_meeting(event)

    def _get_moved_period(self, event, previous_user):
        """Return values for the meeting on the planned day: at the same hour, of the
        same length, also where clocks have changed in between."""
        if event.allday and event.start_date == self.date_planned:
            return {}
        if event.allday:
            days = event.stop_date - event.start_date
            return {
                "start_date": self.date_planned,
                "stop_date": self.date_planned + days,
            }
        old_tz = clock.get_timezone(self.company_id, previous_user)
        tz = clock.get_timezone(self.company_id, self.user_id)
        hour = pytz.utc.localize(event.start).astimezone(old_tz).time()
        start = tz.normalize(tz.localize(datetime.combine(self.date_planned, hour)))
        start = start.astimezone(pytz.utc).replace(tzinfo=None)
        if start == event.start:
            return {}
        return {"start": start, "stop": start + (event.stop - event.start)}

    def _remove_meetings(self):
        """Take the meetings of visits that won't take place out of the calendar, unless
        they are history. Where others attend, the meeting is archived: whoever invited
        them can restore it and tell them."""
        for visit in self.sudo():
            event = visit._get_meeting()
            if not event or event.stop < fields.Datetime.now():
                continue
            visit._release_meetings(event)
            guests = event.partner_ids - event.user_id.partner_id
            if guests or event.recurrence_id:
                event.action_archive()
            else:
                event.unlink()

    def _release_meetings(self, events):
        """Cut the links to meetings that are going to be archived or deleted: deleting
        would take the visits' activities along."""
        planned = self.filtered(lambda visit: visit.state == "planned")
        planned.write({"calendar_event_id": False, "is_date_fixed": False})
        (self - planned).write({"calendar_event_id": False})
        self.env["mail.activity"].sudo().with_context(active_test=False).search(
            [
                ("calendar_event_id", "in", events.ids),
                ("key_account_role", "!=", False),
            ]
        ).write({"calendar_event_id": False})

    def _follow_meeting(self, event):
        """Take ``event`` in the place of a meeting that is gone."""
        if self.state == "planned":
            self.activity_id._write_quietly({"calendar_event_id": event.id})
            self._link_meeting(event)
            self._write_from_meetings()

    def _adopt_meetings(self):
        """Take the meetings that were made from the activities for the visits'."""
        for visit in self:
            event = visit.activity_id.calendar_event_id
            if visit.state == "planned" and event and not visit.calendar_event_id:
                visit._link_meeting(event)
                visit._write_from_meetings()

    def _write_from_meetings(self):
        """Move planned visits to the days of their meetings, where their salespersons
        are."""
        for visit in self.filtered(lambda visit: visit.state == "planned"):
            day = visit._get_meeting_day()
            if day != visit.date_planned:
                visit.write({"date_planned": day, "is_date_fixed": True})

    def _get_meeting_day(self):
        """Return the day of the meeting where the salesperson is."""
        tz = clock.get_timezone(self.company_id, self.user_id)
        agenda = self.env["key.account.agenda"]
        return agenda._get_event_period(self.calendar_event_id, tz)[0].date()

    def _get_meeting_hour(self):
        """Return when the meeting starts, in words, where the salesperson is."""
        event = self.calendar_event_id
        if not event or event.allday:
            return False
        tz = clock.get_timezone(self.company_id, self.user_id)
        return format_time(self.env, event.start, tz=tz.zone, time_format="short")
