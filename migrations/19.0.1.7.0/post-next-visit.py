from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Tell the next visit of an executive from that of the salesperson, where one is
    planned."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    visits = env["key.account.visit"].search(
        [("state", "=", "planned"), ("track", "=", "executive")]
    )
    env["key.account"]._update_visit_dates(visits.partner_id.ids)
