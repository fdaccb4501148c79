from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import SUPERUSER_ID, Command, api, fields
from odoo.modules.registry import Registry
from odoo.tests import BaseCase, get_db_name, tagged

from ...models.tiering.measure import Measurement
from ...models.tiering.touched import get_touched, note_run
from ..common import TODAY, KeyAccountCommon

TABLES = ("account_move", "sale_order", "crm_lead", "res_partner", "key_account_visit")


@tagged("post_install", "-at_install")
class TestIncremental(KeyAccountCommon):
    """A night measures what can have changed: with the result of measuring all."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.key_account_planning = False
        cls.partners = cls.env["res.partner"].union(
            *(cls._create_partner(f"Customer {number}") for number in range(8))
        )
        year = relativedelta(months=12)
        cls.moves = cls._create_invoices(
            [
                (partner, 1000 - 100 * number, TODAY - timedelta(days=number))
                for number, partner in enumerate(cls.partners[:7])
            ]
            # leaves the window in two days, and comes into it tomorrow
            + [
                (cls.partners[1], 4000, TODAY - year + timedelta(days=2)),
                (cls.partners[2], 3000, TODAY + timedelta(days=1)),
                (cls.partners[3], 2000, TODAY - 2 * year + timedelta(days=2)),
            ]
        )
        cls.leads = cls.env["crm.lead"].create(
            [
                {
                    "name": "Deal",
                    "type": "opportunity",
                    "partner_id": partner.id,
                    "company_id": cls.company.id,
                    "expected_revenue": 100 * number,
                }
                for number, partner in enumerate(cls.partners[4:7], start=1)
            ]
        )
        cls.contact = cls.env["res.partner"].create(
            {
                "name": "Ann",
                "parent_id": cls.partners[0].id,
                "decision_level": "top",
                "stance": "champion",
            }
        )
        cls.tier_a.write({"cell_ids": [Command.create({"decision_level": "top"})]})
        cls.criterion = cls.env["key.account.relationship.criterion"].search(
            [("kind", "=", "judged")], limit=1
        )
        cls.policy._run(TODAY)
        cls._age()

    @classmethod
    def _age(cls):
        """Nothing was written lately."""
        cls.env.flush_all()
        for table in TABLES:
            cls.cr.execute(f"UPDATE {table} SET write_date = '2026-01-01'")
        cls.env.invalidate_all()

    def _get_rows(self):
        self.env.flush_all()
        self.cr.execute(
            "SELECT * FROM key_account WHERE company_id = %s ORDER BY partner_id",
            [self.company.id],
        )
        return [dict(row) for row in self.cr.dictfetchall()]

    def _get_touched_ids(self, day):
        """Return whom a night looks at; None: everybody."""
        touched = get_touched(self.policy, self.company, day)
        if touched is None:
            return None
        self.assertLessEqual(set(touched.measured), set(touched.related))
        return touched.related

    def _run_night(self, days=1):
        return self.policy._run_companies(
            self.company, TODAY + timedelta(days=days), incremental=True
        )

    def _check(self, touched, days=1):
        """Run a night, and look whether the run of all finds anything else to write.

        :param touched: whom the night has to measure at least; nobody: nobody else
        """
        day = TODAY + timedelta(days=days)
        ids = self._get_touched_ids(day)
        found = self.env["res.partner"].browse(ids) & self.partners
        # core writes to the next invoice of a sequence as well
        self.assertEqual(found & touched, touched)
        if not touched:
            self.assertFalse(found)
        self._run_night(days)
        rows = self._get_rows()
        with self.cr.savepoint() as savepoint:
            # or a run of all would measure how those trade that changed
            self.company.key_account_full_run_date = False
            self.assertFalse(self.policy._run(day))
            self.assertEqual(self._get_rows(), rows)
            savepoint.rollback()
        self.env.invalidate_all()

    def test_nothing_happened(self):
        self._check(self.partners.browse(), days=0)

    def test_trade_of_those_that_changed(self):
        """A run of all measures how those trade that changed; a week after it was
        measured of everybody, of everybody."""
        self.env["account.move.line"].flush_model()
        self.cr.execute(
            """
            UPDATE account_move_line SET discount = 20
             WHERE display_type = 'product' AND partner_id = ANY(%s)
            """,
            [self.partners[:1].ids + self.partners[6:7].ids],
        )
        self.env.invalidate_all()
        self._create_invoices([(self.partners[6], 100, TODAY)])
        self.policy._run(TODAY)
        self.assertEqual(self._get_card(self.partners[0]).discount_rate, 0)
        self.assertGreater(self._get_card(self.partners[6]).discount_rate, 0)
        for days, rate in ((6, 0), (7, 20)):
            self.policy._run(TODAY + timedelta(days=days))
            self.assertEqual(self._get_card(self.partners[0]).discount_rate, rate)

    def test_time_passes(self):
        self._check(self.partners[2])
        ids = self._get_touched_ids(TODAY + timedelta(days=2))
        self.assertEqual(set(ids), set((self.partners[1] | self.partners[3]).ids))
        self._check(self.partners[1] | self.partners[3], days=2)
        self._check(self.partners.browse(), days=3)

    def test_invoices(self):
        new = self._create_partner("New")
        for rows in (
            [(self.partners[6], 9000, TODAY)],
            [(self.partners[0], 800, TODAY, {"move_type": "out_refund"})],
            [(new, 700, TODAY)],
        ):
            self._age()
            self._create_invoices(rows)
            touched = self.partners & rows[0][0]
            self._check(touched, days=0)
        self._age()
        self.moves[0].button_draft()
        self._check(self.partners[0], days=0)
        self._age()
        self.moves[0].button_cancel()
        self._check(self.partners[0], days=0)
        self.assertEqual(self._get_card(self.partners[0]).revenue, -800)

    def test_payments(self):
        """What is paid, undone, overdue for another day, and the first one of all."""

        def pay(move):
            self.env["account.payment.register"].with_context(
                active_model="account.move", active_ids=move.ids
            ).create({"payment_date": TODAY}).action_create_payments()

        self._create_invoices(
            [(self.partners[4], 9, TODAY, {"invoice_date_due": TODAY})]
        )
        pay(self.moves[0])
        self.env.flush_all()
        # from now on the others look overdue
        self.assertIsNone(self._get_touched_ids(TODAY))
        self.policy._run(TODAY)
        self._age()
        pay(self.moves[2])
        self._check(self.partners[2], days=0)
        self._age()
        self.moves[2].line_ids.remove_move_reconcile()
        self._check(self.partners[2], days=0)
        self._age()
        before = self._get_card(self.partners[4]).days_late
        self._check(self.partners[2])
        self.assertEqual(self._get_card(self.partners[4]).days_late, before + 1)

    def test_a_quarter_ends(self):
        """That says nothing about figures, and something about the relationship."""
        criteria = self.env["key.account.relationship.criterion"]
        criteria.search([]).active = False
        criteria.create(
            {
                "name": "Buys all year",
                "level": "preferred_supplier",
                "kind": "automatic",
                "measure": "orders_quarters",
                "quarters": 2,
                "company_id": self.company.id,
            }
        )
        partner = self.partners[5]
        day = TODAY + timedelta(days=3)
        self._create_invoices([(partner, 10, day - relativedelta(months=6))])
        self.policy._run(TODAY)
        self._age()
        card = self._get_card(partner)
        self.assertEqual(card.suggested_relationship_level, "preferred_supplier")
        touched = get_touched(self.policy, self.company, day)
        self.assertNotIn(partner.id, touched.measured)
        self.assertIn(partner.id, touched.related)
        self._check(self.partners[1] | self.partners[3] | partner, days=3)
        card = self._get_card(partner)
        self.assertEqual(card.suggested_relationship_level, "transactional")

    def test_closed_leads_leave_the_window(self):
        won = self.leads[0]
        won.action_set_won()
        won.date_closed = TODAY - relativedelta(months=12) + timedelta(days=3)
        self.policy._run(TODAY)
        self.assertEqual(self._get_card(self.partners[4]).win_rate, 100)
        self._age()
        self._check(self.partners[4], days=3)
        self.assertEqual(self._get_card(self.partners[4]).win_rate, 0)

    def test_leads(self):
        self.leads[0].expected_revenue = 5000
        self._check(self.partners[4], days=0)
        self._age()
        # of these no trace is left at the first customer
        self.leads[0].partner_id = self.partners[7]
        self._check(self.partners[4] | self.partners[7], days=0)
        self._age()
        self.leads[1].unlink()
        self._check(self.partners[5], days=0)

    def test_documents_that_leave(self):
        """A contact goes elsewhere and leaves its invoices, an invoice goes to another
        customer."""
        self._create_invoices([(self.contact, 5000, TODAY)])
        self.policy._run(TODAY)
        self._age()
        self.contact.parent_id = self.partners[7]
        self._check(self.partners[0] | self.partners[7], days=0)
        revenues = [self._get_card(self.partners[n]).revenue for n in (0, 7)]
        self.assertEqual(revenues, [6000, 0])
        self._age()
        self.moves[5].button_draft()
        self.moves[5].partner_id = self.partners[6]
        self.moves[5].action_post()
        self._check(self.partners[5] | self.partners[6], days=0)

    def test_who_leaves_on_a_day_to_come(self):
        self.contact.left_company_date = TODAY + timedelta(days=3)
        self.Visit.create(
            {
                "partner_id": self.partners[0].id,
                "track": "visit",
                "state": "done",
                "date_done": TODAY,
                "contact_ids": [Command.set(self.contact.ids)],
            }
        )
        self.policy._run(TODAY)
        self._age()
        self.assertEqual(self._get_card(self.partners[0]).coverage, 100)
        self._check(self.partners[0], days=3)
        self.assertEqual(self._get_card(self.partners[0]).coverage, 0)

    def test_orders(self):
        self.policy.revenue_basis = "ordered"
        self.policy._run(TODAY)
        order = self.env["sale.order"].create(
            {
                "partner_id": self.partners[7].id,
                "company_id": self.company.id,
                "order_line": [
                    Command.create({"product_id": self.product.id, "price_unit": 999})
                ],
            }
        )
        self._age()
        order.action_confirm()
        order.date_order = f"{TODAY} 09:00:00"
        self._check(self.partners[7], days=0)
        self.assertEqual(self._get_card(self.partners[7]).revenue, 999)

    def test_meetings_and_evidence_lapse(self):
        self.Visit.create(
            {
                "partner_id": self.partners[0].id,
                "track": "visit",
                "state": "done",
                "date_done": TODAY,
                "contact_ids": [Command.set(self.contact.ids)],
            }
        )
        self.env["key.account.relationship.evidence"].create(
            {
                "partner_id": self.partners[0].id,
                "criterion_id": self.criterion.id,
                "date": TODAY,
                "note": "Seen",
            }
        )
        self.policy._run(TODAY)
        self._age()
        self.assertEqual(self._get_card(self.partners[0]).coverage, 100)
        for months in (6, self.criterion.months):
            for days in (-1, 0):
                day = TODAY + relativedelta(months=months, days=days)
                # as if the run of all had been the night before
                self.company.key_account_full_run_date = day - timedelta(days=1)
                self.cr.execute(
                    "UPDATE res_company SET key_account_run_date = %s WHERE id = %s",
                    [day - timedelta(days=1), self.company.id],
                )
                self.env.invalidate_all()
                touched = self._get_touched_ids(day)
                self._run_night((day - TODAY).days)
                if not days:
                    self.assertIn(self.partners[0].id, touched)
            if months == 6:
                self.assertEqual(self._get_card(self.partners[0]).coverage, 0)

    def test_a_rejected_demotion_is_asked_again(self):
        change = self.env["key.account.relationship.change"].create(
            {
                "partner_id": self.partners[2].id,
                "company_id": self.company.id,
                "from_level": "partner",
                "to_level": "transactional",
                "direction": "demotion",
                "state": "rejected",
                "date": TODAY,
            }
        )
        self.policy._run(TODAY)
        self._age()
        for days, found in ((89, False), (90, True)):
            day = TODAY + timedelta(days=days)
            yesterday = day - timedelta(days=1)
            self.cr.execute(
                "UPDATE res_company SET key_account_run_date = %(day)s, "
                "key_account_full_run_date = %(day)s WHERE id = %(id)s",
                {"day": yesterday, "id": self.company.id},
            )
            self.env.invalidate_all()
            touched = self._get_touched_ids(day)
            self.assertEqual(change.partner_id.id in touched, found)

    def test_visits_count_for_the_effort(self):
        """Also one that is logged later, until its day is a year ago."""
        partner = self.partners[4]
        partner.with_company(self.company).account_value_type = "intrinsic"
        self.policy._run(TODAY)
        self._age()
        self.Visit.create(
            {
                "partner_id": partner.id,
                "state": "done",
                "date_done": TODAY - timedelta(days=20),
            }
        )
        self._check(partner, days=0)
        self.assertEqual(self._get_card(partner).visit_count, 1)
        self._age()
        for days, count in ((-21, 1), (-20, 0)):
            day = TODAY + relativedelta(months=12, days=days)
            yesterday = day - timedelta(days=1)
            # as if the run of all had been the night before
            self.policy._run(yesterday)
            self.env.flush_all()
            self.cr.execute(
                "UPDATE res_company SET key_account_run_date = %s WHERE id = %s",
                [yesterday, self.company.id],
            )
            self.env.invalidate_all()
            self._run_night((day - TODAY).days)
            self.assertEqual(self._get_card(partner).visit_count, count)

    def test_the_scorecard(self):
        """Everybody is scored every night, by what was measured of each."""
        self.policy.write(
            {
                "method": "scorecard",
                "criterion_ids": [
                    Command.create({"metric": metric, "weight": weight})
                    for metric, weight in (
                        ("revenue", 5),
                        ("recency", 2),
                        ("days_late", 1),
                        ("win_rate", 1),
                        ("relationship_level", 1),
                        ("accessibility", 1),
                    )
                ],
                "tier_ids": [
                    Command.update(self.tier_a.id, {"threshold": 60}),
                    Command.update(self.tier_b.id, {"threshold": 30}),
                ],
            }
        )
        self.policy._run(TODAY)
        self._age()
        before = {row["partner_id"]: row["score"] for row in self._get_rows()}
        self._create_invoices([(self.partners[6], 9000, TODAY)])
        self._check(self.partners[6], days=0)
        after = {row["partner_id"]: row["score"] for row in self._get_rows()}
        # the others' too: they are better than fewer
        self.assertLess(after[self.partners[1].id], before[self.partners[1].id])
        self._age()
        self.partners[4].account_accessibility = "high"
        self.leads[1].action_set_lost()
        self._check(self.partners[5], days=0)
        self._age()
        # each day makes the last order a day older
        self._check(self.partners[2])
        self._check(self.partners[1] | self.partners[3], days=2)

    def test_a_lock_is_over(self):
        """Who has no tier because a lock says to wait gets one on the day after."""
        partner = self.partners[0].with_company(self.company)
        partner.write(
            {
                "account_tier_id": False,
                "account_tier_locked_until": TODAY,
                "account_tier_lock_reason": "New owner",
            }
        )
        self.policy._run(TODAY)
        self._age()
        self._run_night(0)
        self.assertFalse(partner.account_tier_id)
        self._check(self.partners.browse(), days=0)
        self._run_night()
        self.assertEqual(partner.account_tier_id, self.tier_a)

    def test_ranks_behind_the_first_ones_wait(self):
        self.patch(Measurement, "exact_ranks", 2)
        # all in one tier: who changes it is written anyway
        self.policy.write(
            {
                "method": "threshold",
                "tier_ids": [
                    Command.update(self.tier_a.id, {"threshold": 1e9}),
                    Command.update(self.tier_b.id, {"threshold": 1e8}),
                ],
            }
        )
        self.policy._run(TODAY)
        self._create_invoices([(self.partners[6], 90000, TODAY)])
        self._age()
        self.cr.execute(
            "UPDATE account_move SET write_date = now() WHERE partner_id = %s",
            [self.partners[6].id],
        )
        before = {row["partner_id"]: row for row in self._get_rows()}
        self._run_night(0)
        after = {row["partner_id"]: row for row in self._get_rows()}
        self.assertEqual(after[self.partners[6].id]["rank"], 1)
        first = min(before.values(), key=lambda row: row["rank"])["partner_id"]
        self.assertEqual(after[first]["rank"], 2, "the first ones are exact")
        last = self.partners[5].id
        self.assertEqual(after[last], before[last])
        self.policy._run(TODAY)
        rows = {row["partner_id"]: row for row in self._get_rows()}
        self.assertEqual(rows[last]["rank"], before[last]["rank"] + 1)

    def test_everybody_once_a_week(self):
        day = TODAY + timedelta(days=1)
        self.assertIsNotNone(self._get_touched_ids(day))
        self.assertIsNotNone(self._get_touched_ids(TODAY + timedelta(days=6)))
        self.assertIsNone(self._get_touched_ids(TODAY + timedelta(days=7)))
        # a night in between doesn't put it off
        self._run_night(3)
        self.assertIsNone(self._get_touched_ids(TODAY + timedelta(days=7)))

    def test_everybody_when_the_configuration_changed(self):
        day = TODAY + timedelta(days=1)
        changes = (
            lambda: self.tier_a.write({"share": 70}),
            lambda: self.tier_a.cell_ids.unlink(),
            lambda: self.criterion.write({"months": 7}),
            lambda: self.policy.write({"window_months": 6}),
        )
        for change in changes:
            self.policy._run(TODAY)
            self.assertIsNotNone(self._get_touched_ids(day))
            # a day later: a transaction's writes all carry its own time
            self.cr.execute(
                "UPDATE key_account_tier SET write_date = '2026-01-01';"
                "UPDATE key_account_policy SET write_date = '2026-01-01';"
                "UPDATE key_account_relationship_criterion "
                "SET write_date = '2026-01-01'"
            )
            self.env.invalidate_all()
            self.policy._run(TODAY)
            change()
            self.env.flush_all()
            self.assertIsNone(self._get_touched_ids(day))


@tagged("post_install", "-at_install")
class TestOnePolicy(BaseCase):
    """Companies with the same policy run side by side."""

    def test_none_waits_for_another_one(self):
        registry = Registry(get_db_name())
        update = "UPDATE key_account_policy SET last_run = last_run WHERE id = %s"
        with registry.cursor() as cr, registry.cursor() as other:
            env = api.Environment(cr, SUPERUSER_ID, {})
            policy = env["key.account.policy"].search([], limit=1)
            today = fields.Date.today()
            cr.execute("SET LOCAL lock_timeout = '1s'")
            # one that goes on
            other.execute(update, [policy.id])
            note_run(policy, env.company, today, None)
            # and has ended since this one began
            other.commit()
            note_run(policy, env.company, today, None)
            cr.rollback()
