from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """A company's criteria are asked for in its branches too, also in those that are
    apart."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    branches = env["res.company"].search([("parent_id", "!=", False)])
    for company in branches._get_key_account_keepers():
        env["key.account"]._update_relationships(company)
