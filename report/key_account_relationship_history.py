from odoo import fields, models
from odoo.tools import SQL

from ..const import RELATIONSHIP_LEVELS
from ..models.account.key_account_shown import open_partner


class KeyAccountRelationshipHistory(models.Model):
    """The level of each account at the end of each month, from its first change on:
    what was applied last counts on."""

    _name = "key.account.relationship.history"
    _inherit = "key.account.shown"
    _description = "Relationship History"
    _auto = False
    _order = "month desc, partner_id"
    _rec_name = "partner_id"

    month = fields.Date(readonly=True, help="First day of the month.")
    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    user_id = fields.Many2one("res.users", string="Salesperson", readonly=True)
    level = fields.Selection(RELATIONSHIP_LEVELS, readonly=True)
    level_number = fields.Integer(
        is_internal=True,
        string="Level (1-4)",
        readonly=True,
        aggregator="avg",
        help="1 transactional, 2 preferred supplier, 3 partner, 4 strategic alliance.",
    )

    @property
    def _table_query(self):
        return SQL(
            """
            SELECT DISTINCT ON (change.partner_id, change.company_id, months.month)
                   -- a change counts once per month
                   change.id::bigint * 100000
                       + (EXTRACT(YEAR FROM months.month) * 12
                          + EXTRACT(MONTH FROM months.month))::int AS id,
                   months.month::date AS month, change.partner_id, change.company_id,
                   change.partner_user_id AS user_id, change.to_level AS level,
                   change.level_number
              FROM key_account_relationship_change change
              JOIN generate_series(
                   (SELECT date_trunc('month', MIN(date)::timestamp)
                      FROM key_account_relationship_change
                     WHERE state = 'applied'),
                   %s::timestamp, INTERVAL '1 month') AS months (month)
                ON change.date < months.month + INTERVAL '1 month'
             WHERE change.state = 'applied'
             ORDER BY change.partner_id, change.company_id, months.month,
                      change.date DESC, change.id DESC
            """,
            fields.Date.context_today(self),
        )

    def action_open_partner(self):
        return open_partner(self)
