"""Random sequences of what people do: a few here, thousands by `make fuzz`."""

import ast
import os
import sys
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from pprint import pformat

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.reporting import with_reporter
from hypothesis.stateful import run_state_machine_as_test

from odoo.tests import tagged

from .common import SALES_ADMIN
from .fuzz import Enough, Fault, Sequence
from .invariants import INVARIANTS
from .planning.test_due import DueCommon

# How many sequences `make test` does, and from which seed: the same ones each time
SEQUENCES, SEED = 8, 14
STEPS = 12
# What `make fuzz` does in a row, of one seed
BATCH = 20
# `make fuzz`: number of sequences, seed, minutes, how often a fault is shortened
ARGUMENTS = os.environ.get("KEY_ACCOUNT_FUZZ", "").split()


def say(text):
    """Tell whoever runs `make fuzz`."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class FuzzCommon(DueCommon):
    """The world of the sequences: a few customers with invoices and visits, people of
    every kind, and another company, in which nobody does anything."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # the database's clock goes on: it would say that all of it is from tomorrow
        cls.env.flush_all()
        cls.cr._now = datetime.now() - timedelta(days=7)
        for table in ("policy", "tier", "cadence"):
            cls.cr.execute(
                f"UPDATE key_account_{table} SET write_date = %s", [cls.cr._now]
            )
        cls.env.invalidate_all()
        cls.sponsor.write({"name": "Sponsor"})
        cls.administrator = cls._create_user(
            "ka_fuzz_admin", f"{SALES_ADMIN},base.group_system,base.group_erp_manager"
        )
        cls.accounts = cls.env["res.partner"].with_context(active_test=False)
        cls._create_resources()
        cls.other = cls._create_company("Key Account Other")
        cls._fill_other()
        cls.companies = cls.company | cls.other
        cls._create_customers()
        cls.start = datetime(2026, 3, 18, 9)
        freezer = freeze_time(cls.start)
        cls.frozen = freezer.start()
        cls.addClassCleanup(freezer.stop)

    @classmethod
    def _create_resources(cls):
        """Give the salespeople working hours, for leaves of their own."""
        cls.resources = {}
        for user in cls.rep | cls.rep2 | cls.leader | cls.sponsor:
            cls.resources[user] = cls.env["resource.resource"].create(
                {
                    "name": user.name,
                    "user_id": user.id,
                    "company_id": cls.company.id,
                    "calendar_id": cls.company.resource_calendar_id.id,
                    "tz": "UTC",
                }
            )

    @classmethod
    def _fill_other(cls):
        pass

    @classmethod
    def _create_customers(cls):
        users = cls.rep | cls.rep2
        partners = cls.env["res.partner"].create(
            [
                {
                    "name": f"Customer {number}",
                    "is_company": True,
                    "ref": "fuzz",
                    "user_id": users[number % 2].id,
                    "zip": ("1010", "1019", "8010")[number % 3],
                }
                for number in range(5)
            ]
        )
        cls.env["res.partner"].create(
            [
                {"name": f"Contact of {partner.name}", "parent_id": partner.id}
                for partner in partners
            ]
        )
        cls._create_invoices(
            [
                (partner, 1000 * (number + 1), "2026-01-15")
                for number, partner in enumerate(partners)
            ]
        )
        cls.policy._run_companies(cls.company)
        for number, partner in enumerate(partners[:3]):
            cls._visit(partner, 10 * number + 3)
        cls.policy._run_companies(cls.company)
        cls.Visit._generate(company=cls.company)

    def setUp(self):
        super().setUp()
        self.env.flush_all()
        self.cr.execute(
            "SELECT sequencename, last_value FROM pg_sequences"
            " WHERE last_value IS NOT NULL AND schemaname = 'public'"
        )
        self.numbers = dict(self.cr.fetchall())
        self.baseline = {}
        for name, query in INVARIANTS.items():
            self.cr.execute(query)
            self.baseline[name] = self.cr.fetchone()[0]

    def reset_numbers(self):
        """Give records the same ids in each sequence: who was never visited is spread
        by them."""
        self.cr.execute(
            "SELECT setval(quote_ident(name), value) FROM unnest(%s, %s::bigint[])"
            " AS numbers (name, value)",
            [list(self.numbers), list(self.numbers.values())],
        )

    # --- the recount of what is due, with all that it needs read at once -------------

    def recount_due(self, known, today):
        """Recount what is due; ``by_documents`` has the ids of customers for whom
        invoices, leads or orders say who is responsible."""
        domain = [("company_id", "=", self.company.id)]
        losses = self.env["key.account.loss"].search(
            [*domain, ("date_returned", "=", False)]
        )
        self.losses = losses.grouped("partner_id")
        # of a lead without a customer; the customer's otherwise
        visits = self.Visit.search(domain)
        self.visits = visits.grouped(
            lambda visit: (visit.partner_id or visit.lead_id, visit.track)
        )
        self.responsibles = {}
        self.by_documents = set()
        return self._recount(known, today)

    def _find_loss(self, partner):
        return self.losses.get(partner, self.env["key.account.loss"])

    def _find_visits(self, partner, lead, track):
        return self.visits.get((partner or lead, track), self.Visit)

    def _recount_responsible(self, partner, lead, track):
        sponsor = track == "executive" and (
            partner.with_company(self.company).executive_sponsor_id
        )
        key = (partner, lead, track == "executive", sponsor)
        if key not in self.responsibles:
            deputy = self._recount_deputy(partner) if track != "executive" else None
            self.responsibles[key] = (
                (deputy, None)
                if deputy
                else super()._recount_responsible(partner, lead, track)
            )
        return self.responsibles[key]

    def _recount_deputy(self, partner):
        """Return who serves a customer that names nobody: the salesperson of most of
        its contacts, else of those who invoiced it in the year before the latest
        invoice who did so first; None: nobody."""
        if not partner or partner.user_id:
            return None
        contacts = self.env["res.partner"].search(
            [("commercial_partner_id", "=", partner.id)]
        )
        present = [
            user
            for user in self.env["res.users"].search([], order="id")
            if user._get_sales_companies()[user] & self.company
        ]
        counts = Counter(contact.user_id for contact in contacts)
        served = [user for user in present if user in counts]
        if served:
            return max(served, key=lambda user: counts[user])
        # of who has become a contact too
        invoices = self.env["account.move"].search(
            [
                ("commercial_partner_id.commercial_partner_id", "=", partner.id),
                ("company_id", "=", self.company.id),
                ("state", "=", "posted"),
                ("move_type", "=", "out_invoice"),
            ]
        )
        self.by_documents.add(partner.id)
        days = {
            user: moves.mapped("invoice_date")
            for user, moves in invoices.grouped("invoice_user_id").items()
            if user in present
        }
        latest = max(map(max, days.values()), default=None)
        return min(
            (
                user
                for user in present
                if user in days and max(days[user]) > latest - relativedelta(years=1)
            ),
            key=lambda user: min(days[user]),
            default=None,
        )

    def _recount_latest_team(self, partner, lead):
        self.by_documents.add(partner.id)
        return super()._recount_latest_team(partner, lead)

    def run_sequences(self, number, first_seed, known=(), **values):
        """Run so many sequences, until there is a fault.

        :param known: names of faults that are passed over
        :param values: attributes of the sequences
        :return: the fault, with the shortest sequence that was found to lead to it;
            None: there is none
        """
        found = []
        machine = type(
            "Sequence",
            (Sequence,),
            {
                "case": self,
                "counts": self.counts,
                "known": known,
                "found": found,
                **values,
            },
        )
        seed(first_seed)(machine)
        options = settings(
            max_examples=number,
            stateful_step_count=STEPS,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )
        try:
            # faults are in ``found``
            with suppress(Fault, Enough), with_reporter(lambda text: None):
                run_state_machine_as_test(machine, settings=options)
        except Exception as error:
            # hypothesis', where the same steps don't end as they did before
            if not found:
                fault = Fault(type(error).__name__, str(error))
                fault.trace = []
                found.append(fault)
        faults = [fault for fault in found if fault]
        return min(faults, key=lambda fault: len(fault.trace), default=None)

    def replay(self, text):
        """Do the steps that a fault was described with, a line each.

        :return: the sequence, to look at what is there
        """
        values = {"case": self, "counts": Counter(), "found": []}
        machine = type("Sequence", (Sequence,), values)()
        self.addCleanup(machine.teardown)
        for line in text.strip().splitlines():
            name, _, rest = line.strip().partition("(")
            arguments = ast.parse(f"f({rest}", mode="eval").body.keywords
            getattr(machine, name)(
                **{each.arg: ast.literal_eval(each.value) for each in arguments}
            )
        return machine

    def describe(self, fault):
        """Return what went wrong, and by which steps, as text."""
        return "\n".join(
            [str(fault.args[0]), *map(pformat, fault.args[1:]), *fault.trace]
        )


