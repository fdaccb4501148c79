from odoo import SUPERUSER_ID, api
from odoo.tools import convert_file


def migrate(cr, version):
    """Load the archived policy *Value Scorecard*, which its data file does in a new
    database only. The next night measures everybody, with how they trade."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    convert_file(
        env,
        "crm_key_account",
        "data/key_account_scorecard_data.xml",
        {},
        mode="init",
        noupdate=True,
    )
