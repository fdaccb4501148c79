import json

from odoo.tools import SQL
from odoo.tools.sql import column_exists, table_columns, table_exists

MODULE = "crm_key_account"
OLD_MODEL, NEW_MODEL = "key.account.scorecard", "key.account"
# The table, and what Odoo and we name after it: indexes, constraints, external ids,
# the customers' field key_account_scorecard_id
OLD_NAME, NEW_NAME = "key_account_scorecard", "key_account"

# What people decide: column of the customer, {company id: value}, and how the value,
# a text, becomes one of the account's column. Values of records that are gone stay in
# such columns, as no foreign key watches them.
DECISIONS = {
    "account_tier_id": (
        "tier_id",
        "int4",
        "(SELECT id FROM key_account_tier WHERE id = (%s)::int4)",
    ),
    "account_tier_locked_until": ("tier_locked_until", "date", "(%s)::date"),
    "account_tier_lock_reason": ("tier_lock_reason", "varchar", "NULLIF(%s, '')"),
    "relationship_level": (
        "relationship_level",
        "varchar",
        "COALESCE(NULLIF(%s, ''), 'transactional')",
    ),
    "account_value_type": ("value_type", "varchar", "NULLIF(%s, '')"),
    "executive_sponsor_id": (
        "executive_sponsor_id",
        "int4",
        "(SELECT id FROM res_users WHERE id = (%s)::int4)",
    ),
    "visit_interval_days": ("visit_interval_days", "int4", "NULLIF((%s)::int4, 0)"),
}

# Where users and other addons write domains, contexts, code and paths of fields
TEXTS = {
    "base_automation": ("filter_domain", "filter_pre_domain"),
    "ir_act_server": ("code", "update_path"),
    "ir_act_window": ("domain", "context"),
    "ir_actions_server_history": ("code",),
    "ir_embedded_actions": ("domain", "context"),
    "ir_exports_line": ("name",),
    "ir_filters": ("domain", "context", "sort"),
    "ir_model_fields": ("related", "depends", "compute", "domain"),
    "ir_rule": ("domain_force",),
    "ir_ui_view": ("arch_db", "arch_prev"),
    "ir_ui_view_custom": ("arch",),
    "mail_template": ("subject", "body_html"),
}


def migrate(cr, version):
    """Make the scorecard the account: one row that holds what is decided, too.

    - The model, its table and all that is named after them get the new name, also in
      what users keep: filters, exports, automation rules.
    - What people decided about customers moves from the customers' columns of values
      per company to the account of that company. Accounts that are missing are made.

    From 19.0.1.0.0 on, where there were no levels, value types and sponsors yet. A
    second time changes nothing.
    """
    if table_exists(cr, OLD_NAME):
        _rename_table(cr)
        _rename_model(cr)
        _rename_in_texts(cr)
    _add_columns(cr)
    columns = [name for name in DECISIONS if column_exists(cr, "res_partner", name)]
    if columns:
        _move_decisions(cr, columns)
        _drop_columns(cr, columns)


def _rename_table(cr):
    _alter(cr, "ALTER TABLE %s RENAME TO %s", OLD_NAME, NEW_NAME)
    _alter(
        cr,
        "ALTER SEQUENCE %s RENAME TO %s",
        f"{OLD_NAME}_id_seq",
        f"{NEW_NAME}_id_seq",
    )
    # A constraint takes its index along: the indexes come second.
    cr.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass", [NEW_NAME]
    )
    for name in _filter_old(cr):
        _alter(
            cr,
            "ALTER TABLE %s RENAME CONSTRAINT %s TO %s",
            NEW_NAME,
            name,
            _new(name),
        )
    cr.execute(
        """
        SELECT indexrelid::regclass::text FROM pg_index
         WHERE indrelid = %s::regclass
        """,
        [NEW_NAME],
    )
    for name in _filter_old(cr):
        _alter(cr, "ALTER INDEX %s RENAME TO %s", name, _new(name))


