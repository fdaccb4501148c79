from datetime import date

from lxml import etree

from odoo import Command
from odoo.fields import Domain
from odoo.tests import tagged
from odoo.tools.safe_eval import safe_eval

from ...models.account import clock
from ..common import SALES, SALES_ALL, TODAY
from .test_visits import PlannedVisitCommon

LATE_DAY = date(2026, 2, 17)
LIST_VIEW = "crm_key_account.key_account_view_list"


@tagged("post_install", "-at_install")
class TestOverdue(PlannedVisitCommon):
    """Overdue means the due date, wherever it is shown."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        done = cls.Visit.search(
            [("partner_id", "=", cls.partner.id), ("state", "=", "done")]
        )
        done.date_done = date(2026, 2, 10)
        cls.visit.date_due = LATE_DAY
        cls.env["key.account.due"]._refresh(cls.company)

    def setUp(self):
        super(PlannedVisitCommon, self).setUp()

    def test_replanned_for_today(self):
        self.visit.with_user(self.rep).date_planned = TODAY
        self.assertTrue(self.visit.is_overdue)
        self.assertEqual(self.visit.days_overdue, 29)
        card = self._get_card(self.partner)
        self.assertTrue(card.is_overdue)
        self.assertEqual(card.days_overdue, 29)
        partner = self.partner.with_user(self.rep)
        self.assertTrue(partner.is_visit_overdue)
        self.assertEqual(partner.visit_days_overdue, 29)
        # a colleague's dates are the colleague's
        self.assertEqual(self.partner.with_user(self.rep2).visit_days_overdue, 0)
        due = card.due_ids
        self.assertEqual(due.days_overdue, 29)
        board = self.Visit.with_user(self.rep).get_week_board("2026-03-18")
        shown = [each for each in board["visits"] if each["id"] == self.visit.id]
        self.assertEqual(shown[0]["days_overdue"], 29)
        self.assertTrue(shown[0]["is_overdue"])
        self.assertIn("29 days late", self.visit.brief)

    def test_a_day_later(self):
        """Planned for a day to come, and late all the same."""
        self.visit.with_user(self.rep).date_planned = date(2026, 3, 25)
        self.assertEqual(self.visit.days_overdue, 29)
        self.assertEqual(self._get_card(self.partner).days_overdue, 29)

    def test_nothing_is_late(self):
        self.visit.date_due = TODAY
        self.assertFalse(self.visit.is_overdue)
        self.assertEqual(self.visit.days_overdue, 0)
        self.visit.date_due = LATE_DAY
        self.visit.with_user(self.rep).action_done()
        self.assertEqual(self.visit.days_overdue, 0)
        self.assertEqual(self._get_card(self.partner).days_overdue, 0)

    def test_planned_by_a_person(self):
        """Without a due date, the planned day counts."""
        partner = self._create_partner("By hand")
        visit = self.Visit.create(
            {"partner_id": partner.id, "date_planned": "2026-03-16"}
        )
        self.assertEqual(visit.days_overdue, 2)
        self.assertEqual(self._get_card(partner).days_overdue, 2)

    def test_sorting_and_groups(self):
        partner = self._create_partner("Not late")
        self._set_tier(partner, self.tier_b)
        cards = self.Card.search([("company_id", "=", self.company.id)])
        self.assertEqual(
            cards.search([("id", "in", cards.ids)], order="days_overdue desc")[:1],
            self._get_card(self.partner),
        )
        groups = cards.formatted_read_group(
            [("id", "in", cards.ids)], [], ["days_overdue:max"]
        )
        self.assertEqual(groups[0]["days_overdue:max"], 29)

    def test_denied_and_chosen(self):
        """What isn't so, or is one of two, is found as lists show it: of customers,
        their contacts, and leads with and without a customer."""
        visited = date(2026, 1, 5)
        contact = self._create_partner(
            "Contact", parent_id=self.partner.id, is_company=False
        )
        never = self._create_partner("Never visited")
        self._get_card(self.partner).last_visit_date = visited
        self.Card._provide(never.ids, self.company)
        leads = self.env["crm.lead"].create(
            [
                {"name": "Of somebody", "company_id": self.company.id, **values}
                for values in (
                    {"partner_id": contact.id},
                    {"partner_id": never.id},
                    {},
                    {},
                )
            ]
        )
        self.Visit.create({"lead_id": leads[2].id, "date_planned": "2026-03-16"})
        # of two planned the first one is the next
        self.Visit.create(
            {
                "lead_id": leads[2].id,
                "track": "executive",
                "user_id": self.rep2.id,
                "date_planned": "2026-04-20",
            }
        )
        # beside a join of core's, and what isn't written yet
        leads[3].partner_id = contact
        visited_leads = Domain("last_visit_date", "!=", False)
        self.assertEqual(
            leads.with_context(allowed_company_ids=self.company.ids).search(
                visited_leads & Domain("id", "in", leads.ids), order="partner_id, id"
            ),
            leads[0] | leads[3],
        )
        leads[3].partner_id = False
        cards = self.Card.search([("company_id", "=", self.company.id)])
        for records, names, overdue in (
            (
                self.partner | contact | never,
                ("last_visit_date", "next_visit_date"),
                "is_visit_overdue",
            ),
            (leads, ("last_visit_date", "next_visit_date"), "is_visit_overdue"),
            (cards, ("last_visit_date", "next_visit_date"), "is_overdue"),
        ):
            records = records.with_context(allowed_company_ids=self.company.ids)
            among = Domain("id", "in", records.ids)
            for name in names:
                self.assertEqual(len(set(map(bool, records.mapped(name)))), 2, name)
                days = set(records.mapped(name))
                day = max(filter(None, days))
                early = {each for each in days if each and each < day}
                empty = Domain(name, "=", False)
                for domain, values in (
                    (empty, {False}),
                    (~empty, days - {False}),
                    (Domain(name, "<", day), early),
                    (~Domain(name, "<", day), days - early),
                    (~Domain(name, ">=", day), early | {False}),
                    (Domain(name, "in", [False, day]), {False, day}),
                    (Domain(name, "in", [False, *early]), {False, *early}),
                    (empty | Domain(name, ">=", day), {False, day}),
                ):
                    with self.subTest(model=records._name, domain=str(domain)):
                        self.assertEqual(
                            set(records.search(among & domain)),
                            {record for record in records if record[name] in values},
                        )
            late = records.filtered(overdue)
            self.assertTrue(late)
            self.assertTrue(records - late)
            for value, shown in ((True, late), (False, records - late)):
                found = records.search(among & Domain(overdue, "=", value))
                self.assertEqual(set(found), set(shown), records._name)


@tagged("post_install", "-at_install")
class TestNextVisit(PlannedVisitCommon):
    """The reader's own visit is the next one, and an executive's says whose it is."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.boss = cls._create_user("ka_boss", SALES_ALL)
        cls.executive = cls.Visit.create(
            {
                "partner_id": cls.partner.id,
                "track": "executive",
                "user_id": cls.boss.id,
                "date_planned": "2026-03-18",
            }
        )

    def _get_next(self, user, record=None):
        record = record or self._get_card(self.partner)
        record = record.with_user(user)
        record.invalidate_recordset()
        return record.next_visit_date, record.next_visit_user_id

    def _get_late(self, user):
        """Return how many days late, and whose, as the list and the customer say."""
        self.env.flush_all()
        self.env.invalidate_all()
        card = self._get_card(self.partner).with_user(user)
        partner = self.partner.with_user(user)
        late = card.days_overdue, card.overdue_user_id.with_user(self.env.user)
        self.assertEqual(partner.visit_days_overdue, late[0])
        self.assertEqual(partner.visit_overdue_user_id, card.overdue_user_id)
        return late

    def test_own_track_first(self):
        nobody = self.env["res.users"]
        for record in (self._get_card(self.partner), self.partner):
            self.assertEqual(
                self._get_next(self.rep, record), (date(2026, 3, 19), nobody)
            )
            self.assertEqual(
                self._get_next(self.boss, record), (date(2026, 3, 18), self.boss)
            )
        self.visit.action_cancel()
        for record in (self._get_card(self.partner), self.partner):
            self.assertEqual(
                self._get_next(self.rep, record), (date(2026, 3, 18), self.boss)
            )
        self.executive.user_id = self.leader
        self.assertEqual(self._get_next(self.rep), (date(2026, 3, 18), self.leader))
        self.executive.action_done()
        self.assertEqual(self._get_next(self.rep), (False, nobody))

    def test_days_late(self):
        """Of one's own visit first; an executive's says whose it is."""
        self.executive.sudo().date_due = date(2026, 1, 1)
        for user in (self.boss, self.rep):
            self.assertEqual(self._get_late(user), (76, self.boss))
        self.visit.sudo().date_due = date(2026, 3, 16)
        self.assertEqual(self._get_late(self.boss), (76, self.boss))
        nobody = self.env["res.users"]
        for user in (self.rep, self.leader):
            self.assertEqual(self._get_late(user), (2, nobody))
        # one's own is in time, and another one isn't
        self.executive.sudo().date_due = TODAY
        self.assertEqual(self._get_next(self.boss)[1], self.boss)
        self.assertEqual(self._get_late(self.boss), (2, nobody))
        self.visit.sudo().date_due = TODAY
        self.assertEqual(self._get_late(self.boss), (0, nobody))

    def test_red_is_whose_visit_is_late(self):
        """A day of one's own that is far off isn't red because a colleague is late."""

        def is_red(user):
            self.env.flush_all()
            self.env.invalidate_all()
            cards = self.Card.with_user(user)
            arch = etree.fromstring(
                cards.get_view(self.env.ref(LIST_VIEW).id, "list")["arch"]
            )
            [field] = arch.xpath("//field[@name='next_visit_date']")
            expression = field.get("decoration-danger")
            for name in ("is_overdue", "overdue_user_id", "next_visit_user_id"):
                self.assertTrue(arch.xpath(f"//field[@name='{name}']"))
            [values] = self._get_card(self.partner).with_user(user).read(load=None)
            return safe_eval(expression, values)

        self.executive.sudo().date_due = TODAY
        self.visit.sudo().date_due = date(2026, 3, 16)
        self.assertFalse(is_red(self.boss))
        self.assertTrue(is_red(self.rep))
        self.executive.sudo().date_due = date(2026, 1, 1)
        self.assertTrue(is_red(self.boss))
        self.assertTrue(is_red(self.rep))
        self.visit.sudo().date_due = TODAY
        self.assertFalse(is_red(self.rep))

    def test_search_sort_and_group(self):
        """As each reader sees it."""
        card = self._get_card(self.partner)
        for user, day in ((self.rep, "2026-03-19"), (self.boss, "2026-03-18")):
            cards = self.Card.with_user(user)
            domain = [("id", "=", card.id), ("next_visit_date", "=", day)]
            self.assertEqual(cards.search(domain, order="next_visit_date"), card)
            groups = cards.formatted_read_group(
                [("id", "=", card.id)], ["next_visit_date:day"], ["__count"]
            )
            self.assertEqual(len(groups), 1)
            groups = cards.formatted_read_group(
                [("id", "=", card.id)], [], ["next_visit_date:min"]
            )
            self.assertEqual(groups[0]["next_visit_date:min"], date.fromisoformat(day))
        self.assertEqual(
            self.env["res.partner"]
            .with_user(self.rep)
            .search(
                [("next_visit_date", "=", "2026-03-19"), ("id", "=", self.partner.id)]
            ),
            self.partner,
        )


