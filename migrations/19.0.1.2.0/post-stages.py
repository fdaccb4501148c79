from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Note on the scorecards what is going on with each account."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    for company in env["res.company"].search([]):
        env["key.account"]._update_engagement_stages(company)
