"""Random sequences of what people do, and what must hold after each step.

A :class:`Sequence` works on the company of a test case that has made the world
(:class:`.test_fuzz.FuzzCommon`); all of it is undone in the end, so that thousands run
in one transaction. Who does something is a user with the rights for it, by the doors
that users use: fields of forms, buttons, dialogs, activities, files.

A step that is refused by a sentence is a step: it changes nothing. Any other exception,
a warning in the addon's log, or something of :meth:`Sequence.check` that doesn't hold,
is a fault.
"""

import logging
import traceback
from collections import Counter
from datetime import datetime, timedelta

from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from psycopg2 import IntegrityError

from odoo import Command
from odoo.exceptions import UserError
from odoo.tools import mute_logger

from ..models.account import features
from ..models.visit.key_account_night import PHASES
from .invariants import INVARIANTS
from .recount import recount_figures, recount_held, recount_moves, recount_tiers

# These hold once a night is done; the plain recount asks for the first one.
NIGHTLY = {
    "accounts that wait though there was room and nothing is said",
    "companies whose night isn't done",
}
# What is told of the past: {table: which rows stay for good}
HISTORY = {
    "key_account_visit": "state = 'done' AND report_date IS NOT NULL",
    "key_account_tier_change": "state = 'applied'",
    "key_account_relationship_change": "state = 'applied'",
    "key_account_loss": "TRUE",
    "key_account_relationship_evidence": "TRUE",
}
# Constraints of the database whose sentence Odoo shows
SENTENCES = {
    "key_account_visit_planned_lead_uniq",
    "key_account_visit_planned_partner_uniq",
}
# What a run, or a night, must leave as it is when it was just run
RESULTS = {
    "key_account": "",
    "key_account_due": "",
    "key_account_visit": "",
    "key_account_tier_change": "",
    "key_account_relationship_change": "",
    "mail_activity": "AND key_account_role IS NOT NULL",
}
# Says when something was written, not what
STAMPS = {"write_date", "write_uid", "computed_at", "create_date"}
REPORT = {
    "is_nobody_met": True,
    "objective_reached": "reached",
    "needs": "Spare parts",
    "next_step": "Send the offer",
}
NUMBERS = st.integers(0, 9)
FEW_DAYS = st.integers(0, 12)


class Fault(AssertionError):
    """What must hold doesn't."""


class Enough(BaseException):
    """A fault's sequence was shortened often enough; hypothesis lets it through."""


class Nothing(UserError):
    """There is nothing with which the step could be done."""


