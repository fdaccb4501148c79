from datetime import date, timedelta

from freezegun import freeze_time

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..common import SALES, TODAY, KeyAccountCommon

YEAR = {"date_from": "2026-01-01", "date_to": "2026-12-31"}


class PlanCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.Plan = cls.env["key.account.plan"]
        cls.Objective = cls.env["key.account.plan.objective"]
        cls.partner = cls._create_partner("Kestrel")
        cls.other = cls._create_partner("Heron", user_id=cls.rep2.id)
        cls.plan = cls._create_plan(cls.partner, cls.rep)

    @classmethod
    def _create_plan(cls, partner, user=None, **values):
        return cls.Plan.create(
            {
                "partner_id": partner.id,
                "user_id": user and user.id,
                "company_id": cls.company.id,
                **YEAR,
                **values,
            }
        )

    def _as(self, records, user):
        self.env.flush_all()
        self.env.invalidate_all()
        return records.with_user(user).with_context(
            allowed_company_ids=user.company_ids.ids
        )


@tagged("post_install", "-at_install")
class TestPlan(PlanCommon):
    def test_customer_and_period_are_enough(self):
        """Everything else is optional, on the form too."""
        with Form(self._as(self.Plan, self.rep)) as form:
            form.partner_id = self.partner
        plan = form.record
        self.assertEqual(plan.state, "draft")
        self.assertEqual(plan.user_id, self.rep)
        self.assertEqual(
            (plan.date_from, plan.date_to), (date(2026, 1, 1), date(2026, 12, 31))
        )
        self.assertEqual(plan.display_name, "Kestrel, 2026")
        self.assertEqual(plan.relationship_level, "transactional")
        nobodys = self._create_plan(self.partner, date_from="2026-02-01")
        self.assertFalse(nobodys.user_id)
        self.assertIn("Kestrel, ", nobodys.display_name)

    def test_period_in_words(self):
        for first, last, words in (
            ("2026-01-01", "2027-12-31", "2026–2027"),
            ("2026-05-01", "2027-04-30", "May 2026 – Apr 2027"),
            ("2028-02-01", "2028-02-29", "Feb 2028"),
            ("2027-02-02", "2027-02-28", "Feb 2, 2027 – Feb 28, 2027"),
            ("2027-02-01", "2027-02-27", "Feb 1, 2027 – Feb 27, 2027"),
        ):
            with self.subTest(words):
                plan = self.Plan.new({"date_from": first, "date_to": last})
                plan.partner_id = self.partner
                self.assertEqual(plan.display_name, f"Kestrel, {words}")

    def test_one_form_of_three_pages(self):
        arch = self.Plan.get_view(view_type="form")["arch"]
        self.assertLessEqual(arch.count("<page "), 3)

    def test_without_a_period(self):
        values = {"partner_id": self.partner.id, "company_id": self.company.id}
        for name in YEAR:
            with self.assertRaisesRegex(ValidationError, "^A plan needs a period: "):
                self._as(self.Plan, self.rep).create({**values, **YEAR, name: False})
            with self.assertRaisesRegex(ValidationError, "^A plan needs a period: "):
                self._as(self.plan, self.rep).write({name: False})
        with (
            self.assertRaisesRegex(ValidationError, "ends before it begins"),
            self.cr.savepoint(),
        ):
            self.plan.date_to = "2025-12-31"
        self.env.invalidate_all()
        self.assertEqual(
            (self.plan.date_from, self.plan.date_to),
            (date(2026, 1, 1), date(2026, 12, 31)),
        )

    def test_whose_plan(self):
        contact = self.env["res.partner"].create(
            {"name": "Ann", "parent_id": self.partner.id}
        )
        with self.assertRaisesRegex(ValidationError, "contact of Kestrel"):
            self._create_plan(contact)
        stranger = self._create_user("ka_stranger", "base.group_user")
        with self.assertRaisesRegex(ValidationError, "doesn't work in sales"):
            self.plan.user_id = stranger
        portal = self._create_user("ka_plan_portal", "base.group_portal")
        with self.assertRaisesRegex(ValidationError, "doesn't work for"):
            self.plan.member_ids = [Command.create({"user_id": portal.id})]
        with (
            self.assertRaisesRegex(ValidationError, "isn't a contact of Kestrel"),
            self.cr.savepoint(),
        ):
            self.plan.objective_ids = [
                Command.create({"name": "More", "contact_id": self.other.id})
            ]
        self.env.invalidate_all()
        self.plan.objective_ids = [
            Command.create({"name": "More", "contact_id": contact.id})
        ]
        self.assertEqual(self.plan.objective_ids.contact_id, contact)

    def test_who_is_named_can_read_it(self):
        """Who is to reach an objective has the plan; the team, whoever of it works in
        sales."""
        inside = self._create_user("ka_plan_inside", "base.group_user")
        elsewhere = self._create_user(
            "ka_plan_elsewhere", SALES, self._create_company("Elsewhere")
        )
        plan = self._as(self.plan, self.leader)
        with Form(plan) as form, form.objective_ids.new() as line:
            line.name = "More"
        for user in (inside, elsewhere):
            with (
                self.subTest(user=user.login),
                self.assertRaisesRegex(
                    ValidationError, "doesn't work in sales of Key Account Test"
                ),
            ):
                # as whoever sees everybody: it isn't the name that is refused
                self.plan.objective_ids.user_id = user
        with self.assertRaisesRegex(ValidationError, "doesn't work for Key Account"):
            self.plan.member_ids = [Command.create({"user_id": elsewhere.id})]
        self.plan.member_ids = [Command.create({"user_id": inside.id})]
        self.assertFalse(self._as(self.plan, inside).has_access("read"))
        objective = plan.objective_ids
        with self.assertRaisesRegex(ValidationError, "add them to its team first"):
            objective.user_id = self.rep2
        objective.user_id = self.rep
        objective.user_id = self.leader
        # both at once, however the form orders them
        plan.write(
            {
                "objective_ids": [
                    Command.create({"name": "Most", "user_id": self.rep2.id})
                ],
                "member_ids": [Command.create({"user_id": self.rep2.id})],
            }
        )
        for line in plan.objective_ids:
            self.assertTrue(self._as(line, line.user_id).has_access("write"))

    def _add_objective(self, plan, user):
        """Return an objective of ``user`` with something to do, as a leader adds it."""
        objective = self._as(self.Objective, self.leader).create(
            {"name": "Most", "plan_id": plan.id, "user_id": user.id}
        )
        objective.activity_schedule(
            "mail.mail_activity_data_todo", summary="Ask", user_id=user.id
        )
        return objective.sudo()

    def _assert_responsible(self, objective, user):
        self.env.invalidate_all()
        self.assertEqual(objective.user_id, user)
        self.assertEqual(objective.activity_ids.user_id, user)

    def test_who_leaves_the_team_leaves_the_objectives(self):
        """To the owner: whoever can't read the plan any more would never see them."""
        team = [Command.create({"user_id": user.id}) for user in (self.rep2, self.rep)]
        self.plan.member_ids = team
        theirs = self._add_objective(self.plan, self.rep2)
        own = self._add_objective(self.plan, self.rep)
        boss = self._add_objective(self.plan, self.leader)
        with Form(self._as(self.plan, self.rep)) as form:
            form.member_ids.remove(index=0)
            form.member_ids.remove(index=0)
        for objective, user in (
            (theirs, self.rep),
            (own, self.rep),
            (boss, self.leader),
        ):
            self._assert_responsible(objective, user)
        # who is replaced leaves as well
        self.plan.member_ids = [Command.create({"user_id": self.rep2.id})]
        theirs.user_id = theirs.activity_ids.user_id = self.rep2
        self._as(self.plan.member_ids, self.rep).user_id = self.leader
        self._assert_responsible(theirs, self.rep)

    def test_objectives_of_who_can_not_read_the_plan_any_more(self):
        """Another owner, or another salesperson of the customer."""
        plan = self._create_plan(self.other, self.rep)
        objective = self._add_objective(plan, self.rep)
        self._as(plan, self.rep).user_id = self.rep2
        self._assert_responsible(objective, self.rep2)
        self._as(plan, self.rep2).user_id = False
        self._assert_responsible(objective, self.rep2)
        self._as(self.other, self.leader).user_id = self.rep
        self._assert_responsible(objective, self.rep)

    # --- what the books say -----------------------------------------------------

    def _invoice_all_kinds(self):
        """Book what counts and what doesn't; return the contacts and the subsidiary."""
        usd = self.env.ref("base.USD")
        usd.active = True
        self.env["res.currency.rate"].create(
            {
                "currency_id": usd.id,
                "company_id": self.company.id,
                "name": "2020-01-01",
                "rate": 4.0,
            }
        )
        contact = self.env["res.partner"].create(
            {"name": "Buyer", "parent_id": self.partner.id}
        )
        daughter = self._create_partner("Kestrel North", parent_id=self.partner.id)
        self.assertEqual(daughter.commercial_partner_id, daughter)
        product = {
            "invoice_line_ids": [
                Command.create(
                    {
                        "product_id": self.product.id,
                        "price_unit": 50,
                        "quantity": 3,
                        "tax_ids": [Command.clear()],
                    }
                )
            ]
        }
        moves = self._create_invoices(
            [
                (self.partner, 1000.55, date(2026, 1, 1)),
                (self.partner, 200, date(2026, 12, 31)),
                (self.partner, 0, date(2026, 2, 3), product),
                (self.partner, 5000, date(2025, 12, 31)),
                (self.partner, 6000, date(2027, 1, 1)),
                (self.partner, 400, date(2026, 2, 1), {"currency_id": usd.id}),
                (self.partner, 77, date(2026, 2, 1), {"move_type": "out_refund"}),
                (contact, 30, date(2026, 2, 2)),
                (daughter, 9000, date(2026, 2, 2)),
                (self.other, 70000, date(2026, 2, 2)),
            ]
        )
        draft = self._create_invoices([(self.partner, 12345, date(2026, 2, 2))])
        draft.button_draft()
        return moves, daughter

    def _recount(self, moves, firms, plan):
        """What the lines of the books add up to, in plain Python."""
        revenue = margin = 0.0
        for line in moves.invoice_line_ids:
            move = line.move_id
            if (
                move.commercial_partner_id not in firms
                or not plan.date_from <= move.invoice_date <= plan.date_to
            ):
                continue
            sign = -1 if move.move_type == "out_refund" else 1
            amount = move.currency_id._convert(
                line.price_subtotal,
                self.company.currency_id,
                self.company,
                move.invoice_date,
            )
            revenue += sign * amount
            cost = line.product_id.standard_price * line.quantity
            margin += sign * (amount - cost)
        return round(revenue, 2), round(margin, 2)

    def test_actuals_are_those_of_the_books(self):
        moves, daughter = self._invoice_all_kinds()
        group = self._create_plan(self.partner, self.rep, is_group=True)
        half = self._create_plan(self.partner, self.rep, date_to="2026-06-30")
        empty = self._create_plan(self._create_partner("Nothing"))
        plans = self.plan | group | half | empty
        plans.target_revenue = 2000
        self.env.invalidate_all()
        for plan in plans:
            firms = plan.partner_id | (daughter if plan.is_group else daughter[:0])
            revenue, margin = self._recount(moves, firms, plan)
            with self.subTest(plan=plan.display_name):
                self.assertEqual(
                    (round(plan.revenue, 2), round(plan.margin, 2)), (revenue, margin)
                )
                self.assertAlmostEqual(plan.revenue_progress, revenue / 20)
                self.assertFalse(plan.margin_progress)
        self.assertEqual(self.plan.revenue, 1403.55)
        self.assertEqual(group.revenue, 10403.55)

    def test_actuals_are_those_of_the_run(self):
        """In a period that is the run's window, the same figures."""
        self._invoice_all_kinds()
        self.policy._run(TODAY)
        card = self._get_card(self.partner)
        window = self._create_plan(
            self.partner,
            date_from=TODAY - timedelta(days=364),
            date_to=TODAY,
        )
        self.assertEqual((window.revenue, window.margin), (card.revenue, card.margin))

    def test_ordered(self):
        self._create_invoices([(self.partner, 500, TODAY)])
        order = self.env["sale.order"].create(
            {
                "partner_id": self.partner.id,
                "company_id": self.company.id,
                "order_line": [
                    Command.create(
                        {
                            "product_id": self.product.id,
                            "product_uom_qty": 3,
                            "price_unit": 100,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
            }
        )
        order.action_confirm()
        self.policy.revenue_basis = "ordered"
        self.env.invalidate_all()
        self.assertEqual((self.plan.revenue, self.plan.margin), (300, 180))

    def test_number_of_queries(self):
        partners = [self._create_partner(f"Customer {n}") for n in range(50)]
        self._create_invoices([(partner, 10, TODAY) for partner in partners])
        plans = self.Plan.browse()
        for number, partner in enumerate(partners):
            plans |= self._create_plan(partner, self.rep, is_group=number % 2)
        names = {
            name: {}
            for name in ("revenue", "margin", "relationship_level", "can_approve")
        }
        counts = []
        for some in (plans[:2], plans, plans[:2]):
            mine = self._as(some, self.rep)
            before = self.cr.sql_log_count
            mine.web_read(names)
            counts.append(self.cr.sql_log_count - before)
        self.assertLessEqual(counts[1], counts[2])
        self.assertEqual(sum(plans.mapped("revenue")), 500)

    def test_figures_of_a_group_with_a_colleague_s_account(self):
        self._invoice_all_kinds()
        group = self._create_plan(self.partner, self.rep, is_group=True)
        self.assertTrue(self._as(group, self.rep).revenue)
        self.env["res.partner"].search(
            [("name", "=", "Kestrel North")]
        ).user_id = self.rep2
        mine = self._as(group, self.rep)
        self.assertTrue(mine.are_actuals_hidden)
        self.assertFalse(mine.revenue)
        self.assertTrue(self._as(group, self.leader).revenue)

    def test_group_by_hand(self):
        """A corporate group is what the portfolio takes for one."""
        _moves, daughter = self._invoice_all_kinds()
        stray = self._create_partner("Kestrel Trading")
        self._create_invoices([(stray, 77, TODAY)])
        self.policy._run(TODAY)
        group = self._create_plan(self.partner, self.rep, is_group=True)
        revenue = group.revenue
        stray.key_account_group_id = self.partner
        self.env.invalidate_all()
        self.assertEqual(group.revenue, revenue + 77)
        of_daughter = self._create_plan(daughter).revenue
        self.assertTrue(of_daughter)
        daughter.key_account_group_id = daughter
        self.env.invalidate_all()
        self.assertAlmostEqual(group.revenue, revenue + 77 - of_daughter)
        among = self.Card.search([("group_id", "=", self.partner.id)]).partner_id
        self.assertEqual(set(group._get_group_ids()[group.id]), set(among.ids))
        # whose accounts these are, is looked at too
        self.assertTrue(self._as(group, self.rep).revenue)
        stray.user_id = self.rep2
        self.assertTrue(self._as(group, self.rep).are_actuals_hidden)

    def test_figures_of_whoever_is_named_on_a_form(self):
        self._create_invoices([(self.other, 70000, TODAY)])
        plans = self._as(self.Plan, self.rep)
        spec = {"revenue": {}, "are_actuals_hidden": {}}
        values = {**YEAR, "company_id": self.company.id, "partner_id": self.other.id}
        for records in (plans, self._as(self.plan, self.rep)):
            told = records.onchange(values, ["partner_id"], spec)["value"]
            self.assertFalse(told.get("revenue"))
        for call in (
            lambda: plans.create(values),
            lambda: self._as(self.plan, self.rep).write({"partner_id": self.other.id}),
        ):
            with self.assertRaisesRegex(AccessError, "account of"):
                call()

    # --- its life ---------------------------------------------------------------

    def test_who_approves(self):
        rep = self._as(self.plan, self.rep)
        self.assertFalse(rep.can_approve)
        with self.assertRaisesRegex(AccessError, "leader of its owner's team"):
            rep.action_approve()
        rep.action_submit()
        self.assertEqual(self.plan.state, "submitted")
        with self.assertRaisesRegex(UserError, "refresh"):
            rep.action_submit()
        rep.action_reopen()
        rep.action_submit()
        leader = self._as(self.plan, self.leader)
        self.assertTrue(leader.can_approve)
        leader.action_approve()
        self.assertEqual(self.plan.state, "approved")
        self.assertEqual(self.plan.approver_id, self.leader)
        self.assertEqual(self.plan.date_approved, TODAY)
        # what was approved stays
        rep = self._as(self.plan, self.rep)
        for values in (
            {"target_revenue": 1},
            {"date_to": "2027-12-31"},
            {"partner_id": self.partner.id},
        ):
            with self.assertRaisesRegex(UserError, "was approved"):
                rep.write(values)
        rep.goals = "Goes on"
        with self.assertRaisesRegex(UserError, "was approved"):
            rep.unlink()
        with self.assertRaisesRegex(AccessError, "leader of its owner's team"):
            rep.action_reopen()
        rep.action_close()
        self.assertEqual(self.plan.state, "closed")
        self._as(self.plan, self.manager).action_reopen()
        self.assertEqual((self.plan.state, self.plan.date_approved), ("draft", False))
        self._as(self.plan, self.rep).unlink()
        # the leader's own is for an administrator
        own = self._create_plan(self.partner, self.leader)
        self.assertFalse(self._as(own, self.leader).can_approve)
        self._as(own, self.manager).action_approve()

    def test_clients_do_not_write_the_state(self):
        plans = self._as(self.Plan, self.rep)
        values = {**YEAR, "company_id": self.company.id, "partner_id": self.partner.id}
        for name, value in (
            ("state", "approved"),
            ("approver_id", self.rep.id),
            ("date_approved", TODAY),
        ):
            with self.assertRaisesRegex(AccessError, "buttons alone"):
                plans.create({**values, name: value})
            with self.assertRaisesRegex(AccessError, "buttons alone"):
                self._as(self.plan, self.rep).write({name: value})
            made = plans.with_context(**{f"default_{name}": value}).create(values)
            self.assertEqual(made.state, "draft")
            self.assertFalse(made.approver_id or made.date_approved)

    def test_copy_for_the_next_year(self):
        self.plan.write(
            {
                "member_ids": [Command.create({"user_id": self.rep2.id, "role": "x"})],
                "objective_ids": [Command.create({"name": "More"})],
                "review_date": "2026-06-01",
            }
        )
        self._as(self.plan, self.leader).action_approve()
        copy = self._as(self.plan, self.rep).copy({"date_to": "2027-12-31"})
        self.assertEqual(copy.state, "draft")
        self.assertEqual(copy.objective_ids.name, "More")
        self.assertEqual(copy.member_ids.user_id, self.rep2)
        self.assertFalse(copy.review_date or copy.review_activity_id)

    # --- reviews ----------------------------------------------------------------

    def _get_reminders(self, plan=None):
        plan = plan or self.plan
        return (
            self.env["mail.activity"]
            .with_context(active_test=False)
            .search([("res_model", "=", plan._name), ("res_id", "=", plan.id)])
        )

    def test_review(self):
        mails = self.env["mail.mail"].search([])
        self.plan.review_date = "2026-06-01"
        activity = self._get_reminders()
        self.assertEqual(
            (activity.user_id, activity.date_deadline), (self.rep, date(2026, 6, 1))
        )
        # one only, which moves and is handed over
        self._as(self.plan, self.rep).review_date = "2026-06-08"
        self.plan.user_id = self.leader
        self.assertEqual(self._get_reminders(), activity)
        self.assertEqual(
            (activity.user_id, activity.date_deadline), (self.leader, date(2026, 6, 8))
        )
        # done stays done, until there is another day
        activity.with_user(self.leader).action_feedback()
        self.plan.user_id = self.rep
        self.assertEqual(self._get_reminders(), activity)
        self.plan.review_date = "2026-09-01"
        new = self._get_reminders() - activity
        self.assertEqual((len(new), new.user_id), (1, self.rep))
        self.plan.review_date = False
        self.assertEqual(self._get_reminders(), activity)
        # nobody's plan: its customer's salesperson
        self.plan.write({"user_id": False, "review_date": "2026-09-01"})
        self.assertEqual((self._get_reminders() - activity).user_id, self.rep)
        self.plan.action_approve()
        self.plan.action_close()
        self.assertEqual(self._get_reminders(), activity)
        self.assertEqual(self.env["mail.mail"].search([]), mails)

    def test_nobody_outside_is_told(self):
        """Neither the customer nor its contacts are suggested or follow."""
        self.plan.objective_ids = [Command.create({"name": "More"})]
        objective = self.plan.objective_ids
        for record in (self.plan, objective):
            suggested = record._message_get_suggested_recipients()
            self.assertNotIn(
                self.partner.id, [each.get("partner_id") for each in suggested]
            )
            self.assertNotIn(self.partner, record.message_follower_ids.partner_id)

    # --- objectives, categories -------------------------------------------------

    def test_progress(self):
        for start, now, target, progress in (
            (0, 5, 20, 25),
            (50, 40, 30, 50),
            (2, 1, 12, 0),
            (2, 30, 12, 100),
            (7, 9, 7, 0),
        ):
            objective = self.Objective.new(
                {"start_value": start, "current_value": now, "target_value": target}
            )
            self.assertEqual(objective.progress, progress, (start, now, target))

    def test_actions_are_activities(self):
        self.plan.objective_ids = [
            Command.create({"name": "More", "user_id": self.rep.id})
        ]
        objective = self._as(self.plan.objective_ids, self.rep)
        activity = objective.activity_schedule(
            "mail.mail_activity_data_todo", summary="Offer", user_id=self.rep.id
        )
        self.assertEqual(objective.activity_ids, activity)
        for user in (self.rep2, self._create_user("ka_inside", "base.group_user")):
            self.assertFalse(self._as(activity, user).has_access("read"))
        activity.action_feedback("Sent")
        self.assertFalse(activity.active)

    def test_categories_from_the_books(self):
        Category = self.env["product.category"]
        bought, sold_to_others, open_ = Category.create(
            [{"name": name} for name in ("Desks", "Chairs", "Lamps")]
        )
        products = self.env["product.product"].create(
            [
                {"name": category.name, "categ_id": category.id, "type": "consu"}
                for category in bought | sold_to_others
            ]
        )
        self._create_invoices(
            [
                (
                    partner,
                    0,
                    TODAY,
                    {
                        "invoice_line_ids": [
                            Command.create({"product_id": product.id, "price_unit": 5})
                        ]
                    },
                )
                for partner, product in zip(
                    (self.partner, self.other), products, strict=True
                )
            ]
        )
        self.plan.category_ids = [
            Command.create({"category_id": open_.id, "supplier": "LightsUp"}),
            Command.create({"category_id": bought.id, "supplier": "Deskmakers"}),
        ]
        for _ in range(2):
            self._as(self.plan, self.rep).action_fill_categories()
            lines = self.plan.category_ids
            self.assertEqual(
                {line.category_id: (line.status, line.supplier) for line in lines},
                {open_: ("open", "LightsUp"), bought: ("bought", "Deskmakers")},
            )
        lines.unlink()
        self._as(self.plan, self.rep).action_fill_categories()
        self.assertEqual(self.plan.category_ids.category_id, bought)

    def test_categories_by_the_company_s_day(self):
        """An order belongs to the day on which it was confirmed where the company is,
        as in its revenue."""
        self.company.resource_calendar_id.tz = "Pacific/Auckland"
        categories = self.env["product.category"].create(
            [{"name": name} for name in ("First Day", "Day After")]
        )
        for category, moment in zip(
            categories, ("2024-12-31 20:00:00", "2026-12-31 20:00:00"), strict=True
        ):
            product = self.env["product.product"].create(
                {"name": category.name, "categ_id": category.id, "type": "consu"}
            )
            order = self.env["sale.order"].create(
                {
                    "partner_id": self.partner.id,
                    "company_id": self.company.id,
                    "team_id": False,
                    "order_line": [Command.create({"product_id": product.id})],
                }
            )
            order.action_confirm()
            order.date_order = moment
        self._as(self.plan, self.rep).action_fill_categories()
        self.assertEqual(self.plan.category_ids.category_id, categories[0])

    # --- rights -----------------------------------------------------------------

    def test_own_documents(self):
        """Plans of own and unassigned accounts, own ones and those of the team."""
        theirs = self._create_plan(self.other, self.rep2)
        owned = self._create_plan(self.other, self.rep)
        team = self._create_plan(self.other, self.rep2)
        team.member_ids = [Command.create({"user_id": self.rep.id, "role": "Engineer"})]
        nobodys = self._create_plan(self._create_partner("Nobody's", user_id=False))
        plans = self.plan | theirs | owned | team | nobodys
        for plan in plans:
            plan.write(
                {
                    "objective_ids": [Command.create({"name": "More"})],
                    "category_ids": [
                        Command.create(
                            {
                                "category_id": self.env["product.category"]
                                .search([], limit=1)
                                .id
                            }
                        )
                    ],
                }
            )
        mine = self._as(plans, self.rep)
        self.assertEqual(mine._filtered_access("read"), mine - theirs)
        self.assertEqual(mine.search([("id", "in", plans.ids)]), mine - theirs)
        for name in ("objective_ids", "category_ids", "member_ids"):
            lines = plans[name]
            self.assertEqual(
                self._as(lines, self.rep)._filtered_access("read"),
                lines.filtered(lambda line: line.plan_id != theirs),
            )
        # who was called into the team sees what was reached
        self._create_invoices([(self.other, 70, TODAY)])
        self.assertEqual(self._as(team, self.rep).revenue, 70)
        with self.assertRaises(AccessError):
            self._as(self.Objective, self.rep).create(
                {"name": "Mine", "plan_id": theirs.id}
            )
        member = self.plan.member_ids.create(
            {"plan_id": self.plan.id, "user_id": self.rep2.id}
        )
        with self.assertRaises(AccessError):
            self._as(member, self.rep).plan_id = theirs

    def test_switch(self):
        """Off, there is no menu, button or field; the right to plans doesn't change."""
        group = self.env.ref("crm_key_account.group_use_account_plan")
        menu = self.env.ref("crm_key_account.key_account_plan_menu")
        sales = self.env.ref(SALES)
        button = "action_view_key_account_plans"
        for is_on in (True, False):
            self.env["res.config.settings"].create(
                {"group_use_account_plan": is_on}
            ).execute()
            self.assertEqual(group in sales.implied_ids, is_on)
            user = self.rep
            shown = self._as(self.env["ir.ui.menu"], user)._visible_menu_ids()
            self.assertEqual(menu.id in shown, is_on)
            arch = self._as(self.env["res.partner"], user).get_view(view_type="form")
            self.assertEqual(button in arch["arch"], is_on)
            self.assertTrue(self._as(self.plan, user).has_access("write"))

    # --- customers change -------------------------------------------------------

    def test_another_salesperson(self):
        plan = self._create_plan(self.partner)
        self.partner.user_id = self.rep2
        self.assertFalse(self._as(plan, self.rep).has_access("read"))
        self.assertTrue(self._as(plan, self.rep2).has_access("read"))

    def test_customer_becomes_a_contact(self):
        plan = self._create_plan(self.other)
        self.other.write({"parent_id": self.partner.id, "is_company": False})
        self.assertEqual(plan.partner_id, self.partner)
        self.assertEqual(plan.account_user_id, self.rep)

    def test_merge(self):
        plan = self._create_plan(self.other)
        wizard = self.env["base.partner.merge.automatic.wizard"]
        with mute_logger("odoo.models.unlink"):
            wizard._merge((self.partner | self.other).ids, self.partner)
        self.env.invalidate_all()
        self.assertEqual(plan.partner_id, self.partner)
        self.assertEqual(plan.account_user_id, self.rep)

    def test_accounts_without_a_plan(self):
        self._create_plan(self.other, date_from="2026-04-01")
        self.Card._ensure((self.partner | self.other).ids, self.company)
        for user in (self.leader, self.rep):
            cards = self._as(self.Card, user).search(
                [("partner_id", "in", (self.partner | self.other).ids)]
            )
            own = cards.filtered(lambda card: card.partner_id == self.partner)
            for value, expected in ((True, own), (False, cards - own)):
                found = cards.search(
                    [("has_plan", "=", value), ("id", "in", cards.ids)]
                )
                self.assertEqual(found, expected)
                self.assertEqual(
                    cards.filtered(lambda card, v=value: card.has_plan == v), expected
                )

    def test_open_from_the_customer(self):
        action = self._as(self.partner, self.rep).action_view_key_account_plans()
        self.assertEqual(action["res_id"], self.plan.id)
        self._create_plan(self.partner, date_from=fields.Date.today())
        action = self._as(self.partner, self.rep).action_view_key_account_plans()
        self.assertFalse(action.get("res_id"))
        self.assertEqual(action["domain"], [("partner_id", "=", self.partner.id)])
