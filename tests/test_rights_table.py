"""The table “Who may do what” of the README, by every kind of user, through the ORM and
JSON-2; and every public method, by each user who mustn't call it."""

import inspect
import json

from odoo import Command
from odoo.exceptions import AccessError, MissingError, UserError
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from .common import SALES_ADMIN, TODAY
from .test_rights import RightsCommon

OPERATIONS = ("read", "write", "create", "unlink")
# Who may do each operation with what is about customers: a salesperson with own
# documents, one with all, an administrator. "o": own and unassigned customers', "a":
# everybody's, "-": nobody's. Others may do nothing: portal users, those outside sales,
# administrators of another company and of a branch.
ACCOUNTS = {
    "key.account": ("oaa", "---", "---", "---"),
    "key.account.commitment": ("oaa", "oaa", "oaa", "oaa"),
    "key.account.due": ("oaa", "---", "---", "---"),
    "key.account.gap": ("oaa", "---", "---", "---"),
    "key.account.loss": ("oaa", "--a", "---", "---"),
    "key.account.plan": ("oaa", "oaa", "oaa", "oaa"),
    "key.account.plan.category": ("oaa", "oaa", "oaa", "oaa"),
    "key.account.plan.member": ("oaa", "oaa", "oaa", "oaa"),
    "key.account.plan.objective": ("oaa", "oaa", "oaa", "oaa"),
    "key.account.proposal": ("oaa", "---", "---", "---"),
    "key.account.relationship.change": ("oaa", "---", "---", "---"),
    "key.account.relationship.evidence": ("oaa", "---", "oaa", "---"),
    "key.account.relationship.history": ("oaa", "---", "---", "---"),
    "key.account.relationship.status": ("oaa", "---", "---", "---"),
    "key.account.target": ("oaa", "---", "---", "---"),
    "key.account.tier.change": ("oaa", "---", "---", "---"),
    "key.account.visit": ("oaa", "oaa", "oaa", "--a"),
    "key.account.visit.figures": ("oaa", "---", "---", "---"),
    "key.account.effort.suggestion": ("oaa", "---", "---", "---"),
    "key.account.check.in": ("oaa", "---", "---", "---"),
    # of visits; core makes others'
    "mail.activity": ("oaa", "oaa", None, "oaa"),
}
# The company's own: read by all of its sales, changed by administrators.
CONFIGURATION = {
    "key.account.buying.role",
    "key.account.cadence",
    "key.account.checklist.item",
    "key.account.churn.reason",
    "key.account.criterion",
    "key.account.engagement",
    "key.account.policy",
    "key.account.relationship.criterion",
    "key.account.tier",
    "key.account.tier.cell",
}
# What is shared by all companies.
SHARED = {"key.account.buying.role", "key.account.churn.reason"}
# What is in force in a company's branches too, and read there.
INHERITED = {
    "key.account.cadence",
    "key.account.criterion",
    "key.account.policy",
    "key.account.relationship.criterion",
    "key.account.tier",
    "key.account.tier.cell",
}
# What goes on at night, for the system's administrators.
SYSTEM = {"key.account.night"}
# Who opens dialogs and what they make anew: own, all, administrators. Everybody sees
# one's own.
DIALOGS = {
    "key.account.assignment": "-aa",
    "key.account.loss.set": "aaa",
    "key.account.receiving.set": "aaa",
    "key.account.receiving.set.closing": "aaa",
    "key.account.receiving.set.line": "aaa",
    "key.account.relationship.decide": "--a",
    "key.account.relationship.set": "aaa",
    "key.account.tier.preview": "--a",
    "key.account.tier.preview.line": "--a",
    "key.account.tier.preview.load": "--a",
    "key.account.tier.preview.tier": "--a",
    "key.account.tier.undo": "--a",
    "key.account.tier.set": "--a",
    "key.account.visit.cancel": "aaa",
    "key.account.visit.substitute": "aaa",
}

