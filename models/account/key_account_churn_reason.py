from odoo import api, fields, models
from odoo.exceptions import UserError

from . import bounds
from .unique_names import check_names, copy_names


class KeyAccountChurnReason(models.Model):
    """Why accounts are lost."""

    _name = "key.account.churn.reason"
    _inherit = "key.account.form"
    _description = "Churn Reason"
    _order = "sequence, id"

    name = bounds.Char(required=True, translate=True)
    sequence = bounds.Integer(default=10, bounds=bounds.SEQUENCES)
    active = fields.Boolean(default=True)

    @api.constrains("name")
    def _check_name(self):
        check_names(self)

    def copy_data(self, default=None):
        return copy_names(self, super().copy_data(default), default)

    def copy_translations(self, new, excluded=()):
        # a copy has a name of its own in all languages
        return super().copy_translations(new, (*excluded, "name"))

    @api.ondelete(at_uninstall=False)
    def _unlink_except_in_use(self):
        loss = (
            self.env["key.account.loss"]
            .sudo()
            .search([("reason_id", "in", self.ids)], limit=1)
        )
        if loss:
            raise UserError(
                self.env._(
                    "The reason %s is in use by lost accounts: archive it.",
                    loss.reason_id.name,
                )
            )
