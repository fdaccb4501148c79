from datetime import date, datetime, timedelta

from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import HttpCase, new_test_user, tagged

from ...models.account import clock
from ..common import SALES, SALES_ALL, KeyAccountCommon

MONDAY = date(2026, 3, 16)
WEDNESDAY = date(2026, 3, 18)
FRIDAY = date(2026, 3, 20)


class BoardCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["key.account.cadence"].search([]).active = False
        cls.cadence = cls.env["key.account.cadence"].create(
            {
                "tier_id": cls.tier_a.id,
                "company_id": cls.company.id,
                "interval_count": 1,
                "interval_unit": "month",
            }
        )
        cls.env["res.lang"]._activate_lang("en_US")
        cls.env["res.lang"]._lang_get("en_US").week_start = "1"
        cls.Due = cls.env["key.account.due"].sudo()

    @classmethod
    def _create_visit(cls, name, day, user=None, **values):
        user = cls.rep if user is None else user
        partner = cls._create_partner(name, user_id=user.id)
        return cls.Visit.create(
            {
                "partner_id": partner.id,
                "user_id": user.id,
                "date_planned": day,
                **values,
            }
        )

    @classmethod
    def _create_backlog(cls, name, user=None, **values):
        user = cls.rep if user is None else user
        partner = cls._create_partner(name, user_id=user.id)
        cls._set_tier(partner, cls.tier_a)
        row = cls.Due.search(
            [("partner_id", "=", partner.id), ("company_id", "=", cls.company.id)]
        )
        row.write({"date_due": WEDNESDAY, "reason": "capacity", **values})
        return row

    def _get_board(self, user, **params):
        self.env.flush_all()
        visits = self.Visit.with_user(user).with_context(
            allowed_company_ids=user.company_ids.ids
        )
        return visits.get_week_board(**params)

    def _get_names(self, cards):
        return [card["name"] for card in cards]


