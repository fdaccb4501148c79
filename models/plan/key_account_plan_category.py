from odoo import fields, models

from ..account import bounds


class KeyAccountPlanCategory(models.Model):
    """Where a customer buys a category of products: from us, from others, nowhere."""

    _name = "key.account.plan.category"
    _inherit = "key.account.plan.line"
    _description = "Where an Account Buys"
    _order = "id"
    _rec_name = "category_id"

    category_id = fields.Many2one(
        "product.category",
        string="Product Category",
        required=True,
        index=True,
        ondelete="cascade",
    )
    status = fields.Selection(
        [("bought", "Buys from us"), ("open", "Open"), ("none", "No need")],
        required=True,
        default="open",
        help="Open: they need it, and don't buy it from us yet.",
    )
    supplier = bounds.Char(string="Also Buys From")

    _plan_category_uniq = models.UniqueIndex(
        "(plan_id, category_id)",
        "The category is in the plan already: change that line.",
    )
