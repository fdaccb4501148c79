"""Administrators without a sales right work as without the addon."""

from contextlib import contextmanager

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common import TODAY, KeyAccountCommon

SILENT = {
    "account_tier_id": False,
    "account_tier_locked_until": False,
    "account_tier_lock_reason": False,
    "relationship_level": "transactional",
    "account_value_type": False,
    "executive_sponsor_id": False,
    "visit_interval_days": 0,
}


@tagged("post_install", "-at_install")
class TestAdministrators(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.settings = cls._create_user("ka_settings", "base.group_system")
        cls.access = cls._create_user(
            "ka_access", "base.group_erp_manager,base.group_partner_manager"
        )
        cls.admins = (cls.settings, cls.access)
        cls.account = cls._create_partner("Kestrel")
        cls._set_tier(cls.account, cls.tier_a)
        cls.account.relationship_level = "partner"
        for admin in cls.admins:
            assert not admin.has_group("sales_team.group_sale_salesman")

    def _as(self, records, user):
        self.env.flush_all()
        self.env.invalidate_all()
        return records.with_user(user).with_context(no_reset_password=True)

    def test_users(self):
        for admin in self.admins:
            with self.subTest(admin=admin.login):
                users = self._as(self.env["res.users"], admin)
                user = users.create(
                    {"name": "New", "login": f"new_{admin.login}", "email": "a@b.c"}
                )
                copy = user.copy({"login": f"copy_{admin.login}"})
                copy.write({"name": "Renamed", "login": f"again_{admin.login}"})
                with Form(users) as form:
                    form.name = "By the form"
                    form.login = f"form_{admin.login}"
                with Form(form.record) as form:
                    form.name = "By the form, again"
                self.rep.with_user(admin).write({"name": f"Rep of {admin.login}"})
                self.assertFalse(
                    (user | copy | form.record).sudo().partner_id.key_account_ids
                )

    def test_users_who_have_visits(self):
        """What follows from leaving and coming back isn't theirs to have rights for."""
        visit = self.Visit.create(
            {
                "partner_id": self.account.id,
                "user_id": self.rep.id,
                "date_planned": "2030-01-07",
            }
        )
        for admin in self.admins:
            with self.subTest(admin=admin.login):
                # the button asks for the right to teams, in core
                rep = self._as(self.rep, admin)
                rep.active = False
                self.assertEqual(visit.user_id, self.leader)
                rep.active = True
                visit.user_id = self.rep
                account = self._as(self.account, admin)
                account.user_id = self.rep2
                self.assertEqual(visit.user_id, self.rep2)
                account.user_id = self.rep
                account.active = False
                self.assertEqual(visit.state, "cancelled")
                account.active = True
                visit = self.Visit.create(
                    {
                        "partner_id": self.account.id,
                        "user_id": self.rep.id,
                        "date_planned": "2030-01-07",
                    }
                )

    def test_companies(self):
        for admin in self.admins:
            with self.subTest(admin=admin.login):
                companies = self._as(self.env["res.company"], admin)
                company = companies.create({"name": f"Company of {admin.login}"})
                company.write({"name": f"Renamed by {admin.login}"})
                # as core has it
                with self.assertRaisesRegex(UserError, "Duplicating a company"):
                    company.copy()
                with Form(companies) as form:
                    form.name = f"Form of {admin.login}"
                with Form(form.record) as form:
                    form.name = f"Form of {admin.login}, again"
                self.assertEqual(company.sudo().key_account_daily_capacity, 6)
                self.assertFalse(company.sudo().partner_id.key_account_ids)

    def test_customers(self):
        for admin in self.admins:
            with self.subTest(admin=admin.login):
                partners = self._as(self.env["res.partner"], admin)
                created = partners.create({"name": "New", "is_company": True})
                created |= created.copy()
                with Form(partners) as form:
                    form.name = "By the form"
                with Form(form.record) as form:
                    form.name = "By the form, again"
                created |= form.record
                created.write({"user_id": self.rep.id, "active": False})
                # a context that the sales screens left, and values that say nothing
                created |= partners.with_context(
                    default_relationship_level="partner",
                    default_account_tier_id=self.tier_a.id,
                ).create({"name": "By a default"})
                created |= partners.create({"name": "Said nothing", **SILENT})
                self.env["ir.default"].set(
                    "res.partner", "relationship_level", "partner"
                )
                created |= partners.create({"name": "By an administrator's default"})
                user = self.env["res.users"].with_user(admin)
                user = user.with_context(no_reset_password=True).create(
                    {"name": "By a default", "login": f"by_{admin.login}"}
                )
                created |= user.partner_id
                self.env["ir.default"].discard_values(
                    "res.partner", "relationship_level", ["partner"]
                )
                account = self._as(self.account, admin)
                account.write({"name": "Kestrel Ltd", "user_id": self.rep2.id})
                copy = account.copy()
                contact = partners.create({"name": "Ann", "parent_id": account.id})
                contact.parent_id = False
                account.user_id = self.rep
                self.assertFalse((created | copy | contact).sudo().key_account_ids)
        self.assertEqual(self.account.account_tier_id, self.tier_a)
        self.assertEqual(self.account.relationship_level, "partner")

    def test_they_decide_nothing(self):
        for admin in self.admins:
            partners = self._as(self.env["res.partner"], admin)
            for name, value in (
                ("account_tier_id", self.tier_a.id),
                ("relationship_level", "partner"),
                ("account_value_type", "strategic"),
                ("executive_sponsor_id", self.rep.id),
                ("visit_interval_days", 7),
                ("account_tier_lock_reason", "transactional"),
            ):
                with self.subTest(admin=admin.login, name=name):
                    with self.assertRaises(AccessError):
                        partners.create({"name": "New", name: value})
                    # also what the customer is: they aren't told
                    with self.assertRaises(AccessError):
                        partners.browse(self.account.id).write({name: value})

    def test_what_a_new_customer_shows_anyway_is_no_decision(self):
        """Forms, imports and copies send it along."""
        shown = {
            "account_tier_id": self.tier_a.id,
            "relationship_level": "partner",
            "account_tier_locked_until": False,
        }
        changes = self.env["key.account.relationship.change"]
        count = changes.search_count([])
        partners = self._as(self.env["res.partner"], self.rep)
        for values in (SILENT, shown):
            contact = partners.create(
                {"name": "Ann", "parent_id": self.account.id, **values}
            )
            self.assertEqual(contact.relationship_level, "partner")
        partners.create({"name": "Said nothing", "is_company": True, **SILENT})
        self.assertEqual(changes.search_count([]), count)
        # what differs is one
        for values, error in (
            ({"relationship_level": "strategic_alliance"}, AccessError),
            ({"relationship_level": "transactional"}, AccessError),
            ({"account_tier_id": False}, AccessError),
            ({"account_tier_id": self.tier_b.id}, AccessError),
        ):
            with self.subTest(values=values), self.assertRaises(error):
                partners.browse(self.account.id).write(values)
        with self.assertRaises(ValidationError):
            partners.browse(contact.id).write({"account_value_type": "strategic"})
        # nobody tries out what a customer of another company is
        company = self._create_company("Elsewhere")
        hidden = self._create_partner("Hidden", company_id=company.id, user_id=False)
        self._set_tier(hidden, self.tier_a)
        for tier in (self.tier_a, self.tier_b):
            with self.assertRaises(AccessError):
                partners.browse(hidden.id).write({"account_tier_id": tier.id})

    # --- settings -----------------------------------------------------------------

    def test_settings_are_for_sales_and_for_those_who_make_them(self):
        internal = self._create_user("ka_internal", "base.group_user")
        portal = self._create_user("ka_portal", "base.group_portal")
        for model in ("res.company", "res.users"):
            records = self.env[model]
            names = [
                name for name in records._fields if name.startswith("key_account_")
            ]
            self.assertTrue(names)
            record = self.company if model == "res.company" else self.rep
            for user in (internal, portal, self.access):
                shown = records.with_user(user).fields_get().keys()
                self.assertFalse(shown & set(names), (model, user.login))
                for name in names:
                    with (
                        self.subTest(model=model, name=name, user=user.login),
                        self.assertRaises(AccessError),
                    ):
                        self._as(record, user).read([name])
                    with (
                        self.subTest(model=model, name=name, user=user.login),
                        self.assertRaises(AccessError),
                    ):
                        self._as(record, user).search([(name, "!=", False)])
        self.assertEqual(self._as(self.company, self.rep).key_account_horizon_days, 14)
        settings = self._as(self.env["res.config.settings"], self.settings).create(
            {"key_account_daily_capacity": 5}
        )
        with mute_logger("odoo.addons.base.models.res_config"):
            settings.execute()
        self.assertEqual(self.company.key_account_daily_capacity, 5)
        for planning in (False, True):
            settings = self._as(self.env["res.config.settings"], self.settings)
            settings = settings.create({"key_account_planning": planning})
            with mute_logger("odoo.addons.base.models.res_config"):
                settings.execute()
            self.assertEqual(self.company.key_account_planning, planning)
        with self.assertRaises(ValidationError):
            self.company.with_user(self.settings).key_account_daily_capacity = 0

    def test_no_field_of_ours_is_seen_outside_sales(self):
        """On core's models: whatever field comes along is for sales, or named here."""
        internal = self._create_user("ka_internal", "base.group_user")
        known = {
            # of the activities that somebody is to do
            ("mail.activity", "can_report_key_account_visit"),
            ("mail.activity", "key_account_role"),
            # a column of the digest, whose figure is for sales
            ("digest.digest", "kpi_key_account_visits"),
            ("digest.digest", "kpi_key_account_visits_value"),
        }
        seen = set()
        for model in self.env.values():
            if model._name.startswith("key.account") or model._abstract:
                continue
            own = {
                name
                for name, field in model._fields.items()
                if field._modules[:1] == ("crm_key_account",) and not field.inherited
            }
            if own and model._name != "res.config.settings":
                shown = own & model.with_user(internal).fields_get(own).keys()
                seen |= {(model._name, name) for name in shown}
        self.assertEqual(seen, known)

    def test_nothing_is_told_in_a_shared_chatter(self):
        """Customers and leads are read by all companies: nothing of ours is tracked
        there; the accounts and changes are the history."""
        for model in ("res.partner", "crm.lead", "res.users", "res.company"):
            for name, field in self.env[model]._fields.items():
                if "crm_key_account" in field._modules:
                    self.assertFalse(getattr(field, "tracking", None), (model, name))
        messages = self.account.message_ids
        self.account.write(
            {
                "relationship_level": "strategic_alliance",
                "account_value_type": "strategic",
                "executive_sponsor_id": self.leader.id,
                "visit_interval_days": 5,
                "account_tier_id": self.tier_b.id,
            }
        )
        self.env.flush_all()
        self.assertEqual(self.account.message_ids, messages)


@tagged("post_install", "-at_install")
class TestTaking(KeyAccountCommon):
    """Nobody takes what a colleague serves, and nothing is given to people who couldn't
    read it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rep.group_ids += cls.env.ref("base.group_partner_manager")
        cls.clerk = cls._create_user(
            "ka_clerk", "base.group_user,base.group_partner_manager"
        )
        cls.own = cls._create_partner("Own")
        cls.others = cls._create_partner("Hobby", user_id=cls.rep2.id)
        cls.visit = cls.Visit.create(
            {
                "partner_id": cls.others.id,
                "user_id": cls.rep2.id,
                "date_planned": "2030-01-07",
            }
        )
        cls.foreigner = cls._create_user(
            "ka_foreigner",
            "sales_team.group_sale_salesman",
            cls._create_company("Other Company"),
        )

    @contextmanager
    def _refuse(self, text):
        with self.assertRaisesRegex(UserError, text), self.cr.savepoint():
            yield

    def test_a_colleague_s_account_stays_theirs(self):
        others = self.others.with_user(self.rep)
        for values in (
            {"user_id": self.rep.id},
            {"user_id": False},
            {"user_id": self.leader.id},
            {"parent_id": self.own.id, "is_company": False},
        ):
            with self.subTest(values=values), self._refuse("is an account of"):
                others.write(values)
        with self._refuse("is an account of"):
            (others | self.own.with_user(self.rep)).write({"user_id": self.rep.id})
        with self._refuse("is an account of"):
            self.env["base.partner.merge.automatic.wizard"].with_user(self.rep).create(
                {
                    "partner_ids": [Command.set((self.own | self.others).ids)],
                    "dst_partner_id": self.own.id,
                }
            ).action_merge()
        self.assertEqual(self.others.user_id, self.rep2)
        # what it is already, isn't taken
        others.write({"user_id": self.rep2.id, "city": "Berlin"})

    def test_who_may(self):
        nobodys = self._create_partner("Nobody's", user_id=False)
        nobodys.with_user(self.rep).user_id = self.rep
        self.own.with_user(self.rep).user_id = self.rep2
        self.others.with_user(self.leader).user_id = self.rep
        self.assertEqual(self.visit.user_id, self.rep)
        contact = self.env["res.partner"].create(
            {"name": "Ann", "parent_id": self.own.id, "user_id": self.rep2.id}
        )
        contact.with_user(self.rep).user_id = self.rep
        # outside sales, as core has it
        self.own.with_user(self.clerk).user_id = self.rep

    def test_visits_are_given_to_those_who_may_read_them(self):
        own = self.Visit.create(
            {
                "partner_id": self.own.id,
                "user_id": self.rep.id,
                "date_planned": "2030-01-07",
            }
        )
        visits = own.with_user(self.rep)
        commitments = self.env["key.account.commitment"].with_user(self.rep)
        commitment = commitments.create({"visit_id": own.id, "name": "Samples"})
        for user, error in (
            (self.clerk, "doesn't work in sales"),
            (self.foreigner, "doesn't work for"),
        ):
            vals = {"user_id": user.id}
            for call in (
                lambda vals=vals: visits.write(vals),
                lambda vals=vals: visits.create(
                    {"partner_id": self.own.id, "track": "contact", **vals}
                ),
                lambda vals=vals: visits.action_move("2030-01-08", vals["user_id"]),
                lambda vals=vals: visits.activity_id.write(vals),
                lambda vals=vals: commitment.write(vals),
                lambda vals=vals: commitments.create(
                    {"visit_id": own.id, "name": "x", **vals}
                ),
                lambda vals=vals: visits.write(
                    {"commitment_ids": [Command.create({"name": "x", **vals})]}
                ),
            ):
                with self.subTest(user=user.login), self._refuse(error):
                    call()
        self.assertEqual(own.user_id, self.rep)
        # to colleagues, and what has a form's value already
        visits.write({"user_id": self.rep.id, "objective": "x"})
        commitment.user_id = self.rep2
        visits.user_id = self.rep2
        self.assertEqual(own.activity_id.user_id, self.rep2)

    def test_what_follows_is_given_to_those_who_may_read_it(self):
        own = self.Visit.create(
            {
                "partner_id": self.own.id,
                "user_id": self.rep.id,
                "state": "done",
                "date_done": TODAY,
                "date_planned": TODAY,
            }
        )
        self.env["key.account.commitment"].create(
            {"visit_id": own.id, "name": "Samples", "date_deadline": "2030-01-07"}
        )
        self.env["key.account.visit.task"]._create_follow_ups(own)
        for activity in own.task_ids.with_user(self.rep):
            for user in (self.clerk, self.foreigner):
                with self._refuse("doesn't work"):
                    activity.user_id = user
            activity.user_id = self.rep2
        self.assertEqual(len(own.task_ids), 2)
