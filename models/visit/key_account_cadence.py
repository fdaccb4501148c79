from odoo import api, models


class KeyAccountCadence(models.Model):
    _inherit = "key.account.cadence"

    @api.constrains("activity_type_id")
    def _check_activity_type(self):
        self.activity_type_id._check_not_chained()