def _filter_old(cr):
    return [name for (name,) in cr.fetchall() if name.startswith(OLD_NAME)]


def _new(name):
    return name.replace(OLD_NAME, NEW_NAME)


def _alter(cr, statement, *names):
    cr.execute(SQL(statement, *map(SQL.identifier, names)))


def _rename_model(cr):
    """Rename the model in the registry, and wherever a column holds a model's name."""
    for table, column in _get_model_columns(cr):
        cr.execute(
            SQL(
                "UPDATE %(table)s SET %(column)s = %(new)s WHERE %(column)s = %(old)s",
                table=SQL.identifier(table),
                column=SQL.identifier(column),
                new=NEW_MODEL,
                old=OLD_MODEL,
            )
        )
    for table, column in _get_reference_columns(cr):
        cr.execute(
            SQL(
                """
                UPDATE %(table)s
                   SET %(column)s = REPLACE(%(column)s, %(old)s, %(new)s)
                 WHERE starts_with(%(column)s, %(old)s)
                """,
                table=SQL.identifier(table),
                column=SQL.identifier(column),
                new=f"{NEW_MODEL},",
                old=f"{OLD_MODEL},",
            )
        )
    # Customers have it, and users by way of them. Fields, constraints and external ids
    # stay the same records, and so does what refers to them.
    cr.execute(
        """
        UPDATE ir_model_fields
           SET name = 'key_account_id'
         WHERE name = 'key_account_scorecard_id'
        """
    )
    cr.execute(
        """
        UPDATE ir_model_constraint
           SET name = REPLACE(name, %(old)s, %(new)s)
         WHERE starts_with(name, %(old)s)
        """,
        {"old": OLD_NAME, "new": NEW_NAME},
    )
    cr.execute(
        """
        UPDATE ir_model_data data
           SET name = REPLACE(name, %(old)s, %(new)s)
         WHERE module = %(module)s
           AND strpos(name, %(old)s) > 0
           AND NOT EXISTS (
               SELECT FROM ir_model_data taken
                WHERE taken.module = data.module
                  AND taken.name = REPLACE(data.name, %(old)s, %(new)s))
        """,
        {"old": OLD_NAME, "new": NEW_NAME, "module": MODULE},
    )


def _get_model_columns(cr):
    """Return (table, column) of all columns that may hold nothing but a model's name,
    of Odoo and of other addons."""
    cr.execute(
        """
        SELECT table_name, column_name
          FROM information_schema.columns
          JOIN information_schema.tables USING (table_schema, table_name)
         WHERE table_schema = current_schema
           AND table_type = 'BASE TABLE'
           AND data_type IN ('character varying', 'text')
           AND (column_name LIKE '%model%' OR column_name IN ('relation', 'resource'))
        """
    )
    return cr.fetchall()


def _get_reference_columns(cr):
    """Return (table, column) of the fields that hold "model,id"."""
    cr.execute(
        "SELECT model, name FROM ir_model_fields WHERE ttype = 'reference' AND store"
    )
    return [
        (model.replace(".", "_"), name)
        for model, name in cr.fetchall()
        if column_exists(cr, model.replace(".", "_"), name)
    ]


def _rename_in_texts(cr):
    """Rename the model, and what is named after it, in what users have written."""
    for table, names in TEXTS.items():
        columns = table_columns(cr, table)
        for name in names:
            if name not in columns:
                continue
            # By way of text: translated ones are jsonb
            cr.execute(
                SQL(
                    """
                    UPDATE %(table)s
                       SET %(column)s = REPLACE(REPLACE(%(column)s::text,
                               %(old_model)s, %(new_model)s),
                               %(old_name)s, %(new_name)s)::%(kind)s
                     WHERE %(column)s::text LIKE ANY (%(patterns)s)
                    """,
                    table=SQL.identifier(table),
                    column=SQL.identifier(name),
                    kind=SQL.identifier(columns[name]["udt_name"]),
                    old_model=OLD_MODEL,
                    new_model=NEW_MODEL,
                    old_name=OLD_NAME,
                    new_name=NEW_NAME,
                    patterns=[f"%{OLD_MODEL}%", f"%{OLD_NAME}%"],
                )
            )
    # Cumulative shares aren't stored any more; the rank gives the same order.
    cr.execute(
        """
        UPDATE ir_filters
           SET sort = REPLACE(sort, 'cumulative_share', 'rank')
         WHERE model_id = %s AND strpos(sort, 'cumulative_share') > 0
        """,
        [NEW_MODEL],
    )


