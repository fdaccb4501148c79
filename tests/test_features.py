import re
from functools import partial
from unittest.mock import patch

from freezegun import freeze_time
from lxml import etree

from odoo.sql_db import Cursor
from odoo.tests import tagged
from odoo.tools import SQL
from odoo.tools.safe_eval import safe_eval

from ..models.account import features
from .common import SALES, TODAY
from .relationship.test_buying_center import BuyingCenterCommon

MODULE = "crm_key_account"
# What is on a switch's screens: {switch: {model: names of fields}}
FIELDS = {
    features.EVIDENCE: {
        "crm.lead": {"relationship_level"},
        "key.account": {
            "relationship_level",
            "suggested_relationship_level",
            "relationship_direction",
            "relationship_gap_text",
            "date_lapse",
        },
        "key.account.cadence": {"relationship_level"},
        "key.account.plan": {"relationship_level", "aimed_level"},
        "res.partner": {
            "relationship_level",
            "suggested_relationship_level",
            "relationship_direction",
            "relationship_gap_text",
        },
    },
    features.BUYING_CENTER: {
        "key.account": {
            "coverage",
            "required_count",
            "covered_count",
            "is_single_threaded",
            "met_contact_count",
            "met_user_count",
        },
        "key.account.tier": {"cell_ids", "coverage_months"},
        "key.account.visit": {"target_role_id", "target_level"},
        "res.partner": {
            "buying_role_ids",
            "decision_level",
            "key_account_coverage",
            "key_account_is_single_threaded",
            "key_account_required_count",
            "key_account_thread_text",
            "left_company_date",
            "stance",
        },
    },
    features.ASSIGNMENT: {
        "crm.team.member": {"seniority"},
        "key.account.tier": {"min_seniority"},
    },
}
# Filters and buttons, by name
NODES = {
    features.EVIDENCE: {
        "action_accept_level",
        "action_change_relationship_level",
        "action_view_relationship_changes",
        "action_view_relationship_evidence",
        "action_view_relationship_history",
        "group_direction",
        "group_relationship_level",
    },
    features.BUYING_CENTER: {"coverage_gaps", "gaps", "single_threaded"},
    features.ASSIGNMENT: {"group_seniority"},
}
# What only a switch's own statements name, as a pattern
STATEMENTS = {
    features.EVIDENCE: r"key_account_relationship_(change|criterion|evidence)"
    r"|suggested_relationship_level\s*=",
    features.BUYING_CENTER: r"key_account_(tier_cell|buying_role|checklist_item)"
    r"|met_contact_count\s*=",
    features.ASSIGNMENT: r"min_seniority\s*[=<>]|key_account_(assignment|effort_sugg)",
}
REP_MENUS = [
    "key_account_menu",
    "key_account_visit_menu_my_day",
    "key_account_week_board_menu",
    "key_account_visit_menu",
    "key_account_due_menu",
    "key_account_commitment_menu",
]


