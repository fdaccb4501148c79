from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from ..common import SALES, SALES_ADMIN, TODAY, KeyAccountCommon
from .test_books import DAY


@tagged("post_install", "-at_install")
class TestBranches(KeyAccountCommon):
    """One legal entity: one customer of its branches is one account."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.north, cls.south = cls.branches = cls.env["res.company"].create(
            [
                {"name": name, "parent_id": cls.company.id}
                for name in ("North Branch", "South Branch")
            ]
        )
        cls.everything = cls.company | cls.branches
        for user in cls.env.user | cls.rep | cls.leader | cls.manager:
            user.company_ids |= cls.branches
        cls.chain, cls.shop, cls.kiosk = (
            cls._create_partner(name) for name in ("Chain", "Shop", "Kiosk")
        )
        accounts = cls.env["account.account"]
        cls.income = accounts.search(
            [
                ("company_ids", "in", cls.company.id),
                ("account_type", "=", "income"),
            ],
            limit=1,
        )
        receivable = accounts.search(
            [
                ("company_ids", "in", cls.company.id),
                ("account_type", "=", "asset_receivable"),
            ],
            limit=1,
        )
        for branch in cls.branches:
            for partner in cls.chain | cls.shop | cls.kiosk:
                partner = partner.with_company(branch)
                partner.property_account_receivable_id = receivable
        for partner, amount, company in (
            (cls.chain, 40000, cls.north),
            (cls.chain, 40000, cls.south),
            (cls.shop, 50000, cls.company),
            (cls.kiosk, 1000, cls.company),
        ):
            cls._invoice(partner, amount, company)

    @classmethod
    def _invoice(cls, partner, amount, company):
        move = (
            cls.env["account.move"]
            .with_company(company)
            .with_context(allowed_company_ids=(company | cls.company).ids)
            .create(
                {
                    "move_type": "out_invoice",
                    "partner_id": partner.id,
                    "invoice_date": DAY,
                    "company_id": company.id,
                    "invoice_line_ids": [
                        Command.create(
                            {
                                "name": "Sale",
                                "account_id": cls.income.id,
                                "price_unit": amount,
                                "quantity": 1,
                                "tax_ids": [Command.clear()],
                            }
                        )
                    ],
                }
            )
        )
        move.action_post()

    def _run(self, incremental=False):
        self.env["key.account.policy"]._run_companies(
            self.everything, TODAY, incremental=incremental
        )

    def _get_revenues(self, company):
        return [
            self._get_card(partner, company).revenue
            for partner in (self.chain, self.shop, self.kiosk)
        ]

    def _get_codes(self, company):
        return "".join(
            partner.with_company(company).account_tier_id.code or "-"
            for partner in (self.chain, self.shop, self.kiosk)
        )

    def test_one_account_over_the_branches(self):
        for company in self.everything:
            policy = self.env["key.account.policy"]._get_for_company(company)
            self.assertEqual(policy, self.policy)
        self._run()
        self.assertEqual(self._get_revenues(self.company), [80000, 50000, 1000])
        self.assertFalse(self._get_card(self.chain, self.north))
        for company in self.everything:
            self.assertEqual(self._get_codes(company), "AAC")
        found = (
            self.env["res.partner"]
            .with_company(self.north)
            .search(
                [
                    ("account_tier_id", "=", self.tier_a.id),
                    ("id", "in", (self.chain | self.shop | self.kiosk).ids),
                ]
            )
        )
        self.assertEqual(found, self.chain | self.shop)
        # a night finds what a branch sells
        self._invoice(self.kiosk, 9000, self.south)
        self._run(incremental=True)
        self.assertEqual(self._get_revenues(self.company), [80000, 50000, 10000])

    def test_one_run_for_all(self):
        self.assertEqual(self.policy._get_companies(), self.company)
        placed = self.policy.with_user(self.manager).with_context(
            allowed_company_ids=self.everything.ids
        )
        text = placed.action_run()["params"]["message"]
        self.assertIn("3 accounts placed for the first time", text)

    def test_decided_in_a_branch(self):
        self._run()
        north = self.chain.with_company(self.north)
        north.relationship_level = "preferred_supplier"
        self.assertEqual(
            self._get_card(self.chain).relationship_level, "preferred_supplier"
        )
        self.assertEqual(
            self.chain.with_company(self.south).relationship_level,
            "preferred_supplier",
        )
        self.assertFalse(self._get_card(self.chain, self.north))

    def test_one_visit(self):
        self.env["key.account.cadence"].create(
            {
                "company_id": self.company.id,
                "track": "visit",
                "interval_count": 1,
                "interval_unit": "week",
            }
        )
        self._run()
        planner = self.env["key.account.visit"]
        for company in self.everything:
            planner.with_company(company)._generate()
        visits = self.env["key.account.visit"].search(
            [("partner_id", "=", self.chain.id)]
        )
        self.assertEqual(len(visits), 1)
        self.assertEqual((visits.company_id, visits.user_id), (self.company, self.rep))
        # also one that is entered in a branch
        branch = self.Visit.with_user(self.rep).with_context(
            allowed_company_ids=(self.north | self.company).ids
        )
        with Form(branch) as form:
            form.partner_id = self.chain
            form.track = "contact"
            form.date_planned = TODAY
        self.assertEqual(form.record.company_id, self.company)

    def test_reported_for_whom_a_branch_alone_serves(self):
        """The customer's salesperson doesn't work where the account is kept: what
        nobody is named for is nobody's there."""
        self.shop.user_id = self._create_user("ka_north", SALES, self.north)
        contact = self.env["res.partner"].create(
            {"name": "Ann", "parent_id": self.shop.id}
        )
        visit = self.Visit.create(
            {"partner_id": self.shop.id, "user_id": False, "date_planned": TODAY}
        )
        report = visit.with_user(self.leader)
        report.web_save({"commitment_ids": [Command.create({"name": "Samples"})]}, {})
        self.assertFalse(visit.commitment_ids.user_id)
        report.action_report(
            {
                "contact_ids": [Command.link(contact.id)],
                "mode": "on_site",
                "next_date": fields.Date.add(fields.Date.today(), days=9),
                "next_step": "Send the offer",
                "next_step_date": fields.Date.add(fields.Date.today(), days=2),
                "outcome": "reached",
            }
        )
        self.assertEqual(visit.state, "done")
        self.assertEqual(visit.commitment_ids.mapped("state"), ["open", "open"])
        plan = self.env["key.account.plan"].with_user(self.leader)
        plan = plan.create({"partner_id": self.shop.id, "user_id": False})
        plan.review_date = fields.Date.add(fields.Date.today(), days=9)
        self.assertFalse(plan.sudo().activity_ids)

    def test_contacts_of_a_branch(self):
        """A branch's customer has contacts of the branch: who plans and reports for the
        company above meets them like others."""
        stall = self._create_partner("Stall", company_id=self.north.id)
        foreign = self._create_company("Foreign")
        ann, bob, _eve = self.env["res.partner"].create(
            [
                {"name": name, "parent_id": stall.id, "company_id": company.id}
                for name, company in (
                    ("Ann", self.north),
                    ("Bob", self.north),
                    ("Eve", foreign),
                )
            ]
        )
        visit = self.Visit.create(
            {
                "partner_id": stall.id,
                "user_id": self.rep.id,
                "date_planned": fields.Date.today(),
                "target_contact_id": bob.id,
            }
        )
        self.assertEqual(visit.company_id, self.company)
        visits = self.Visit.with_user(self.rep)
        visits = visits.with_context(allowed_company_ids=self.everything.ids)
        for company in self.company | self.north:
            data = visits.get_report_contacts(stall.id, company.id)
            names = [row["name"] for row in data["contacts"]]
            self.assertEqual(names, ["Ann", "Bob"])
        # whom somebody chose stays, whatever is said of others
        ann.stance = "supporter"
        self.assertEqual(visit.target_contact_id, bob)
        bob.left_company_date = fields.Date.today()
        self.assertFalse(visit.target_contact_id)

    def test_leads_and_orders_of_branches(self):
        lead = self.env["crm.lead"].create(
            {
                "name": "Deal",
                "type": "opportunity",
                "company_id": self.north.id,
                "partner_id": self.kiosk.id,
                "expected_revenue": 700,
            }
        )
        self._run()
        self.assertEqual(self._get_card(self.kiosk).expected_revenue, 700)
        self.assertEqual(lead.account_tier_id, self.tier_c)
        self.Card._update_engagement_stages(self.company)
        self.assertEqual(self._get_card(self.kiosk).engagement_stage, "opportunity")
        self.policy.revenue_basis = "ordered"
        order = self.env["sale.order"].create(
            {
                "partner_id": self.kiosk.id,
                "company_id": self.south.id,
                "team_id": False,
                "order_line": [
                    Command.create(
                        {
                            "product_id": self.product.id,
                            "price_unit": 300,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
            }
        )
        order.action_confirm()
        order.date_order = DAY
        self._run()
        self.assertEqual(self._get_card(self.kiosk).revenue, 300)

    def test_visits_to_customers_and_leads_of_branches(self):
        """They are kept by the company above: the night leaves them."""
        self.kiosk.company_id = self.north
        lead = self.env["crm.lead"].create(
            {
                "name": "Deal",
                "type": "opportunity",
                "company_id": self.north.id,
                "user_id": self.rep.id,
                "team_id": False,
            }
        )
        visit, asked = self.Visit.create(
            [
                {"partner_id": self.kiosk.id, "user_id": self.rep.id},
                {"lead_id": lead.id, "user_id": self.rep.id},
            ]
        )
        self.assertEqual((visit | asked).company_id, self.company)
        repair = self.env["key.account.visit.repair"].sudo()
        repair._heal(self.company)
        self.env.invalidate_all()
        self.assertEqual((visit.state, visit.close_reason), ("planned", False))
        self.assertEqual(asked.company_id, self.company)
        lead.company_id = self.south
        self.assertEqual((asked.state, asked.company_id), ("planned", self.company))
        # a customer of another company is no longer visited from here
        foreign = self._create_company("Foreign")
        self.env.flush_all()
        self.cr.execute(
            "UPDATE res_partner SET company_id = %s WHERE id = %s",
            [foreign.id, self.kiosk.id],
        )
        self.env.invalidate_all()
        repair._heal(self.company)
        self.assertEqual(visit.state, "cancelled")

    def test_branches_apart(self):
        """The policy says so: each has accounts of its own, by the same policy."""
        with Form(self.policy.with_user(self.manager)) as form:
            form.branches_apart = True
        self.assertEqual(self.policy._get_companies(), self.everything)
        self._run()
        self.assertEqual(self._get_revenues(self.company), [0, 50000, 1000])
        self.assertEqual(self._get_revenues(self.north), [40000, 0, 0])
        self.assertEqual(self._get_codes(self.company), "-AC")
        self.assertEqual(self._get_codes(self.north), "A--")
        # by the lines of the company as well
        self.env["key.account.cadence"].create(
            {
                "company_id": self.company.id,
                "tier_id": self.tier_a.id,
                "track": "visit",
                "interval_count": 1,
                "interval_unit": "day",
            }
        )
        self.env["key.account.due"]._refresh(self.north)
        rows = self.env["key.account.due"].search([("company_id", "=", self.north.id)])
        self.assertEqual(rows.partner_id, self.chain)
        # by hand too
        north = self.kiosk.with_company(self.north)
        north.account_tier_id = self.tier_b
        self.assertEqual(self._get_codes(self.north), "A-B")
        # and together again
        north.account_tier_id = False
        self.policy.branches_apart = False
        self._run()
        self.assertEqual(self._get_revenues(self.company), [80000, 50000, 1000])
        self.assertEqual(self._get_codes(self.north), "AAC")

    def test_criteria_hold_in_branches(self):
        """Also in those that are apart, as the policy and the cadence do."""
        self.policy.branches_apart = True
        criteria = self.env["key.account.relationship.criterion"]
        criteria.search([]).active = False
        vals = {"level": "preferred_supplier", "kind": "judged", "months": 12}
        own, others = criteria.create(
            [
                {**vals, "name": name, "company_id": company.id}
                for name, company in (
                    ("Asked by the company", self.company),
                    ("Asked in the south", self.south),
                )
            ]
        )
        self.assertEqual(criteria._get_criteria(self.north), own)
        self.assertEqual(criteria._get_criteria(self.company), own)
        self.assertEqual(criteria._get_criteria(self.south), own | others)
        env = self.env(
            user=self.leader, context={"allowed_company_ids": self.north.ids}
        )
        evidence = env["key.account.relationship.evidence"]
        said = {"partner_id": self.kiosk.id, "note": "Seen"}
        with self.assertRaises(UserError):
            evidence.create({**said, "criterion_id": others.id})
        # who works in the branch alone vouches for what is asked for there
        self.leader.write(
            {
                "company_id": self.north.id,
                "company_ids": [Command.set(self.north.ids)],
            }
        )
        self.assertEqual(env[criteria._name].search([]), own)
        with self.assertRaises(AccessError):
            own.with_env(env).name = "Asked by nobody"
        evidence.create({**said, "criterion_id": own.id})
        kiosk = self.kiosk.with_env(env)
        self.assertEqual(kiosk.suggested_relationship_level, "preferred_supplier")
        card = self._get_card(self.kiosk, self.company)
        self.assertNotEqual(card.suggested_relationship_level, "preferred_supplier")
        status = env["key.account.relationship.status"]
        row = status.search([("partner_id", "=", self.kiosk.id)])
        self.assertEqual((row.criterion_id, row.state), (own, "holds"))
        self.assertEqual(row.finding, "Seen")
        # the same twice is refused where both are asked for
        with self.assertRaises(ValidationError):
            criteria.create({**vals, "name": own.name, "company_id": self.north.id})
        criteria.create({**vals, "name": others.name, "company_id": self.north.id})

    def test_lost_in_a_branch(self):
        """In the company that keeps the account, from wherever it is said."""
        self._run()
        self.chain.company_id = self.north
        reason = self.env.ref("crm_key_account.churn_reason_price")
        wizards = self.env["key.account.loss.set"].with_user(self.leader)
        wizards = wizards.with_context(allowed_company_ids=self.everything.ids[::-1])
        vals = {"partner_id": self.chain.id, "reason_id": reason.id}
        wizards.create(vals).action_set()
        self.assertTrue(self._get_card(self.chain).is_lost)
        with self.assertRaisesRegex(UserError, "lost already"):
            wizards.create(vals).action_set()

    def test_overdue_in_a_branch(self):
        self._run()
        self.env["key.account.cadence"].create(
            {"company_id": self.company.id, "tier_id": self.tier_a.id}
        )
        self.env["key.account.visit"].create(
            {
                "partner_id": self.chain.id,
                "company_id": self.company.id,
                "state": "done",
                "date_done": "2020-01-01",
            }
        )
        lead = self.env["crm.lead"].create(
            {
                "name": "L",
                "partner_id": self.chain.id,
                "company_id": self.north.id,
                "team_id": False,
            }
        )
        for company in self.everything:
            self.assertTrue(self.chain.with_company(company).is_visit_overdue)
            self.assertTrue(lead.with_company(company).is_visit_overdue)
            self.assertEqual(
                str(lead.with_company(company).last_visit_date), "2020-01-01"
            )

    def test_a_branch_with_a_policy_of_its_own(self):
        own = self.policy.copy({"company_id": self.north.id})
        own.active = True
        self.assertEqual(own._get_companies(), self.north)
        self.assertEqual(self.policy._get_companies(), self.company)
        self._run()
        self.assertEqual(self._get_revenues(self.company), [40000, 50000, 1000])
        self.assertEqual(self._get_revenues(self.north), [40000, 0, 0])
        own.active = False
        self._run()
        self.assertEqual(self._get_revenues(self.company), [80000, 50000, 1000])

    def test_a_shared_policy(self):
        """In the company that the branches belong to."""
        self.env["key.account.policy"].search([]).active = False
        shared = self.policy.copy({"company_id": False})
        shared.active = True
        self.assertIn(self.company, shared._get_companies())
        self.assertFalse(shared._get_companies() & self.branches)
        self._run()
        self.assertEqual(self._get_revenues(self.company), [80000, 50000, 1000])

    def test_whoever_works_in_a_branch_alone(self):
        """Reads what is in force there, and changes nothing of the company above."""
        user = self._create_user("ka_north", SALES_ADMIN, self.north)
        line = self.env["key.account.cadence"].create(
            {"company_id": self.company.id, "tier_id": self.tier_a.id}
        )
        context = {"allowed_company_ids": self.north.ids}
        for is_apart in (False, True):
            with self.subTest(is_apart=is_apart):
                self.policy.branches_apart = is_apart
                self._run()
                self.env.flush_all()
                self.env.invalidate_all()
                chain = self.chain.with_user(user).with_context(**context)
                [values] = chain.web_read({"account_tier_id": {"fields": {"code": {}}}})
                self.assertEqual(values["account_tier_id"]["code"], "A")
                Form(chain)
        accounts = self.Card.with_user(user).with_context(**context)
        [values] = accounts.search([("partner_id", "=", self.chain.id)]).web_read(
            {"tier_id": {"fields": {"display_name": {}}}, "revenue": {}}
        )
        self.assertEqual(values["tier_id"]["display_name"], self.tier_a.display_name)
        self.assertEqual(values["revenue"], 40000)
        self.assertEqual(
            self.chain.with_user(self.manager).account_tier_id, self.tier_a
        )
        policy = self.policy.with_user(user).with_context(**context)
        self.assertEqual(policy.tier_ids.mapped("code"), ["A", "B", "C"])
        line = line.with_user(user).with_context(**context)
        self.assertEqual(line.search([("id", "=", line.id)]), line)
        for record in (policy, policy.tier_ids[0], line):
            with self.assertRaises(AccessError):
                record.write({"active": False})
            with self.assertRaises(AccessError):
                record.unlink()
        with self.assertRaises(AccessError):
            policy.tier_ids.create({"policy_id": policy.id, "name": "D"})
        with self.assertRaises(AccessError):
            line.create({"company_id": self.company.id})
