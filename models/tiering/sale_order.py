from odoo import models


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def write(self, vals):
        if not {"partner_id", "partner_invoice_id"}.isdisjoint(vals):
            self.env["key.account"]._touch(self._get_key_account_partners())
        return super().write(vals)

    def unlink(self):
        self.env["key.account"]._touch(self._get_key_account_partners())
        return super().unlink()

    def _get_key_account_partners(self):
        """Return the partners of whose accounts the orders can be."""
        return self.partner_id | self.partner_invoice_id
