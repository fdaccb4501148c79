from datetime import date, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from ...engine import receiving as engine
from ..common import TODAY
from .test_planning import PlanningCommon, day

# TODAY is a Wednesday
FRIDAYS = "Fr 09:00-11:00"
HOLIDAYS = "closed 2026-03-10/2026-04-01"


class ReceivingCommon(PlanningCommon):
    @classmethod
    def _set_hours(cls, partners, text):
        partners.with_company(cls.company).key_account_receiving_hours = text

    def _get_row(self, partner):
        return self.Due.search(
            [("partner_id", "=", partner.id), ("company_id", "=", self.company.id)]
        )


@tagged("post_install", "-at_install")
class TestReceivingPlanner(ReceivingCommon):
    """Visits are planned on days on which customers receive."""

    def test_for_all_and_for_one(self):
        partners = self._create_accounts(3)
        self._set_hours(partners[0], FRIDAYS)
        self._set_hours(partners[1], HOLIDAYS)
        for partner in partners:
            self._visit(partner, 7)
        self._get_planned_days(partners)
        for scope in (None, *partners):
            self.Visit.search([("state", "=", "planned")]).sudo().unlink()
            self.Visit._generate(scope, self.company)
            for partner in scope or partners:
                with self.subTest(scope=scope, partner=partner):
                    found = self._get_planned(partner).date_planned
                    wanted = {
                        partners[0]: date(2026, 3, 20),
                        partners[1]: date(2026, 4, 2),
                        partners[2]: TODAY,
                    }
                    self.assertEqual(found, wanted[partner])

    def _get_planned_days(self, partners):
        return {
            partner: self._get_planned(partner).date_planned for partner in partners
        }

    def test_the_reason_is_in_the_backlog(self):
        """At night as for one customer; gone as soon as they receive again."""
        free, closed = self._create_accounts(2)
        for partner in (free, closed):
            self._visit(partner, 7)
        self.Visit._generate(company=self.company)
        closed.key_account_receiving_hours = "closed 2026-03-01/2026-12-31"
        self.assertFalse(self._get_planned(closed))
        row = self._get_row(closed)
        self.assertEqual(row.reason, "closed")
        row.reason = "capacity"
        self.Visit._generate(company=self.company)
        self.assertEqual(row.reason, "closed")
        self.assertTrue(self._get_planned(free))
        self.assertIn(row, self._get_backlog(closed))
        closed.key_account_receiving_hours = "closed 2026-03-01/2026-03-19"
        self.assertEqual(self._get_planned(closed).date_planned, day(2))

    def test_others_fill_the_days(self):
        """Who receives on one day only isn't behind all who are due before: planning
        looks at these apart."""
        others = self._create_accounts(40)
        limited = self._create_accounts(2)
        for partner in others:
            self._visit(partner, 60)
        for partner in limited:
            self._visit(partner, 90)
        self._set_hours(limited, FRIDAYS)
        self.Visit.search([("state", "=", "planned")]).sudo().unlink()
        self.Visit._generate(company=self.company)
        for partner in limited:
            self.assertEqual(self._get_planned(partner).date_planned.weekday(), 4)

    def test_earlier_ones_that_can_not_come_leave_the_room(self):
        """More of them than there is room for, all due first, closed for months: the
        others are planned all the same."""
        closed = self._create_accounts(60)
        others = self._create_accounts(3)
        for partner in closed:
            self._visit(partner, 90)
        for partner in others:
            self._visit(partner, 8)
        self._set_hours(closed, "closed 2026-01-01/2026-12-31")
        self.Visit.search([("state", "=", "planned")]).sudo().unlink()
        self.Visit._generate(company=self.company)
        self.assertEqual(
            self._get_planned(others[0]).date_planned.isocalendar().week,
            TODAY.isocalendar().week,
        )
        self.assertEqual(len(others.filtered(self._get_planned)), 3)
        self.assertFalse(self._get_planned(closed[0]))
        rows = self.Due.search([("partner_id", "in", closed.ids)])
        self.assertEqual(set(rows.mapped("reason")), {"closed"})

    def test_a_call_reaches_them_on_other_days(self):
        self.line.track = "contact"
        partner = self._create_accounts(1)
        self._visit(partner, 7, track="contact", mode="phone")
        self._set_hours(partner, f"{FRIDAYS}; closed 2026-03-18")
        self._get_planned(partner, "contact").sudo().unlink()
        self.Visit._generate(partner, self.company)
        planned = self._get_planned(partner, "contact")
        self.assertEqual(planned.date_planned, day(1))

    def test_what_was_planned_moves_unless_a_person_chose_the_day(self):
        generated, chosen = self._create_accounts(2)
        for partner in (generated, chosen):
            self._visit(partner, 7)
        self.Visit._generate(company=self.company)
        self._get_planned(chosen).with_user(self.rep).date_planned = day(1)
        old = self._get_planned(generated)
        self._set_hours(generated | chosen, FRIDAYS)
        self.assertEqual(self._get_planned(generated).date_planned, day(2))
        self.assertEqual(old.state, "cancelled")
        self.assertIn("receive", old.close_reason)
        self.assertEqual(self._get_planned(chosen).date_planned, day(1))
        self.assertTrue(self._get_planned(chosen).is_not_received)
        self.assertFalse(self._get_planned(generated).is_not_received)
        # saying the same again changes nothing
        planned = self._get_planned(generated)
        self._set_hours(generated | chosen, "fr  9:00-11:00")
        self.assertEqual(self._get_planned(generated), planned)

    def test_done_plans_the_next_one_on_their_day(self):
        partner = self._create_accounts(1)
        self._set_hours(partner, "Mo")
        done = self.Visit.create(
            {"partner_id": partner.id, "user_id": self.rep.id, "date_planned": TODAY}
        )
        done.with_user(self.rep).action_done()
        visit = self._get_planned(partner)
        # a week later is a Wednesday, and Monday isn't too early
        self.assertEqual(visit.date_planned, day(5))

    def test_on_a_route(self):
        self.company.key_account_daily_capacity = 8
        trip, near = self._create_accounts(2, zip="10115", city="Berlin")
        self.env["key.account.cadence"].create(
            {
                "company_id": self.company.id,
                "tier_id": self.tier_c.id,
                "interval_count": 30,
                "interval_unit": "day",
                "on_route": True,
                "sequence": 0,
            }
        )
        self._set_tier(near, self.tier_c)
        self._visit(trip, 7)
        self._visit(near, 30)
        for text, planned, reason in (
            (FRIDAYS, False, "closed"),
            ("We", TODAY, False),
        ):
            self._set_hours(near, text)
            for scope in (None, near):
                with self.subTest(text=text, scope=scope):
                    self._get_planned(near).sudo().unlink()
                    self.Visit._generate(scope, self.company)
                    self.assertEqual(self._get_planned(near).date_planned, planned)
                    self.assertEqual(self._get_row(near).reason, reason)

    def test_queries_do_not_grow(self):
        def count(number):
            partners = self._create_accounts(number)
            for index, partner in enumerate(partners):
                self._set_hours(partner, (FRIDAYS, HOLIDAYS, "Mo-Th")[index % 3])
            self.Visit.search([("state", "=", "planned")]).sudo().unlink()
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self.env["key.account.planner"]._get_plans(self.company, ["visit"])
            return self.cr.sql_log_count - before

        count(3)
        # one writes the reasons, where some differ
        self.assertIn(count(30) - count(3), (0, 1))

    def test_who_does_not_use_it_pays_nothing(self):
        """Not one query more, and the same one for the earliest of each salesperson."""
        self._create_accounts(3)
        with self.assertQueries([], flush=False):
            self.env["key.account.plan.candidates"]._get_groups({})
        candidates = self.env["key.account.plan.candidates"]
        groups = candidates._get_groups({self.rep.id: {self.company.id: day(14)}})
        self.assertEqual({group.is_limited for group in groups}, {False})

    def test_merged_and_now_a_contact(self):
        one, other = self._create_accounts(2)
        self._set_hours(other, FRIDAYS)
        self.env["base.partner.merge.automatic.wizard"]._merge((one | other).ids, one)
        self.assertEqual(one.key_account_receiving_hours, FRIDAYS)
        parent = self._create_accounts(1)
        one.write({"parent_id": parent.id, "is_company": False})
        self.assertFalse(one.key_account_receiving_hours)
        self.assertFalse(parent.key_account_receiving_hours)

    def test_what_came_past_the_orm_stops_nobody(self):
        partners = self._create_accounts(2)
        self.env.flush_all()
        self.cr.execute(
            "UPDATE key_account SET receiving_hours = 'nonsense' WHERE partner_id = %s",
            [partners[0].id],
        )
        self.env.invalidate_all()
        self.Visit._generate(company=self.company)
        self.assertFalse(partners[0].key_account_receiving_text)

    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(
            st.tuples(
                st.integers(1, 40),
                st.sampled_from(
                    ["", "", FRIDAYS, HOLIDAYS, "Mo,Th", "closed 2026-01-01/2027-01-01"]
                ),
            ),
            min_size=1,
            max_size=14,
        )
    )
    def test_never_on_another_day(self, accounts):
        """For all of them at night, whatever they say: on a day to receive, or in the
        backlog with the reason; and a second night changes nothing."""
        with self.cr.savepoint() as savepoint:
            partners = self._create_accounts(len(accounts))
            for partner, (days_ago, text) in zip(partners, accounts, strict=True):
                self._visit(partner, days_ago)
                self._set_hours(partner, text)
            self.Visit.search([("state", "=", "planned")]).sudo().unlink()
            self.Visit._generate(company=self.company)
            before = {}
            for partner, (_, text) in zip(partners, accounts, strict=True):
                visit = self._get_planned(partner)
                row = self._get_row(partner)
                before[partner] = visit
                if visit:
                    receiving = engine.parse(text)
                    self.assertTrue(receiving.receives(visit.date_planned), text)
                    self.assertFalse(row.reason)
                elif row.date_due <= day(14):
                    self.assertIn(row.reason, ("capacity", "closed"))
                    if row.reason == "closed":
                        self.assertTrue(text)
            self.Visit._generate(company=self.company)
            for partner, visit in before.items():
                self.assertEqual(self._get_planned(partner), visit)
            savepoint.rollback()
            self.env.invalidate_all()


