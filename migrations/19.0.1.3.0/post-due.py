from odoo import SUPERUSER_ID, api
from odoo.tools import sql


def migrate(cr, version):
    """Work out what is due, and take over what the backlog knew: since when a customer
    that nobody visited was asked for, of which visits the leader was told, and why
    there was no day."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    if sql.table_exists(cr, "key_account_backlog"):
        cr.execute(
            """
            INSERT INTO key_account_due (
                   partner_id, lead_id, company_id, track, cadence_id, days, date_due,
                   date_since, date_escalated, reason)
            SELECT backlog.partner_id, backlog.lead_id, backlog.company_id,
                   backlog.track, backlog.cadence_id,
                   line.interval_count * CASE line.interval_unit WHEN 'day' THEN 1
                       WHEN 'week' THEN 7 ELSE 30 END,
                   backlog.date_due, backlog.date_due, backlog.date_escalated,
                   backlog.reason
              FROM key_account_backlog backlog
              JOIN key_account_cadence line ON line.id = backlog.cadence_id
             WHERE backlog.date_due IS NOT NULL
                ON CONFLICT DO NOTHING
            """
        )
        cr.execute("DROP TABLE key_account_backlog")
    dues = env["key.account.due"]
    dues._refresh_companies(
        env["res.company"].search([("key_account_planning", "=", True)])
    )
    # leads that went to a company that doesn't plan
    dues.search([("company_id.key_account_planning", "=", False)]).unlink()
