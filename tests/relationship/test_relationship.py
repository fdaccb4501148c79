from datetime import date
from unittest.mock import patch

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time
from psycopg2 import IntegrityError

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import SQL, mute_logger

from ...models.account import clock
from ...models.account.trial import trial
from ...models.relationship import measures
from ..common import SALES, TODAY, KeyAccountCommon


class RelationshipCommon(KeyAccountCommon):
    """A company with criteria of its own: the shared ones are archived."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Criterion = cls.env["key.account.relationship.criterion"]
        cls.Evidence = cls.env["key.account.relationship.evidence"]
        cls.Change = cls.env["key.account.relationship.change"]
        cls.Status = cls.env["key.account.relationship.status"]
        cls.Criterion.search([]).active = False
        cls.env["key.account.cadence"].search([]).active = False
        cls.roles = cls.env["key.account.buying.role"].search([])
        cls.account = cls._create_partner("Kestrel")
        cls.Card._ensure(cls.account.ids, cls.company)

    @classmethod
    def _create_criterion(cls, measure=None, level="preferred_supplier", **values):
        return cls.Criterion.create(
            {
                "name": values.pop("name", measure or "Their word"),
                "level": level,
                "kind": "automatic" if measure else "judged",
                "measure": measure,
                "company_id": cls.company.id,
                **values,
            }
        )

    @classmethod
    def _create_contact(cls, name="Ann", account=None, **values):
        return cls.env["res.partner"].create(
            {"name": name, "parent_id": (account or cls.account).id, **values}
        )

    @classmethod
    def _visit(cls, contacts=None, day=TODAY, account=None, **values):
        """Log a done visit at which ``contacts`` were met."""
        return cls.Visit.create(
            {
                "partner_id": (account or cls.account).id,
                "company_id": cls.company.id,
                "user_id": cls.rep.id,
                "state": "done",
                "date_planned": day,
                "date_done": day,
                "contact_ids": [Command.set(contacts.ids if contacts else [])],
                **values,
            }
        )

    def _get_status(self, criterion, today=TODAY, account=None):
        """Evaluate one criterion for one account."""
        account = account or self.account
        self.env.flush_all()
        query = self.Criterion._get_status_sql({self.company.id: today})
        rows = [
            row
            for row in self.env.execute_query_dict(query)
            if row["partner_id"] == account.id and row["criterion_id"] == criterion.id
        ]
        self.assertEqual(len(rows), 1)
        # limited to the account, the answer is the same
        query = self.Criterion._get_status_sql({self.company.id: today}, account.ids)
        limited = [
            row
            for row in self.env.execute_query_dict(query)
            if row["criterion_id"] == criterion.id
        ]
        self.assertEqual(rows, limited)
        return rows[0]

    def _get_state(self, criterion, today=TODAY, account=None):
        return self._get_status(criterion, today, account)["state"]

    def _update(self, today=TODAY):
        self.Card._update_relationships(self.company, today=today)
        return self._get_card(self.account)


@tagged("post_install", "-at_install")
class TestMeasures(RelationshipCommon):
    """Every automatic measure at its edges."""

    def _visit_top(self, user=None, level="top", **values):
        """Log a visit of an executive of ours to somebody of their top level."""
        contact = self._create_contact(decision_level=level)
        user = user or self.leader
        values = {"user_id": user.id, "track": "executive", **values}
        return self._visit(contact, **values)

    def test_parameters_in_words(self):
        """One of them is no plural."""
        for measure, name, values, texts in (
            (None, "months", (1, 6), ("evidence of 1 month", "evidence of 6 months")),
            (
                "orders_quarters",
                "quarters",
                (1, 4),
                ("the last quarter", "the last 4 quarters"),
            ),
            (
                "contacts_met",
                "months",
                (1, 6),
                ("within 1 month, at least 2", "within 6 months, at least 2"),
            ),
        ):
            criterion = self._create_criterion(measure, minimum_count=2)
            for value, text in zip(values, texts, strict=True):
                criterion[name] = value
                self.assertEqual(criterion.parameter_text, text)

    def test_executives_on_both_sides(self):
        """It holds if somebody of ours who is an executive met somebody of their top
        level: on whatever track."""
        sponsor = self._create_user("ka_sponsor", SALES)
        former = self._create_user("ka_former", SALES)
        self.env["crm.team"].create(
            {"name": "Gone", "user_id": former.id, "active": False}
        )
        self.account.with_company(self.company).executive_sponsor_id = sponsor
        elsewhere = self._create_partner("Elsewhere")
        elsewhere.with_company(self.company).executive_sponsor_id = self.manager
        criterion = self._create_criterion("executive_meeting", months=12)
        for user, level, track, expected in (
            (sponsor, "top", "executive", "holds"),
            (sponsor, "top", "visit", "holds"),
            (sponsor, "middle", "executive", "missing"),
            (sponsor, False, "executive", "missing"),
            # an executive of ours, if not this customer's sponsor
            (self.manager, "top", "visit", "holds"),
            # to whom executive visits go where there is no sponsor
            (self.leader, "top", "executive", "holds"),
            (self.rep, "top", "executive", "missing"),
            (self.rep2, "top", "executive", "missing"),
            (former, "top", "executive", "missing"),
        ):
            with self.subTest(user=user.login, level=level, track=track):
                visit = self._visit_top(user, level, track=track)
                self.assertEqual(self._get_state(criterion), expected)
                visit.contact_ids = False
                self.assertEqual(self._get_state(criterion), "missing")

    def test_new_sponsor_counts_at_once(self):
        self._create_criterion("executive_meeting", months=12)
        self._visit_top(self.rep2, day=date.today())
        card = self._get_card(self.account)
        self.assertEqual(card.suggested_relationship_level, "transactional")
        self.account.with_company(self.company).executive_sponsor_id = self.rep2
        self.assertEqual(card.suggested_relationship_level, "preferred_supplier")

    def test_executive_meeting(self):
        criterion = self._create_criterion("executive_meeting", months=12)
        self.assertEqual(self._get_state(criterion), "missing")
        self._visit(day=TODAY)  # a rep's visit is none
        self.assertEqual(self._get_state(criterion), "missing")
        visit = self._visit_top(day=date(2025, 3, 19))
        status = self._get_status(criterion)
        self.assertEqual(status["state"], "holds")
        self.assertEqual(status["date"], date(2025, 3, 19))
        self.assertEqual(status["date_lapse"], date(2026, 3, 19))
        self.assertEqual(self._get_state(criterion, date(2026, 3, 19)), "lapsed")
        # not yet
        self.assertEqual(self._get_state(criterion, date(2025, 3, 18)), "missing")
        # a planned or cancelled one is none either
        visit.with_context(tracking_disable=True)._write({"state": "cancelled"})
        visit.invalidate_recordset()
        self.assertEqual(self._get_state(criterion), "missing")

    def test_month_ends(self):
        criterion = self._create_criterion("executive_meeting", months=1)
        self._visit_top(day=date(2026, 1, 31))
        self.assertEqual(self._get_state(criterion, date(2026, 2, 27)), "holds")
        self.assertEqual(self._get_state(criterion, date(2026, 2, 28)), "lapsed")
        criterion.months = 25  # to the 29th of a leap year
        self.assertEqual(self._get_state(criterion, date(2028, 2, 28)), "holds")
        self.assertEqual(self._get_state(criterion, date(2028, 2, 29)), "lapsed")

    def test_levels_met(self):
        criterion = self._create_criterion("levels_met", months=6)
        self.assertEqual(self._get_state(criterion), "missing")
        contacts = {
            level: self._create_contact(level, decision_level=level)
            for level in ("top", "middle", "working")
        }
        nobody = self._create_contact("no level")
        self._visit(contacts["top"] | nobody, date(2025, 9, 19))
        self._visit(contacts["middle"], date(2026, 1, 5))
        status = self._get_status(criterion)
        self.assertEqual((status["state"], status["actual"]), ("missing", 2))
        self._visit(contacts["working"])
        status = self._get_status(criterion)
        self.assertEqual((status["state"], status["actual"]), ("holds", 3))
        self.assertEqual(status["date_lapse"], date(2026, 3, 19))
        self.assertEqual(self._get_state(criterion, date(2026, 3, 19)), "lapsed")

    def test_who_counts_as_met(self):
        """Not the archived, those who left, those of other accounts or companies."""
        criterion = self._create_criterion("contacts_met", months=6, minimum_count=1)
        contact = self._create_contact()
        self._visit(contact)
        self.assertEqual(self._get_state(criterion), "holds")
        contact.active = False
        self.assertEqual(self._get_state(criterion), "missing")
        contact.active = True
        contact.left_company_date = TODAY
        self.assertEqual(self._get_state(criterion), "missing")
        contact.left_company_date = TODAY + relativedelta(days=1)
        self.assertEqual(self._get_state(criterion), "holds")
        contact.left_company_date = False
        contact.company_id = self._create_company("Elsewhere")
        self.assertEqual(self._get_state(criterion), "missing")
        contact.company_id = self.company
        self.assertEqual(self._get_state(criterion), "holds")
        contact.parent_id = self._create_partner("Rival")
        self.assertEqual(self._get_state(criterion), "missing")

    def test_contacts_met(self):
        criterion = self._create_criterion("contacts_met", months=3, minimum_count=2)
        ann, bob, cy = (self._create_contact(name) for name in ("Ann", "Bob", "Cy"))
        self._visit(ann, date(2025, 12, 19))
        self._visit(ann, date(2025, 12, 20))
        self.assertEqual(self._get_status(criterion)["actual"], 1)
        self._visit(bob | ann, date(2025, 12, 18))  # three months ago to the day
        self.assertEqual(self._get_state(criterion), "lapsed")
        self._visit(bob | cy, date(2026, 1, 10))
        status = self._get_status(criterion)
        self.assertEqual((status["state"], status["actual"]), ("holds", 3))
        self.assertEqual(status["date_lapse"], date(2026, 4, 10))

    def test_supporters(self):
        buyer, user = self.roles[1], self.roles[2]
        criterion = self._create_criterion(
            "supporters", minimum_count=2, role_ids=[Command.set((buyer | user).ids)]
        )
        self.assertEqual(self._get_state(criterion), "missing")
        ann = self._create_contact(
            "Ann", stance="champion", buying_role_ids=[Command.set((buyer | user).ids)]
        )
        bob = self._create_contact("Bob", stance="supporter")
        cy = self._create_contact(
            "Cy", stance="neutral", buying_role_ids=[Command.link(user.id)]
        )
        # two roles are one person, no role and neutral don't count
        self.assertEqual(self._get_status(criterion)["actual"], 1)
        cy.stance = "supporter"
        self.assertEqual(self._get_state(criterion), "holds")
        ann.active = False
        self.assertEqual(self._get_state(criterion), "missing")
        criterion.role_ids = False
        self.assertEqual(self._get_status(criterion)["actual"], 2)
        bob.left_company_date = TODAY
        self.assertEqual(self._get_state(criterion), "missing")

    def test_orders_quarters(self):
        criterion = self._create_criterion("orders_quarters", quarters=4)
        today = date(2026, 5, 31)
        self.assertEqual(self._get_state(criterion, today), "missing")
        # quarters end on 31 May, 28 Feb, 30 Nov and 31 Aug, and begin a day later
        days = [date(2026, 3, 1), date(2025, 12, 1), date(2025, 9, 1), date(2025, 6, 1)]
        self._create_invoices([(self.account, 10, day) for day in days[:3]])
        self._create_invoices([(self.account, 10, date(2025, 5, 31))])
        status = self._get_status(criterion, today)
        self.assertEqual((status["state"], status["actual"]), ("missing", 3))
        contact = self._create_contact()
        order = self.env["sale.order"].create(
            {
                "partner_id": contact.id,
                "company_id": self.company.id,
                "date_order": "2025-06-01 10:00:00",
                "order_line": [Command.create({"product_id": self.product.id})],
            }
        )
        self.assertEqual(self._get_status(criterion, today)["actual"], 3)
        order.action_confirm()
        order.date_order = "2025-06-01 10:00:00"
        self.assertEqual(self._get_state(criterion, today), "holds")
        # nothing in the three months before
        self.assertEqual(self._get_state(criterion, date(2026, 6, 1)), "lapsed")

    def test_orders_in_the_future_and_credit_notes(self):
        criterion = self._create_criterion("orders_quarters", quarters=1)
        self._create_invoices(
            [
                (self.account, 10, TODAY + relativedelta(days=1)),
                (self.account, 10, TODAY, {"move_type": "out_refund"}),
            ]
        )
        self.assertEqual(self._get_state(criterion), "missing")
        self.assertEqual(
            self._get_state(criterion, TODAY + relativedelta(days=1)), "holds"
        )

    def test_won_share(self):
        criterion = self._create_criterion("won_share", months=12, minimum_share=60)
        self.assertEqual(self._get_state(criterion), "missing")
        leads = self.env["crm.lead"].create(
            [
                {
                    "name": f"Deal {revenue}",
                    "type": "opportunity",
                    "partner_id": self.account.id,
                    "company_id": self.company.id,
                    "expected_revenue": revenue,
                }
                for revenue in (600, 400, 5000)
            ]
        )
        leads[0].action_set_won()
        leads[1].action_set_lost()
        closed = leads[:2]
        closed.write({"date_closed": "2026-03-18 12:00:00"})
        status = self._get_status(criterion)
        self.assertEqual((status["state"], status["actual"]), ("holds", 60))
        criterion.minimum_share = 60.01
        self.assertEqual(self._get_state(criterion), "missing")
        criterion.minimum_share = 60
        self.assertEqual(self._get_state(criterion, date(2027, 3, 17)), "holds")
        self.assertEqual(self._get_state(criterion, date(2027, 3, 18)), "missing")
        self.assertEqual(self._get_state(criterion, date(2026, 3, 17)), "missing")

    def test_coverage(self):
        criterion = self._create_criterion("coverage", minimum_share=50)
        self._set_tier(self.account, self.tier_a)
        self._update()
        self.assertEqual(self._get_state(criterion), "missing")
        self.tier_a.cell_ids = [
            Command.create({"role_id": self.roles[0].id}),
            Command.create({"decision_level": "top"}),
        ]
        contact = self._create_contact(decision_level="top")
        self._visit(contact)
        self._update()
        self.assertEqual(self._get_state(criterion), "holds")
        criterion.minimum_share = 51
        self.assertEqual(self._get_state(criterion), "missing")

    def test_judged(self):
        criterion = self._create_criterion(months=12)
        self.assertEqual(self._get_state(criterion), "missing")
        evidence = self._record(criterion, date(2025, 3, 19))
        self.assertEqual(self._get_state(criterion), "holds")
        self.assertEqual(self._get_state(criterion, date(2026, 3, 19)), "lapsed")
        self.assertEqual(self._get_state(criterion, date(2025, 3, 18)), "missing")
        self._record(criterion, date(2025, 3, 18))  # an older word changes nothing
        self.assertEqual(self._get_status(criterion)["evidence_id"], evidence.id)
        evidence.action_withdraw()
        today = evidence.date_withdrawn
        self.assertEqual(self._get_state(criterion, today), "lapsed")
        # whoever mistook the day says it again
        self._record(criterion, date(2025, 3, 18))
        self.assertEqual(self._get_state(criterion), "lapsed")
        self._record(criterion, today - relativedelta(days=9))
        self.assertEqual(self._get_state(criterion, today), "holds")

    def test_withdraw_withdraws(self):
        """What was said before keeps nothing up; what is said afterwards does, and what
        was said of a later day."""
        today = clock.get_today(self.company)

        def days_ago(number):
            return today - relativedelta(days=number)

        for first, second, withdrawn, expected in (
            # (day of the first word, day of the second, which is withdrawn)
            (9, 5, 1, "lapsed"),
            (9, 5, 0, "holds"),
            # said the other way round
            (5, 9, 0, "lapsed"),
            (5, 9, 1, "holds"),
            # of the same day the later word is the latest
            (5, 5, 1, "lapsed"),
            (5, 5, 0, "holds"),
        ):
            with self.subTest(first=first, second=second, withdrawn=withdrawn):
                criterion = self._create_criterion(
                    months=12, name=f"{first}, {second}, {withdrawn}"
                )
                words = [
                    self._record(criterion, days_ago(first)),
                    self._record(criterion, days_ago(second)),
                ]
                words[withdrawn].with_user(self.rep).action_withdraw()
                self.assertEqual(self._get_state(criterion, today), expected)
                others = [word for word in words if not word.date_withdrawn]
                self.assertEqual(bool(others), expected == "holds")
                self._record(criterion, days_ago(20))
                self.assertEqual(self._get_state(criterion, today), "holds")

    def test_withdraw_nothing_else(self):
        """Other criteria and customers keep what was said of them."""
        today = clock.get_today(self.company)
        criterion = self._create_criterion(months=12)
        other = self._create_criterion(months=12, name="Other")
        account = self._create_partner("Merlin")
        self.Card._ensure(account.ids, self.company)
        kept = self._record(other, today) | self._record(criterion, today, account)
        self._record(criterion, today).action_withdraw()
        self.assertFalse(any(kept.mapped("date_withdrawn")))

    def _record(self, criterion, day, account=None):
        account = account or self.account
        return self.Evidence.create(
            {
                "partner_id": account.id,
                "company_id": self.company.id,
                "criterion_id": criterion.id,
                "date": day,
                "note": "Seen",
            }
        )

    def test_a_measure_of_another_addon(self):
        """A class and an entry of the selection: nothing else."""

        class Visited(measures.Measure):
            key = "visited"
            label = "Visited often"
            parameters = ("minimum_count",)

            def get_needed(self):
                return self.criterion.minimum_count

            def get_sql(self, scope):
                # in an order, and of types, of its own
                return SQL(
                    """
                    SELECT NULL AS date_lapse, MAX(date_done) AS date,
                           COUNT(*) AS actual, COUNT(*) >= %s AS holds, company_id,
                           partner_id
                      FROM key_account_visit
                     WHERE state = 'done' AND %s
                     GROUP BY partner_id, company_id
                    """,
                    self.get_needed(),
                    scope.among("partner_id"),
                )

        field = self.Criterion._fields["measure"]
        # what selection_add does
        self.patch(field, "selection", [*field.selection, ("visited", "Visited often")])
        self.patch(field, "_selection", dict(field.selection))
        with patch.dict(measures.MEASURES, {"visited": Visited}):
            with Form(self.Criterion.with_user(self.manager)) as form:
                form.name = "Visited"
                form.level = "preferred_supplier"
                form.kind = "automatic"
                form.measure = "visited"
                form.minimum_count = 2
                for name in ("months", "quarters", "minimum_share", "role_ids"):
                    self.assertTrue(form._get_modifier(name, "invisible"), name)
            criterion = form.save()
            criterion.company_id = self.company
            self.assertEqual(criterion.parameter_text, "at least 2")
            refused = self.assertRaisesRegex(ValidationError, "above 0")
            with refused, self.env.cr.savepoint():
                criterion.minimum_count = 0
            refused = self.assertRaisesRegex(ValidationError, "the same as")
            with refused, self.env.cr.savepoint():
                criterion.copy({"level": "partner"})
            self._visit()
            status = self._get_status(criterion)
            self.assertEqual(
                (status["state"], status["actual"], status["date"]),
                ("missing", 1, TODAY),
            )
            rows = self.Status.with_context(key_account_partner_id=self.account.id)
            self.assertEqual(rows.search([]).finding, "1 of 2")
            self.assertEqual(
                self._update().suggested_relationship_level, "transactional"
            )
            self._visit()
            self.assertEqual(
                self._update().suggested_relationship_level, "preferred_supplier"
            )


@tagged("post_install", "-at_install")
class TestLadder(RelationshipCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.preferred = cls._create_criterion(name="They prefer us", months=12)
        cls.partner = cls._create_criterion(
            name="Executives in contact", level="partner", months=12
        )
        cls.alliance = cls._create_criterion(
            name="Alliance", level="strategic_alliance", months=12
        )

    def _record(self, criteria, day=TODAY, account=None):
        return self.Evidence.create(
            [
                {
                    "partner_id": (account or self.account).id,
                    "company_id": self.company.id,
                    "criterion_id": criterion.id,
                    "date": day,
                    "note": "Seen",
                }
                for criterion in criteria
            ]
        )

    def test_default_is_transactional(self):
        card = self._update()
        self.assertEqual(self.account.relationship_level, "transactional")
        self.assertEqual(card.relationship_level, "transactional")
        self.assertEqual(card.suggested_relationship_level, "transactional")
        self.assertFalse(card.relationship_direction)
        self.assertEqual(card.relationship_gap_text, "Missing: They prefer us")
        found = self.env["res.partner"].search(
            [("relationship_level", "=", "transactional")]
        )
        self.assertIn(self.account, found)

    def test_suggested_level(self):
        """Its own and all lower criteria must hold."""
        self._record(self.partner)
        card = self._update()
        self.assertEqual(card.suggested_relationship_level, "transactional")
        self._record(self.preferred)
        card = self._update()
        self.assertEqual(card.suggested_relationship_level, "partner")
        self.assertEqual(card.relationship_direction, "promotion")
        self.assertEqual(card.relationship_gap_text, "Missing: Alliance")
        self.assertEqual(
            self.env["res.partner"].search(
                [("suggested_relationship_level", "=", "partner")]
            ),
            self.account,
        )
        # two on a level
        other = self._create_criterion(name="Contract", level="partner")
        self.assertEqual(
            self._update().suggested_relationship_level, "preferred_supplier"
        )
        other.active = False
        self._record(self.alliance)
        self.assertEqual(
            self._update().suggested_relationship_level, "strategic_alliance"
        )

    def test_level_without_criteria_is_never_suggested(self):
        self.alliance.active = False
        self._record(self.preferred | self.partner)
        self.assertEqual(self._update().suggested_relationship_level, "partner")
        # but doesn't block the ones above
        self.preferred.active = False
        self.assertEqual(self._update().suggested_relationship_level, "partner")

    def test_evidence_counts_at_once(self):
        self._record(self.preferred, clock.get_today(self.company))
        card = self._get_card(self.account)
        self.assertEqual(card.suggested_relationship_level, "preferred_supplier")
        partner = self.account.with_user(self.rep)
        self.assertEqual(partner.suggested_relationship_level, "preferred_supplier")

    def test_contacts_show_the_level(self):
        contact = self._create_contact()
        self.account.relationship_level = "partner"
        self.assertEqual(contact.relationship_level, "partner")
        self.assertEqual(self._create_contact("Bob").relationship_level, "partner")
        contact.parent_id = False
        self.assertEqual(contact.relationship_level, "transactional")

    def test_per_company(self):
        other = self._create_company("Second")
        self.account.relationship_level = "partner"
        elsewhere = self.account.with_company(other)
        self.assertEqual(elsewhere.relationship_level, "transactional")

    def test_history(self):
        # what was created in this transaction isn't tracked before
        self.env.flush_all()
        self.cr.precommit.run()
        account = self.account.with_user(self.rep)
        account.with_context(
            key_account_reason="They said so"
        ).relationship_level = "preferred_supplier"
        self.env.flush_all()
        self.cr.precommit.run()
        # other companies read the chatter
        self.assertFalse(self.account.message_ids.tracking_value_ids)
        change = self.Change.search([("partner_id", "=", self.account.id)])
        self.assertEqual(change.state, "applied")
        self.assertEqual(change.reason, "They said so")
        self.assertEqual(change.user_id, self.rep)
        self.assertEqual(change.direction, "promotion")
        groups = self.Change.formatted_read_group(
            [("partner_id", "=", self.account.id)],
            ["date:month", "partner_id"],
            ["level_number:max"],
        )
        self.assertEqual(groups[0]["level_number:max"], 2)

    def test_leads_follow(self):
        lead = self.env["crm.lead"].create(
            {
                "name": "Deal",
                "partner_id": self._create_contact().id,
                "company_id": self.company.id,
            }
        )
        alone = self.env["crm.lead"].create(
            {"name": "Prospect", "company_id": self.company.id}
        )
        self.assertEqual(lead.relationship_level, "transactional")
        self.account.relationship_level = "partner"
        self.assertEqual(lead.relationship_level, "partner")
        self.assertEqual(alone.relationship_level, "transactional")
        groups = self.env["crm.lead"].formatted_read_group(
            [("id", "in", (lead | alone).ids)], ["relationship_level"], ["__count"]
        )
        self.assertEqual(len(groups), 2)

    def test_grouping(self):
        self.account.relationship_level = "partner"
        for model, domain in (
            ("res.partner", [("id", "=", self.account.id)]),
            ("key.account", [("partner_id", "=", self.account.id)]),
        ):
            groups = self.env[model].formatted_read_group(
                domain, ["relationship_level"], ["__count"]
            )
            self.assertEqual(groups[0]["relationship_level"], "partner", model)

    # -------------------------------------------------------------------------
    # Rights
    # -------------------------------------------------------------------------

    def test_rep_sets_up_to_preferred(self):
        account = self.account.with_user(self.rep)
        account.relationship_level = "preferred_supplier"
        account.relationship_level = "transactional"
        with self.assertRaises(AccessError):
            account.relationship_level = "partner"
        self.assertEqual(self.account.relationship_level, "transactional")
        # nor back from a level that somebody decided on
        self.account.relationship_level = "partner"
        with self.assertRaises(AccessError):
            account.relationship_level = "preferred_supplier"

    def test_rep_and_other_accounts(self):
        with self.assertRaises(AccessError):
            self.account.with_user(self.rep2).relationship_level = "preferred_supplier"
        self.account.user_id = False
        self.account.with_user(self.rep2).relationship_level = "preferred_supplier"
        self.account.user_id = self.rep
        self.account.with_user(self.leader).relationship_level = "transactional"
        with self.assertRaises(AccessError):
            self.account.with_user(self.leader).relationship_level = "partner"
        self.account.with_user(self.manager).relationship_level = "partner"

    def test_dialogs_of_others_accounts_do_not_open(self):
        """What would be typed there couldn't be kept."""
        account = self.account.with_user(self.rep2)
        for action in (
            "action_change_relationship_level",
            "action_open_key_account_loss",
        ):
            with self.assertRaises(AccessError):
                getattr(account, action)()
            for user in (self.rep, self.leader):
                self.assertTrue(getattr(self.account.with_user(user), action)())

    def test_nobody_else(self):
        internal = self._create_user("ka_internal2", "base.group_partner_manager")
        with self.assertRaises(AccessError):
            self.account.with_user(internal).relationship_level = "preferred_supplier"
        with self.assertRaises(AccessError):
            self.account.with_user(internal).read(["relationship_level"])
        # creating customers is not affected by the default
        partner = self.env["res.partner"].with_user(internal).create({"name": "New"})
        self.assertEqual(partner.sudo().relationship_level, "transactional")

    def test_create_with_level(self):
        Partner = self.env["res.partner"].with_user(self.rep)
        partner = Partner.create(
            {"name": "New", "relationship_level": "preferred_supplier"}
        )
        self.assertTrue(self.Change.search([("partner_id", "=", partner.id)]))
        with self.assertRaises(AccessError):
            Partner.create({"name": "New", "relationship_level": "partner"})
        with self.assertRaises(AccessError):
            Partner.with_context(default_relationship_level="partner").create(
                {"name": "New"}
            )
        with self.assertRaises(AccessError):
            Partner.create(
                {
                    "name": "New",
                    "user_id": self.rep2.id,
                    "relationship_level": "preferred_supplier",
                }
            )

    def test_contacts_are_refused(self):
        contact = self._create_contact().with_user(self.rep)
        with self.assertRaises(ValidationError):
            contact.relationship_level = "preferred_supplier"

    # -------------------------------------------------------------------------
    # Proposals
    # -------------------------------------------------------------------------

    def _propose(self, level="partner", user=None, account=None):
        account = account or self.account
        action = account.with_user(user or self.rep).action_change_relationship_level()
        with Form(
            self.env[action["res_model"]]
            .with_user(user or self.rep)
            .with_context(**action["context"])
        ) as form:
            form.level = level
            form.reason = "Contract signed"
        wizard = form.record
        wizard.action_set()
        return self.Change.search(
            [("partner_id", "=", account.id), ("state", "=", "proposed")]
        )

    def test_propose_and_approve(self):
        change = self._propose()
        self.assertEqual(self.account.relationship_level, "transactional")
        self.assertEqual(change.proposed_user_id, self.rep)
        self.assertEqual(change.gap_text, "Missing: They prefer us")
        with self.assertRaises(AccessError):
            change.with_user(self.rep).action_apply()
        with self.assertRaises(AccessError):
            change.with_user(self.leader).action_apply()
        change.with_user(self.manager).action_apply("Well done")
        self.assertEqual(self.account.relationship_level, "partner")
        self.assertEqual(change.state, "applied")
        self.assertEqual(change.user_id, self.manager)
        self.assertEqual(
            self.Change.search_count([("partner_id", "=", self.account.id)]), 1
        )
        with self.assertRaises(UserError):
            change.with_user(self.manager).action_apply()

    def test_reject_needs_a_reason(self):
        change = self._propose()
        with self.assertRaises(UserError):
            change.with_user(self.manager).action_reject(" ")
        action = change.with_user(self.manager).action_open_reject()
        wizard = (
            self.env[action["res_model"]]
            .with_user(self.manager)
            .with_context(**action["context"])
            .create({"note": "Not yet"})
        )
        wizard.action_decide()
        self.assertEqual(change.state, "rejected")
        self.assertEqual(change.note, "Not yet")
        self.assertEqual(self.account.relationship_level, "transactional")

    def test_one_proposal_at_a_time(self):
        self._propose()
        with self.assertRaises(UserError):
            self._propose("strategic_alliance")
        # a level set by hand settles it
        self.account.with_user(self.manager).relationship_level = "strategic_alliance"
        states = self.Change.search([("partner_id", "=", self.account.id)]).mapped(
            "state"
        )
        self.assertEqual(sorted(states), ["applied", "rejected"])

    def test_propose_on_own_accounts_only(self):
        with self.assertRaises(AccessError):
            self._propose(user=self.rep2)
        # nor look through the dialog
        self._record(self.preferred, clock.get_today(self.company))
        Wizard = self.env["key.account.relationship.set"]
        vals = {"partner_id": self.account.id, "level": "partner", "reason": "x"}
        own = Wizard.with_user(self.rep).create(vals)
        self.assertEqual(own.suggested_level, "preferred_supplier")
        other = Wizard.with_user(self.rep2).create(vals)
        self.assertEqual(other.suggested_level, "transactional")
        self.assertFalse(other.gap_text)
        with self.assertRaises(AccessError):
            own.with_user(self.rep2).read(["reason"])

    def test_wizard_sets_what_is_free(self):
        change = self._propose("preferred_supplier")
        self.assertFalse(change)
        self.assertEqual(self.account.relationship_level, "preferred_supplier")
        with self.assertRaises(UserError):
            self._propose("preferred_supplier")

    def test_lapsed_evidence_proposes(self):
        self._record(self.preferred, date(2025, 3, 19))
        self._record(self.partner, date(2025, 6, 1))
        self.account.relationship_level = "partner"
        self._update()
        self.assertFalse(self._get_proposal())
        card = self._update(date(2026, 3, 19))
        self.assertEqual(self.account.relationship_level, "partner")
        self.assertEqual(card.relationship_direction, "demotion")
        proposal = self._get_proposal()
        self.assertEqual(proposal.to_level, "transactional")
        self.assertEqual(proposal.direction, "demotion")
        self.assertFalse(proposal.proposed_user_id)
        self.assertEqual(proposal.gap_text, "Lapsed: They prefer us (Mar 19)")
        # the next night neither doubles nor drops it
        self._update(date(2026, 3, 20))
        self.assertEqual(self._get_proposal(), proposal)
        # renewed evidence withdraws it
        self._record(self.preferred, date(2026, 3, 21))
        self._update(date(2026, 3, 21))
        self.assertEqual(proposal.state, "rejected")
        self.assertFalse(self._get_proposal())

    def test_evidence_that_falls_without_a_date(self):
        """The only champion leaves: nothing lapsed on a day, and yet it was true."""
        self._create_criterion("supporters", name="Champion")
        contact = self._create_contact(stance="champion")
        self._record(self.preferred)
        self._update()
        self.account.relationship_level = "preferred_supplier"
        self._update()
        self.assertFalse(self._get_proposal())
        contact.active = False
        self._update()
        proposal = self._get_proposal()
        self.assertEqual(proposal.to_level, "transactional")
        self.assertEqual(proposal.gap_text, "Missing: Champion")
        # it stays until the evidence is back
        self._update(TODAY + relativedelta(days=1))
        self.assertEqual(self._get_proposal(), proposal)
        contact.active = True
        self._update(TODAY + relativedelta(days=2))
        self.assertFalse(self._get_proposal())

    def test_setting_a_level_is_no_rejection(self):
        self._record(self.preferred | self.partner, date(2025, 4, 1))
        self.account.relationship_level = "partner"
        self._update()
        proposal = self._get_proposal()
        self._update(date(2026, 4, 1))
        proposal = self._get_proposal()
        self.assertEqual(proposal.to_level, "transactional")
        self.account.with_user(self.manager).relationship_level = "preferred_supplier"
        self.assertEqual(proposal.state, "rejected")
        self.assertFalse(proposal.user_id)
        self._update(date(2026, 4, 2))
        proposal = self._get_proposal()
        self.assertEqual(proposal.to_level, "transactional")
        # the proposed level itself is what was proposed, applied
        self.account.with_user(self.manager).relationship_level = "transactional"
        self.assertEqual(proposal.state, "applied")
        self.assertEqual(proposal.user_id, self.manager)

    def test_contacts_and_lost_accounts_propose_nothing(self):
        self._record(self.preferred, date(2025, 4, 1))
        self.account.relationship_level = "preferred_supplier"
        self._update(date(2026, 4, 1))
        proposal = self._get_proposal()
        self.env["key.account.loss"].create(
            {
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "reason_id": self.env.ref("crm_key_account.churn_reason_price").id,
                "date": date(2026, 4, 1),
            }
        )
        card = self._update(date(2026, 4, 1))
        self.assertEqual(proposal.state, "rejected")
        self.assertFalse(card.relationship_direction)
        self.account.action_key_account_return()
        self._update(date(2026, 4, 1))
        proposal = self._get_proposal()
        self.assertTrue(proposal)
        # bought by another customer
        parent = self._create_partner("Parent")
        parent.relationship_level = "partner"
        self.account.write({"parent_id": parent.id, "is_company": False})
        self.assertEqual(proposal.state, "rejected")
        evidence = self.Evidence.search([("criterion_id", "=", self.preferred.id)])
        self.assertEqual(evidence.partner_id, parent)
        card = self._update(date(2026, 4, 1))
        self.assertFalse(card.relationship_direction)
        self.assertFalse(self._get_proposal())

    def test_private_default_changes_nothing(self):
        self.env["ir.default"].set(
            "res.partner", "relationship_level", "partner", user_id=self.manager.id
        )
        cards = self.Card.with_user(self.manager)
        cards.sudo()._update_relationships(self.company, today=TODAY)
        card = self._get_card(self.account)
        self.assertEqual(card.relationship_level, "transactional")

    def test_many_at_once(self):
        """As many queries for one account as for ten."""

        def create(number):
            self.env.flush_all()
            before = self.cr.sql_log_count
            partners = self.env["res.partner"].create(
                [
                    {
                        "name": f"Account {n}",
                        "is_company": True,
                        "relationship_level": "preferred_supplier",
                    }
                    for n in range(number)
                ]
            )
            self.env.flush_all()
            return partners, self.cr.sql_log_count - before

        create(1)
        one, count_one = create(1)
        ten, count_ten = create(10)
        # core's own part grows a little with the number of records
        self.assertLess(count_ten, count_one + 10)
        self._record(self.preferred, account=one)
        for partner in ten:
            self._record(self.preferred, account=partner)
        (one | ten).write({"relationship_level": "transactional"})
        self._update()

        def accept(partners):
            cards = self.Card.search([("partner_id", "in", partners.ids)])
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            cards.action_accept_level()
            self.env.flush_all()
            return self.cr.sql_log_count - before

        count_one = accept(one)
        self.assertLess(accept(ten), count_one + 20)
        self.assertEqual(set(ten.mapped("relationship_level")), {"preferred_supplier"})

    def test_history_over_time(self):
        """The level at the end of each month; what was rejected never was."""
        self.Change.create(
            [
                {
                    "partner_id": self.account.id,
                    "company_id": self.company.id,
                    "to_level": level,
                    "state": state,
                    "date": day,
                }
                for level, state, day in (
                    ("preferred_supplier", "applied", date(2026, 1, 31)),
                    ("strategic_alliance", "rejected", date(2026, 2, 10)),
                    ("partner", "applied", date(2026, 4, 1)),
                    ("transactional", "applied", date(2026, 4, 1)),
                )
            ]
        )
        self.env.flush_all()
        History = self.env["key.account.relationship.history"].with_user(self.rep)
        with freeze_time("2026-05-20"):
            rows = History.search([("partner_id", "=", self.account.id)], order="month")
            self.assertEqual(
                [(str(row.month)[:7], row.level) for row in rows],
                [
                    ("2026-01", "preferred_supplier"),
                    ("2026-02", "preferred_supplier"),
                    ("2026-03", "preferred_supplier"),
                    ("2026-04", "transactional"),
                    ("2026-05", "transactional"),
                ],
            )
            action = self.account.with_user(self.rep).action_view_relationship_history()
            self.assertEqual(History.search_count(action["domain"]), 5)
            other = History.with_user(self.rep2)
            self.assertFalse(other.search([("partner_id", "=", self.account.id)]))

    def test_rep_accepts_a_demotion(self):
        """The rep's proposal takes the place of that of the evidence."""
        self._record(self.preferred | self.partner, date(2025, 4, 1))
        self.account.relationship_level = "partner"
        card = self._update(date(2026, 4, 1)).with_user(self.rep)
        proposal = self._get_proposal()
        card.action_accept_level()
        self.assertEqual(proposal.state, "rejected")
        self.assertFalse(proposal.user_id)
        proposal = self._get_proposal()
        self.assertEqual(proposal.proposed_user_id, self.rep)
        self.assertEqual(proposal.to_level, "transactional")
        self.assertIn("They prefer us", proposal.reason)
        with self.assertRaises(UserError):
            card.action_accept_level()

    def test_approved_against_lapsed_evidence(self):
        """Who knew what had lapsed isn't asked again the same night."""
        self._record(self.preferred, date(2025, 1, 1))
        self._propose("partner")
        self._get_proposal().with_user(self.manager).action_apply("Still")
        self.assertFalse(self._get_proposal())
        self._update(clock.get_today(self.company))
        self.assertFalse(self._get_proposal())

    def test_rejected_demotion_keeps_quiet(self):
        self._record(self.preferred, date(2025, 1, 1))
        self.account.relationship_level = "preferred_supplier"
        self._update()
        proposal = self._get_proposal()
        proposal.with_user(self.manager).action_reject("They are fine")
        day = proposal.date
        self._update(day + relativedelta(days=89))
        self.assertFalse(self._get_proposal())
        self._update(day + relativedelta(days=90))
        self.assertTrue(self._get_proposal())

    def test_missing_evidence_proposes_nothing(self):
        """Whoever set the level knows why: only what was true and isn't any more."""
        self.account.relationship_level = "partner"
        card = self._update()
        self.assertEqual(card.relationship_direction, "demotion")
        self.assertFalse(self._get_proposal())

    def test_nightly_run(self):
        self._record(self.preferred, date(2025, 1, 1))
        self.account.relationship_level = "preferred_supplier"
        self.Change.search([("state", "=", "proposed")]).action_reject("x")
        self.Change.search([]).write({"date": date(2025, 1, 1)})
        with self.enter_registry_test_mode():
            self.env.ref("crm_key_account.ir_cron_tiering").method_direct_trigger()
        self.assertTrue(self._get_proposal())

    def _get_proposal(self):
        self.env.invalidate_all()
        return self.Change.search(
            [("partner_id", "=", self.account.id), ("state", "=", "proposed")]
        )

    def test_accept_from_the_list(self):
        self._record(self.preferred)
        card = self._update().with_user(self.rep)
        card.action_accept_level()
        self.assertEqual(self.account.relationship_level, "preferred_supplier")
        self._record(self.partner)
        card = self._update().with_user(self.rep)
        card.action_accept_level()
        self.assertEqual(self._get_proposal().to_level, "partner")

    # -------------------------------------------------------------------------
    # Evidence
    # -------------------------------------------------------------------------

    def test_status_report(self):
        self._record(self.preferred, clock.get_today(self.company))
        action = self.account.with_user(self.rep).action_view_relationship_evidence()
        rows = self.Status.with_user(self.rep).search(action["domain"])
        self.assertEqual(
            rows.criterion_id, self.preferred | self.partner | self.alliance
        )
        self.assertEqual(rows.mapped("state"), ["holds", "missing", "missing"])
        self.assertEqual(rows[0].finding, "Seen")
        action = rows[1].action_confirm()
        with Form(
            self.Evidence.with_user(self.rep).with_context(**action["context"])
        ) as form:
            form.note = "Met their board"
        self.assertEqual(form.record.user_id, self.rep)
        self.assertEqual(
            self._get_card(self.account).suggested_relationship_level, "partner"
        )
        rows.invalidate_recordset()
        rows[0].action_withdraw()
        self.assertEqual(
            self._get_card(self.account).suggested_relationship_level, "transactional"
        )
        colleague = self.Status.with_user(self.rep2)
        self.assertFalse(colleague.search([("partner_id", "=", self.account.id)]))

    def test_evidence_rights(self):
        vals = {
            "partner_id": self.account.id,
            "criterion_id": self.preferred.id,
            "note": "Seen",
        }
        Evidence = self.Evidence
        evidence = Evidence.with_user(self.rep).create(
            {**vals, "user_id": self.rep2.id}
        )
        self.assertEqual(evidence.user_id, self.rep)
        with self.assertRaises(AccessError):
            Evidence.with_user(self.rep2).create(vals)
        with self.assertRaises(AccessError):
            evidence.with_user(self.rep).note = "Changed"
        with self.assertRaises(AccessError):
            evidence.with_user(self.rep).unlink()
        with self.assertRaises(AccessError):
            evidence.with_user(self.rep2).action_withdraw()
        evidence.with_user(self.leader).action_withdraw()
        self.assertEqual(evidence.withdrawn_user_id, self.leader)
        with self.assertRaises(UserError):
            evidence.with_user(self.leader).action_withdraw()
        internal = self._create_user("ka_internal3", "base.group_user")
        for model in (Evidence, self.Status, self.Change, self.Criterion):
            with self.assertRaises(AccessError):
                model.with_user(internal).search([])

    def test_bad_evidence(self):
        today = clock.get_today(self.company)
        vals = {
            "partner_id": self.account.id,
            "criterion_id": self.preferred.id,
            "note": "Seen",
        }
        with self.assertRaisesRegex(ValidationError, "in the future"):
            self.Evidence.create({**vals, "date": today + relativedelta(days=2)})
        automatic = self._create_criterion("executive_meeting")
        with self.assertRaisesRegex(ValidationError, "read off the data"):
            self.Evidence.create({**vals, "criterion_id": automatic.id})
        with self.assertRaisesRegex(ValidationError, "“Note” says nothing"):
            self.Evidence.create({**vals, "note": "  "})
        other = self._create_company("Third")
        self.partner.company_id = other
        with self.assertRaisesRegex(ValidationError, "of this company"):
            self.Evidence.create({**vals, "criterion_id": self.partner.id})

    # -------------------------------------------------------------------------
    # Criteria
    # -------------------------------------------------------------------------

    def test_bad_criteria(self):
        for measure, values in (
            ("executive_meeting", {"months": 0}),
            ("levels_met", {"months": -1}),
            ("levels_met", {"months": 1201}),
            ("contacts_met", {"minimum_count": 0}),
            ("supporters", {"minimum_count": 0}),
            ("orders_quarters", {"quarters": 0}),
            ("won_share", {"minimum_share": 0}),
            ("won_share", {"minimum_share": 101}),
            ("coverage", {"minimum_share": 0}),
            (None, {"months": 0}),
        ):
            with self.subTest(measure=measure, **values):
                with self.assertRaises(ValidationError):
                    self._create_criterion(measure, **values)
        with self.assertRaisesRegex(ValidationError, "choose what it measures"):
            self._create_criterion(None, kind="automatic")
        with self.assertRaisesRegex(ValidationError, "choose what it measures"):
            self.Criterion.create(
                [
                    {"name": name, "level": "partner", "kind": "automatic"}
                    for name in ("One", "Two")
                ]
            )
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            self._create_criterion(None, level=False, name="No level")
        with self.assertRaises(ValueError):
            self._create_criterion(None, level="transactional", name="Low")

    def test_duplicate_criteria(self):
        self._create_criterion("contacts_met", minimum_count=2)
        with self.assertRaises(ValidationError):
            self._create_criterion("contacts_met", level="partner", minimum_count=2)
        other = self._create_criterion("contacts_met", level="partner", minimum_count=3)
        with self.assertRaises(ValidationError):
            other.minimum_count = 2
        other.minimum_count = 3  # the refused value is still in the cache
        # a shared one meets those of every company
        with self.assertRaises(ValidationError):
            self._create_criterion("contacts_met", minimum_count=3, company_id=False)
        elsewhere = self._create_company("Elsewhere")
        self._create_criterion("contacts_met", minimum_count=3, company_id=elsewhere.id)
        with self.assertRaises(ValidationError):
            self._create_criterion(name="they PREFER us ", level="partner")
        with self.assertRaises(ValidationError):
            self.partner.name = "Alliance"

    def test_criterion_with_evidence_stays(self):
        self._record(self.preferred)
        with self.assertRaises(UserError):
            self.preferred.unlink()
        self.preferred.active = False
        self.alliance.unlink()

    def test_renamed_criterion(self):
        card = self._update()
        self.assertEqual(card.relationship_gap_text, "Missing: They prefer us")
        self.preferred.name = "They like us"
        card.invalidate_recordset()
        self.assertEqual(card.relationship_gap_text, "Missing: They like us")

    def test_tried_criterion(self):
        """What is tried with criteria is forgotten with the trial."""
        kept = self._create_criterion(name="Kept")
        known = self.Criterion._get_criteria(self.company)
        with trial(self.env):
            kept.name = "Tried"
            tried = self._create_criterion(name="New")
            self.assertEqual(self.Criterion._get_criteria(self.company), known | tried)
            self.assertEqual(self.Criterion._get_names()[kept.id], "Tried")
        self.assertEqual(self.Criterion._get_criteria(self.company), known)
        self.assertEqual(self.Criterion._get_names()[kept.id], "Kept")

    def test_set_based(self):
        """One account or many: the same number of statements."""
        accounts = self.env["res.partner"].create(
            [{"name": f"Account {n}", "is_company": True} for n in range(50)]
        )
        self.Card._ensure(accounts.ids, self.company)
        self._create_criterion("orders_quarters")
        self.env.flush_all()

        def count(partners):
            before = self.cr.sql_log_count
            self.Card._update_relationships(self.company, partners.ids, TODAY)
            return self.cr.sql_log_count - before

        count(accounts)
        self.env.flush_all()
        self.assertEqual(count(accounts[:1]), count(accounts))

    def test_merge(self):
        """The proposal and the level of the account that stays."""
        source = self._create_partner("Kestrel Ltd", user_id=self.rep2.id)
        self._propose()
        self._propose(account=source, user=self.rep2)
        evidence = self._record(self.preferred, account=source)
        self.env["base.partner.merge.automatic.wizard"]._merge(
            (self.account | source).ids, self.account
        )
        self.assertEqual(evidence.partner_id, self.account)
        self.assertEqual(evidence.partner_user_id, self.rep)
        changes = self.Change.search([("partner_id", "=", self.account.id)])
        self.assertEqual(sorted(changes.mapped("state")), ["proposed", "rejected"])


