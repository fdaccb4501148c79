from odoo import models


class ResPartner(models.Model):
    _inherit = "res.partner"

    # Accounts whose company has a parent company: few, and asked for whenever accounts
    # are grouped by corporate group.
    _key_account_parent_idx = models.Index(
        "(id, parent_id) WHERE parent_id IS NOT NULL AND commercial_partner_id = id"
    )