@tagged("post_install", "-at_install")
class TestVisitLists(PlannedVisitCommon):
    def test_the_day_of_a_done_visit(self):
        """Lists, groups and the calendar have the day on which it was made."""
        done = self.Visit.create(
            {
                "partner_id": self.partner.id,
                "state": "done",
                "date_planned": "2026-03-02",
                "date_done": "2026-03-05",
            }
        )
        self.assertEqual(done.date, date(2026, 3, 5))
        self.assertEqual(self.visit.date, date(2026, 3, 19))
        domain = [("id", "in", (done | self.visit).ids)]
        visits = self.Visit.with_user(self.rep)
        self.assertEqual(visits.search(domain, order="date"), done | self.visit)
        self.assertEqual(visits.search([*domain, ("date", "<", "2026-03-06")]), done)
        groups = visits.formatted_read_group(domain, ["date:week"], ["__count"])
        self.assertEqual(len(groups), 2)
        # as the list writes it
        self.visit.with_user(self.rep).write({"date": "2026-03-20"})
        self.assertEqual(self.visit.date_planned, date(2026, 3, 20))
        self.assertTrue(self.visit.is_date_fixed)
        made = visits.create(
            {"partner_id": self.partner.id, "state": "done", "date": "2026-03-10"}
        )
        self.assertEqual(made.date_done, date(2026, 3, 10))

    def test_a_draft_has_no_day_yet(self):
        """What a draft of the report names isn't when the visit was made."""
        self.visit.sudo().date_done = date(2026, 3, 17)
        self.assertEqual(self.visit.date, date(2026, 3, 19))

    def test_city_country_and_track(self):
        """Columns to search and to group by, also of leads without a customer."""
        belgium = self.env.ref("base.be")
        self.partner.write({"city": "Gent", "country_id": belgium.id})
        lead = self.env["crm.lead"].create(
            {
                "name": "New hotel",
                "city": "Brugge",
                "country_id": belgium.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
            }
        )
        visit = self.Visit.create({"lead_id": lead.id, "track": "contact"})
        self.env["key.account.due"]._refresh(self.company)
        self.env.invalidate_all()
        self.assertEqual(visit.city, "Brugge")
        self.assertEqual(self.visit.country_id, belgium)
        card = self._get_card(self.partner)
        self.assertEqual((card.city, card.country_id), ("Gent", belgium))
        due = card.due_ids
        self.assertEqual((due.city, due.country_id), ("Gent", belgium))
        for records, number in ((visit | self.visit, 2), (card, 1), (due, 1)):
            with self.subTest(model=records._name):
                reader = records.with_user(self.rep)
                domain = [("id", "in", records.ids)]
                self.assertEqual(
                    len(reader.search([*domain, ("city", "ilike", "GENT")])), 1
                )
                self.assertEqual(
                    reader.search([*domain, ("country_id", "=", belgium.id)]), reader
                )
                self.assertEqual(
                    reader.search_count([*domain, ("country_id.code", "=", "BE")]),
                    number,
                )
                for name in ("city", "country_id"):
                    description = reader.fields_get([name])[name]
                    self.assertTrue(description["groupable"])
                    self.assertTrue(description["sortable"])
                groups = reader.formatted_read_group(domain, ["city"], ["__count"])
                self.assertEqual(len(groups), number)
                groups = reader.formatted_read_group(
                    domain, ["country_id"], ["__count"]
                )
                self.assertEqual(groups[0]["__count"], number)
                self.assertTrue(reader.search(domain, order="city, country_id"))
        groups = self.Visit.formatted_read_group(
            [("id", "in", (visit | self.visit).ids)], ["track"], ["__count"]
        )
        self.assertEqual([group["track"] for group in groups], ["visit", "contact"])

    def test_levels_in_their_order(self):
        levels = ["preferred_supplier", "partner", "strategic_alliance"]
        partners = self.env["res.partner"].union(
            *(self._create_partner(level, relationship_level=level) for level in levels)
        )
        for records in (
            partners,
            self.Card.search([("partner_id", "in", partners.ids)]),
        ):
            for order in (None, "relationship_level DESC"):
                groups = records.formatted_read_group(
                    [("id", "in", records.ids)],
                    ["relationship_level"],
                    ["__count"],
                    order=order,
                )
                found = [group["relationship_level"] for group in groups]
                self.assertEqual(found, levels[::-1] if order else levels)
        # with another group beside it, and in a pivot
        groups = self.Card.formatted_read_grouping_sets(
            [("partner_id", "in", partners.ids)],
            [["tier_id", "relationship_level"], ["relationship_level"], []],
            ["__count"],
        )
        self.assertEqual([group["relationship_level"] for group in groups[1]], levels)

    def test_judgements_in_their_order(self):
        """Of customers as of accounts: low, medium, high."""
        judgements = ["low", "medium", "high"]
        for name in (
            "account_accessibility",
            "account_buying_process",
            "account_competition",
            "account_quality_standards",
        ):
            partners = self.env["res.partner"].union(
                *(self._create_partner(each, **{name: each}) for each in judgements)
            )
            groups = partners.formatted_read_group(
                [("id", "in", partners.ids)], [name], ["__count"]
            )
            with self.subTest(field=name):
                self.assertEqual([group[name] for group in groups], judgements)

    def test_seniorities_in_their_order(self):
        members = self.env["crm.team.member"].create(
            [
                {
                    "crm_team_id": self.team.id,
                    "user_id": self._create_user(f"ka_{seniority}", SALES).id,
                    "seniority": seniority,
                }
                for seniority in ("senior", "trainee", "regular")
            ]
        )
        groups = members.formatted_read_group(
            [("id", "in", members.ids)], ["seniority"], ["__count"]
        )
        self.assertEqual(
            [group["seniority"] for group in groups], ["trainee", "regular", "senior"]
        )

    def test_calls_are_told_by_an_icon(self):
        """Wherever lists and cards of ours say which track it is."""
        views = self.env["ir.ui.view"].search(
            [
                ("model", "in", ("key.account.visit", "key.account.due")),
                ("type", "in", ("list", "kanban")),
            ]
        )
        shown = 0
        for view in views:
            for field in etree.fromstring(view.arch).xpath("//field[@name='track']"):
                shown += 1
                with self.subTest(view=view.name):
                    self.assertEqual(field.get("widget"), "key_account_track")
        self.assertGreaterEqual(shown, 4)


