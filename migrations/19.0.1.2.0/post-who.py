from odoo import SUPERUSER_ID, api

# As in data/key_account_policy_data.xml
SENIORITIES = {
    "tier_key": "senior",
    "tier_ordinary": "regular",
    "tier_low": "trainee",
}


def migrate(cr, version):
    """The tiers that came with the addon, and are still there, ask for a seniority, as
    in a new database. That fills a list of suggestions, and changes no customer."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    for name, seniority in SENIORITIES.items():
        tier = env.ref(f"crm_key_account.{name}", raise_if_not_found=False)
        if tier and not tier.min_seniority:
            tier.min_seniority = seniority
