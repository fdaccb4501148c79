from collections import defaultdict
from datetime import timedelta

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st
from psycopg2 import IntegrityError

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import BaseCase, Form, tagged
from odoo.tools import mute_logger

from ...const import DECISION_LEVELS
from ...engine.buying_center import Contact, choose_target, matches
from ...models.account import clock
from ..common import TODAY
from ..planning.test_engine import RELAXED
from .test_relationship import RelationshipCommon

LEVELS = [level for level, _ in DECISION_LEVELS]


class BuyingCenterCommon(RelationshipCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._set_tier(cls.account, cls.tier_a)
        cls.maker, cls.buyer, cls.consumer, cls.influencer = cls.roles[:4]
        cls.tier_a.cell_ids = [
            Command.create({"sequence": 1, "decision_level": "top"}),
            Command.create({"sequence": 2, "role_id": cls.maker.id}),
            Command.create({"sequence": 3, "role_id": cls.buyer.id}),
            Command.create(
                {
                    "sequence": 4,
                    "role_id": cls.consumer.id,
                    "decision_level": "working",
                }
            ),
        ]
        cls.ann = cls._create_contact(
            "Ann",
            buying_role_ids=[Command.set((cls.maker | cls.buyer).ids)],
            decision_level="top",
        )
        cls.bob = cls._create_contact(
            "Bob",
            buying_role_ids=[Command.set(cls.consumer.ids)],
            decision_level="middle",
        )


@tagged("post_install", "-at_install")
class TestCoverage(BuyingCenterCommon):
    def _cover(self, day=TODAY):
        card = self._update(day)
        return card.covered_count, card.required_count

    def test_cells(self):
        self.assertEqual(self._cover(), (0, 4))
        self._visit(self.ann)
        self.assertEqual(self._cover(), (3, 4))
        self.assertEqual(self._get_card(self.account).coverage, 75)
        # the right role on the wrong level
        self._visit(self.bob)
        self.assertEqual(self._cover(), (3, 4))
        self.bob.decision_level = "working"
        self.assertEqual(self._cover(), (4, 4))

    def test_period(self):
        self.tier_a.coverage_months = 1
        self._visit(self.ann, TODAY - timedelta(days=18))  # 28 February
        self.assertEqual(self._cover(TODAY), (3, 4))
        last = TODAY.replace(day=27)
        self.assertEqual(self._cover(last), (3, 4))
        self.assertEqual(self._cover(last + timedelta(days=1)), (0, 4))
        self.assertEqual(self._cover(TODAY - timedelta(days=19)), (0, 4))

    def test_who_counts(self):
        self._visit(self.ann)
        self.ann.active = False
        self.assertEqual(self._cover(), (0, 4))
        self.ann.active = True
        self.ann.left_company_date = TODAY
        self.assertEqual(self._cover(), (0, 4))
        self.ann.left_company_date = False
        self.ann.buying_role_ids = False
        self.assertEqual(self._cover(), (1, 4))
        self.ann.parent_id = self._create_partner("Rival")
        self.assertEqual(self._cover(), (0, 4))

    def test_planned_visits_do_not_count(self):
        visit = self.Visit.create(
            {
                "partner_id": self.account.id,
                "contact_ids": [Command.set(self.ann.ids)],
                "date_planned": fields.Date.today(),
            }
        )
        today = clock.get_today(self.company)
        self.assertEqual(self._cover(today), (0, 4))
        visit.action_done()
        # at once, without a nightly run
        self.assertEqual(self._get_card(self.account).covered_count, 3)
        # and back, when the activity is restored
        visit.activity_id.with_context(active_test=False).action_unarchive()
        self.assertEqual(visit.state, "planned")
        self.assertEqual(self._get_card(self.account).covered_count, 0)

    def test_contacts_of_a_done_visit_can_be_added(self):
        today = clock.get_today(self.company)
        visit = self._visit(day=today)
        visit.with_user(self.rep).contact_ids = self.ann
        self.assertEqual(self._get_card(self.account).covered_count, 3)
        with self.assertRaises(AccessError):
            visit.with_user(self.rep2).contact_ids = self.bob

    def test_strangers_are_refused(self):
        stranger = self._create_contact("Eve", account=self._create_partner("Rival"))
        with self.assertRaisesRegex(ValidationError, "no contact person of"):
            self._visit(stranger)
        visit = self._visit(self.ann)
        with self.assertRaisesRegex(ValidationError, "no contact person of"):
            visit.target_contact_id = stranger
        # who changes jobs stays in the history
        self.ann.parent_id = stranger.parent_id
        self.assertEqual(visit.contact_ids, self.ann)

    def test_tier_by_hand_counts_at_once(self):
        self._visit(self.ann, clock.get_today(self.company))
        account = self.account.with_user(self.manager)
        account.account_tier_id = self.tier_b
        self.assertEqual(self._get_card(self.account).required_count, 0)
        account.account_tier_id = self.tier_a
        self.assertEqual(self._get_card(self.account).covered_count, 3)
        # the same transaction reads what was written
        self.assertEqual(self.account.key_account_coverage, 75)
        self._visit(self.bob, clock.get_today(self.company))
        self.bob.decision_level = "working"
        self.assertEqual(self.account.key_account_coverage, 100)

    def test_tier_without_cells(self):
        self._set_tier(self.account, self.tier_c)
        self._visit(self.ann)
        self.assertEqual(self._cover(), (0, 0))
        card = self._get_card(self.account)
        self.assertEqual((card.coverage, card.met_contact_count), (0, 1))

    def test_single_threaded(self):
        card = self._update()
        self.assertFalse(card.is_single_threaded)  # nobody met: not even one thread
        self._visit(self.ann)
        self._visit(self.ann, user_id=self.rep2.id)
        card = self._update()
        self.assertTrue(card.is_single_threaded)
        self.assertEqual((card.met_contact_count, card.met_user_count), (1, 2))
        self._visit(self.bob)
        self.assertFalse(self._update().is_single_threaded)
        # one colleague alone is one thread as well
        self._update(TODAY + relativedelta(months=6))
        self._visit(self.ann | self.bob, TODAY + timedelta(days=1))
        card = self._update(TODAY + relativedelta(months=6))
        self.assertTrue(card.is_single_threaded)
        self.assertEqual((card.met_contact_count, card.met_user_count), (2, 1))

    def test_search_on_customers(self):
        today = clock.get_today(self.company)
        self._visit(self.ann, today)
        Partner = self.env["res.partner"].with_user(self.rep)
        single = Partner.search([("key_account_is_single_threaded", "=", True)])
        self.assertIn(self.account, single)
        self.assertEqual(
            Partner.search([("key_account_coverage", "<", 80)]),
            self.account | self.ann | self.bob,
        )
        self.assertNotIn(
            self.account,
            Partner.search([("key_account_is_single_threaded", "=", False)]),
        )
        partner = self.account.with_user(self.rep)
        self.assertEqual(partner.key_account_coverage, 75)
        self.assertIn("1", partner.key_account_thread_text)
        # a colleague sees neither
        other = self.account.with_user(self.rep2)
        self.assertFalse(other.key_account_required_count)

    def test_last_met(self):
        self.assertFalse(self.ann.last_met_date)
        self._visit(self.ann, TODAY - timedelta(days=9))
        self._visit(self.ann | self.bob, TODAY)
        contacts = (self.ann | self.bob).with_user(self.rep)
        contacts.invalidate_recordset()
        self.assertEqual(contacts.mapped("last_met_date"), [TODAY, TODAY])
        Partner = self.env["res.partner"].with_user(self.rep)
        own = [("parent_id", "=", self.account.id)]
        for domain, found in (
            ([("last_met_date", "=", TODAY)], contacts),
            ([("last_met_date", "<", TODAY)], Partner),
            ([("last_met_date", "<=", TODAY)], contacts),
            ([("last_met_date", "=", False)], Partner),
            ([("last_met_date", "!=", False)], contacts),
            ([("last_met_date", ">", TODAY)], Partner),
        ):
            self.assertEqual(Partner.search(own + domain), found, domain)
        colleague = self.ann.with_user(self.rep2)
        self.assertFalse(colleague.last_met_date)

    def test_requirement_twice(self):
        with self.assertRaisesRegex(ValidationError, "Say who is required"):
            self.tier_a.cell_ids = [Command.create({})]
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            self.tier_a.cell_ids = [Command.create({"decision_level": "top"})]

    def test_period_of_a_tier(self):
        for months in (0, -1, 121):
            with self.assertRaisesRegex(ValidationError, "from 1 to 120"):
                self.tier_a.coverage_months = months

    def test_default_requirements(self):
        """Key accounts: three levels and four roles; ordinary ones: who decides and
        who buys."""
        cells = {
            name: [
                (cell.role_id.name or None, cell.decision_level or None)
                for cell in self.env.ref(f"crm_key_account.tier_{name}").cell_ids
            ]
            for name in ("key", "ordinary", "low")
        }
        roles = ["Decision maker", "Buyer", "User", "Influencer"]
        self.assertEqual(
            cells["key"],
            [(None, level) for level in LEVELS] + [(role, None) for role in roles],
        )
        self.assertEqual(cells["ordinary"], [(role, None) for role in roles[:2]])
        self.assertFalse(cells["low"])


@tagged("post_install", "-at_install")
class TestCoverageRecomputed(RelationshipCommon):
    """Coverage in SQL against a recomputation in plain Python, on random data."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._set_tier(cls.account, cls.tier_a)
        cls.rival = cls._create_partner("Rival")
        cls.role_ids = cls.roles[:3].ids
        cls.users = cls.rep | cls.rep2

    contact = st.fixed_dictionaries(
        {
            "roles": st.sets(st.integers(0, 2)),
            "level": st.sampled_from([False, *LEVELS]),
            "active": st.sampled_from([True, True, True, False]),
            "here": st.sampled_from([True, True, True, False]),
            "left": st.sampled_from([None, None, None, -1, 0, 1]),
        }
    )
    visit = st.fixed_dictionaries(
        {
            "contacts": st.sets(st.integers(0, 3)),
            # around the end of the period and of today
            "days": st.sampled_from([-400, -90, -89, -1, 0, 1]),
            "user": st.integers(0, 1),
            "state": st.sampled_from(["done", "done", "cancelled"]),
        }
    )
    cell = st.tuples(
        st.sampled_from([None, 0, 1, 2]), st.sampled_from([None, *LEVELS])
    ).filter(lambda cell: cell != (None, None))

    @RELAXED
    @given(
        contacts=st.lists(contact, min_size=4, max_size=4),
        visits=st.lists(visit, max_size=6),
        cells=st.sets(cell, max_size=5),
        months=st.integers(1, 13),
    )
    def test_coverage(self, contacts, visits, cells, months):
        with self.cr.savepoint() as savepoint:
            self._compare(contacts, visits, cells, months)
            self.env.flush_all()
            savepoint.rollback()
        self.env.invalidate_all(flush=False)

    def _compare(self, contacts, visits, cells, months):
        self.tier_a.write(
            {
                "coverage_months": months,
                "cell_ids": [Command.clear()]
                + [
                    Command.create(
                        {
                            "role_id": role is not None and self.role_ids[role],
                            "decision_level": level or False,
                        }
                    )
                    for role, level in cells
                ],
            }
        )
        people = [
            self._create_contact(
                f"Contact {number}",
                buying_role_ids=[
                    Command.set([self.role_ids[role] for role in values["roles"]])
                ],
                decision_level=values["level"],
                left_company_date=values["left"] is not None
                and TODAY + timedelta(days=values["left"]),
            )
            for number, values in enumerate(contacts)
        ]
        for values in visits:
            self.env["key.account.visit"].create(
                {
                    "partner_id": self.account.id,
                    "company_id": self.company.id,
                    "state": "done",
                    "date_planned": TODAY,
                    "date_done": TODAY + timedelta(days=values["days"]),
                    "user_id": self.users[values["user"]].id,
                    "contact_ids": [
                        Command.set([people[n].id for n in values["contacts"]])
                    ],
                }
            )._write({"state": values["state"]})
        for person, values in zip(people, contacts, strict=True):
            if not values["here"]:
                person.parent_id = self.rival
            person.active = values["active"]
        self.env.invalidate_all()
        card = self._update()

        # the same in plain Python
        met = defaultdict(set)
        for values in visits:
            day = TODAY + timedelta(days=values["days"])
            if values["state"] == "done" and day <= TODAY < day + relativedelta(
                months=months
            ):
                for number in values["contacts"]:
                    person = contacts[number]
                    left = person["left"] is not None and person["left"] <= 0
                    if person["active"] and person["here"] and not left:
                        met[number].add(values["user"])
        covered = [
            (role, level)
            for role, level in cells
            if any(
                (role is None or role in contacts[number]["roles"])
                and (level is None or level == contacts[number]["level"])
                for number in met
            )
        ]
        users = set().union(*met.values())
        self.assertEqual(card.required_count, len(cells))
        self.assertEqual(card.covered_count, len(covered))
        expected = round(100 * len(covered) / len(cells), 2) if cells else 0
        self.assertAlmostEqual(card.coverage, expected, 2)
        self.assertEqual(card.met_contact_count, len(met))
        self.assertEqual(card.met_user_count, len(users))
        self.assertEqual(
            card.is_single_threaded, bool(met) and (len(met) == 1 or len(users) == 1)
        )


@tagged("post_install", "-at_install")
class TestTargets(BuyingCenterCommon):
    """Planned visits say whom to see."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cadence = cls.env["key.account.cadence"].create(
            {"company_id": cls.company.id, "tier_id": cls.tier_a.id}
        )

    def _plan(self):
        self.Visit._generate(self.account, today=TODAY)
        visit = self._get_planned(self.account)
        if not visit:
            self.env["key.account.planner"]._plan_now(self.account, self.company)
            visit = self._get_planned(self.account)
        return visit

    def test_names_cell_and_contact(self):
        visit = self._plan()
        # never seen, the first cell: the top level
        self.assertEqual(visit.target_contact_id, self.ann)
        self.assertEqual(visit.target_name, self.ann.name)
        self.assertEqual(visit.target_level, "top")
        self.assertFalse(visit.target_role_id)
        self.assertIn("; see Ann (Top)", visit.activity_id.summary)
        self.assertNotIn("see Ann", visit.summary)

    def test_longest_ago(self):
        self.bob.decision_level = "working"
        self._visit(self.bob, TODAY - timedelta(days=20))
        self._visit(self.ann, TODAY - timedelta(days=10))
        visit = self._plan()
        self.assertEqual(visit.target_contact_id, self.bob)
        self.assertEqual(visit.target_role_id, self.consumer)
        self.assertEqual(visit.target_level, "working")
        self.assertIn("see Bob (User, Working)", visit.activity_id.summary)

    def test_nobody_known(self):
        (self.ann | self.bob).active = False
        visit = self._plan()
        self.assertFalse(visit.target_contact_id)
        self.assertFalse(visit.target_name)
        self.assertIn("find out who it is: Top", visit.activity_id.summary)

    def test_tier_that_requires_nothing(self):
        self.tier_a.cell_ids.unlink()
        visit = self._plan()
        self.assertFalse(visit.target_contact_id)
        self.assertEqual(visit.activity_id.summary, visit.summary)

    def test_contact_who_goes(self):
        visit = self._plan()
        for vals in (
            {"active": False},
            {"left_company_date": fields.Date.today()},
            {"parent_id": self._create_partner("Rival").id},
        ):
            with self.subTest(**vals):
                cy = self._create_contact("Cy", decision_level="top")
                visit.target_contact_id = cy
                self.assertIn("Cy", visit.activity_id.summary)
                cy.write(vals)
                self.assertEqual(visit.target_contact_id, self.ann)
                self.assertIn("Ann", visit.activity_id.summary)

    def test_contact_who_leaves_later(self):
        visit = self._plan()
        with freeze_time(TODAY - timedelta(days=1)):
            self.ann.left_company_date = TODAY
            self.assertEqual(visit.target_contact_id, self.ann)
        with freeze_time(TODAY):
            self.Visit._generate(self.account)
        self.assertEqual(visit.state, "planned")
        self.assertNotEqual(visit.target_contact_id, self.ann)

    def test_contact_who_leaves_where_the_day_has_begun(self):
        """Today is the company's, as when the contact was chosen."""
        visit = self._plan()
        self.assertEqual(visit.target_contact_id, self.ann)
        self.company.resource_calendar_id.tz = "Pacific/Kiritimati"
        with freeze_time(f"{TODAY} 12:00:00"):
            self.ann.left_company_date = TODAY + timedelta(days=1)
            self.assertFalse(visit.target_contact_id)

    def test_cell_changes(self):
        visit = self._plan()
        self.assertIn("see Ann (Top)", visit.activity_id.summary)
        # Ann is nobody's top any more, and somebody else is
        cy = self._create_contact("Cy", decision_level="top")
        self.assertEqual(visit.target_contact_id, self.ann)
        self.ann.decision_level = "working"
        self.assertEqual(visit.target_contact_id, cy)
        self.assertIn("see Cy (Top)", visit.activity_id.summary)

    def test_somebody_becomes_known(self):
        (self.ann | self.bob).active = False
        visit = self._plan()
        self.assertIn("find out who it is: Top", visit.activity_id.summary)
        cy = self._create_contact("Cy", decision_level="top", stance="neutral")
        self.assertEqual(visit.target_contact_id, cy)

    def test_executive_sees_the_top(self):
        self.env["key.account.cadence"].create(
            {"company_id": self.company.id, "track": "executive"}
        )
        self.tier_a.cell_ids.filtered("decision_level").unlink()
        boss = self._create_contact("Boss", decision_level="top")
        self.ann.decision_level = "middle"
        self.env["key.account.planner"]._plan_now(self.account, self.company)
        visit = self._get_planned(self.account, "executive")
        # not in a required cell, and whom executives see
        self.assertEqual(visit.target_contact_id, boss)
        self.assertEqual(self._get_planned(self.account).target_contact_id, self.ann)
        self.assertIn("executive visit weekly", visit.summary)
        boss.active = False
        self.assertFalse(visit.target_contact_id)
        self.assertIn("find out who it is: Top", visit.activity_id.summary)

    def test_who_was_met_stays_when_others_are_added(self):
        visit = self._visit(self.ann)
        self.ann.parent_id = self._create_partner("Rival")
        visit.with_user(self.rep).contact_ids = [Command.link(self.bob.id)]
        self.assertEqual(visit.contact_ids, self.ann | self.bob)

    def test_addresses_are_nobody_to_meet(self):
        address = self._create_contact("Warehouse", type="delivery")
        for nobody in (address, self.account):
            with self.assertRaisesRegex(ValidationError, "no contact person"):
                self._visit(nobody)
            with self.assertRaisesRegex(ValidationError, "no contact person"):
                self._visit(target_contact_id=nobody.id)

    def test_by_hand(self):
        visit = self._plan()
        visit.with_user(self.rep).target_contact_id = self.bob
        self.assertIn("see Bob", visit.activity_id.summary)
        self.assertNotIn("Top", visit.activity_id.summary)
        self.bob.stance = "champion"  # no reason to choose somebody else
        self.assertEqual(visit.target_contact_id, self.bob)
        with self.assertRaises(AccessError):
            visit.with_user(self.rep).target_role_id = self.buyer
        visit.action_done()
        with Form(visit.with_user(self.rep)) as form:
            form.contact_ids.add(self.bob)
        self.assertEqual(self.bob.last_met_date, visit.date_done)

    def test_number_of_queries(self):
        accounts = self.env["res.partner"].create(
            [
                {
                    "name": f"Account {n}",
                    "is_company": True,
                    "user_id": self.rep.id,
                    "child_ids": [
                        Command.create(
                            {"name": f"Contact {n}", "decision_level": "top"}
                        )
                    ],
                }
                for n in range(50)
            ]
        )
        self._set_tier(accounts, self.tier_a)
        self.env.flush_all()

        # as of that day: the accounts are spread over the interval from there
        dues = self.env["key.account.due"]
        dues.search([("partner_id", "in", accounts.ids)]).unlink()
        dues._refresh(self.company, accounts.ids, [], TODAY)

        def count(partners):
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            plans = self.env["key.account.planner"]._get_plans(
                self.company, ["visit"], partners.ids, [], TODAY, False
            )
            self.assertEqual(len(plans), len(partners))
            self.assertTrue(all(plan["target_contact_id"] for plan in plans))
            return self.cr.sql_log_count - before

        count(accounts)
        self.assertEqual(count(accounts[:1]), count(accounts))


