from odoo import models


class AccountMove(models.Model):
    _inherit = "account.move"

    # Whose invoices are, of a few accounts without looking through all: Odoo has an
    # index of contacts alone.
    _key_account_firm_idx = models.Index(
        "(commercial_partner_id)"
        " WHERE move_type IN ('out_invoice', 'out_refund', 'out_receipt')"
    )

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
