from datetime import date, datetime

from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import AccessError
from odoo.tests import Form, tagged

from ..common import KeyAccountCommon

TUESDAY = date(2026, 3, 17)


@tagged("post_install", "-at_install")
class TestMeetingOffer(KeyAccountCommon):
    """A meeting that was held with a customer is offered as a visit to report."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.env["key.account.cadence"].search([]).active = False
        cls.partner = cls._create_partner("Kestrel")
        cls._set_tier(cls.partner, cls.tier_a)
        cls.ann = cls.env["res.partner"].create(
            {"name": "Ann", "parent_id": cls.partner.id}
        )

    def _meet(self, partners=None, user=None, hour=10, day=17, **values):
        user = user or self.rep
        partners = self.ann if partners is None else partners
        return (
            self.env["calendar.event"]
            .with_context(no_mail_to_attendees=True)
            .create(
                {
                    "name": "Coffee",
                    "start": datetime(2026, 3, day, hour),
                    "stop": datetime(2026, 3, day, hour + 1),
                    "user_id": user.id,
                    "partner_ids": [Command.set((partners | user.partner_id).ids)],
                    **values,
                }
            )
        )

    def _get_offers(self, user=None):
        self.env.flush_all()
        self.env.invalidate_all()
        events = self.env["calendar.event"].with_user(user or self.rep)
        return events._get_key_account_offers()

    def test_own_held_meeting_with_a_contact(self):
        event = self._meet()
        self.assertEqual(self._get_offers(), {event: self.partner})
        self.assertTrue(event.with_user(self.rep).key_account_is_offered)
        (row,) = event.with_user(self.rep)._get_key_account_offer_rows()
        self.assertEqual(row["customer"], "Kestrel")
        self.assertEqual(row["date"], "2026-03-17")

    def test_on_my_day(self):
        event = self._meet()
        day = self.Visit.with_user(self.rep).get_my_day()
        self.assertEqual(
            day["meetings"],
            [
                {
                    "id": event.id,
                    "name": "Coffee",
                    "customer": "Kestrel",
                    "date": "2026-03-17",
                }
            ],
        )
        self.assertFalse(self.Visit.with_user(self.rep2).get_my_day()["meetings"])
        event.with_user(self.rep).action_decline_key_account_visit()
        self.assertFalse(self.Visit.with_user(self.rep).get_my_day()["meetings"])

    def test_not_offered(self):
        stranger = self.env["res.partner"].create({"name": "Stranger"})
        others = self._create_partner("Others", user_id=self.rep2.id)
        self._set_tier(others, self.tier_a)
        self._meet(self.rep2.partner_id)
        self._meet(stranger)
        # not for the eyes of a rep with own documents
        self._meet(others)
        self._meet(privacy="private")
        # to come, and too long ago
        self._meet(day=18, hour=11)
        self._meet(day=2)
        declined = self._meet(user=self.rep2, partners=self.ann | self.rep.partner_id)
        declined.attendee_ids.filtered(
            lambda attendee: attendee.partner_id == self.rep.partner_id
        ).state = "declined"
        left = self._meet()
        left.attendee_ids.filtered(
            lambda attendee: attendee.partner_id == self.ann
        ).state = "declined"
        self.assertFalse(self._get_offers())
        # rep2's own: of an account that isn't
        self.assertFalse(self._get_offers(self.rep2))

    def test_private_by_default(self):
        self.rep.with_user(self.rep).calendar_default_privacy = "private"
        self._meet()
        self.assertFalse(self._get_offers())

    def test_nobody_elses(self):
        event = self._meet()
        for user in (self.rep2, self.leader, self.manager):
            self.assertFalse(self._get_offers(user))
            with self.assertRaises(AccessError):
                event.with_user(user).action_report_key_account_visit()
            with self.assertRaises(AccessError):
                event.with_user(user).action_decline_key_account_visit()

    def test_reported_by_its_form(self):
        event = self._meet(self.ann | self.leader.partner_id)
        action = event.with_user(self.rep).action_report_key_account_visit()
        context = action["context"]
        with Form(
            self.Visit.with_user(self.rep).with_context(**context),
            "crm_key_account.key_account_visit_view_form_report",
        ) as form:
            form.next_step = "Send the offer"
        visit = form.record
        self.assertEqual(visit.partner_id, self.partner)
        self.assertEqual(visit.contact_ids, self.ann)
        self.assertEqual(visit.participant_ids, self.leader)
        self.assertEqual(visit.date_done, TUESDAY)
        self.assertEqual(visit.user_id, self.rep)
        self.assertFalse(self._get_offers())
        # also to the leader, who came along
        self.assertFalse(self._get_offers(self.leader))

    def test_of_a_visit_that_is_due(self):
        """The report is about the meeting's day and people, and settles the visit."""
        planned = self.Visit.create(
            {
                "partner_id": self.partner.id,
                "user_id": self.rep.id,
                "date_planned": TUESDAY,
                "objective": "Agree on the volume",
            }
        )
        event = self._meet()
        action = event.with_user(self.rep).action_report_key_account_visit()
        visits = self.Visit.with_user(self.rep).with_context(**action["context"])
        form = Form(visits.browse(action.get("res_id", ())), action["views"][0][0])
        self.assertEqual(form.date_visited, TUESDAY)
        self.assertEqual(form.contact_ids[:], self.ann)
        self.assertEqual(form.objective, "Agree on the volume")
        form.objective_reached = "reached"
        form.next_step = "Send the offer"
        visit = form.save()
        visit.action_report()
        self.assertEqual((visit.state, visit.date_done), ("done", TUESDAY))
        self.assertEqual(visit.contact_ids, self.ann)
        self.assertFalse(planned.exists())
        self.assertFalse(self._get_offers())

    def test_with_two_customers(self):
        """Each is offered once, also if one was visited on that day anyway."""
        other = self._create_partner("Nordlicht")
        self._set_tier(other, self.tier_a)
        bea = self.env["res.partner"].create({"name": "Bea", "parent_id": other.id})
        event = self._meet(self.ann | bea)
        found = self.env["res.partner"]
        for _customer in range(2):
            account = self._get_offers()[event]
            found |= account
            self.Visit.with_user(self.rep).create(
                {"partner_id": account.id, "state": "done", "date_done": TUESDAY}
            )
        self.assertEqual(found, self.partner | other)
        self.assertFalse(self._get_offers())

    def test_with_two_customers_of_a_planned_visit(self):
        """First the visit that it was arranged for, then the other customer's."""
        other = self._create_partner("Nordlicht")
        self._set_tier(other, self.tier_a)
        bea = self.env["res.partner"].create({"name": "Bea", "parent_id": other.id})
        event = self._meet(self.ann | bea)
        visit = self.Visit.create(
            {
                "partner_id": self.partner.id,
                "user_id": self.rep.id,
                "date_planned": TUESDAY,
                "calendar_event_id": event.id,
            }
        )
        self.assertFalse(self._get_offers())
        mine = event.with_user(self.rep)
        action = mine.action_report_key_account_visit()
        self.assertEqual(action["res_id"], visit.id)
        visit.action_done()
        self.assertEqual(self._get_offers(), {event: other})
        context = mine.action_report_key_account_visit()["context"]
        self.assertEqual(context["default_partner_id"], other.id)
        self.assertEqual(context["default_contact_ids"], bea.ids)
        mine.action_decline_key_account_visit()
        mine.invalidate_recordset()
        action = mine.action_report_key_account_visit()
        self.assertEqual(action["res_id"], visit.id)

    def test_once(self):
        event = self._meet()
        event.with_user(self.rep).action_decline_key_account_visit()
        self.assertFalse(self._get_offers())
        with self.assertRaises(AccessError):
            event.with_user(self.rep).action_report_key_account_visit()

    def test_the_meeting_of_a_visit(self):
        """Has a report of its own."""
        visit = self.Visit.create(
            {
                "partner_id": self.partner.id,
                "user_id": self.rep.id,
                "date_planned": TUESDAY,
            }
        )
        event = self._meet()
        visit._link_meeting(event)
        self.assertFalse(self._get_offers())

    def test_other_company(self):
        other = self._create_company("Elsewhere")
        self.rep.company_ids |= other
        self._meet()
        events = self.env["calendar.event"].with_user(self.rep).with_company(other)
        self.assertFalse(events._get_key_account_offers())

    def test_contact_of_another_company(self):
        """Who isn't for the user's eyes isn't named, and keeps nobody from the
        report."""
        stranger = self.env["res.partner"].create(
            {
                "name": "Stranger",
                "parent_id": self.partner.id,
                "company_id": self._create_company("Elsewhere").id,
            }
        )
        event = self._meet(self.ann | stranger)
        self.env.flush_all()
        self.env.invalidate_all()
        action = event.with_user(self.rep).action_report_key_account_visit()
        with Form(
            self.Visit.with_user(self.rep).with_context(**action["context"]),
            "crm_key_account.key_account_visit_view_form_report",
        ) as form:
            form.next_step = "Send the offer"
        self.assertEqual(form.record.contact_ids, self.ann)

    def test_customer_went_to_another_company(self):
        event = self._meet()
        self.partner.company_id = self._create_company("Elsewhere")
        self.env.flush_all()
        self.env.invalidate_all()
        day = self.Visit.with_user(self.rep).get_my_day()
        self.assertFalse(day["meetings"])
        with self.assertRaises(AccessError):
            event.with_user(self.rep).action_report_key_account_visit()

    def test_queries_do_not_grow(self):
        def count():
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self.env["calendar.event"].with_user(self.rep)._get_key_account_offers()
            return self.cr.sql_log_count - before

        self._meet()
        count()
        few = count()
        for number in range(20):
            partner = self._create_partner(f"Customer {number}")
            self._set_tier(partner, self.tier_a)
            contact = self.env["res.partner"].create(
                {"name": "Bea", "parent_id": partner.id}
            )
            self._meet(contact, hour=number % 9 + 8)
        self.assertEqual(count(), few)
