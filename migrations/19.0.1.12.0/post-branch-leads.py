from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Visits to leads of a branch went to the branch, where no night looks after them:
    the company above keeps them, where their salespeople work there."""
    env = api.Environment(cr, SUPERUSER_ID, {"active_test": False})
    homes = env["res.company"]._get_key_account_homes()
    if not homes:
        return
    visits = env["key.account.visit"].search(
        [("company_id", "in", list(homes)), ("partner_id", "=", False)]
    )
    for branch, group in visits.grouped("company_id").items():
        home = branch._get_key_account_home()
        group.filtered(
            lambda visit, home=home: (
                not visit.user_id or home in visit.user_id.company_ids
            )
        ).company_id = home
