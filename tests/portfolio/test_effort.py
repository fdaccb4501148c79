"""Where the next visit hour is worth most: suggestions, acceptance and undo."""

from datetime import timedelta
from itertools import product

from psycopg2 import IntegrityError

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..common import SALES_ADMIN, TODAY
from ..planning.test_planning import PlanningCommon

# Eight hours a day, two visits
VISIT_HOURS = 4
YEAR_HOURS = 40 / 7 * 365


class EffortCommon(PlanningCommon):
    """Weekly, every two weeks and monthly, on three tiers of accounts of one rep."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["key.account.cadence"].search(
            [("company_id", "=", False)]
        ).active = False
        cls.lines = cls.line | cls.env["key.account.cadence"].create(
            [
                {
                    "company_id": cls.company.id,
                    "tier_id": tier.id,
                    "interval_count": count,
                    "interval_unit": unit,
                }
                for tier, count, unit in (
                    (cls.tier_b, 2, "week"),
                    (cls.tier_c, 1, "month"),
                )
            ]
        )
        cls.Suggestion = cls.env["key.account.effort.suggestion"]
        for user in cls.rep | cls.leader | cls.manager:
            user.group_ids += cls.env.ref("base.group_partner_manager")

    @classmethod
    def _create_account(cls, name, tier, margin, count=5, **values):
        partner = cls._create_partner(name, **values)
        cls._set_tier(partner, tier)
        cls.Card.search(
            [("partner_id", "=", partner.id), ("company_id", "=", cls.company.id)]
        ).write({"is_account": True, "margin": margin, "visit_count": count})
        return partner

    def _reckon(self, user=None):
        suggestions = self.Suggestion.with_user(user or self.leader)
        suggestions.action_reckon()
        return {row.partner_id: row for row in suggestions.search([])}


@tagged("post_install", "-at_install")
class TestEffortSuggestion(EffortCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rich = cls._create_account("Rich", cls.tier_b, 90000)
        cls.poor = cls._create_account("Poor", cls.tier_a, 800)
        cls.small = cls._create_account("Small", cls.tier_b, 500)
        cls.low = cls._create_account("Low", cls.tier_c, 3000)
        cls.none = cls._create_account("None", cls.tier_b, 0)
        cls.minus = cls._create_account("Minus", cls.tier_c, -700)
        cls.shared = cls.rich | cls.poor | cls.small | cls.low

    # what each may get: its own tier's interval and those of the tiers next to it
    limits = {"A": (7, 14), "B": (7, 14, 30), "C": (14, 30)}

    def test_hours_that_no_day_has(self):
        """Odoo takes any number for the hours of a day: these say nothing."""
        expected = {partner: row.hours for partner, row in self._reckon().items()}
        for hours in (0, -5, 1e9):
            self.company.resource_calendar_id.hours_per_day = hours
            rows = self._reckon()
            self.assertEqual(
                {partner: row.hours for partner, row in rows.items()}, expected
            )

    def _recount(self, partners, beta, budget):
        """Return the best intervals of all combinations that are worth a suggestion
        and take no more hours, by brute force."""
        options = []
        for partner in partners:
            card = self._get_card(partner)
            days = {"A": 7, "B": 14, "C": 30}[card.tier_id.code]
            options.append(
                [
                    (other, card.margin * (days / other) ** beta, 365 / other * 4)
                    for other in self.limits[card.tier_id.code]
                    if other == days or abs(other - days) > days / 4
                ]
            )
        best = max(
            (
                combination
                for combination in product(*options)
                if sum(option[2] for option in combination) <= budget + 1e-9
            ),
            key=lambda combination: sum(option[1] for option in combination),
        )
        return [option[:2] for option in best]

    def test_a_plain_recount(self):
        rows = self._reckon()
        self.assertEqual(set(rows), set(self.shared | self.none | self.minus))
        used = sum(365 / days * 4 for days in (14, 7, 14, 30))
        best = self._recount(self.shared, 0.34, used)
        self.assertEqual([days for days, _ in best], [7, 14, 30, 14])
        for partner, (days, expected) in zip(self.shared, best, strict=True):
            row, card = rows[partner], self._get_card(partner)
            with self.subTest(partner=partner.name):
                today = {"A": 7, "B": 14, "C": 30}[card.tier_id.code]
                self.assertEqual(row.days, today)
                self.assertEqual(row.tier_id, card.tier_id)
                self.assertEqual(row.user_id, self.rep)
                self.assertEqual(row.team_id, self.team)
                self.assertEqual(row.date, TODAY)
                self.assertEqual(row.visits, round(365 / today, 1))
                self.assertEqual(row.hours, round(365 / today * VISIT_HOURS, 1))
                self.assertEqual(
                    row.suggested_hours, round(365 / days * VISIT_HOURS, 1)
                )
                self.assertEqual(row.suggested_days, days if days != today else 0)
                self.assertEqual(row.margin, card.margin)
                self.assertAlmostEqual(row.expected_margin, expected, 2)
                self.assertAlmostEqual(row.difference, expected - card.margin, 2)
                # the slope, taken from a thousandth of an hour
                share = 1 + 0.001 / (365 / today * VISIT_HOURS)
                gain = card.margin * (share**0.34 - 1)
                self.assertAlmostEqual(row.hour_worth, gain / 0.001, 2)
                self.assertEqual(row.state, "suggested" if days != today else "kept")
                self.assertAlmostEqual(row.elasticity, 0.34)
                self.assertFalse(row.is_elasticity_own)
        fixed = (365 / 14 + 365 / 30) * VISIT_HOURS
        for row in rows.values():
            self.assertEqual(row.available_hours, round(YEAR_HOURS - fixed, 1))
        ideal = [rows[partner].best_visits for partner in self.shared]
        self.assertAlmostEqual(sum(ideal) * VISIT_HOURS, used, delta=1)
        self.assertEqual(ideal[0], round(365 / 7, 1))

    def test_no_margin_stays(self):
        rows = self._reckon()
        for partner in self.none | self.minus:
            row = rows[partner]
            self.assertEqual((row.state, row.note), ("kept", "no_margin"))
            self.assertEqual((row.suggested_days, row.difference), (0, 0))
            self.assertEqual(row.hour_worth, 0)
            self.assertIn("No margin to reckon with", row.explanation)

    def test_what_is_said(self):
        rows = self._reckon()
        text = rows[self.rich].with_user(self.leader).explanation
        for part in (
            "every 14 days",
            "Suggested: a visit every 7 days",
            "One more hour here is worth",
            "Elasticity 0.34, from 0.01 to 0.67, of the settings",
            "The maximum is flat: a quarter more visits change this margin by +8 %",
            "a quarter fewer by -9 %",
        ):
            self.assertIn(part, text)
        with Form(rows[self.rich].with_user(self.leader)):
            pass

    def test_every_day_is_no_plural(self):
        row = self._reckon()[self.rich].sudo()
        row.write({"days": 1, "suggested_days": 1})
        row.invalidate_recordset(["explanation"])
        for part in ("Today: a visit every day,", "Suggested: a visit every day,"):
            self.assertIn(part, row.explanation)

    def test_unvisited_is_said(self):
        self._get_card(self.rich).visit_count = 0
        row = self._reckon()[self.rich]
        self.assertEqual(row.note, "unvisited")
        self.assertEqual(row.suggested_days, 7)
        self.assertIn("Not visited in 12 months", row.explanation)

    def test_one_account(self):
        """Nothing to share out: its own hours are its best ones."""
        alone = self._create_other("Alone")
        row = self._reckon()[alone]
        self.assertEqual((row.state, row.note), ("kept", "same"))
        self.assertEqual(row.best_visits, 26.1)

    def _create_other(self, name):
        return self._create_account(name, self.tier_b, 1000, user_id=self.rep2.id)

    def test_all_available_hours(self):
        self.company.key_account_effort_hours = "all"
        rows = self._reckon()
        # there is time for everybody
        self.assertEqual(
            [rows[p].suggested_days or rows[p].days for p in self.shared],
            [7, 7, 7, 14],
        )
        self.company.key_account_daily_capacity = 1
        rows = self._reckon()
        used = sum(rows[partner].suggested_hours for partner in self.shared)
        self.assertLessEqual(used, rows[self.rich].available_hours)

    def test_too_few_hours(self):
        """A rep who can't do what is asked gets the longest intervals."""
        self.company.key_account_daily_capacity = 1
        self.company.resource_calendar_id.attendance_ids.filtered(
            lambda slot: slot.dayofweek != "0"
        ).unlink()
        rows = self._reckon()
        days = [rows[p].suggested_days or rows[p].days for p in self.shared]
        self.assertEqual(days, [30, 14, 30, 30])
        self.assertEqual(rows[self.rich].note, "short")
        self.assertIn("longest intervals take more hours", rows[self.rich].explanation)
        # with some more, who brings most gets them
        self.company.key_account_daily_capacity = 2
        rows = self._reckon()
        used = sum(rows[partner].suggested_hours for partner in self.shared)
        self.assertLessEqual(used, rows[self.rich].available_hours + 0.2)
        self.assertFalse(rows[self.rich].note)

    def test_no_hours(self):
        self.env["resource.calendar.leaves"].create(
            {
                "company_id": self.company.id,
                "calendar_id": self.company.resource_calendar_id.id,
                "date_from": TODAY - timedelta(1),
                "date_to": TODAY + timedelta(100),
            }
        )
        rows = self._reckon()
        self.assertEqual(rows[self.rich].note, "no_hours")
        self.assertEqual(rows[self.rich].available_hours, 0)
        self.assertFalse(any(row.suggested_days for row in rows.values()))
        self.assertIn("no working hours", rows[self.rich].explanation)

    def test_other_tracks_take_time(self):
        before = self._reckon()[self.rich].available_hours
        self.env["key.account.cadence"].create(
            {
                "company_id": self.company.id,
                "track": "contact",
                "tier_id": self.tier_b.id,
                "interval_count": 1,
                "interval_unit": "week",
            }
        )
        rows = self._reckon()
        calls = 3 * 365 / 7 * VISIT_HOURS / 4
        self.assertAlmostEqual(
            rows[self.rich].available_hours, before - calls, delta=0.2
        )
        self.assertEqual(len(rows), 6)

    def test_window(self):
        self.policy.window_months = 6
        self.assertEqual(self._reckon()[self.rich].margin, 180000)

    def test_lost_accounts_are_left_out(self):
        self.env["key.account.loss"].create(
            {
                "partner_id": self.poor.id,
                "company_id": self.company.id,
                "reason_id": self.env.ref("crm_key_account.churn_reason_price").id,
                "date": TODAY,
                "date_win_back": TODAY + timedelta(30),
            }
        )
        self.assertNotIn(self.poor, self._reckon())

    def test_elasticity_of_the_settings(self):
        for value in (0, 1, -1):
            with self.assertRaisesRegex(ValidationError, "must be from 0.01 to 0.99"):
                self.company.key_account_effort_elasticity = value
        settings = (
            self.env["res.config.settings"]
            .with_company(self.company)
            .create({"key_account_effort_elasticity": 0.5})
        )
        settings.execute()
        row = self._reckon()[self.rich]
        self.assertEqual(row.elasticity, 0.5)
        self.assertAlmostEqual(row.expected_margin, 90000 * 2**0.5, 2)

    def test_elasticity_of_own_data(self):
        """Thirty accounts whose revenue grew with their visits move the prior."""
        partners = self._create_accounts(40, self.tier_c)
        visits = []
        for number, partner in enumerate(partners):
            before, after = 2, 1 + number % 4
            self._get_card(partner).write(
                {
                    "is_account": True,
                    "margin": 10,
                    "previous_revenue": 100,
                    "revenue": 100 * (after / before) ** 0.6 * (1 + number % 3 / 100),
                }
            )
            visits += [
                {
                    "partner_id": partner.id,
                    "company_id": self.company.id,
                    "user_id": self.rep.id,
                    "state": "done",
                    "date_done": TODAY - timedelta(days=ago + place),
                }
                for count, ago in ((before, 400), (after, 30))
                for place in range(count)
            ]
        self.Visit.create(visits)
        row = self._reckon()[self.rich]
        self.assertTrue(row.is_elasticity_own)
        self.assertEqual(row.elasticity_accounts, 40)
        self.assertAlmostEqual(row.elasticity, 0.6, 1)
        self.assertTrue(row.elasticity_low <= row.elasticity <= row.elasticity_high)
        self.assertIn("accounts (40 compared)", row.explanation)

    def test_without_policy_or_planning(self):
        self.policy.active = False
        self.env["key.account.policy"].search([]).active = False
        self.assertFalse(any(r.suggested_days for r in self._reckon().values()))
        self.company.key_account_planning = False
        self.Due._forget(self.company)
        self.assertFalse(self._reckon())

    # --- accept and undo ------------------------------------------------------------

    def test_accept_and_undo(self):
        rows = self._reckon()
        suggested = self.Suggestion.with_user(self.leader).search(
            [("state", "=", "suggested")]
        )
        self.assertEqual(suggested.partner_id, self.shared)
        suggested.action_accept()
        self.assertEqual([p.visit_interval_days for p in self.shared], [7, 14, 30, 14])
        due = self.Due.search(
            [("partner_id", "=", self.rich.id), ("track", "=", "visit")]
        )
        self.assertEqual(due.days, 7)
        row = rows[self.rich]
        self.assertEqual(row.state, "accepted")
        self.assertEqual(row.accepted_user_id, self.leader)
        self.assertEqual(row.accepted_date, TODAY)
        self.assertIn("days between visits: 7 instead of 14", row.reason)
        with self.assertRaisesRegex(UserError, "Nothing is suggested for Rich"):
            row.action_accept()
        # it stays when it is reckoned anew, beside what holds now
        self.Suggestion.with_user(self.leader).action_reckon()
        self.assertTrue(row.exists())
        now = self.Suggestion.search(
            [("account_id", "=", row.account_id.id), ("state", "!=", "accepted")]
        )
        self.assertEqual((now.days, now.own_days), (7, 7))
        row.action_undo()
        self.assertFalse(now.exists())
        self.assertEqual(self.rich.visit_interval_days, 0)
        self.assertEqual((row.state, row.reason), ("suggested", False))
        due.invalidate_recordset()
        self.assertEqual(due.days, 14)
        with self.assertRaisesRegex(UserError, "Nothing was accepted for Rich"):
            row.action_undo()

    def test_a_whole_list(self):
        """Whoever selects all means those for whom there is something to do."""
        rows = self._reckon()
        everybody = self.Suggestion.with_user(self.leader).search([])
        self.assertIn(rows[self.none], everybody)
        everybody.action_accept()
        self.assertEqual([p.visit_interval_days for p in self.shared], [7, 14, 30, 14])
        self.assertFalse((self.none | self.minus)[0].visit_interval_days)
        self.assertEqual(rows[self.none].state, "kept")
        everybody.action_undo()
        self.assertFalse(any(p.visit_interval_days for p in self.shared))
        with self.assertRaisesRegex(UserError, "Nothing is suggested for None"):
            rows[self.none].with_user(self.leader).action_accept()

    def test_undo_gives_back_what_was_there(self):
        self.rich.visit_interval_days = 28
        row = self._reckon()[self.rich]
        self.assertEqual((row.days, row.own_days, row.suggested_days), (28, 28, 7))
        row.action_accept()
        self.assertEqual(self.rich.visit_interval_days, 7)
        row.action_undo()
        self.assertEqual(self.rich.visit_interval_days, 28)

    def test_nobody_is_listed_twice(self):
        """Two who open the list at the same moment don't see each other's rows."""
        row = self._reckon()[self.rich].sudo()
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError):
            with self.cr.savepoint():
                row.copy()
        row.action_accept()
        self.assertIn(row.account_id, self.Suggestion.search([]).account_id)
        self._reckon()
        same = self.Suggestion.search([("account_id", "=", row.account_id.id)])
        self.assertEqual(len(same), 2)
        row.action_undo()
        self.assertEqual(same.exists(), row)

    def test_somebody_changed_it(self):
        rows = self._reckon()
        both = rows[self.rich] | rows[self.small]
        self.small.visit_interval_days = 21
        with self.assertRaisesRegex(UserError, "visit interval of Small was changed"):
            both.action_accept()
        self.assertFalse(self.rich.visit_interval_days)
        self.small.visit_interval_days = 0
        both.action_accept()
        self.small.visit_interval_days = 21
        with self.assertRaisesRegex(UserError, "visit interval of Small was changed"):
            both.action_undo()
        self.assertEqual(self.rich.visit_interval_days, 7)
        self.assertEqual(self.small.visit_interval_days, 21)

    # --- who ------------------------------------------------------------------------

    def test_own_documents(self):
        other = self._create_other("Colleague's")
        rows = self._reckon()
        self.assertIn(other, rows)
        theirs = self.Suggestion.with_user(self.rep).search([])
        self.assertNotIn(other, theirs.partner_id)
        self.assertIn(self.rich, theirs.partner_id)
        with self.assertRaises(AccessError):
            rows[other].with_user(self.rep).action_accept()
        # nobody's hours but one's own
        self.Suggestion.search([]).unlink()
        theirs = self._reckon(self.rep)
        self.assertEqual({row.user_id for row in theirs.values()}, {self.rep})
        self.assertFalse(self.Suggestion.search([("user_id", "=", self.rep2.id)]))
        theirs[self.rich].action_accept()
        self.assertEqual(self.rich.visit_interval_days, 7)

    def test_who_may_not_change_contacts_accepts_nothing(self):
        """The door is the customer's."""
        row = self._reckon()[self.rich]
        self.rep.group_ids -= self.env.ref("base.group_partner_manager")
        partners = self.env["res.partner"].with_user(self.rep)
        if not partners.has_access("write"):
            with self.assertRaises(AccessError):
                row.with_user(self.rep).action_accept()
            self.assertFalse(self.rich.visit_interval_days)
        access = self.env["ir.model.access"].search(
            [("model_id.model", "=", "res.partner"), ("perm_write", "=", True)]
        )
        access.write({"perm_write": False})
        self.env.registry.clear_cache()
        with self.assertRaises(AccessError):
            row.with_user(self.rep).action_accept()
        self.assertFalse(self.rich.visit_interval_days)
        self.assertEqual(row.state, "suggested")

    def test_nobody_else(self):
        self._reckon()
        company = self._create_company("Elsewhere")
        stranger = self._create_user("ka_elsewhere", SALES_ADMIN, company)
        theirs = self.Suggestion.with_user(stranger).with_context(
            allowed_company_ids=company.ids
        )
        self.assertFalse(theirs.search([]))
        theirs.action_reckon()
        self.assertFalse(theirs.search([]))
        for groups in ("base.group_user", "base.group_portal"):
            user = self._create_user(f"ka_{groups[-6:]}", groups)
            for method in ("action_open", "action_reckon"):
                with self.assertRaises(AccessError), mute_logger("odoo.addons.base"):
                    getattr(self.Suggestion.with_user(user), method)()
        for user in (self.rep, self.leader, self.manager):
            for operation in ("create", "write", "unlink"):
                self.assertFalse(self.Suggestion.with_user(user).has_access(operation))

    def test_whoever_works_in_a_branch_alone_changes_nothing(self):
        """The company keeps the accounts of its branches, and shows them to those who
        work there."""
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        self.assertEqual(branch._get_key_account_home(), self.company)
        self._reckon()
        rows = self.Suggestion.search([])
        self.assertTrue(rows)
        # as of another day: made anew when somebody looks
        rows.date = TODAY - timedelta(days=1)
        there = self._create_user("ka_branch_manager", SALES_ADMIN, branch)
        suggestions = self.Suggestion.with_user(there).with_context(
            allowed_company_ids=branch.ids
        )
        suggestions.action_open()
        suggestions.action_reckon()
        self.assertEqual(self.Suggestion.search([]), rows)

    def test_opened_the_first_time_on_a_day(self):
        suggestions = self.Suggestion.with_user(self.leader)
        action = suggestions.action_open()
        self.assertEqual(action["res_model"], "key.account.effort.suggestion")
        rows = suggestions.search([])
        self.assertTrue(rows)
        suggestions.action_open()
        self.assertEqual(suggestions.search([]), rows)
        rows.sudo().date = TODAY - timedelta(1)
        suggestions.action_open()
        self.assertFalse(rows.exists())
        self.assertTrue(suggestions.search([]))

    def test_merged_customers(self):
        row = self._reckon()[self.poor]
        (self.rich | self.poor).email = "same@example.com"
        self.env["base.partner.merge.automatic.wizard"].with_user(self.leader).create(
            {
                "partner_ids": [Command.set((self.rich | self.poor).ids)],
                "dst_partner_id": self.rich.id,
            }
        ).action_merge()
        self.assertFalse(row.exists())
        self.assertTrue(self._reckon()[self.rich])

    def test_salesperson_changes(self):
        row = self._reckon()[self.rich]
        self.assertTrue(row.with_user(self.rep).has_access("read"))
        self.rich.user_id = self.rep2
        self.env.invalidate_all()
        self.assertFalse(row.with_user(self.rep).has_access("read"))
        self.assertTrue(row.with_user(self.rep2).has_access("read"))

    def test_queries(self):
        """As many for 50 accounts as for one, but for the batches of rows."""

        def count():
            result = []
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.cr.sql_log_count
                self.Suggestion.with_user(self.leader).action_reckon()
                self.env.flush_all()
                result.append(self.cr.sql_log_count - before)
            return result[-1]

        few = count()
        partners = self._create_accounts(50, self.tier_b)
        for partner in partners:
            self._get_card(partner).write({"is_account": True, "margin": 9})
        self.assertLessEqual(count(), few)
        rows = self.Suggestion.with_user(self.leader).search(
            [("partner_id", "in", partners.ids)]
        )
        self.assertEqual(len(rows), 50)

        def accept(some):
            some.sudo().write({"state": "suggested", "suggested_days": 9})
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            some.with_user(self.leader).action_accept()
            self.env.flush_all()
            return self.cr.sql_log_count - before

        accept(rows[:1])
        one = accept(rows[1:2])
        self.assertLessEqual(accept(rows[2:]), one + 2)