@tagged("post_install", "-at_install")
class TestReceivingHours(ReceivingCommon):
    """Who says when they receive, and how."""

    def test_bad_hours(self):
        partner = self._create_accounts(1)
        for text in (
            "Xx",
            "Mo 12:00-08:00",
            "closed 1969-12-31",
            "closed 2026-01-01/2200-01-01",
            "Mo " * 500,
            "closed next week",
        ):
            for door in (
                lambda text=text: partner.write({"key_account_receiving_hours": text}),
                lambda text=text: self.env["res.partner"].create(
                    {"name": "N", "key_account_receiving_hours": text}
                ),
                lambda text=text: self._get_card(partner).write(
                    {"receiving_hours": text}
                ),
            ):
                with self.subTest(text=text), self.assertRaises(ValidationError):
                    with self.cr.savepoint():
                        door()
        self.env.invalidate_all()
        self.assertFalse(partner.key_account_receiving_hours)
        result = self.env["res.partner"].load(
            ["name", "key_account_receiving_hours"], [["Import", "Mo 99:00-100:00"]]
        )
        self.assertFalse(result["ids"])

    def test_import_and_search(self):
        result = self.env["res.partner"].load(
            ["name", "key_account_receiving_hours"],
            [["Import", "we, mo 8:00-12:00"], ["Never said", ""]],
        )
        partners = self.env["res.partner"].browse(result["ids"])
        self.assertEqual(
            partners.mapped("key_account_receiving_hours"), ["Mo,We 08:00-12:00", False]
        )
        domain = [("key_account_receiving_hours", "!=", False)]
        domain += [("id", "in", partners.ids)]
        self.assertEqual(self.env["res.partner"].search(domain), partners[0])

    def test_contacts_show_it_and_other_companies_do_not(self):
        partner = self._create_accounts(1)
        self._set_hours(partner, FRIDAYS)
        contact = self.env["res.partner"].create(
            {"name": "Ann", "parent_id": partner.id}
        )
        self.assertEqual(contact.key_account_receiving_hours, FRIDAYS)
        with self.assertRaises(ValidationError):
            contact.key_account_receiving_hours = "Mo"
        other = self._create_company("Elsewhere")
        self.assertFalse(partner.with_company(other).key_account_receiving_hours)

    def test_rights(self):
        """A rep says it of own and unassigned accounts, others of all; outside sales
        nobody knows it."""
        own = self._create_accounts(1)
        others = self._create_accounts(1, user_id=self.rep2.id)
        for user, partner, is_allowed in (
            (self.rep, own, True),
            (self.rep, others, False),
            (self.leader, others, True),
            (self.manager, own, True),
        ):
            partner = partner.with_user(user)
            with self.subTest(user=user.login, partner=partner):
                if is_allowed:
                    partner.key_account_receiving_hours = FRIDAYS
                    self._open(partner, user).save().action_set()
                    continue
                with self.assertRaises(AccessError):
                    partner.key_account_receiving_hours = "Mo"
                with self.assertRaises(AccessError):
                    partner.action_open_key_account_receiving()
                with self.assertRaises(AccessError):
                    self._open(partner, user).save().action_set()
        internal = self._create_user("ka_clerk", "base.group_user")
        with self.assertRaises(AccessError):
            own.with_user(internal).read(["key_account_receiving_hours"])
        with self.assertRaises(AccessError):
            own.with_user(internal).read(["key_account_receiving_text"])

    def _open(self, partner, user=None):
        dialog = self.env["key.account.receiving.set"].with_user(user or self.rep)
        return Form(dialog.with_context(default_partner_id=partner.id))

    def test_dialog(self):
        partner = self._create_accounts(1)
        with self._open(partner) as form:
            with form.line_ids.new() as line:
                line.wed = line.fri = False
                line.hour_from, line.hour_to = 8.5, 12
            with form.line_ids.new() as line:
                line.mon = line.tue = line.wed = line.thu = False
                line.hour_to = 24
                line.hour_from = 0
            with form.closing_ids.new() as closing:
                closing.date_from, closing.date_to = "2026-08-01", "2026-08-31"
            with form.closing_ids.new() as closing:
                closing.date_from = "2026-12-24"
        dialog = form.save()
        self.assertEqual(dialog.line_ids[1].words, "Fri")
        dialog.action_set()
        text = "Mo-Tu,Th 08:30-12:00; Fr; closed 2026-08-01/2026-08-31; "
        text += "closed 2026-12-24"
        self.assertEqual(partner.key_account_receiving_hours, text)
        # it shows what was said; saved as it is it says the same
        dialog = self._open(partner).save()
        self.assertEqual(len(dialog.line_ids), 2)
        dialog.action_set()
        self.assertEqual(partner.key_account_receiving_hours, text)
        dialog.line_ids.unlink()
        dialog.closing_ids.unlink()
        dialog.action_set()
        self.assertFalse(partner.key_account_receiving_hours)

    def test_dialog_refuses(self):
        partner = self._create_accounts(1)
        dialogs = self.env["key.account.receiving.set"].with_user(self.rep)
        days = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), False)
        for name, vals, problem in (
            ("line_ids", days, "weekdays"),
            ("line_ids", {"hour_from": 12, "hour_to": 9}, "end after"),
            ("line_ids", {"hour_from": 0, "hour_to": 0}, "end after"),
            (
                "closing_ids",
                {"date_from": "2026-08-31", "date_to": "2026-08-01"},
                "last closing day",
            ),
        ):
            dialog = dialogs.create(
                {"partner_id": partner.id, name: [Command.create(vals)]}
            )
            with self.subTest(vals=vals), self.assertRaisesRegex(UserError, problem):
                dialog.action_set()
        self.assertFalse(partner.key_account_receiving_hours)

    def test_in_words(self):
        partner = self._create_accounts(1)
        self._set_hours(
            partner,
            f"Mo-We,Fr 08:00-12:00; {HOLIDAYS}; closed 2025-01-01; closed 2027-01-01",
        )
        text = partner.key_account_receiving_text.replace("\u202f", " ")
        self.assertEqual(
            text,
            "Mon–Wed and Fri 8:00 AM – 12:00 PM; closed Mar 10 – Apr 1; "
            "closed Jan 1, 2027",
        )

    def test_screens_cost_the_same(self):
        """The text of the page is read by one query for the whole list of visits."""
        visits = self.Visit.browse()
        for partner in self._create_accounts(30):
            self._set_hours(partner, FRIDAYS)
            visits |= self.Visit.create(
                {
                    "partner_id": partner.id,
                    "user_id": self.rep.id,
                    "date_planned": day(1),
                }
            )

        def count(some):
            some = some.with_user(self.rep)
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            some.mapped("receiving_text")
            return self.cr.sql_log_count - before

        count(visits)
        self.assertEqual(count(visits[:1]), count(visits))
        self.assertTrue(all(visits.mapped("is_not_received")))


