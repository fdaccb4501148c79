from datetime import date, datetime, time, timedelta
from unittest.mock import patch

import pytz
from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, new_test_user, tagged

from ..common import SALES, KeyAccountCommon

WEDNESDAY = date(2026, 3, 18)
FRIDAY = date(2026, 3, 20)


class MeetingCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-16 09:10:00"))
        cls.env["key.account.cadence"].search([]).active = False
        cls.partner = cls._create_partner(
            "Customer", street="Main Street 1", zip="12345", city="Town", email="a@b.c"
        )
        cls.visit = cls._create_visit(cls.partner)

    @classmethod
    def _create_visit(cls, partner, **values):
        return cls.Visit.create(
            {
                "partner_id": partner.id,
                "user_id": cls.rep.id,
                "date_planned": WEDNESDAY,
                "summary": "Key account, weekly",
                **values,
            }
        )

    def _schedule(self, visit=None, user=None):
        visit = visit or self.visit
        visit.with_user(user or self.rep).action_schedule_meeting()
        return visit.calendar_event_id

    def _get_local(self, event, tz):
        return (
            pytz.utc.localize(event.start)
            .astimezone(pytz.timezone(tz))
            .replace(tzinfo=None)
        )


@tagged("post_install", "-at_install")
class TestScheduling(MeetingCommon):
    def test_values(self):
        action = self.visit.with_user(self.rep).action_schedule_meeting()
        event = self.visit.calendar_event_id
        self.assertEqual(action["res_id"], event.id)
        self.assertEqual(event.name, "Visit: Customer")
        self.assertEqual(event.start, datetime(2026, 3, 18, 8))
        self.assertEqual(event.stop, datetime(2026, 3, 18, 9))
        self.assertEqual(event.user_id, self.rep)
        self.assertEqual(event.partner_ids, self.rep.partner_id)
        self.assertEqual(event.attendee_ids.state, "accepted")
        self.assertIn("Main Street 1", event.location)
        self.assertNotIn("\n", event.location)
        self.assertEqual(
            (event.res_model, event.res_id), ("res.partner", self.partner.id)
        )
        # colleagues see the meeting: neither tier nor cadence is in it
        self.assertFalse(event.description)
        # the visit's activity is the meeting's, and says what it said
        self.assertEqual(event.activity_ids, self.visit.activity_id)
        self.assertEqual(self.visit.activity_id.summary, "Key account, weekly")
        self.assertEqual(self.visit.activity_id.user_id, self.rep)
        self.assertEqual(self.visit.date_planned, WEDNESDAY)
        # planning leaves it alone
        self.assertTrue(self.visit.is_date_fixed)

    def test_no_mail(self):
        """Neither the rep nor the customer gets one, whoever plans or moves."""
        Mail = type(self.env["mail.mail"])
        with patch.object(Mail, "create", autospec=True) as create:
            event = self._schedule(user=self.manager)
            event.with_context(no_mail_to_attendees=True).partner_ids = [
                Command.link(self.partner.id)
            ]
            self.visit.with_user(self.manager).date_planned = FRIDAY
            self.visit.with_user(self.manager).user_id = self.rep2
            self.visit.with_user(self.manager).action_cancel()
        create.assert_not_called()
        self.assertFalse(event.active)

    def test_again(self):
        """Once more opens the meeting."""
        event = self._schedule()
        action = self.visit.with_user(self.rep).action_schedule_meeting()
        self.assertEqual(action["res_id"], event.id)
        self.assertEqual(
            self.visit.with_user(self.rep).action_open_meeting()["res_id"], event.id
        )

    def test_first_free_slot(self):
        """After what is there, also visits; not over lunch."""
        first = self._schedule()
        others = [
            self._schedule(self._create_visit(self._create_partner(f"Other {number}")))
            for number in range(4)
        ]
        self.assertEqual(
            [event.start.hour for event in [first, *others]], [8, 9, 10, 11, 13]
        )
        # rounded up to a quarter
        self.env["calendar.event"].create(
            {
                "name": "Short",
                "start": datetime(2026, 3, 18, 14),
                "stop": datetime(2026, 3, 18, 14, 5),
                "user_id": self.rep.id,
                "partner_ids": [Command.set(self.rep.partner_id.ids)],
            }
        )
        event = self._schedule(self._create_visit(self._create_partner("Last")))
        self.assertEqual(event.start, datetime(2026, 3, 18, 14, 15))

    def test_today(self):
        self.visit.date_planned = date(2026, 3, 16)
        event = self._schedule()
        self.assertEqual(event.start, datetime(2026, 3, 16, 9, 15))

    def test_no_slot(self):
        """A sentence instead of a meeting, and nothing has changed."""
        # Sunday, and half an hour before the evening
        self.visit.date_planned = date(2026, 3, 22)
        message = "no time for a meeting of 1 h on Mar 22"
        with self.assertRaisesRegex(UserError, message):
            self.visit.with_user(self.rep).action_schedule_meeting()
        with (
            freeze_time("2026-03-18 16:05:00"),
            self.assertRaisesRegex(UserError, "choose another day"),
        ):
            self.visit.date_planned = WEDNESDAY
            self.visit.with_user(self.rep).action_schedule_meeting()
        self.assertFalse(self.visit.calendar_event_id)

    def test_overdue(self):
        """An overdue visit moves to the first day that has room."""
        self.visit.date_planned = date(2026, 3, 13)
        busy = self._create_visit(self._create_partner("All day"))
        busy.date_planned = date(2026, 3, 16)
        self.company.key_account_meeting_hours = 6
        self.assertEqual(self._schedule(busy).start, datetime(2026, 3, 16, 9, 15))
        self.company.key_account_meeting_hours = 1
        with freeze_time("2026-03-16 16:05:00"):
            event = self._schedule()
        self.assertEqual(event.start, datetime(2026, 3, 17, 8))
        self.assertEqual(self.visit.date_planned, date(2026, 3, 17))
        self.assertEqual(self.visit.activity_id.date_deadline, date(2026, 3, 17))
        # nobody works
        visit = self._create_visit(self._create_partner("Nobody there"))
        visit.date_planned = date(2026, 3, 13)
        self.company.resource_calendar_id.attendance_ids.unlink()
        with self.assertRaisesRegex(UserError, "choose another day"):
            visit.with_user(self.rep).action_schedule_meeting()
        self.assertEqual(visit.date_planned, date(2026, 3, 13))

    def test_length(self):
        self.company.key_account_meeting_hours = 1.5
        event = self._schedule()
        self.assertEqual(event.duration, 1.5)
        # longer than the morning and the afternoon: over lunch
        self.company.key_account_meeting_hours = 6
        visit = self._create_visit(self._create_partner("Long"))
        event = self._schedule(visit)
        self.assertEqual(event.start, datetime(2026, 3, 18, 9, 30))
        self.assertEqual(event.stop, datetime(2026, 3, 18, 15, 30))
        for hours in (0, -1, 25):
            with self.subTest(hours), self.assertRaises(ValidationError):
                self.company.key_account_meeting_hours = hours

    def test_settings(self):
        with Form(self.env["res.config.settings"]) as form:
            form.key_account_meeting_hours = 2
        form.save().execute()
        self.assertEqual(self.company.key_account_meeting_hours, 2)

    def test_time_zones(self):
        """Eight in the morning wherever the rep is, on the planned day."""
        for tz in ("Pacific/Auckland", "America/Los_Angeles", "Pacific/Kiritimati"):
            self.rep.tz = tz
            visit = self._create_visit(self._create_partner(tz))
            event = self._schedule(visit)
            self.assertEqual(self._get_local(event, tz), datetime(2026, 3, 18, 8), tz)
            self.assertEqual(visit.date_planned, WEDNESDAY, tz)

    def test_lead(self):
        lead = self.env["crm.lead"].create(
            {
                "name": "Lead",
                "user_id": self.rep.id,
                "company_id": self.company.id,
                "type": "opportunity",
                "city": "Town",
                "zip": "12345",
            }
        )
        visit = self.Visit.create(
            {"lead_id": lead.id, "user_id": self.rep.id, "date_planned": WEDNESDAY}
        )
        event = self._schedule(visit)
        self.assertEqual(event.opportunity_id, lead)
        self.assertEqual((event.res_model, event.res_id), ("crm.lead", lead.id))
        self.assertEqual(event.name, "Visit: Lead")
        self.assertEqual(event.location, "12345 Town")

    def test_rights(self):
        with self.assertRaises(AccessError):
            self.visit.with_user(self.rep2).action_schedule_meeting()
        internal = self._create_user("ka_internal", "base.group_user")
        with self.assertRaises(AccessError):
            self.visit.with_user(internal).action_schedule_meeting()
        with self.assertRaises(AccessError):
            self.visit.with_user(internal).action_open_meeting()
        event = self._schedule(user=self.leader)
        self.assertEqual(event.user_id, self.rep)
        self.assertEqual(event.attendee_ids.state, "accepted")
        with self.assertRaises(AccessError):
            self.visit.with_user(self.rep).calendar_event_id = False

    def test_nobody(self):
        self.visit.user_id = False
        with self.assertRaisesRegex(UserError, "choose a salesperson first"):
            self.visit.with_user(self.leader).action_schedule_meeting()

    def test_closed(self):
        self.visit.action_cancel()
        with self.assertRaisesRegex(UserError, "not planned any more"):
            self.visit.action_schedule_meeting()

    def test_client_context(self):
        """What a client sends as defaults isn't in the meeting."""
        self.visit.with_user(self.rep).with_context(
            default_partner_ids=self.partner.ids,
            default_description="Secret",
            active_model="res.partner",
            active_id=self.partner.id,
        ).action_schedule_meeting()
        event = self.visit.calendar_event_id
        self.assertEqual(event.partner_ids, self.rep.partner_id)
        self.assertFalse(event.description)

    def test_from_activity(self):
        """Odoo's own way from an activity of the type Meeting."""
        activity = self.visit.activity_id
        activity.activity_type_id = self.env.ref("mail.mail_activity_data_meeting")
        context = activity.with_user(self.rep).action_create_calendar_event()["context"]
        event = (
            self.env["calendar.event"]
            .with_user(self.rep)
            .with_context(**context)
            .create(
                {
                    "name": "From the activity",
                    "start": datetime(2026, 3, 19, 9),
                    "stop": datetime(2026, 3, 19, 10),
                }
            )
        )
        self.assertEqual(self.visit.calendar_event_id, event)
        self.assertEqual(self.visit.date_planned, date(2026, 3, 19))
        self.assertEqual(activity.date_deadline, date(2026, 3, 19))
        self.assertEqual(activity.summary, "Key account, weekly")


