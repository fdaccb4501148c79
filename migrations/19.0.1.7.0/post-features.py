from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Who serves whom stays on where it was used: somebody has another seniority than
    the usual one, or a suggestion was taken. The other two are on after any update that
    brings them."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    cr.execute(
        """
        SELECT EXISTS (SELECT FROM crm_team_member WHERE seniority != 'regular')
            OR EXISTS (SELECT FROM key_account_effort_suggestion
                        WHERE state = 'accepted')
        """
    )
    if cr.fetchone()[0]:
        sales = env.ref("sales_team.group_sale_salesman")
        sales._apply_group(env.ref("crm_key_account.group_use_account_assignment"))
