"""Show which files of the addon a click goes through: `make walk`.

A script for Odoo's shell on the database with the demo data; everything it does is
rolled back. It traces two walks:

* an invoice amount to an activity: a customer's posted invoice raises the tier, and the
  next visit is planned for it;
* a Done click to the next visit: a salesperson marks a visit's activity done.

For each it prints the functions of the addon that are entered, a file's name in front
where the walk comes into another file; how many files these are; how many moves there
are, i.e. steps from one file of the addon into another one, there and back, straight or
through Odoo's code; how many of them a reader follows, repeated ones once; the
queries; and between which files most of the moves are. Two actions of core are counted
the same way, by the files of all of Odoo's addons and by those of the addon that they
belong to.
"""

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from odoo import Command, fields
from odoo.modules import Manifest

ADDON, BASE, MAIL, SALE = (
    Path(Manifest.for_addon(name).path)
    for name in ("crm_key_account", "base", "mail", "sale")
)
# Odoo's addons are in one folder or two; fields and models themselves are in neither
CORE = {BASE.parent, SALE.parent}
# So many pairs of files are named
PAIRS = 15


class Call:
    """A function that was entered, and what it entered in its turn; repeated calls of
    the same function are one."""

    def __init__(self, file="", function=""):
        self.file = file
        self.function = function
        self.count = 0
        self.calls = {}

    def enter(self, file, function):
        """Return the call of a function from here."""
        call = self.calls.setdefault((file, function), Call(file, function))
        call.count += 1
        return call

    def is_move(self, call):
        """Return whether a call from here goes into another file."""
        return bool(self.file) and call.file != self.file

    def count_moves(self):
        """Return the moves below, there and back."""
        return sum(
            2 * self.is_move(call) + call.count_moves() for call in self.calls.values()
        )

    def show(self, depth=0):
        """Print what is below, a function a line."""
        for call in self.calls.values():
            name = call.function
            if call.file != self.file:
                name = f"{call.file}: {name}"
            if call.count > 1:
                name += f" ×{call.count}"
            print("  " * depth + name)
            call.show(depth + 1)


class Walk:
    """The calls of functions in files of some folders, while they are traced."""

    def __init__(self, *folders):
        self.root = Call()
        self.files = set()
        self.moves = 0
        # Moves by the files of caller and function
        self.pairs = Counter()
        self.queries = 0
        self._folders = tuple(f"{folder}/" for folder in folders)
        self._names = {}
        # Frames of the folders' functions that haven't returned, with their calls
        self._stack = []

    def __str__(self):
        return (
            f"{len(self.files)} files, {self.moves} moves "
            f"({self.root.count_moves()} without repeated ones), {self.queries} queries"
        )

    def show_pairs(self):
        """Print between which files most of the moves are."""
        for (caller, file), moves in self.pairs.most_common(PAIRS):
            print(f"{moves:6} {caller} → {file}")

    @contextmanager
    def traced(self, env):
        """Trace what is done in the block."""
        env.flush_all()
        env.invalidate_all()
        queries = env.cr.sql_log_count
        sys.setprofile(self._profile)
        try:
            yield
            env.flush_all()
        finally:
            sys.setprofile(None)
        self.queries = env.cr.sql_log_count - queries

    def _profile(self, frame, event, _arg):
        if event not in ("call", "return"):
            return
        file = self._get_file(frame.f_code.co_filename)
        function = frame.f_code.co_name
        # A lambda or a generator is part of the function that it is written in
        if not file or function.startswith("<"):
            return
        if event == "return":
            # A function may have been entered before the block
            if self._stack and self._stack[-1][0] is frame:
                self._stack.pop()
            return
        caller = self._stack[-1][1] if self._stack else self.root
        self.files.add(file)
        call = caller.enter(file, function)
        if caller.is_move(call):
            self.moves += 2
            self.pairs[caller.file, file] += 2
        self._stack.append((frame, call))

    def _get_file(self, path):
        """Return a file's path in its folder; None for a file of another one."""
        if path not in self._names:
            folder = next((f for f in self._folders if path.startswith(f)), None)
            self._names[path] = folder and path[len(folder) :]
        return self._names[path]


def invoice_to_activity(env, *folders):
    """An invoice amount to an activity: measure, move, plan for one customer."""
    policy = env.ref("crm_key_account.policy_default")
    customer = env.ref("crm_key_account.partner_tegelhof")
    tier = customer.account_tier_id
    invoice = env["account.move"].create(
        {
            "move_type": "out_invoice",
            "partner_id": customer.id,
            "invoice_date": fields.Date.today(),
            "invoice_line_ids": [
                Command.create({"name": "Fit-out", "price_unit": 10**6}),
            ],
        }
    )
    invoice.action_post()
    walk = Walk(*folders)
    with walk.traced(env):
        policy._run()
        visits = env["key.account.visit"]._generate(customer)
    assert customer.account_tier_id.sequence < tier.sequence, "the tier didn't rise"
    assert customer in visits.partner_id, "no visit was planned"
    return walk


def done_to_next(env, *folders):
    """A Done click to the next visit: by the visit's salesperson."""
    visits = env["key.account.visit"]
    visits._generate()
    visit = visits.search(
        [
            ("state", "=", "planned"),
            ("track", "=", "visit"),
            ("activity_id", "!=", False),
        ]
        + [("cadence_id", "=", env.ref("crm_key_account.cadence_key").id)],
        order="date_planned, id",
        limit=1,
    )
    activity = visit.activity_id.with_user(visit.user_id)
    walk = Walk(*folders)
    with walk.traced(activity.env):
        activity.action_feedback(feedback="They like the chairs")
    assert visit.state == "done", "the visit isn't done"
    following = visits.search(
        [("state", "=", "planned"), ("partner_id", "=", visit.partner_id.id)]
        + [("track", "=", "visit"), ("activity_id", "!=", False)]
    )
    assert following and following != visit, "the next visit wasn't planned"
    return walk


def core_feedback(env, *folders):
    """Core's `mail.activity.action_feedback`, on a to-do."""
    customer = env.ref("crm_key_account.partner_tegelhof")
    activity = customer.activity_schedule(
        "mail.mail_activity_data_todo", user_id=env.user.id
    )
    walk = Walk(*folders)
    with walk.traced(env):
        activity.action_feedback(feedback="Called")
    return walk


def core_confirm(env, *folders):
    """Core's `sale.order.action_confirm`, on a quotation."""
    order = env["sale.order"].search([("state", "=", "draft")], order="id", limit=1)
    walk = Walk(*folders)
    with walk.traced(env):
        order.action_confirm()
    return walk


def run(env, function, *folders):
    """Return a walk that nothing is kept of: the second, for which Odoo's caches are
    warm."""
    for _ in range(2):
        walk = function(env, *folders)
        env.cr.rollback()
    return walk


def main(env):
    env = env(user=env.ref("base.user_admin"))
    for function in (invoice_to_activity, done_to_next):
        walk = run(env, function, ADDON)
        print(f"{function.__doc__}\n\n    {walk}\n")
        walk.show_pairs()
        print()
        walk.root.show()
        print()
    for function, addon in ((core_feedback, MAIL), (core_confirm, SALE)):
        print(f"{function.__doc__}\n")
        print(f"    {run(env, function, *CORE)}")
        print(f"    of {addon.name} alone: {run(env, function, addon)}\n")


main(env)  # noqa: F821 - of Odoo's shell
