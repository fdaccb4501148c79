from odoo import models


class MergePartnerAutomatic(models.TransientModel):
    _inherit = "base.partner.merge.automatic.wizard"

    def _merge(self, partner_ids, dst_partner=None, extra_checks=True):
        """Settle what both partners can't keep, before the merge redirects everything
        else: on a violated unique index core deletes *all* rows of the partner that
        goes, done visits included."""
        partners = self.env["res.partner"].browse(partner_ids).exists()
        target = dst_partner or self._get_ordered_partner(partner_ids)[-1:]
        inherited = self.env["key.account"].sudo()
        if target in partners:
            merged = (partners - target).sudo()
            inherited = merged._prepare_key_account_merge(target.sudo())
        accounts = partners.sudo().commercial_partner_id
        res = super()._merge(partner_ids, dst_partner, extra_checks)
        target = target.exists().commercial_partner_id
        if target:
            target.sudo()._follow_merge(accounts.exists(), inherited.exists())
        return res
