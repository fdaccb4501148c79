import json

from odoo.exceptions import AccessError
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from .common import SALES_ADMIN, TODAY, KeyAccountCommon

MODELS = [
    "key.account.policy",
    "key.account.tier",
    "key.account.cadence",
    "key.account",
    "key.account.tier.change",
    "key.account.visit",
    "key.account.due",
    "key.account.tier.preview",
    "key.account.tier.preview.line",
    "key.account.tier.preview.load",
    "key.account.tier.preview.tier",
    "key.account.tier.undo",
    "key.account.proposal",
    "key.account.tier.set",
    "key.account.visit.cancel",
    "key.account.visit.substitute",
    "key.account.buying.role",
    "key.account.tier.cell",
    "key.account.relationship.criterion",
    "key.account.relationship.evidence",
    "key.account.relationship.status",
    "key.account.relationship.history",
    "key.account.gap",
    "key.account.relationship.change",
    "key.account.relationship.set",
    "key.account.relationship.decide",
    "key.account.engagement",
    "key.account.churn.reason",
    "key.account.loss",
    "key.account.loss.set",
    "key.account.receiving.set",
    "key.account.receiving.set.closing",
    "key.account.receiving.set.line",
    "key.account.assignment",
    "key.account.target",
    "key.account.visit.figures",
    "key.account.effort.suggestion",
    "key.account.plan",
    "key.account.plan.member",
    "key.account.plan.objective",
    "key.account.plan.category",
    "key.account.check.in",
]
# Those that are about a customer: own and unassigned, all, of one's company.
ACCOUNT_MODELS = [
    "key.account",
    "key.account.due",
    "key.account.tier.change",
    "key.account.visit",
    "key.account.relationship.evidence",
    "key.account.relationship.status",
    "key.account.relationship.change",
    "key.account.loss",
]
PARTNER_FIELDS = [
    "account_tier_id",
    "account_tier_locked_until",
    "account_tier_lock_reason",
    "account_value_type",
    "visit_interval_days",
    "key_account_group_id",
    "key_account_wallet",
    "last_visit_date",
    "next_visit_date",
    "next_visit_user_id",
    "visit_days_overdue",
    "visit_overdue_user_id",
    "key_account_is_lost",
    "key_account_lost_date",
    "key_account_revenue",
    "key_account_margin",
    "key_account_visit_ids",
    "relationship_level",
    "suggested_relationship_level",
    "relationship_gap_text",
    "relationship_direction",
    "executive_sponsor_id",
    "key_account_coverage",
    "key_account_is_single_threaded",
    "key_account_thread_text",
    "buying_role_ids",
    "decision_level",
    "stance",
    "last_met_date",
    "left_company_date",
]
LEAD_FIELDS = [
    "account_tier_id",
    "relationship_level",
    "last_visit_date",
    "next_visit_date",
]


class RightsCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.internal = cls._create_user("ka_internal", "base.group_user")
        cls.portal = cls._create_user("ka_portal", "base.group_portal")
        cls.other_company = cls._create_company("Other Company")
        cls.foreigner = cls._create_user(
            "ka_foreigner", SALES_ADMIN, company=cls.other_company
        )
        cls.own = cls._create_partner("Own account")
        cls.others = cls._create_partner("Account of a colleague", user_id=cls.rep2.id)
        cls.nobodys = cls._create_partner("Nobody's account", user_id=False)
        cls.partners = cls.own | cls.others | cls.nobodys
        cls._create_invoices(
            [(partner, 100 + partner.id, TODAY) for partner in cls.partners]
        )
        cls.policy._run(TODAY)
        cls.visits = cls.Visit._generate()
        cls.visits |= cls.Visit.create(
            [
                {"partner_id": partner.id, "track": "executive", "user_id": user.id}
                for partner, user in (
                    (cls.own, cls.rep),
                    (cls.others, cls.rep2),
                    (cls.nobodys, cls.env["res.users"]),
                )
            ]
        )

        cls.env["key.account.relationship.evidence"].create(
            [
                {
                    "partner_id": partner.id,
                    "criterion_id": cls.env["key.account.relationship.criterion"]
                    .search([("kind", "=", "judged")], limit=1)
                    .id,
                    "note": "Seen",
                }
                for partner in cls.partners
            ]
        )
        for partner in cls.partners:
            partner._propose_level("partner", "Deserved")
        # the first placement has left none
        cls.env["key.account.tier.change"].create(
            [
                {
                    "partner_id": partner.id,
                    "company_id": cls.company.id,
                    "to_tier_id": cls.tier_b.id,
                    "state": "applied",
                }
                for partner in cls.partners
            ]
        )
        cls.env["key.account.loss"].create(
            [
                {
                    "partner_id": partner.id,
                    "reason_id": cls.env.ref("crm_key_account.churn_reason_price").id,
                    "date": "2026-01-05",
                    "date_returned": "2026-01-06",
                }
                for partner in cls.partners
            ]
        )

        # what is due, without a visit
        cls.env["key.account.cadence"].create(
            {"company_id": cls.company.id, "interval_count": 4, "sequence": 1}
        )

    def _get_partners(self, model, user):
        records = (
            self.env[model]
            .with_user(user)
            .with_context(allowed_company_ids=user.company_ids.ids)
        )
        return records.search(
            [("partner_id", "in", self.partners.ids)]
        ).partner_id.sudo()