@tagged("post_install", "-at_install")
class TestFuzz(FuzzCommon):
    def test_sequences(self):
        """Whatever people do, in whatever order, what must hold holds."""
        self.counts = dict.fromkeys(("sequences", "steps", "refused", "nothing"), 0)
        if not ARGUMENTS:
            fault = self.run_sequences(SEQUENCES, SEED)
            self.assertFalse(fault, fault and self.describe(fault))
            return
        self.run_long(*map(int, ARGUMENTS))

    def run_long(self, number, first_seed, minutes, tries):
        """Run many, a batch after the other, go on after a fault, and say what came of
        it."""
        # no clock of Python's: time stands still for us
        begin = os.times().elapsed
        end = begin + minutes * 60
        faults = {}
        batch = 0
        while self.counts["sequences"] < number and os.times().elapsed < end:
            fault = self.run_sequences(
                min(BATCH, number - self.counts["sequences"]),
                first_seed + batch,
                set(faults),
                tell=lambda fault: say(f"New: {self.describe(fault)}"),
                most_tries=tries,
            )
            if fault:
                faults[fault.args[0]] = fault
                say(f"FAULT of seed {first_seed + batch}: {self.describe(fault)}")
            times = os.times()
            say(
                f"{(times.elapsed - begin) / 60:.1f} minutes, "
                f"{times.user:.0f} s of CPU, "
                f"seeds {first_seed} to {first_seed + batch}: "
                f"{self.counts}, {len(faults)} faults"
            )
            batch += 1
        for (name, text), count in Sequence.refusals.most_common(40):
            say(f"    refused {count} times: {name}: {text}")
        self.assertFalse(faults)
