from odoo import models


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def write(self, vals):
        if "partner_id" in vals:
            self.env["key.account"]._touch(self.partner_id)
        return super().write(vals)

    def unlink(self):
        self.env["key.account"]._touch(self.partner_id)
        return super().unlink()