@tagged("post_install", "-at_install")
class TestRights(RightsCommon):
    def test_nobody_outside_sales_reads_anything(self):
        for user in (self.internal, self.portal):
            for model in MODELS:
                with self.subTest(user=user.login, model=model):
                    with self.assertRaises(AccessError):
                        self.env[model].with_user(user).search_read([], ["id"])
                    self.assertFalse(self.env[model].with_user(user).has_access("read"))

    def test_fields_are_hidden_outside_sales(self):
        for model, names in (
            ("res.partner", PARTNER_FIELDS),
            ("crm.lead", LEAD_FIELDS),
        ):
            for user in (self.internal, self.portal):
                visible = self.env[model].with_user(user).fields_get()
                self.assertFalse(set(names) & visible.keys(), (model, user.login))
            self.assertFalse(
                set(names) - self.env[model].with_user(self.rep).fields_get().keys()
            )
        for name in PARTNER_FIELDS:
            with self.assertRaises(AccessError):
                self.own.with_user(self.internal).read([name])

    def test_nobody_reads_who_got_a_digest(self):
        """Users are there for everybody, of all companies."""
        self.rep.key_account_digest_date = TODAY
        for user in (self.foreigner, self.manager, self.rep):
            rep = self.rep.with_user(user)
            for call in (
                lambda rep=rep: rep.read(["key_account_digest_date"]),
                lambda rep=rep: rep.search_count(
                    [("key_account_digest_date", "!=", False)]
                ),
            ):
                with self.subTest(user=user.login), self.assertRaises(AccessError):
                    call()

    def test_partner_form_opens_outside_sales(self):
        Partner = self.env["res.partner"].with_user(self.internal)
        arch = Partner.get_view(view_type="form")["arch"]
        self.assertNotIn("account_tier_id", arch)
        self.assertNotIn("key_account", arch)
        self.own.with_user(self.internal).read(["name"])

    def test_own_documents(self):
        for model in ACCOUNT_MODELS:
            self.assertEqual(
                self._get_partners(model, self.rep), self.own | self.nobodys, model
            )

    def test_all_documents(self):
        for user in (self.leader, self.manager):
            for model in ACCOUNT_MODELS:
                self.assertEqual(self._get_partners(model, user), self.partners, model)

    def test_another_company(self):
        for model in ACCOUNT_MODELS:
            self.assertFalse(self._get_partners(model, self.foreigner), model)
        context = {"allowed_company_ids": self.other_company.ids}
        policies = self.env["key.account.policy"].with_user(self.foreigner)
        policies = policies.with_context(**context)
        self.assertNotIn(self.policy.id, policies.search([]).ids)
        with self.assertRaises(AccessError):
            policies.browse(self.policy.id).action_run()
        with self.assertRaises(AccessError):
            visit = self.visits[0].with_user(self.foreigner)
            visit.with_context(**context).action_done()
        partner = self.own.with_user(self.foreigner).with_context(**context)
        self.assertFalse(partner.account_tier_id)
        self.assertFalse(partner.key_account_revenue)

    def test_figures_of_a_colleague_stay_hidden(self):
        partner = self.others.with_user(self.rep)
        self.assertFalse(partner.key_account_revenue)
        self.assertFalse(partner.next_visit_date)
        self.assertTrue(self.own.with_user(self.rep).key_account_revenue)
        # and nothing untrue is said instead
        self.assertIn("who serve the customer", partner.key_account_explanation)
        self.assertIn("Rank", self.own.with_user(self.rep).key_account_explanation)
        found = (
            self.env["res.partner"]
            .with_user(self.rep)
            .search([("next_visit_date", "!=", False), ("id", "in", self.partners.ids)])
        )
        self.assertEqual(found, self.own | self.nobodys)

    def test_rep_works_on_own_visits_only(self):
        own = self.visits.filtered(
            lambda v: v.partner_id == self.own and v.track == "executive"
        ).with_user(self.rep)
        own.date_planned = "2030-01-07"
        own.action_done()
        other = self.visits.filtered(lambda v: v.partner_id == self.others).with_user(
            self.rep
        )
        for method in ("action_done", "action_cancel"):
            with self.assertRaises(AccessError):
                getattr(other[0], method)()
        with self.assertRaises(AccessError):
            other[0].feedback = "Not mine"
        with self.assertRaises(AccessError):
            own.unlink()
        with self.assertRaises(AccessError):
            self.Visit.with_user(self.rep).create(
                {
                    "partner_id": self.others.id,
                    "user_id": self.rep2.id,
                    "track": "contact",
                }
            )

    def test_new_salesperson_sees_the_history(self):
        done = self.Visit.create(
            {
                "partner_id": self.others.id,
                "user_id": self.rep2.id,
                "state": "done",
                "date_done": "2026-01-05",
                "date_planned": "2026-01-05",
            }
        )
        self.assertFalse(done.with_user(self.rep).has_access("read"))
        self.others.user_id = self.rep
        self.env.invalidate_all()
        self.assertTrue(done.with_user(self.rep).has_access("read"))
        self.assertEqual(self._get_partners("key.account", self.rep2), self.nobodys)

    def test_configuration_is_for_administrators(self):
        for model in (
            "key.account.policy",
            "key.account.tier",
            "key.account.tier.cell",
            "key.account.cadence",
            "key.account.buying.role",
            "key.account.relationship.criterion",
        ):
            for user in (self.rep, self.leader):
                records = self.env[model].with_user(user)
                self.assertTrue(records.has_access("read"))
                for operation in ("write", "create", "unlink"):
                    self.assertFalse(records.has_access(operation), (model, operation))
            records = self.env[model].with_user(self.manager)
            self.assertTrue(records.has_access("write"))
        for method in ("action_run", "action_preview"):
            for user in (self.rep, self.leader):
                with self.assertRaises(AccessError):
                    getattr(self.policy.with_user(user), method)()

    def test_measured_figures_are_nobodys_to_write(self):
        for model in (
            "key.account",
            "key.account.tier.change",
            "key.account.relationship.change",
            "key.account.relationship.status",
        ):
            for operation in ("create", "unlink"):
                records = self.env[model].with_user(self.manager)
                self.assertFalse(records.has_access(operation), (model, operation))
        self.assertFalse(
            self.env["key.account"].with_user(self.manager).has_access("write")
        )

    def test_tier_by_hand_is_for_administrators(self):
        for user in (self.rep, self.leader):
            for values in (
                {"account_tier_id": self.tier_a.id},
                {"account_tier_locked_until": "2030-01-01"},
                {"account_tier_lock_reason": "Mine"},
            ):
                with self.assertRaisesRegex(AccessError, "sales administrator"):
                    self.own.with_user(user).write(values)
                with self.assertRaisesRegex(AccessError, "sales administrator"):
                    self.env["res.partner"].with_user(user).create(
                        {"name": "New", **values}
                    )
            with self.assertRaises(AccessError):
                self.env["key.account.tier.set"].with_user(user).create(
                    {
                        "partner_id": self.own.id,
                        "tier_id": self.tier_a.id,
                        "reason": "Mine",
                    }
                )
        self.own.with_user(self.manager).account_tier_id = self.tier_c
        self.assertEqual(self.own.account_tier_id, self.tier_c)

    def test_decisions_are_for_administrators(self):
        change = self.env["key.account.tier.change"].create(
            {
                "partner_id": self.own.id,
                "company_id": self.company.id,
                "to_tier_id": self.tier_a.id,
                "state": "proposed",
            }
        )
        for user in (self.rep, self.leader, self.internal, self.portal):
            for method in ("action_apply", "action_reject"):
                with self.assertRaises(AccessError):
                    getattr(change.with_user(user), method)()
        change.with_user(self.manager).action_apply()
        self.assertEqual(self.own.account_tier_id, self.tier_a)

    def test_rep_marks_unassigned_visits_done(self):
        visit = self.visits.filtered(
            lambda v: v.partner_id == self.nobodys and v.track == "executive"
        )
        visit.with_user(self.rep).action_done("Took over")
        self.assertEqual(visit.state, "done")