@tagged("post_install", "-at_install")
class TestLabels(PlannedVisitCommon):
    def _get_models(self):
        return [
            name
            for name in self.registry
            if name.startswith("key.account.") or name == "key.account"
        ]

    def test_internals_are_not_offered(self):
        """Neither in custom filters nor in custom groups, nor in exports."""
        internal = [
            (model, name)
            for model in self._get_models()
            for name, field in self.env[model]._fields.items()
            if getattr(field, "is_internal", False)
        ]
        self.assertIn(("key.account", "tier_color"), internal)
        self.assertIn(("key.account.visit", "report_key"), internal)
        # what a sentence says in words
        suggestion = "key.account.effort.suggestion"
        self.assertIn((suggestion, "is_elasticity_own"), internal)
        self.assertIn((suggestion, "elasticity_accounts"), internal)
        for model, name in internal:
            description = self.env[model].fields_get([name])[name]
            with self.subTest(field=f"{model}.{name}"):
                self.assertFalse(description["searchable"])
                self.assertFalse(description["groupable"])
                self.assertFalse(description["exportable"])

    def test_colours_are_internal(self):
        """What is offered is for people: no colour, JSON, key or copy."""
        for model in self._get_models():
            if self.env[model]._abstract:
                continue
            for name, description in self.env[model].fields_get().items():
                if description.get("groupable") or description.get("searchable"):
                    with self.subTest(field=f"{model}.{name}"):
                        self.assertFalse(
                            name.endswith(("_color", "_key", "level_number"))
                        )
                        # of the night there is no list
                        if model != "key.account.night":
                            self.assertNotEqual(description["type"], "json")

    def test_pivots_and_graphs_have_titles(self):
        """What a click on a figure opens is named after the view."""
        views = self.env["ir.ui.view"].search(
            [("model", "=like", "key.account%"), ("type", "in", ("pivot", "graph"))]
        )
        self.assertTrue(views)
        for view in views:
            with self.subTest(view=view.name):
                self.assertTrue(etree.fromstring(view.arch).get("string"))

    def test_empty_screens_tell_why(self):
        """What an action says of an empty screen isn't said where a filter hides all:
        each of its views asks. Lists of the configuration say nothing of the kind."""
        configured = {
            "key.account.buying.role",
            "key.account.cadence",
            "key.account.checklist.item",
            "key.account.churn.reason",
            "key.account.engagement",
            "key.account.policy",
            "key.account.relationship.criterion",
        }
        names = self.env["ir.model.data"].search(
            [
                ("module", "=", "crm_key_account"),
                ("model", "=", "ir.actions.act_window"),
            ]
        )
        looked_at = 0
        for action in self.env["ir.actions.act_window"].browse(names.mapped("res_id")):
            model = self.env.get(action.res_model)
            if not action.help or model is None or action.res_model in configured:
                continue
            if not action.res_model.startswith("key.account"):
                continue
            for view_id, kind in action.views:
                if kind not in ("list", "kanban", "pivot", "graph"):
                    continue
                arch = etree.fromstring(model.get_view(view_id, kind)["arch"])
                looked_at += 1
                with self.subTest(action=action.name, view=kind):
                    self.assertTrue((arch.get("js_class") or "").startswith("key_acc"))
        self.assertGreater(looked_at, 30)

    def test_rows_lead_to_the_customer(self):
        """Every list about customers opens them, or a form that has them."""
        Action = self.env["ir.actions.act_window"]
        names = self.env["ir.model.data"].search(
            [
                ("module", "=", "crm_key_account"),
                ("model", "=", "ir.actions.act_window"),
            ]
        )
        looked_at = 0
        for action in Action.browse(names.mapped("res_id")):
            model = self.env.get(action.res_model)
            if (
                model is None
                # opened from the customer
                or action.res_model == "key.account.relationship.status"
                or not action.res_model.startswith("key.account")
                or "partner_id" not in model._fields
                or model._transient
                or "list" not in action.view_mode.split(",")
            ):
                continue
            looked_at += 1
            with self.subTest(action=action.name):
                arch = model.get_view(view_type="list")["arch"]
                opens = etree.fromstring(arch).get("action")
                self.assertTrue(opens or "form" in action.view_mode.split(","))
        self.assertTrue(looked_at)

    def test_what_a_run_says(self):
        text = self.policy._get_run_text(0, 1, 0)
        self.assertEqual(text, "1 account moved and 0 changes proposed")
        text = self.policy._get_run_text(1, 2, 1)
        self.assertEqual(
            text,
            "1 account placed for the first time, 2 accounts moved, and 1 change "
            "proposed",
        )
        partners = [self._create_partner(f"First Run {n}") for n in range(2)]
        self._create_invoices([(partner, 100, TODAY) for partner in partners])
        message = self.policy.action_run()["params"]["message"]
        self.assertEqual(message, "2 accounts placed for the first time")


