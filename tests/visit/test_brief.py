from datetime import date, datetime, timedelta

from freezegun import freeze_time
from lxml import html

from odoo import Command
from odoo.exceptions import AccessError
from odoo.tests import Form, HttpCase, tagged
from odoo.tools.safe_eval import safe_eval

from ...models.account import clock
from ..common import TODAY
from ..relationship.test_relationship import RelationshipCommon

XSS = "<script>alert(1)</script>"


class BriefCommon(RelationshipCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.key_account_planning = False
        cls.Item = cls.env["key.account.checklist.item"]
        cls.Item.search([]).active = False
        cls.visit = cls._plan(cls.account)

    @classmethod
    def _plan(cls, account, day=TODAY, **values):
        return cls.Visit.create(
            {
                "partner_id": account.id,
                "company_id": cls.company.id,
                "user_id": cls.rep.id,
                "date_planned": day,
                **values,
            }
        )

    @classmethod
    def _visit(cls, contacts=None, day=TODAY - timedelta(days=1), **values):
        # on the day of the planned visit, it would take the place of that one
        return super()._visit(contacts, day, **values)

    @classmethod
    def _create_lead(cls, name="Deal", **values):
        return cls.env["crm.lead"].create(
            {
                "name": name,
                "type": "opportunity",
                "partner_id": cls.account.id,
                "user_id": cls.rep.id,
                "team_id": cls.team.id,
                "company_id": cls.company.id,
                "expected_revenue": 5000,
                **values,
            }
        )

    @classmethod
    def _create_order(cls, amount=1000, **values):
        return cls.env["sale.order"].create(
            {
                "partner_id": cls.account.id,
                "user_id": cls.rep.id,
                "company_id": cls.company.id,
                "date_order": datetime(2026, 3, 8, 12),
                "order_line": [
                    Command.create(
                        {
                            "product_id": cls.product.id,
                            "price_unit": amount,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
                **values,
            }
        )

    @classmethod
    def _create_commitment(cls, visit, name, **values):
        return cls.env["key.account.commitment"].create(
            {
                "visit_id": visit.id,
                "partner_id": visit.partner_id.id,
                "company_id": cls.company.id,
                "user_id": cls.rep.id,
                "name": name,
                **values,
            }
        )

    def _read(self, user=None, visit=None, **context):
        self.env.flush_all()
        self.env.invalidate_all()
        visit = (visit or self.visit).with_user(user or self.rep)
        return visit.with_context(**context).brief

    def _get_sections(self, user=None, visit=None, **context):
        """Return {section: text} of the brief, as ``user`` sees it."""
        brief = self._read(user, visit, **context)
        if not brief:
            return {}
        return {
            section.get("name"): " ".join(section.text_content().split())
            for section in html.fromstring(brief).iter("section")
        }


@freeze_time("2026-03-18 12:00:00")
@tagged("post_install", "-at_install")
class TestBrief(BriefCommon):
    def test_nothing(self):
        sections = self._get_sections()
        self.assertEqual(list(sections), ["reason", "empty"])
        self.assertIn("Nothing is open here", sections["empty"])
        self._create_order()
        self.assertNotIn("empty", self._get_sections())

    def test_planned_visits_only(self):
        self.assertTrue(self.visit.brief)
        self.visit.action_cancel()
        self.assertFalse(self._read())
        self.assertFalse(self._read(visit=self._visit()))

    def test_reason(self):
        def reason(**values):
            self.visit.write(values)
            return self._get_sections()["reason"]

        self.visit.sudo().summary = "Key account, weekly"
        self.assertEqual(reason(date_planned=TODAY), "Today Key account, weekly")
        day = TODAY + timedelta(days=1)
        self.assertEqual(reason(date_planned=day), "Key account, weekly")
        day = TODAY - timedelta(days=1)
        self.assertIn("1 day late Key", reason(date_planned=day))
        day = TODAY - timedelta(days=2)
        self.assertIn("2 days late", reason(date_planned=day))
        # the same day as planned is no news
        due = {"date_due": day, "engagement_stage": "quotation"}
        self.visit.sudo().write(due)
        self.assertNotIn("Due", self._get_sections()["reason"])
        self.visit.sudo().date_due = date(2026, 3, 9)
        text = self._get_sections()["reason"]
        self.assertIn("Due on Mar 9", text)
        self.assertIn("A quotation is out", text)

    def test_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.visit.sudo().date_due = date(2026, 3, 9)
        self.rep.lang = "fr_FR"
        brief = self._read(lang="fr_FR")
        self.assertIn("9 mars", brief)

    def test_day_of_the_reader(self):
        """23:30 in London is the next morning in Auckland."""
        with freeze_time("2026-03-18 23:30:00"):
            self.assertIn("Today", self._get_sections(tz="UTC")["reason"])
            text = self._get_sections(tz="Pacific/Auckland")["reason"]
            self.assertIn("1 day late", text)

    # Whom ---------------------------------------------------------------------

    def test_people(self):
        buyer = self.roles[0]
        self._set_tier(self.account, self.tier_a)
        self.tier_a.cell_ids = [
            Command.create({"role_id": buyer.id}),
            Command.create({"decision_level": "top"}),
        ]
        ann = self._create_contact(
            "Ann", buying_role_ids=buyer.ids, stance="champion", phone="+44 20 7946"
        )
        bob = self._create_contact("Bob", decision_level="top", function="Director")
        self._create_contact("Gone", left_company_date=TODAY)
        self._create_contact("Elsewhere", company_id=self._other_company().id)
        self._visit(ann)
        self.visit.target_contact_id = bob
        text = self._get_sections()["people"]
        self.assertIn("Bob To see Top · Director · never met", text)
        self.assertIn("Ann Champion", text)
        self.assertIn("met Mar 17", text)
        self.assertLess(text.index("Bob"), text.index("Ann"))
        self.assertIn("Nobody met for 6 months: Top", text)
        self.assertNotIn("Gone", text)
        self.assertNotIn("Elsewhere", text)
        self.assertIn('href="tel:+44207946"', self.visit.brief)
        self._visit(bob)
        self.assertNotIn("Nobody met", self._get_sections()["people"])

    def test_met_too_long_ago(self):
        self._set_tier(self.account, self.tier_a)
        self.tier_a.cell_ids = [Command.create({"decision_level": "top"})]
        bob = self._create_contact("Bob", decision_level="top")
        visit = self._visit(bob, day=date(2025, 9, 18))
        self.assertIn("Nobody met", self._get_sections()["people"])
        visit.sudo().date_done = date(2025, 9, 19)
        self.assertNotIn("Nobody met", self._get_sections()["people"])

    def test_only_so_many_contacts(self):
        for number in range(7):
            self._create_contact(f"Contact {number}")
        text = self._get_sections()["people"]
        self.assertEqual(text.count("never met"), 5)
        self.assertIn("and 2 more", text)

    def test_nobody_known(self):
        self.visit.sudo().target_role_id = self.roles[0]
        text = self._get_sections()["people"]
        self.assertIn(f"find out who it is: {self.roles[0].name}", text)

    def test_gap_of_a_colleague(self):
        """Who sees own documents only doesn't see all visits to a colleague's: better
        to say nothing than that nobody was met."""
        self._set_tier(self.account, self.tier_a)
        self.tier_a.cell_ids = [Command.create({"decision_level": "top"})]
        self.account.user_id = self.rep2
        self.visit.user_id = self.rep
        self.assertNotIn("Nobody met", str(self._get_sections()))
        self.assertIn("Nobody met", self._get_sections(self.leader)["people"])

    # What is open -------------------------------------------------------------

    def test_invoices(self):
        contact = self._create_contact()
        late, today, paid, refund = self._create_invoices(
            [
                (contact, 1200, TODAY),
                (self.account, 300, TODAY),
                (self.account, 400, TODAY),
                (self.account, 500, TODAY, {"move_type": "out_refund"}),
            ]
        )
        yesterday = TODAY - timedelta(days=1)
        (late | paid | refund).invoice_date_due = yesterday
        today.invoice_date_due = TODAY
        (late | today | paid | refund).invoice_user_id = self.rep
        paid.payment_state = "paid"
        text = self._get_sections()["open"]
        self.assertIn(f"{late.name} 1 day overdue", text)
        self.assertIn("1,200", text)
        for move in (today, paid, refund):
            self.assertNotIn(move.name, text)
        self.assertIn(f'href="/odoo/account.move/{late.id}"', self.visit.brief)
        late.invoice_date_due -= timedelta(days=1)
        self.assertIn("2 days overdue", self._get_sections()["open"])

    def test_quotations(self):
        expired = self._create_order(validity_date=TODAY - timedelta(days=1))
        valid = self._create_order(2000, validity_date=TODAY, state="sent")
        self._create_order(state="cancel", name="CANCELLED")
        text = self._get_sections()["open"]
        self.assertIn(f"{expired.name} 10 days old · expired", text)
        self.assertIn(f"{valid.name} 10 days old", text)
        self.assertEqual(text.count("expired"), 1)
        self.assertNotIn("CANCELLED", text)
        self.assertIn("Quotations 2", text)
        self.assertIn("3,000", text)

    def test_other_currency(self):
        dollar = self.env.ref("base.USD")
        dollar.active = True
        self.env["res.currency.rate"].create(
            {
                "currency_id": dollar.id,
                "company_id": self.company.id,
                "name": date(2026, 1, 1),
                "rate": 4.0,
            }
        )
        pricelist = self.env["product.pricelist"].create(
            {
                "name": "Dollars",
                "currency_id": dollar.id,
                "company_id": self.company.id,
            }
        )
        order = self._create_order(1000, pricelist_id=pricelist.id)
        self.assertEqual(order.currency_id, dollar)
        text = self._get_sections()["open"]
        self.assertIn("250", text)
        self.assertNotIn("1,000", text)
        self.assertIn("€", text)

    def test_orders(self):
        order = self._create_order(700)
        order.action_confirm()
        self.product.invoice_policy = "order"
        order.order_line.invalidate_recordset()
        self.env.add_to_compute(
            order.order_line._fields["invoice_status"], order.order_line
        )
        self.assertEqual(order.invoice_status, "to invoice")
        text = self._get_sections()["open"]
        self.assertIn("Open orders 1", text)
        self.assertIn("to invoice", text)
        invoice = order._create_invoices()
        invoice.action_post()
        self.assertEqual(order.invoice_status, "invoiced")
        self.assertNotIn("Open orders", str(self._get_sections()))

    def test_leads(self):
        big = self._create_lead("Big", expected_revenue=9000)
        for number in range(3):
            self._create_lead(f"Small {number}", expected_revenue=100 + number)
        self._create_lead("Lost").action_set_lost()
        self._create_lead("Won").action_set_won()
        text = self._get_sections()["open"]
        self.assertIn("Opportunities 4", text)
        self.assertIn("Big from today", text)
        self.assertIn(big.stage_id.name, text)
        self.assertIn("Small 2", text)
        self.assertIn("Small 1", text)
        self.assertNotIn("Small 0", text)
        self.assertIn("and 1 more", text)
        self.assertNotIn("Lost", text)
        self.assertNotIn("Won", text)
        self.cr.execute(
            "UPDATE crm_lead SET create_date = '2026-03-17 12:00' WHERE id = %s",
            [big.id],
        )
        self.assertIn("Big 1 day old", self._get_sections()["open"])

    def _other_company(self):
        return self._create_company("Elsewhere", "base.USD")

    def test_other_companies(self):
        other = self._other_company()
        self.rep.company_ids = [Command.link(other.id)]
        self.env.user.company_ids = [Command.link(other.id)]
        self._create_lead("Their deal", company_id=other.id, team_id=False)
        self.env["sale.order"].with_company(other).create(
            {
                "name": "THEIRS",
                "partner_id": self.account.id,
                "company_id": other.id,
                "user_id": self.rep.id,
                "team_id": False,
            }
        )
        (invoice,) = self._create_invoices([(self.account, 10, TODAY)], company=other)
        invoice.invoice_date_due = TODAY - timedelta(days=9)
        companies = (self.company | other).ids
        sections = self._get_sections(allowed_company_ids=companies)
        self.assertEqual(list(sections), ["reason", "empty"])
        # the current company is another one than the visit's: nothing changes
        sections = self._get_sections(allowed_company_ids=companies[::-1])
        self.assertEqual(list(sections), ["reason", "empty"])

    def test_lead_without_company(self):
        """It is of its salesperson's company, else of the first."""
        lead = self._create_lead("Deal", company_id=False, team_id=False)
        self.assertFalse(lead.company_id)
        self.assertIn("Deal", self._get_sections()["open"])
        lead.user_id = False
        self.assertNotIn("open", self._get_sections())

    def test_documents_of_a_colleague(self):
        self._create_lead("Secret deal", user_id=self.rep2.id)
        self._create_order(user_id=self.rep2.id, name="SECRET")
        (invoice,) = self._create_invoices([(self.account, 10, TODAY)])
        invoice.write(
            {
                "invoice_date_due": TODAY - timedelta(days=9),
                "invoice_user_id": self.rep2.id,
            }
        )
        self.assertNotIn("open", self._get_sections())
        text = self._get_sections(self.leader)["open"]
        self.assertIn("Secret deal", text)
        self.assertIn("SECRET", text)
        self.assertIn(invoice.name, text)
        self.assertNotIn("argin", text)

    def test_commitments(self):
        last = self._visit(day=date(2026, 3, 10))
        late = {"date_deadline": TODAY - timedelta(days=1)}
        self._create_commitment(last, "Send samples", **late)
        self._create_commitment(last, "Price list", date_deadline=TODAY)
        done = {"state": "kept", "date_done": date(2026, 3, 10)}
        self._create_commitment(last, "Call back", **done)
        self._create_commitment(last, "Brochure", state="dropped")
        before = self._visit(day=date(2026, 3, 3))
        self._create_commitment(before, "Since then", **done)
        self._create_commitment(before, "Never", state="dropped")
        done["date_done"] = date(2026, 3, 9)
        self._create_commitment(before, "Long ago", **done)
        text = self._get_sections()["commitments"]
        self.assertIn("Overdue Send samples Mar 17", text)
        self.assertIn("Open Price list Mar 18", text)
        self.assertIn("Kept Call back", text)
        self.assertIn("Dropped Brochure", text)
        self.assertIn("Kept Since then", text)
        self.assertNotIn("Never", text)
        self.assertNotIn("Long ago", text)
        self.assertLess(text.index("Send samples"), text.index("Price list"))
        self.assertLess(text.index("Price list"), text.index("Call back"))

    # Where we stand -----------------------------------------------------------

    def test_last_visit(self):
        ann = self._create_contact()
        self._visit(day=date(2026, 3, 1), feedback="Long ago")
        # logged later, took place earlier
        last = self._visit(
            ann,
            day=date(2026, 3, 10),
            feedback="They want more",
            needs="Quieter fans",
            objections="Too dear",
            objective="Meet the buyer",
            objective_reached="partly",
            next_step="Bring an offer",
            next_theme="Fans",
        )
        self._visit(day=date(2026, 3, 9), feedback="Before that")
        sections = self._get_sections()
        self.assertEqual(
            sections["last"],
            f"Last Visit Mar 10 On site · {self.rep.name} Partly Met: Ann "
            "Objective: Meet the buyer Notes: They want more Needs: Quieter fans "
            "Objections: Too dear Next step: Bring an offer Open the visit",
        )
        self.assertIn("Objective agreed on: Fans", sections["reason"])
        self.assertIn(f'href="/odoo/key.account.visit/{last.id}"', self.visit.brief)
        last.feedback = "word " * 200
        self.assertLess(len(self._get_sections()["last"]), 400)

    def test_ladder(self):
        self._create_criterion(name="They prefer us", months=12)
        self.Card._update_relationships(self.company, self.account.ids, TODAY)
        text = self._get_sections()["ladder"]
        self.assertIn("Relationship Transactional", text)
        self.assertIn("Missing: They prefer us", text)
        self.account.user_id = self.rep2
        self.visit.user_id = self.rep
        self.assertNotIn("ladder", self._get_sections())

    def test_strategy(self):
        self.account.with_company(self.company).account_value_type = "strategic"
        self.env["key.account.engagement"].create(
            {
                "value_type": "strategic",
                "text": "<p>Share plans</p>",
                "company_id": self.company.id,
            }
        )
        self.assertIn("Share plans", self._get_sections()["strategy"])
        # in the form once
        form = Form(self.visit.with_user(self.rep))
        self.assertTrue(form.brief)
        self.assertTrue(form._get_modifier("engagement_strategy", "readonly"))

    def test_escaped(self):
        contact = self._create_contact(XSS, function=XSS, phone=f'"{XSS}')
        self.visit.sudo().summary = XSS
        self.visit.target_contact_id = contact
        self._create_lead(XSS)
        self._create_order(name=XSS)
        self._create_order(name="javascript:alert(1)")
        last = self._visit(contact, feedback=XSS, needs=XSS, next_theme=XSS)
        self._create_commitment(last, XSS)
        self.Item.create({"name": XSS})
        self._create_criterion(name=XSS, months=12)
        self.Card._update_relationships(self.company, self.account.ids, TODAY)
        brief = self._read()
        tree = html.fromstring(brief)
        self.assertFalse(tree.xpath("//script"))
        self.assertGreaterEqual(brief.count("&lt;script&gt;"), 10)
        for link in tree.xpath("//a/@href"):
            self.assertRegex(link, "^(/odoo/|tel:)")

    # Leads --------------------------------------------------------------------

    def test_lead_without_customer(self):
        lead = self._create_lead(
            "New shop",
            partner_id=False,
            contact_name="Ann",
            phone="+33 1",
            email_from="ann@example.com",
        )
        visit = self.Visit.create(
            {
                "lead_id": lead.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "date_planned": TODAY,
            }
        )
        self.Item.create({"name": "Be on time"})
        sections = self._get_sections(visit=visit)
        self.assertEqual(list(sections), ["reason", "lead", "checklist"])
        for text in ("New shop", "5,000", "Ann", "+33 1", "ann@example.com"):
            self.assertIn(text, sections["lead"])
        last = self.Visit.create(
            {
                "lead_id": lead.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "state": "done",
                "date_done": TODAY - timedelta(days=1),
            }
        )
        self._create_commitment(last, "Send samples")
        sections = self._get_sections(visit=visit)
        self.assertIn("Send samples", sections["commitments"])
        self.assertIn("last", sections)
        # nothing of a lead that the reader may not read
        lead.user_id = self.rep2
        visit.user_id = self.rep
        self.assertFalse(self._read(visit=visit))

    # Who reads ----------------------------------------------------------------

    def test_outside_sales(self):
        internal = self._create_user("ka_internal", "base.group_user")
        portal = self._create_user("ka_portal", "base.group_portal")
        for user in (internal, portal):
            with self.assertRaises(AccessError):
                self._read(user)
            with self.assertRaises(AccessError):
                self.Visit.with_user(user).onchange(
                    {"partner_id": self.account.id}, ["partner_id"], {"brief": {}}
                )
            with self.assertRaises(AccessError):
                self.Item.with_user(user).search([])

    def _preview(self, user, **values):
        """What a form that isn't saved shows to a client that sends ``values``."""
        res = (
            self.Visit.with_user(user)
            .with_context(allowed_company_ids=user.company_ids.ids)
            .onchange(
                {"state": "planned", "track": "visit", "mode": "on_site", **values},
                list(values),
                {"brief": {}, "city": {}, "phone": {}, "map_url": {}},
            )
        )
        return res["value"]

    def test_unsaved(self):
        """A new visit shows the brief too, and nothing that its reader may not read,
        whatever a client names."""
        self._create_lead("Secret deal", user_id=self.rep2.id)
        self._create_contact("Ann")
        self.account.write({"city": "Leeds", "phone": "+44 1"})
        values = {
            "partner_id": self.account.id,
            "company_id": self.company.id,
            "date_planned": "2026-03-18",
        }
        shown = self._preview(self.rep, **values)
        self.assertIn("Ann", shown["brief"])
        self.assertEqual((shown["city"], shown["phone"]), ("Leeds", "+44 1"))
        self.assertNotIn("Secret deal", shown["brief"])
        other = self._other_company()
        theirs = self._create_partner("Theirs", company_id=other.id, city="Perth")
        person = self._create_contact("Zoe", account=theirs, company_id=other.id)
        person.phone = "+61 8"
        for named in ({"target_contact_id": person.id}, {"partner_id": theirs.id}):
            for company in (self.company, other):
                with self.assertRaises(AccessError):
                    self._preview(
                        self.rep, **{**values, **named, "company_id": company.id}
                    )

    # Queries ------------------------------------------------------------------

    def _fill(self, account, number):
        contact = self._create_contact(
            f"Contact {number}",
            account=account,
            decision_level="top",
            buying_role_ids=self.roles[:2].ids,
        )
        self._create_lead(f"Deal {number}", partner_id=contact.id)
        self._create_order(partner_id=contact.id)
        self._create_order(partner_id=account.id).action_confirm()
        (invoice,) = self._create_invoices([(account, 10, TODAY)])
        invoice.invoice_date_due = TODAY - timedelta(days=number + 1)
        last = self._visit(contact, account=account, feedback="Fine")
        self._create_commitment(last, f"Promise {number}")

    def _count(self, visits):
        for _ in range(2):  # the first time fills caches
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            briefs = visits.with_user(self.rep).mapped("brief")
            result = self.cr.sql_log_count - before
        self.assertTrue(all(briefs))
        return result

    def test_queries(self):
        """As many for 50 documents and contacts as for one, and for 50 visits."""
        self._set_tier(self.account, self.tier_a)
        self.tier_a.cell_ids = [Command.create({"decision_level": "top"})]
        self._fill(self.account, 0)
        once = self._count(self.visit)
        for number in range(1, 50):
            self._fill(self.account, number)
        self.assertEqual(self._count(self.visit), once)
        visits = self.visit
        for number in range(49):
            account = self._create_partner(f"Customer {number}")
            self._set_tier(account, self.tier_a)
            self._fill(account, number)
            visits |= self._plan(account)
        self.assertEqual(self._count(visits), once)
        self.assertLess(once, 40)

    # Checklist ----------------------------------------------------------------

    def test_checklist(self):
        self.assertNotIn("checklist", self._get_sections())
        create = self.Item.create
        create({"name": "Last", "sequence": 90})
        create({"name": "Everywhere"})
        create({"name": "Call", "mode": "phone"})
        create({"name": "Key", "tier_id": self.tier_a.id})
        create({"name": "Key call", "tier_id": self.tier_a.id, "mode": "phone"})
        create({"name": "Ours", "company_id": self.company.id})
        create({"name": "Theirs", "company_id": self._other_company().id})
        create({"name": "Archived", "active": False})

        def names():
            tree = html.fromstring(self._read())
            return [
                " ".join(item.text_content().split())
                for item in tree.xpath("//section[@name='checklist']//li")
            ]

        self.assertEqual(names(), ["Everywhere", "Ours", "Last"])
        self.visit.mode = "phone"
        self.assertEqual(names(), ["Everywhere", "Call", "Ours", "Last"])
        self.visit.sudo().tier_id = self.tier_a
        self.assertEqual(
            names(), ["Everywhere", "Call", "Key", "Key call", "Ours", "Last"]
        )
        self.visit.mode = "mail"
        self.assertEqual(names(), ["Everywhere", "Key", "Ours", "Last"])
        self.visit.sudo().tier_id = self.tier_b
        self.assertEqual(names(), ["Everywhere", "Ours", "Last"])

    def test_default_checklist(self):
        """From two to six items for each kind of visit."""
        names = self.env["ir.model.data"].search(
            [
                ("module", "=", "crm_key_account"),
                ("model", "=", "key.account.checklist.item"),
            ]
        )
        items = self.Item.browse(names.mapped("res_id")).sorted("sequence")
        lists = {
            mode: items._match(self.tier_a, mode)
            for mode in ("on_site", "online", "phone", "mail")
        }
        for found in lists.values():
            self.assertIn(len(found), range(2, 7))
        self.assertEqual(len({found.ids[-1] for found in lists.values()}), 4)

    def test_checklist_rights(self):
        item = self.Item.create({"name": "Smile"})
        theirs = self.Item.create(
            {"name": "Theirs", "company_id": self._other_company().id}
        )
        for user in (self.rep, self.leader):
            mine = item.with_user(user)
            self.assertEqual(mine.name, "Smile")
            with self.assertRaises(AccessError):
                mine.name = "Frown"
            with self.assertRaises(AccessError):
                mine.unlink()
            with self.assertRaises(AccessError):
                mine.create({"name": "New"})
        for user in (self.rep, self.leader, self.manager):
            with self.assertRaises(AccessError):
                theirs.with_user(user).read(["name"])
        item.with_user(self.manager).name = "Laugh"
        self.Item.with_user(self.manager).create({"name": "New"}).unlink()

    # My day -------------------------------------------------------------------

    def _get_day(self, user=None, tz="UTC"):
        """Return what the action My Day shows, in its order."""
        user = user or self.rep
        action = self.env.ref("crm_key_account.key_account_visit_action_my_day")
        view = self.env.ref("crm_key_account.key_account_visit_view_search")
        (found,) = html.fromstring(view.arch).xpath("//filter[@name='my_day']")
        self.assertIn("'search_default_my_day': 1", action.context)
        kanban = self.env.ref("crm_key_account.key_account_visit_view_kanban_my_day")
        self.assertEqual(action.views[0], (kanban.id, "kanban"))
        order = html.fromstring(kanban.arch).get("default_order")
        return (
            self.Visit.with_user(user)
            .with_context(tz=tz)
            .search(
                safe_eval(found.get("domain"), {"uid": user.id})
                + [("company_id", "=", self.company.id)],
                order=order,
            )
        )

    def test_my_day(self):
        def plan(name, day=TODAY, **values):
            return self._plan(self._create_partner(name), day, **values)

        late = plan("Late", TODAY - timedelta(days=1))
        plan("Tomorrow", TODAY + timedelta(days=1))
        plan("Colleague", user_id=self.rep2.id)
        done = self._visit(day=TODAY, account=self._create_partner("Done"))
        self._visit()
        cancelled = plan("Cancelled")
        cancelled.action_cancel()
        self.assertEqual(self._get_day(), late | self.visit | done)
        # by stage, not by its first letter; then by tier
        quotation, contract, key = plan("Q"), plan("C"), plan("K")
        quotation.sudo().engagement_stage = "quotation"
        contract.sudo().engagement_stage = "contract"
        key.sudo().tier_id = self.tier_a
        self.assertEqual(
            self._get_day().ids,
            (late | quotation | contract | key | self.visit | done).ids,
        )

    def test_my_day_over_midnight(self):
        """The day is that of the rep's time zone."""
        tomorrow = self._plan(self._create_partner("Tomorrow"), date(2026, 3, 19))
        with freeze_time("2026-03-18 10:59:00"):
            self.assertEqual(self._get_day(tz="Pacific/Auckland"), self.visit)
        with freeze_time("2026-03-18 11:00:00"):
            self.assertEqual(
                self._get_day(tz="Pacific/Auckland"), self.visit | tomorrow
            )
            self.assertEqual(self._get_day(tz="America/Los_Angeles"), self.visit)
        with freeze_time("2026-03-18 06:59:00"):
            self.visit.date_planned = TODAY
            self.assertFalse(self._get_day(tz="America/Los_Angeles"))
        with freeze_time("2026-03-18 07:00:00"):
            self.assertEqual(self._get_day(tz="America/Los_Angeles"), self.visit)

    def test_place(self):
        contact = self._create_contact(phone="+44 2")
        self.account.write(
            {
                "street": "1 Mill Lane & Co",
                "city": "Leeds",
                "zip": "LS1",
                "phone": "+44 1",
                "country_id": self.env.ref("base.uk").id,
            }
        )
        visit = self.visit.with_user(self.rep)
        self.assertEqual((visit.city, visit.phone), ("Leeds", "+44 1"))
        self.assertEqual(
            visit.map_url,
            "https://maps.google.com/maps?"
            "q=1+Mill+Lane+%26+Co%2C+LS1%2C+Leeds%2C+United+Kingdom",
        )
        self.visit.target_contact_id = contact
        self.assertEqual(visit.phone, "+44 2")
        self.account.write({"street": False, "city": False, "zip": False})
        self.assertFalse(visit.map_url)


@tagged("post_install", "-at_install")
class TestBriefTour(BriefCommon, HttpCase):
    browser_size = "375x667"
    touch_enabled = True

    def test_day_on_a_phone(self):
        self.visit.date_planned = self.rep_today()
        self._create_contact("Ann Lee", stance="champion")
        self._create_order(4321)
        self.start_tour("/odoo/my-day", "key_account_my_day", login="ka_rep")

    def rep_today(self):
        return clock.get_today(self.company, self.rep)
