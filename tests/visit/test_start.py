from datetime import timedelta

from odoo import Command, fields
from odoo.exceptions import AccessError, RedirectWarning, UserError
from odoo.modules.registry import Registry
from odoo.tests import Form, HttpCase, get_db_name, tagged

from ...models.account import clock
from ..common import SALES, SALES_ADMIN, KeyAccountCommon

USUAL_CADENCE = [
    ("A", "visit", 1, "week"),
    ("B", "visit", 2, "week"),
    ("C", "contact", 1, "month"),
    ("C", "visit", 3, "month"),
]


class StartCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Start = cls.env["key.account.start"].with_user(cls.manager)

    def _get_steps(self, user=None):
        """Return {name: step} of the panel, {} where there is none."""
        self.env.invalidate_all()
        start = self.Start.with_user(user or self.manager)
        start = start.with_context(allowed_company_ids=start.env.user.company_ids.ids)
        return {step["name"]: step for step in start.get_panel() or []}

    def _get_done(self):
        return [name for name, step in self._get_steps().items() if step["done"]]

    def _invoice(self, count=3):
        """Invoice customers, the best first; return them."""
        partners = self.env["res.partner"].union(
            *(self._create_partner(f"Start Customer {n}") for n in range(1, count + 1))
        )
        today = fields.Date.today()
        self._create_invoices(
            [(partner, 1000 * (count - n), today) for n, partner in enumerate(partners)]
        )
        return partners