# Every public method, by who mustn't call it.
# Outside sales: of records that all of sales may read, or of none.
SALES_METHODS = {
    ("key.account.portfolio", "get_portfolio"),
    ("key.account.risk", "get_risk"),
    ("key.account.start", "get_state"),
    ("crm.lead", "action_log_key_account_visit"),
    ("crm.lead", "action_view_key_account_visits"),
    ("key.account.effort.suggestion", "action_open"),
    ("key.account.effort.suggestion", "action_reckon"),
    ("key.account.visit", "action_log"),
    ("key.account.visit", "get_log_customers"),
    ("key.account.visit", "action_route"),
    ("key.account.visit", "get_my_day"),
    ("key.account.visit", "get_report_contacts"),
    ("key.account.visit", "get_week_board"),
    ("res.partner", "action_change_relationship_level"),
    ("res.partner", "action_log_key_account_visit"),
    ("res.partner", "action_open_key_account_loss"),
    ("res.partner", "action_open_key_account_receiving"),
    ("res.partner", "action_set_account_tier"),
    ("res.partner", "action_view_buying_center"),
    ("res.partner", "action_view_key_account_losses"),
    ("res.partner", "action_view_key_account_plans"),
    ("res.partner", "action_view_key_account_visits"),
    ("res.partner", "action_view_relationship_changes"),
    ("res.partner", "action_view_relationship_evidence"),
    ("res.partner", "action_view_relationship_history"),
    ("res.partner", "action_open_key_account_score"),
    ("res.partner", "action_view_tier_changes"),
    ("res.partner", "get_buying_center"),
    ("res.partner", "move_in_buying_center"),
}
# Also another company and branch, and with own documents a colleague's.
ACCOUNT_METHODS = {
    ("calendar.event", "action_decline_key_account_visit"),
    ("calendar.event", "action_report_key_account_visit"),
    ("key.account", "action_accept_level"),
    ("key.account", "action_open_partner"),
    ("key.account", "action_open_score"),
    ("key.account.commitment", "action_drop"),
    ("key.account.commitment", "action_keep"),
    ("key.account.due", "action_open_document"),
    ("key.account.due", "action_plan"),
    ("key.account.effort.suggestion", "action_accept"),
    ("key.account.effort.suggestion", "action_open_partner"),
    ("key.account.effort.suggestion", "action_undo"),
    ("key.account.gap", "action_open_partner"),
    ("key.account.loss", "action_open_partner"),
    ("key.account.proposal", "action_open_partner"),
    ("key.account.relationship.change", "action_open_partner"),
    ("key.account.relationship.history", "action_open_partner"),
    ("key.account.tier.change", "action_open_partner"),
    ("key.account.loss", "action_return"),
    ("key.account.plan", "action_close"),
    ("key.account.plan", "action_fill_categories"),
    ("key.account.plan", "action_open_partner"),
    ("key.account.plan", "action_reopen"),
    ("key.account.plan", "action_submit"),
    ("key.account.relationship.evidence", "action_withdraw"),
    ("key.account.relationship.status", "action_confirm"),
    ("key.account.relationship.status", "action_withdraw"),
    ("key.account.visit", "action_cancel"),
    ("key.account.visit", "action_check_in"),
    ("key.account.visit", "action_done"),
    ("key.account.visit", "action_move"),
    ("key.account.visit", "action_open_cancel"),
    ("key.account.visit", "action_open_document"),
    ("key.account.visit", "action_open_meeting"),
    ("key.account.visit", "action_open_report"),
    ("key.account.visit", "action_report"),
    ("key.account.visit", "action_report_later"),
    ("key.account.visit", "action_resolve"),
    ("key.account.visit", "action_schedule_meeting"),
    ("key.account.visit", "action_undo_check_in"),
    ("key.account.visit", "action_undo_move"),
    ("key.account.visit", "action_undo_plan"),
    ("key.account.visit.cancel", "action_cancel"),
    ("key.account.visit.figures", "action_open"),
    ("mail.activity", "action_report_key_account_visit"),
    ("mail.activity", "unlink_w_meeting"),
}
# Also whoever isn't an administrator of the company.
ADMINISTRATOR_METHODS = {
    ("key.account.cadence", "action_preview"),
    ("key.account.policy", "action_copy_cadence"),
    ("key.account.policy", "action_open_run"),
    ("key.account.policy", "action_open_undo"),
    ("key.account.policy", "action_compare_scorecard"),
    ("key.account.policy", "action_preview"),
    ("key.account.policy", "action_run"),
    ("key.account.proposal", "action_open_apply"),
    ("key.account.proposal", "action_open_reject"),
    ("key.account.relationship.change", "action_apply"),
    ("key.account.relationship.change", "action_open_apply"),
    ("key.account.relationship.change", "action_open_reject"),
    ("key.account.relationship.change", "action_reject"),
    ("key.account.tier.change", "action_apply"),
    ("key.account.tier.change", "action_open_apply"),
    ("key.account.tier.change", "action_open_reject"),
    ("key.account.tier.change", "action_open_undo"),
    ("key.account.tier.change", "action_reject"),
    ("key.account.tier.preview", "action_run"),
    ("key.account.tier.undo", "action_undo"),
}
# What is in between.
OTHER_METHODS = {
    # other companies decide about a shared customer for themselves
    ("key.account.loss.set", "action_set"): "portal internal own",
    ("key.account.receiving.set", "action_set"): "portal internal own",
    ("key.account.relationship.set", "action_set"): "portal internal own",
    ("res.partner", "action_key_account_return"): "portal internal own",
    ("key.account.tier.set", "action_set"): "portal internal own all",
    # a leader's team alone is led by those who see all documents here
    ("key.account.plan", "action_approve"): "portal internal own other branch",
    # names nothing of theirs
    ("key.account.visit.substitute", "action_give"): "portal internal own",
    ("key.account.relationship.decide", "action_decide"): "portal internal own all",
    ("key.account.tier.preview", "action_view_moves"): "portal internal own all",
    ("key.account.tier.preview.line", "action_back"): "portal internal own all",
    # of one's own company
    ("key.account.start", "action_close"): "portal internal own all",
    ("key.account.start", "action_open"): "portal internal own all",
    ("key.account.start", "action_open_cadence"): "portal internal own all",
    ("key.account.start", "action_open_policy"): "portal internal own all",
    ("key.account.start", "action_open_salespeople"): "portal internal own all",
    ("key.account.start", "action_plan"): "portal internal own all",
    ("key.account.start", "get_panel"): "portal internal own all",
    # with own documents, nobody assigns
    ("key.account.assignment", "action_apply"): "portal internal own",
    ("key.account.assignment", "action_apply_all"): "portal internal own",
    ("key.account.assignment", "action_open"): "portal internal own",
    ("key.account.assignment", "action_open_partner"): "portal internal own",
    # in force in the branch, and shows what one may read
    ("key.account.policy", "action_view_changes"): "portal internal other",
    ("key.account.cadence", "web_resequence"): "portal internal own all other branch",
    # of the reader's companies, in each of a shared contact
    ("res.partner", "action_export_key_account_data"): "portal internal own all",
}
# Core's, with steps of ours before or after: core says who may.
CORE_METHODS = {
    ("crm.lead", "action_set_lost"),
    ("key.account.buying.role", "copy_data"),
    ("key.account.buying.role", "copy_translations"),
    ("key.account.churn.reason", "copy_data"),
    ("key.account.churn.reason", "copy_translations"),
    ("key.account.policy", "copy_data"),
    ("key.account.visit", "load"),
    ("key.account.visit.file", "load"),
    ("res.config.settings", "set_values"),
    ("res.partner", "load"),
    ("res.company", "cache_invalidation_fields"),
    ("res.users", "action_archive"),
}
CRUD = {"create", "default_get", "fields_get", "onchange", "unlink", "write"}
ARGUMENTS = {
    "get_state": ["key.account"],
    "action_move": ["2031-01-06", False],
    "action_plan": ["2031-01-06", False],
    "action_undo_move": ["2031-01-06", False],
    "get_risk": [False],
    ("key.account.relationship.change", "action_reject"): ["No"],
    ("key.account.start", "action_plan"): [],
    "move_in_buying_center": [False, False, False],
    "web_resequence": [{}],
}


