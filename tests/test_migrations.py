import importlib.util
from datetime import date, datetime
from pathlib import Path

from psycopg2.extras import Json

from odoo.tests import tagged
from odoo.tools import SQL, convert_file
from odoo.tools.sql import column_exists

from ..models.account import features
from .common import SALES, KeyAccountCommon

MIGRATIONS = Path(__file__).parents[1] / "migrations"


@tagged("post_install", "-at_install")
class TestMigrations(KeyAccountCommon):
    """The scripts, on a database as the version before left it."""

    def _load(self, script):
        path = MIGRATIONS / script
        spec = importlib.util.spec_from_file_location("migration", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def _migrate(self, script):
        module = self._load(script)
        self.env.flush_all()
        module.migrate(self.cr, "19.0.1.0.0")
        self.env.invalidate_all()

    def test_19_0_1_1_0(self):
        partner = self._create_partner("Kestrel")
        tier = self.env.ref("crm_key_account.tier_key")
        ordinary = self.env.ref("crm_key_account.tier_ordinary")
        self.Card._ensure(partner.ids, self.company)
        lead = self.env["crm.lead"].create(
            {"name": "Deal", "partner_id": partner.id, "company_id": self.company.id}
        )
        self.env.ref("crm_key_account.churn_reason_quality").unlink()
        # before: no cells, no levels anywhere, and a tier that somebody deleted
        (tier | ordinary).cell_ids.unlink()
        self.env["ir.model.data"].search(
            [("module", "=", "crm_key_account"), ("name", "=", "tier_ordinary")]
        ).unlink()
        self.env.registry.clear_cache()
        self.env.flush_all()
        self.cr.execute("UPDATE crm_lead SET relationship_level = NULL")
        self._migrate("19.0.1.1.0/pre-lead-relationship-level.py")
        self._migrate("19.0.1.1.0/post-relationships.py")
        self.assertEqual(partner.relationship_level, "transactional")
        self.assertTrue(self.env.ref("crm_key_account.churn_reason_quality").active)
        self.assertEqual(lead.relationship_level, "transactional")
        card = self._get_card(partner)
        self.assertEqual(card.relationship_level, "transactional")
        self.assertEqual(card.suggested_relationship_level, "transactional")
        # as a new database has them (see test_default_requirements)
        self.assertEqual(
            [
                (cell.role_id.name or "", cell.decision_level or "")
                for cell in tier.cell_ids
            ],
            [("", level) for level in ("top", "middle", "working")]
            + [(r, "") for r in ("Decision maker", "Buyer", "User", "Influencer")],
        )
        self.assertFalse(ordinary.cell_ids)
        # a second time changes nothing
        self._migrate("19.0.1.1.0/pre-lead-relationship-level.py")
        self._migrate("19.0.1.1.0/post-relationships.py")
        self.assertEqual(len(tier.cell_ids), 7)

    def test_19_0_1_3_0_due(self):
        """The backlog's rows, external ids and filters go on as what is due."""
        line = self.env["key.account.cadence"].create(
            {
                "company_id": self.company.id,
                "tier_id": self.tier_a.id,
                "interval_count": 1,
                "interval_unit": "month",
            }
        )
        partner = self._create_partner("Kestrel")
        self._set_tier(partner, self.tier_a)
        self._get_planned(partner).unlink()
        self.env.flush_all()
        self.cr.execute("DELETE FROM key_account_due")
        self.cr.execute("DROP TABLE IF EXISTS key_account_backlog")
        self.cr.execute(
            """
            CREATE TABLE key_account_backlog (
                id serial, partner_id int, lead_id int, company_id int, user_id int,
                cadence_id int, track varchar, date_due date, reason varchar,
                date_escalated date)
            """
        )
        self.cr.execute(
            """
            INSERT INTO key_account_backlog (partner_id, company_id, cadence_id, track,
                                             date_due, reason, date_escalated)
            VALUES (%s, %s, %s, 'visit', '2020-05-05', 'away', '2020-06-06')
            """,
            [partner.id, self.company.id, line.id],
        )
        view = self.env.ref("crm_key_account.key_account_due_view_list")
        own = self.env["ir.filters"].create({"name": "Own", "model_id": "res.partner"})
        self.env.flush_all()
        for statement in (
            "UPDATE ir_ui_view SET model = 'key.account.backlog' WHERE id = %s",
            "UPDATE ir_model_data SET name = 'key_account_backlog_view_list'"
            " WHERE model = 'ir.ui.view' AND res_id = %s",
        ):
            self.cr.execute(statement, [view.id])
        self.cr.execute(
            "UPDATE ir_filters SET model_id = 'key.account.backlog' WHERE id = %s",
            [own.id],
        )
        self._migrate("19.0.1.3.0/pre-due.py")
        self.env.registry.clear_cache()
        self.assertEqual(
            self.env.ref("crm_key_account.key_account_due_view_list"), view
        )
        self.assertEqual(view.model, "key.account.due")
        self.assertEqual(own.model_id, "key.account.due")
        self._migrate("19.0.1.3.0/post-due.py")
        row = self.env["key.account.due"].search([("partner_id", "=", partner.id)])
        self.assertEqual(str(row.date_due), "2020-05-05")
        self.assertEqual(str(row.date_since), "2020-05-05")
        self.assertEqual(str(row.date_escalated), "2020-06-06")
        self.assertEqual((row.reason, row.user_id), ("away", self.rep))
        # everybody else has a row as well, and a second time changes nothing
        rows = self.env["key.account.due"].search([])
        self.assertGreater(len(rows), 1)
        self._migrate("19.0.1.3.0/pre-due.py")
        self._migrate("19.0.1.3.0/post-due.py")
        self.assertEqual(self.env["key.account.due"].search([]), rows)

    def test_19_0_1_2_0_stages(self):
        partner = self._create_partner("Kestrel")
        self.Card._ensure(partner.ids, self.company)
        values = {"company_id": self.company.id, "partner_id": partner.id}
        leads = self.env["crm.lead"].create(
            [
                {"name": "Quoted", "type": "opportunity", **values},
                {"name": "Running", "type": "opportunity", **values},
                {"name": "Open", "type": "opportunity", **values},
                {"name": "Lead", "type": "lead", **values},
                {"name": "Lost", "type": "opportunity", "active": False, **values},
            ]
        )
        orders = self.env["sale.order"].create(
            [{"opportunity_id": lead.id, **values} for lead in leads[:2]]
        )
        orders[0].action_quotation_sent()
        orders[1].action_confirm()
        expected = ["quotation", "contract", "opportunity", "lead", "target"]
        self.assertEqual(leads.mapped("engagement_stage"), expected)
        self.env.flush_all()
        for table, column in (
            ("crm_lead", "engagement_stage"),
            ("key_account", "engagement_stage"),
        ):
            self.cr.execute(
                SQL(
                    "UPDATE %s SET %s = NULL",
                    SQL.identifier(table),
                    SQL.identifier(column),
                )
            )
        self._migrate("19.0.1.2.0/pre-stages.py")
        self._migrate("19.0.1.2.0/post-stages.py")
        self.assertEqual(leads.mapped("engagement_stage"), expected)
        self.assertEqual(self._get_card(partner).engagement_stage, "quotation")

    def test_19_0_1_5_0_branches(self):
        for has_accounts in (False, True):
            if has_accounts:
                branch = self.env["res.company"].create(
                    {"name": "Branch", "parent_id": self.company.id}
                )
                self.Card._ensure(self._create_partner("Kestrel").ids, branch)
            self.env.flush_all()
            self.cr.execute("UPDATE key_account_policy SET branches_apart = NULL")
            self._migrate("19.0.1.5.0/pre-branches.py")
            self.assertEqual(self.policy.branches_apart, has_accounts)

    def test_19_0_1_5_0_reasons(self):
        change = self.env["key.account.tier.change"].create(
            {
                "partner_id": self._create_partner("Kestrel").id,
                "company_id": self.company.id,
                "reason": "Revenue of 12 months: 5 EUR",
            }
        )
        self.env.flush_all()
        self.cr.execute(
            "ALTER TABLE key_account_tier_change DROP COLUMN IF EXISTS reason"
        )
        self.cr.execute(
            "ALTER TABLE key_account_tier_change RENAME said_reason TO reason"
        )
        for _ in range(2):
            self._migrate("19.0.1.5.0/pre-reasons.py")
            self.assertEqual(change.reason, "Revenue of 12 months: 5 EUR")

    def test_19_0_1_5_0_stages(self):
        partner = self._create_partner("Kestrel")
        self.Card._ensure(partner.ids, self.company)
        values = {"company_id": self.company.id, "partner_id": partner.id}
        leads = self.env["crm.lead"].create(
            [{"name": n, "type": "opportunity", **values} for n in ("Draft", "Sent")]
        )
        orders = self.env["sale.order"].create(
            [{"opportunity_id": lead.id, **values} for lead in leads]
        )
        orders[1].action_quotation_sent()
        self.env.flush_all()
        self.cr.execute("UPDATE crm_lead SET engagement_stage = 'quotation'")
        self.env.invalidate_all()
        self._migrate("19.0.1.5.0/post-stages.py")
        self.assertEqual(leads.mapped("engagement_stage"), ["opportunity", "quotation"])
        self.assertEqual(self._get_card(partner).engagement_stage, "quotation")

    def test_19_0_1_5_0_evidence(self):
        """Older evidence goes with what was withdrawn, later one stays."""
        partner = self._create_partner("Kestrel")
        criterion = self.env["key.account.relationship.criterion"].create(
            {
                "name": "Their word",
                "kind": "judged",
                "level": "preferred_supplier",
                "company_id": self.company.id,
            }
        )
        older, withdrawn, later, other = self.env[
            "key.account.relationship.evidence"
        ].create(
            [
                {
                    "partner_id": account.id,
                    "company_id": self.company.id,
                    "criterion_id": criterion.id,
                    "date": day,
                    "note": "Seen",
                }
                for account, day in (
                    (partner, "2026-01-05"),
                    (partner, "2026-01-09"),
                    (partner, "2026-01-02"),
                    (self._create_partner("Merlin"), "2026-01-05"),
                )
            ]
        )
        self.env.flush_all()
        self.cr.execute(
            """
            UPDATE key_account_relationship_evidence
               SET create_date = CASE id WHEN %(later)s THEN TIMESTAMP '2026-02-03'
                                 ELSE TIMESTAMP '2026-02-01' END,
                   write_date = '2026-02-02',
                   date_withdrawn = CASE id WHEN %(withdrawn)s THEN DATE '2026-02-02'
                                    END,
                   withdrawn_user_id = CASE id WHEN %(withdrawn)s THEN %(user)s END
             WHERE id = ANY(%(ids)s)
            """,
            {
                "ids": (older | withdrawn | later | other).ids,
                "later": later.id,
                "withdrawn": withdrawn.id,
                "user": self.leader.id,
            },
        )
        self._migrate("19.0.1.5.0/post-evidence.py")
        self.assertEqual(older.date_withdrawn, date(2026, 2, 2))
        self.assertEqual(older.withdrawn_user_id, self.leader)
        self.assertFalse((later | other).filtered("date_withdrawn"))

    def test_19_0_1_2_0_report(self):
        done, planned = self.Visit.create(
            [
                {
                    "partner_id": self._create_partner(state).id,
                    "state": state,
                    "date_done": state == "done" and "2026-03-10",
                }
                for state in ("done", "planned")
            ]
        )
        self._migrate("19.0.1.2.0/post-report.py")
        # nobody is asked for reports of the time before there were any
        self.assertEqual(done.report_date, datetime(2026, 3, 10))
        self.assertFalse(done.report_uid)
        self.assertFalse(planned.report_date)

    def test_19_0_1_2_0_who(self):
        tiers = [
            self.env.ref(f"crm_key_account.tier_{name}")
            for name in ("key", "ordinary", "low")
        ]
        expected = ["senior", "regular", "trainee"]
        # as a new database has it
        self.assertEqual([tier.min_seniority for tier in tiers], expected)
        tiers[0].min_seniority = tiers[1].min_seniority = False
        tiers[2].min_seniority = "senior"
        self._migrate("19.0.1.2.0/post-who.py")
        # what somebody chose stays
        expected[2] = "senior"
        self.assertEqual([tier.min_seniority for tier in tiers], expected)
        self.env["ir.model.data"].search(
            [("module", "=", "crm_key_account"), ("name", "=", "tier_low")]
        ).unlink()
        self.env.registry.clear_cache()
        self._migrate("19.0.1.2.0/post-who.py")

    def test_new_seniority_column_is_filled(self):
        """The ORM gives members that were there before the default."""
        members = self.team.crm_team_member_ids
        self.env.flush_all()
        self.cr.execute("UPDATE crm_team_member SET seniority = NULL")
        members._init_column("seniority")
        self.env.invalidate_all()
        self.assertEqual(set(members.mapped("seniority")), {"regular"})

    def test_19_0_1_2_0_brief(self):
        """The checklist arrives, and a second time nothing twice."""
        names = self.env["ir.model.data"].search(
            [
                ("module", "=", "crm_key_account"),
                ("model", "=", "key.account.checklist.item"),
            ]
        )
        items = self.env["key.account.checklist.item"].browse(names.mapped("res_id"))
        count = len(items)
        self.assertTrue(count)
        items.unlink()
        names.exists().unlink()
        self._migrate("19.0.1.2.0/post-brief.py")
        self.assertTrue(self.env.ref("crm_key_account.checklist_item_objective").name)
        self._migrate("19.0.1.2.0/post-brief.py")
        self.assertEqual(
            self.env["ir.model.data"].search_count(
                [
                    ("module", "=", "crm_key_account"),
                    ("model", "=", "key.account.checklist.item"),
                ]
            ),
            count,
        )

    def test_19_0_1_4_0(self):
        """Activities that visits and commitments named name these, with what they are
        to them; the rule and filters go on."""
        partner = self._create_partner("Kestrel")
        self._set_tier(partner, self.tier_a)
        visit = self.Visit.create(
            {"partner_id": partner.id, "state": "done", "user_id": self.rep.id}
        )
        activities = self.env["mail.activity"]
        by_role = {
            role: activities._create_for_visits(
                role,
                [
                    {
                        "document": partner,
                        "company": self.company,
                        "user_id": self.rep.id,
                        "summary": role,
                        # of what waits for a day, there is no visit
                        "key_account_visit_id": role != "escalation" and visit.id,
                    }
                ],
            )
            for role in (
                "visit",
                "follow_up",
                "promise",
                "support",
                "commitment",
                "escalation",
            )
        }
        commitment = self.env["key.account.commitment"].create(
            {"visit_id": visit.id, "name": "Samples"}
        )
        commitment.activity_id = by_role["commitment"]
        rule = self.env.ref("crm_key_account.mail_activity_rule_visit")
        domain = rule.domain_force
        # past the check of domains, which doesn't know the field any more
        self.cr.execute(
            "UPDATE ir_rule SET domain_force = REPLACE(domain_force, %s, %s)"
            " WHERE id = %s",
            ["'key_account_role'", "'is_key_account_visit'", rule.id],
        )
        self.env.invalidate_all()
        saved = self.env["ir.filters"].create(
            {
                "name": "Visits",
                "model_id": "mail.activity",
                "domain": "[('is_key_account_visit', '=', True)]",
            }
        )
        self.env.flush_all()
        # as 19.0.1.3.0 had them
        self.cr.execute(
            """
            ALTER TABLE key_account_visit
                  ADD COLUMN IF NOT EXISTS activity_id integer,
                  ADD COLUMN IF NOT EXISTS follow_up_activity_id integer,
                  ADD COLUMN IF NOT EXISTS promise_activity_id integer,
                  ADD COLUMN IF NOT EXISTS support_activity_id integer;
            ALTER TABLE mail_activity
                  ADD COLUMN IF NOT EXISTS is_key_account_visit boolean,
                  ADD COLUMN IF NOT EXISTS is_key_account_task boolean;
            UPDATE mail_activity
               SET is_key_account_visit = TRUE,
                   is_key_account_task = key_account_role != 'visit'
             WHERE key_account_role IS NOT NULL;
            UPDATE mail_activity
               SET key_account_role = NULL, key_account_visit_id = NULL;
            """
        )
        self.cr.execute(
            """
            UPDATE key_account_visit
               SET activity_id = %s, follow_up_activity_id = %s,
                   promise_activity_id = %s, support_activity_id = %s
             WHERE id = %s
            """,
            [
                *(
                    by_role[role].id
                    for role in ("visit", "follow_up", "promise", "support")
                ),
                visit.id,
            ],
        )
        self._migrate("19.0.1.4.0/pre-activity-link.py")
        for role, activity in by_role.items():
            self.assertEqual(activity.key_account_role, role)
            self.assertEqual(
                activity.key_account_visit_id,
                visit if role != "escalation" else visit.browse(),
            )
        self.assertEqual(visit.activity_id, by_role["visit"])
        self.assertEqual(visit.support_activity_id, by_role["support"])
        other = activities.create(
            {
                "res_model_id": self.env["ir.model"]._get_id("res.partner"),
                "res_id": partner.id,
            }
        )
        self.assertFalse(other.key_account_role)
        self.assertEqual(rule.domain_force, domain)
        self.assertEqual(saved.domain, "[('key_account_role', '!=', False)]")
        self.assertFalse(column_exists(self.cr, "key_account_visit", "activity_id"))
        # a second time changes nothing
        self._migrate("19.0.1.4.0/pre-activity-link.py")
        self.assertEqual(by_role["escalation"].key_account_role, "escalation")

    def _split_night(self, **planning):
        """Make the two jobs that were before."""
        job = self.env.ref("crm_key_account.ir_cron_tiering")
        job.write({"active": True, "interval_number": 1, "interval_type": "days"})
        other = job.copy(
            {
                "name": "Key Accounts: plan visits",
                "model_id": self.env["ir.model"]._get_id("key.account.visit"),
                "code": "model._cron_generate()",
                "active": True,
                **planning,
            }
        )
        self.env["ir.model.data"]._update_xmlids(
            [{"xml_id": "crm_key_account.ir_cron_planning", "record": other}]
        )
        self.env.registry.clear_cache()
        return job, other

    def test_19_0_1_5_0_night(self):
        """Two jobs become one, which goes on as an administrator set it."""
        tiering = 'model._cron_night(["tiering", "relationships"])'
        planning = 'model._cron_night(["planning"])'
        hourly = {"interval_number": 12, "interval_type": "hours"}
        weekly = {"interval_number": 1, "interval_type": "weeks"}
        off = {"active": False}
        for first, second, code, interval, active in (
            ({}, {}, "model._cron_night()", (1, "days"), True),
            ({}, hourly, "model._cron_night()", (12, "hours"), True),
            (weekly, {}, "model._cron_night()", (1, "weeks"), True),
            (weekly, hourly, "model._cron_night()", (12, "hours"), True),
            (off, weekly, planning, (1, "weeks"), True),
            (hourly, {**weekly, **off}, tiering, (12, "hours"), True),
            (off, off, "model._cron_night()", (1, "days"), False),
        ):
            with self.subTest(first=first, second=second):
                job, other = self._split_night(**second)
                job.write(first)
                action = other.ir_actions_server_id
                self._migrate("19.0.1.5.0/post-night.py")
                self.env.registry.clear_cache()
                for name in ("ir_cron_tiering", "ir_cron_planning"):
                    self.assertEqual(self.env.ref(f"crm_key_account.{name}"), job)
                self.assertFalse(other.exists())
                self.assertFalse(action.exists())
                self.assertEqual(job.code, code)
                self.assertEqual(job.model_id.model, "key.account.night")
                self.assertEqual((job.interval_number, job.interval_type), interval)
                self.assertEqual(job.active, active)
                # a second time changes nothing
                job.interval_number = 3
                self._migrate("19.0.1.5.0/post-night.py")
                self.assertEqual(job.interval_number, 3)

    def test_19_0_1_5_0_activities(self):
        """Activities of visits get their company, and the rule that asks for it."""
        rule = self.env.ref("crm_key_account.mail_activity_rule_visit")
        domain = rule.domain_force
        rule.domain_force = "[('key_account_role', '=', False)]"
        visit = self.Visit.create(
            {
                "partner_id": self._create_partner("Kestrel").id,
                "user_id": self.rep.id,
                "date_planned": "2030-01-07",
            }
        )
        other = self._create_company("Key Account Other")
        leader = self._create_user("ka_other_leader", "base.group_user", other)
        escalation, plain = (
            visit.partner_id.activity_schedule(user_id=leader.id) for _ in range(2)
        )
        escalation._write_quietly({"key_account_role": "escalation"})
        visit.activity_id.key_account_company_id = False
        for _ in range(2):
            self._migrate("19.0.1.5.0/pre-activity-company.py")
            self.assertEqual(visit.activity_id.key_account_company_id, self.company)
            self.assertEqual(escalation.key_account_company_id, other)
            self.assertFalse(plain.key_account_company_id)
            self.assertEqual(rule.domain_force, domain)

    def test_19_0_1_5_0_bounds(self):
        """What was stored beyond the bounds goes to the nearest one."""
        partner = self._create_partner("Kestrel")
        self._set_tier(partner, self.tier_a)
        line = self.env["key.account.cadence"].create(
            {"company_id": self.company.id, "interval_unit": "month"}
        )
        visit = self.Visit.create({"partner_id": partner.id, "user_id": self.rep.id})
        script = self._load("19.0.1.5.0/pre-bounds.py")
        # fields that came later never were without bounds
        named = {(row[0], row[1]) for row in [*script.NUMBERS, *script.DAYS]}
        known = {}
        for model in self.env.values():
            for field in model._fields.values():
                is_kept = not (model._abstract or model._transient)
                if getattr(field, "bounds", None) and is_kept and field.store:
                    if (model._table, field.name) in named:
                        known[model._table, field.name] = field
        self.env.flush_all()
        for (table, column), field in known.items():
            value = {"date": "9999-12-31", "integer": 2**31 - 1, "float": "NaN"}
            self.cr.execute(
                SQL(
                    "UPDATE %s SET %s = %s",
                    SQL.identifier(table),
                    SQL.identifier(column),
                    value[field.type],
                )
            )
        self.cr.execute("UPDATE res_partner SET partner_latitude = 'NaN'")
        self._migrate("19.0.1.5.0/pre-bounds.py")
        for (table, column), field in known.items():
            with self.subTest(table=table, column=column):
                self.cr.execute(
                    SQL(
                        "SELECT count(*) FROM %s WHERE NOT %s BETWEEN %s AND %s",
                        SQL.identifier(table),
                        SQL.identifier(column),
                        *field.bounds,
                    )
                )
                self.assertEqual(self.cr.fetchone(), (0,))
        self.assertEqual(partner.visit_interval_days, 3650)
        self.assertEqual(line.interval_count, 121)
        self.assertEqual(str(visit.date_planned), "2199-12-31")
        self.assertFalse(partner.partner_latitude)
        # a second time changes nothing
        before = partner.read(), visit.read(), line.read(), self.tier_a.read()
        self._migrate("19.0.1.5.0/pre-bounds.py")
        after = partner.read(), visit.read(), line.read(), self.tier_a.read()
        self.assertEqual(before, after)

    def test_19_0_1_6_0_scorecard(self):
        """The preset comes, archived, and once."""
        preset = self.env.ref("crm_key_account.policy_scorecard")
        metrics = preset.criterion_ids.mapped("metric")
        preset.unlink()
        for _ in range(2):
            self._migrate("19.0.1.6.0/post-scorecard.py")
            preset = self.env.ref("crm_key_account.policy_scorecard")
            self.assertFalse(preset.active)
            self.assertEqual(preset.criterion_ids.mapped("metric"), metrics)
            self.assertEqual(preset.tier_ids.mapped("threshold"), [70, 30, 0])
        self.assertTrue(self.policy.active)

    def _forget_strategies(self, *names):
        """Take presets away, as a database of before has them."""
        data = self.env["ir.model.data"].search(
            [
                ("module", "=", "crm_key_account"),
                ("model", "=", "key.account.engagement"),
                ("name", "in", names),
            ]
        )
        self.env["key.account.engagement"].browse(data.mapped("res_id")).unlink()
        data.exists().unlink()
        self.env.registry.clear_cache()

    def _get_strategies(self):
        return set(
            self.env["ir.model.data"]
            .search(
                [
                    ("module", "=", "crm_key_account"),
                    ("model", "=", "key.account.engagement"),
                ]
            )
            .mapped("name")
        )

    def test_19_0_1_6_0_strategies(self):
        """Strategies for tiers and kinds of business arrive, and nothing that somebody
        has deleted."""
        kinds = [f"engagement_kind_{k}" for k in ("industrial", "channel", "service")]
        new = {*kinds, "engagement_kind_retail", "engagement_tier_ordinary"}
        self.assertLessEqual(new, self._get_strategies())
        self._forget_strategies(*new, "engagement_retail")
        industry = self.env.ref("base.res_partner_industry_C")
        industry.key_account_kind = False
        self.env.ref("base.res_partner_industry_U").unlink()
        before = self._get_strategies()
        self._migrate("19.0.1.6.0/post-strategies.py")
        self.assertEqual(self._get_strategies(), before | new)
        self.assertEqual(industry.key_account_kind, "industrial")
        channel = self.env.ref("crm_key_account.engagement_kind_channel")
        self.assertEqual(channel.business_kind, "channel")
        # who uses none gets none
        self._forget_strategies(*new)
        self.env["key.account.engagement"].search([]).active = False
        self._migrate("19.0.1.6.0/post-strategies.py")
        self.assertEqual(self._get_strategies(), before)

    def test_19_0_1_6_0_strategies_without_the_tier(self):
        self._forget_strategies("engagement_tier_ordinary")
        self.env["ir.model.data"].search(
            [("module", "=", "crm_key_account"), ("name", "=", "tier_ordinary")]
        ).unlink()
        self.env.registry.clear_cache()
        self._migrate("19.0.1.6.0/post-strategies.py")
        self.assertNotIn("engagement_tier_ordinary", self._get_strategies())
        self.assertIn("engagement_kind_channel", self._get_strategies())

    def test_19_0_1_6_0_branch_criteria(self):
        """Branches that are apart know what their company asks for."""
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        self.policy.branches_apart = True
        criteria = self.env["key.account.relationship.criterion"]
        criteria.search([]).active = False
        own = criteria.create(
            {
                "name": "Ours",
                "level": "preferred_supplier",
                "company_id": self.company.id,
            }
        )
        partner = self._create_partner("Kestrel")
        self.Card._ensure(partner.ids, branch)
        self.env.flush_all()
        self.cr.execute("UPDATE key_account SET relationship_gap = NULL")
        self.env.invalidate_all()
        self._migrate("19.0.1.6.0/post-branch-criteria.py")
        gap = self._get_card(partner, branch).relationship_gap
        self.assertEqual([each["id"] for each in gap], own.ids)

    def test_19_0_1_6_0_lead_company(self):
        self._create_company("Another one that keeps accounts")
        lead = self.env["crm.lead"].create(
            {"name": "L", "company_id": False, "team_id": False, "user_id": False}
        )
        self.env.flush_all()
        self.cr.execute(
            "UPDATE crm_lead SET account_tier_id = %s, relationship_level = 'partner'"
            " WHERE id = %s",
            [self.tier_a.id, lead.id],
        )
        self.env.invalidate_all()
        self._migrate("19.0.1.6.0/post-lead-company.py")
        self.assertFalse(lead.account_tier_id)
        self.assertEqual(lead.relationship_level, "transactional")

    def _get_switches(self):
        sales = self.env.ref("sales_team.group_sale_salesman")
        return {
            switch
            for switch in features.SWITCHES
            if self.env.ref(switch) in sales.all_implied_ids
        }

    def test_19_0_1_7_0_features(self):
        """Who serves whom stays on where it was used."""
        sales = self.env.ref("sales_team.group_sale_salesman")
        sales._remove_group(self.env.ref(features.ASSIGNMENT))
        self.env["crm.team.member"].search([]).seniority = "regular"
        self.env["key.account.effort.suggestion"].search([]).unlink()
        before = self._get_switches()
        self._migrate("19.0.1.7.0/post-features.py")
        self.assertEqual(self._get_switches(), before)
        self.team.crm_team_member_ids[0].seniority = "trainee"
        self._migrate("19.0.1.7.0/post-features.py")
        self.assertEqual(self._get_switches(), {*before, features.ASSIGNMENT})

    def test_19_0_1_7_0_new_switches(self):
        """Where they are new, by installation or update, the first two are on; then an
        update leaves them as the settings say."""
        sales = self.env.ref("sales_team.group_sale_salesman")
        path = "security/key_account_features_security.xml"
        first = {features.EVIDENCE, features.BUYING_CENTER}
        for switch in features.SWITCHES:
            sales._remove_group(self.env.ref(switch))
        args = (self.env, "crm_key_account", path, {})
        convert_file(*args, mode="update", noupdate=True)
        self.assertFalse(self._get_switches())
        for mode in ("update", "init"):
            self.env["ir.model.data"].search(
                [("module", "=", "crm_key_account"), ("name", "=like", "group_use_%")]
            ).filtered(lambda each: "account_plan" not in each.name).unlink()
            self.env.registry.clear_cache()
            convert_file(*args, mode=mode, noupdate=True)
            self.env.registry.clear_all_caches()
            self.assertEqual(self._get_switches(), first)

    def test_19_0_1_7_0_menus(self):
        """Favourites, home actions and own menus go on with what came after."""
        visits = self.env.ref("crm_key_account.key_account_visit_action")
        old = visits.copy({"name": "Visits to Report", "path": False})
        tiers = self.env["ir.actions.act_window"].create(
            {"name": "Tiers", "res_model": "key.account.tier"}
        )
        for action, name in (
            (old, "key_account_visit_action_to_report"),
            (tiers, "key_account_tier_action"),
        ):
            self.env["ir.model.data"].create(
                {
                    "module": "crm_key_account",
                    "name": name,
                    "model": action._name,
                    "res_id": action.id,
                }
            )
        favourites = self.env["ir.filters"].create(
            [
                {
                    "name": f"Favourite {number}",
                    "model_id": action.res_model,
                    "action_id": action.id,
                    "domain": domain,
                }
                for number, (action, domain) in enumerate(
                    (
                        (old, "[]"),
                        (old, " [ ] "),
                        (old, '["|", ("user_id", "=", uid), ("team_id", "=", False)]'),
                        (tiers, '[("code", "=", "A")]'),
                    )
                )
            ]
        )
        self.rep.sudo().action_id = old.id
        menu = self.env["ir.ui.menu"].create(
            {"name": "Ours", "action": f"ir.actions.act_window,{old.id}"}
        )
        for _ in range(2):
            # a second time changes nothing
            self._migrate("19.0.1.7.0/pre-menus.py")
        self.assertEqual(favourites[:3].action_id.id, visits.id)
        self.assertFalse(favourites[3].action_id)
        done = "('state', '=', 'done'), ('report_date', '=', False)"
        self.assertEqual(favourites[0].domain, f"[{done}]")
        self.assertEqual(favourites[1].domain, f"[{done}]")
        self.assertEqual(
            favourites[2].domain,
            f'[{done}, "|", ("user_id", "=", uid), ("team_id", "=", False)]',
        )
        self.assertEqual(favourites[3].domain, '[("code", "=", "A")]')
        self.assertEqual(self.rep.action_id.id, visits.id)
        self.assertEqual(menu.action, visits)

    def test_19_0_1_7_0_executive(self):
        """Lines that came with the addon escalate, unless somebody changed them."""
        lines = self.env["key.account.cadence"].union(
            *(
                self.env.ref(f"crm_key_account.cadence_{name}_executive")
                for name in ("alliance", "partner", "preferred")
            )
        )
        # as a new database has them
        self.assertEqual(lines.mapped("escalate_after_days"), [14, 14, 14])
        lines.escalate_after_days = 0
        self.env.flush_all()
        self.cr.execute(
            "UPDATE key_account_cadence SET write_uid = 1 WHERE id = ANY(%s)",
            [lines[1:].ids],
        )
        self.cr.execute(
            "UPDATE key_account_cadence SET write_uid = %s WHERE id = %s",
            [self.manager.id, lines[0].id],
        )
        own = lines[1].copy({"company_id": self.company.id})
        self._migrate("19.0.1.7.0/post-executive.py")
        self.assertEqual(lines.mapped("escalate_after_days"), [0, 14, 14])
        self.assertEqual(own.escalate_after_days, 0)

    def test_19_0_1_7_0_branch_criteria(self):
        """Rules that a data file doesn't touch any more."""
        rule = self.env.ref(
            "crm_key_account.key_account_relationship_criterion_rule_company"
        )
        rule.perm_read = True
        self._migrate("19.0.1.7.0/pre-branch-criteria.py")
        self.assertFalse(rule.perm_read)
        self.assertTrue(rule.perm_write)

    def test_19_0_1_7_0_start(self):
        """Who has been tiering for long needs no first steps."""
        other = self.env["res.company"].create({"name": "New Company"})
        self.company.key_account_computed_at = "2026-03-18 01:00:00"
        self._migrate("19.0.1.7.0/post-start.py")
        self.assertTrue(self.company.key_account_start_closed)
        self.assertFalse(other.key_account_start_closed)

    def test_19_0_1_7_0_next_visit(self):
        """The next visit is told from the executive's."""
        both, alone = self._create_partner("Both"), self._create_partner("Alone")
        self.Visit.create(
            [
                {
                    "partner_id": partner.id,
                    "track": track,
                    "user_id": user.id,
                    "date_planned": f"2027-03-{day}",
                }
                for partner, track, user, day in (
                    (both, "visit", self.rep, 20),
                    (both, "executive", self.leader, 10),
                    (alone, "contact", self.rep, 12),
                )
            ]
        )
        self.env.flush_all()
        # as 19.0.1.6.0 had it
        self.cr.execute(
            """
            ALTER TABLE key_account RENAME COLUMN regular_visit_date TO next_visit_date;
            UPDATE key_account
               SET next_visit_date = LEAST(next_visit_date, executive_visit_date),
                   executive_visit_date = NULL, executive_visit_user_id = NULL;
            """
        )
        self._migrate("19.0.1.7.0/pre-next-visit.py")
        self._migrate("19.0.1.7.0/post-next-visit.py")
        for partner, user, day, whose in (
            (both, self.rep, 20, False),
            (both, self.leader, 10, True),
            (alone, self.rep, 12, False),
        ):
            card = self._get_card(partner).with_user(user)
            self.assertEqual(card.next_visit_date, date(2027, 3, day))
            self.assertEqual(bool(card.next_visit_user_id), whose)

    def test_19_0_1_8_0_digest(self):
        """The digest's days become those of the reasons beside; own words stay."""
        template = self.env.ref("crm_key_account.mail_template_visit_digest")
        new = "(ctx.get('days') or {}).get(visit.id)"
        for text in ("Hello", "Bonjour"):
            template.body_html = (
                f"<p>{text}</p>"
                '<t t-foreach="ctx.get(\'visits\') or []" t-as="visit">'
                '<t t-out="format_date(visit.date_due or visit.date_planned)"></t>'
                '<t t-out="format_date(visit.date_planned)"></t></t>'
            )
            self.env.flush_all()
            for _ in range(2):
                self._migrate("19.0.1.8.0/post-digest-days.py")
            self.env.invalidate_all()
            self.assertNotIn("format_date", template.body_html)
            self.assertEqual(template.body_html.count(new), 2)
            self.assertIn(text, template.body_html)

    def test_19_0_1_9_0_checklist(self):
        """Items that nobody has worded speak of the objective; own words stay, in each
        language."""
        on_site, online = (
            self.env.ref(f"crm_key_account.checklist_item_{mode}_close")
            for mode in ("on_site", "online")
        )
        script = self._load("19.0.1.9.0/post-checklist.py")
        # as a new database has them
        for name, text, _before in script.CHANGED:
            self.assertEqual(self.env.ref(f"crm_key_account.{name}").name, text)
        german = "Am Bildschirm zusammenfassen: Zusagen, nächster Termin und Thema"
        for item, texts, after in (
            (
                online,
                {
                    "en_US": "Sum up on the screen: commitments, next date and theme",
                    "de_DE": german,
                    "fr_FR": "Résumez à votre façon",
                },
                {"en_US": online.name, "fr_FR": "Résumez à votre façon"},
            ),
            (
                on_site,
                {"en_US": "Ask for the order", "de_DE": german},
                {"en_US": "Ask for the order", "de_DE": german},
            ),
        ):
            self.env.flush_all()
            self.cr.execute(
                "UPDATE key_account_checklist_item SET name = %s WHERE id = %s",
                [Json(texts), item.id],
            )
            for _ in range(2):
                self._migrate("19.0.1.9.0/post-checklist.py")
            self.cr.execute(
                "SELECT name FROM key_account_checklist_item WHERE id = %s", [item.id]
            )
            self.assertEqual(self.cr.fetchone()[0], after)

    def test_19_0_1_8_0_branch_rules(self):
        """Rules that a data file doesn't touch any more."""
        rules = self.env["ir.rule"].union(
            *(
                self.env.ref(f"crm_key_account.key_account_{name}_rule_company")
                for name in ("cadence", "criterion", "policy", "tier", "tier_cell")
            )
        )
        rules.perm_read = True
        self._migrate("19.0.1.8.0/pre-branch-rules.py")
        for rule in rules:
            self.assertFalse(rule.perm_read)
            self.assertTrue(rule.perm_write)

    def test_19_0_1_10_0_assignment(self):
        """What was listed twice is listed anew, when somebody opens the list."""
        partner = self._create_partner("Kestrel", user_id=False)
        lines = self.env["key.account.assignment"].sudo()
        lines.create(
            {
                "company_id": self.company.id,
                "partner_id": partner.id,
                "problem": "nobody",
            }
        )
        self._migrate("19.0.1.10.0/pre-assignment.py")
        self.assertFalse(lines.search([]))

    def test_19_0_1_10_0_visit_index(self):
        """The index of salespersons goes: the one with their days serves both."""
        indexes = "SELECT COUNT(*) FROM pg_indexes WHERE indexname = %s"
        self.cr.execute(
            "CREATE INDEX IF NOT EXISTS key_account_visit__user_id_index"
            " ON key_account_visit (user_id)"
        )
        self._migrate("19.0.1.10.0/post-visit_index.py")
        self.cr.execute(indexes, ["key_account_visit__user_id_index"])
        self.assertEqual(self.cr.fetchone()[0], 0)
        self.cr.execute(indexes, ["key_account_visit_user_date_idx"])
        self.assertEqual(self.cr.fetchone()[0], 1)

    def test_19_0_1_12_0_branch_leads(self):
        """Visits that went to a branch with their leads are found by the night."""
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        self.rep.company_ids |= branch
        rep2 = self._create_user("ka_branch", SALES, branch)
        leads = self.env["crm.lead"].create(
            [
                {
                    "name": user.name,
                    "type": "opportunity",
                    "company_id": branch.id,
                    "team_id": False,
                    "user_id": user.id,
                }
                for user in (self.rep, rep2)
            ]
        )
        # one after the other: what took place fulfils what is planned
        done, visit = (
            self.Visit.create(
                {"lead_id": leads[0].id, "user_id": self.rep.id, **values}
            )
            for values in ({"state": "done"}, {})
        )
        theirs = self.Visit.create({"lead_id": leads[1].id, "user_id": False})
        theirs.write({"company_id": branch.id, "user_id": rep2.id})
        (visit | done).company_id = branch
        self.env.flush_all()
        self._migrate("19.0.1.12.0/post-branch-leads.py")
        self.assertEqual((visit | done).company_id, self.company)
        activity = visit.activity_id
        self.assertEqual(activity.key_account_company_id, self.company)
        # whoever works in the branch alone
        self.assertEqual(theirs.company_id, branch)
