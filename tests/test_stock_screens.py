from lxml import etree

from odoo.tests import Form, tagged

from .common import TODAY, KeyAccountCommon


@tagged("post_install", "-at_install")
class TestStockScreens(KeyAccountCommon):
    """What the addon adds to Odoo's own screens costs the same for one record as for
    many, and at most two queries in all."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partners = cls.env["res.partner"].union(
            *(cls._create_partner(f"Customer {n}") for n in range(50))
        )
        cls._create_invoices([(p, 100 + p.id, TODAY) for p in cls.partners])
        cls.leads = cls.env["crm.lead"].create(
            [
                {
                    "name": f"Deal {partner.id}",
                    "partner_id": partner.id,
                    "company_id": cls.company.id,
                    "user_id": cls.rep.id,
                    "type": "opportunity",
                }
                for partner in cls.partners
            ]
        )
        cls.policy._run(TODAY)
        cls.Visit._generate()
        # what costs something only where there is something
        cls.partners.relationship_level = "partner"
        cls.partners.executive_sponsor_id = cls.leader
        cls.env["res.partner"].create(
            [
                {"name": "Ann", "parent_id": partner.id, "stance": "champion"}
                for partner in cls.partners
            ]
        )

    def _count(self, records, names):
        """Count the queries of reading fields as the web client does, in the second
        of two calls: the first one fills the caches of the registry."""
        records = records.with_user(self.rep)
        specification = {
            name: {"fields": {"display_name": {}}}
            if records._fields[name].type == "many2one"
            else {}
            for name in names
        }
        for _ in range(2):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            records.web_read(specification)
            count = self.cr.sql_log_count - before
        return count

    def _check(self, records, view, view_type):
        """Compare the view's fields with and without those of the addon."""
        model = records.with_user(self.rep)
        view = model.get_views([(self.env.ref(view).id, view_type)])["views"][view_type]
        names = {
            node.get("name")
            for node in etree.fromstring(view["arch"]).iter("field")
            # the client doesn't load hidden columns
            if node.get("optional") != "hide"
            and not any(parent.tag == "field" for parent in node.iterancestors())
        }
        own = {n for n in names if records._fields[n]._module == "crm_key_account"}
        # Theirs are the same with and without us. We have none: each is a query.
        x2many = {n for n in names if records._fields[n].type.endswith("2many")}
        self.assertFalse((x2many & own) - {"activity_ids"})  # core's, redefined
        names -= x2many
        own -= x2many
        self.assertIn("account_tier_id", own)
        for some in (records[:1], records):
            stock = self._count(some, sorted(names - own))
            self.assertLessEqual(self._count(some, sorted(names)) - stock, 2)

    def test_partner_screens(self):
        for view, view_type in (
            ("base.view_partner_form", "form"),
            ("base.view_partner_tree", "list"),
            ("base.res_partner_kanban_view", "kanban"),
        ):
            with self.subTest(view=view):
                self._check(self.partners, view, view_type)

    def test_lead_screens(self):
        for view, view_type in (
            ("crm.crm_lead_view_form", "form"),
            ("crm.crm_case_kanban_view_leads", "kanban"),
            ("crm.crm_case_tree_view_oppor", "list"),
            ("crm.crm_case_tree_view_leads", "list"),
        ):
            with self.subTest(view=view):
                self._check(self.leads, view, view_type)

    def test_grouping_and_ordering_by_tier(self):
        groups = self.env["res.partner"].formatted_read_group(
            [("id", "in", self.partners.ids)], ["account_tier_id"], ["__count"]
        )
        self.assertEqual(
            {group["account_tier_id"][1] for group in groups},
            {"Key account", "Ordinary account", "Low-value account"},
        )
        self.assertEqual(sum(group["__count"] for group in groups), 50)
        leads = self.env["crm.lead"].formatted_read_group(
            [("id", "in", self.leads.ids)], ["account_tier_id"], ["__count"]
        )
        self.assertEqual(sum(group["__count"] for group in leads), 50)
        cards = self.Card.formatted_read_group(
            [("company_id", "=", self.company.id)],
            ["tier_id"],
            ["revenue:sum", "share:sum", "next_visit_date:min"],
        )
        self.assertAlmostEqual(sum(group["share:sum"] for group in cards), 100, 1)

    def test_forms(self):
        """Through the forms, as a user would."""
        self.policy.active = False
        self.manager.group_ids += self.env.ref("base.group_multi_company")
        with Form(self.env["key.account.policy"].with_user(self.manager)) as form:
            form.name = "Margin"
            form.metric = "margin"
            form.company_id = self.company
            # those that it begins with
            for _ in range(3):
                form.tier_ids.remove(0)
            with form.tier_ids.new() as tier:
                tier.name = "Everybody"
                tier.share = 100
        policy = form.record
        self.assertTrue(policy.active)
        self.assertEqual(policy._get_tiers().name, "Everybody")
        partner = self._create_partner("Visited")
        with Form(self.env["key.account.visit"].with_user(self.rep)) as form:
            form.partner_id = partner
            form.date_planned = "2030-01-07"
        self.assertEqual(form.record.activity_id.user_id, self.rep)
        with Form(partner.with_user(self.rep)) as form:
            form.visit_interval_days = 10
        self.assertEqual(partner.visit_interval_days, 10)
        with Form(self.leads[0].with_user(self.rep)) as form:
            form.expected_revenue = 10