@tagged("post_install", "-at_install")
class TestExecutive(RelationshipCommon):
    """The ladder decides on cadences, executives go where it has come far."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["key.account.cadence"].create(
            [
                {
                    "company_id": cls.company.id,
                    "relationship_level": "partner",
                    "track": "executive",
                    "interval_unit": "month",
                },
                {"company_id": cls.company.id, "tier_id": cls.tier_a.id},
            ]
        )
        cls.boss = cls._create_user("ka_boss", SALES)
        cls._set_tier(cls.account, cls.tier_a)

    def test_level_plans_executive_visit(self):
        self.Visit._generate(self.account)
        self.assertFalse(self._get_planned(self.account, "executive"))
        self.account.relationship_level = "partner"
        visit = self._get_planned(self.account, "executive")
        self.assertEqual(visit.user_id, self.leader)
        self.assertEqual(visit.relationship_level, "partner")
        self.assertTrue(visit.activity_id)
        # back: what the level asked for goes
        self.account.relationship_level = "transactional"
        self.assertEqual(visit.state, "cancelled")
        self.assertIn("Partner", visit.close_reason)
        self.assertFalse(self._get_planned(self.account, "executive"))

    def test_sponsor(self):
        self.account.executive_sponsor_id = self.boss
        self.account.relationship_level = "partner"
        visit = self._get_planned(self.account, "executive")
        self.assertEqual(visit.user_id, self.boss)
        self.assertEqual(visit.activity_id.user_id, self.boss)
        # the sponsor changes, leaves, is taken away
        self.account.executive_sponsor_id = self.manager
        self.assertEqual(visit.user_id, self.manager)
        self.account.executive_sponsor_id = self.boss
        self.boss.active = False
        self.assertEqual(visit.user_id, self.leader)
        self.account.executive_sponsor_id = False
        self.assertEqual(visit.user_id, self.leader)
        visit.action_done()
        following = self._get_planned(self.account, "executive")
        self.assertEqual(following.user_id, self.leader)

    def test_nobody_to_send(self):
        self.team.user_id = False
        self.account.relationship_level = "partner"
        self.assertFalse(self._get_planned(self.account, "executive").user_id)

    def test_sponsor_rights(self):
        with self.assertRaises(AccessError):
            self.account.with_user(self.rep2).executive_sponsor_id = self.boss
        self.account.with_user(self.rep).executive_sponsor_id = self.boss
        stranger = self._create_user(
            "ka_stranger", SALES, company=self._create_company("Fourth")
        )
        with self.assertRaisesRegex(ValidationError, "doesn't work for"):
            self.account.executive_sponsor_id = stranger

    def test_first_matching_line(self):
        lines = self.env["key.account.cadence"]._get_lines(self.company)
        self.assertEqual(
            lines._match(self.tier_b.id, "executive", level="partner").interval_unit,
            "month",
        )
        self.assertFalse(lines._match(self.tier_b.id, "executive"))
        self.assertIn("Partner", lines[0].display_name)

    def test_tier_line_before_level_line(self):
        self.env["key.account.cadence"].create(
            {
                "company_id": self.company.id,
                "sequence": 1,
                "tier_id": self.tier_a.id,
                "relationship_level": "partner",
                "interval_unit": "day",
                "interval_count": 3,
            }
        )
        self.env["key.account.planner"]._plan_now(self.account, self.company)
        visit = self._get_planned(self.account)
        self.assertEqual(visit.cadence_id.interval_unit, "week")
        self.account.relationship_level = "partner"
        self.assertEqual(
            self._get_planned(self.account).cadence_id.interval_unit, "day"
        )