class TestChooseTarget(BaseCase):
    contacts = st.lists(
        st.builds(
            Contact,
            id=st.integers(1, 30),
            roles=st.frozensets(st.integers(1, 3)),
            level=st.sampled_from([None, *LEVELS]),
            last_met=st.none() | st.dates(),
        ),
        unique_by=lambda contact: contact.id,
        max_size=6,
    )
    cells = st.lists(
        st.tuples(st.none() | st.integers(1, 3), st.sampled_from([None, *LEVELS])),
        max_size=5,
        unique=True,
    )

    @RELAXED
    @given(cells=cells, contacts=contacts, executive=st.booleans())
    def test_choice(self, cells, contacts, executive):
        target = choose_target(cells, contacts, executive)
        if not cells:
            if not (executive and any(c.level == "top" for c in contacts)):
                self.assertIsNone(target)
                return
        cell, contact = target
        tops = [c for c in contacts if c.level == "top"]
        if executive:
            # never anybody else, and in a required cell, if one is theirs
            self.assertIn(contact, tops or [None])
            if any(matches(c, x) for c in tops for x in cells):
                self.assertIn(cell, cells)
            else:
                self.assertEqual(cell, (None, "top"))
                return
        pool = tops if executive else contacts
        self.assertIn(cell, cells)
        if contact is None:
            self.assertFalse(any(matches(c, x) for c in pool for x in cells))
            self.assertEqual(cell, cells[0])
            return
        self.assertTrue(matches(contact, cell))
        self.assertIn(contact, pool)
        # nobody in the cell, and no other cell, waits for longer
        never = fields.Date.to_date("0001-01-01")
        inside = [c.last_met or never for c in pool if matches(c, cell)]
        self.assertEqual(min(inside), contact.last_met or never)
        for other in cells:
            seen = [c.last_met or never for c in pool if matches(c, other)]
            if seen:
                self.assertGreaterEqual(max(seen), max(inside))

    @RELAXED
    @given(cells=cells, contacts=contacts)
    def test_order_of_contacts_does_not_matter(self, cells, contacts):
        self.assertEqual(
            choose_target(cells, contacts), choose_target(cells, contacts[::-1])
        )


