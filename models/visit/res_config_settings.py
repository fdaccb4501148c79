from odoo import fields, models

from ..account import bounds


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    key_account_check_in = fields.Boolean(
        related="company_id.key_account_check_in",
        readonly=False,
    )
    key_account_check_in_months = bounds.Integer(
        related="company_id.key_account_check_in_months",
        readonly=False,
    )
    key_account_note_months = bounds.Integer(
        related="company_id.key_account_note_months",
        readonly=False,
    )
    key_account_judgement_months = bounds.Integer(
        related="company_id.key_account_judgement_months",
        readonly=False,
    )
