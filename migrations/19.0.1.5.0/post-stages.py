from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """A quotation that was never sent, or has expired, isn't the stage any more."""
    env = api.Environment(cr, SUPERUSER_ID, {"active_test": False})
    leads = env["crm.lead"].search([("engagement_stage", "=", "quotation")])
    env.add_to_compute(leads._fields["engagement_stage"], leads)
    for company in env["res.company"].search([]):
        env["key.account"]._update_engagement_stages(company)
