from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ..account import bounds
from ..account.unique_names import check_names, copy_names


class KeyAccountBuyingRole(models.Model):
    """A part that somebody plays in the customer's buying centre, such as decision
    maker, buyer or user. One person can play several."""

    _name = "key.account.buying.role"
    _inherit = "key.account.form"
    _description = "Buying Role"
    _order = "sequence, id"

    name = bounds.Char(required=True, translate=True)
    sequence = bounds.Integer(
        default=10, bounds=bounds.SEQUENCES, help="Order of the columns on the map."
    )
    active = fields.Boolean(default=True)
    color = bounds.Integer(bounds=bounds.COLORS)

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
        sudo = self.sudo().with_context(active_test=False)
        for role in sudo:
            used = any(
                sudo.env[model].search_count(Domain(field, "in", role.ids), limit=1)
                for model, field in (
                    ("res.partner", "buying_role_ids"),
                    ("key.account.tier.cell", "role_id"),
                    ("key.account.relationship.criterion", "role_ids"),
                )
            )
            if used:
                raise UserError(
                    self.env._(
                        "The role %s is in use by contacts, tiers or criteria: archive "
                        "it instead of deleting it.",
                        role.name,
                    )
                )
