from odoo import api, models
from odoo.exceptions import UserError


class KeyAccountThread(models.AbstractModel):
    """A document with a chatter. None is made by mail: every internal user may call
    Odoo's gateway, which makes documents as superuser, with values of the caller's."""

    _name = "key.account.thread"
    _inherit = "mail.thread"
    _description = "Key Account Chatter"

    @api.private
    @api.model
    def message_new(self, msg_dict, custom_values=None):
        raise UserError(
            self.env._(
                "%s: none is made by mail. Enter it in Odoo.",
                self.env["ir.model"]._get(self._name).name,
            )
        )