def _add_columns(cr):
    for column, kind, _expression in DECISIONS.values():
        cr.execute(
            SQL(
                "ALTER TABLE key_account ADD COLUMN IF NOT EXISTS %s %s",
                SQL.identifier(column),
                SQL(kind),
            )
        )


def _move_decisions(cr, columns):
    """Write on the accounts what their customers say, in ``columns``.

    That is what people saw; what differs on a scorecard was a copy that lagged behind.
    Contacts only copied their account, so that what a former account among them has
    kept of its own is no decision.
    """
    _collect_decisions(cr, columns)
    cr.execute(
        """
        UPDATE key_account account
           SET tier_since = CASE
                   WHEN account.tier_id IS DISTINCT FROM decided.tier_id
                   THEN decided.tier_since
                   ELSE account.tier_since END,
               tier_id = decided.tier_id,
               tier_locked_until = decided.tier_locked_until,
               tier_lock_reason = decided.tier_lock_reason,
               relationship_level = decided.relationship_level,
               value_type = decided.value_type,
               executive_sponsor_id = decided.executive_sponsor_id,
               visit_interval_days = decided.visit_interval_days
          FROM key_account_decided decided
         WHERE decided.partner_id = account.partner_id
           AND decided.company_id = account.company_id
        """
    )
    # Figures and rank come with the next run.
    cr.execute(
        """
        INSERT INTO key_account
               (partner_id, company_id, user_id, is_account, tier_id, tier_since,
                tier_locked_until, tier_lock_reason, relationship_level, value_type,
                executive_sponsor_id, visit_interval_days, last_visit_date,
                next_visit_date)
        SELECT decided.partner_id, decided.company_id, partner.user_id, FALSE,
               decided.tier_id, decided.tier_since, decided.tier_locked_until,
               decided.tier_lock_reason, decided.relationship_level,
               decided.value_type, decided.executive_sponsor_id,
               decided.visit_interval_days, visits.last_visit_date,
               visits.next_visit_date
          FROM key_account_decided decided
          JOIN res_partner partner ON partner.id = decided.partner_id
          LEFT JOIN (
                SELECT partner_id, company_id,
                       MAX(date_done) FILTER (WHERE state = 'done') AS last_visit_date,
                       MIN(date_planned) FILTER (WHERE state = 'planned')
                           AS next_visit_date
                  FROM key_account_visit
                 GROUP BY partner_id, company_id
               ) AS visits
            ON visits.partner_id = decided.partner_id
           AND visits.company_id = decided.company_id
         WHERE decided.tier_id IS NOT NULL
            OR decided.tier_locked_until IS NOT NULL
            OR decided.tier_lock_reason IS NOT NULL
            OR decided.relationship_level != 'transactional'
            OR decided.value_type IS NOT NULL
            OR decided.executive_sponsor_id IS NOT NULL
            OR decided.visit_interval_days IS NOT NULL
            ON CONFLICT (partner_id, company_id) DO NOTHING
        """
    )
    if table_exists(cr, "key_account_loss"):
        cr.execute(
            """
            UPDATE key_account account
               SET is_lost = TRUE, lost_date = loss.date
              FROM key_account_loss loss
             WHERE loss.partner_id = account.partner_id
               AND loss.company_id = account.company_id
               AND loss.date_returned IS NULL
               AND account.lost_date IS NULL
            """
        )
    cr.execute("DROP TABLE key_account_decided")


