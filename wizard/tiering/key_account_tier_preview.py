from odoo import api, fields, models


class KeyAccountTierPreview(models.TransientModel):
    """What a run of a policy would move; nothing of it is kept."""

    _name = "key.account.tier.preview"
    _inherit = "key.account.form"
    _description = "Tiering Preview"

    policy_id = fields.Many2one("key.account.policy", required=True, ondelete="cascade")
    line_ids = fields.One2many("key.account.tier.preview.line", "preview_id")
    line_count = fields.Integer(compute="_compute_line_count")

    @api.depends("line_ids")
    def _compute_line_count(self):
        for preview in self:
            preview.line_count = len(preview.line_ids)

    def action_run(self):
        return self.policy_id.action_run()


class KeyAccountTierPreviewLine(models.TransientModel):
    _name = "key.account.tier.preview.line"
    _inherit = "key.account.form"
    _description = "Tiering Preview Line"
    _order = "to_tier_id, id"

    preview_id = fields.Many2one(
        "key.account.tier.preview", required=True, index=True, ondelete="cascade"
    )
    partner_id = fields.Many2one("res.partner", string="Customer", ondelete="cascade")
    company_id = fields.Many2one("res.company", ondelete="cascade")
    from_tier_id = fields.Many2one(
        "key.account.tier", string="From", ondelete="cascade"
    )
    to_tier_id = fields.Many2one("key.account.tier", string="To", ondelete="cascade")
    reason = fields.Char(readonly=True)
