from odoo import SUPERUSER_ID, api
from odoo.tools import convert_file

MODULE = "crm_key_account"


def migrate(cr, version):
    """Load the visits' checklist, which a data file does in a new database only."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    path = "data/key_account_checklist_item_data.xml"
    convert_file(env, MODULE, path, {}, mode="init", noupdate=True)