@tagged("post_install", "-at_install")
class TestFeatures(BuyingCenterCommon):
    """What a company doesn't use isn't there."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        freezer = freeze_time(f"{TODAY} 09:00:00")
        freezer.start()
        cls.addClassCleanup(freezer.stop)
        cls.users = cls.rep | cls.leader | cls.manager
        cls.env["key.account.cadence"].create(
            {"company_id": cls.company.id, "tier_id": cls.tier_a.id}
        )

    def _switch(self, *switches):
        """Switch these on, and the others off, as the settings do."""
        names = {switch.partition(".")[2]: switch for switch in features.SWITCHES}
        self.env["res.config.settings"].create(
            {
                "group_use_account_plan": False,
                **{name: switch in switches for name, switch in names.items()},
            }
        ).execute()
        for switch in features.SWITCHES:
            self.assertEqual(features.is_used(self.env, switch), switch in switches)

    def _get_menus(self, user):
        """Return the names of the entries of ours that ``user`` sees, as the web
        client gets them, folders left out."""
        menus = self.env["ir.ui.menu"].with_user(user).load_menus(False)
        return [
            menu["xmlid"].removeprefix(f"{MODULE}.")
            for menu in menus.values()
            if menu.get("xmlid", "").startswith(f"{MODULE}.") and menu["action_id"]
        ]

    # Menus ------------------------------------------------------------------

    def test_menus_of_tiers_and_cadence(self):
        self._switch()
        self.assertCountEqual(self._get_menus(self.rep), REP_MENUS)
        self.assertLessEqual(len(self._get_menus(self.leader)), 10)
        self.assertCountEqual(
            self._get_menus(self.manager),
            [
                *REP_MENUS,
                "key_account_portfolio_menu",
                "key_account_visit_figures_menu",
                "key_account_policy_menu",
                "key_account_cadence_menu",
            ],
        )
        self.assertLessEqual(len(self._get_menus(self.manager)), 10)
        internal = self._create_user("ka_internal", "base.group_user")
        self.assertFalse(self._get_menus(internal))

    def test_menus_of_all(self):
        self._switch(*features.SWITCHES)
        reports = [
            "key_account_portfolio_menu",
            "key_account_visit_figures_menu",
            "key_account_level_menu",
            "key_account_gap_menu",
            "key_account_tier_change_menu",
            "key_account_loss_menu",
            "key_account_assignment_menu",
            "key_account_effort_suggestion_menu",
        ]
        self.assertCountEqual(self._get_menus(self.rep), REP_MENUS)
        self.assertCountEqual(self._get_menus(self.leader), REP_MENUS + reports)
        self.assertCountEqual(
            self._get_menus(self.manager),
            [
                *REP_MENUS,
                *reports,
                "key_account_policy_menu",
                "key_account_cadence_menu",
                "key_account_relationship_criterion_menu",
                "key_account_buying_role_menu",
                "key_account_checklist_item_menu",
                "key_account_engagement_menu",
                "key_account_churn_reason_menu",
            ],
        )

    def test_menus_of_one_switch(self):
        self._switch(features.EVIDENCE)
        menus = self._get_menus(self.manager)
        self.assertIn("key_account_level_menu", menus)
        self.assertIn("key_account_loss_menu", menus)
        self.assertNotIn("key_account_buying_role_menu", menus)
        self.assertNotIn("key_account_assignment_menu", menus)

    def test_what_lost_its_menu_is_found(self):
        """By a button that everybody has who had the menu."""
        self._switch(*features.SWITCHES)
        for user in self.users:
            portfolio = self.env["key.account.portfolio"].with_user(user)
            names = [each["action"] for each in portfolio._get_lists()]
            self.assertIn(f"{MODULE}.key_account_risk_action", names)
            for name in names:
                action = self.env.ref(name).sudo()
                model = action.type == "ir.actions.act_window" and action.res_model
                if model:
                    self.assertTrue(self.env[model].with_user(user).has_access("read"))
        self._switch()
        names = [each["action"] for each in portfolio._get_lists()]
        self.assertNotIn(f"{MODULE}.key_account_action_level", names)
        for user, has_button in ((self.rep, True), (self.leader, False)):
            for view in ("list", "kanban"):
                arch = self.Card.with_user(user).get_view(view_type=view)["arch"]
                found = etree.fromstring(arch).xpath("//button[@string='Portfolio']")
                self.assertEqual(bool(found), has_button, (user.login, view))

    # Screens ----------------------------------------------------------------

    def _get_screens(self, user):
        """Yield (model, arch) of the screens behind the menus that ``user`` sees, and
        of Odoo's own."""
        wanted = {
            ("crm.lead", None, "form"),
            ("crm.lead", None, "search"),
            ("crm.lead", "crm.crm_case_tree_view_oppor", "list"),
            ("crm.lead", "crm.crm_case_tree_view_leads", "list"),
            ("crm.team.member", None, "form"),
            ("crm.team.member", None, "kanban"),
            ("crm.team.member", None, "list"),
            ("crm.team.member", None, "search"),
            ("key.account", f"{MODULE}.key_account_risk_view_list", "list"),
            ("key.account", f"{MODULE}.key_account_view_list_portfolio", "list"),
            ("key.account.plan", None, "form"),
            ("key.account.plan", None, "list"),
            ("key.account.tier", None, "form"),
            ("key.account.tier", None, "list"),
            ("res.partner", None, "form"),
            ("res.partner", None, "kanban"),
            ("res.partner", None, "list"),
            ("res.partner", None, "search"),
        }
        for name in self._get_menus(user):
            action = self.env.ref(f"{MODULE}.{name}").sudo().action
            if action._name == "ir.actions.act_window":
                views = [*action.views, (action.search_view_id.id, "search")]
                wanted |= {(action.res_model, id_, kind) for id_, kind in views}
        for model, view, kind in wanted:
            view_id = self.env.ref(view).id if isinstance(view, str) else view
            records = self.env[model].with_user(user)
            if records.has_access("read"):
                yield model, etree.fromstring(records.get_view(view_id, kind)["arch"])

    def _get_shown(self, user):
        """Return {switch: what of it is on the screens of ``user``}."""
        shown = {switch: set() for switch in features.SWITCHES}
        for model, arch in self._get_screens(user):
            for node in arch.iter("field", "filter", "button", "label"):
                owner, name = model, node.get("name") or node.get("for")
                # a list inside of a form is of another model
                for above in reversed(list(node.iterancestors("field"))):
                    field = self.env[owner]._fields.get(above.get("name"))
                    owner = field and field.comodel_name or owner
                for switch in features.SWITCHES:
                    is_field = node.tag in ("field", "label")
                    names = FIELDS[switch].get(owner, ()) if is_field else NODES[switch]
                    if name in names:
                        shown[switch].add((owner if is_field else node.tag, name))
        return shown

    def test_screens(self):
        """Off, no view carries it; on again, everything is back."""
        self._switch(*features.SWITCHES)
        before = {user: self._get_shown(user) for user in self.users}
        self._switch()
        for user in self.users:
            for switch, shown in self._get_shown(user).items():
                self.assertFalse(shown, f"{switch} for {user.login}")
        self._switch(*features.SWITCHES)
        for user in self.users:
            shown = self._get_shown(user)
            self.assertEqual(shown, before[user])
            self.assertIn(
                ("res.partner", "relationship_level"), shown[features.EVIDENCE]
            )
            self.assertIn(("key.account", "coverage"), shown[features.BUYING_CENTER])
        self.assertIn(
            ("key.account.tier", "min_seniority"),
            before[self.manager][features.ASSIGNMENT],
        )

    def test_each_switch_by_itself(self):
        for switch in features.SWITCHES:
            self._switch(switch)
            for other, shown in self._get_shown(self.manager).items():
                self.assertEqual(bool(shown), other == switch, (switch, other))

    def test_custom_filters(self):
        """Nobody is offered to search, group, measure or export by what isn't there."""
        offered = ["aggregator", "exportable", "groupable", "searchable", "sortable"]
        for switches, is_there in (((), False), (features.SWITCHES, True)):
            self._switch(*switches)
            for model, name in (
                ("crm.lead", "relationship_level"),
                ("key.account", "coverage"),
                ("key.account", "relationship_level"),
                ("key.account.cadence", "relationship_level"),
                ("key.account.due", "relationship_level"),
                ("key.account.plan", "aimed_level"),
                ("key.account.plan", "relationship_level"),
                ("key.account.visit", "relationship_level"),
                ("key.account.visit", "target_level"),
                ("key.account.visit", "target_role_id"),
                ("res.partner", "decision_level"),
                ("res.partner", "relationship_level"),
            ):
                records = self.env[model].with_user(self.rep)
                for attributes in (None, offered):
                    found = records.fields_get([name], attributes)[name]
                    shown = any(found[each] for each in offered if each in found)
                    self.assertEqual(shown, is_there, (model, name))
                self.assertTrue(
                    records.fields_get(["company_id"])["company_id"]["type"]
                )

    def _open_screens(self, user):
        """Read what the screens of ``user`` show, as the web client does."""
        domains = {
            "crm.team.member": [("crm_team_id", "=", self.team.id)],
            "res.partner": [("id", "child_of", self.account.id)],
        }
        own = [("company_id", "=", self.company.id)]
        for model, arch in self._get_screens(user):
            records = self.env[model].with_user(user).with_company(self.company)
            names = arch.xpath(".//field[not(ancestor::field)]/@name")
            if arch.tag in ("form", "kanban", "list"):
                usual = own if "company_id" in records._fields else []
                records = records.search(domains.get(model, usual), limit=3)
                records.web_read(dict.fromkeys(names, {}))
        visits = self.Visit.with_user(user).with_company(self.company)
        visits.get_week_board()
        visits.get_my_day()
        visits.get_log_customers()

    def test_screens_ask_nothing(self):
        """Off, no screen asks for it, whoever opens it."""
        self._create_criterion(months=12)
        self._visit(self.ann)
        self.env["key.account.policy"]._run_companies(self.company, TODAY)
        self.Visit._generate(company=self.company, today=TODAY)
        for user in self.users:
            with self.subTest(user=user.login):
                self._switch(*features.SWITCHES)
                asked = self._get_statements(partial(self._open_screens, user))
                self.assertLessEqual(
                    {features.EVIDENCE, features.BUYING_CENTER}, self._get_named(asked)
                )
                self._switch()
                asked = self._get_statements(partial(self._open_screens, user))
                self.assertFalse(self._get_named(asked))

    def test_sponsor_has_a_place(self):
        """It is set on the map, or, without one, on the form."""
        for switches, is_there in (((features.BUYING_CENTER,), False), ((), True)):
            self._switch(*switches)
            partner = self.env["res.partner"].with_user(self.rep)
            arch = etree.fromstring(partner.get_view(view_type="form")["arch"])
            found = arch.xpath("//page//field[@name='executive_sponsor_id']")
            self.assertEqual(bool(found), is_there)

    def test_switches_give_no_rights(self):
        contact = self.ann.with_user(self.rep)
        for switches in ((), features.SWITCHES):
            self._switch(*switches)
            self.assertEqual(contact.decision_level, "top")
            self.assertTrue(self.account.with_user(self.rep).relationship_level)
            internal = self._create_user(f"ka_in_{len(switches)}", "base.group_user")
            self.assertFalse(
                self.env["key.account.relationship.evidence"]
                .with_user(internal)
                .has_access("read")
            )

    def test_brief(self):
        """Levels, roles and checklist aren't in it."""
        self._visit(self.ann)
        visit = self.Visit.create(
            {
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "date_planned": TODAY,
            }
        )
        self.ann.stance = "champion"
        brief = self.env["key.account.visit.brief"].with_user(self.rep)
        brief = brief.with_company(self.company)
        (values,) = brief._get_values(visit.with_user(self.rep)).values()
        self.assertTrue(values["checklist"])
        self.assertTrue(values["people"]["gap"])
        self._switch()
        self.env.invalidate_all()
        (values,) = brief._get_values(visit.with_user(self.rep)).values()
        self.assertFalse(values["checklist"])
        self.assertFalse(values["ladder"])
        self.assertFalse(values["people"]["gap"])
        ann = next(c for c in values["people"]["contacts"] if c["name"] == "Ann")
        self.assertFalse(ann["stance"])
        self.assertNotIn("Top", ann["facts"])

    # The night --------------------------------------------------------------

    def _get_statements(self, function):
        """Return the statements that ``function`` sends."""
        statements = []
        execute = Cursor.execute

        def note(cursor, query, *args, **kwargs):
            statements.append(query.code if isinstance(query, SQL) else str(query))
            return execute(cursor, query, *args, **kwargs)

        self.env.flush_all()
        self.env.invalidate_all()
        with patch.object(Cursor, "execute", note):
            function()
            self.env.flush_all()
        return statements

    def _run_night(self, incremental=True):
        policies = self.env["key.account.policy"]
        policies._run_companies(self.company, TODAY, incremental)
        self.Visit._generate(company=self.company, today=TODAY)

    def _get_named(self, statements):
        """Return the switches that ``statements`` name."""
        return {
            switch
            for switch, pattern in STATEMENTS.items()
            if any(re.search(pattern, each) for each in statements)
        }

    def test_night(self):
        """Off, a night asks nothing of it, and less than with it."""
        self._create_criterion(months=12)
        self._visit(self.ann)
        self._create_invoices([(self.account, 1000, TODAY)])
        self._switch(*features.SWITCHES)
        for incremental in (False, True):
            with self.subTest(incremental=incremental):
                self._switch(*features.SWITCHES)
                self._run_night()
                with_all = self._get_statements(partial(self._run_night, incremental))
                self.assertEqual(
                    self._get_named(with_all),
                    {features.EVIDENCE, features.BUYING_CENTER},
                )
                self._switch()
                self._run_night()
                without = self._get_statements(partial(self._run_night, incremental))
                self.assertFalse(self._get_named(without))
                self.assertLess(len(without), len(with_all))
        self._get_planned(self.account).unlink()
        planning = self._get_statements(self._run_night)
        self.assertFalse(self._get_named(planning))
        visit = self._get_planned(self.account)
        self.assertTrue(visit)
        self.assertFalse(visit.target_role_id or visit.target_level)

    def test_night_of_one(self):
        self._create_criterion(months=12)
        for switch in (features.EVIDENCE, features.BUYING_CENTER):
            self._switch(switch)
            self._run_night(incremental=False)
            statements = self._get_statements(lambda: self._run_night(False))
            named = self._get_named(statements)
            self.assertIn(switch, named)
            if switch == features.BUYING_CENTER:
                self.assertEqual(named, {switch})

    def test_events(self):
        """Nor does what people do: a done visit, a contact that changes."""
        self._switch()

        def work():
            self._visit(self.ann)
            self._create_contact("Cid", function="Driver")
            self.ann.stance = "champion"
            self.account.with_company(self.company).account_value_type = "strategic"

        self.assertFalse(self._get_named(self._get_statements(work)))

    def test_new_account_without(self):
        """It is made while off, and is complete once it is on."""
        self._create_criterion(months=12)
        self._switch()
        partner = self._create_partner("Heron")
        self._create_invoices([(partner, 5000, TODAY)])
        self._run_night(incremental=False)
        card = self._get_card(partner)
        self.assertEqual(card.relationship_level, "transactional")
        self.assertFalse(card.relationship_gap)
        self.assertFalse(card.required_count)
        self._switch(features.EVIDENCE, features.BUYING_CENTER)
        self._run_night()
        self.env.invalidate_all()
        self.assertEqual(len(card.relationship_gap), 1)
        self.assertEqual(card.required_count, len(card.tier_id.cell_ids))

    def test_on_again(self):
        """No data is lost, and the next night brings up to date what happened while it
        was off."""
        criterion = self._create_criterion(months=12)
        self.Evidence.create(
            {
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "criterion_id": criterion.id,
                "note": "They say so",
                "date": TODAY,
            }
        )
        self.account.with_company(
            self.company
        ).relationship_level = "preferred_supplier"
        self._switch(*features.SWITCHES)
        self._run_night(incremental=False)
        card = self._get_card(self.account)
        names = ["relationship_level", "suggested_relationship_level", "coverage"]
        before = card.read(names)
        counts = [each.search_count([]) for each in (self.Evidence, self.Change)]
        trigger = self.env.ref(f"{MODULE}.ir_cron_tiering")
        triggers = self.env["ir.cron.trigger"].search_count(
            [("cron_id", "=", trigger.id)]
        )
        self._switch()
        self._run_night()
        self._visit(self.bob)
        self._visit(self.ann)
        self.env.invalidate_all()
        self.assertEqual(card.read(names), before, "nobody looks at it")
        self._switch(*features.SWITCHES)
        self.assertGreater(
            self.env["ir.cron.trigger"].search_count([("cron_id", "=", trigger.id)]),
            triggers,
            "at once, not next night",
        )
        self._run_night()
        self.env.invalidate_all()
        self.assertEqual(card.relationship_level, "preferred_supplier")
        self.assertEqual(card.suggested_relationship_level, "preferred_supplier")
        self.assertEqual(card.coverage, 75)
        self.assertEqual(
            [each.search_count([]) for each in (self.Evidence, self.Change)], counts
        )

    # Lists ------------------------------------------------------------------

    def _filter_accounts(self, name, user=None):
        view = self.env.ref(f"{MODULE}.key_account_view_search")
        (found,) = etree.fromstring(view.arch).xpath(f"//filter[@name='{name}']")
        cards = self.Card.with_user(user or self.manager)
        domain = found.get("domain").replace("uid", str(cards.env.uid))
        return cards.search(
            [*safe_eval(domain), ("company_id", "=", self.company.id)]
        ).partner_id

    def test_filters_of_accounts(self):
        other = self._create_partner("Heron", user_id=self.rep2.id)
        self._set_tier(other, self.tier_c)
        self._visit(self.ann, TODAY)
        self._visit(account=other, day=TODAY.replace(month=1))
        self.assertEqual(self._filter_accounts("key_accounts"), self.account)
        self.assertEqual(self._filter_accounts("not_visited"), other)
        self.assertEqual(self._filter_accounts("my_accounts", self.rep), self.account)
        for name in ("overdue", "shrinking"):
            self._filter_accounts(name)

    def test_best_tier(self):
        tiers = self.policy.tier_ids
        self.assertEqual(tiers.filtered("is_best"), self.tier_a)
        found = self.env["key.account.tier"].search([("is_best", "=", True)])
        self.assertEqual(found & tiers, self.tier_a)
        self.assertEqual(
            self.env["key.account.tier"].search([("is_best", "=", False)]) & tiers,
            self.tier_b | self.tier_c,
        )

    def test_cadence_without_levels(self):
        """Lines for a level are out of the way where levels aren't used."""
        for switches, is_there in (((), True), ((features.EVIDENCE,), False)):
            self._switch(*switches)
            lines = self.env["key.account.cadence"].with_user(self.manager)
            arch = etree.fromstring(lines.get_view(view_type="search")["arch"])
            self.assertEqual(
                bool(arch.xpath("//filter[@name='every_level']")), is_there
            )

    def test_rights_of_switches(self):
        """Whoever may change the settings, alone."""
        group = self.env.ref(features.EVIDENCE)
        for user in (self.rep, self.leader, self.manager):
            self.assertFalse(group.with_user(user).has_access("write"))
        self.assertIn(group, self.env.ref(SALES).all_implied_ids)
