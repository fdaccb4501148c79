from odoo.tools import SQL, sql

OLD, NEW = "key.account.backlog", "key.account.due"
# Where a model goes by its name
COLUMNS = [
    ("ir_model", "model"),
    ("ir_model_fields", "model"),
    ("ir_model_fields", "relation"),
    ("ir_ui_view", "model"),
    ("ir_act_window", "res_model"),
    ("ir_filters", "model_id"),
    ("ir_exports", "resource"),
    ("ir_attachment", "res_model"),
    ("ir_model_data", "model"),
]


def migrate(cr, version):
    """Let the backlog's records, external ids and saved filters go on as those of what
    is due. The table stays for the script that comes after the new one is there."""
    if not sql.table_exists(cr, "key_account_backlog"):
        return
    # of the old table, which goes
    cr.execute(
        """
        DELETE FROM ir_model_data
         WHERE module = 'crm_key_account'
           AND model IN ('ir.model.constraint', 'ir.model.relation')
           AND res_id IN (
               SELECT ir_model_constraint.id
                 FROM ir_model_constraint
                 JOIN ir_model ON ir_model.id = ir_model_constraint.model
                WHERE ir_model.model = %s)
        """,
        [OLD],
    )
    cr.execute(
        """
        DELETE FROM ir_model_constraint
         WHERE model IN (SELECT id FROM ir_model WHERE model = %s)
        """,
        [OLD],
    )
    for table, column in COLUMNS:
        cr.execute(
            SQL(
                "UPDATE %(table)s SET %(column)s = %(new)s WHERE %(column)s = %(old)s",
                table=SQL.identifier(table),
                column=SQL.identifier(column),
                new=NEW,
                old=OLD,
            )
        )
    cr.execute(
        """
        UPDATE ir_model_data
           SET name = replace(name, 'key_account_backlog', 'key_account_due')
         WHERE module = 'crm_key_account' AND name LIKE '%key\\_account\\_backlog%'
        """
    )
