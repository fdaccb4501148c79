from odoo import fields, models

from .key_account_engagement import BUSINESS_KINDS
from .res_company import READERS


class ResPartnerIndustry(models.Model):
    _inherit = "res.partner.industry"

    key_account_kind = fields.Selection(
        BUSINESS_KINDS,
        string="Kind of Business",
        groups=READERS,
        help="How customers of this industry do business: engagement strategies may be "
        "for a kind of business. For distributors and dealers who sell what you make, "
        "keep an industry of their own with the kind Channel.",
    )
