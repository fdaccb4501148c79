from odoo import models

from ..const import INTERNAL


class MergePartnerAutomatic(models.TransientModel):
    _inherit = "base.partner.merge.automatic.wizard"

    def _merge(self, partner_ids, dst_partner=None, extra_checks=True):
        """Settle what both partners can't keep, before the merge redirects everything
        else: on a violated unique index core deletes *all* rows of the partner that
        goes, done visits included."""
        partners = self.env["res.partner"].browse(partner_ids).exists()
        target = dst_partner or self._get_ordered_partner(partner_ids)[-1:]
        if target in partners:
            (partners - target).sudo()._prepare_key_account_merge(target.sudo())
        levels = target._get_levels() if target else {}
        accounts = partners.sudo().commercial_partner_id
        res = super()._merge(partner_ids, dst_partner, extra_checks)
        target = target.exists().commercial_partner_id
        if target:
            target.sudo()._follow_merge(levels, accounts.exists())
        return res

    def _update_values(self, src_partners, dst_partner):
        # Core writes every field that the user sees, the tier among them.
        dst_partner = dst_partner.with_context(key_account_merge=INTERNAL)
        return super()._update_values(src_partners, dst_partner)