@tagged("post_install", "-at_install")
class TestStart(StartCommon):
    # --- the steps ------------------------------------------------------------------

    def test_steps(self):
        """Each is done by what is there."""
        self.assertEqual(self._get_done(), ["salespeople"])
        steps = self._get_steps()
        self.assertIn("Key account, Ordinary account", steps["cadence"]["text"])
        self._invoice()
        self.policy._run()
        self.assertEqual(self._get_done(), ["tiers", "salespeople"])
        self.assertEqual(self._get_steps()["tiers"]["text"], "Pareto (ABC), Revenue")
        # whatever it was called before somebody chose another method
        self.policy.write({"name": "Pareto on Revenue", "method": "pyramid"})
        self.assertEqual(self._get_steps()["tiers"]["text"], "Pyramid, Revenue")
        self.policy.action_copy_cadence()
        self.assertEqual(self._get_done(), ["tiers", "cadence", "salespeople"])
        self.assertEqual(
            self._get_steps()["cadence"]["text"],
            "Key account: weekly; Ordinary account: every 2 weeks; "
            "Low-value account: monthly",
        )
        self.tier_a.min_seniority = "senior"
        # who leads a team counts as senior
        self.assertIn("salespeople", self._get_done())
        self.team.user_id = False
        self.assertEqual(self._get_done(), ["tiers", "cadence"])
        self.assertIn("Key account", self._get_steps()["salespeople"]["text"])
        self.team.crm_team_member_ids[0].seniority = "senior"
        self.assertEqual(self._get_steps()["salespeople"]["text"], "Salespeople: 2")
        self.Start.action_plan()
        self.assertFalse(self._get_steps(), "all is done")
        self.env["key.account.visit"].search(
            [("company_id", "=", self.company.id)]
        ).unlink()
        self.assertEqual(
            self._get_done(), ["tiers", "cadence", "salespeople"], "and isn't any more"
        )

    def test_archived_tier(self):
        """One that takes nobody any more asks for no visits, nor for a senior."""
        self.policy.tier_ids = [
            Command.update(self.tier_b.id, {"share": 100}),
            Command.update(
                self.tier_c.id, {"active": False, "min_seniority": "senior"}
            ),
        ]
        self.team.user_id = False
        steps = self._get_steps()
        self.assertNotIn("Low-value", self.policy.cadence_gap)
        self.assertNotIn("Low-value", steps["cadence"]["text"])
        self.assertTrue(steps["salespeople"]["done"], steps["salespeople"]["text"])
        # nor can it be given lines: the usual ones are found by the place in use
        self.policy.action_copy_cadence()
        self.assertIn("cadence", self._get_done())
        self.assertFalse(self.policy.cadence_gap)

    def test_nobody_in_a_team(self):
        self.team.crm_team_member_ids.unlink()
        self.team.user_id = False
        self.assertIn("Nobody is in", self._get_steps()["salespeople"]["text"])

    def test_salespeople_in_no_team(self):
        """The step names whom its list can't show, though they visit."""
        customers = self._invoice(7)
        outsiders = [
            self._create_user(f"ka_outsider{n}", SALES, name=f"Outsider {n}")
            for n in range(6)
        ]
        customers[0].user_id = self.team.crm_team_member_ids[0].user_id
        customers[1].user_id = outsiders[0]
        self.policy._run()
        self.assertEqual(
            self._get_steps()["salespeople"]["text"],
            f"Salespeople: {len(self._get_salespeople())}. "
            "In no sales team: Outsider 0.",
        )
        self.tier_a.min_seniority = "senior"
        self.team.user_id = False
        self.assertEqual(
            self._get_steps()["salespeople"]["text"],
            "Nobody has the seniority that is asked for at: Key account. "
            "In no sales team: Outsider 0.",
        )
        # of many, how many they are
        for customer, user in zip(customers[1:], outsiders, strict=True):
            customer.user_id = user
        self.assertIn("In no sales team: 6.", self._get_steps()["salespeople"]["text"])
        self.team.member_ids = [Command.link(user.id) for user in outsiders]
        outsiders[0].active = False
        self.assertNotIn("In no sales", self._get_steps()["salespeople"]["text"])
        # whom a customer names and who makes no visits here
        far = self._create_company("Far")
        outsiders[1].write(
            {"company_ids": [Command.set(far.ids)], "company_id": far.id}
        )
        customers[1].user_id = self._create_user("ka_clerk", "base.group_user")
        self.assertNotIn("In no sales", self._get_steps()["salespeople"]["text"])

    def _get_salespeople(self):
        return self.team.member_ids | self.team.user_id

    def test_figures_of_zero(self):
        """Whoever invoices elsewhere is told why all are in the last tier."""
        partners = self._invoice(2)
        self.policy._run()
        self.assertIn("tiers", self._get_done())
        self.policy.metric = "expected_revenue"
        self.policy._run()
        self.assertNotIn("tiers", self._get_done())
        self.assertIn("is zero", self._get_steps()["tiers"]["text"])
        self.env["crm.lead"].create(
            {
                "name": "Lead",
                "type": "opportunity",
                "partner_id": partners[0].id,
                "company_id": self.company.id,
                "expected_revenue": 1000,
                "probability": 50,
            }
        )
        self.policy._run()
        self.assertIn("tiers", self._get_done())

    def test_nobody(self):
        """A company that has customers of no kind so far isn't told that all is well,
        nor that the first night will change anything."""
        self.policy._run()
        steps = self._get_steps()
        self.assertEqual(steps["tiers"]["text"], "Pareto (ABC), Revenue")
        self.assertIn("nobody to visit", steps["plan"]["text"])
        for model in ("key.account", "key.account.tier.change", "key.account.due"):
            self.assertEqual(self._get_state(model)["state"], "nobody", model)
        self.Start.action_plan()
        for model in ("key.account", "key.account.visit"):
            self.assertEqual(self._get_state(model)["state"], "nobody", model)
        self.company.key_account_planning = False
        self.assertEqual(self._get_state("key.account.visit")["state"], "off")
        self.company.key_account_planning = True
        self._invoice(1)
        self.policy._run()
        self.assertFalse(self._get_state("key.account")["state"])
        self.assertIn("Tiers all customers", self._get_steps()["plan"]["text"])

    def test_without_policy(self):
        self.env["key.account.policy"].search([]).active = False
        steps = self._get_steps()
        self.assertFalse(steps["tiers"]["done"] or steps["cadence"]["done"])
        action = self.Start.action_open_policy()
        self.assertFalse(action["res_id"])

    def test_opens(self):
        self.assertEqual(self.Start.action_open_policy()["res_id"], self.policy.id)
        self.assertEqual(
            self.Start.action_open_cadence()["res_model"], "key.account.cadence"
        )
        # the policy has the button that helps where lines are missing
        step = self._get_steps()["cadence"]
        self.assertEqual((step["done"], step["action"]), (False, "action_open_policy"))
        self.policy.action_copy_cadence()
        step = self._get_steps()["cadence"]
        self.assertEqual((step["done"], step["action"]), (True, "action_open_cadence"))
        action = self.Start.action_open_salespeople()
        members = self.env[action["res_model"]].search(action["domain"])
        self.assertLessEqual(self.team.crm_team_member_ids, members)
        self.assertLessEqual(set(members.crm_team_id.company_id.ids), {self.company.id})

    def test_new_salesperson(self):
        """The only team there is needn't be chosen."""
        others = self.env["crm.team"].search([("company_id", "=", False)])
        others.active = False
        action = self.Start.action_open_salespeople()
        members = self.env["crm.team.member"].with_user(self.manager)
        form = Form(
            members.with_context(**action["context"]),
            view="crm_key_account.crm_team_member_view_list_key_account",
        )
        self.assertEqual(form.crm_team_id, self.team)
        form.user_id = self._create_user("ka_new", SALES)
        self.assertIn(self.team, form.save().crm_team_id)
        self.team.copy({"name": "Second Team"})
        action = self.Start.action_open_salespeople()
        self.assertNotIn("default_crm_team_id", str(action["context"]))

    def test_close(self):
        """For the company, once for all administrators."""
        other = self._create_company("Other Company")
        foreigner = self._create_user("ka_foreign", SALES_ADMIN, company=other)
        self.Start.action_close()
        self.assertFalse(self._get_steps())
        steps = self._get_steps(foreigner)
        self.assertEqual(len(steps), 4)
        self.assertNotIn("Test pareto", str(steps))
        action = self.Start.action_open()
        self.assertEqual(len(self._get_steps()), 4, "open again")
        # also what is done is shown to whoever asks
        self._invoice()
        self.policy.action_copy_cadence()
        self.Start.action_plan()
        self.assertFalse(self._get_steps())
        steps = self.Start.with_context(**action["context"]).get_panel()
        self.assertEqual([step["done"] for step in steps], [True] * 4)

    def test_rights(self):
        for user in (self.rep, self.leader):
            start = self.Start.with_user(user)
            for method in ("get_panel", "action_close", "action_open", "action_plan"):
                with self.assertRaises(AccessError):
                    getattr(start, method)()

    def test_queries(self):
        """As many for 30 customers and salespeople as for three."""
        self.policy.action_copy_cadence()

        def count():
            self.env.invalidate_all()
            self.env.flush_all()
            before = self.cr.sql_log_count
            self.Start.get_panel()
            return self.cr.sql_log_count - before

        self._invoice()
        self.policy._run()
        count()
        few = count()
        self._invoice(30)
        self.policy._run()
        self.team.member_ids = [
            Command.link(self._create_user(f"ka_many{n}", SALES).id) for n in range(10)
        ]
        count()
        self.assertEqual(count(), few)

    # --- plan now -------------------------------------------------------------------

    def test_plan_now(self):
        """What a night does, and how many visits came of it."""
        partners = self._invoice()
        last = clock.get_today(self.company, self.env.user) + timedelta(days=14)
        until = clock.format_day(self.env, last)
        self.policy.action_copy_cadence()
        action = self.Start.action_plan()
        self.env.invalidate_all()
        self.assertTrue(all(partner.account_tier_id for partner in partners))
        visits = self.Visit.search([("company_id", "=", self.company.id)])
        self.assertGreaterEqual(len(visits), 1)
        self.assertEqual(set(visits.mapped("state")), {"planned"})
        self.assertTrue(all(visit.activity_id for visit in visits))
        params = action["params"]
        self.assertIn(
            f"Visits planned until {until}: {len(visits)}.", params["message"]
        )
        self.assertEqual(params["next"]["tag"], "key_account_week_board")
        # again: nothing twice
        params = self.Start.action_plan()["params"]
        self.assertIn("No further visit is due", params["message"])
        self.assertIn(f"Planned visits: {len(visits)}.", params["message"])
        self.assertEqual(
            self.Visit.search([("company_id", "=", self.company.id)]), visits
        )
        # the night finds nothing to do
        self.env["key.account.planner"]._generate(company=self.company)
        self.assertEqual(
            self.Visit.search([("company_id", "=", self.company.id)]), visits
        )

    def test_nobody_to_visit(self):
        params = self.Start.action_plan()["params"]
        self.assertIn("nobody to visit", params["message"])

    def test_backlog_is_told(self):
        self._invoice(12)
        self.env["key.account.cadence"].create(
            {"company_id": self.company.id, "interval_unit": "day"}
        )
        self.company.key_account_daily_capacity = 1
        params = self.Start.action_plan()["params"]
        self.assertIn("waiting in the backlog", params["message"])

    def test_planning_is_off(self):
        self.company.key_account_planning = False
        with self.assertRaisesRegex(UserError, "Plan Visits Automatically") as error:
            self.Start.action_plan()
        self.assertNotIsInstance(error.exception, RedirectWarning)
        self.manager.group_ids += self.env.ref("base.group_system")
        with self.assertRaises(RedirectWarning):
            self.Start.action_plan()

    def test_branch(self):
        """Accounts are kept elsewhere: nothing is run for a company that the user
        doesn't work in."""
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        there = self._create_user("ka_there", SALES_ADMIN, branch)
        self.assertFalse(self._get_steps(there))
        with self.assertRaisesRegex(UserError, "are kept in Key Account Test"):
            self.Start.with_user(there).with_context(
                allowed_company_ids=branch.ids
            ).action_plan()
        with self.assertRaisesRegex(UserError, "are kept in Key Account Test"):
            self.Start.with_user(there).with_context(
                allowed_company_ids=branch.ids
            ).action_open()
        self.assertFalse(self.company.key_account_computed_at)

    def test_beside_the_night(self):
        """The job is at work: no second one plans the same."""
        job = self.env.ref("crm_key_account.ir_cron_tiering")
        with Registry(get_db_name()).cursor() as cr:
            # as the scheduler holds the job that it runs
            cr.execute(
                "SELECT id FROM ir_cron WHERE id = %s FOR NO KEY UPDATE", [job.id]
            )
            with self.assertRaisesRegex(UserError, "a few minutes"):
                self.Start.action_plan()
            cr.rollback()
        self.assertFalse(self.company.key_account_computed_at)
        self.Start.action_plan()
        self.assertTrue(self.company.key_account_computed_at)

    # --- why a screen is empty ------------------------------------------------------

    def _get_state(self, model, user=None):
        self.env.invalidate_all()
        return self.Start.with_user(user or self.rep).get_state(model)

    def test_states(self):
        for model in ("key.account", "key.account.visit"):
            self.assertEqual(self._get_state(model)["state"], "tiers")
        # what people enter is empty for no such reason
        self.assertFalse(self._get_state("key.account.loss")["state"])
        self._invoice()
        self.policy._run()
        self.assertFalse(self._get_state("key.account")["state"])
        self.assertEqual(self._get_state("key.account.due")["state"], "visits")
        # what is due is known now, but nobody looked for days
        self.policy.action_copy_cadence()
        self.assertEqual(self._get_state("key.account.visit")["state"], "visits")
        self.company.key_account_planning = False
        self.assertEqual(self._get_state("key.account.visit")["state"], "off")
        self.company.key_account_planning = True
        self.Start.action_plan()
        self.assertFalse(self._get_state("key.account.due")["state"])

    def test_who_may_help(self):
        self.assertFalse(self._get_state("key.account")["can_start"])
        state = self._get_state("key.account", self.manager)
        self.assertTrue(state["can_start"])
        self.assertFalse(state["can_set"])
        outside = self._create_user("ka_outside", "base.group_user")
        with self.assertRaises(AccessError):
            self._get_state("key.account", outside)

    # --- a second company -----------------------------------------------------------

    def _create_second(self):
        """A company whose administrator adds a policy by the form."""
        other = self._create_company("Other Company")
        foreigner = self._create_user("ka_foreign", SALES_ADMIN, company=other)
        policies = (
            self.env["key.account.policy"]
            .with_user(foreigner)
            .with_context(allowed_company_ids=other.ids, default_company_id=other.id)
        )
        return other, policies

    def test_policy_begins_with_tiers(self):
        other, policies = self._create_second()
        with Form(policies) as form:
            form.name = "Ours"
        policy = form.record
        self.assertEqual(policy.company_id, other)
        tiers = policy._get_tiers()
        preset = self.env.ref("crm_key_account.policy_default")._get_tiers()
        for name in ("name", "code", "color", "share", "min_seniority"):
            self.assertEqual(tiers.mapped(name), preset.mapped(name), name)
        for tier, like in zip(tiers, preset, strict=True):
            self.assertEqual(
                tier.cell_ids.mapped("display_name"),
                like.cell_ids.mapped("display_name"),
                "whom to meet comes along",
            )
        self.assertTrue(tiers.cell_ids)

    def test_policy_of_another_company_is_no_preset(self):
        """What a company made of the one that came with us isn't told to others."""
        self.policy.active = False
        self.env.ref("crm_key_account.policy_default").company_id = self.company
        _, policies = self._create_second()
        draft = policies.new({"method": "pareto"})
        draft._onchange_method()
        self.assertFalse(draft.tier_ids)

    def test_cadence_is_copied(self):
        other, policies = self._create_second()
        with Form(policies) as form:
            form.name = "Ours"
        policy = form.record
        self.assertEqual(
            policy.cadence_gap, "Key account, Ordinary account, and Low-value account"
        )
        policy.action_copy_cadence()
        self.env.invalidate_all()
        self.assertFalse(policy.cadence_gap)
        lines = self.env["key.account.cadence"].search([("company_id", "=", other.id)])
        self.assertEqual(
            [
                (
                    line.tier_id.code,
                    line.track,
                    line.interval_count,
                    line.interval_unit,
                )
                for line in lines
            ],
            USUAL_CADENCE,
        )
        with self.assertRaisesRegex(UserError, "None of the usual lines"):
            policy.action_copy_cadence()

    def test_cadence_of_other_tiers(self):
        """By code, else by place; those behind are seen as the last one is."""
        self.policy.tier_ids.mapped("code")
        for tier, code in zip(self.policy._get_tiers(), "XYB", strict=True):
            tier.code = code
        self.policy.write(
            {
                "tier_ids": [
                    Command.update(self.tier_c.id, {"share": 99}),
                    Command.create(
                        {"name": "Rest", "code": "Z", "sequence": 90, "share": 100}
                    ),
                ]
            }
        )
        self.policy.action_copy_cadence()
        lines = self.env["key.account.cadence"].search(
            [("company_id", "=", self.company.id)]
        )
        self.assertEqual(
            {
                (line.tier_id.code, line.track, line._get_interval_text())
                for line in lines
            },
            {
                ("X", "visit", "weekly"),
                ("Y", "visit", "every 2 weeks"),
                ("B", "visit", "every 2 weeks"),
                ("Z", "contact", "monthly"),
                ("Z", "visit", "every 3 months"),
            },
        )

    def test_gap_by_line(self):
        """A line for all tiers is one for each; executive visits go by the level."""
        lines = self.env["key.account.cadence"]
        vals = {"company_id": self.company.id}
        lines.create({**vals, "track": "executive"})
        self.env.invalidate_all()
        self.assertTrue(self.policy.cadence_gap)
        lines.create({**vals, "tier_id": self.tier_a.id})
        self.env.invalidate_all()
        self.assertEqual(
            self.policy.cadence_gap, "Ordinary account and Low-value account"
        )
        lines.create({**vals, "track": "contact"})
        self.env.invalidate_all()
        self.assertFalse(self.policy.cadence_gap)

    def test_tiers_name_their_policy(self):
        tier = self.tier_a.with_user(self.manager)
        self.assertEqual(tier.display_name, "Key account")
        named = tier.with_context(key_account_tier_policy=True)
        self.assertEqual(named.display_name, "Key account (Test pareto)")
        self.env.ref("crm_key_account.policy_default").active = False
        self.env.invalidate_all()
        self.assertEqual(named.display_name, "Key account", "there is one only")


