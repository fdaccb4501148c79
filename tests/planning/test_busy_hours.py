from datetime import date, datetime, timedelta

from odoo import Command
from odoo.tests import tagged

from ..common import SALES, KeyAccountCommon

MONDAY = date(2026, 3, 16)
SUNDAY = date(2026, 3, 22)
WEDNESDAY = date(2026, 3, 18)
THURSDAY = date(2026, 3, 19)


@tagged("post_install", "-at_install")
class TestBusyHours(KeyAccountCommon):
    def _create_event(self, start, stop, user=None, **values):
        user = user or self.rep
        return (
            self.env["calendar.event"]
            .with_context(no_mail_to_attendees=True)
            .create(
                {
                    "name": "Meeting",
                    "start": start,
                    "stop": stop,
                    "user_id": user.id,
                    "partner_ids": [Command.set(user.partner_id.ids)],
                    **values,
                }
            )
        )

    def _get_busy(self, user=None, start=MONDAY, end=SUNDAY):
        user = user or self.rep
        busy = self.env["key.account.agenda"]._get_busy_hours(
            user, self.company, start, end
        )
        return busy[user.id]

    def test_hours(self):
        """Hours within working time alone, those at the same time once."""
        self.assertEqual(self._get_busy(), {})
        self._create_event(datetime(2026, 3, 18, 9), datetime(2026, 3, 18, 11))
        self._create_event(datetime(2026, 3, 18, 10), datetime(2026, 3, 18, 11, 30))
        # from before work, over lunch, till after work, and on a Sunday
        self._create_event(datetime(2026, 3, 19, 6), datetime(2026, 3, 19, 9))
        self._create_event(datetime(2026, 3, 19, 11), datetime(2026, 3, 19, 14))
        self._create_event(datetime(2026, 3, 19, 16, 30), datetime(2026, 3, 19, 22))
        self._create_event(datetime(2026, 3, 22, 9), datetime(2026, 3, 22, 12))
        self.assertEqual(self._get_busy(), {WEDNESDAY: 2.5, THURSDAY: 1 + 1 + 1 + 0.5})
        working = self._get_working_hours(self.rep, self.company, MONDAY, SUNDAY)
        self.assertEqual(
            working[self.rep.id], {MONDAY + timedelta(days=day): 8 for day in range(5)}
        )
        self.assertEqual(working[False], working[self.rep.id])

    def test_several_days(self):
        self._create_event(datetime(2026, 3, 16, 15), datetime(2026, 3, 18, 10))
        self.assertEqual(
            self._get_busy(), {MONDAY: 2, date(2026, 3, 17): 8, WEDNESDAY: 2}
        )
        # the ends of the range cut it
        self.assertEqual(self._get_busy(start=WEDNESDAY, end=WEDNESDAY), {WEDNESDAY: 2})

    def test_all_day(self):
        """A day off is one day wherever its people are."""
        self._create_event(
            WEDNESDAY, THURSDAY, allday=True, start_date=WEDNESDAY, stop_date=THURSDAY
        )
        for tz in ("UTC", "Pacific/Auckland", "Pacific/Kiritimati", "Pacific/Midway"):
            self.rep.tz = tz
            self.assertEqual(self._get_busy(), {WEDNESDAY: 8, THURSDAY: 8}, tz)

    def test_who_is_busy(self):
        begin, end = datetime(2026, 3, 18, 9), datetime(2026, 3, 18, 10)
        event = self._create_event(begin, end)
        self.assertEqual(self._get_busy(), {WEDNESDAY: 1})
        event.show_as = "free"
        self.assertEqual(self._get_busy(), {})
        event.show_as = "busy"
        event.active = False
        self.assertEqual(self._get_busy(), {})
        event.active = True
        event.attendee_ids.state = "declined"
        self.assertEqual(self._get_busy(), {})
        event.attendee_ids.state = "tentative"
        self.assertEqual(self._get_busy(), {WEDNESDAY: 1})
        # as a guest of somebody else, and as an organizer who isn't on the list
        event.with_context(skip_attendee_notification=True).write(
            {
                "user_id": self.rep2.id,
                "partner_ids": [Command.set(self.leader.partner_id.ids)],
            }
        )
        self.assertEqual(self._get_busy(), {})
        self.assertEqual(self._get_busy(self.rep2), {WEDNESDAY: 1})
        self.assertEqual(self._get_busy(self.leader), {WEDNESDAY: 1})

    def test_own_visit(self):
        """The visit takes the time of its salesperson, its meeting that of guests."""
        event = self._create_event(
            datetime(2026, 3, 18, 9),
            datetime(2026, 3, 18, 10),
            partner_ids=[Command.set((self.rep | self.rep2).partner_id.ids)],
        )
        visit = self.Visit.create(
            {
                "partner_id": self._create_partner("Customer").id,
                "user_id": self.rep.id,
                "date_planned": WEDNESDAY,
            }
        )
        visit.calendar_event_id = event
        self.assertEqual(self._get_busy(), {})
        self.assertEqual(self._get_busy(self.rep2), {WEDNESDAY: 1})

    def test_time_zone(self):
        """9 to 10 in the evening of Tuesday in UTC is Wednesday morning in Auckland."""
        self.rep.tz = "Pacific/Auckland"
        self._create_event(datetime(2026, 3, 17, 21), datetime(2026, 3, 17, 22))
        self.assertEqual(self._get_busy(), {WEDNESDAY: 1})
        self.assertEqual(self._get_busy(start=WEDNESDAY, end=WEDNESDAY), {WEDNESDAY: 1})

    def test_clock_change(self):
        """The day on which clocks change has the same working hours."""
        self.rep.tz = "America/Los_Angeles"
        sunday = date(2026, 3, 8)
        self.company.resource_calendar_id.attendance_ids = [
            Command.create(
                {
                    "name": "Sunday",
                    "dayofweek": "6",
                    "hour_from": 8,
                    "hour_to": 12,
                    "day_period": "morning",
                }
            )
        ]
        # 10 to 11, already an hour nearer to UTC
        self._create_event(datetime(2026, 3, 8, 17), datetime(2026, 3, 8, 18))
        hours = self._get_working_hours(self.rep, self.company, sunday, sunday)
        self.assertEqual(hours[self.rep.id], {sunday: 4})
        self.assertEqual(self._get_busy(start=sunday, end=sunday), {sunday: 1})

    def test_no_hours(self):
        """A calendar without hours has no working day."""
        self.company.resource_calendar_id.attendance_ids.unlink()
        agenda = self.env["key.account.agenda"]
        for get in (self._get_working_hours, agenda._get_day_capacities):
            result = get(self.rep, self.company, MONDAY, SUNDAY)
            self.assertEqual(result, {self.rep.id: {}, False: {}}, get.__name__)

    def test_capacity(self):
        """Six visits on a full day; on a short or busy one as many as fit."""
        self._create_event(datetime(2026, 3, 18, 8), datetime(2026, 3, 18, 10))
        self._create_event(datetime(2026, 3, 19, 8), datetime(2026, 3, 19, 17))
        capacities = self.env["key.account.agenda"]._get_day_capacities(
            self.rep, self.company, MONDAY, SUNDAY
        )
        self.assertEqual(
            capacities[self.rep.id],
            {
                MONDAY: 6,
                date(2026, 3, 17): 6,
                # 6 * 6 / 8
                WEDNESDAY: 4.5,
                THURSDAY: 0,
                date(2026, 3, 20): 6,
            },
        )

    def test_queries(self):
        """The same number of queries for one salesperson and for fifty."""
        users = self.env["res.users"].union(
            *(self._create_user(f"ka_busy_{number}", SALES) for number in range(50))
        )
        for user in users:
            self._create_event(
                datetime(2026, 3, 18, 9), datetime(2026, 3, 18, 10), user
            )
        self.env.flush_all()

        def count(users):
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            busy = self.env["key.account.agenda"]._get_busy_hours(
                users, self.company, MONDAY, SUNDAY
            )
            for user in users:
                self.assertEqual(busy[user.id], {WEDNESDAY: 1})
            return self.cr.sql_log_count - before

        count(users[:1])
        self.assertEqual(count(users[:1]), count(users))
