"""Activities name their visits, and what they are to them; before, visits and
commitments named their activities, and these had two flags."""

from odoo.tools.sql import column_exists

# The columns of visits, and what the activities are to the visits.
ROLES = {
    "activity_id": "visit",
    "follow_up_activity_id": "follow_up",
    "promise_activity_id": "promise",
    "support_activity_id": "support",
}


def migrate(cr, version):
    cr.execute(
        """
        ALTER TABLE mail_activity
              ADD COLUMN IF NOT EXISTS key_account_visit_id integer,
              ADD COLUMN IF NOT EXISTS key_account_role varchar
        """
    )
    for column, role in ROLES.items():
        if column_exists(cr, "key_account_visit", column):
            cr.execute(
                f"""
                UPDATE mail_activity activity
                   SET key_account_visit_id = visit.id, key_account_role = %s
                  FROM key_account_visit visit
                 WHERE visit.{column} = activity.id
                """,
                [role],
            )
            # the field goes on without a column
            cr.execute(f"ALTER TABLE key_account_visit DROP COLUMN {column}")
    if column_exists(cr, "key_account_commitment", "activity_id"):
        cr.execute(
            """
            UPDATE mail_activity activity
               SET key_account_visit_id = commitment.visit_id,
                   key_account_role = 'commitment'
              FROM key_account_commitment commitment
             WHERE commitment.activity_id = activity.id
            """
        )
    if column_exists(cr, "mail_activity", "is_key_account_visit"):
        # what nobody named: a leader was told, or the visit is gone
        task = "'visit'"
        if column_exists(cr, "mail_activity", "is_key_account_task"):
            task = "CASE WHEN is_key_account_task THEN 'escalation' ELSE 'visit' END"
        cr.execute(
            f"""
            UPDATE mail_activity
               SET key_account_role = {task}
             WHERE is_key_account_visit
               AND key_account_role IS NULL
            """
        )
    # The rule is of those that an update leaves alone.
    cr.execute(
        """
        UPDATE ir_rule
           SET domain_force = REPLACE(
                   domain_force, '''is_key_account_visit''', '''key_account_role''')
         WHERE domain_force LIKE '%''is_key_account_visit''%'
        """
    )
    for flag, role in (
        ("True", "('key_account_role', '!=', False)"),
        ("False", "('key_account_role', '=', False)"),
    ):
        cr.execute(
            """
            UPDATE ir_filters
               SET domain = REPLACE(domain, %s, %s)
             WHERE model_id = 'mail.activity'
            """,
            [f"('is_key_account_visit', '=', {flag})", role],
        )
