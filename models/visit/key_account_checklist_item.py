from odoo import api, fields, models

from ..account import bounds


class KeyAccountChecklistItem(models.Model):
    """What a rep ticks off in the mind before and during a visit, by the customer's
    tier and by how the visit is made."""

    _name = "key.account.checklist.item"
    _inherit = "key.account.form"
    _description = "Visit Checklist Item"
    _order = "sequence, id"

    sequence = bounds.Integer(default=10, bounds=bounds.SEQUENCES)
    active = fields.Boolean(default=True)
    name = bounds.Char(
        string="What to Think Of",
        required=True,
        translate=True,
        help="Shown in the brief of each visit that it is for.",
    )
    tier_id = fields.Many2one(
        "key.account.tier",
        index=True,
        ondelete="cascade",
        help="Leave empty for customers of every tier, and without one.",
    )
    mode = fields.Selection(
        selection="_get_modes",
        help="Leave empty for visits, calls and mails alike.",
    )
    company_id = fields.Many2one(
        "res.company",
        index=True,
        ondelete="cascade",
        help="Leave empty to use the item in every company.",
    )

    @api.model
    def _get_modes(self):
        """Return the ways of a visit, in the reader's language."""
        mode = self.env["key.account.visit"]._fields["mode"]
        return mode._description_selection(self.env)

    @api.model
    def _get_items(self, company):
        """Return the items of ``company`` and the shared ones, by one query."""
        return self.sudo().search_fetch(
            [("company_id", "in", [company.id, False])],
            ["name", "tier_id", "mode"],
        )

    def _match(self, tier, mode):
        """Return those of ``self`` that are for a visit: an item without a tier is for
        every tier, one without a mode for every mode."""
        return self.filtered(
            lambda item: (
                (not item.tier_id or item.tier_id == tier)
                and (not item.mode or item.mode == mode)
            )
        )