@tagged("post_install", "-at_install")
class TestRightsJson2(RightsCommon, HttpCase):
    """The same over JSON-2, with a key as an integration would use."""

    def _refuse(self, user, model, method, **params):
        """Call what is to be refused: the server's warning is what we want."""
        with mute_logger("odoo.http"):
            return self._call(user, model, method, **params)

    def _call(self, user, model, method, **params):
        # the key is checked in another transaction, which is this one in tests
        key = (
            self.env["res.users.apikeys"]
            .with_user(user)
            .sudo()
            ._generate("rpc", "test", None)
        )
        return self.url_open(
            f"/json/2/{model}/{method}",
            data=json.dumps(params),
            headers={
                "Authorization": f"bearer {key}",
                "Content-Type": "application/json",
            },
        )

    def test_read(self):
        for model in (
            "key.account",
            "key.account.tier.change",
            "key.account.visit",
        ):
            domain = [["partner_id", "in", self.partners.ids]]
            params = {"domain": domain, "fields": ["partner_id"]}
            for user in (self.internal, self.portal):
                response = self._refuse(user, model, "search_read", **params)
                self.assertEqual(response.status_code, 403, (model, user.login))
            for user, partners in (
                (self.rep, self.own | self.nobodys),
                (self.leader, self.partners),
                (self.manager, self.partners),
                (self.foreigner, self.env["res.partner"]),
            ):
                response = self._call(user, model, "search_read", **params)
                self.assertEqual(response.status_code, 200, response.text)
                ids = {row["partner_id"][0] for row in response.json()}
                self.assertEqual(ids, set(partners.ids), (model, user.login))

    def test_private_methods_stay_private(self):
        for model, method in (
            ("res.partner", "_propose_level"),
            ("key.account", "_update_relationships"),
            ("key.account.policy", "_run"),
            ("key.account.policy", "_cron_run"),
            ("key.account.visit", "_generate"),
            ("key.account.visit", "_cron_generate"),
        ):
            response = self._refuse(self.manager, model, method)
            self.assertIn(response.status_code, (403, 404), (model, method))

    def test_write(self):
        own = self.visits.filtered(
            lambda v: v.partner_id == self.own and v.track == "executive"
        )
        other = self.visits.filtered(
            lambda v: v.partner_id == self.others and v.track == "executive"
        )
        response = self._refuse(
            self.rep, "key.account.visit", "action_done", ids=other.ids
        )
        self.assertEqual(response.status_code, 403)
        response = self._call(
            self.rep,
            "key.account.visit",
            "action_done",
            ids=own.ids,
            feedback="Over the wire",
        )
        self.assertEqual(response.status_code, 200, response.text)
        self.env.invalidate_all()
        self.assertEqual(own.state, "done")
        self.assertEqual(other.state, "planned")
        response = self._refuse(
            self.rep,
            "res.partner",
            "write",
            ids=self.own.ids,
            vals={"account_tier_id": self.tier_a.id},
        )
        self.assertEqual(response.status_code, 403)

    def test_ladder(self):
        """Levels, proposals and contacts through the API."""
        levels = {"vals": {"relationship_level": "partner"}}
        for user in (self.rep, self.leader, self.internal):
            response = self._refuse(
                user, "res.partner", "write", ids=self.own.ids, **levels
            )
            self.assertEqual(response.status_code, 403)
        response = self._call(
            self.rep,
            "res.partner",
            "write",
            ids=self.own.ids,
            vals={"relationship_level": "preferred_supplier"},
        )
        self.assertEqual(response.status_code, 200, response.text)
        change = self.env["key.account.relationship.change"].search(
            [("partner_id", "=", self.others.id), ("state", "=", "proposed")]
        )
        for user in (self.rep, self.leader):
            response = self._refuse(
                user, "key.account.relationship.change", "action_apply", ids=change.ids
            )
            self.assertEqual(response.status_code, 403)
            response = self._refuse(
                user,
                "key.account.relationship.change",
                "write",
                ids=change.ids,
                vals={"state": "applied"},
            )
            self.assertEqual(response.status_code, 403)
        response = self._refuse(
            self.rep,
            "key.account.relationship.evidence",
            "create",
            vals_list=[
                {
                    "partner_id": self.others.id,
                    "criterion_id": self.env["key.account.relationship.criterion"]
                    .search([("kind", "=", "judged")], limit=1)
                    .id,
                    "note": "Not mine",
                }
            ],
        )
        self.assertEqual(response.status_code, 403)
        response = self._call(
            self.rep, "res.partner", "get_buying_center", ids=self.own.ids
        )
        self.assertEqual(response.status_code, 200, response.text)
        self.assertEqual(response.json()["account"]["id"], self.own.id)
        response = self._refuse(
            self.internal, "res.partner", "get_buying_center", ids=self.own.ids
        )
        self.assertEqual(response.status_code, 403)

    def test_bad_input_is_a_sentence(self):
        response = self._refuse(
            self.manager,
            "key.account.policy",
            "write",
            ids=self.policy.ids,
            vals={"window_months": 0},
        )
        self.assertEqual(response.status_code, 422)
        self.assertIn("must be from 1 to 120", response.json()["message"])