def _collect_decisions(cr, columns):
    """Make the table key_account_decided: a row per account that there is or of which
    a customer says something, with the columns of DECISIONS and ``tier_since``."""
    defaults = json.dumps(_get_defaults(cr))
    values = SQL("").join(
        SQL(
            ", %s AS %s",
            SQL(
                expression,
                SQL(
                    "COALESCE(%(value)s -> key, %(defaults)s::jsonb -> %(name)s -> key)"
                    " #>> '{}'",
                    value=SQL.identifier("partner", name),
                    defaults=defaults,
                    name=name,
                )
                if name in columns
                else SQL("NULL"),
            ),
            SQL.identifier(column),
        )
        for name, (column, _kind, expression) in DECISIONS.items()
    )
    said = SQL(" || ").join(
        SQL("COALESCE(%s, '{}')", SQL.identifier("partner", name)) for name in columns
    )
    cr.execute(
        SQL(
            """
            CREATE TEMPORARY TABLE key_account_decided AS
            WITH accounts AS (
                SELECT partner_id, company_id, company_id::text AS key
                  FROM key_account
                 UNION
                SELECT partner.id, company.id, key
                  FROM res_partner partner
                 CROSS JOIN LATERAL jsonb_object_keys(%(said)s) AS key
                  -- those of companies that are gone, too, are still there
                  JOIN res_company company ON company.id::text = key
                 WHERE partner.commercial_partner_id = partner.id
            ), changes AS (
                SELECT partner_id, company_id, MAX(date) AS tier_since
                  FROM key_account_tier_change
                 WHERE state = 'applied'
                 GROUP BY partner_id, company_id
            )
            SELECT accounts.partner_id, accounts.company_id, changes.tier_since
                   %(values)s
              FROM accounts
              LEFT JOIN res_partner partner
                     ON partner.id = accounts.partner_id
                    AND partner.commercial_partner_id = partner.id
              LEFT JOIN changes
                     ON changes.partner_id = accounts.partner_id
                    AND changes.company_id = accounts.company_id
            """,
            said=said,
            values=values,
        )
    )
    cr.execute("UPDATE key_account_decided SET tier_since = NULL WHERE tier_id IS NULL")
    cr.execute("ANALYZE key_account_decided")


def _get_defaults(cr):
    """Return {column of the customer: {company id, as text: value}}: what Odoo showed
    where nothing was said, by our data file or by what an administrator has set."""
    cr.execute("SELECT id FROM res_company")
    company_ids = [company_id for (company_id,) in cr.fetchall()]
    cr.execute(
        """
        SELECT field.name, ir_default.company_id, json_value
          FROM ir_default
          JOIN ir_model_fields field ON field.id = ir_default.field_id
         WHERE field.model = 'res.partner'
           AND field.name = ANY(%s)
           AND user_id IS NULL
           AND condition IS NULL
         ORDER BY company_id NULLS FIRST, ir_default.id DESC
        """,
        [list(DECISIONS)],
    )
    defaults = {}
    for name, company_id, text in cr.fetchall():
        value = json.loads(text)
        if not value:
            continue  # says nothing
        for each in [company_id] if company_id else company_ids:
            defaults.setdefault(name, {})[str(each)] = value
    return defaults


def _drop_columns(cr, columns):
    for table, names in {
        "res_partner": columns,
        # computed when asked
        "key_account": ["cumulative_share"],
    }.items():
        for name in names:
            _alter(cr, "ALTER TABLE %s DROP COLUMN IF EXISTS %s", table, name)
    cr.execute(
        """
        DELETE FROM ir_default
         USING ir_model_fields field
         WHERE field.id = ir_default.field_id
           AND field.model = 'res.partner'
           AND field.name = ANY(%s)
        """,
        [list(DECISIONS)],
    )
    cr.execute("ALTER TABLE key_account ALTER COLUMN relationship_level SET NOT NULL")
