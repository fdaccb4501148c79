from odoo import fields, models

from . import bounds, features

SALES = "sales_team.group_sale_salesman"


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    group_use_relationship_evidence = fields.Boolean(
        string="Relationship Evidence",
        group=SALES,
        implied_group=features.EVIDENCE,
    )
    group_use_buying_center = fields.Boolean(
        string="Buying Centre",
        group=SALES,
        implied_group=features.BUYING_CENTER,
    )
    group_use_account_assignment = fields.Boolean(
        string="Who Serves Whom",
        group=SALES,
        implied_group=features.ASSIGNMENT,
    )
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

    def set_values(self):
        """What was switched on is brought up to date at once, not next night."""
        before = {
            switch: features.is_used(self.env, switch) for switch in features.SWITCHES
        }
        res = super().set_values()
        if any(
            features.is_used(self.env, switch) and not was_used
            for switch, was_used in before.items()
        ):
            # sudo: whoever may change the settings may have the night's job called
            self.env.ref("crm_key_account.ir_cron_tiering").sudo()._trigger()
        return res