@tagged("post_install", "-at_install")
class TestMap(BuyingCenterCommon):
    def _get_map(self, user=None, partner=None):
        partner = partner or self.account
        self.env.invalidate_all()
        return partner.with_user(user or self.rep).get_buying_center()

    def test_content(self):
        today = clock.get_today(self.company)
        self._visit(self.ann, today)
        self.bob.stance = "opponent"
        self.bob.left_company_date = today
        result = self._get_map()
        self.assertEqual(result["account"]["id"], self.account.id)
        self.assertEqual(
            [role["name"] for role in result["roles"]][:2], ["Decision maker", "Buyer"]
        )
        self.assertEqual([level["id"] for level in result["levels"]], LEVELS)
        ann, bob = result["contacts"]
        self.assertEqual(ann["role_ids"], (self.maker | self.buyer).ids)
        self.assertEqual(ann["last_met"], fields.Date.to_string(today))
        self.assertTrue(ann["is_recent"])
        self.assertTrue(bob["has_left"])
        self.assertEqual(bob["stance_name"], "Opponent")
        self.assertEqual(
            [cell["covered"] for cell in result["required"]], [True, True, True, False]
        )
        self.assertEqual(result["coverage"], 75)
        self.assertEqual((result["contact_count"], result["rep_count"]), (1, 1))
        self.assertTrue(result["single_threaded"])
        self.assertEqual(result["period_months"], 6)
        self.assertIs(result["sponsor"], False)
        self.assertIs(result["current_contact_id"], False)
        self.account.executive_sponsor_id = self.leader
        self.assertEqual(self._get_map()["sponsor"]["name"], self.leader.name)

    def test_of_a_contact(self):
        result = self._get_map(partner=self.bob)
        self.assertEqual(result["account"]["id"], self.account.id)
        self.assertEqual(result["current_contact_id"], self.bob.id)

    def test_who_is_shown(self):
        self.ann.active = False
        self.bob.company_id = self._create_company("Elsewhere")
        address = self._create_contact("Warehouse", type="delivery")
        result = self._get_map()
        self.assertFalse(result["contacts"])
        self.assertTrue(address.active)

    def test_rights(self):
        self._visit(self.ann, clock.get_today(self.company))
        self.assertEqual(self._get_map(self.leader)["coverage"], 75)
        # a colleague sees who is there, but not when the rep was
        result = self._get_map(self.rep2)
        self.assertFalse(result["coverage"])
        self.assertFalse(result["contacts"][0]["last_met"])
        self.assertFalse(result["is_own"])
        self.assertFalse(result["required"])
        internal = self._create_user("ka_internal4", "base.group_partner_manager")
        with self.assertRaises(AccessError):
            self._get_map(internal)
        with self.assertRaises(AccessError):
            self.ann.with_user(internal).move_in_buying_center(False, False, "top")
        with self.assertRaises(AccessError):
            self.ann.with_user(internal).stance = "champion"
        portal = self._create_user("ka_portal4", "base.group_portal")
        with self.assertRaises(AccessError):
            self._get_map(portal)

    def test_move(self):
        ann = self.ann.with_user(self.rep)
        ann.move_in_buying_center(self.buyer.id, self.consumer.id, "middle")
        self.assertEqual(ann.buying_role_ids, self.maker | self.consumer)
        self.assertEqual(ann.decision_level, "middle")
        # onto a role that she has already
        ann.move_in_buying_center(self.consumer.id, self.maker.id, "top")
        self.assertEqual(ann.buying_role_ids, self.maker)
        # up and down in the same column
        ann.move_in_buying_center(self.maker.id, self.maker.id, "working")
        self.assertEqual(ann.buying_role_ids, self.maker)
        self.assertEqual(ann.decision_level, "working")
        # off the map
        ann.move_in_buying_center(self.maker.id, False, False)
        self.assertFalse(ann.buying_role_ids)
        self.assertFalse(ann.decision_level)
        ann.move_in_buying_center(False, self.buyer.id, "top")
        self.assertEqual(ann.buying_role_ids, self.buyer)

    def test_one_or_two_hundred_contacts(self):
        other = self._create_partner("Small")
        self._set_tier(other, self.tier_a)
        one = self._create_contact(
            "One", account=other, buying_role_ids=[Command.set(self.buyer.ids)]
        )
        self.env["res.partner"].create(
            [
                {
                    "name": f"Contact {n}",
                    "parent_id": self.account.id,
                    "buying_role_ids": [Command.set(self.roles[n % 6].ids)],
                    "decision_level": LEVELS[n % 3],
                }
                for n in range(198)
            ]
        )
        many = self.account.child_ids
        self.assertEqual(len(many), 200)
        self._visit(one, account=other)
        self._visit(many)

        def count(partner):
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.cr.sql_log_count
                partner.with_user(self.rep).get_buying_center()
                count = self.cr.sql_log_count - before
            return count

        self.assertEqual(count(other), count(self.account))

    def test_list(self):
        action = self.account.with_user(self.rep).action_view_buying_center()
        contacts = self.env["res.partner"].search(action["domain"])
        self.assertEqual(contacts, self.ann | self.bob)

    def test_roles_in_use(self):
        role = self.env["key.account.buying.role"].create({"name": "Sponsor"})
        role.copy().unlink()
        self.ann.buying_role_ids += role
        with self.assertRaisesRegex(UserError, "in use"):
            role.unlink()
        self.ann.buying_role_ids -= role
        criterion = self._create_criterion("supporters", role_ids=role.ids)
        with self.assertRaisesRegex(UserError, "in use"):
            role.unlink()
        criterion.role_ids = False
        cell = self.tier_a.cell_ids[1]
        cell.role_id = role
        with self.assertRaisesRegex(UserError, "in use"):
            role.unlink()
        cell.unlink()
        role.active = False
        role.unlink()

    def test_contact_who_was_met_stays(self):
        self._visit(self.ann)
        with self.assertRaisesRegex(UserError, "archive the contact"):
            self.ann.unlink()
        self.bob.unlink()

    def test_configuration_is_for_administrators(self):
        for model, vals in (
            ("key.account.buying.role", {"name": "X"}),
            (
                "key.account.tier.cell",
                {"tier_id": self.tier_b.id, "decision_level": "top"},
            ),
            ("key.account.relationship.criterion", {"name": "X", "level": "partner"}),
        ):
            self.env[model].with_user(self.manager).create(vals).unlink()
            for user in (self.rep, self.leader):
                with self.assertRaises(AccessError):
                    self.env[model].with_user(user).create(vals)


@tagged("post_install", "-at_install")
class TestCustomerForm(BuyingCenterCommon):
    def test_one_or_two_hundred_contacts(self):
        """The whole form, contacts' page included, as the web client reads it."""
        spec = Form(self.account.with_user(self.rep))._view["fields_spec"]
        self.assertIn("child_ids", spec)
        other = self._create_partner("Small")
        self._set_tier(other, self.tier_a)
        self._create_contact("One", account=other, stance="champion")
        self.env["res.partner"].create(
            [
                {
                    "name": f"Contact {n}",
                    "parent_id": self.account.id,
                    "stance": "champion",
                    "buying_role_ids": [Command.set(self.roles[n % 6].ids)],
                }
                for n in range(198)
            ]
        )
        self.assertEqual(len(self.account.child_ids), 200)
        for partner in (other, self.account):
            self._visit(partner.child_ids, account=partner)

        def count(partner):
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.cr.sql_log_count
                partner.with_user(self.rep).web_read(spec)
                count = self.cr.sql_log_count - before
            return count

        self.assertEqual(count(other), count(self.account))
