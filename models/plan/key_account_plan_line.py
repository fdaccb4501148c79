from odoo import fields, models


class KeyAccountPlanLine(models.AbstractModel):
    """A line of a plan: whoever may read the plan reads it."""

    _name = "key.account.plan.line"
    _inherit = "key.account.form"
    _description = "Line of an Account Plan"

    plan_id = fields.Many2one(
        "key.account.plan",
        string="Account Plan",
        required=True,
        index=True,
        ondelete="cascade",
    )
    partner_id = fields.Many2one(related="plan_id.partner_id", string="Customer")
    company_id = fields.Many2one(related="plan_id.company_id")