@tagged("post_install", "-at_install")
class TestBoardData(BoardCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))

    def test_week(self):
        """Seven days from the language's first one; those to work on are shown."""
        board = self._get_board(self.rep)
        self.assertEqual((board["start"], board["end"]), ("2026-03-16", "2026-03-22"))
        self.assertEqual(board["today"], "2026-03-18")
        self.assertEqual(
            board["days"], [str(MONDAY + timedelta(days=day)) for day in range(5)]
        )
        self.env["res.lang"]._lang_get("en_US").week_start = "7"
        for day in ("2026-03-15", "2026-03-18", "2026-03-21"):
            board = self._get_board(self.rep, date=day)
            self.assertEqual(board["start"], "2026-03-15", day)
            self.assertEqual(board["end"], "2026-03-21", day)
        board = self._get_board(self.rep, date="2026-03-22")
        self.assertEqual(board["start"], "2026-03-22")

    def test_shown_days(self):
        """A visit on Saturday shows it; a holiday stays."""
        self._create_visit("Saturday", date(2026, 3, 21))
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Holiday",
                "company_id": self.company.id,
                "calendar_id": self.company.resource_calendar_id.id,
                "date_from": datetime(2026, 3, 19),
                "date_to": datetime(2026, 3, 19, 23, 59),
            }
        )
        board = self._get_board(self.rep)
        self.assertEqual(len(board["days"]), 6)
        self.assertNotIn("2026-03-19", board["rows"][0]["capacities"])

    def test_today(self):
        """Today is the reader's."""
        self.rep.tz = "Pacific/Auckland"
        with freeze_time("2026-03-22 12:00:00"):
            board = self._get_board(self.rep)
        self.assertEqual(board["today"], "2026-03-23")
        self.assertEqual(board["start"], "2026-03-23")

    def test_cards(self):
        visit = self._create_visit("Planned", FRIDAY)
        self._set_tier(visit.partner_id, self.tier_a)
        self._create_visit("Overdue", MONDAY)
        self._create_visit("Earlier", date(2026, 3, 13))
        self._create_visit("Next Week", date(2026, 3, 23))
        done = self._create_visit(
            "Done", MONDAY, state="done", date_done=date(2026, 3, 17)
        )
        cancelled = self._create_visit("Cancelled", FRIDAY)
        cancelled.action_cancel()
        board = self._get_board(self.rep)
        cards = {card["name"]: card for card in board["visits"]}
        self.assertEqual(set(cards), {"Planned", "Overdue", "Done"})
        self.assertEqual(cards["Planned"]["date"], "2026-03-20")
        self.assertEqual(cards["Planned"]["user_id"], self.rep.id)
        self.assertFalse(cards["Planned"]["is_overdue"])
        self.assertTrue(cards["Overdue"]["is_overdue"])
        self.assertEqual(cards["Done"]["date"], "2026-03-17")
        self.assertEqual(cards["Done"]["id"], done.id)
        self.assertFalse(cards["Done"]["is_overdue"])
        self.assertEqual(self._get_names(board["overdue"]), ["Earlier"])
        # overdue visits belong to this week
        for day in ("2026-03-09", "2026-03-23"):
            self.assertFalse(self._get_board(self.rep, date=day)["overdue"], day)

    def test_order(self):
        """Meetings by their hour, then the stage, then the tier."""
        late = self._create_visit("Late", FRIDAY)
        self._create_visit("Target", FRIDAY, engagement_stage="target")
        self._create_visit("Contract", FRIDAY, engagement_stage="contract")
        key = self._create_visit("Key", FRIDAY, engagement_stage="target")
        key.tier_id = self.tier_a
        early = self._create_visit("Early", FRIDAY)
        early.action_schedule_meeting()
        late.action_schedule_meeting()
        board = self._get_board(self.rep)
        self.assertEqual(
            self._get_names(board["visits"]),
            ["Early", "Late", "Contract", "Key", "Target"],
        )

    def test_meeting(self):
        """The hour is the salesperson's, as the day is."""
        self.rep.tz = "America/Los_Angeles"
        visit = self._create_visit("Meeting", FRIDAY)
        visit.action_schedule_meeting()
        card = self._get_board(self.leader)["visits"][0]
        self.assertEqual(card["meeting"].replace("\u202f", " "), "8:00 AM")
        visit.calendar_event_id.write(
            {"allday": True, "start_date": FRIDAY, "stop_date": FRIDAY}
        )
        self.assertFalse(self._get_board(self.leader)["visits"][0]["meeting"])

    def test_capacity(self):
        """Own capacity, less the meetings that take the time."""
        self.env["calendar.event"].create(
            {
                "name": "Training",
                "start": datetime(2026, 3, 20, 8),
                "stop": datetime(2026, 3, 20, 12),
                "user_id": self.rep.id,
                "partner_ids": [Command.set(self.rep.partner_id.ids)],
            }
        )
        self.team.crm_team_member_ids.filtered(
            lambda member: member.user_id == self.rep2
        ).key_account_daily_capacity = 3
        board = self._get_board(self.leader)
        rows = {row["user_id"]: row["capacities"] for row in board["rows"]}
        self.assertEqual(rows[self.rep.id]["2026-03-19"], 6)
        self.assertEqual(rows[self.rep.id]["2026-03-20"], 3)
        self.assertNotIn("2026-03-21", rows[self.rep.id])
        self.assertEqual(rows[self.rep2.id]["2026-03-20"], 3)

    def test_rows(self):
        """A manager sees the members of the teams, and whoever has a visit."""
        board = self._get_board(self.leader)
        ids = [row["user_id"] for row in board["rows"]]
        self.assertIn(self.rep.id, ids)
        self.assertIn(self.rep2.id, ids)
        self.assertNotIn(self.leader.id, ids)
        self.assertTrue(board["see_all"])
        self._create_visit("Leader's", FRIDAY, self.leader)
        self._create_visit("Nobody's", FRIDAY, self.env["res.users"])
        rows = self._get_board(self.leader)["rows"]
        self.assertEqual([row["user_id"] for row in rows[:2]], [False, self.leader.id])
        own = self._get_board(self.leader, own=True)
        self.assertEqual([row["user_id"] for row in own["rows"]], [self.leader.id])
        self.assertEqual(self._get_names(own["visits"]), ["Leader's"])
        self.assertFalse(own["teams"])
        # on a phone the team is one tap away
        self.assertTrue(own["is_manager"])
        self.assertFalse(self._get_board(self.rep)["is_manager"])

    def test_team(self):
        other = self._create_user("ka_other_team", SALES)
        team = self.env["crm.team"].create(
            {
                "name": "Other Team",
                "company_id": self.company.id,
                "member_ids": [Command.set(other.ids)],
            }
        )
        self._create_visit("Rep's", FRIDAY)
        self._create_visit("Other's", FRIDAY, other)
        nobody = self.env["res.users"]
        self._create_visit("Nobody's", FRIDAY, nobody)
        self._create_visit("Nobody's of the team", FRIDAY, nobody, team_id=team.id)
        self._create_backlog("Rep's Backlog")
        self._create_backlog("Other's Backlog", other)
        board = self._get_board(self.leader, team_id=team.id)
        self.assertEqual([row["user_id"] for row in board["rows"]], [False, other.id])
        self.assertEqual(
            set(self._get_names(board["visits"])), {"Other's", "Nobody's of the team"}
        )
        self.assertEqual(self._get_names(board["backlog"]), ["Other's Backlog"])
        self.assertIn({"id": team.id, "name": "Other Team"}, board["teams"])
        # who sees own documents only doesn't choose
        board = self._get_board(self.rep, team_id=team.id)
        self.assertEqual([row["user_id"] for row in board["rows"]], [self.rep.id])

    def test_backlog(self):
        self._create_backlog("Due")
        month_ago = WEDNESDAY - timedelta(days=30)
        self._create_backlog("More Due", date_due=month_ago, reason="away")
        self._create_backlog("Not Yet", date_due=WEDNESDAY + timedelta(days=15))
        self._create_backlog("Colleague's", self.rep2)
        board = self._get_board(self.rep)
        self.assertEqual(board["backlog_count"], 2)
        self.assertEqual(self._get_names(board["backlog"]), ["More Due", "Due"])
        card = board["backlog"][0]
        self.assertEqual(card["reason"], "No working day")
        self.assertEqual(card["date_due"], "2026-02-16")
        self.assertEqual(card["overdue_ratio"], 2)
        self.assertEqual(card["days_overdue"], 30)
        self.assertEqual(self._get_board(self.leader)["backlog_count"], 3)

    def test_planning_is_off(self):
        """The board leads to the settings, not to steps that can't plan."""
        self.manager.group_ids += self.env.ref("base.group_system")
        board = self._get_board(self.manager)
        self.assertEqual(board["empty"], "nobody")
        self.assertEqual((board["can_start"], board["can_set"]), (True, False))
        self.policy._run()
        self.company.key_account_planning = False
        board = self._get_board(self.manager)
        self.assertEqual(board["empty"], "off")
        self.assertEqual((board["can_start"], board["can_set"]), (False, True))
        self.assertFalse(self._get_board(self.rep)["can_set"])

    def test_rights(self):
        visit = self._create_visit("Rep's", FRIDAY)
        self._create_visit("Colleague's", FRIDAY, self.rep2)
        board = self._get_board(self.rep)
        self.assertEqual([row["user_id"] for row in board["rows"]], [self.rep.id])
        self.assertEqual(self._get_names(board["visits"]), ["Rep's"])
        self.assertFalse(board["see_all"])
        for user in (self.leader, self.manager):
            board = self._get_board(user)
            self.assertEqual(
                set(self._get_names(board["visits"])), {"Rep's", "Colleague's"}
            )
        internal = self._create_user("ka_internal", "base.group_user")
        portal = new_test_user(self.env, "ka_portal", "base.group_portal")
        for user in (internal, portal):
            with self.assertRaises(AccessError):
                self._get_board(user)
            with self.assertRaises(AccessError):
                visit.with_user(user).action_move("2026-03-19", self.rep.id)

    def test_companies(self):
        """Another company's visits and salespeople are not there."""
        other = self._create_company("Other")
        user = self._create_user("ka_other", SALES_ALL, other)
        self._create_visit("Rep's", FRIDAY)
        backlog = self._create_backlog("Backlog")
        board = self._get_board(user)
        self.assertFalse(board["visits"] or board["backlog"])
        self.assertNotIn(self.rep.id, [row["user_id"] for row in board["rows"]])
        with self.assertRaises(AccessError):
            backlog.with_user(user).sudo(False).action_plan("2026-03-19", user.id)

    def test_bad_date(self):
        with self.assertRaisesRegex(UserError, "is no day"):
            self._get_board(self.rep, date="next week")

    def test_queries(self):
        """As many queries for one salesperson, visit and backlog row as for fifty."""

        def count():
            self.team.member_ids = self.rep | users
            # members change what is due: who waits is said afterwards
            backlog.date_due = WEDNESDAY
            self._get_board(self.leader)  # fills what new users emptied
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            board = self._get_board(self.leader)
            self.assertEqual(board["backlog_count"], len(users))
            self.assertEqual(len(board["overdue"]), len(users))
            return self.cr.sql_log_count - before

        def fill(number):
            nonlocal users, backlog
            user = self._create_user(f"ka_board_{number}", SALES)
            users |= user
            visit = self._create_visit(f"Visit {number}", FRIDAY, user)
            visit.tier_id = self.tier_a
            visit.action_schedule_meeting()
            self._create_visit(f"Overdue {number}", date(2026, 3, 13), user)
            self._create_visit(
                f"Done {number}", MONDAY, user, state="done", date_done=MONDAY
            )
            backlog |= self._create_backlog(f"Backlog {number}", user)

        users, backlog = self.env["res.users"], self.Due
        fill(0)
        one = count()
        for number in range(1, 50):
            fill(number)
        self.assertEqual(count(), one)
        fill(50)
        self.assertEqual(count(), one, "more wait than are shown")


