"""What forms tell of what somebody names there, who may not read it."""

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from .common import SALES_ADMIN, SALES_ALL, TODAY, KeyAccountCommon


@tagged("post_install", "-at_install")
class TestForms(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_company = cls._create_company("Other Company")
        cls.other_leader, cls.other_manager = (
            cls._create_user(login, group, cls.other_company)
            for login, group in (
                ("ka_leader2", SALES_ALL),
                ("ka_manager2", SALES_ADMIN),
            )
        )
        cls.own = cls._create_partner("Own")
        cls.secret = cls._create_partner("Secret customer", user_id=cls.rep2.id)
        cls.elsewhere = cls._create_partner(
            "Secret stranger", company_id=cls.company.id, user_id=cls.rep2.id
        )
        cls.secret_lead = cls.env["crm.lead"].create(
            {
                "name": "Secret deal",
                "user_id": cls.rep2.id,
                "company_id": cls.company.id,
            }
        )
        cls.secret_visit = cls.Visit.create(
            {
                "partner_id": cls.secret.id,
                "company_id": cls.company.id,
                "user_id": cls.rep2.id,
                "date_planned": "2030-01-07",
            }
        )
        cls.secret_change = cls.secret._propose_level("partner", "Deserved")
        cls.reason = cls.env.ref("crm_key_account.churn_reason_price")
        cls.secrets = {
            record._name: record
            for record in (
                cls.elsewhere,
                cls.secret_lead,
                cls.secret_visit,
                cls.secret_change,
                cls.policy,
                cls.tier_a,
                cls.company,
            )
        }
        cls.env.flush_all()

    def _as(self, model, user, **context):
        self.env.flush_all()
        self.env.invalidate_all()
        return (
            self.env[model]
            .with_user(user)
            .with_context(allowed_company_ids=user.company_ids.ids, **context)
        )

    def test_whatever_is_named_in_every_form(self):
        """Every field of every model that somebody may write, of the other company's:
        by onchange, as a line's value, by defaults of the context or one's own, by
        create and write, and by default_get."""
        count = 0
        for model in self.env.values():
            if not model._name.startswith("key.account") or model._abstract:
                continue
            records = self._as(model._name, self.other_manager)
            if not (records.has_access("create") or records.has_access("write")):
                continue
            self.assertIsInstance(model, self.env.registry["key.account.form"])
            for name, field in model._fields.items():
                secret = self.secrets.get(field.comodel_name)
                if not field.relational or not secret or field.inherited:
                    continue
                count += 1
                value = secret.id
                if field.type != "many2one":
                    value = [Command.link(secret.id)]
                spec = {name: {"fields": {"display_name": {}}}, "display_name": {}}
                defaults = {f"default_{name}": value}
                calls = {
                    "default_get": lambda r, n=name, d=defaults: r.with_context(
                        **d
                    ).default_get([n]),
                    "create": lambda r, n=name, v=value: r.create({n: v}),
                }
                if records.has_access("create"):
                    calls |= {
                        "onchange": lambda r, n=name, v=value, s=spec: r.onchange(
                            {n: v}, [n], s
                        ),
                        "first onchange": lambda r, n=name, v=value, s=spec: r.onchange(
                            {n: v}, [], s
                        ),
                        "default": lambda r, s=spec, d=defaults: r.with_context(
                            **d
                        ).onchange({}, [], s),
                        "hidden default": lambda r, d=defaults: r.with_context(
                            **d
                        ).onchange({}, [], {"display_name": {}}),
                    }
                for how, call in calls.items():
                    with (
                        self.subTest(model=model._name, field=name, how=how),
                        self.assertRaises(AccessError),
                    ):
                        call(self._as(model._name, self.other_manager))
        self.assertGreater(count, 20)

    def test_one_s_own_default(self):
        """A user may keep any default, also an id."""
        self.env["ir.default"].with_user(self.rep).set(
            "key.account.visit.cancel", "visit_id", self.secret_visit.id, user_id=True
        )
        wizards = self._as("key.account.visit.cancel", self.rep)
        for call in (
            lambda: wizards.onchange({}, [], {"date_resume": {}}),
            lambda: wizards.default_get(["visit_id"]),
            lambda: wizards.create({"date_resume": "2031-01-01"}),
        ):
            with self.assertRaises(AccessError):
                call()

    def test_cancel_wizard(self):
        wizards = self._as("key.account.visit.cancel", self.rep)
        spec = {"visit_id": {"fields": {"display_name": {}}}, "date_resume": {}}
        values = {"visit_id": self.secret_visit.id, "date_resume": "2031-01-01"}
        own = self.Visit.create(
            {
                "partner_id": self.own.id,
                "user_id": self.rep.id,
                "date_planned": "2030-01-07",
            }
        )
        wizard = self._as("key.account.visit.cancel", self.rep).create(
            {"visit_id": own.id}
        )
        self.assertTrue(wizard.date_resume)
        for call in (
            lambda: wizards.onchange(values, ["visit_id"], spec),
            lambda: wizards.web_save(values, spec),
            lambda: wizard.web_save(values, spec),
            lambda: wizard.write(values),
            lambda: wizard.onchange(values, ["visit_id"], spec),
        ):
            with self.assertRaises(AccessError) as error:
                call()
            self.assertNotIn("Secret", str(error.exception))
        self.assertEqual(wizard.visit_id, own)

    def test_the_level_wizard_keeps_a_colleague_s_evidence(self):
        """The customer may be read by all of sales, the evidence may not."""
        card = self._get_card(self.secret)
        card.suggested_relationship_level = "strategic_alliance"
        spec = {
            name: {}
            for name in ("level", "suggested_level", "gap_text", "current_level")
        }
        for level in ("strategic_alliance", "transactional"):
            card.suggested_relationship_level = level
            self.secret.relationship_level = "preferred_supplier"
            wizards = self._as("key.account.relationship.set", self.rep)
            values = wizards.onchange(
                {"partner_id": self.secret.id}, ["partner_id"], spec
            )["value"]
            self.assertFalse(values.get("level"))
            wizard = wizards.create(
                {"partner_id": self.secret.id, "reason": "x", "level": "transactional"}
            )
            self.assertEqual(wizard.suggested_level, "transactional")
            with self.assertRaises(AccessError):
                wizard.action_set()
        # and tells it to those who may read it
        card.suggested_relationship_level = "strategic_alliance"
        wizard = Form(
            self._as(
                "key.account.relationship.set",
                self.leader,
                default_partner_id=self.secret.id,
            )
        )
        self.assertEqual(wizard.level, "strategic_alliance")

    def test_a_form_shows_what_its_record_shows(self):
        """Whoever may read a visit goes on with it when the lead changes hands."""
        lead = self.secret_lead
        lead.partner_id = self.own
        self.Visit.search([("lead_id", "=", lead.id)]).unlink()
        visit = self.Visit.create(
            {"lead_id": lead.id, "user_id": self.rep.id, "date_planned": "2030-01-07"}
        )
        visit = self._as("key.account.visit", self.rep).browse(visit.id)
        self.assertFalse(lead.with_user(self.rep).has_access("read"))
        values = {"lead_id": lead.id, "objective": "x"}
        visit.onchange(values, ["objective"], {"objective": {}, "name": {}})
        visit.write(values)
        self.assertEqual(visit.objective, "x")

    # --- leads ------------------------------------------------------------------------

    def test_a_lead_tells_nothing_of_another_company(self):
        self._create_invoices([(self.own, 1000, TODAY), (self.secret, 10, TODAY)])
        self.policy._run(TODAY)
        self.own.relationship_level = "partner"
        spec = {
            "account_tier_id": {"fields": {"display_name": {}}},
            "account_tier_color": {},
            "relationship_level": {},
        }
        team = self.team
        leads = self._as("crm.lead", self.other_leader)
        for named in (
            {"company_id": self.company.id, "expected_revenue": 999},
            {"company_id": self.company.id, "partner_id": self.own.id},
            {"team_id": team.id, "expected_revenue": 999},
            {"partner_id": self.elsewhere.id},
        ):
            with self.subTest(named=named):
                for call in (
                    lambda named=named: leads.onchange(named, list(named), spec),
                    lambda named=named: leads.create({"name": "Mine", **named}),
                    lambda named=named: leads.with_context(
                        **{f"default_{name}": value for name, value in named.items()}
                    ).onchange({}, [], spec),
                ):
                    with self.assertRaises(AccessError):
                        call()
        with self.assertRaises(AccessError):
            leads.onchange(
                {"partner_id": {"id": self.elsewhere.id}}, ["partner_id"], spec
            )
        own = leads.create({"name": "Mine"})
        for named in (
            {"company_id": self.company.id},
            {"team_id": team.id},
            {"partner_id": self.elsewhere.id},
        ):
            with self.assertRaises(UserError):
                own.write(named)
        # nor by its salesperson, who may be anybody
        values = leads.onchange(
            {
                "user_id": self.rep.id,
                "company_id": False,
                "team_id": False,
                "expected_revenue": 999,
                "partner_id": self.own.id,
            },
            ["user_id", "partner_id"],
            spec,
        )["value"]
        self.assertFalse(values.get("account_tier_id"))
        self.assertNotEqual(values.get("relationship_level"), "partner")
        # nor by a saved one that is of no company
        lead = leads.create(
            {
                "name": "Nobody's",
                "company_id": False,
                "team_id": False,
                "user_id": False,
                "expected_revenue": 10**9,
            }
        )
        self.assertFalse(lead.company_id)
        self.assertFalse(lead.account_tier_id)
        # the same customer in one's own company
        values = self._as("crm.lead", self.leader).onchange(
            {"company_id": self.company.id, "partner_id": self.own.id},
            ["company_id", "partner_id"],
            spec,
        )["value"]
        self.assertEqual(values["account_tier_id"]["id"], self.tier_a.id)
        self.assertEqual(values["relationship_level"], "partner")
