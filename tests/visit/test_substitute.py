from datetime import datetime, timedelta

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from ..common import TODAY
from ..planning.test_planning import PlanningCommon, day


@tagged("post_install", "-at_install")
class TestSubstitute(PlanningCommon):
    """Who is away names a substitute: what can't wait goes there and comes back."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.key_account_daily_capacity = 8
        cls.partner, cls.other, cls.later = cls._create_accounts(3)
        for partner in (cls.partner, cls.other):
            cls._visit(partner, 7)
        cls._set_tier(cls.later, cls.tier_b)
        cls.env["key.account.cadence"].create(
            {
                "company_id": cls.company.id,
                "tier_id": cls.tier_b.id,
                "track": "visit",
                "interval_count": 3,
                "interval_unit": "month",
            }
        )
        cls._visit(cls.later, 88)
        cls.Visit._generate(company=cls.company)
        cls.visits = cls.Visit.search(
            [("company_id", "=", cls.company.id), ("state", "=", "planned")]
        )

    def _give(self, user=None, days=7, start=0, substitute=None, **values):
        dialogs = self.env["key.account.visit.substitute"].with_user(user or self.rep)
        dialog = dialogs.create(
            {
                "substitute_id": (substitute or self.rep2).id,
                "date_from": day(start),
                "date_to": day(days),
                **values,
            }
        )
        dialog.action_give()
        return dialog

    def test_there_and_back(self):
        visit, later = self._get_planned(self.partner), self._get_planned(self.later)
        self.assertTrue(visit and later)
        # not for the eyes of a rep with own documents
        with self.assertRaises(AccessError):
            visit.with_user(self.rep2).read(["summary"])
        self._give()
        self.assertEqual(visit.user_id, self.rep2)
        self.assertEqual(visit.activity_id.user_id, self.rep2)
        self.assertEqual(visit.substituted_user_id, self.rep)
        self.assertEqual(visit.substituted_until, day(7))
        visit.with_user(self.rep2).read(["summary", "brief"])
        # still the salesperson's to see
        visit.with_user(self.rep).read(["summary"])
        # its window ends when they are back
        self.assertEqual(later.user_id, self.rep)
        # planning goes on, and leaves it there
        follow = self.env["key.account.visit.follow"].sudo()
        self.Visit._generate(company=self.company)
        follow._end_substitutions(self.company, day(7))
        self.assertEqual(self._get_planned(self.partner).user_id, self.rep2)
        follow._end_substitutions(self.company, day(8))
        self.assertEqual(visit.user_id, self.rep)
        self.assertFalse(visit.substituted_until)
        with self.assertRaises(AccessError):
            visit.invalidate_recordset()
            visit.with_user(self.rep2).read(["summary"])

    def test_queries(self):
        """Those of many visits are those of a few."""
        counts = []
        # the first fills caches
        for number in (5, 5, 25):
            partners = self._create_accounts(number)
            self.Visit.create(
                [
                    {
                        "partner_id": partner.id,
                        "company_id": self.company.id,
                        "user_id": self.rep.id,
                        "date_planned": day(3),
                    }
                    for partner in partners
                ]
            )
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self._give()
            self.env.flush_all()
            counts.append(self.cr.sql_log_count - before)
            visits = self._get_planned(partners[0]) | self._get_planned(partners[-1])
            self.assertEqual(visits.activity_id.user_id, self.rep2)
            self.assertEqual(visits.mapped("substituted_until"), [day(7)] * 2)
        self.assertLessEqual(counts[2], counts[1], counts)

    def test_told_how_many(self):
        """One visit is no visits."""
        self._get_planned(self.other).date_planned = day(20)
        dialog = self.env["key.account.visit.substitute"].with_user(self.rep)
        dialog = dialog.create(
            {
                "substitute_id": self.rep2.id,
                "date_from": day(0),
                "date_to": day(7),
            }
        )
        told = dialog.action_give()["params"]["message"]
        self.assertIn(f"{self.rep2.name} makes 1 visit until", told)

    def test_done_by_the_substitute(self):
        self._give()
        visit = self._get_planned(self.partner)
        visit.with_user(self.rep2).action_done()
        self.assertEqual(visit.user_id, self.rep2)
        # the next one is the salesperson's
        self.assertEqual(self._get_planned(self.partner).user_id, self.rep)
        self.env["key.account.visit.follow"].sudo()._end_substitutions(
            self.company, day(30)
        )
        self.assertEqual(visit.user_id, self.rep2)

    def test_a_meeting_goes_along(self):
        visit = self._get_planned(self.partner)
        visit.with_user(self.rep).action_schedule_meeting()
        event = visit.calendar_event_id
        self._give()
        self.assertEqual(event.user_id, self.rep2)
        self.env["key.account.visit.follow"].sudo()._end_substitutions(
            self.company, day(8)
        )
        self.assertEqual(event.user_id, self.rep)
        self.assertEqual(event.start, datetime(2026, 3, 18, 9))

    def test_by_the_night(self):
        self._give()
        visit = self._get_planned(self.partner)
        visit.sudo().substituted_until = TODAY - timedelta(days=1)
        self.Visit._generate(company=self.company)
        self.assertEqual(self._get_planned(self.partner).user_id, self.rep)

    def test_where_nothing_plans(self):
        """The night gives back as well what people planned."""
        self.company.key_account_planning = False
        visit = self.Visit.create(
            {
                "partner_id": self._create_partner("Kestrel").id,
                "user_id": self.rep.id,
                "date_planned": day(1),
            }
        )
        self._give()
        self.assertEqual(visit.user_id, self.rep2)
        visit.sudo().substituted_until = TODAY - timedelta(days=1)
        night = self.env["key.account.night"].create(
            {"company_id": self.company.id, "phases": ["planning"]}
        )
        self.assertTrue(night._run_planning(lambda step, *args: step(*args)))
        self.assertEqual(visit.user_id, self.rep)
        self.assertFalse(visit.substituted_until)
        self.assertFalse(night.phases)

    def test_said_again_whose_turn_it_is(self):
        """Whoever names the substitute once more, as an activity does that moves the
        visit, decides nothing about whose it is."""
        self._give()
        visit = self._get_planned(self.partner)
        self.partner.with_user(self.rep2).activity_schedule(
            activity_type_id=visit.activity_id.activity_type_id.id,
            date_deadline=day(2),
            user_id=self.rep2.id,
        )
        self.assertEqual(visit.date_planned, day(2))
        self.assertEqual(visit.substituted_user_id, self.rep)
        self.assertEqual(visit.substituted_until, day(7))
        visit.with_user(self.leader).user_id = self.leader
        self.assertFalse(visit.substituted_user_id)

    def test_what_the_substitute_agrees_on(self):
        """Where no cadence asks for it, the next visit comes back as this one would."""
        customers = [self._create_partner(name) for name in ("Heron", "Kestrel")]
        visits = self.Visit.create(
            [
                {
                    "partner_id": customer.id,
                    "user_id": self.rep.id,
                    "date_planned": TODAY,
                }
                for customer in customers
            ]
        )
        self._give()
        moved, met = visits.with_user(self.rep2)
        moved.env["key.account.visit.cancel"].create(
            {"visit_id": moved.id, "date_resume": day(2)}
        ).action_cancel()
        met.action_report(
            {
                "mode": "phone",
                "contact_ids": [
                    Command.create({"name": "Ann", "parent_id": met.partner_id.id})
                ],
                "next_step": "Bring samples",
                "next_date": day(20),
            }
        )
        following = self.Visit.union(*map(self._get_planned, customers))
        self.assertEqual(following.mapped("date_planned"), [day(2), day(20)])
        self.assertEqual(following.user_id, self.rep2)
        self.assertEqual(following.substituted_user_id, self.rep)
        self.env["key.account.visit.follow"].sudo()._end_substitutions(
            self.company, day(8)
        )
        self.assertEqual(following.user_id, self.rep)

    def test_cancelled_by_the_substitute(self):
        """Whoever can't make it tomorrow goes on, as long as the salesperson is away;
        what is for later is the salesperson's."""
        dialogs = self.env["key.account.visit.cancel"].with_user(self.rep2)
        self._give()
        for partner, number, user in (
            (self.partner, 1, self.rep2),
            (self.other, 20, self.rep),
        ):
            visit = self._get_planned(partner)
            dialogs.create(
                {"visit_id": visit.id, "date_resume": day(number)}
            ).action_cancel()
            following = self._get_planned(partner)
            self.assertGreaterEqual(following.date_planned, day(number))
            self.assertEqual(following.user_id, user)
            self.assertEqual(following.activity_id.user_id, user)
        following = self._get_planned(self.partner)
        self.assertEqual(following.date_planned, day(1))
        self.assertEqual(following.substituted_user_id, self.rep)
        self.env["key.account.visit.follow"].sudo()._end_substitutions(
            self.company, day(8)
        )
        self.assertEqual(following.user_id, self.rep)

    def test_the_substitute_leaves(self):
        """Also what somebody planned at a colleague's customer comes back."""
        theirs = self._create_partner("Theirs", user_id=self.leader.id)
        visit = self.Visit.create(
            {
                "partner_id": theirs.id,
                "user_id": self.rep.id,
                "date_planned": day(1),
            }
        )
        self._give()
        self.assertEqual(visit.user_id, self.rep2)
        self.rep2.active = False
        self.assertEqual(visit.user_id, self.rep)
        self.assertFalse(visit.substituted_until)
        self.assertEqual(self._get_planned(self.partner).user_id, self.rep)

    def test_the_account_went_to_somebody_else(self):
        self._give(substitute=self.leader)
        visit = self._get_planned(self.partner)
        self.partner.user_id = self.rep2
        self.assertEqual(visit.user_id, self.leader)
        self.env["key.account.visit.follow"].sudo()._end_substitutions(
            self.company, day(8)
        )
        self.assertEqual(visit.user_id, self.rep2)

    def test_the_salesperson_left(self):
        self._give()
        visit = self._get_planned(self.partner)
        self.rep.active = False
        self.env["key.account.visit.follow"].sudo()._end_substitutions(
            self.company, day(8)
        )
        self.assertEqual(visit.user_id, self.leader)
        self.assertFalse(visit.substituted_until)

    def test_a_leave_becomes_longer(self):
        self._give()
        visit = self._get_planned(self.partner)
        self._give(days=9)
        self.assertEqual(visit.user_id, self.rep2)
        self.assertEqual(visit.substituted_user_id, self.rep)
        self.assertEqual(visit.substituted_until, day(9))
        with self.assertRaisesRegex(UserError, "can wait"):
            self._give(days=9)

    def test_the_substitute_is_away_for_a_part(self):
        """The visit comes back when its salesperson does, not before."""
        self._give()
        visit = self._get_planned(self.partner)
        self._give(self.rep2, days=3, substitute=self.leader)
        self.assertEqual(visit.user_id, self.leader)
        self.assertEqual(visit.substituted_user_id, self.rep)
        self.assertEqual(visit.substituted_until, day(7))
        # back to whose it is
        self._give(self.leader, substitute=self.rep, user_id=self.leader.id)
        self.assertEqual(visit.user_id, self.rep)
        self.assertFalse(visit.substituted_until)

    def test_taken_back_by_hand(self):
        self._give()
        visit = self._get_planned(self.partner)
        visit.with_user(self.rep).user_id = self.rep
        self.assertFalse(visit.substituted_user_id)

    def test_the_form_shows_what_goes(self):
        dialogs = self.env["key.account.visit.substitute"].with_user(self.rep)
        with Form(dialogs) as form:
            form.substitute_id = self.rep2
            form.date_to = day(7)
        names = form.record.visit_ids.partner_id
        self.assertEqual(names, self.partner | self.other)

    def test_refused(self):
        for values, problem in (
            ({"days": -1}, "last day away"),
            ({"days": 1, "start": 3}, "last day away"),
            ({"substitute": self.rep}, "somebody else"),
            ({"days": 0}, "can wait"),
        ):
            with (
                self.subTest(values=values),
                self.assertRaisesRegex(UserError, problem),
            ):
                self._give(**values)
        internal = self._create_user("ka_clerk", "base.group_user")
        with self.assertRaisesRegex(UserError, "doesn't work in sales"):
            self._give(substitute=internal)
        # another one's visits
        with self.assertRaises(AccessError):
            self._give(self.rep2, user_id=self.rep.id)
        self.assertEqual(self._get_planned(self.partner).user_id, self.rep)
        # a leader may
        self._give(self.leader, user_id=self.rep.id)
        self.assertEqual(self._get_planned(self.partner).user_id, self.rep2)
        # what planning writes, no client writes
        with self.assertRaises(AccessError):
            self._get_planned(self.partner).with_user(self.rep2).write(
                {"substituted_until": day(90)}
            )