@tagged("post_install", "-at_install")
class TestBoardMoves(BoardCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))

    def test_day(self):
        visit = self._create_visit("Customer", FRIDAY)
        visit.with_user(self.rep).action_move("2026-03-19", self.rep.id)
        self.assertEqual(visit.date_planned, date(2026, 3, 19))
        self.assertTrue(visit.is_date_fixed)
        self.assertEqual(visit.activity_id.date_deadline, date(2026, 3, 19))
        self.assertEqual(visit.user_id, self.rep)

    def test_salesperson(self):
        visit = self._create_visit("Customer", FRIDAY)
        visit.with_user(self.leader).action_move("2026-03-20", self.rep2.id)
        self.assertEqual(visit.user_id, self.rep2)
        self.assertEqual(visit.activity_id.user_id, self.rep2)
        self.assertFalse(visit.is_date_fixed)
        visit.with_user(self.leader).action_move("2026-03-20", False)
        self.assertFalse(visit.user_id)

    def test_undo(self):
        """Day, salesperson, meeting and who decides are as before."""
        visit = self._create_visit("Customer", FRIDAY)
        self.assertFalse(visit.is_date_fixed)
        theirs = visit.with_user(self.leader)
        theirs.action_move("2026-03-19", self.rep2.id)
        theirs.action_undo_move("2026-03-20", self.rep.id, False)
        self.assertEqual((visit.date_planned, visit.user_id), (FRIDAY, self.rep))
        self.assertEqual(visit.activity_id.date_deadline, FRIDAY)
        self.assertEqual(visit.activity_id.user_id, self.rep)
        self.assertFalse(visit.is_date_fixed)
        theirs.action_move("2026-03-19", self.rep.id)
        theirs.action_undo_move("2026-03-20", self.rep.id, True)
        self.assertTrue(visit.is_date_fixed)
        # back to a day that has passed
        late = self._create_visit("Late", MONDAY)
        late.with_user(self.rep).action_move("2026-03-19", self.rep.id)
        late.with_user(self.rep).action_undo_move("2026-03-16", self.rep.id)
        self.assertEqual(late.date_planned, MONDAY)

    def test_undo_after_another_s_change(self):
        """What somebody else decided since isn't taken back."""
        visit = self._create_visit("Customer", FRIDAY)
        mine = visit.with_user(self.rep)
        moved = ["2026-03-19", self.rep.id]
        mine.action_move(*moved)
        visit.with_user(self.leader).action_move("2026-03-24", self.rep.id)
        with self.assertRaisesRegex(UserError, "was moved since"):
            mine.action_undo_move("2026-03-20", self.rep.id, False, moved)
        self.assertEqual(visit.date_planned, date(2026, 3, 24))
        visit.with_user(self.leader).action_move(*moved)
        mine.action_undo_move("2026-03-20", self.rep.id, False, moved)
        self.assertEqual(visit.date_planned, FRIDAY)

    def test_undo_with_a_meeting(self):
        visit = self._create_visit("Customer", FRIDAY)
        visit.action_schedule_meeting()
        start = visit.calendar_event_id.start
        visit.with_user(self.rep).action_move("2026-03-19", self.rep.id)
        visit.with_user(self.rep).action_undo_move("2026-03-20", self.rep.id)
        self.assertEqual(visit.calendar_event_id.start, start)
        self.assertTrue(visit.is_date_fixed)

    def test_undo_refused(self):
        visit = self._create_visit("Customer", FRIDAY)
        other = self._create_user("ka_other", SALES, self._create_company("Other"))
        for day, user_id in ((False, self.rep.id), ("2026-13-17", self.rep.id)):
            with self.assertRaises(UserError):
                visit.with_user(self.rep).action_undo_move(day, user_id)
        with self.assertRaises(ValidationError), self.env.cr.savepoint():
            visit.with_user(self.leader).action_undo_move("2026-03-20", other.id)
        with self.assertRaises(AccessError):
            visit.with_user(self.rep2).action_undo_move("2026-03-19", self.rep2.id)
        self.env.invalidate_all()
        self.assertEqual((visit.date_planned, visit.user_id), (FRIDAY, self.rep))
        visit.action_done()
        with self.assertRaisesRegex(UserError, "not planned any more"):
            visit.with_user(self.rep).action_undo_move("2026-03-19", self.rep.id)

    def test_undo_plan(self):
        """What was dragged from the backlog goes back there, as long as it is new."""
        row = self._create_backlog("Customer")
        partner = row.partner_id
        self.Visit.create(
            {
                "partner_id": partner.id,
                "state": "done",
                "date_done": date(2026, 2, 10),
                "date_planned": date(2026, 2, 10),
            }
        )
        self._get_planned(partner)._close("Test")
        due = row.date_due

        def plan():
            return self.Visit.browse(
                row.with_user(self.rep).action_plan("2026-03-19", self.rep.id)
            ).with_user(self.rep)

        visit = plan()
        # the clock of the database is the one that is frozen here too
        self.env.cr.execute(
            "UPDATE key_account_visit SET create_date = %s WHERE id = %s",
            [datetime(2026, 3, 18, 9), visit.id],
        )
        visit.invalidate_recordset(["create_date"])
        activity = visit.sudo().activity_id
        visit.action_undo_plan()
        self.assertFalse(visit.exists() or activity.exists())
        self.assertFalse(self._get_planned(partner))
        self.assertTrue(row.exists())
        self.assertFalse(row.visit_id)
        self.assertEqual(row.date_due, due)
        self.assertEqual(self._get_board(self.rep)["backlog_count"], 1)
        visit = plan()
        visit.sudo().create_date  # noqa: B018
        self.env.cr.execute(
            "UPDATE key_account_visit SET create_date = %s WHERE id = %s",
            [datetime(2026, 3, 18, 8), visit.id],
        )
        visit.invalidate_recordset(["create_date"])
        with self.assertRaisesRegex(UserError, "more than just planned"):
            visit.action_undo_plan()
        self.assertEqual(self._get_planned(partner), visit)
        # nor what somebody else has worked with
        self.env.cr.execute(
            "UPDATE key_account_visit SET create_date = %s WHERE id = %s",
            [datetime(2026, 3, 18, 9), visit.id],
        )
        visit.invalidate_recordset(["create_date"])
        visit.with_user(self.leader).action_move("2026-03-20", self.rep.id)
        with self.assertRaisesRegex(UserError, "more than just planned"):
            visit.action_undo_plan()
        self.assertEqual(visit.date_planned, FRIDAY)
        # nor what somebody else planned
        with self.assertRaisesRegex(UserError, "more than just planned"):
            visit.with_user(self.leader).action_undo_plan()

    def test_undo_plan_deletes_no_words(self):
        """What somebody noted, said, left or did there would go with the visit."""
        self.company.key_account_check_in = True
        words = "They want samples"

        def attach(visit):
            self.env["ir.attachment"].with_user(self.leader).create(
                {"name": "Plan", "res_model": visit._name, "res_id": visit.id}
            )

        for leave in (
            lambda visit: visit.write({"feedback": words}),
            lambda visit: visit.with_user(self.leader).message_post(body=words),
            attach,
            lambda visit: visit.action_check_in(),
        ):
            row = self._create_backlog("Customer")
            self._get_planned(row.partner_id)._close("Test")
            row = row.with_user(self.rep)
            visit = self.Visit.with_user(self.rep).browse(
                row.action_plan("2026-03-19", self.rep.id)
            )
            self.env.flush_all()
            self.env.cr.execute(
                "UPDATE key_account_visit SET create_date = %s WHERE id = %s",
                [datetime(2026, 3, 18, 9), visit.id],
            )
            self.env.invalidate_all()
            with self.subTest(leave):
                leave(visit)
                with self.assertRaisesRegex(UserError, "more than just planned"):
                    visit.action_undo_plan()
                self.assertTrue(visit.exists())

    def test_meeting(self):
        visit = self._create_visit("Customer", FRIDAY)
        visit.action_schedule_meeting()
        visit.with_user(self.rep).action_move("2026-03-19", self.rep.id)
        self.assertEqual(visit.calendar_event_id.start, datetime(2026, 3, 19, 8))

    def test_refused(self):
        """A sentence, and nothing has changed."""
        visit = self._create_visit("Customer", FRIDAY)
        other = self._create_user("ka_other", SALES, self._create_company("Other"))
        cases = [
            ("2026-03-17", self.rep.id, UserError, "This day has passed"),
            (False, self.rep.id, UserError, "Choose the day"),
            ("2026-13-17", self.rep.id, UserError, "is no day"),
            ("2026-03-19", other.id, ValidationError, "doesn't work for"),
        ]
        for day, user_id, error, message in cases:
            with (
                self.subTest(message),
                self.assertRaisesRegex(error, message),
                self.env.cr.savepoint(),
            ):
                visit.with_user(self.leader).action_move(day, user_id)
            self.env.invalidate_all()
            self.assertEqual(visit.date_planned, FRIDAY)
            self.assertEqual(visit.user_id, self.rep)
        with self.assertRaises(AccessError):
            visit.with_user(self.rep2).action_move("2026-03-19", self.rep2.id)
        visit.action_done()
        with self.assertRaisesRegex(UserError, "not planned any more"):
            visit.with_user(self.leader).action_move("2026-03-19", self.rep.id)

    def test_today_is_theirs(self):
        """The day has passed where the salesperson is, not where the manager is."""
        visit = self._create_visit("Customer", FRIDAY)
        self.rep.tz = "Pacific/Auckland"
        self.leader.tz = "America/Los_Angeles"
        with freeze_time("2026-03-18 12:00:00"):
            with self.assertRaisesRegex(UserError, "has passed"):
                visit.with_user(self.leader).action_move("2026-03-18", self.rep.id)
            visit.with_user(self.leader).action_move("2026-03-19", self.rep.id)
        self.assertEqual(visit.date_planned, date(2026, 3, 19))

    def test_plan(self):
        """What was in the backlog is planned as the cadence would, on that day."""
        row = self._create_backlog("Customer")
        partner = row.partner_id
        self.Visit.create(
            {
                "partner_id": partner.id,
                "state": "done",
                "date_done": date(2026, 2, 10),
                "date_planned": date(2026, 2, 10),
            }
        )
        # visited, the account was planned anew: it waits again
        self._get_planned(partner)._close("Test")
        visit_id = row.with_user(self.rep).action_plan("2026-03-19", self.rep.id)
        visit = self.Visit.browse(visit_id)
        self.assertEqual(visit, self._get_planned(partner))
        self.assertEqual(visit.date_planned, date(2026, 3, 19))
        self.assertEqual(visit.user_id, self.rep)
        self.assertEqual(visit.team_id, self.team)
        self.assertEqual(visit.cadence_id, self.cadence)
        self.assertEqual(visit.tier_id, self.tier_a)
        self.assertEqual(visit.date_due, date(2026, 3, 10))
        self.assertEqual(visit.date_latest, date(2026, 3, 19))
        self.assertEqual(visit.engagement_stage, "target")
        self.assertEqual(visit.summary, "Key account, monthly; last visit Feb 10")
        self.assertTrue(visit.is_date_fixed)
        self.assertEqual(visit.activity_id.date_deadline, date(2026, 3, 19))
        self.assertEqual(visit.activity_id.user_id, self.rep)
        self.assertEqual(row.visit_id, visit)
        self.assertEqual(self._get_card(partner).next_visit_date, date(2026, 3, 19))
        # planning leaves it alone, and plans no second one
        self.Visit._generate()
        self.assertEqual(self._get_planned(partner), visit)
        self.assertEqual(visit.date_planned, date(2026, 3, 19))

    def test_plan_lead(self):
        lead = self.env["crm.lead"].create(
            {
                "name": "Lead",
                "user_id": self.rep.id,
                "company_id": self.company.id,
            }
        )
        lead.account_tier_id = self.tier_a
        self.Due._refresh(self.company, [], lead.ids)
        row = self.Due.search([("lead_id", "=", lead.id)])
        visit = self.Visit.browse(
            row.with_user(self.rep).action_plan("2026-03-19", self.rep.id)
        )
        self.assertEqual(visit.lead_id, lead)
        self.assertEqual(visit.activity_id.res_model, "crm.lead")

    def test_plan_for_colleague(self):
        row = self._create_backlog("Customer")
        visit = self.Visit.browse(
            row.with_user(self.leader).action_plan("2026-03-19", self.rep2.id)
        )
        self.assertEqual(visit.user_id, self.rep2)

    def test_plan_refused(self):
        row = self._create_backlog("Customer")
        with self.assertRaises(AccessError):
            row.with_user(self.rep2).sudo(False).action_plan("2026-03-19", self.rep2.id)
        with self.assertRaisesRegex(UserError, "This day has passed"):
            row.with_user(self.rep).sudo(False).action_plan("2026-03-17", self.rep.id)
        self.assertTrue(row.exists())
        self.Visit.create({"partner_id": row.partner_id.id, "user_id": self.rep.id})
        with self.assertRaisesRegex(UserError, "planned already"):
            row.with_user(self.rep).sudo(False).action_plan("2026-03-19", self.rep.id)

    def test_open_backlog(self):
        row = self._create_backlog("Customer")
        action = row.with_user(self.rep).action_open_document()
        self.assertEqual(action["res_model"], "res.partner")
        self.assertEqual(action["res_id"], row.partner_id.id)


