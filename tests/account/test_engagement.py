"""Value types, engagement strategies and effort that doesn't fit."""

from datetime import date, timedelta
from itertools import product
from random import Random

from freezegun import freeze_time
from psycopg2.errors import CheckViolation, UniqueViolation

from odoo import Command
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..common import SALES, TODAY, KeyAccountCommon


@tagged("post_install", "-at_install")
class TestValueType(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for user in cls.rep | cls.rep2 | cls.leader:
            user.group_ids += cls.env.ref("base.group_partner_manager")
        cls.internal = cls._create_user(
            "ka_internal", "base.group_user,base.group_partner_manager"
        )
        cls.partner = cls._create_partner("Own account")
        cls.contact = cls.env["res.partner"].create(
            {"name": "Buyer", "parent_id": cls.partner.id}
        )
        cls.other = cls._create_partner("Colleague's account", user_id=cls.rep2.id)
        cls.nobodys = cls._create_partner("Nobody's account", user_id=False)

    def test_who_may_set_it(self):
        for partner in (self.partner, self.nobodys):
            partner.with_user(self.rep).account_value_type = "intrinsic"
            self.assertEqual(partner.account_value_type, "intrinsic")
        for user in (self.leader, self.manager):
            self.other.with_user(user).account_value_type = "extrinsic"
            self.assertEqual(self.other.account_value_type, "extrinsic")
        with self.assertRaisesRegex(AccessError, "account of ka_rep2"):
            self.other.with_user(self.rep).account_value_type = "strategic"
        with self.assertRaisesRegex(AccessError, "account of ka_rep2"):
            # taking it over in the same breath
            self.other.with_user(self.rep).write(
                {"user_id": self.rep.id, "account_value_type": "strategic"}
            )
        with self.assertRaises(AccessError):
            (self.partner | self.other).with_user(self.rep).account_value_type = False
        with self.assertRaises(AccessError):
            self.partner.with_user(self.internal).account_value_type = "strategic"

    def test_who_may_create_it(self):
        partners = self.env["res.partner"].with_user(self.rep)
        values = {"name": "New", "is_company": True, "account_value_type": "strategic"}
        for user in (self.rep, self.env["res.users"]):
            partner = partners.create({**values, "user_id": user.id})
            self.assertEqual(partner.account_value_type, "strategic")
        with self.assertRaises(AccessError):
            partners.create({**values, "user_id": self.rep2.id})
        with self.assertRaises(AccessError):
            partners.with_context(default_account_value_type="strategic").create(
                {"name": "Sneaky", "is_company": True, "user_id": self.rep2.id}
            )
        with self.assertRaisesRegex(ValidationError, "Set it on Own account"):
            partners.create(
                {
                    "name": "Another buyer",
                    "parent_id": self.partner.id,
                    "account_value_type": "strategic",
                }
            )

    def test_contacts_show_the_same(self):
        self.partner.with_user(self.rep).account_value_type = "extrinsic"
        self.assertEqual(self.contact.account_value_type, "extrinsic")
        late = (
            self.env["res.partner"]
            .with_user(self.internal)
            .create({"name": "New buyer", "parent_id": self.partner.id})
        )
        self.assertEqual(late.sudo().account_value_type, "extrinsic")
        for user in (self.rep, self.manager):
            with self.assertRaisesRegex(ValidationError, "Set it on Own account: its"):
                self.contact.with_user(user).account_value_type = "intrinsic"
        self.contact.with_user(self.manager).write({"parent_id": False})
        self.assertFalse(self.contact.account_value_type)

    def test_form(self):
        with Form(self.partner.with_user(self.rep)) as form:
            form.account_value_type = "strategic"
        self.assertEqual(self.partner.account_value_type, "strategic")
        with Form(self.contact.with_user(self.rep)) as form:
            form.email = "buyer@example.com"
            with self.assertRaises(AssertionError):
                form.account_value_type = "intrinsic"

    def test_copy(self):
        self.partner.account_value_type = "strategic"
        self.assertFalse(self.partner.copy().account_value_type)

    def test_companies_are_apart(self):
        company = self._create_company("Elsewhere")
        self.Card._ensure(self.partner.ids, self.company)
        self.Card._ensure(self.partner.ids, company)
        self.partner.account_value_type = "strategic"
        elsewhere = self.partner.with_company(company)
        self.assertFalse(elsewhere.account_value_type)
        self.assertEqual(self._get_card(self.partner).value_type, "strategic")
        self.assertFalse(self._get_card(self.partner, company).value_type)
        elsewhere.account_value_type = "intrinsic"
        self.assertEqual(self._get_card(self.partner, company).value_type, "intrinsic")
        self.assertEqual(self._get_card(self.partner).value_type, "strategic")

    def test_account_copy(self):
        self.partner.account_value_type = "extrinsic"
        self.Card._ensure(self.partner.ids, self.company)
        card = self._get_card(self.partner)
        self.assertEqual(card.value_type, "extrinsic")
        self.partner.with_user(self.rep).account_value_type = False
        self.assertFalse(card.value_type)

    def test_chatter_tells_nothing(self):
        """Other companies read it, too: what one of them decides isn't theirs."""
        partner = self.partner.with_user(self.rep)
        partner = partner.with_context(mail_notrack=False, tracking_disable=False)
        self.flush_tracking()
        before = partner.message_ids
        partner.write(
            {
                "account_value_type": "strategic",
                "executive_sponsor_id": self.leader.id,
                "relationship_level": "preferred_supplier",
            }
        )
        self.flush_tracking()
        self.assertFalse(partner.message_ids - before)

    def flush_tracking(self):
        self.env.flush_all()
        self.cr.flush()
        self.env.invalidate_all()

    def test_merge(self):
        (self.partner | self.other).email = "same@example.com"
        self.other.account_value_type = "strategic"
        self.Card._ensure((self.partner | self.other).ids, self.company)
        # who sees everybody's accounts
        self.leader.group_ids += self.env.ref("base.group_partner_manager")
        wizard = (
            self.env["base.partner.merge.automatic.wizard"]
            .with_user(self.leader)
            .create(
                {
                    "partner_ids": [Command.set((self.partner | self.other).ids)],
                    "dst_partner_id": self.partner.id,
                }
            )
        )
        wizard.action_merge()
        self.assertFalse(self.other.exists())
        self.assertEqual(self.partner.account_value_type, "strategic")
        self.assertEqual(self.contact.account_value_type, "strategic")
        self.assertEqual(self._get_card(self.partner).value_type, "strategic")

    def test_merge_takes_what_goes_together(self):
        """The tier with its own lock, from one of the others; no sponsor who left."""
        third, target = self._create_partner("Third"), self._create_partner("Target")
        third, other, target = (
            partner.with_company(self.company)
            for partner in (third, self.other, target)
        )
        sponsor = self._create_user("ka_left", SALES)
        third.write(
            {"account_tier_id": self.tier_a.id, "account_value_type": "strategic"}
        )
        other.write(
            {
                "account_tier_id": self.tier_b.id,
                "account_tier_locked_until": "2099-01-01",
                "account_tier_lock_reason": "Contract",
                "executive_sponsor_id": sponsor.id,
                "visit_interval_days": 9,
            }
        )
        target.executive_sponsor_id = False
        self.Card._ensure(target.ids, self.company)
        sponsor.active = False
        cards = (third | other | target).key_account_id
        # the one without a lock is asked first
        cards = cards.sorted(lambda card: (card.partner_id != third, card.id))
        cards._merge_into(target)
        card = target.key_account_id
        self.assertEqual(card.tier_id, self.tier_a)
        self.assertFalse(card.tier_locked_until or card.tier_lock_reason)
        self.assertFalse(card.executive_sponsor_id)
        self.assertEqual((card.value_type, card.visit_interval_days), ("strategic", 9))

    def test_merged_contacts_show_what_their_account_says(self):
        self._set_tier(self.partner, self.tier_a)
        self.partner.account_value_type = "strategic"
        for parent in (self.partner, self.other):
            double = self.env["res.partner"].create(
                {"name": "Buyer again", "parent_id": parent.id}
            )
            (self.contact | double).email = "same@example.com"
            self.env["base.partner.merge.automatic.wizard"].with_user(self.rep).create(
                {
                    "partner_ids": [Command.set((self.contact | double).ids)],
                    "dst_partner_id": double.id,
                }
            ).action_merge()
            self.assertFalse(self.contact.exists())
            self.assertEqual(double.commercial_partner_id, parent)
            self.assertEqual(double.account_value_type, parent.account_value_type)
            self.assertEqual(double.account_tier_id, parent.account_tier_id)
            self.contact = double

    def test_forged_merge_key(self):
        with self.assertRaises(AccessError):
            self.other.with_user(self.rep).with_context(
                key_account_merge=True
            ).account_value_type = "strategic"


@tagged("post_install", "-at_install")
class TestStrategies(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Engagement = cls.env["key.account.engagement"]
        cls.Engagement.search([]).active = False
        cls.env.flush_all()
        cls.industry = cls.env["res.partner.industry"].create({"name": "Boats"})
        cls.partner = cls._create_partner("Customer", industry_id=cls.industry.id)
        cls.partner.account_value_type = "strategic"
        cls.by_type = cls._create_line(value_type="strategic", sequence=1)
        cls.by_industry = cls._create_line(industry_id=cls.industry.id, sequence=2)

    @classmethod
    def _create_line(cls, **values):
        text = " ".join(str(value) for value in values.values())
        return cls.Engagement.create({"text": f"<p>Be nice {text}</p>", **values})

    def _get_lines(self, account):
        """Return the strategies for a customer in its environment's company."""
        company = account.env.company
        return self.Engagement._get_lines(company)._match(account, company)

    def test_type_then_industry(self):
        found = self._get_lines(self.partner)
        self.assertEqual(found.ids, (self.by_type + self.by_industry).ids)
        self.partner.account_value_type = "intrinsic"
        self.assertEqual(self._get_lines(self.partner), self.by_industry)
        self.partner.write({"account_value_type": "strategic", "industry_id": False})
        self.assertEqual(self._get_lines(self.partner), self.by_type)
        self.partner.account_value_type = False
        self.assertFalse(self._get_lines(self.partner))

    def test_both_stands_alone(self):
        both = self._create_line(value_type="strategic", industry_id=self.industry.id)
        self.assertEqual(self._get_lines(self.partner), both)
        own = self._create_line(
            value_type="strategic", company_id=self.company.id, sequence=1
        )
        self.assertEqual(self._get_lines(self.partner), both)
        both.active = False
        found = self._get_lines(self.partner)
        self.assertEqual(found.ids, (own + self.by_industry).ids)

    def test_in_the_order_of_the_list(self):
        self.by_type.sequence = 9
        found = self._get_lines(self.partner)
        self.assertEqual(found.ids, (self.by_industry + self.by_type).ids)

    def test_tier(self):
        by_tier = self._create_line(tier_id=self.tier_b.id, sequence=3)
        three = self.by_type + self.by_industry + by_tier
        self.assertFalse(by_tier & self._get_lines(self.partner))
        self._set_tier(self.partner, self.tier_b)
        self.assertEqual(self._get_lines(self.partner).ids, three.ids)
        visit = self.Visit.create({"partner_id": self.partner.id})
        self.assertIn(f"<h5>{self.tier_b.name}</h5>", visit.engagement_strategy)
        # the more specific one wins
        both = self._create_line(value_type="strategic", tier_id=self.tier_b.id)
        self.assertEqual(self._get_lines(self.partner), both)
        self.assertEqual(both.display_name, f"Strategic, {self.tier_b.name}")
        self._set_tier(self.partner, self.tier_a)
        self.assertEqual(self._get_lines(self.partner).ids, three[:2].ids)
        self.env.invalidate_all()
        self.assertNotIn(self.tier_b.name, visit.engagement_strategy)

    def test_kind_of_business(self):
        by_kind = self._create_line(business_kind="channel", sequence=0)
        self.assertNotIn(by_kind, self._get_lines(self.partner))
        self.industry.key_account_kind = "channel"
        # an industry tells more than its kind
        self.assertNotIn(by_kind, self._get_lines(self.partner))
        self.by_industry.active = False
        self.assertEqual(
            self._get_lines(self.partner).ids, (by_kind + self.by_type).ids
        )
        # to who may not read the field, too
        visit = self.Visit.create(
            {"partner_id": self.partner.id, "user_id": self.rep.id}
        )
        html = visit.with_user(self.rep).engagement_strategy
        self.assertIn("<h5>Channel</h5>", html)
        both = self._create_line(business_kind="channel", value_type="strategic")
        self.assertEqual(self._get_lines(self.partner), both)
        self.industry.key_account_kind = "retail"
        self.assertEqual(self._get_lines(self.partner), self.by_type)

    def test_a_plain_recount(self):
        """Every combination of what strategies may ask for, against the rule in other
        words."""
        self.industry.key_account_kind = "service"
        other = self.env["res.partner.industry"].create(
            {"name": "Trains", "key_account_kind": "service"}
        )
        self.Engagement.search([]).active = False
        self.env.flush_all()
        lines = self.Engagement
        values = product(
            (False, "strategic"),
            (False, self.industry.id, other.id),
            (False, "service", "retail"),
            (False, self.tier_a.id),
        )
        for number, (value_type, industry_id, kind, tier_id) in enumerate(values):
            if value_type or industry_id or kind or tier_id:
                lines |= self._create_line(
                    value_type=value_type,
                    industry_id=industry_id,
                    business_kind=kind,
                    tier_id=tier_id,
                    sequence=number * 7 % 11,
                )
        random = Random(7)
        lines = list(lines)
        for tier in (self.tier_a, self.tier_b):
            self._set_tier(self.partner, tier)
            for _ in range(25):
                some = random.sample(lines, random.randint(1, 6))
                self.Engagement.search([]).active = False
                self.Engagement.union(*some).active = True
                fitting = [
                    line
                    for line in some
                    if line.industry_id in (self.industry, self.industry.browse())
                    and line.business_kind in (False, "service")
                    and line.tier_id in (tier, tier.browse())
                ]
                asked = {
                    line: bool(line.value_type)
                    + bool(line.industry_id)
                    + bool(line.business_kind)
                    + bool(line.tier_id)
                    for line in fitting
                }
                best = [
                    line
                    for line in fitting
                    if asked[line] == max(asked.values())
                    and not (
                        line.business_kind
                        and not line.industry_id
                        and any(
                            more.industry_id
                            and not more.business_kind
                            and (more.value_type, more.tier_id)
                            == (line.value_type, line.tier_id)
                            for more in fitting
                        )
                    )
                ]
                best.sort(key=lambda line: (line.sequence, line.id))
                self.assertEqual(
                    self._get_lines(self.partner).ids,
                    [line.id for line in best],
                )

    def test_company_goes_before_shared(self):
        company = self._create_company("Elsewhere")
        own = self._create_line(
            value_type="strategic", company_id=company.id, sequence=1
        )
        self.assertEqual(
            self._get_lines(self.partner).ids,
            (self.by_type + self.by_industry).ids,
        )
        elsewhere = self.partner.with_company(company)
        elsewhere.account_value_type = "strategic"
        self.assertEqual(self._get_lines(elsewhere).ids, (own + self.by_industry).ids)

    def test_bad_input(self):
        with (
            self.assertRaises(CheckViolation),
            mute_logger("odoo.sql_db"),
            self.cr.savepoint(),
        ):
            self.Engagement.create({"text": "<p>For everybody</p>"})
        self._create_line(tier_id=self.tier_b.id)
        self._create_line(business_kind="retail")
        for values in (
            {"value_type": "strategic"},
            {"industry_id": self.industry.id},
            {"tier_id": self.tier_b.id},
            {"business_kind": "retail"},
        ):
            with (
                self.assertRaises(UniqueViolation),
                mute_logger("odoo.sql_db"),
                self.cr.savepoint(),
            ):
                self._create_line(**values)
            self._create_line(company_id=self.company.id, **values)
        self.by_type.active = False
        self.env.flush_all()
        self.assertTrue(self._create_line(value_type="strategic"))

    def test_text_is_cleaned(self):
        self.by_type.text = "<p>Hello</p><script>alert(1)</script>"
        visit = self.Visit.create({"partner_id": self.partner.id})
        self.assertIn("Hello", visit.engagement_strategy)
        self.assertNotIn("script", visit.engagement_strategy)

    def test_on_the_visit(self):
        visit = self.Visit.create(
            {"partner_id": self.partner.id, "user_id": self.rep.id}
        )
        html = visit.with_user(self.rep).engagement_strategy
        other = f"Be nice {self.industry.id}"
        self.assertLess(html.index("Be nice strategic"), html.index(other))
        self.assertIn("<h5>Strategic</h5>", html)
        self.assertIn("<h5>Boats</h5>", html)
        (self.by_type | self.by_industry).text = "<p><br></p>"
        self.env.invalidate_all()
        self.assertFalse(visit.engagement_strategy)
        lead = self.env["crm.lead"].create({"name": "Lead"})
        alone = self.Visit.create({"lead_id": lead.id})
        self.assertFalse(alone.engagement_strategy)
        with Form(visit.with_user(self.rep)) as form:
            form.objective = "Agree on the volume"

    def test_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.by_type.with_context(lang="fr_FR").text = "<p>Soyez gentil</p>"
        visit = self.Visit.create({"partner_id": self.partner.id})
        self.assertIn("Be nice", visit.engagement_strategy)
        french = visit.with_context(lang="fr_FR")
        self.assertIn("Soyez gentil", french.engagement_strategy)

    def test_queries(self):
        """As many for 50 visits as for one."""
        visits = self.Visit
        for number in range(50):
            partner = self._create_partner(
                f"Customer {number}", industry_id=self.industry.id
            )
            partner.account_value_type = "strategic"
            visits |= self.Visit.create(
                {"partner_id": partner.id, "user_id": self.rep.id}
            )

        def count(some):
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.cr.sql_log_count
                some.with_user(self.rep).mapped("engagement_strategy")
                result = self.cr.sql_log_count - before
            return result

        self.assertLessEqual(count(visits), count(visits[:1]))

    def test_rights(self):
        internal = self._create_user("ka_internal", "base.group_user")
        portal = self._create_user("ka_portal", "base.group_portal")
        for model in ("key.account.engagement", "key.account.churn.reason"):
            for user in (internal, portal):
                for operation in ("read", "write", "create", "unlink"):
                    records = self.env[model].with_user(user)
                    self.assertFalse(records.has_access(operation), (model, user.login))
            for user in (self.rep, self.leader):
                records = self.env[model].with_user(user)
                self.assertTrue(records.has_access("read"))
                for operation in ("write", "create", "unlink"):
                    self.assertFalse(records.has_access(operation), (model, user.login))
            for operation in ("read", "write", "create", "unlink"):
                records = self.env[model].with_user(self.manager)
                self.assertTrue(records.has_access(operation), (model, operation))
        elsewhere = self._create_company("Elsewhere")
        foreign = self._create_line(value_type="extrinsic", company_id=elsewhere.id)
        self.assertFalse(foreign.with_user(self.manager).has_access("read"))
        self.assertTrue(self.by_type.with_user(self.manager).has_access("write"))

    def test_data(self):
        lines = self.Engagement.with_context(active_test=False).search([])
        lines = lines - self.by_type - self.by_industry
        names = lines._get_external_ids()
        own = [n for ids in names.values() for n in ids if n.startswith("crm_key")]
        self.assertEqual(len(own), 12)
        self.assertTrue(all(line.text and line.display_name for line in lines))
        industry = self.env.ref("base.res_partner_industry_C")
        self.assertEqual(industry.key_account_kind, "industrial")


@tagged("post_install", "-at_install")
class TestEffort(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.company.key_account_planning = False
        cls.best = cls._create_account("Best", cls.tier_a, 4)
        cls.middle = cls._create_account("Middle", cls.tier_b, 2)

    @classmethod
    def _create_account(cls, name, tier, count=0, value_type=False, company=None):
        company = company or cls.company
        partner = cls._create_partner(name)
        partner.with_company(company).write(
            {"account_tier_id": tier.id, "account_value_type": value_type}
        )
        cls.Card._ensure(partner.ids, company)
        cls.Card.search([("partner_id", "=", partner.id)]).is_account = True
        for number in range(count):
            cls._visit(partner, TODAY - timedelta(days=number), company=company)
        return partner

    @classmethod
    def _visit(cls, partner, day, track="visit", state="done", company=None):
        return cls.Visit.create(
            {
                "partner_id": partner.id,
                "track": track,
                "state": state,
                "date_planned": day,
                "date_done": day if state == "done" else False,
                "company_id": (company or cls.company).id,
                "user_id": False,
            }
        )

    def _get_mark(self, partner, today=TODAY):
        self.Card._update_effort(self.company, today)
        return self._get_card(partner).effort_mismatch

    def _get_count(self, partner, today=TODAY):
        self.Card._update_effort(self.company, today)
        return self._get_card(partner).visit_count

    # --- counting ----------------------------------------------------------------

    def test_window(self):
        partner = self._create_account("Customer", self.tier_c)
        self._visit(partner, date(2025, 3, 18))
        self.assertEqual(self._get_count(partner), 0, "a year ago to the day")
        self._visit(partner, date(2025, 3, 19))
        self.assertEqual(self._get_count(partner), 1)
        self._visit(partner, TODAY)
        self.assertEqual(self._get_count(partner), 2)
        self.assertEqual(
            self._get_count(partner, TODAY - timedelta(days=1)), 2, "not of tomorrow"
        )

    def test_month_ends(self):
        partner = self._create_account("Customer", self.tier_c)
        self._visit(partner, date(2023, 2, 28))
        self._visit(partner, date(2023, 3, 1))
        # 29 February less 12 months is the 28th
        self.assertEqual(self._get_count(partner, date(2024, 2, 29)), 1)
        self.assertEqual(self._get_count(partner, date(2024, 2, 28)), 1)
        self.assertEqual(self._get_count(partner, date(2024, 2, 27)), 2)
        self.assertEqual(self._get_count(partner, date(2024, 3, 1)), 0)

    def test_tracks_and_states(self):
        partner = self._create_account("Customer", self.tier_c)
        self._visit(partner, TODAY, "executive")
        self._visit(partner, TODAY, "contact")
        self._visit(partner, TODAY, state="planned")
        self._visit(partner, TODAY, "executive", state="planned").action_cancel()
        self.assertEqual(self._get_count(partner), 1)

    def test_companies_are_apart(self):
        company = self._create_company("Elsewhere")
        partner = self._create_account("Customer", self.tier_c)
        self._visit(partner, TODAY, company=company)
        self.assertEqual(self._get_count(partner), 0)
        self.Card._update_effort(company, TODAY)
        self.assertEqual(self._get_card(partner, company).visit_count, 1)
        self.assertEqual(self._get_card(partner).visit_count, 0)

    # --- marks -------------------------------------------------------------------

    def test_too_much(self):
        intrinsic = self._create_account("Buys on price", self.tier_c, 3, "intrinsic")
        self.assertFalse(self._get_mark(intrinsic), "3 < 4")
        self._visit(intrinsic, TODAY)
        self.assertEqual(self._get_mark(intrinsic), "too_much", "4 >= 4")
        intrinsic.account_value_type = "extrinsic"
        self.assertFalse(self._get_mark(intrinsic))

    def test_too_much_without_a_visit(self):
        self.Visit.search([("partner_id", "=", self.best.id)]).sudo().write(
            {"company_id": self._create_company("Elsewhere").id}
        )
        intrinsic = self._create_account("Buys on price", self.tier_c, 0, "intrinsic")
        self.assertFalse(self._get_mark(intrinsic), "0 >= 0, but no effort")
        self._visit(intrinsic, TODAY)
        self.assertEqual(self._get_mark(intrinsic), "too_much")

    def test_too_little(self):
        # the average of the others: (2 + 1) / 2
        strategic = self._create_account("Partner", self.tier_b, 1, "strategic")
        self.assertEqual(self._get_mark(strategic), "too_little")
        self._visit(strategic, TODAY)
        self.assertEqual(self._get_mark(strategic), "too_little", "2 <= 2 and 2 < 4")
        self._visit(strategic, TODAY)
        self.assertFalse(self._get_mark(strategic), "3 > 2.5")

    def test_too_little_is_less_than_the_best(self):
        for number in range(4):
            self._visit(self.middle, TODAY - timedelta(days=number))
        # others: 6, best: (4 + 1) / 2
        strategic = self._create_account("Partner", self.tier_a, 1, "strategic")
        self.assertEqual(self._get_mark(strategic), "too_little")
        self._visit(strategic, TODAY)
        # best: (4 + 2) / 2
        self.assertEqual(self._get_mark(strategic), "too_little")
        for _ in range(2):
            self._visit(strategic, TODAY)
        self.assertFalse(self._get_mark(strategic), "4 < 4 is not so")

    def test_a_group_without_accounts(self):
        strategic = self._create_account("Partner", self.tier_c, 0, "strategic")
        intrinsic = self._create_account("Buys on price", self.tier_c, 9, "intrinsic")
        self.assertTrue(self._get_mark(strategic))
        self.assertTrue(self._get_mark(intrinsic))
        self._get_card(self.best).is_account = False
        self.assertFalse(self._get_mark(strategic))
        self.assertFalse(self._get_mark(intrinsic))
        self._get_card(self.best).is_account = True
        (self.middle | strategic | intrinsic).account_tier_id = self.tier_a
        self.assertFalse(self._get_mark(strategic), "no others")

    def test_lost_accounts_do_not_count(self):
        strategic = self._create_account("Partner", self.tier_b, 0, "strategic")
        self.assertEqual(self._get_mark(strategic), "too_little")
        for partner in (strategic, self.best):
            self.env["key.account.loss"].create(
                {
                    "partner_id": partner.id,
                    "reason_id": self.env.ref("crm_key_account.churn_reason_price").id,
                }
            )
        self.assertFalse(self._get_mark(strategic))
        intrinsic = self._create_account("Buys on price", self.tier_c, 9, "intrinsic")
        self.assertFalse(self._get_mark(intrinsic), "the best tier is empty now")

    def test_no_policy(self):
        strategic = self._create_account("Partner", self.tier_b, 0, "strategic")
        self.assertTrue(self._get_mark(strategic))
        self.env["key.account.policy"].search([]).active = False
        self.assertFalse(self._get_mark(strategic))
        self.assertEqual(self._get_card(self.best).visit_count, 4)

    def test_the_run_does_it(self):
        self._create_invoices([(self.best, 1000, TODAY), (self.middle, 10, TODAY)])
        strategic = self._create_account("Partner", self.tier_c, 0, "strategic")
        self._create_invoices([(strategic, 10, TODAY)])
        self.policy._run(TODAY)
        self.assertEqual(self._get_card(strategic).effort_mismatch, "too_little")
        self.assertEqual(self._get_card(strategic).value_type, "strategic")

    def test_nothing_is_written_that_does_not_change(self):
        self.Card._update_effort(self.company, TODAY)
        query = "SELECT SUM(xmin::text::bigint), COUNT(*) FROM key_account"
        self.cr.execute(query)
        before = self.cr.fetchone()
        with self.cr.savepoint():
            self.Card._update_effort(self.company, TODAY)
            self.cr.execute(query)
            self.assertEqual(self.cr.fetchone(), before)

    def test_statements(self):
        """As many for 50 accounts as for a few."""

        def count():
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self.Card._update_effort(self.company, TODAY)
            return self.cr.sql_log_count - before

        count()
        self._create_account("Customer", self.tier_c, 1, "intrinsic")
        few = count()
        for number in range(50):
            self._create_account(f"Customer {number}", self.tier_c, 1, "intrinsic")
        self.assertEqual(count(), few)
        self.assertLess(count(), few, "nothing is left to write")

    def test_screens(self):
        user = self._create_user("ka_screens", SALES)
        cards = self.Card.with_user(user)
        for action in ("key_account_effort_action", "key_account_loss_action"):
            action = self.env.ref(f"crm_key_account.{action}")
            views = [*action.views, (action.search_view_id.id, "search")]
            self.assertTrue(
                self.env[action.res_model].with_user(user).get_views(views)["views"]
            )
        rows = cards.formatted_read_group(
            [("company_id", "=", self.company.id)],
            ["tier_id", "value_type"],
            ["visit_count:sum", "share:sum", "__count"],
        )
        self.assertFalse(rows, "colleagues' accounts stay hidden")
