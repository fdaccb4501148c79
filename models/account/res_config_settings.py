from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    key_account_planning = fields.Boolean(
        related="company_id.key_account_planning",
        readonly=False,
    )
    key_account_horizon_days = fields.Integer(
        related="company_id.key_account_horizon_days",
        readonly=False,
    )
    key_account_daily_capacity = fields.Integer(
        related="company_id.key_account_daily_capacity",
        readonly=False,
    )
    key_account_route_radius = fields.Float(
        related="company_id.key_account_route_radius",
        readonly=False,
    )
    key_account_route_zip_length = fields.Integer(
        related="company_id.key_account_route_zip_length",
        readonly=False,
    )
    key_account_meeting_hours = fields.Float(
        related="company_id.key_account_meeting_hours",
        readonly=False,
    )
    key_account_digest = fields.Boolean(
        related="company_id.key_account_digest",
        readonly=False,
    )