@tagged("post_install", "-at_install")
class TestListsStayFast(PlannedVisitCommon):
    def test_queries_do_not_grow(self):
        """What lists show of one account costs as many queries as of fifty."""
        partners = self.env["res.partner"].union(
            *(self._create_partner(f"Customer {n}", city="Gent") for n in range(50))
        )
        self.Visit.create(
            [
                {
                    "partner_id": partner.id,
                    "track": "executive",
                    "user_id": self.leader.id,
                    "date_planned": "2026-03-16",
                }
                for partner in partners
            ]
        )
        cards = self.Card.search([("partner_id", "in", partners.ids)])
        self.assertEqual(len(cards), 50)
        names = ["city", "country_id", "days_overdue", "next_visit_date"]
        spec = {name: {} for name in [*names, "is_overdue"]}
        for name in ("next_visit_user_id", "overdue_user_id"):
            spec[name] = {"fields": {"display_name": {}}}

        def count(records):
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.cr.sql_log_count
                records.with_user(self.rep).web_read(spec)
            return self.cr.sql_log_count - before

        self.assertEqual(count(cards[:1]), count(cards))
        visits = self.Visit.search([("partner_id", "in", partners.ids)])
        spec = {
            name: {}
            for name in ("city", "country_id", "date", "days_overdue", "is_overdue")
        }
        self.assertEqual(count(visits[:1]), count(visits))


