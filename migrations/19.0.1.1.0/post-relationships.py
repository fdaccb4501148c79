from odoo import SUPERUSER_ID, api
from odoo.tools import convert_file

MODULE = "crm_key_account"
NEW_FILES = [
    "key_account_buying_role_data",
    "key_account_relationship_criterion_data",
    "key_account_cadence_executive_data",
    "key_account_churn_reason_data",
    "key_account_engagement_data",
]
# The required contacts of the tiers that came with the addon, as in
# data/key_account_tier_cell_data.xml: (xml id, tier, buying role, decision level).
CELLS = [
    ("tier_cell_key_top", "tier_key", None, "top"),
    ("tier_cell_key_middle", "tier_key", None, "middle"),
    ("tier_cell_key_working", "tier_key", None, "working"),
    ("tier_cell_key_decision_maker", "tier_key", "decision_maker", None),
    ("tier_cell_key_buyer", "tier_key", "buyer", None),
    ("tier_cell_key_user", "tier_key", "user", None),
    ("tier_cell_key_influencer", "tier_key", "influencer", None),
    ("tier_cell_ordinary_decision_maker", "tier_ordinary", "decision_maker", None),
    ("tier_cell_ordinary_buyer", "tier_ordinary", "buyer", None),
]


def migrate(cr, version):
    """Load the configuration that is new, which data files do in a new database only,
    and measure once.

    - Roles, criteria, churn reasons, engagement strategies, executive visits; every
      customer is transactional.
    - The tiers that are still there get their required contacts.
    - The scorecards get coverage, levels and visits, before the next night.
    """
    env = api.Environment(cr, SUPERUSER_ID, {})
    for name in NEW_FILES:
        convert_file(env, MODULE, f"data/{name}.xml", {}, mode="init", noupdate=True)
    for number, (name, tier_name, role_name, level) in enumerate(CELLS, start=1):
        tier = env.ref(f"{MODULE}.{tier_name}", raise_if_not_found=False)
        role = role_name and env.ref(f"{MODULE}.buying_role_{role_name}")
        known = env.ref(f"{MODULE}.{name}", raise_if_not_found=False)
        if not tier or known:
            continue
        cell = env["key.account.tier.cell"].create(
            {
                "tier_id": tier.id,
                "sequence": 10 * number,
                "role_id": role and role.id,
                "decision_level": level,
            }
        )
        env["ir.model.data"]._update_xmlids(
            [{"xml_id": f"{MODULE}.{name}", "record": cell, "noupdate": True}]
        )
    for company in env["res.company"].search([]):
        env["key.account"]._update_relationships(company)
        env["key.account"]._update_effort(company)
