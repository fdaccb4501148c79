from odoo import fields, models

from . import bounds


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    key_account_planning = fields.Boolean(
        related="company_id.key_account_planning",
        readonly=False,
    )
    key_account_horizon_days = bounds.Integer(
        related="company_id.key_account_horizon_days",
        readonly=False,
    )
    key_account_daily_capacity = bounds.Integer(
        related="company_id.key_account_daily_capacity",
        readonly=False,
    )
    key_account_effort_elasticity = bounds.Float(
        related="company_id.key_account_effort_elasticity",
        readonly=False,
    )
    key_account_effort_hours = fields.Selection(
        related="company_id.key_account_effort_hours",
        readonly=False,
    )
    key_account_route_radius = bounds.Float(
        related="company_id.key_account_route_radius",
        readonly=False,
    )
    key_account_route_zip_length = bounds.Integer(
        related="company_id.key_account_route_zip_length",
        readonly=False,
    )
    key_account_meeting_hours = bounds.Float(
        related="company_id.key_account_meeting_hours",
        readonly=False,
    )
    key_account_digest = fields.Boolean(
        related="company_id.key_account_digest",
        readonly=False,
    )
