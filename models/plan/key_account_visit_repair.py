from odoo import api, models


class KeyAccountVisitRepair(models.AbstractModel):
    _inherit = "key.account.visit.repair"

    @api.model
    def _get_salesperson_copies(self):
        return super()._get_salesperson_copies() | {
            "key.account.plan": "account_user_id",
        }
