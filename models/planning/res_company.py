from odoo import models


class ResCompany(models.Model):
    _inherit = "res.company"

    def write(self, vals):
        res = super().write(vals)
        if not self:
            return res
        dues = self.env["key.account.due"].sudo()
        if vals.get("key_account_planning"):
            dues._refresh_companies(self)
        elif "key_account_planning" in vals:
            # what isn't planned isn't kept up to date
            dues._forget(self)
            self.sudo().key_account_has_dues = False
        return res