@tagged("post_install", "-at_install")
class TestReceivingMeeting(ReceivingCommon):
    """Meeting and board keep to the hours."""

    def _create_visit(self, text, **values):
        partner = self._create_accounts(1)
        self._set_hours(partner, text)
        return self.Visit.create(
            {
                "partner_id": partner.id,
                "user_id": self.rep.id,
                "date_planned": day(2),
                **values,
            }
        )

    def _get_hour(self, visit):
        visit.with_user(self.rep).action_schedule_meeting()
        return f"{visit.calendar_event_id.start:%m-%d %H:%M}"

    def test_within_their_hours(self):
        for text, hour in (
            ("", "03-20 08:00"),
            ("Fr 10:15-12:00", "03-20 10:15"),
            # over lunch, which nobody receives in
            ("Fr 14:00-16:00", "03-20 14:00"),
            # longer than we work
            ("Fr 06:00-20:00", "03-20 08:00"),
            # a person chose the day
            ("Mo 10:00-12:00", "03-20 08:00"),
        ):
            with self.subTest(text=text):
                visit = self._create_visit(text)
                self.assertEqual(self._get_hour(visit), hour)
                visit.sudo().calendar_event_id.unlink()

    def test_no_room_in_their_hours(self):
        visit = self._create_visit("Fr 08:00-08:30")
        with self.assertRaisesRegex(UserError, "They receive: Fri 8:00"):
            self._get_hour(visit)

    def test_an_overdue_visit_goes_to_their_day(self):
        visit = self._create_visit("Mo 13:00-17:00", date_planned=day(-2))
        self.assertEqual(self._get_hour(visit), "03-23 13:00")

    def test_board_tells(self):
        visit = self._create_visit(FRIDAYS)
        plain = self.Visit.create(
            {
                "partner_id": self._create_accounts(1).id,
                "user_id": self.rep.id,
                "date_planned": day(2),
            }
        )
        waiting = self._create_accounts(1)
        self._visit(waiting, 7)
        self._get_planned(waiting).sudo().unlink()
        self._set_hours(waiting, "closed 2026-03-01/2026-05-30")
        self.env.flush_all()
        board = self.Visit.with_user(self.rep).get_week_board()
        cards = {card["id"]: card for card in board["visits"]}
        self.assertIn("Fri", cards[visit.id]["receiving"])
        self.assertIn("2026-03-18", cards[visit.id]["closed"])
        self.assertNotIn("2026-03-20", cards[visit.id]["closed"])
        self.assertNotIn("closed", cards[plain.id])
        (card,) = [card for card in board["backlog"] if card["name"] == waiting.name]
        self.assertEqual(len(card["closed"]), 7)
        # a person's word is the last one
        visit.with_user(self.rep).action_move(str(day(1)), self.rep.id)
        self.assertEqual(visit.date_planned, day(1))
        self.assertTrue(visit.is_not_received)

    def test_visit_form_warns(self):
        visit = self._create_visit(FRIDAYS)
        with Form(visit.with_user(self.rep)) as form:
            self.assertFalse(form.is_not_received)
            form.date_planned = day(1)
            self.assertTrue(form.is_not_received)
        self.assertEqual(visit.date_planned - TODAY, timedelta(days=1))
