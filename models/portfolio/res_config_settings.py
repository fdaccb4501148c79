from odoo import models

from ..account import bounds


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    key_account_concentration_limit = bounds.Float(
        related="company_id.key_account_concentration_limit",
        readonly=False,
    )
    key_account_silence_factor = bounds.Float(
        related="company_id.key_account_silence_factor",
        readonly=False,
    )
    key_account_discount_limit = bounds.Float(
        related="company_id.key_account_discount_limit",
        readonly=False,
    )
    key_account_margin_limit = bounds.Float(
        related="company_id.key_account_margin_limit",
        readonly=False,
    )