class FreshCompany(StartCommon):
    def _make_fresh_company(self):
        """A company that has customers and invoices, as after the installation: it goes
        by the policy that came with us, and a salesperson is like any other."""
        company = self._create_company("Fresh Company")
        admin = self._create_user("ka_fresh", SALES_ADMIN, company, name="Fresh Admin")
        self.env["crm.team"].create(
            {
                "name": "Fresh Team",
                "company_id": company.id,
                "member_ids": [Command.link(admin.id)],
            }
        )
        today = fields.Date.today()
        partners = self.env["res.partner"].create(
            [
                {"name": f"Fresh Customer {n}", "is_company": True, "user_id": admin.id}
                for n in range(20)
            ]
        )
        self._create_invoices(
            [
                (partner, 100 * (20 - n), today - timedelta(days=n))
                for n, partner in enumerate(partners)
            ],
            company,
        )
        return company, admin, partners


@tagged("post_install", "-at_install")
class TestStartTours(FreshCompany, HttpCase):
    def test_first_hour(self):
        """From the apps to one's own pyramid and the first planned week: twelve
        clicks, none of them in developer mode."""
        company, admin, partners = self._make_fresh_company()
        self.start_tour("/odoo", "key_account_first_hour", login="ka_fresh")
        self.env.invalidate_all()
        policy = self.env.ref("crm_key_account.policy_default")
        self.assertEqual(policy.method, "pyramid")
        tiers = [partner.with_company(company).account_tier_id for partner in partners]
        self.assertEqual(tiers[0], self.env.ref("crm_key_account.tier_key"))
        self.assertTrue(all(tiers))
        visits = self.Visit.sudo().search([("company_id", "=", company.id)])
        self.assertTrue(visits)
        self.assertEqual(visits.user_id, admin)
        monday = fields.Date.today() + timedelta(days=7)
        self.assertTrue(min(visits.mapped("date_planned")) <= monday)
        self.assertEqual(admin.crm_team_member_ids.seniority, "senior")

    def test_first_steps_again(self):
        """A panel that was closed comes back by the gear menu, and from an empty
        board."""
        self.start_tour(
            "/odoo/key-accounts", "key_account_first_steps", login="ka_manager"
        )
        self.assertFalse(self.company.key_account_start_closed)
        self.company.key_account_start_closed = True
        self.start_tour(
            "/odoo/visit-week", "key_account_first_steps_board", login="ka_manager"
        )

    def test_start_where_it_was_closed(self):
        """Empty screens lead to the panel, also where somebody closed it."""
        self.company.key_account_start_closed = True
        self.start_tour("/odoo/my-day", "key_account_start_now", login="ka_manager")
        self.assertFalse(self.company.key_account_start_closed)

    def test_nobody_in_a_team_is_told(self):
        """What an empty list says is read, not its HTML."""
        teams = self.env["crm.team"].search([("company_id", "=", False)])
        (teams | self.team).crm_team_member_ids.unlink()
        (teams | self.team).user_id = False
        self.start_tour(
            "/odoo/key-accounts", "key_account_nobody_in_a_team", login="ka_manager"
        )

    def test_no_accounts(self):
        self.policy._run()
        self.company.key_account_start_closed = True
        self.start_tour(
            "/odoo/visit-backlog", "key_account_no_accounts", login="ka_manager"
        )

    def test_empty_pivot(self):
        """Pivots and graphs tell why they are empty, as lists do."""
        self.start_tour(
            "/odoo/action-crm_key_account.key_account_visit_figures_action",
            "key_account_empty_pivot",
            login="ka_rep",
        )

    def test_empty_screens(self):
        """Nothing ran, then nothing is planned, then a filter hides it."""
        partner = self._invoice(1)
        self.start_tour(
            "/odoo/visit-backlog", "key_account_empty_tiers", login="ka_rep"
        )
        self.policy._run()
        lines = self.env["key.account.cadence"]
        lines.create({"company_id": self.company.id})
        self.start_tour(
            "/odoo/customer-visits", "key_account_empty_visits", login="ka_manager"
        )
        self.env.invalidate_all()
        self.assertTrue(self._get_planned(partner))
        self.start_tour(
            "/odoo/key-accounts", "key_account_empty_filter", login="ka_rep"
        )

    def test_filter_that_hides(self):
        """Whatever a screen says of itself, it isn't empty: a filter hides it."""
        partner = self._create_partner("Start Customer 1", user_id=self.manager.id)
        level = partner.with_company(self.company).with_user(self.manager)
        level.relationship_level = "preferred_supplier"
        self.start_tour(
            "/odoo/relationship-history",
            "key_account_hidden_history",
            login="ka_manager",
        )
        self.company.key_account_planning = False
        self.policy._run()
        self.Visit.create(
            {
                "partner_id": partner.id,
                "user_id": self.manager.id,
                "date_planned": fields.Date.today(),
            }
        )
        self.start_tour(
            "/odoo/customer-visits", "key_account_empty_filter", login="ka_manager"
        )


@tagged("post_install", "-at_install")
class TestStartOnAPhone(FreshCompany, HttpCase):
    browser_size = "390x844"
    touch_enabled = True

    def test_seniority_on_a_phone(self):
        """What the step asks for is on the form too, without the list's columns."""
        _company, admin, _partners = self._make_fresh_company()
        # as after the installation
        self.env["res.config.settings"].create(
            {"group_use_account_assignment": False}
        ).execute()
        self.start_tour(
            "/odoo/key-accounts", "key_account_seniority_phone", login="ka_fresh"
        )
        self.env.invalidate_all()
        self.assertEqual(admin.crm_team_member_ids.seniority, "senior")

    def test_cadence_on_a_phone(self):
        self._make_fresh_company()
        self.start_tour(
            "/odoo/key-accounts", "key_account_cadence_phone", login="ka_fresh"
        )

    def test_plan_on_a_phone(self):
        """The first week is that of all, also of an administrator who visits nobody."""
        company, _admin, partners = self._make_fresh_company()
        rep = self._create_user("ka_fresh_rep", SALES, company, name="Fresh Rep")
        partners.user_id = rep
        self.start_tour(
            "/odoo/key-accounts", "key_account_plan_phone", login="ka_fresh"
        )
