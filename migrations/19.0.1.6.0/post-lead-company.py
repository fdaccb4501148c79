from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Leads that name no company, team or salesperson were of the first company: they
    are of none where several keep accounts."""
    env = api.Environment(cr, SUPERUSER_ID, {"active_test": False})
    if env["res.company"]._get_key_account_fallback():
        return
    leads = env["crm.lead"].search(
        [
            ("company_id", "=", False),
            ("user_id", "=", False),
            "|",
            ("team_id", "=", False),
            ("team_id.company_id", "=", False),
        ]
    )
    leads._follow_company()
    env.flush_all()
    leads.filtered(lambda lead: not lead.partner_id)._refresh_key_account_dues()
