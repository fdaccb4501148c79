from datetime import date, timedelta
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Domain
from odoo.tests import Form, new_test_user, tagged

from ...models.account.key_account import DECISIONS
from ..common import TODAY, KeyAccountCommon


@tagged("post_install", "-at_install")
class TestAccount(KeyAccountCommon):
    """Customers show, and write, one row per company."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls._create_company("Elsewhere")
        cls.env.user.company_ids += cls.other
        cls.partners = cls.env["res.partner"].union(
            *(cls._create_partner(f"Customer {number}") for number in range(6))
        )
        cls.one, cls.two, cls.three = cls.partners[:3]
        cls.one.write(
            {
                "account_tier_id": cls.tier_a.id,
                "account_tier_locked_until": "2026-12-31",
                "account_tier_lock_reason": "Promised",
                "relationship_level": "partner",
                "account_value_type": "strategic",
                "executive_sponsor_id": cls.leader.id,
                "visit_interval_days": 10,
            }
        )
        cls.two.write({"account_tier_id": cls.tier_b.id, "visit_interval_days": 20})
        cls.three.account_tier_id = cls.tier_b
        cls.contact = cls.env["res.partner"].create(
            {"name": "Ann", "parent_id": cls.one.id}
        )
        cls.everybody = cls.partners | cls.contact

    def _get_rows(self, partners):
        return self.Card.search([("partner_id", "in", partners.ids)])

    # --- showing -------------------------------------------------------------------

    def test_a_company_goes_with_its_settings(self):
        """They don't begin to hold for every company; the accounts go as well."""
        company = self.env["res.company"].create({"name": "Gone"})
        policy = self.policy.copy({"company_id": company.id, "active": False})
        tier = policy.tier_ids[0]
        account = self.Card._provide(self.three.ids, company)
        account.tier_id = tier
        line = self._create_cadence(tier, 1, "week", company_id=company.id)
        criterion = self.env["key.account.relationship.criterion"].create(
            {
                "company_id": company.id,
                "level": "partner",
                "name": "Joint plan",
            }
        )
        settings = (policy, tier, line, criterion, account)
        company.unlink()
        self.assertFalse([record for record in settings if record.exists()])

    def test_contacts_show_their_account(self):
        for name in DECISIONS:
            self.assertEqual(self.contact[name], self.one[name], name)
        self.assertFalse(self._get_rows(self.contact))
        self.contact.parent_id = self.two
        self.assertEqual(self.contact.account_tier_id, self.tier_b)
        self.assertEqual(self.contact.visit_interval_days, 20)
        self.contact.parent_id = False
        self.assertFalse(self.contact.account_tier_id)
        self.assertEqual(self.contact.relationship_level, "transactional")

    def test_two_companies_in_one_session(self):
        elsewhere = self.one.with_company(self.other)
        self.assertEqual(self.one.relationship_level, "partner")
        self.assertEqual(elsewhere.relationship_level, "transactional")
        for name in DECISIONS.keys() - {"relationship_level"}:
            self.assertFalse(elsewhere[name], name)
        elsewhere.visit_interval_days = 5
        self.assertEqual(self.one.visit_interval_days, 10)
        self.assertEqual(self._get_card(self.one, self.other).visit_interval_days, 5)
        both = self.env["res.partner"].with_context(
            allowed_company_ids=(self.company | self.other).ids
        )
        for company, days in ((self.company, 10), (self.other, 5)):
            found = both.with_company(company).search(
                [("visit_interval_days", "=", days), ("id", "in", self.everybody.ids)]
            )
            self.assertEqual(found, self.one | self.contact)

    def test_tier_of_another_company(self):
        with self.assertRaisesRegex(ValidationError, "belongs to"):
            self.one.with_company(self.other).account_tier_id = self.tier_a

    def test_rep_sees_tiers_of_all_and_figures_of_own(self):
        self.two.user_id = self.rep2
        self._create_invoices([(self.one, 500, TODAY), (self.two, 100, TODAY)])
        self.policy._run(TODAY)
        one, two = (self.one | self.two).with_user(self.rep)
        self.assertEqual(two.account_tier_id, self.tier_b)
        self.assertEqual(two.relationship_level, "transactional")
        self.assertEqual(one.key_account_revenue, 500)
        self.assertEqual(two.key_account_revenue, 0)
        self.assertFalse(two.key_account_rank)
        self.assertEqual(self.two.key_account_revenue, 100)
        for domain in (
            [("key_account_ids.revenue", ">", 0)],
            [("key_account_id.revenue", ">", 0)],
        ):
            try:
                found = self.env["res.partner"].with_user(self.rep).search(domain)
            except (AccessError, ValueError):
                continue  # it can't be searched at all
            self.assertNotIn(self.two, found)

    # --- searching, sorting, grouping ------------------------------------------------

    def _search(self, *domain):
        return self.env["res.partner"].search(
            Domain(list(domain)) & Domain("id", "in", self.everybody.ids)
        )

    def test_search(self):
        a, b = self.one | self.contact, self.two | self.three
        none = self.everybody - a - b
        soon = date(2026, 12, 31)
        for domain, expected in (
            (("account_tier_id", "=", self.tier_a.id), a),
            (("account_tier_id", "!=", self.tier_a.id), b | none),
            (("account_tier_id", "=", False), none),
            (("account_tier_id", "!=", False), a | b),
            (("account_tier_id", "in", (self.tier_a | self.tier_b).ids), a | b),
            (("account_tier_id", "not in", self.tier_a.ids), b | none),
            (("account_tier_id", "in", [self.tier_b.id, False]), b | none),
            (("account_tier_id", "ilike", "ordinary"), b),
            (("account_tier_id.code", "=", "A"), a),
            (("account_tier_id.code", "!=", "A"), b),
            (("account_tier_id.policy_id", "=", self.policy.id), a | b),
            (("account_tier_id", "any", [("sequence", ">=", 1)]), b),
            (("relationship_level", "=", "partner"), a),
            (("relationship_level", "!=", "partner"), b | none),
            (("relationship_level", "=", "transactional"), b | none),
            (("relationship_level", "in", ["partner", "transactional"]), a | b | none),
            (("relationship_level", "=", False), self.env["res.partner"]),
            (("relationship_level", "!=", False), self.everybody),
            (("account_value_type", "=", "strategic"), a),
            (("account_value_type", "=", False), b | none),
            (("executive_sponsor_id", "=", self.leader.id), a),
            (("executive_sponsor_id", "=", False), b | none),
            (("executive_sponsor_id.login", "=", self.leader.login), a),
            (("visit_interval_days", "=", 0), none | self.three),
            (("visit_interval_days", ">", 10), self.two),
            (("visit_interval_days", "<=", 10), a | none | self.three),
            (("account_tier_locked_until", "=", soon), a),
            (("account_tier_locked_until", ">=", "2026-12-31"), a),
            (("account_tier_locked_until", "<", "2026-12-31"), self.env["res.partner"]),
            (("account_tier_locked_until", "=", False), b | none),
            (("account_tier_lock_reason", "ilike", "promised"), a),
            (("account_tier_lock_reason", "=", False), b | none),
        ):
            for user in (self.env.user, self.rep):
                with self.subTest(domain=domain, user=user.login):
                    found = (
                        self.env["res.partner"]
                        .with_user(user)
                        .with_context(allowed_company_ids=self.company.ids)
                        .search([domain, ("id", "in", self.everybody.ids)])
                    )
                    self.assertEqual(found, expected.with_user(user) & found)
                    self.assertEqual(len(found), len(expected))

    def test_search_from_afar(self):
        lead = self.env["crm.lead"].create(
            {"name": "Deal", "partner_id": self.contact.id}
        )
        for domain in (
            [("partner_id.account_tier_id.code", "=", "A")],
            [("partner_id.relationship_level", "=", "partner")],
        ):
            found = self.env["crm.lead"].search([*domain, ("id", "=", lead.id)])
            self.assertEqual(found, lead)

    def test_filtered_domain(self):
        for domain in (
            [("account_tier_id", "=", self.tier_b.id)],
            [("relationship_level", "=", "transactional")],
            [("visit_interval_days", ">", 10)],
        ):
            self.assertEqual(
                self.everybody.filtered_domain(domain), self._search(*domain)
            )

    def test_sorting(self):
        partners = self.env["res.partner"]
        for order in (
            "account_tier_id, id",
            "relationship_level desc, id",
            "visit_interval_days desc, id",
            "account_tier_locked_until, id",
            "executive_sponsor_id, id",
        ):
            found = partners.search([("id", "in", self.everybody.ids)], order=order)
            self.assertEqual(len(found), len(self.everybody), order)
        self.assertEqual(
            partners.search(
                [("id", "in", self.partners.ids)],
                order="visit_interval_days desc, id",
                limit=2,
            ),
            self.two | self.one,
        )
        self.assertEqual(
            partners.search(
                [("id", "in", self.partners.ids)], order="account_tier_id, id", limit=3
            ),
            self.one | self.two | self.three,
        )

    def test_grouping_and_progress(self):
        partners = self.env["res.partner"].with_user(self.rep)
        domain = [("id", "in", self.everybody.ids)]
        groups = partners.formatted_read_group(
            domain, ["account_tier_id"], ["__count", "visit_interval_days:sum"]
        )
        self.assertEqual(
            [
                (
                    group["account_tier_id"] and group["account_tier_id"][0],
                    group["__count"],
                )
                for group in groups
            ],
            [(self.tier_a.id, 2), (self.tier_b.id, 2), (False, 3)],
        )
        self.assertEqual(sum(g["visit_interval_days:sum"] for g in groups), 40)
        # what a click on a group shows is what it counted
        for group in groups:
            found = partners.search(Domain(group["__extra_domain"]) & Domain(domain))
            self.assertEqual(len(found), group["__count"])
        groups = partners.formatted_read_group(
            domain, ["relationship_level"], ["__count"]
        )
        self.assertEqual(
            {group["relationship_level"]: group["__count"] for group in groups},
            {"transactional": 5, "partner": 2},
        )
        progress = partners.read_progress_bar(
            domain,
            "account_tier_id",
            {"field": "relationship_level", "colors": {"partner": "success"}},
        )
        self.assertEqual(progress[str(self.tier_a.id)]["partner"], 2)
        for name in DECISIONS:
            description = partners.fields_get([name])[name]
            self.assertTrue(description["sortable"], name)
            self.assertTrue(description["groupable"], name)
            self.assertTrue(description["searchable"], name)
            self.assertFalse(description["readonly"], name)

    # --- writing -------------------------------------------------------------------

    def test_export_and_import(self):
        names = ["id", "account_tier_id/id", "relationship_level"]
        names += ["account_value_type", "visit_interval_days"]
        exported = self.one.export_data(names)["datas"][0]
        self.assertEqual(exported[2:], ["Partner", "Strategic", 10])
        partners = self.env["res.partner"].with_user(self.manager)
        exported[2:] = ["Preferred supplier", "Extrinsic", 12]
        self.manager.group_ids += self.env.ref("base.group_partner_manager")
        result = partners.load(names, [list(map(str, exported))])
        self.assertFalse(result["messages"])
        self.assertEqual(self.one.relationship_level, "preferred_supplier")
        self.assertEqual(self.one.account_value_type, "extrinsic")
        self.assertEqual(self.one.visit_interval_days, 12)
        self.assertEqual(self.one.account_tier_id, self.tier_a)
        self.tier_c.name = "Lowest of all"
        result = partners.load(
            ["name", "is_company", "account_tier_id", "relationship_level"],
            [["Imported", "1", "Lowest of all", "Partner"]],
        )
        self.assertFalse(result["messages"])
        imported = self.env["res.partner"].browse(result["ids"])
        self.assertEqual(imported.account_tier_id, self.tier_c)
        self.assertEqual(imported.relationship_level, "partner")

    def test_nothing_said_needs_no_row(self):
        partner = self._create_partner("Silent", relationship_level="transactional")
        partner.write({"visit_interval_days": 0, "account_value_type": False})
        self.assertFalse(self._get_rows(partner))
        partner.visit_interval_days = 3
        self.assertEqual(self._get_rows(partner).visit_interval_days, 3)

    def test_nothing_follows_from_nothing(self):
        """Whoever writes no row, or brings nobody's up to date, asks nothing."""
        self.env.flush_all()
        nobody = self.Card.browse()
        with self.assertQueryCount(0):
            self.Card.create([])
            nobody.write({"tier_id": self.tier_a.id, "value_type": "strategic"})
            nobody.unlink()
            self.Card._refresh_relationships([])

    def test_write_in_batches(self):
        """As many statements for fifty customers as for one."""
        counts = []
        for number in (1, 50):
            partners = self.env["res.partner"].union(
                *(self._create_partner(f"Many {number} {n}") for n in range(number))
            )
            for values in (
                {"account_value_type": "extrinsic"},
                {"relationship_level": "preferred_supplier"},
                {"account_tier_id": self.tier_c.id},
            ):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.cr.sql_log_count
                partners.write(values)
                self.env.flush_all()
                counts.append(self.cr.sql_log_count - before)
            self.assertEqual(len(self._get_rows(partners)), number)
            self.assertEqual(set(partners.mapped("account_tier_id.code")), {"C"})
        for one, many in zip(counts[:3], counts[3:], strict=True):
            # planning closes and makes activities in batches of its own
            self.assertLessEqual(many, one + 5)

    def test_forms(self):
        with Form(self.three.with_user(self.rep)) as form:
            form.visit_interval_days = 14
            # what was typed stays, whatever else is changed
            form.company_type = "person"
            form.company_type = "company"
            self.assertEqual(form.visit_interval_days, 14)
        self.assertEqual(self.three.visit_interval_days, 14)
        with Form(self.one.with_user(self.rep)) as form:
            form.name = "Renamed"
        self.assertEqual(self.one.relationship_level, "partner")
        # who leaves a customer takes nothing along
        with Form(self.contact.with_user(self.rep)) as form:
            form.parent_id = self.env["res.partner"]
        self.assertFalse(self.contact.visit_interval_days)
        self.assertEqual(self.one.visit_interval_days, 10)
        with Form(self.env["res.partner"].with_user(self.rep)) as form:
            form.name = "Contact"
            form.parent_id = self.one
        self.assertEqual(form.record.account_tier_id, self.tier_a)

    def test_contacts_are_refused(self):
        for values in (
            {"visit_interval_days": 3},
            {"relationship_level": "preferred_supplier"},
            {"account_tier_id": self.tier_b.id},
        ):
            with self.assertRaisesRegex(ValidationError, "its contacts show the same"):
                self.contact.with_user(self.manager).write(values)
            self.env.invalidate_all()
        self.assertEqual(self.one.visit_interval_days, 10)

    def test_becomes_a_contact_and_an_account_again(self):
        self.one.parent_id = self.two
        self.one.is_company = False
        self.assertEqual(self.one.account_tier_id, self.tier_b)
        self.one.write({"parent_id": False, "is_company": True})
        for name in DECISIONS.keys() - {"relationship_level"}:
            self.assertFalse(self.one[name], name)
        self.assertEqual(self.one.relationship_level, "transactional")

    def test_whoever_may_not_write(self):
        internal = self._create_user("ka_account_internal", "base.group_user")
        outside = self._create_user(
            "ka_account_outside", "base.group_user,base.group_partner_manager"
        )
        for user in (internal, outside):
            for name in DECISIONS:
                with self.assertRaises(AccessError), self.cr.savepoint():
                    self.one.with_user(user).write({name: False})
        # also of a customer that is new, in a field that isn't guarded otherwise
        with self.assertRaises(AccessError), self.cr.savepoint():
            self.env["res.partner"].with_user(outside).create(
                {"name": "New", "visit_interval_days": 7}
            )
        with self.assertRaises(AccessError), self.cr.savepoint():
            self.one.with_user(self.rep).account_tier_id = self.tier_c
        with self.assertRaises(AccessError), self.cr.savepoint():
            self._get_rows(self.one).with_user(self.manager).tier_id = self.tier_c
        self.assertEqual(self.one.account_tier_id, self.tier_a)

    def test_administrators_without_a_sales_right(self):
        """They create, copy and edit users as without the addon."""
        for login, groups in (
            ("ka_settings", "base.group_user,base.group_system"),
            ("ka_access", "base.group_erp_manager,base.group_partner_manager"),
        ):
            with self.subTest(login=login):
                admin = new_test_user(
                    self.env,
                    login=login,
                    groups=groups,
                    company_id=self.company.id,
                    company_ids=[Command.set(self.company.ids)],
                )
                users = self.env["res.users"].with_user(admin)
                user = users.create({"name": "New", "login": f"{login}_new"})
                self.assertFalse(self._get_rows(user.sudo().partner_id))
                self.assertTrue(user.copy({"login": f"{login}_copy"}))
                with Form(user) as form:
                    form.name = "Renamed"
                with Form(users) as form:
                    form.name = "By form"
                    form.login = f"{login}_form"
                user.partner_id.name = "Renamed again"
                self.assertEqual(user.name, "Renamed again")

    # --- the run ---------------------------------------------------------------------

    def test_real_moves_go_through_the_orm(self):
        self.policy.write({"min_tenure_days": 0, "hysteresis": 0})
        self._create_invoices(
            [(partner, 100, TODAY) for partner in self.partners[3:]]
            + [(self.partners[3], 5000, TODAY)]
        )
        Change = type(self.env["key.account.tier.change"])
        made = []
        create = Change.create

        def heard(model, vals_list):
            made.extend(vals_list)
            return create(model, vals_list)

        with patch.object(Change, "create", heard):
            changes = self.policy._run(TODAY)
        self.assertFalse(made, "all of them are placed for the first time")
        self.assertFalse(changes)
        self.assertEqual(self.partners[3].account_tier_id, self.tier_a)
        self.assertEqual(self._get_rows(self.partners[3]).tier_since, TODAY)
        self._create_invoices([(self.partners[4], 90000, TODAY)])
        with patch.object(Change, "create", heard):
            changes = self.policy._run(TODAY + timedelta(days=1))
        self.assertEqual(len(made), len(changes))
        self.assertIn(self.partners[4], changes.partner_id)
        self.assertEqual(changes.mapped("state"), ["applied"] * len(changes))

    def test_preview_and_message_of_a_first_run(self):
        self._create_invoices([(partner, 100, TODAY) for partner in self.partners[3:]])
        policy = self.policy.with_user(self.manager)
        preview = self.env["key.account.tier.preview"].browse(
            policy.action_preview()["res_id"]
        )
        self.assertEqual(preview.line_ids.partner_id, self.partners[3:])
        self.assertFalse(preview.line_ids.from_tier_id)
        self.assertFalse(self.partners[3].account_tier_id)
        message = policy.action_run()["params"]["message"]
        self.assertIn("3 accounts placed", message)

    def test_proposing_places_nobody_unasked(self):
        self.policy.auto_apply = False
        self._create_invoices([(self.partners[3], 100, TODAY)])
        changes = self.policy._run(TODAY)
        self.assertEqual(changes.partner_id, self.partners[3])
        self.assertEqual(changes.state, "proposed")
        self.assertFalse(self.partners[3].account_tier_id)
        self.assertFalse(self.policy._run(TODAY), "not a second time")
        changes.with_user(self.manager).action_apply()
        self.assertEqual(self.partners[3].account_tier_id, changes.to_tier_id)
        self.assertEqual(len(self.partners[3].key_account_ids), 1)

    def test_cumulative_share_is_added_up_when_asked(self):
        self._create_invoices(
            [
                (partner, amount, TODAY, {"move_type": move_type})
                for partner, amount, move_type in zip(
                    self.partners,
                    (50, 20, 20, 10, 0, 5),
                    ["out_invoice"] * 5 + ["out_refund"],
                    strict=True,
                )
            ]
        )
        self.policy._run(TODAY)
        rows = self._get_rows(self.partners).sorted("partner_id")
        self.assertEqual(rows.mapped("cumulative_share"), [50, 90, 90, 100, 100, 100])
        self.assertEqual(self.two.key_account_cumulative_share, 90)
        self.assertFalse(self.Card._fields["cumulative_share"].store)
