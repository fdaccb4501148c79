from datetime import date, timedelta
from itertools import product
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odoo.tests import BaseCase, tagged

from ...engine.settlement import (
    PLANNED,
    TABLE,
    Event,
    Fate,
    Outcome,
    Plan,
    Reason,
    Situation,
    Waits,
    decide,
    find_row,
    print_table,
)
from ..common import TODAY
from .test_report import ReportCommon

DOCS = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
SITUATIONS = [
    Situation(*values) for values in product(Event, Waits, *[(False, True)] * 5)
]
ACTIONS = ["log", "promise", "note", "move", "done", "withdraw", "planning"]
WHOLE_TABLE = settings(
    max_examples=len(SITUATIONS),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestTable(BaseCase):
    """The decision table: every situation, without a database."""

    def test_every_situation_has_an_outcome_and_every_row_a_situation(self):
        rows = [find_row(situation) for situation in SITUATIONS]
        unreached = [
            row.story for row in TABLE if not any(row is found for found in rows)
        ]
        self.assertFalse(unreached)

    def test_no_row_is_needless(self):
        """Without a row that changes something, something else would be decided."""
        for number, row in enumerate(TABLE):
            if row.outcome == Outcome():
                continue
            rest = TABLE[number + 1 :]
            outcomes = {
                next(other.outcome for other in rest if other.when.matches(situation))
                for situation in SITUATIONS
                if find_row(situation) is row
            }
            self.assertNotIn(row.outcome, outcomes, row.story)

    @WHOLE_TABLE
    @given(st.sampled_from(SITUATIONS))
    def test_promises_of_the_table(self, situation):
        outcome = decide(situation)
        event, waits = situation.event, situation.waits
        is_person = waits in (Waits.PERSON, Waits.PROMISED)
        changes = outcome.fate is not Fate.STAYS
        if waits is Waits.PERSON and outcome.fate in (Fate.REPLACED, Fate.CLOSED):
            self.assertTrue(
                event is Event.LOGGED and situation.is_in_time,
                "a person's visit is closed, and didn't take place",
            )
        if is_person and outcome.fate is Fate.CLOSED:
            self.assertIs(event, Event.WITHDRAWN)
        if not situation.is_in_reach:
            self.assertIn(
                outcome.fate,
                (Fate.STAYS, Fate.REPLACED, Fate.CLOSED),
                "a colleague's visit is changed",
            )
            self.assertIn(outcome.reason, (None, Reason.VISITED))
        if not situation.is_planning:
            self.assertIsNot(outcome.plan, Plan.CADENCE)
        if outcome.plan is Plan.PROMISE:
            self.assertTrue(event is Event.PROMISED and situation.has_day)
        if outcome.plan and waits in PLANNED:
            self.assertIn(
                outcome.fate,
                (Fate.TAKEN, Fate.REPLACED, Fate.CLOSED),
                "two would be planned",
            )
        if waits in (Waits.BACKLOG, Waits.NOTHING):
            self.assertFalse(changes, "there is nothing that could change")
        if not situation.is_latest and waits is not Waits.MISSED:
            self.assertEqual(outcome, Outcome())
        # what is closed says why, and nothing else does
        is_closed = outcome.fate in (Fate.REPLACED, Fate.CLOSED)
        self.assertEqual(is_closed, outcome.reason is not None)
        if outcome.is_told:
            self.assertFalse(changes or outcome.plan or situation.is_in_reach)

    def test_promise_is_kept_told_or_impossible(self):
        """Of a promise for a day to come, something is always heard: it is kept,
        planned, or a colleague is told."""
        for situation in SITUATIONS:
            if (
                situation.event is Event.PROMISED
                and situation.waits is not Waits.MISSED
                and situation.is_latest
                and situation.has_day
            ):
                outcome = decide(situation)
                kept = outcome.fate is Fate.PROMISED or outcome.plan is Plan.PROMISE
                self.assertNotEqual(kept, outcome.is_told, situation)

    def test_documented(self):
        if not DOCS.exists():
            self.skipTest("the documentation isn't part of the package")
        text = DOCS.read_text()
        _before, _begin, rest = text.partition("<!-- settlement: begin")
        documented = rest.partition("-->")[2].partition("<!-- settlement: end")[0]
        self.assertEqual(
            documented.strip(),
            print_table(),
            "docs/architecture.md: put in what print_table() of "
            "engine/settlement.py returns",
        )


@tagged("post_install", "-at_install")
class TestSettlement(ReportCommon):
    """The adapter: what the table says is done, whatever came before."""

    def _log(self, user, day=TODAY, **values):
        return self.Visit.with_user(user).create(
            {
                "partner_id": self.partner.id,
                "state": "done",
                "date_visited": day,
                **self.answers,
                **values,
            }
        )

    def _get_notes(self):
        visits = self.Visit.search([("partner_id", "=", self.partner.id)])
        return set(filter(None, visits.mapped("needs")))

    def _step(self, number, action, user, days):
        """Do something as somebody would, and check what must hold after it."""
        planned = self._get_planned(self.partner)
        is_mine = bool(planned.with_user(user)._filtered_access("write"))
        moved = planned.filtered("is_date_fixed")
        earliest = planned and planned._get_earliest_day()
        noted = self._get_notes()
        is_planning = self.company.key_account_planning
        made = self.Visit
        promised = action == "promise" and TODAY + timedelta(days=days + 1)
        if action in ("log", "promise"):
            day = TODAY - timedelta(days=days)
            made = self._log(user, day, next_date=promised)
            made.action_report()
        elif action == "note" and is_mine:
            noted -= {planned.needs}
            planned.with_user(user).needs = f"Note {number}"
            noted.add(f"Note {number}")
        elif action == "move" and is_mine:
            planned.with_user(user).date_planned = TODAY + timedelta(days=days)
        elif action == "done" and is_mine:
            planned.with_user(user).action_done()
            made = planned
        elif action == "withdraw":
            reports = self.Visit.search([("next_date", "!=", False)])
            reports.with_user(self.leader).next_date = False
        elif action == "planning":
            self.company.key_account_planning = not is_planning
        self.env.flush_all()
        self.assertLessEqual(noted, self._get_notes(), "a note is lost")
        self.assertLessEqual(len(self._get_planned(self.partner)), 1)
        new = self._get_planned(self.partner) - planned
        if not is_planning and action != "planning":
            self.assertTrue(not new or promised, "planned where planning is off")
        if moved.exists().state == "cancelled" and action != "withdraw":
            self.assertGreaterEqual(made.date_done, earliest, "it didn't take place")

    @FEW
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(ACTIONS),
                st.sampled_from(["rep", "rep2", "leader"]),
                st.sampled_from([0, 1, 2, 12]),
            ),
            min_size=4,
            max_size=8,
        )
    )
    def test_histories(self, steps):
        with self.env.cr.savepoint() as savepoint:
            for number, (action, user, days) in enumerate(steps):
                self._step(number, action, getattr(self, user), days)
            savepoint.rollback()
            self.env.invalidate_all()

    def test_as_many_queries_for_many(self):
        """What there is, is read at once: here all of it stays."""
        settlement = self.env["key.account.settlement"]
        counts = []
        for number in (1, 1, 30):  # the first one fills Odoo's own caches
            partners = self.env["res.partner"]
            for index in range(number):
                partners |= self._create_partner(f"Settled {number} {index}")
            self._set_tier(partners, self.tier_a)
            self.Visit.create(
                [
                    {
                        "partner_id": partner.id,
                        "user_id": self.rep.id,
                        "date_planned": date(2026, 4, 20),
                    }
                    for partner in partners
                ]
            )
            visits = self.Visit.create(
                [
                    {"partner_id": partner.id, "state": "done", "user_id": self.rep.id}
                    for partner in partners
                ]
            ).sudo()
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            settlement._settle_logged(visits)
            self.env.flush_all()
            counts.append(self.cr.sql_log_count - before)
            self.assertEqual(len(settlement._get_planned(visits)), number)
        self.assertLessEqual(counts[2], counts[1], counts)
