from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    group_use_account_plan = fields.Boolean(
        string="Account Plans",
        # Shows plans to those who work in sales; the right to them is of their groups.
        group="sales_team.group_sale_salesman",
        implied_group="crm_key_account.group_use_account_plan",
    )
