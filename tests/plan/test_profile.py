from datetime import date
from unittest.mock import patch

from freezegun import freeze_time
from lxml import html

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..common import SALES, KeyAccountCommon
from .test_plan import YEAR

REPORT = "crm_key_account.key_account_profile"


class ProfileCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.env.ref(SALES).implied_ids += cls.env.ref(
            "crm_key_account.group_use_account_plan"
        )
        cls.own = cls._create_partner("Kestrel & <b>Sons</b>", comment="<p>Family</p>")
        cls.others = cls._create_partner("Heron", user_id=cls.rep2.id)
        cls.partners = cls.own | cls.others
        cls._create_invoices(
            [
                (cls.own, 1000.4, date(2026, 3, 2)),
                (cls.own, 500, date(2026, 3, 17)),
                (cls.own, 77, date(2026, 1, 5)),
                (cls.own, 33, date(2025, 3, 5)),
                (cls.own, 9999, date(2024, 3, 5)),
                (cls.others, 4242, date(2026, 2, 2)),
            ]
        )
        cls.policy._run(date(2026, 3, 18))
        for partner, user in ((cls.own, cls.rep), (cls.others, cls.rep2)):
            contact = cls.env["res.partner"].create(
                {"name": f"Contact of {partner.name}", "parent_id": partner.id}
            )
            cls.Visit.create(
                {
                    "partner_id": partner.id,
                    "user_id": user.id,
                    "state": "done",
                    "date_done": "2026-03-02",
                    "contact_ids": [Command.set(contact.ids)],
                    "needs": f"Needs of {partner.name}",
                }
            )
            cls.env["key.account.plan"].create(
                {
                    "partner_id": partner.id,
                    "company_id": cls.company.id,
                    "user_id": user.id,
                    "target_revenue": 10000,
                    "goals": f"Goals of {partner.name}",
                    "objective_ids": [
                        Command.create(
                            {"name": "Objective", "target_value": 4, "current_value": 1}
                        )
                    ],
                    **YEAR,
                }
            )
            cls.env["crm.lead"].create(
                {
                    "name": f"Deal of {partner.name}",
                    "partner_id": partner.id,
                    "company_id": cls.company.id,
                    "user_id": user.id,
                    "expected_revenue": 4711,
                    "type": "opportunity",
                }
            )

    def _as(self, records, user):
        self.env.flush_all()
        self.env.invalidate_all()
        return records.with_user(user).with_context(
            allowed_company_ids=user.company_ids.ids
        )

    def _render(self, user, docs, report=REPORT):
        reports = self._as(self.env["ir.actions.report"], user)
        content, _type = reports._render_qweb_html(report, docs.ids)
        return content.decode()

    def _get_profile(self, user, partner):
        profiles = self._as(self.env["key.account.profile"], user)
        return profiles._get_profiles(partner.with_user(user))[partner]