@tagged("post_install", "-at_install")
class TestMovingMeetings(MeetingCommon):
    def _write(self, event, values, user=None):
        event.with_user(user or self.rep).with_context(tz="UTC").write(values)

    def test_other_day(self):
        event = self._schedule()
        self._write(
            event,
            {"start": datetime(2026, 3, 20, 14), "stop": datetime(2026, 3, 20, 15)},
        )
        self.assertEqual(self.visit.date_planned, FRIDAY)
        self.assertTrue(self.visit.is_date_fixed)
        self.assertEqual(self.visit.activity_id.date_deadline, FRIDAY)
        self.assertEqual(self._get_card(self.partner).next_visit_date, FRIDAY)
        # moving doesn't come back as another move
        self.assertEqual(event.start, datetime(2026, 3, 20, 14))

    # --- series -----------------------------------------------------------------------

    def _repeat(self, event, **values):
        """Make the meeting a series of four, each Wednesday."""
        event.with_user(self.rep).write(
            {
                "recurrency": True,
                "rrule_type": "weekly",
                "interval": 1,
                "wed": True,
                "end_type": "count",
                "count": 4,
                "event_tz": "UTC",
                **values,
            }
        )
        return event.recurrence_id.calendar_event_ids.sorted("start")

    def _move_series(self, event, days, scope, hours=0):
        shift = timedelta(days=days, hours=hours)
        self._write(
            event,
            {
                "start": event.start + shift,
                "stop": event.stop + shift,
                "recurrence_update": scope,
            },
        )

    def _check_series(self, day, visit=None):
        visit = visit or self.visit
        event = visit.calendar_event_id
        self.assertTrue(event.active)
        self.assertEqual(event.start.date(), day)
        self.assertEqual(visit.date_planned, day)
        self.assertEqual(visit.activity_id.date_deadline, day)
        self.assertEqual(visit.activity_id.calendar_event_id, event)
        self.assertTrue(visit.is_date_fixed)
        self.assertEqual(
            event.recurrence_id.calendar_event_ids.key_account_visit_ids, visit
        )

    def test_made_weekly(self):
        events = self._repeat(self._schedule())
        self.assertEqual(len(events), 4)
        self._check_series(WEDNESDAY)

    def test_series_is_moved(self):
        """As a whole or from a meeting on, whichever of them is dragged, and whichever
        the visit has."""
        for scope in ("all_events", "future_events"):
            for dragged in range(3):
                for own in range(3):
                    with self.subTest(scope=scope, dragged=dragged, own=own):
                        partner = self._create_partner("Series")
                        visit = self._create_visit(partner)
                        events = self._repeat(self._schedule(visit))
                        if own:
                            visit._follow_meeting(events[own])
                        day = WEDNESDAY + timedelta(weeks=own)
                        self._check_series(day, visit)
                        self._move_series(events[dragged], 1, scope)
                        if scope == "all_events" or own >= dragged:
                            day += timedelta(days=1)
                        self._check_series(day, visit)
                        visit.calendar_event_id.with_user(self.rep).write(
                            {"name": "Told", "recurrence_update": "all_events"}
                        )
                        self._check_series(day, visit)
                        visit.action_cancel()
                        self.env["calendar.event"].search(
                            [("res_id", "=", partner.id)]
                        ).unlink()

    def test_series_to_another_hour(self):
        event = self._schedule()
        self._repeat(event)
        self._move_series(event, 0, "all_events", hours=2)
        self._check_series(WEDNESDAY)

    def test_series_on_another_day(self):
        """Core takes the meeting out of a series that has none on its day."""
        event = self._schedule()
        self._repeat(event, wed=False, fri=True)
        self._check_series(FRIDAY)

    def test_series_deleted(self):
        """Then there is no meeting any more, and the visit is planned as before."""
        event = self._schedule()
        self._repeat(event)
        event.with_user(self.rep).action_mass_deletion("all_events")
        self.assertEqual(self.visit.state, "planned")
        self.assertFalse(self.visit.calendar_event_id)
        self.assertTrue(self.visit.activity_id.active)

    def test_other_hour(self):
        event = self._schedule()
        self._write(
            event,
            {"start": datetime(2026, 3, 18, 14), "stop": datetime(2026, 3, 18, 16)},
        )
        self.assertEqual(self.visit.date_planned, WEDNESDAY)

    def test_reason_stays(self):
        event = self._schedule()
        self._write(event, {"name": "Lunch", "description": "<p>Soup</p>"})
        activity = self.visit.activity_id
        self.assertEqual(activity.summary, "Key account, weekly")
        self.assertFalse(activity.note)
        self._write(event, {"user_id": self.rep2.id})
        self.assertEqual(activity.user_id, self.rep)
        self.assertEqual(self.visit.user_id, self.rep)

    def test_other_activities(self):
        """Core's own activities follow as ever."""
        other = self.partner.activity_schedule(
            "mail.mail_activity_data_meeting", WEDNESDAY, user_id=self.rep.id
        )
        event = self._schedule()
        other.calendar_event_id = event
        self._write(
            event,
            {
                "name": "Lunch",
                "start": datetime(2026, 3, 20, 14),
                "stop": datetime(2026, 3, 20, 15),
            },
        )
        self.assertEqual(other.summary, "Lunch")
        self.assertEqual(other.date_deadline, FRIDAY)

    def test_over_midnight(self):
        """The day is the rep's, whoever moves the meeting and wherever that is."""
        cases = [
            # eleven at night of the 18th and one in the morning of the 19th, in UTC
            ("Pacific/Auckland", (2026, 3, 19), (2026, 3, 19)),
            ("America/Los_Angeles", (2026, 3, 18), (2026, 3, 18)),
            ("Pacific/Kiritimati", (2026, 3, 19), (2026, 3, 19)),
        ]
        for tz, late, early in cases:
            self.rep.tz = tz
            visit = self._create_visit(self._create_partner(tz))
            event = self._schedule(visit)
            self._write(
                event,
                {
                    "start": datetime(2026, 3, 18, 23),
                    "stop": datetime(2026, 3, 18, 23, 30),
                },
                self.manager,
            )
            self.assertEqual(visit.date_planned, date(*late), tz)
            self.assertEqual(visit.activity_id.date_deadline, date(*late), tz)
            self._write(
                event,
                {"start": datetime(2026, 3, 19, 1), "stop": datetime(2026, 3, 19, 2)},
                self.manager,
            )
            self.assertEqual(visit.date_planned, date(*early), tz)

    def test_another_time_zone(self):
        """The salesperson travels: the meeting is on another day there."""
        event = self._schedule()
        start = datetime.combine(self.visit.date_planned, time(22))
        event.write({"start": start, "stop": start + timedelta(hours=1)})
        day = self.visit.date_planned
        self.rep.tz = "Asia/Tokyo"
        self.assertEqual(self.visit.date_planned, day + timedelta(days=1))
        self.assertEqual(self.visit.activity_id.date_deadline, day + timedelta(days=1))
        self.assertEqual(event.start, start)
        self.rep.partner_id.tz = "UTC"
        self.assertEqual(self.visit.date_planned, day)

    def test_all_day(self):
        """A meeting that takes all day is on its day in every time zone, and stays
        there for all."""
        for tz in ("Pacific/Auckland", "America/Los_Angeles", "Pacific/Kiritimati"):
            self.rep.tz = tz
            visit = self._create_visit(self._create_partner(tz))
            event = self._schedule(visit)
            self._write(
                event,
                {"allday": True, "start_date": FRIDAY, "stop_date": FRIDAY},
            )
            self.assertEqual(visit.date_planned, FRIDAY, tz)
            visit.with_user(self.rep).date_planned = WEDNESDAY
            self.assertEqual(event.start_date, WEDNESDAY, tz)
            self.assertEqual(event.stop_date, WEDNESDAY, tz)
            self.assertTrue(event.allday)
            # the next one needs the day
            event.unlink()

    def test_by_stranger(self):
        """A colleague outside sales moves and deletes the meeting."""
        internal = self._create_user("ka_internal", "base.group_user")
        event = self._schedule()
        self._write(
            event,
            {"start": datetime(2026, 3, 20, 14), "stop": datetime(2026, 3, 20, 15)},
            internal,
        )
        self.assertEqual(self.visit.date_planned, FRIDAY)
        event.with_user(internal).unlink()
        self._check_free(self.visit)

    def _check_free(self, visit):
        self.env.invalidate_all()
        self.assertEqual(visit.state, "planned")
        self.assertFalse(visit.calendar_event_id)
        self.assertFalse(visit.is_date_fixed)
        self.assertTrue(visit.activity_id.active)
        self.assertFalse(visit.activity_id.calendar_event_id)

    def test_delete(self):
        event = self._schedule()
        self.visit.date_planned = FRIDAY
        event.with_user(self.rep).unlink()
        self._check_free(self.visit)
        self.assertEqual(self.visit.date_planned, FRIDAY)

    def test_archive(self):
        event = self._schedule()
        event.with_user(self.rep).action_archive()
        self._check_free(self.visit)
        # another one can be scheduled
        self.assertNotEqual(self._schedule(), event)

    def test_done(self):
        """The meeting of a done visit is history, and so is the visit."""
        event = self._schedule()
        with freeze_time("2026-03-18 15:00:00"):
            self.visit.with_user(self.rep).action_done()
        self.assertEqual(self.visit.calendar_event_id, event)
        self.assertTrue(event.active)
        self._write(
            event,
            {"start": datetime(2026, 3, 20, 14), "stop": datetime(2026, 3, 20, 15)},
        )
        self.assertEqual(self.visit.date_planned, WEDNESDAY)
        activity = self.visit.activity_id
        event.with_user(self.rep).unlink()
        self.env.invalidate_all()
        self.assertEqual(self.visit.state, "done")
        # the done activity isn't deleted with the meeting
        self.assertTrue(activity.exists())

    def test_done_before_its_day(self):
        """What took place on Monday isn't in the calendar of Wednesday any more."""
        event = self._schedule()
        self.visit.with_user(self.rep).action_done()
        self.assertFalse(self.visit.calendar_event_id)
        self.assertFalse(event.exists())

    def test_recurrence(self):
        """A meeting that becomes the first of many stays the visit's."""
        event = self._schedule()
        self._write(
            event,
            {
                "recurrency": True,
                "rrule_type": "daily",
                "interval": 1,
                "end_type": "count",
                "count": 3,
            },
        )
        self.assertEqual(self.visit.calendar_event_id, event)
        self.visit.with_user(self.rep).date_planned = FRIDAY
        self.assertEqual(event.start.date(), FRIDAY)
        self.visit.with_user(self.rep).action_cancel()
        self.assertFalse(event.active)

    def test_declined(self):
        event = self._schedule()
        event.attendee_ids.with_user(self.rep).do_decline()
        self.visit.with_user(self.rep).date_planned = FRIDAY
        self.assertEqual(event.start.date(), FRIDAY)

    def test_foreign_meetings(self):
        """Meetings that have nothing to do with visits, of whoever it may be."""
        other = self._create_company("Other")
        portal = new_test_user(self.env, "ka_portal", "base.group_portal")
        for user in (
            portal,
            self._create_user("ka_other", SALES, other),
            self._create_user("ka_internal", "base.group_user"),
        ):
            event = self.env["calendar.event"].create(
                {
                    "name": "Meeting",
                    "start": datetime(2026, 3, 18, 9),
                    "stop": datetime(2026, 3, 18, 10),
                    "user_id": user.id,
                    "partner_ids": [Command.set(user.partner_id.ids)],
                }
            )
            event.start += timedelta(days=1)
            self.assertEqual(event.start, datetime(2026, 3, 19, 9))
            event.action_archive()
            event.unlink()
            self.assertFalse(event.exists())