class TableCommon(RightsCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.branch = cls.env["res.company"].create(
            {"name": "Branch", "parent_id": cls.company.id}
        )
        cls.users = {
            "portal": cls.portal,
            "internal": cls.internal,
            "own": cls.rep,
            "all": cls.leader,
            "admin": cls.manager,
            "other": cls.foreigner,
            "branch": cls._create_user("ka_branch", SALES_ADMIN, cls.branch),
        }
        cls.env["key.account.target"].create(
            [
                {
                    "partner_id": partner.id,
                    "company_id": cls.company.id,
                    "user_id": partner.user_id.id,
                    "track": "visit",
                    "month": "2026-03-01",
                    "planned_count": 1,
                }
                for partner in cls.partners
            ]
        )
        cls.env["key.account.relationship.change"].create(
            [
                {
                    "partner_id": partner.id,
                    "company_id": cls.company.id,
                    "from_level": "transactional",
                    "to_level": "preferred_supplier",
                    "state": "applied",
                }
                for partner in cls.partners
            ]
        )
        cls.env["key.account.tier.change"].create(
            [
                {
                    "partner_id": partner.id,
                    "company_id": cls.company.id,
                    "to_tier_id": cls.tier_b.id,
                    "state": "proposed",
                    "run_number": 77,
                }
                for partner in cls.partners
            ]
        )
        cls.env["key.account.due"].sudo()._refresh(cls.company)
        cls.env["key.account.commitment"].create(
            [
                {
                    "visit_id": visit.id,
                    "name": "Samples",
                    "user_id": visit.user_id.id,
                }
                for visit in cls.visits
                if visit.state == "planned"
            ]
        )
        cls.env["key.account.effort.suggestion"].create(
            [
                {
                    "account_id": card.id,
                    "company_id": cls.company.id,
                    "user_id": card.user_id.id,
                    "date": TODAY,
                    "state": "suggested",
                    "suggested_days": 7,
                }
                for card in cls.env["key.account"].search(
                    [
                        ("partner_id", "in", cls.partners.ids),
                        ("company_id", "=", cls.company.id),
                    ]
                )
            ]
        )
        cls.env["key.account.plan"].create(
            [
                {
                    "partner_id": partner.id,
                    "company_id": cls.company.id,
                    "user_id": partner.user_id.id,
                    "member_ids": [Command.create({"user_id": cls.leader.id})],
                    "objective_ids": [Command.create({"name": "Grow"})],
                    "category_ids": [
                        Command.create(
                            {
                                "category_id": cls.env["product.category"]
                                .search([], limit=1)
                                .id
                            }
                        )
                    ],
                }
                for partner in cls.partners
            ]
        )
        cls.env["key.account.cadence"].create(
            {"company_id": cls.company.id, "interval_count": 9}
        )
        role = cls.env["key.account.buying.role"].search([], limit=1)
        cls.env["key.account.tier.cell"].create(
            [{"tier_id": tier.id, "role_id": role.id} for tier in cls.policy.tier_ids]
        )
        # gaps in their buying centres
        cls.Card._update_relationships(cls.company)
        cls.env["key.account.criterion"].create({"policy_id": cls.policy.id})
        for model, vals in (
            ("key.account.checklist.item", {"name": "Bring samples"}),
            ("key.account.engagement", {"text": "Listen", "value_type": "strategic"}),
            (
                "key.account.relationship.criterion",
                {"name": "Trusts us", "kind": "judged", "level": "partner"},
            ),
        ):
            cls.env[model].create({"company_id": cls.company.id, **vals})
        # nobody's visit is made by whoever is there
        cls.env["key.account.check.in"].create(
            [
                {
                    "visit_id": visit.id,
                    "user_id": visit.user_id.id or cls.rep.id,
                    "date": "2026-03-18 09:00:00",
                }
                for visit in cls.visits
                if visit.state == "planned"
            ]
        )
        cls.env.flush_all()

    def _get_records(self, model):
        """Return what there is of a model, with the customer of each."""
        records = self.env[model]
        if model in CONFIGURATION:
            if model in SHARED:
                return records.search([])
            return records.search([("company_id", "=", self.company.id)])
        if model == "mail.activity":
            return records.search(
                [
                    ("key_account_role", "!=", False),
                    ("res_model", "=", "res.partner"),
                    ("res_id", "in", self.partners.ids),
                ]
            )
        return records.search([("partner_id", "in", self.partners.ids)])

    def _get_customers(self, records):
        if records._name == "mail.activity":
            return [self.partners.browse(record.res_id) for record in records]
        return [record.partner_id for record in records]

    def _get_allowed(self, records, who, operation):
        """Return the records with which the user may do it, by the tables above."""
        nothing = records.browse()
        kinds = ("own", "all", "admin")
        if records._name in CONFIGURATION:
            if records._name in SHARED and who in ("other", "branch"):
                return records
            if records._name in INHERITED and who == "branch":
                return records if operation == "read" else nothing
            if who not in kinds:
                return nothing
            return records if operation == "read" or who == "admin" else nothing
        rights = ACCOUNTS[records._name][OPERATIONS.index(operation)]
        right = rights[kinds.index(who)] if who in kinds else "-"
        if right == "a":
            return records
        if right == "-":
            return nothing
        own = self.own | self.nobodys
        return records.browse().union(
            *(
                record
                for record, customer in zip(
                    records, self._get_customers(records), strict=True
                )
                if customer in own
            )
        )

    def _as(self, records, user):
        records = records.with_user(user)
        if user.share:
            return records.with_env(records.env(context={}))
        return records.with_context(allowed_company_ids=user.company_ids.ids)


@tagged("post_install", "-at_install")
class TestRightsTable(TableCommon):
    def test_every_model_is_in_a_table(self):
        """A new one has to be put into one of them."""
        models = {
            name
            for name, model in self.env.items()
            if name.startswith("key.account") and not model._abstract
        }
        self.assertEqual(
            models,
            ACCOUNTS.keys() - {"mail.activity"}
            | CONFIGURATION
            | DIALOGS.keys()
            | SYSTEM,
        )

    def test_system(self):
        for model in SYSTEM:
            for who, user in self.users.items():
                for operation in OPERATIONS:
                    with self.subTest(model=model, who=who, operation=operation):
                        records = self._as(self.env[model], user)
                        self.assertFalse(records.has_access(operation))

    def test_records(self):
        for model in sorted(ACCOUNTS.keys() | CONFIGURATION):
            records = self._get_records(model)
            self.assertTrue(records, model)
            if model in ACCOUNTS:
                customers = self.env["res.partner"].union(*self._get_customers(records))
                self.assertEqual(customers, self.partners, model)
            for who, user in self.users.items():
                theirs = self._as(records, user)
                for operation in OPERATIONS:
                    if model == "mail.activity" and operation == "create":
                        continue
                    with self.subTest(model=model, who=who, operation=operation):
                        self.assertEqual(
                            theirs._filtered_access(operation),
                            self._get_allowed(records, who, operation),
                        )
                with self.subTest(model=model, who=who, operation="search"):
                    if who in ("portal", "internal") and model != "mail.activity":
                        with self.assertRaises(AccessError):
                            theirs.search([])
                    elif who != "portal":
                        self.assertEqual(
                            theirs.search([("id", "in", records.ids)]),
                            self._get_allowed(records, who, "read"),
                        )

    def test_dialogs(self):
        for model, rights in DIALOGS.items():
            for who, user in self.users.items():
                kind = {"other": "admin", "branch": "admin"}.get(who, who)
                kinds = ("own", "all", "admin")
                allowed = kind in kinds and rights[kinds.index(kind)] == "a"
                dialog = self._as(self.env[model], user)
                with self.subTest(model=model, who=who):
                    self.assertEqual(dialog.has_access("read"), allowed)
                    self.assertEqual(dialog.has_access("write"), allowed)
                    # lines to assign are made for the user
                    self.assertEqual(
                        dialog.has_access("create"),
                        allowed and model != "key.account.assignment",
                    )
                    if allowed:
                        domain = self._as(self.env["ir.rule"], user)._compute_domain(
                            model, "read"
                        )
                        self.assertIn("create_uid", str(domain))

    # --- methods ------------------------------------------------------------------

    def _get_public_methods(self):
        """Return the public methods that this addon defines, by introspection."""
        found = set()
        for name, model in self.env.items():
            for cls in type(model).mro():
                if getattr(cls, "_module", None) != "crm_key_account":
                    continue
                found |= {
                    (name, method)
                    for method, function in vars(cls).items()
                    if inspect.isfunction(function)
                    and not method.startswith("_")
                    and not getattr(function, "_api_private", False)
                    and method not in CRUD
                }
        return found

    def test_every_method_is_in_a_table(self):
        """A new one has to be put into one of them."""
        tables = (
            SALES_METHODS,
            ACCOUNT_METHODS,
            ADMINISTRATOR_METHODS,
            OTHER_METHODS.keys(),
            CORE_METHODS,
        )
        listed = set().union(*tables)
        self.assertEqual(sum(map(len, tables)), len(listed))
        self.assertEqual(self._get_public_methods(), listed)

    def _get_subject(self, model):
        """Return one of a colleague's, to call methods on."""
        if self.env[model]._abstract:
            return self.env[model]
        if model == "res.partner":
            return self.others
        if model == "crm.lead":
            return self.lead
        if model == "calendar.event":
            return self.event
        if model in DIALOGS:
            return self.dialogs[model]
        records = self._get_records(model)
        if model in CONFIGURATION:
            return records[:1]
        records = records.browse().union(
            *(
                record
                for record, customer in zip(
                    records, self._get_customers(records), strict=True
                )
                if customer == self.others
            )
        )
        if "state" in records and model.endswith("change"):
            records = records.filtered(lambda change: change.state == "proposed")
        if model == "mail.activity":
            records = records.filtered(lambda task: task.key_account_role == "visit")
        return records[:1]

    def _make_subjects(self):
        self.env["key.account.loss"].create(
            {
                "partner_id": self.others.id,
                "reason_id": self.env.ref("crm_key_account.churn_reason_price").id,
                "date": "2026-01-07",
                "date_returned": "2026-01-08",
            }
        )
        self.lead = self.env["crm.lead"].create(
            {
                "name": "Deal",
                "user_id": self.rep2.id,
                "partner_id": self.others.id,
                "company_id": self.company.id,
            }
        )
        visit = self._get_subject("key.account.visit")
        self.event = self.env["calendar.event"].create(
            {
                "name": "Meeting",
                "start": "2030-01-07 09:00:00",
                "stop": "2030-01-07 10:00:00",
            }
        )
        visit._link_meeting(self.event)
        reason = self.env.ref("crm_key_account.churn_reason_price")
        changes = self._get_subject("key.account.relationship.change")
        values = {
            "key.account.assignment": {
                "company_id": self.company.id,
                "partner_id": self.others.id,
                "problem": "nobody",
                "suggested_user_id": self.rep.id,
                "user_id": self.rep2.id,
            },
            "key.account.loss.set": {
                "partner_id": self.others.id,
                "reason_id": reason.id,
            },
            "key.account.receiving.set": {"partner_id": self.others.id},
            "key.account.relationship.decide": {
                "change_ids": [Command.set(changes.ids)]
            },
            "key.account.relationship.set": {
                "partner_id": self.others.id,
                "level": "preferred_supplier",
                "reason": "x",
            },
            "key.account.tier.preview": {"policy_id": self.policy.id},
            "key.account.tier.preview.line": {},
            "key.account.tier.set": {
                "partner_id": self.others.id,
                "tier_id": self.tier_a.id,
                "reason": "x",
            },
            "key.account.tier.undo": {
                "change_id": self._get_subject("key.account.tier.change").id,
                "reason": "x",
            },
            "key.account.visit.substitute": {
                "user_id": self.rep2.id,
                "substitute_id": self.rep.id,
                "date_from": "2030-01-01",
                "date_to": "2030-01-08",
            },
            "key.account.visit.cancel": {
                "visit_id": visit.id,
                "date_resume": "2031-01-01",
            },
        }
        # made by whoever is asked, so that it isn't the dialog that refuses
        self.dialogs = {}
        for model, vals in values.items():
            if model == "key.account.tier.preview.line":
                preview = self.dialogs["key.account.tier.preview"]
                vals = {"preview_id": preview.id}
            self.dialogs[model] = self.env[model].create(vals)

    def _call(self, model, name, user):
        record = self._get_subject(model)
        self.assertTrue(record or record._abstract, model)
        if model in DIALOGS:
            self.env.cr.execute(
                f"UPDATE {record._table} SET create_uid = %s WHERE id = %s",
                [user.id, record.id],
            )
        self.env.flush_all()
        self.env.invalidate_all()
        arguments = ARGUMENTS.get((model, name), ARGUMENTS.get(name, []))
        if name == "get_report_contacts":
            arguments = [self.others.id]
        return getattr(self._as(record, user), name)(*arguments)

    def test_methods(self):
        self._make_subjects()
        outside = ("portal", "internal")
        elsewhere = (*outside, "other", "branch", "own")
        refused = {
            **dict.fromkeys(SALES_METHODS, outside),
            **dict.fromkeys(ACCOUNT_METHODS, elsewhere),
            **dict.fromkeys(ADMINISTRATOR_METHODS, (*elsewhere, "all")),
            **{key: text.split() for key, text in OTHER_METHODS.items()},
        }
        for (model, name), kinds in sorted(refused.items()):
            for who in kinds:
                with self.subTest(model=model, method=name, who=who):
                    with self.assertRaises(UserError) as error:
                        self._call(model, name, self.users[who])
                    # rows of reports aren't there for others
                    self.assertIsInstance(error.exception, (AccessError, MissingError))


@tagged("post_install", "-at_install")
class TestRightsTableJson2(TableCommon, HttpCase):
    """The same over JSON-2, with a key as an integration would use."""

    def setUp(self):
        super().setUp()
        # the key is checked in another transaction, which is this one in tests
        self.keys = {
            who: self.env["res.users.apikeys"]
            .with_user(user)
            .sudo()
            ._generate("rpc", "test", None)
            for who, user in self.users.items()
        }

    def _call(self, who, model, method, **params):
        with mute_logger("odoo.http"):
            return self.url_open(
                f"/json/2/{model}/{method}",
                data=json.dumps(params),
                headers={
                    "Authorization": f"bearer {self.keys[who]}",
                    "Content-Type": "application/json",
                },
            )

    def test_records(self):
        for model in sorted(ACCOUNTS.keys() | CONFIGURATION):
            records = self._get_records(model)
            for who in self.users:
                with self.subTest(model=model, who=who):
                    response = self._call(
                        who,
                        model,
                        "search_read",
                        domain=[["id", "in", records.ids]],
                        fields=["id"],
                    )
                    if who in ("portal", "internal") and model != "mail.activity":
                        self.assertEqual(response.status_code, 403)
                    elif response.status_code == 200:
                        ids = {row["id"] for row in response.json()}
                        allowed = self._get_allowed(records, who, "read")
                        self.assertEqual(ids, set(allowed.ids))
                    else:
                        self.assertEqual((who, model), ("portal", "mail.activity"))
                for operation, params in (
                    ("write", {"vals": {"create_date": TODAY.isoformat()}}),
                    ("unlink", {}),
                ):
                    refused = records - self._get_allowed(records, who, operation)
                    if not refused:
                        continue
                    with self.subTest(model=model, who=who, operation=operation):
                        response = self._call(
                            who, model, operation, ids=refused[:1].ids, **params
                        )
                        self.assertEqual(response.status_code, 403, response.text)
            self.assertEqual(self._get_records(model), records)

    def test_private_methods_stay_private(self):
        for model, method in (
            ("res.partner", "_propose_level"),
            ("key.account", "_decide"),
            ("key.account.policy", "_run"),
            ("key.account.visit", "_generate"),
            ("mail.activity", "_write_quietly"),
            ("mail.activity", "_create_for_visits"),
            ("key.account.privacy", "_erase_contact"),
            ("key.account.retention", "_delete_notes"),
        ):
            response = self._call("admin", model, method)
            self.assertIn(response.status_code, (403, 404), (model, method))