class _Log(logging.Handler):
    """Keeps what the addon warns of."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.records = []

    def emit(self, record):
        self.records.append(record)


class _Steps:
    """Steps of a night in the transaction of the test; see :class:`Attempts`."""

    has_time = True

    def __init__(self, env):
        self.env = env

    def __call__(self, step, *args, **kwargs):
        result = step(*args, **kwargs)
        self.env.cr.flush()
        self.env.invalidate_all()
        return result


def step(**values):
    """A rule that is done as one request of one user: all of it, or nothing."""

    def decorate(method):
        def do(self, **drawn):
            self.do(method, drawn)

        do.__name__ = method.__name__
        return rule(**values)(do)

    return decorate


class Sequence(RuleBasedStateMachine):
    """One sequence. The class attribute ``case`` is the test case.

    :cvar found: the faults that were found, the shorter sequence the later; None for
        each that was tried since
    :cvar tell: called with each fault that is new, before it is shortened
    :cvar known: names of faults that were found before: a sequence ends there
    :cvar counts: how many sequences, steps and refused steps there were
    """

    case = None
    found = ()
    most_tries = 25
    tell = None
    known = ()
    counts = None
    refusals = Counter()

    def __init__(self):
        super().__init__()
        case = self.case
        if self.found and len(self.found) > self.most_tries:
            raise Enough
        if self.found:
            self.found.append(None)
        self.env = case.env
        self.cr = case.env.cr
        self.company = case.company
        self.counts["sequences"] += not self.found
        case.frozen.move_to(case.start)
        case.reset_numbers()
        self.savepoint = self.cr.savepoint()
        self.log = _Log()
        logging.getLogger("odoo.addons.crm_key_account").addHandler(self.log)
        self.number = 0
        self.last_step = "the beginning"
        self.trace = []
        self.remember()

    def teardown(self):
        logging.getLogger("odoo.addons.crm_key_account").removeHandler(self.log)
        self.savepoint.rollback()
        self.savepoint.close(rollback=False)
        self.cr.cache.clear()
        # After a switch and a step that was refused, nobody knows any more that caches
        # hold what is undone now.
        self.env.registry.clear_all_caches()
        self.forget()

    # ----------------------------------------------------------------------
    # Steps
    # ----------------------------------------------------------------------

    def do(self, method, values):
        """Do a step as a request would be done, then look at what it left."""
        self.counts["steps"] += not self.found
        self.last_step = method.__name__
        named = ", ".join(f"{name}={value!r}" for name, value in values.items())
        self.trace.append(f"{self.last_step}({named})")
        self.let_pass(timedelta(minutes=7))
        self.is_night = False
        try:
            try:
                with mute_logger("odoo.sql_db"), self.cr.savepoint():
                    method(self, **values)
            except (UserError, IntegrityError) as error:
                if isinstance(error, IntegrityError) and (
                    error.diag.constraint_name not in SENTENCES
                ):
                    raise
                self.trace[-1] += f"  # {error}"
                is_nothing = isinstance(error, Nothing)
                self.counts["nothing" if is_nothing else "refused"] += 1
                self.refusals[self.last_step, str(error)[:60]] += not is_nothing
                self.forget()
            self.cr.postcommit.clear()
            self.env.invalidate_all()
            self.check()
        except Fault as fault:
            self.fail(fault)
        except Exception as error:
            name = f"{type(error).__name__} in {self.last_step}"
            text = traceback.format_exception(error)[-8:]
            self.fail(Fault(name, text))
        self.remember()

    def fail(self, fault):
        """End the sequence, of a fault that is known without a word."""
        if fault.args[0] in self.known:
            reject()
        fault.trace = self.trace
        if not self.found and self.tell:
            type(self).tell(fault)
        self.found.append(fault)
        raise fault

    def let_pass(self, time):
        self.case.frozen.tick(time)
        # each request is a transaction of its own, at its time
        self.cr._now = datetime.now()

    def forget(self):
        """Forget what caches know of what was undone, as a request that fails does."""
        self.env.transaction.clear()
        self.env.registry.reset_changes()

    @property
    def today(self):
        return datetime.now().date()

    def as_user(self, user, model=None, company=None):
        """Return an environment, or a model, of ``user`` in a company."""
        company = company or self.company
        env = self.env(
            user=user.id,
            context={
                "lang": "en_US",
                "tz": "UTC",
                "allowed_company_ids": company.ids,
            },
        )
        return env if model is None else env[model]

    @staticmethod
    def pick(records, number):
        """Return one of the records; end the step where there is none."""
        if not records:
            raise Nothing("There is none")
        return records[number % len(records)]

    # What there is ---------------------------------------------------------

    def get_accounts(self, active=True):
        return self.case.accounts.search(
            [
                ("ref", "=", "fuzz"),
                ("parent_id", "=", False),
                ("active", "in", [True] if active else [True, False]),
            ],
            order="id",
        )

    def get_visits(self, states=("planned",)):
        return self.env["key.account.visit"].search(
            [("company_id", "=", self.company.id), ("state", "in", states)],
            order="id",
        )

    def get_users(self):
        return self.case.rep | self.case.rep2 | self.case.leader | self.case.sponsor

    def salesperson_of(self, record):
        """Return who works with a customer or a visit: its salesperson, else one who
        sees all."""
        user = record.user_id
        if user.active and user in self.get_users():
            return user
        return self.case.leader if self.case.leader.active else self.case.manager

    # Customers ---------------------------------------------------------------

    @step(number=NUMBERS, contacts=st.integers(0, 2), by=NUMBERS, tier=NUMBERS)
    def create_customer(self, number, contacts, by, tier):
        user = self.pick(self.get_users(), by)
        self.number += 1
        values = {
            "name": f"New {self.number}",
            "is_company": True,
            "ref": "fuzz",
            "user_id": user.id,
            "zip": ("1010", "1019", "8010")[number % 3],
            "child_ids": [
                Command.create(
                    {
                        "name": f"Contact {index}",
                        "decision_level": ("top", "working")[index % 2],
                    }
                )
                for index in range(contacts)
            ],
        }
        if tier < 3:
            user = self.case.manager
            values["account_tier_id"] = self.pick(self.get_tiers(), tier).id
        self.as_user(user, "res.partner").create(values)

    def get_tiers(self):
        return (
            self.env["key.account.policy"]
            ._get_for_company(self.company)
            .tier_ids.filtered("active")
        )

    @step(account=NUMBERS, parent=NUMBERS)
    def give_a_parent(self, account, parent):
        accounts = self.get_accounts()
        child, parent = self.pick(accounts, account), self.pick(accounts, parent)
        child.with_env(self.as_user(self.case.manager)).write(
            {"parent_id": parent.id, "is_company": False}
        )

    @step(account=NUMBERS)
    def become_a_company(self, account):
        contacts = self.case.accounts.search(
            [("ref", "=", "fuzz"), ("parent_id", "!=", False)], order="id"
        )
        self.pick(contacts, account).with_env(self.as_user(self.case.manager)).write(
            {"parent_id": False, "is_company": True}
        )

    @step(account=NUMBERS, by=NUMBERS)
    def change_salesperson(self, account, by):
        users = [*self.get_users(), self.env["res.users"]]
        account = self.pick(self.get_accounts(), account)
        account.with_env(self.as_user(self.case.leader)).user_id = self.pick(users, by)

    @step(account=NUMBERS)
    def archive_or_restore(self, account):
        account = self.pick(self.get_accounts(active=False), account)
        account = account.with_env(self.as_user(self.case.manager))
        if account.active:
            account.action_archive()
        else:
            account.action_unarchive()

    @step(source=NUMBERS, into=NUMBERS)
    def merge(self, source, into):
        accounts = self.get_accounts(active=False)
        source, target = self.pick(accounts, source), self.pick(accounts, into)
        if source == target:
            return
        # of core's dialog, which asks for a right of the settings
        wizard = self.env["base.partner.merge.automatic.wizard"].create(
            {
                "partner_ids": [Command.set((source | target).ids)],
                "dst_partner_id": target.id,
            }
        )
        wizard.action_merge()
        self.merge_asked(source.id, target.id)

    def merge_asked(self, source_id, target_id):
        """Note that a customer goes on with what was asked for first of two."""
        for key in [key for key in self.asked if key[0] == source_id]:
            own = (target_id, *key[1:])
            since, days = self.asked.pop(key)
            if own in self.asked:
                since, days = min(since, self.asked[own][0]), self.asked[own][1]
            self.asked[own] = (since, days)

    @step(account=NUMBERS)
    def delete_customer(self, account):
        account = self.pick(self.get_accounts(active=False), account)
        account.with_env(self.as_user(self.case.manager)).unlink()

    @step(account=NUMBERS)
    def exclude(self, account):
        account = self.pick(self.get_accounts(), account)
        account = account.with_env(self.as_user(self.case.manager))
        account.key_account_is_excluded = not account.key_account_is_excluded

    @step(contact=NUMBERS, account=NUMBERS, leaves=st.booleans())
    def contact_moves(self, contact, account, leaves):
        contacts = self.case.accounts.search(
            [("parent_id.ref", "=", "fuzz"), ("ref", "=", False)], order="id"
        )
        contact = self.pick(contacts, contact)
        contact = contact.with_env(self.as_user(self.case.leader))
        if leaves:
            contact.left_company_date = self.today
        else:
            contact.parent_id = self.pick(self.get_accounts(), account)

    # Books -----------------------------------------------------------------

    @step(account=NUMBERS, amount=st.integers(1, 60), days=st.integers(0, 380))
    def invoice(self, account, amount, days):
        account = self.pick(self.get_accounts(active=False), account)
        self.case._create_invoices(
            [(account, amount * 100, self.today - timedelta(days=days))]
        )

    @step(account=NUMBERS, amount=st.integers(1, 60), days=st.integers(0, 30))
    def refund(self, account, amount, days):
        account = self.pick(self.get_accounts(active=False), account)
        day = self.today - timedelta(days=days)
        values = {"move_type": "out_refund"}
        self.case._create_invoices([(account, amount * 100, day, values)])

    @step(number=NUMBERS)
    def cancel_invoice(self, number):
        moves = self.env["account.move"].search(
            [("company_id", "=", self.company.id), ("state", "=", "posted")],
            order="id",
        )
        move = self.pick(moves, number)
        move.button_draft()
        move.button_cancel()

    @step(account=NUMBERS, amount=st.integers(1, 60), cancels=st.booleans())
    def order(self, account, amount, cancels):
        account = self.pick(self.get_accounts(), account)
        order = (
            self.env["sale.order"]
            .with_company(self.company)
            .create(
                {
                    "partner_id": account.id,
                    "company_id": self.company.id,
                    "user_id": account.user_id.id,
                    "order_line": [
                        Command.create(
                            {
                                "product_id": self.case.product.id,
                                "price_unit": amount * 100,
                            }
                        )
                    ],
                }
            )
        )
        order.action_confirm()
        if cancels:
            order._action_cancel()

    @step(account=st.integers(0, 14), amount=NUMBERS, by=NUMBERS)
    def create_lead(self, account, amount, by):
        user = self.pick(self.get_users(), by)
        accounts = self.get_accounts()
        partner = accounts[account : account + 1]
        self.as_user(user, "crm.lead").create(
            {
                "name": "Deal",
                "type": "opportunity",
                "partner_id": partner.id,
                "expected_revenue": amount * 1000,
                "user_id": user.id,
            }
        )

    @step(lead=NUMBERS, how=st.sampled_from(["won", "lost", "restored", "deleted"]))
    def close_lead(self, lead, how):
        lead = self.pick(self.get_leads(), lead)
        lead = lead.with_env(self.as_user(self.case.manager))
        if how == "won":
            lead.action_set_won()
        elif how == "lost":
            lead.action_set_lost()
        elif how == "restored":
            lead.action_unarchive()
        else:
            lead.unlink()

    @step(lead=NUMBERS, account=NUMBERS, by=NUMBERS)
    def change_lead(self, lead, account, by):
        lead = self.pick(self.get_leads(), lead)
        users = [*self.get_users(), self.env["res.users"]]
        lead.with_env(self.as_user(self.case.leader)).write(
            {
                "partner_id": self.pick(self.get_accounts(), account).id,
                "user_id": self.pick(users, by).id,
            }
        )

    def get_leads(self):
        return (
            self.env["crm.lead"]
            .with_context(active_test=False)
            .search([("company_id", "=", self.company.id)], order="id")
        )

    # Visits ----------------------------------------------------------------

    @step(
        account=NUMBERS,
        track=st.sampled_from(["visit", "contact", "executive"]),
        days=FEW_DAYS,
    )
    def plan_visit(self, account, track, days):
        account = self.pick(self.get_accounts(), account)
        user = self.salesperson_of(account)
        self.as_user(user, "key.account.visit").create(
            {
                "partner_id": account.id,
                "track": track,
                "date_planned": self.today + timedelta(days=days),
                "user_id": user.id,
            }
        )

    @step(
        account=NUMBERS,
        mode=st.sampled_from(["on_site", "phone"]),
        days=FEW_DAYS,
        late=st.booleans(),
        next_days=st.integers(0, 30),
        companion=st.booleans(),
    )
    def log_visit(self, account, mode, days, late, next_days, companion):
        account = self.pick(self.get_accounts(), account)
        user = self.salesperson_of(account)
        values = {
            **REPORT,
            "partner_id": account.id,
            "mode": mode,
            "date_visited": self.today - timedelta(days=days),
        }
        if next_days:
            values["next_date"] = self.today + timedelta(days=next_days)
        if companion:
            values["participant_ids"] = [Command.set(self.case.sponsor.ids)]
        visits = self.as_user(user, "key.account.visit").with_context(
            key_account_is_logged=True
        )
        if late:
            visits.action_report_later(values)
        else:
            visits.action_report(values)

    @step(
        visit=NUMBERS,
        how=st.sampled_from(["button", "activity", "report", "later"]),
        other=st.booleans(),
        days=st.integers(0, 5),
        next_days=st.integers(0, 30),
    )
    def do_visit(self, visit, how, other, days, next_days):
        visit = self.pick(self.get_visits(), visit)
        user = self.case.leader if other else self.salesperson_of(visit)
        visit = visit.with_env(self.as_user(user))
        values = {**REPORT, "date_visited": self.today - timedelta(days=days)}
        if next_days:
            values["next_date"] = self.today + timedelta(days=next_days)
        if how == "button":
            visit.action_done("Fine")
        elif how == "activity":
            visit.activity_id.sudo(False).action_feedback(feedback="Fine")
        elif how == "report":
            visit.action_report(values)
        else:
            visit.action_report_later({"date_visited": values["date_visited"]})

    @step(visit=NUMBERS, next_days=st.integers(0, 20))
    def report_late(self, visit, next_days):
        visits = self.get_visits(["done", "missed"])
        visit = self.pick(visits.filtered(lambda v: not v.report_date), visit)
        visit = visit.with_env(self.as_user(self.salesperson_of(visit)))
        values = {**REPORT}
        if next_days:
            values["next_date"] = self.today + timedelta(days=next_days)
        visit.action_report(values)

    @step(visit=NUMBERS, days=st.integers(0, 20))
    def correct_report(self, visit, days):
        visits = self.get_visits(["done"]).filtered("report_date")
        visit = self.pick(visits, visit)
        visit = visit.with_env(self.as_user(self.case.leader))
        visit.write(
            {"next_date": days and self.today + timedelta(days=days), "needs": "More"}
        )

    @step(visit=NUMBERS, days=FEW_DAYS, by_activity=st.booleans())
    def move_visit(self, visit, days, by_activity):
        visit = self.pick(self.get_visits(), visit)
        visit = visit.with_env(self.as_user(self.salesperson_of(visit)))
        day = self.today + timedelta(days=days)
        if by_activity:
            visit.activity_id.sudo(False).date_deadline = day
        else:
            visit.action_move(day.isoformat(), visit.user_id.id)

    @step(visit=NUMBERS, by=NUMBERS)
    def hand_over_visit(self, visit, by):
        visit = self.pick(self.get_visits(), visit)
        users = [*self.get_users(), self.env["res.users"]]
        visit.with_env(self.as_user(self.case.leader)).action_move(
            visit.date_planned.isoformat(), self.pick(users, by).id
        )

    @step(
        visit=NUMBERS,
        how=st.sampled_from(["button", "dialog", "activity", "unlink", "state"]),
        days=st.integers(0, 30),
    )
    def cancel_visit(self, visit, how, days):
        visit = self.pick(self.get_visits(), visit)
        user = self.salesperson_of(visit)
        visit = visit.with_env(self.as_user(user))
        day = days and self.today + timedelta(days=days)
        if how == "button":
            visit.action_cancel(day, "Not today")
        elif how == "dialog":
            values = {"visit_id": visit.id}
            if day:
                values["date_resume"] = day
            wizard = visit.env["key.account.visit.cancel"].create(values)
            wizard.action_cancel()
        elif how == "activity":
            visit.activity_id.sudo(False).unlink()
        elif how == "state":
            visit.state = "cancelled"
        else:
            visit.with_env(self.as_user(self.case.manager)).unlink()

    @step(visit=NUMBERS)
    def reopen_visit(self, visit):
        visit = self.pick(self.get_visits(["done"]), visit)
        activity = visit.activity_id
        activity.with_env(self.as_user(self.salesperson_of(visit))).active = True

    @step(visit=NUMBERS, days=FEW_DAYS, drops=st.booleans())
    def meeting(self, visit, days, drops):
        visit = self.pick(self.get_visits(), visit)
        visit = visit.with_env(self.as_user(self.salesperson_of(visit)))
        if not visit.sudo().calendar_event_id:
            visit.action_schedule_meeting()
            return
        event = visit.sudo().calendar_event_id.sudo(False)
        if drops:
            event.unlink()
        else:
            start = datetime.combine(self.today, datetime.min.time())
            start += timedelta(days=days, hours=10)
            event.write({"start": start, "stop": start + timedelta(hours=1)})

    @step(row=NUMBERS, days=FEW_DAYS, undoes=st.booleans())
    def plan_from_backlog(self, row, days, undoes):
        rows = self.env["key.account.due"].search(
            [("company_id", "=", self.company.id), ("visit_id", "=", False)],
            order="id",
        )
        row = self.pick(rows, row).with_env(self.as_user(self.case.leader))
        day = self.today + timedelta(days=days)
        visit_id = row.action_plan(day.isoformat(), row.user_id.id)
        if undoes:
            row.env["key.account.visit"].browse(visit_id).action_undo_plan()

    @step(commitment=NUMBERS, how=st.sampled_from(["keep", "drop", "activity"]))
    def commitment(self, commitment, how):
        commitments = self.env["key.account.commitment"].search(
            [("company_id", "=", self.company.id), ("state", "=", "open")],
            order="id",
        )
        commitment = self.pick(commitments, commitment)
        commitment = commitment.with_env(self.as_user(self.case.leader))
        if how == "keep":
            commitment.action_keep()
        elif how == "drop":
            commitment.action_drop()
        else:
            commitment.activity_id.sudo(False).action_feedback()

    @step(visit=NUMBERS, days=FEW_DAYS)
    def promise(self, visit, days):
        visit = self.pick(self.get_visits(["planned", "done"]), visit)
        visit.with_env(self.as_user(self.salesperson_of(visit))).write(
            {
                "commitment_ids": [
                    Command.create(
                        {
                            "name": "Samples",
                            "date_deadline": self.today + timedelta(days=days),
                        }
                    )
                ]
            }
        )

    @step(user=NUMBERS, to=NUMBERS, days=st.integers(0, 14))
    def name_substitute(self, user, to, days):
        users = self.get_users()
        self.as_user(self.case.leader, "key.account.visit.substitute").create(
            {
                "user_id": self.pick(users, user).id,
                "substitute_id": self.pick(users, to).id,
                "date_from": self.today,
                "date_to": self.today + timedelta(days=days),
            }
        ).action_give()

    @step(
        rows=st.lists(
            st.tuples(
                NUMBERS, FEW_DAYS, st.sampled_from(["Done", "Planned", "Cancelled"])
            ),
            min_size=1,
            max_size=3,
        )
    )
    def load_visits(self, rows):
        accounts = self.get_accounts()
        data = []
        for account, days, state in rows:
            day = self.today + timedelta(days=days if state == "Planned" else -days)
            done = "" if state == "Planned" else str(day)
            planned = str(day) if state == "Planned" else ""
            account = self.pick(accounts, account)
            data.append([str(account.id), state, planned, done, "Visit"])
        names = ["partner_id/.id", "state", "date_planned", "date_done", "track"]
        self.load("key.account.visit", self.case.leader, names, data)

    @step(rows=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=3))
    def load_tiers(self, rows):
        accounts, tiers = self.get_accounts(), self.get_tiers()
        # Each once: of one that is named twice, the first tier already asks for a
        # visit, which the recount, at the end of the step, doesn't hear of.
        tier_by_account = {
            str(self.pick(accounts, account).id): str(self.pick(tiers, tier).id)
            for account, tier in rows
        }
        names = [".id", "account_tier_id/.id"]
        data = [list(row) for row in tier_by_account.items()]
        self.load("res.partner", self.case.manager, names, data)

    def load(self, model, user, names, data):
        """Load a file, as the import does: nothing of it, if a line is refused."""
        result = self.as_user(user, model).load(names, data)
        if not result["ids"]:
            text = str(result["messages"])
            if "unexpected" in text.lower() or "Error" in text:
                raise Fault("an import broke off", text)
            raise UserError(text)

    # Decisions -------------------------------------------------------------

    @step(account=NUMBERS, tier=NUMBERS, days=st.integers(-1, 60))
    def set_tier(self, account, tier, days):
        account = self.pick(self.get_accounts(), account)
        self.as_user(self.case.manager, "key.account.tier.set").create(
            {
                "partner_id": account.id,
                "tier_id": self.pick(self.get_tiers(), tier).id,
                "reason": "Decided",
                "locked_until": days >= 0 and self.today + timedelta(days=days),
            }
        ).action_set()

    @step(account=NUMBERS, days=st.integers(-1, 60))
    def lock(self, account, days):
        account = self.pick(self.get_accounts(), account)
        account = account.with_env(self.as_user(self.case.manager))
        account.account_tier_locked_until = days >= 0 and (
            self.today + timedelta(days=days)
        )

    @step(account=NUMBERS)
    def take_tier_away(self, account):
        account = self.pick(self.get_accounts(), account)
        account.with_env(self.as_user(self.case.manager)).account_tier_id = False

    @step(account=NUMBERS, days=st.sampled_from([0, 1, 3, 10, 40, 400]))
    def own_interval(self, account, days):
        account = self.pick(self.get_accounts(), account)
        account = account.with_env(self.as_user(self.salesperson_of(account)))
        account.visit_interval_days = days

    @step(
        account=NUMBERS,
        hours=st.sampled_from(["", "Mo,Tu 08:00-12:00", "Fr 14:00-16:00"]),
    )
    def receiving_hours(self, account, hours):
        account = self.pick(self.get_accounts(), account)
        account = account.with_env(self.as_user(self.salesperson_of(account)))
        account.key_account_receiving_hours = hours

    @step(account=NUMBERS, away=st.booleans())
    def sponsor(self, account, away):
        account = self.pick(self.get_accounts(), account)
        account = account.with_env(self.as_user(self.salesperson_of(account)))
        account.executive_sponsor_id = False if away else self.case.sponsor

    @step(
        account=NUMBERS,
        level=st.sampled_from(["transactional", "preferred_supplier", "partner"]),
        by_manager=st.booleans(),
    )
    def set_level(self, account, level, by_manager):
        account = self.pick(self.get_accounts(), account)
        user = self.case.manager if by_manager else self.salesperson_of(account)
        self.as_user(user, "key.account.relationship.set").create(
            {"partner_id": account.id, "level": level, "reason": "Decided"}
        ).action_set()

    @step(account=NUMBERS, days=st.integers(0, 40))
    def lose(self, account, days):
        account = self.pick(self.get_accounts(), account)
        reason = self.env.ref("crm_key_account.churn_reason_quality")
        self.as_user(self.salesperson_of(account), "key.account.loss.set").create(
            {
                "partner_id": account.id,
                "reason_id": reason.id,
                "date_win_back": days and self.today + timedelta(days=days),
            }
        ).action_set()

    @step(account=NUMBERS)
    def come_back(self, account):
        losses = self.env["key.account.loss"].search(
            [("company_id", "=", self.company.id), ("state", "=", "lost")], order="id"
        )
        account = self.pick(losses.partner_id.filtered("active"), account)
        account.with_env(
            self.as_user(self.salesperson_of(account))
        ).action_key_account_return()

    @step(number=NUMBERS, applies=st.booleans())
    def decide(self, number, applies):
        changes = self.env["key.account.tier.change"].search(
            [("company_id", "=", self.company.id), ("state", "=", "proposed")],
            order="id",
        )
        change = self.pick(changes, number)
        change = change.with_env(self.as_user(self.case.manager))
        if applies:
            change.action_apply()
        else:
            change.action_reject()

    @step(is_held=st.booleans())
    def undo_run(self, is_held):
        policy = self.get_policy()
        action = policy.action_open_undo()
        wizard = (
            policy.env["key.account.tier.undo"]
            .with_context(**action.get("context", {}))
            .create({"reason": "Wrong", "is_held": is_held})
        )
        wizard.action_undo()

    def get_policy(self):
        policies = self.as_user(self.case.manager, "key.account.policy")
        return policies._get_for_company(self.company)

    # Configuration ---------------------------------------------------------

    @step()
    def run_policy(self):
        policy = self.get_policy()
        before = self.get_cards()
        policy.action_run()
        self.check_run(before)

    @step(
        method=st.sampled_from(["pareto", "pyramid", "threshold"]),
        metric=st.sampled_from(["revenue", "expected_revenue", "margin"]),
        months=st.sampled_from([1, 6, 12, 24]),
        bound=st.integers(1, 60),
        basis=st.sampled_from(["invoiced", "ordered"]),
    )
    def change_policy(self, method, metric, months, bound, basis):
        policy = self.get_policy()
        tiers = policy.tier_ids.filtered("active")
        values = (
            [bound * 100, bound * 50, 0]
            if method == "threshold"
            else [bound, bound + 30, 100]
        )
        field = "threshold" if method == "threshold" else "share"
        policy.write(
            {
                "method": method,
                "metric": metric,
                "window_months": months,
                "revenue_basis": basis,
                "tier_ids": [
                    Command.update(tier.id, {field: value})
                    for tier, value in zip(tiers, values, strict=False)
                ],
            }
        )

    @step(
        auto_apply=st.booleans(),
        hysteresis=st.sampled_from([0, 5, 40]),
        tenure=st.sampled_from([0, 10, 90]),
    )
    def change_stability(self, auto_apply, hysteresis, tenure):
        self.get_policy().write(
            {
                "auto_apply": auto_apply,
                "hysteresis": hysteresis,
                "min_tenure_days": tenure,
            }
        )

    @step(
        line=NUMBERS,
        how=st.sampled_from(["interval", "archive", "restore", "copy", "delete", "up"]),
        count=st.integers(1, 5),
        unit=st.sampled_from(["day", "week", "month"]),
    )
    def change_cadence(self, line, how, count, unit):
        lines = (
            self.as_user(self.case.manager, "key.account.cadence")
            .with_context(active_test=False)
            .search([("company_id", "=", self.company.id)], order="id")
        )
        line = self.pick(lines, line)
        if how == "interval":
            line.write({"interval_count": count, "interval_unit": unit})
        elif how == "archive":
            line.action_archive()
        elif how == "restore":
            line.action_unarchive()
        elif how == "copy":
            line.copy({"interval_count": count, "interval_unit": unit})
        elif how == "delete":
            line.unlink()
        else:
            line.sequence = count

    @step(
        capacity=st.sampled_from([1, 2, 8]),
        horizon=st.sampled_from([3, 14, 60]),
        planning=st.sampled_from([True, True, False]),
    )
    def change_settings(self, capacity, horizon, planning):
        self.as_user(self.case.administrator, "res.config.settings").create(
            {
                "key_account_daily_capacity": capacity,
                "key_account_horizon_days": horizon,
                "key_account_planning": planning,
            }
        ).execute()

    @step(evidence=st.booleans(), center=st.booleans(), assignment=st.booleans())
    def switch(self, evidence, center, assignment):
        names = [switch.partition(".")[2] for switch in features.SWITCHES]
        values = dict(zip(names, (evidence, center, assignment), strict=True))
        settings = self.as_user(self.case.administrator, "res.config.settings")
        settings.create(values).execute()

    # People and time -------------------------------------------------------

    @step(
        user=NUMBERS, start=FEW_DAYS, length=st.integers(1, 10), all_day=st.booleans()
    )
    def take_leave(self, user, start, length, all_day):
        user = self.pick(self.get_users(), user)
        begin = datetime.combine(self.today, datetime.min.time())
        begin += timedelta(days=start)
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Away",
                "company_id": self.company.id,
                "calendar_id": self.company.resource_calendar_id.id,
                "resource_id": all_day and self.case.resources[user].id,
                "date_from": begin,
                "date_to": begin + timedelta(days=length, seconds=-1),
            }
        )

    @step(number=NUMBERS)
    def leave_is_off(self, number):
        leaves = self.env["resource.calendar.leaves"].search(
            [("company_id", "=", self.company.id)], order="id"
        )
        self.pick(leaves, number).unlink()

    @step(user=NUMBERS)
    def leave_or_come_back(self, user):
        user = self.pick(self.get_users(), user).with_context(active_test=False)
        user = user.with_env(self.as_user(self.case.administrator))
        if user.active:
            user.action_archive()
        else:
            user.action_unarchive()

    @step(days=st.sampled_from([1, 1, 2, 7, 30, 100]))
    def night(self, days):
        self.let_pass(timedelta(days=days))
        self.is_night = True
        before = self.get_cards()
        self.run_night()
        self.check_run(before)

    @step(days=st.integers(1, 20))
    def days_pass(self, days):
        self.let_pass(timedelta(days=days))

    def run_night(self):
        nights = self.env["key.account.night"].sudo()
        # whose nights aren't run would be gone on with
        nights.search([]).phases = False
        nights = nights._begin(PHASES)
        for night in nights.filtered(
            lambda night: night.company_id in self.case.companies
        ):
            night._run(_Steps(self.env), PHASES)
            if night.phases or night.failure_count:
                raise Fault("a night failed", night.error)

    # ----------------------------------------------------------------------
    # What must hold
    # ----------------------------------------------------------------------

    def remember(self):
        """Note what the next step is compared with."""
        self.env.flush_all()
        self.history = self.get_history()
        self.others = self.get_others()
        self.asked = self.case._get_known()

    def _fetch(self, query, params=()):
        self.cr.execute(query, params)
        return self.cr.fetchall()

    def get_history(self):
        return {
            table: {
                row
                for (row,) in self._fetch(
                    f"SELECT id FROM {table} WHERE company_id = %s AND {condition}",
                    [self.company.id],
                )
            }
            for table, condition in HISTORY.items()
        }

    def get_others(self):
        """Return what another company has, in which nobody does anything."""
        return {
            table: self._fetch(
                f"SELECT * FROM {table} WHERE company_id = %s ORDER BY id",
                [self.case.other.id],
            )
            for table in (
                "key_account",
                "key_account_visit",
                "key_account_due",
                "key_account_tier_change",
                "key_account_policy",
            )
        }

    def get_cards(self):
        """Return the accounts by customer, as they are before a run."""
        self.env.flush_all()
        self.cr.execute(
            "SELECT * FROM key_account WHERE company_id = %s", [self.company.id]
        )
        return {row["partner_id"]: row for row in self.cr.dictfetchall()}

    def check(self):
        if self.log.records:
            text = "\n".join(record.getMessage() for record in self.log.records)
            errors = [
                record.exc_info[1] for record in self.log.records if record.exc_info
            ]
            name = f"the addon warns after {self.last_step}"
            if errors:
                text += "".join(traceback.format_exception(errors[0])[-12:])
            raise Fault(name, text)
        self.check_database()
        self.check_history()
        if not self.is_night and self.get_others() != self.others:
            raise Fault("another company's rows changed")
        self.check_due()
        if self.is_night:
            self.check_planned()
            self.check_settled()

    def check_database(self):
        names = [name for name in INVARIANTS if name not in NIGHTLY]
        counts = self._fetch(
            "SELECT " + ", ".join(f"({INVARIANTS[name]})" for name in names)
        )[0]
        for name, count in zip(names, counts, strict=True):
            if count != self.case.baseline.get(name, 0):
                raise Fault(f"{name} after {self.last_step}", count)
        ((count,),) = self._fetch(
            """
            SELECT COUNT(*) FROM key_account_tier_change
             WHERE company_id = %s AND state = 'applied'
               AND from_tier_id IS NOT DISTINCT FROM to_tier_id
            """,
            [self.company.id],
        )
        if count:
            raise Fault("a change of tier that changes nothing", count)

    def check_history(self):
        for table, ids in self.get_history().items():
            lost = self.history[table] - ids
            if lost and self.last_step not in ("reopen_visit", "delete_customer"):
                raise Fault(f"history of {table} is lost", lost)

    def check_due(self):
        """Compare what is due with the plain recount."""
        rows = {
            key: (row.cadence_id, row.days, row.date_due, row.user_id, row.visit_id)
            for key, row in self.case._get_rows().items()
        }
        if not self.company.key_account_planning:
            if rows:
                raise Fault("what nobody plans is due", rows)
            return
        excluded = (
            self.env["key.account"]
            .search([("company_id", "=", self.company.id), ("is_excluded", "=", True)])
            .partner_id.ids
        )
        expected = {
            key: (line, days, due, user, visit)
            for key, (line, days, due, user, _team, visit) in self.case.recount_due(
                self.asked, self.today
            ).items()
            if key[0] not in excluded
        }
        if not self.is_night:
            # an invoice, a lead or an order tells by the next night who is responsible
            for key in rows.keys() & expected.keys():
                if key[0] in self.case.by_documents:
                    line, days, due, _user, visit = expected[key]
                    expected[key] = (line, days, due, rows[key][3], visit)
        differing = {
            key: (rows.get(key), expected.get(key))
            for key in rows.keys() | expected.keys()
            if rows.get(key) != expected.get(key)
        }
        if differing:
            kinds = {_name_difference(*values) for values in differing.values()}
            text = f"due differs ({', '.join(sorted(kinds))}) after {self.last_step}"
            raise Fault(text, differing)

    def check_planned(self):
        """Nothing planned by a night is on a day off, nor for whom nobody visits."""
        for visit in self.get_visits().filtered("cadence_id"):
            partner = visit.partner_id
            loss = self.env["key.account.loss"].search(
                [
                    ("partner_id", "=", partner.id),
                    ("company_id", "=", self.company.id),
                    ("state", "=", "lost"),
                ]
            )
            if loss and not visit.is_date_fixed and visit.loss_id != loss:
                raise Fault("a visit is planned to a lost customer", visit)
            if visit.create_date < datetime.now() or visit.is_date_fixed:
                continue
            if visit.date_planned.weekday() > 4 or self.is_away(visit):
                raise Fault("a visit is planned for a day off", visit)
            if visit.date_planned < self.today:
                raise Fault("a visit is planned in the past", visit)

    def is_away(self, visit):
        noon = datetime.combine(visit.date_planned, datetime.min.time())
        noon += timedelta(hours=12)
        resource = self.case.resources.get(visit.user_id)
        return bool(
            self.env["resource.calendar.leaves"].search_count(
                [
                    ("company_id", "=", self.company.id),
                    ("resource_id", "in", [False, resource.id if resource else 0]),
                    ("date_from", "<=", noon),
                    ("date_to", ">=", noon),
                ]
            )
        )

    def get_results(self):
        """Return what runs make, row by row."""
        self.env.flush_all()
        found = {}
        for table, condition in RESULTS.items():
            column = "company_id"
            if table == "mail_activity":
                column = "key_account_company_id"
            self.cr.execute(
                f"SELECT * FROM {table} WHERE {column} = %s {condition}",
                [self.company.id],
            )
            for row in self.cr.dictfetchall():
                found[table, row["id"]] = {
                    name: value for name, value in row.items() if name not in STAMPS
                }
        return found

    def check_settled(self):
        """A run, of all too, and a night after this night change nothing."""
        before = self.get_results()
        with self.cr.savepoint() as savepoint:
            for what in ("night", "run of all"):
                if what == "night":
                    self.run_night()
                else:
                    self.company.key_account_full_run_date = False
                    self.env["key.account.policy"]._run_companies(self.company)
                after = self.get_results()
                if after != before:
                    differing = {
                        key: _differ(before.get(key), after.get(key))
                        for key in before.keys() | after.keys()
                        if before.get(key) != after.get(key)
                    }
                    tables = ", ".join(sorted({table for table, _id in differing}))
                    raise Fault(f"a {what} after the night changes {tables}", differing)
            savepoint.rollback()
        self.forget()

    def check_run(self, before):
        """Compare what the run measured and moved with a plain recount.

        :param dict before: the accounts before it
        """
        policy = self.env["key.account.policy"]._get_for_company(self.company)
        after = self.get_cards()
        figures = recount_figures(self.env, policy, self.company, self.today)
        if figures is None:
            return
        measured = {
            partner_id: round(row[policy.metric] or 0, 2)
            for partner_id, row in after.items()
            if row["is_account"]
        }
        expected = {key: round(value, 2) for key, value in figures.items()}
        if measured != expected:
            raise Fault(
                "figures differ from the recount",
                {
                    key: (measured.get(key), expected.get(key))
                    for key in measured.keys() | expected.keys()
                    if measured.get(key) != expected.get(key)
                },
            )
        suggested = recount_tiers(policy, figures)
        found = {key: after[key]["suggested_tier_id"] for key in figures}
        if found != suggested:
            raise Fault("suggested tiers differ from the recount", (found, suggested))
        held = recount_held(policy, self.company, self.today)
        tiers = recount_moves(policy, before, after, self.today, held)
        found = {key: after[key]["tier_id"] for key in tiers}
        if found != tiers:
            raise Fault("tiers differ from the recount", (found, tiers))


def _name_difference(row, expected):
    """Return in a word in what a row of what is due differs from the recount."""
    if not (row and expected):
        return "too few" if expected else "too many"
    names = ("line", "days", "day", "user", "visit")
    pairs = zip(names, row, expected, strict=True)
    return next(name for name, one, other in pairs if one != other)


def _differ(before, after):
    """Return {column: (before, after)} of what differs; the rows, if one is none."""
    if not (before and after):
        return before, after
    return {
        name: (value, after[name])
        for name, value in before.items()
        if after[name] != value
    }