@tagged("post_install", "-at_install")
class TestMovingVisits(MeetingCommon):
    def test_visit(self):
        event = self._schedule()
        event.write({"stop": datetime(2026, 3, 18, 10, 30)})
        self.visit.with_user(self.rep).date_planned = FRIDAY
        self.assertEqual(event.start, datetime(2026, 3, 20, 8))
        self.assertEqual(event.stop, datetime(2026, 3, 20, 10, 30))

    def test_activity(self):
        event = self._schedule()
        self.visit.activity_id.with_user(self.rep).date_deadline = FRIDAY
        self.assertEqual(self.visit.date_planned, FRIDAY)
        self.assertEqual(event.start, datetime(2026, 3, 20, 8))

    def test_activities_of_both_kinds(self):
        """Moved together, each meeting follows once."""
        event = self._schedule()
        other = self.partner.activity_schedule(
            "mail.mail_activity_data_meeting", WEDNESDAY, user_id=self.rep.id
        )
        other.calendar_event_id = self.env["calendar.event"].create(
            {
                "name": "Other",
                "start": datetime(2026, 3, 18, 9),
                "stop": datetime(2026, 3, 18, 10),
            }
        )
        (self.visit.activity_id | other).with_user(self.rep).write(
            {"date_deadline": FRIDAY}
        )
        self.assertEqual(event.start, datetime(2026, 3, 20, 8))
        self.assertEqual(other.calendar_event_id.start, datetime(2026, 3, 20, 9))
        self.assertEqual(other.date_deadline, FRIDAY)

    def test_same_hour(self):
        """Over both changes of the clocks, and wherever the manager is who moves it."""
        cases = [
            ("Pacific/Auckland", date(2026, 4, 3), date(2026, 4, 7)),
            ("Pacific/Auckland", date(2026, 9, 25), date(2026, 9, 28)),
            ("America/Los_Angeles", date(2026, 10, 30), date(2026, 11, 2)),
            ("Europe/Berlin", date(2026, 3, 27), date(2026, 3, 30)),
            ("Pacific/Kiritimati", date(2026, 3, 27), date(2026, 3, 30)),
        ]
        for tz, before, after in cases:
            self.rep.tz = tz
            visit = self._create_visit(
                self._create_partner(f"{tz} {before}"), date_planned=before
            )
            event = self._schedule(visit)
            for day in (after, before):
                visit.with_user(self.manager).with_context(
                    tz="Asia/Tokyo"
                ).date_planned = day
                self.assertEqual(
                    self._get_local(event, tz),
                    datetime(day.year, day.month, day.day, 8),
                    tz,
                )
                self.assertEqual(event.duration, 1)
                self.assertEqual(visit.date_planned, day)
                visit.activity_id.with_user(self.manager).with_context(
                    tz="Asia/Tokyo"
                ).date_deadline = after
                self.assertEqual(self._get_local(event, tz).date(), after)
                self.assertEqual(self._get_local(event, tz).hour, 8)

    def test_hand_over(self):
        """The colleague has the meeting at the same hour of the own day."""
        self.rep2.tz = "America/Los_Angeles"
        event = self._schedule()
        event.with_context(no_mail_to_attendees=True).partner_ids = [
            Command.link(self.partner.id)
        ]
        self.visit.with_user(self.leader).user_id = self.rep2
        self.assertEqual(event.user_id, self.rep2)
        self.assertEqual(event.partner_ids, (self.rep2.partner_id | self.partner))
        self.assertEqual(
            self._get_local(event, "America/Los_Angeles"), datetime(2026, 3, 18, 8)
        )
        self.assertEqual(
            event.attendee_ids.filtered(
                lambda attendee: attendee.partner_id == self.rep2.partner_id
            ).state,
            "accepted",
        )

    def test_customer_hand_over(self):
        """So does a customer who gets another salesperson."""
        event = self._schedule()
        self.partner.user_id = self.rep2
        self.assertEqual(self.visit.user_id, self.rep2)
        self.assertEqual(event.user_id, self.rep2)
        self.assertEqual(event.partner_ids, self.rep2.partner_id)

    def test_nobody(self):
        event = self._schedule()
        self.visit.with_user(self.leader).user_id = False
        self.assertFalse(event.exists())
        self.assertEqual(self.visit.state, "planned")
        self.assertTrue(self.visit.activity_id.active)

    def test_cancel(self):
        event = self._schedule()
        self.visit.with_user(self.rep).action_cancel()
        self.assertFalse(event.exists())
        self.assertFalse(self.visit.calendar_event_id)

    def test_cancel_with_guests(self):
        """Whoever invited others can restore the meeting, and tell them."""
        event = self._schedule()
        event.with_context(no_mail_to_attendees=True).partner_ids = [
            Command.link(self.partner.id)
        ]
        self.visit.with_user(self.rep).action_cancel()
        self.assertTrue(event.exists())
        self.assertFalse(event.active)

    def test_cancel_activity(self):
        """Also by the buttons of Odoo's activities."""
        event = self._schedule()
        self.visit.activity_id.with_user(self.rep).unlink_w_meeting()
        self.assertEqual(self.visit.state, "cancelled")
        self.assertFalse(event.exists())

    def test_cancel_past(self):
        event = self._schedule()
        with freeze_time("2026-03-19 09:00:00"):
            self.visit.with_user(self.rep).action_cancel()
        self.assertTrue(event.active)
        self.assertEqual(self.visit.calendar_event_id, event)

    def test_close(self):
        """What the system closes goes too: the customer is archived."""
        event = self._schedule()
        self.partner.action_archive()
        self.assertEqual(self.visit.state, "cancelled")
        self.assertFalse(event.exists())

    def test_delete(self):
        event = self._schedule()
        self.visit.with_user(self.manager).unlink()
        self.assertFalse(event.exists())
