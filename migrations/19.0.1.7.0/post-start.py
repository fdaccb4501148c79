from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Close the panel of the first steps where accounts were tiered before."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    companies = env["res.company"].search([("key_account_computed_at", "!=", False)])
    companies.key_account_start_closed = True
