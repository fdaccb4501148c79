from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ...const import DECISION_LEVELS
from ..account import bounds, words


class KeyAccountTierCell(models.Model):
    """A cell of the buying centre in which the accounts of a tier must have somebody
    who was met: a role, a decision level, or both. Without a role the cell stands for
    a whole level, without a level for a role on any level."""

    _name = "key.account.tier.cell"
    _inherit = "key.account.form"
    _description = "Required Contact"
    _order = "tier_id, sequence, id"

    tier_id = fields.Many2one(
        "key.account.tier",
        required=True,
        index=True,
        ondelete="cascade",
    )
    # With its company, as what it belongs to goes.
    company_id = fields.Many2one(
        related="tier_id.company_id", store=True, ondelete="cascade"
    )
    sequence = bounds.Integer(default=10, bounds=bounds.SEQUENCES)
    role_id = fields.Many2one(
        "key.account.buying.role",
        string="Buying Role",
        ondelete="restrict",
        help="Leave empty for any role.",
    )
    decision_level = fields.Selection(
        DECISION_LEVELS,
        help="Leave empty for any level.",
    )

    _cell_uniq = models.UniqueIndex(
        "(tier_id, COALESCE(role_id, 0), COALESCE(decision_level, ''))",
        "The same contact is required twice: remove one of the two lines.",
    )

    @api.constrains("tier_id", "role_id", "decision_level")
    def _check_cell(self):
        for cell in self:
            if not cell.role_id and not cell.decision_level:
                raise ValidationError(
                    self.env._(
                        "Say who is required: choose a buying role, a decision level "
                        "or both."
                    )
                )

    @api.depends("role_id", "decision_level")
    @api.depends_context("lang")
    def _compute_display_name(self):
        for cell in self:
            cell.display_name = cell._get_cell_name(cell.role_id, cell.decision_level)

    @api.model
    def _get_cell_name(self, role, level):
        """Return the cell in words, in the language of the environment."""
        levels = dict(self._fields["decision_level"]._description_selection(self.env))
        return words.join_facts(
            self.env, (role.with_env(self.env).name, levels.get(level))
        )

    @api.model
    def _get_target_text(self, contact, role, level):
        """Return whom to see in words, such as "see Ann Lee (Decision maker, Top)"."""
        cell = self._get_cell_name(role, level)
        # sudo: whoever may read the visit may read whom it is about
        name = contact.sudo().name
        if name and cell:
            return self.env._("see %(name)s (%(cell)s)", name=name, cell=cell)
        if name:
            return self.env._("see %s", name)
        return cell and self.env._("find out who it is: %s", cell)
