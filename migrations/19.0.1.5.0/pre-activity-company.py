"""Activities of visits are as private as the visits, per company too."""

# as in security/key_account_security.xml, whose records an update leaves alone
RULE = (
    "['|', ('key_account_role', '=', False), '&',"
    " ('key_account_company_id', 'in', company_ids)] + ([(1, '=', 1)]"
    " if user.has_group('sales_team.group_sale_salesman_all_leads')"
    " else ['|', ('user_id', '=', user.id), ('key_account_visit_id', 'any',"
    " ['|', ('user_id', '=', user.id), ('account_user_id', 'in', [user.id, False])])]"
    " if user.has_group('sales_team.group_sale_salesman')"
    " else [('user_id', '=', user.id)])"
)


def migrate(cr, version):
    cr.execute(
        """
        ALTER TABLE mail_activity
              ADD COLUMN IF NOT EXISTS key_account_company_id integer
        """
    )
    # Without a visit: an escalation of what had none, or whose visit is gone. Whoever
    # was told works there.
    cr.execute(
        """
        UPDATE mail_activity activity
           SET key_account_company_id = COALESCE(visit.company_id, assignee.company_id)
          FROM mail_activity flagged
          LEFT JOIN key_account_visit visit ON visit.id = flagged.key_account_visit_id
          LEFT JOIN res_users assignee ON assignee.id = flagged.user_id
         WHERE flagged.id = activity.id
           AND flagged.key_account_role IS NOT NULL
           AND flagged.key_account_company_id IS NULL
        """
    )
    cr.execute(
        """
        UPDATE ir_rule
           SET domain_force = %s
          FROM ir_model_data data
         WHERE data.module = 'crm_key_account'
           AND data.name = 'mail_activity_rule_visit'
           AND data.model = 'ir.rule'
           AND data.res_id = ir_rule.id
        """,
        [RULE],
    )
