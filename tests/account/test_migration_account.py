import importlib.util
import json
from datetime import date
from pathlib import Path

from odoo.tests import tagged
from odoo.tools import SQL
from odoo.tools.sql import column_exists, table_exists

from ..common import KeyAccountCommon

SCRIPTS = Path(__file__).parents[2] / "migrations/19.0.1.3.0"
# What customers held per company in 19.0.1.0.0, and what came later.
FIRST_COLUMNS = [
    "account_tier_id",
    "account_tier_locked_until",
    "account_tier_lock_reason",
    "visit_interval_days",
]
LATER_COLUMNS = ["relationship_level", "account_value_type", "executive_sponsor_id"]
NEW_COLUMNS = [
    "tier_locked_until",
    "tier_lock_reason",
    "executive_sponsor_id",
    "visit_interval_days",
]


@tagged("post_install", "-at_install")
class TestMigrationAccount(KeyAccountCommon):
    """The scripts of 19.0.1.3.0, on tables as the versions before left them.

    In SQL: till then the models don't fit the tables.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second = cls.env["res.company"].create({"name": "Second"})
        cls.partner = cls._create_partner("Kestrel")
        cls.contact = cls.env["res.partner"].create(
            {"name": "Ann", "parent_id": cls.partner.id}
        )
        cls.other = cls._create_partner("Osprey", user_id=cls.rep2.id)

    def _go_back(self, first=False):
        """Give the tables and the model's records the names and columns of before.

        :param first: as in 19.0.1.0.0, not as in 19.0.1.2.0
        """
        self.env.flush_all()
        for column in NEW_COLUMNS:
            self._alter("ALTER TABLE key_account DROP COLUMN IF EXISTS %s", column)
        self.cr.execute(
            """
            ALTER TABLE key_account
                  ALTER COLUMN relationship_level DROP NOT NULL,
                  ADD COLUMN IF NOT EXISTS cumulative_share float8,
                  ADD COLUMN IF NOT EXISTS next_visit_date date
            """
        )
        for column in FIRST_COLUMNS + LATER_COLUMNS:
            self._alter("ALTER TABLE res_partner DROP COLUMN IF EXISTS %s", column)
            self._alter("ALTER TABLE res_partner ADD COLUMN %s jsonb", column)
        self._rename_back()
        if first:
            self._go_back_to_the_first()

    def _go_back_to_the_first(self):
        for column in LATER_COLUMNS:
            self._alter("ALTER TABLE res_partner DROP COLUMN %s", column)
        for column in ("relationship_level", "value_type", "is_lost", "lost_date"):
            self._alter("ALTER TABLE key_account_scorecard DROP COLUMN %s", column)
        self.cr.execute("DROP TABLE key_account_loss CASCADE")

    def _rename_back(self):
        self._alter("ALTER TABLE key_account RENAME TO %s", "key_account_scorecard")
        for name in self._get_names("key_account_scorecard"):
            if name.endswith("_fkey"):
                statement = (
                    "ALTER TABLE key_account_scorecard RENAME CONSTRAINT %s TO %s"
                )
            else:
                statement = "ALTER INDEX %s RENAME TO %s"
            self._alter(statement, name, self._get_old_name(name))
        self._alter(
            "ALTER SEQUENCE %s RENAME TO %s",
            "key_account_id_seq",
            "key_account_scorecard_id_seq",
        )
        self.cr.execute(
            """
            UPDATE ir_model SET model = 'key.account.scorecard'
             WHERE model = 'key.account';
            UPDATE ir_model_fields SET model = 'key.account.scorecard'
             WHERE model = 'key.account';
            UPDATE ir_model_fields SET relation = 'key.account.scorecard'
             WHERE relation = 'key.account';
            UPDATE ir_model_fields SET name = 'key_account_scorecard_id'
             WHERE name = 'key_account_id';
            UPDATE ir_ui_view SET model = 'key.account.scorecard'
             WHERE model = 'key.account';
            UPDATE ir_act_window SET res_model = 'key.account.scorecard'
             WHERE res_model = 'key.account';
            UPDATE ir_model_constraint
               SET name = 'key_account_scorecard_partner_company_uniq'
             WHERE name = 'key_account_partner_company_uniq';
            UPDATE ir_model_data
               SET name = replace(name, 'key_account', 'key_account_scorecard')
             WHERE module = 'crm_key_account'
               AND (name ~ '^(model_key_account|field_key_account__.*)$'
                    OR name IN ('key_account_view_list', 'key_account_action',
                                'constraint_key_account_partner_company_uniq'))
            """
        )

    @staticmethod
    def _get_old_name(name):
        return name.replace("key_account_", "key_account_scorecard_", 1)

    def _get_names(self, table):
        """Return the names of the table's foreign keys and indexes."""
        self.cr.execute(
            """
            SELECT conname FROM pg_constraint
             WHERE conrelid = %(table)s::regclass AND contype = 'f'
             UNION
            SELECT indexrelid::regclass::text FROM pg_index
             WHERE indrelid = %(table)s::regclass
            """,
            {"table": table},
        )
        return {name for (name,) in self.cr.fetchall()}

    def _alter(self, statement, *names):
        self.cr.execute(SQL(statement, *map(SQL.identifier, names)))

    def _say(self, partner, **values):
        """Let the customer say {company: value} in these columns."""
        for column, value_by_company in values.items():
            keys = {str(getattr(key, "id", key)): v for key, v in value_by_company}
            self.cr.execute(
                SQL(
                    "UPDATE res_partner SET %s = %s WHERE id = %s",
                    SQL.identifier(column),
                    json.dumps(keys, default=str),
                    partner.id,
                )
            )

    def _insert(self, table, **values):
        self.cr.execute(
            SQL(
                "INSERT INTO %s (%s) VALUES (%s) RETURNING id",
                SQL.identifier(table),
                SQL(", ").join(map(SQL.identifier, values)),
                SQL(", ").join(SQL("%s", value) for value in values.values()),
            )
        )
        return self.cr.fetchone()[0]

    def _insert_card(self, partner, company, **values):
        return self._insert(
            "key_account_scorecard",
            partner_id=partner.id,
            company_id=company.id,
            **values,
        )

    def _migrate(self, script="pre-account.py"):
        spec = importlib.util.spec_from_file_location("migration", SCRIPTS / script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.migrate(self.cr, "19.0.1.2.0")

    def _get_rows(self, *partners):
        """Return {(partner, company): row as a dictionary}."""
        partners = partners or (self.partner, self.contact, self.other)
        self.cr.execute(
            "SELECT * FROM key_account WHERE partner_id = ANY(%s)",
            [[partner.id for partner in partners]],
        )
        rows = {
            (row["partner_id"], row["company_id"]): row
            for row in self.cr.dictfetchall()
        }
        return {
            (partner, company): rows[partner.id, company.id]
            for partner in partners
            for company in (self.company, self.second)
            if (partner.id, company.id) in rows
        }

    def assertRow(self, row, **values):
        self.assertEqual({name: row[name] for name in values}, values)

    def assertShows(self, partners, company, **values):
        self.env.invalidate_all(flush=False)
        for partner in partners.with_company(company):
            self.assertEqual({name: partner[name] for name in values}, values)

    # -------------------------------------------------------------------------
    # What was decided
    # -------------------------------------------------------------------------

    def test_decisions_move_to_the_account(self):
        """In both companies; the figures, dates and the salesperson stay."""
        self._go_back()
        tier, low = self.tier_a, self.tier_c
        known = self._insert_card(
            self.partner,
            self.company,
            user_id=self.rep.id,
            is_account=True,
            rank=3,
            revenue=120.5,
            tier_id=tier.id,
            tier_since="2026-01-05",
            relationship_level="partner",
            value_type="extrinsic",
            last_visit_date="2026-02-03",
            cumulative_share=12.5,
        )
        in_second = self._insert_card(self.partner, self.second, tier_id=low.id)
        self._say(
            self.partner,
            account_tier_id=[(self.company, tier.id), (self.second, low.id)],
            account_tier_locked_until=[(self.company, "2026-09-30")],
            account_tier_lock_reason=[(self.company, "It's a “framework” contract")],
            relationship_level=[(self.company, "partner"), (self.second, None)],
            account_value_type=[(self.company, "extrinsic")],
            executive_sponsor_id=[(self.second, self.leader.id)],
            visit_interval_days=[(self.company, 21), (self.second, 0)],
        )
        self._migrate()
        rows = self._get_rows()
        self.assertRow(
            rows[self.partner, self.company],
            id=known,
            user_id=self.rep.id,
            is_account=True,
            rank=3,
            tier_id=tier.id,
            tier_since=date(2026, 1, 5),
            tier_locked_until=date(2026, 9, 30),
            tier_lock_reason="It's a “framework” contract",
            relationship_level="partner",
            value_type="extrinsic",
            executive_sponsor_id=None,
            visit_interval_days=21,
            last_visit_date=date(2026, 2, 3),
        )
        self.assertEqual(float(rows[self.partner, self.company]["revenue"]), 120.5)
        self.assertRow(
            rows[self.partner, self.second],
            id=in_second,
            tier_id=low.id,
            tier_locked_until=None,
            tier_lock_reason=None,
            relationship_level="transactional",
            value_type=None,
            executive_sponsor_id=self.leader.id,
            visit_interval_days=None,
        )
        self.assertEqual(len(rows), 2)
        self.assertShows(
            self.partner | self.contact,
            self.company,
            account_tier_id=tier,
            account_tier_lock_reason="It's a “framework” contract",
            relationship_level="partner",
            visit_interval_days=21,
        )
        self.assertShows(
            self.partner | self.contact,
            self.second,
            account_tier_id=low,
            account_tier_lock_reason=False,
            relationship_level="transactional",
            executive_sponsor_id=self.leader,
        )
        for column in FIRST_COLUMNS + LATER_COLUMNS:
            self.assertFalse(column_exists(self.cr, "res_partner", column))
        self.assertFalse(column_exists(self.cr, "key_account", "cumulative_share"))

    def test_every_decision_alone_makes_an_account(self):
        """Of customers that had no scorecard in that company."""
        decisions = {
            "account_tier_id": ("tier_id", self.tier_b.id),
            "account_tier_locked_until": ("tier_locked_until", date(2026, 5, 1)),
            "account_tier_lock_reason": ("tier_lock_reason", "Left alone"),
            "relationship_level": ("relationship_level", "strategic_alliance"),
            "account_value_type": ("value_type", "strategic"),
            "executive_sponsor_id": ("executive_sponsor_id", self.leader.id),
            "visit_interval_days": ("visit_interval_days", 10),
        }
        nothing = {column: None for column, _ in decisions.values()}
        nothing["relationship_level"] = "transactional"
        partners = {name: self._create_partner(name) for name in decisions}
        self._go_back()
        for name, (_, value) in decisions.items():
            self._say(partners[name], **{name: [(self.second, value)]})
        self._migrate()
        rows = self._get_rows(*partners.values())
        self.assertEqual(len(rows), len(decisions))
        for name, (column, value) in decisions.items():
            self.assertRow(
                rows[partners[name], self.second],
                **{
                    **nothing,
                    column: value,
                    "user_id": self.rep.id,
                    "is_account": False,
                    "tier_since": None,
                },
            )

    def test_new_account_knows_its_dates(self):
        self.Visit.create(
            [
                {
                    "partner_id": self.other.id,
                    "state": "done",
                    "date_planned": day,
                    "date_done": day,
                }
                for day in ("2026-01-12", "2026-02-10")
            ]
        )
        self._go_back()
        self.cr.execute("DELETE FROM key_account_scorecard")
        for day, state in (
            ("2026-01-02", "applied"),
            ("2026-03-04", "applied"),
            ("2026-03-10", "rejected"),
        ):
            self._insert(
                "key_account_tier_change",
                partner_id=self.other.id,
                company_id=self.company.id,
                to_tier_id=self.tier_a.id,
                state=state,
                date=day,
            )
        self._insert(
            "key_account_loss",
            partner_id=self.other.id,
            company_id=self.company.id,
            reason_id=self.env["key.account.churn.reason"].search([], limit=1).id,
            date="2026-03-11",
        )
        self._say(self.other, account_tier_id=[(self.company, self.tier_a.id)])
        self._migrate()
        self.assertRow(
            self._get_rows()[self.other, self.company],
            user_id=self.rep2.id,
            tier_since=date(2026, 3, 4),
            last_visit_date=date(2026, 2, 10),
            is_lost=True,
            lost_date=date(2026, 3, 11),
        )

    def test_what_the_customer_says_wins(self):
        """A scorecard that says something else is a copy that lagged behind."""
        self._go_back()
        self._insert(
            "key_account_tier_change",
            partner_id=self.partner.id,
            company_id=self.company.id,
            to_tier_id=self.tier_a.id,
            state="applied",
            date="2026-03-04",
        )
        for partner in (self.partner, self.other):
            self._insert_card(
                partner,
                self.company,
                tier_id=self.tier_c.id,
                tier_since="2025-06-01",
                relationship_level="partner",
                value_type="intrinsic",
            )
        self._say(
            self.partner,
            account_tier_id=[(self.company, self.tier_a.id)],
            relationship_level=[(self.company, "preferred_supplier")],
            account_value_type=[(self.company, "strategic")],
        )
        self._migrate()
        rows = self._get_rows()
        self.assertRow(
            rows[self.partner, self.company],
            tier_id=self.tier_a.id,
            tier_since=date(2026, 3, 4),
            relationship_level="preferred_supplier",
            value_type="strategic",
        )
        self.assertRow(
            rows[self.other, self.company],
            tier_id=None,
            tier_since=None,
            relationship_level="transactional",
            value_type=None,
        )

    def test_contacts_only_copied(self):
        """They make no accounts; what a former account has kept is no decision."""
        former = self.env["res.partner"].create(
            {"name": "Formerly alone", "parent_id": self.partner.id}
        )
        self._go_back()
        self._insert_card(
            former,
            self.company,
            tier_id=self.tier_c.id,
            relationship_level="partner",
            last_visit_date="2026-02-03",
        )
        for partner in (self.partner, self.contact, former):
            self._say(
                partner,
                account_tier_id=[(self.company, self.tier_a.id)],
                visit_interval_days=[(self.company, 30)],
            )
        self._migrate()
        rows = self._get_rows(self.partner, self.contact, former)
        self.assertEqual(
            set(rows), {(self.partner, self.company), (former, self.company)}
        )
        self.assertRow(
            rows[self.partner, self.company],
            tier_id=self.tier_a.id,
            visit_interval_days=30,
        )
        self.assertRow(
            rows[former, self.company],
            tier_id=None,
            visit_interval_days=None,
            relationship_level="transactional",
            last_visit_date=date(2026, 2, 3),
        )

    def test_values_of_what_is_gone_are_skipped(self):
        gone = 2**31 - 1
        self._go_back()
        self._insert_card(self.partner, self.company, rank=1)
        for partner in (self.partner, self.other):
            self._say(
                partner,
                account_tier_id=[(self.company, gone), (gone, self.tier_a.id)],
                executive_sponsor_id=[(self.company, gone)],
                relationship_level=[(gone, "partner")],
                visit_interval_days=[(gone, 5)],
            )
        self._migrate()
        rows = self._get_rows()
        self.assertEqual(list(rows), [(self.partner, self.company)])
        self.assertRow(
            rows[self.partner, self.company],
            rank=1,
            tier_id=None,
            executive_sponsor_id=None,
            relationship_level="transactional",
        )

    def test_nothing_said_makes_no_account(self):
        self._go_back()
        self._say(
            self.partner,
            account_tier_id=[(self.company, None)],
            account_tier_lock_reason=[(self.company, "")],
            relationship_level=[(self.company, "transactional")],
            visit_interval_days=[(self.company, 0)],
        )
        self._migrate()
        self.assertFalse(self._get_rows())

    def test_defaults_go_with_what_they_meant(self):
        """Where nothing was said, accounts keep what Odoo showed; then the defaults
        of these fields are gone, and no others."""
        fields = self.env["ir.model.fields"]
        value_type = fields._get("res.partner", "account_value_type")
        city = fields._get("res.partner", "city")
        self._go_back()
        for field, company_id, value in (
            (value_type, None, "intrinsic"),
            (value_type, self.second.id, "extrinsic"),
            (city, None, "Utrecht"),
        ):
            self._insert(
                "ir_default",
                field_id=field.id,
                company_id=company_id,
                json_value=json.dumps(value),
            )
        for partner in (self.partner, self.other):
            for company in (self.company, self.second):
                self._insert_card(partner, company)
        # said to have none, in spite of the default
        self._say(
            self.other,
            account_value_type=[(self.company, None), (self.second, "strategic")],
        )
        # no account by that
        self._say(self.contact, visit_interval_days=[(self.company, 3)])
        self._migrate()
        rows = self._get_rows()
        self.assertEqual(
            {key: row["value_type"] for key, row in rows.items()},
            {
                (self.partner, self.company): "intrinsic",
                (self.partner, self.second): "extrinsic",
                (self.other, self.company): None,
                (self.other, self.second): "strategic",
            },
        )
        self.cr.execute(
            """
            SELECT field.name
              FROM ir_default
              JOIN ir_model_fields field ON field.id = field_id
             WHERE field.model = 'res.partner'
               AND field.name IN ('account_value_type', 'relationship_level', 'city')
            """
        )
        self.assertEqual(self.cr.fetchall(), [("city",)])

    def test_from_19_0_1_0_0(self):
        """Before there were levels, value types, sponsors and losses."""
        self._go_back(first=True)
        self._insert_card(self.partner, self.company, rank=1, tier_id=self.tier_b.id)
        self._say(
            self.partner,
            account_tier_id=[(self.company, self.tier_b.id)],
            visit_interval_days=[(self.second, 14)],
        )
        self._migrate()
        rows = self._get_rows()
        self.assertRow(
            rows[self.partner, self.company],
            rank=1,
            tier_id=self.tier_b.id,
            relationship_level="transactional",
            value_type=None,
            executive_sponsor_id=None,
        )
        self.assertRow(
            rows[self.partner, self.second],
            tier_id=None,
            relationship_level="transactional",
            visit_interval_days=14,
        )

    def test_second_time_changes_nothing(self):
        self._go_back()
        self._insert_card(self.partner, self.company, tier_id=self.tier_b.id)
        self._say(
            self.partner,
            account_tier_id=[(self.company, self.tier_b.id)],
            visit_interval_days=[(self.second, 14)],
        )
        self._migrate()
        rows = self._get_rows()
        self.assertEqual(len(rows), 2)
        self._migrate()
        self.assertEqual(self._get_rows(), rows)

    # -------------------------------------------------------------------------
    # Names
    # -------------------------------------------------------------------------

    def test_table_and_what_belongs_to_it(self):
        names = self._get_names("key_account")
        self._go_back()
        old_names = self._get_names("key_account_scorecard")
        self.assertIn("key_account_scorecard_partner_company_uniq", old_names)
        self._migrate()
        self.assertFalse(table_exists(self.cr, "key_account_scorecard"))
        # the sponsor's key comes with the models
        self.assertEqual(
            self._get_names("key_account"),
            {name for name in names if "executive_sponsor" not in name},
        )
        self.cr.execute("SELECT pg_get_serial_sequence('key_account', 'id')")
        self.assertEqual(self.cr.fetchone()[0], "public.key_account_id_seq")

    def test_records_stay_the_same(self):
        xmlids = [
            "model_key_account",
            "field_key_account__rank",
            "constraint_key_account_partner_company_uniq",
            "key_account_view_list",
            "key_account_action",
        ]
        old_xmlids = [
            name.replace("key_account", "key_account_scorecard") for name in xmlids
        ]
        refs = self._get_refs(xmlids)
        self.assertEqual(len(refs), len(xmlids))
        shown = self.env["ir.model.fields"]._get("res.partner", "key_account_id")
        self._go_back()
        self.assertEqual(len(self._get_refs(old_xmlids)), len(old_xmlids))
        self._migrate()
        self.assertEqual(self._get_refs(xmlids), refs)
        self.assertFalse(self._get_refs(old_xmlids))
        self.cr.execute(
            "SELECT name, relation FROM ir_model_fields WHERE id = %s", [shown.id]
        )
        self.assertEqual(self.cr.fetchone(), ("key_account_id", "key.account"))
        for table, column in (
            ("ir_model", "model"),
            ("ir_model_fields", "model"),
            ("ir_model_fields", "relation"),
            ("ir_ui_view", "model"),
            ("ir_act_window", "res_model"),
        ):
            self.cr.execute(
                SQL(
                    "SELECT COUNT(*) FROM %(table)s WHERE %(column)s = %(old)s",
                    table=SQL.identifier(table),
                    column=SQL.identifier(column),
                    old="key.account.scorecard",
                )
            )
            self.assertEqual(self.cr.fetchone()[0], 0, f"{table}.{column}")

    def _get_refs(self, names):
        """Return {external id: record's id}."""
        self.cr.execute(
            """
            SELECT name, res_id FROM ir_model_data
             WHERE module = 'crm_key_account' AND name = ANY(%s)
            """,
            [names],
        )
        return dict(self.cr.fetchall())

    def test_taken_external_id_stays(self):
        """Then Odoo removes the old one after loading, as for any that is gone."""
        self._go_back()
        taken = {"module": "crm_key_account", "model": "res.partner"}
        self._insert("ir_model_data", name="key_account_x", res_id=1, **taken)
        self._insert("ir_model_data", name="key_account_scorecard_x", res_id=2, **taken)
        self._migrate()
        self.assertEqual(
            self._get_refs(["key_account_x", "key_account_scorecard_x"]),
            {"key_account_x": 1, "key_account_scorecard_x": 2},
        )

    def test_what_users_keep(self):
        """Filters, exports and whatever else names the model, or is named after it."""
        old, new = "key.account.scorecard", "key.account"
        view = self.env["ir.ui.view"].create(
            {"model": "res.partner", "arch": "<list><field name='name'/></list>"}
        )
        self._go_back()
        on_card, on_partner = (
            self._insert(
                "ir_filters",
                name="Mine",
                model_id=model,
                domain=f"[('{field}', '!=', False)]",
                context=f"{{'group_by': ['tier_id'], 'model': '{old}'}}",
                sort='["cumulative_share desc", "id"]',
                active=True,
            )
            for model, field in (
                (old, "tier_id"),
                ("res.partner", "key_account_scorecard_id.rank"),
            )
        )
        export = self._insert("ir_exports", name="Mine", resource=old)
        line = self._insert(
            "ir_exports_line", export_id=export, name="key_account_scorecard_id/rank"
        )
        attachment = self._insert(
            "ir_attachment", name="Note", type="binary", res_model=old, res_id=1
        )
        self.cr.execute(
            """
            UPDATE ir_ui_view
               SET arch_db = '{"en_US": "<field name=''key_account_scorecard_id''/>"}'
             WHERE id = %s
            """,
            [view.id],
        )
        self._migrate()
        for table, record_id, column, expected in (
            ("ir_filters", on_card, "model_id", new),
            ("ir_filters", on_card, "domain", "[('tier_id', '!=', False)]"),
            (
                "ir_filters",
                on_card,
                "context",
                "{'group_by': ['tier_id'], 'model': 'key.account'}",
            ),
            # the same order by a figure that is stored
            ("ir_filters", on_card, "sort", '["rank desc", "id"]'),
            ("ir_filters", on_partner, "model_id", "res.partner"),
            (
                "ir_filters",
                on_partner,
                "domain",
                "[('key_account_id.rank', '!=', False)]",
            ),
            ("ir_filters", on_partner, "sort", '["cumulative_share desc", "id"]'),
            ("ir_exports", export, "resource", new),
            ("ir_exports_line", line, "name", "key_account_id/rank"),
            ("ir_attachment", attachment, "res_model", new),
            (
                "ir_ui_view",
                view.id,
                "arch_db",
                {"en_US": "<field name='key_account_id'/>"},
            ),
        ):
            self.cr.execute(
                SQL(
                    "SELECT %s FROM %s WHERE id = %s",
                    SQL.identifier(column),
                    SQL.identifier(table),
                    record_id,
                )
            )
            self.assertEqual(self.cr.fetchone()[0], expected, f"{table}.{column}")

    def test_rules_that_wait_in_vain_are_named(self):
        """Automation rules are told of changes of stored fields alone."""
        if not table_exists(self.cr, "base_automation"):
            self.cr.execute(
                """
                CREATE TABLE base_automation (
                    id serial, name jsonb, active boolean, model_id int, trigger varchar
                );
                CREATE TABLE base_automation_ir_model_fields_rel (
                    base_automation_id int, ir_model_fields_id int
                )
                """
            )
        customers = self.env["ir.model"]._get_id("res.partner")
        for name, active, field in (
            ("Promoted", True, "account_tier_id"),
            ("Switched off", False, "account_tier_id"),
            ("Moved", True, "city"),
        ):
            rule = self._insert(
                "base_automation",
                name=json.dumps({"en_US": name}),
                active=active,
                model_id=customers,
                trigger="on_create_or_write",
            )
            self.cr.execute(
                "INSERT INTO base_automation_ir_model_fields_rel VALUES (%s, %s)",
                [rule, self.env["ir.model.fields"]._get("res.partner", field).id],
            )
        with self.assertLogs("migration", "WARNING") as logs:
            self._migrate("post-automation.py")
        self.assertEqual(len(logs.output), 1)
        self.assertIn("“Promoted”", logs.output[0])
        self.assertIn("account_tier_id", logs.output[0])