@tagged("post_install", "-at_install")
class TestProfile(ProfileCommon):
    def test_everything_is_there(self):
        text = self._render(self.rep, self.own)
        for part in (
            "Facts and Character",
            "Family",
            "Relationship and Evidence",
            "Buying Centre",
            "Contact of Kestrel",
            "Needs of Kestrel",
            "Deal of Kestrel",
            "Goals of Kestrel",
            "Objective",
            "25 %",
            "To Watch",
            "Single-Threaded",
            "<svg",
        ):
            self.assertIn(part, text)
        # what people write is text
        self.assertNotIn("<b>Sons</b>", text)
        self.assertIn("Kestrel &amp; &lt;b&gt;Sons&lt;/b&gt;", text)

    def test_trade_is_that_of_the_books(self):
        """Each bar, recounted from the invoices."""
        chart = self._get_profile(self.rep, self.own)["trade"]
        moves = self.env["account.move"].search([("partner_id", "=", self.own.id)])
        by_month = {}
        for move in moves.filtered(lambda move: move.state == "posted"):
            month = move.invoice_date.replace(day=1)
            by_month[month] = by_month.get(month, 0) + move.amount_untaxed
        # March and January 2026 and, a year before, March 2025; March 2024 is gone
        self.assertEqual(chart["total"], "1,577\xa0€")
        self.assertEqual(chart["total_before"], "33\xa0€")
        self.assertEqual(len(chart["months"]), 12)
        # with the whole year: "Mar 26" reads as a day
        self.assertEqual(chart["months"][-1]["text"], "Mar 2026")
        highest = max(bar["height"] for bar in chart["bars"])
        shares = sorted(round(bar["height"] / highest, 2) for bar in chart["bars"])
        expected = sorted(
            round(amount / by_month[date(2026, 3, 1)], 2)
            for month, amount in by_month.items()
            if month > date(2024, 3, 31)
        )
        self.assertEqual(shares, expected)

    def test_chart_of_credit_notes(self):
        profiles = self.env["key.account.profile"]
        chart = profiles._get_chart([date(2026, 3, 1)] * 2, [-50.0, 100.0], [0.0, 0.0])
        down, up = chart["bars"]
        self.assertEqual(down["y"], round(up["y"] + up["height"], 1))
        self.assertAlmostEqual(up["height"], 2 * down["height"], 0)

    def test_of_a_colleague(self):
        """Own documents: the customer, nothing of its figures, visits and plan."""
        text = self._render(self.rep, self.others)
        self.assertIn("Heron", text)
        self.assertIn("A colleague's account", text)
        for secret in ("4,242", "Needs of", "Goals of", "Deal of", "<svg", "Evidence"):
            self.assertNotIn(secret, text)
        self.assertIn("Needs of Heron", self._render(self.leader, self.others))
        with self.assertRaises(AccessError):
            self._render(self.rep, self._get_card(self.others), f"{REPORT}_account")

    def test_visits_that_one_may_not_read(self):
        """A visit of one's own at a colleague's account is shown, the others aren't."""
        self.Visit.create(
            {
                "partner_id": self.others.id,
                "user_id": self.rep.id,
                "state": "done",
                "date_done": "2026-03-03",
                "needs": "Seen by me",
            }
        )
        text = self._render(self.rep, self.others)
        self.assertIn("Seen by me", text)
        self.assertNotIn("Needs of Heron", text)

    def test_outside_sales_and_elsewhere(self):
        internal = self._create_user("ka_profile_internal", "base.group_user")
        portal = self._create_user("ka_profile_portal", "base.group_portal")
        for user in (internal, portal):
            with self.assertRaises(AccessError):
                self._render(user, self.own)
        company = self._create_company("Other Company")
        stranger = self._create_user(
            "ka_profile_other", "sales_team.group_sale_manager", company
        )
        text = self._render(stranger, self.own)
        for secret in ("1,577", "Needs of", "Goals of", "Deal of", "<svg"):
            self.assertNotIn(secret, text)

    def test_many_at_once(self):
        """A page for each, and the same number of queries."""
        partners = self.own
        for number in range(49):
            partners |= self._create_partner(f"Customer {number}")
        self._create_invoices([(partner, 10, date(2026, 3, 2)) for partner in partners])
        self.policy._run(date(2026, 3, 18))
        tree = html.fromstring(self._render(self.rep, partners))
        self.assertEqual(len(tree.find_class("o_key_account_profile")), 50)
        self.assertEqual(len(tree.find_class("article")), 50)
        counts = []
        for some in (partners[:2], partners, partners[:2]):
            profiles = self._as(self.env["key.account.profile"], self.rep)
            some = some.with_user(self.rep)
            before = self.cr.sql_log_count
            profiles._get_profiles(some)
            counts.append(self.cr.sql_log_count - before)
        self.assertLessEqual(counts[1], counts[2] + 2)

    def test_from_accounts_and_contacts(self):
        cards = self._get_card(self.own) | self._get_card(self.others)
        text = self._render(self.leader, cards, f"{REPORT}_account")
        self.assertIn("Needs of Kestrel", text)
        self.assertIn("Needs of Heron", text)
        self.assertIn("Needs of Kestrel", self._render(self.rep, self.own.child_ids))

    def test_without_plans(self):
        self.env.ref(SALES).implied_ids -= self.env.ref(
            "crm_key_account.group_use_account_plan"
        )
        self.assertNotIn("Goals of", self._render(self.rep, self.own))

    def test_in_the_print_menu_of_sales(self):
        for model in ("res.partner", "key.account"):
            for user, is_there in (
                (self.rep, True),
                (self._create_user(f"ka_{model}", "base.group_user"), False),
            ):
                actions = self._as(self.env["ir.actions.actions"], user)
                names = [
                    action["name"]
                    for action in actions.get_bindings(model).get("report", [])
                ]
                self.assertEqual("Account Profile" in names, is_there)

    def test_user_s_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.rep.lang = "fr_FR"
        reports = self._as(self.env["ir.actions.report"], self.rep)
        content, _type = reports.with_context(lang="fr_FR")._render_qweb_html(
            REPORT, self.own.ids
        )
        self.assertIn("mars", content.decode())

    def test_on_paper(self):
        """What wkhtmltopdf is given: room for one line above, columns that don't touch,
        parts that stay on one page."""
        reports = self._as(self.env["ir.actions.report"], self.rep)
        content, _type = reports._render_qweb_html(
            REPORT, self.own.ids, {"report_type": "pdf"}
        )
        *_rest, arguments = reports._get_report(REPORT)._prepare_html(
            content.decode(), report_model="res.partner"
        )
        self.assertLess(int(arguments["data-report-margin-top"]), 30)
        page = html.document_fromstring(content.decode())
        columns = page.xpath("//div[contains(@class, 'col-6')]")
        self.assertTrue(columns)
        for column in columns:
            self.assertRegex(column.get("class"), "p[es]-3", column.get("name"))
        for name in ("trade", "visits", "plan"):
            [part] = page.xpath(f"//div[@name='{name}']")
            self.assertIn("page-break-inside: avoid", part.get("style"), name)

    def test_without_wkhtmltopdf(self):
        """Odoo's own message says what is missing."""
        reports = self._as(self.env["ir.actions.report"], self.rep)
        reports = reports.with_context(force_report_rendering=True)
        with (
            patch.object(
                type(reports), "get_wkhtmltopdf_state", lambda _self: "install"
            ),
            self.assertRaisesRegex(UserError, "Unable to find Wkhtmltopdf"),
        ):
            reports._render_qweb_pdf(REPORT, self.own.ids)
