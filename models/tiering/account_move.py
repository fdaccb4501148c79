from odoo import models


class AccountMove(models.Model):
    _inherit = "account.move"

    def write(self, vals):
        if "partner_id" in vals:
            self.env["key.account"]._touch(self._get_key_account_partners())
        return super().write(vals)

    def unlink(self):
        self.env["key.account"]._touch(self._get_key_account_partners())
        return super().unlink()

    def _get_key_account_partners(self):
        """Return the partners of whose accounts the invoices, and the orders that they
        are of, can be."""
        # what is reversed says whose a credit note is
        others = self.reversed_entry_id | self.reversal_move_ids
        return (self | others).commercial_partner_id | self.partner_id