@tagged("post_install", "-at_install")
class TestMoves(PlannedVisitCommon):
    def test_an_archived_tier(self):
        """A tier that was used is archived, and the next run moves its accounts; what
        was stays."""
        partners = [self._create_partner(f"Customer {n}") for n in range(4)]
        self._create_invoices(
            [(partner, 1000 * 10**n, TODAY) for n, partner in enumerate(partners)]
        )
        self.policy._run(TODAY)
        used = self.tier_b
        card = self._get_card(partners[2])
        card.tier_id = used
        self.policy.write({"tier_ids": [Command.update(used.id, {"active": False})]})
        self.assertEqual(self.policy._get_tiers(), self.tier_a | self.tier_c)
        self.assertIn(used, self.policy.tier_ids, "to be taken back")
        changes = self.policy._run(TODAY)
        self.assertIn(card.partner_id, changes.partner_id)
        self.assertNotEqual(card.tier_id, used)
        self.assertIn(used, changes.from_tier_id)
        used.active = True
        self.assertIn(used, self.policy._get_tiers())

    def test_archiving_is_checked(self):
        with self.assertRaisesRegex(Exception, "100"):
            self.tier_c.active = False


@tagged("post_install", "-at_install")
class TestDays(PlannedVisitCommon):
    def test_one_format_on_a_screen(self):
        """Texts write days as the web client does beside them."""
        day, earlier = date(2026, 11, 12), date(2025, 11, 12)
        for lang, text, other_year, named in (
            ("en_US", "Nov 12", "Nov 12, 2025", "Thu, Nov 12"),
            ("fr_FR", "12 nov.", "12 nov. 2025", "jeu. 12 nov."),
            ("zh_CN", "11月12日", "2025年11月12日", "11月12日周四"),
        ):
            with self.subTest(lang=lang):
                self.env["res.lang"]._activate_lang(lang)
                env = self.env(context={"lang": lang})
                self.assertEqual(clock.format_day(env, day), text)
                self.assertEqual(clock.format_day(env, earlier), other_year)
                self.assertEqual(clock.format_day(env, day, weekday=True), named)


@tagged("post_install", "-at_install")
class TestChecklist(PlannedVisitCommon):
    def test_ways_of_a_visit_are_those_of_visits(self):
        """What the list of the checklist offers is in the reader's language."""
        self.env["res.lang"]._activate_lang("fr_FR")
        [way] = self.env["ir.model.fields.selection"].search(
            [
                ("field_id.model", "=", "key.account.visit"),
                ("field_id.name", "=", "mode"),
                ("value", "=", "on_site"),
            ]
        )
        way.with_context(lang="fr_FR").name = "Chez le client"
        for lang, label in (("en_US", "On site"), ("fr_FR", "Chez le client")):
            items = self.env["key.account.checklist.item"].with_context(lang=lang)
            offered = dict(items.fields_get(["mode"])["mode"]["selection"])
            self.assertEqual(offered["on_site"], label)
