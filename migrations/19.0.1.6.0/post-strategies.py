from odoo import SUPERUSER_ID, api
from odoo.tools import convert_file

MODULE = "crm_key_account"


def migrate(cr, version):
    """Load the kinds of business of Odoo's industries, and the strategies for them and
    for ordinary accounts, which data files do in a new database only.

    Strategies only where those that came before are in use: who has deleted or
    archived them all asks for none. None for a tier that was deleted.
    """
    env = api.Environment(cr, SUPERUSER_ID, {})
    paths = ["data/res_partner_industry_data.xml"]
    used = env["ir.model.data"].search(
        [("module", "=", MODULE), ("model", "=", "key.account.engagement")]
    )
    if env["key.account.engagement"].search_count(
        [("id", "in", used.mapped("res_id"))]
    ):
        paths.append("data/key_account_engagement_kind_data.xml")
        if env.ref(f"{MODULE}.tier_ordinary", raise_if_not_found=False):
            paths.append("data/key_account_engagement_tier_data.xml")
    for path in paths:
        convert_file(env, MODULE, path, {}, mode="init", noupdate=True)