@tagged("post_install", "-at_install")
class TestBoardTour(BoardCommon, HttpCase):
    def test_drag(self):
        """A manager drags a card to another day, and a row of the backlog onto one: the
        activity is moved, the visit planned."""
        today = clock.get_today(self.company, self.leader)
        monday = today + timedelta(days=7 - today.weekday())
        visit = self._create_visit("Tour Customer", monday)
        row = self._create_backlog("Tour Backlog")
        partner = row.partner_id
        self.start_tour("/odoo/visit-week", "key_account_week_board", login="ka_leader")
        self.env.invalidate_all()
        tuesday = monday + timedelta(days=1)
        self.assertEqual(visit.date_planned, tuesday)
        self.assertEqual(visit.activity_id.date_deadline, tuesday)
        self.assertTrue(visit.is_date_fixed)
        planned = self._get_planned(partner)
        self.assertEqual(planned.date_planned, monday)
        self.assertEqual(planned.activity_id.date_deadline, monday)
        self.assertEqual(row.visit_id, planned)

    def test_escalation(self):
        """A leader finds the overdue visit of a rep among the own activities, once."""
        self.cadence.escalate_after_days = 5
        partner = self._create_partner("Tour Overdue")
        self._set_tier(partner, self.tier_a)
        today = clock.get_today(self.company, self.leader)
        self.Visit.create(
            {
                "partner_id": partner.id,
                "user_id": self.rep.id,
                "state": "done",
                "date_done": today - timedelta(days=60),
            }
        )
        self.Visit._generate(partner, self.company)
        self.start_tour(
            f"/odoo/res.partner/{partner.id}",
            "key_account_escalation",
            login="ka_leader",
        )
        self.Visit._generate(partner, self.company)
        self.assertFalse(
            self.env["mail.activity"].search(
                [("user_id", "=", self.leader.id), ("res_id", "=", partner.id)]
            )
        )


@tagged("post_install", "-at_install")
class TestBoardPhoneTour(BoardCommon, HttpCase):
    browser_size = "375x667"
    touch_enabled = True

    def test_own_week(self):
        """On a phone a rep opens a visit of the own week."""
        today = clock.get_today(self.company, self.rep)
        monday = today + timedelta(days=7 - today.weekday())
        self._create_visit("Tour Customer", monday)
        self._create_visit("Colleague Customer", monday, self.rep2)
        self._create_backlog("Tour Backlog")
        self.start_tour(
            "/odoo/visit-week", "key_account_week_board_phone", login="ka_rep"
        )

    def test_team(self):
        """A leader finds the team's week beside the own one."""
        today = clock.get_today(self.company, self.leader)
        monday = today + timedelta(days=7 - today.weekday())
        self._create_visit("Tour Customer", monday)
        self.start_tour(
            "/odoo/visit-week", "key_account_week_board_team", login="ka_leader"
        )
