from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_list


class KeyAccountPolicy(models.Model):
    _inherit = "key.account.policy"

    cadence_gap = fields.Char(
        compute="_compute_cadence_gap",
        help="Tiers of which no line of the cadence asks for visits.",
    )

    @api.depends("active", "company_id", "tier_ids.active", "tier_ids.name")
    @api.depends_context("lang")
    def _compute_cadence_gap(self):
        self.cadence_gap = False
        for policy in self.filtered("active"):
            gaps = policy._get_tiers_without_cadence(policy.company_id)
            policy.cadence_gap = format_list(self.env, gaps.mapped("name"))

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_copy_cadence(self):
        """Give tiers that have none the lines of the cadence that came with us: of the
        tier with the same code, else of that in the same place.

        :raise UserError: if none of those lines is left
        """
        self.ensure_one()
        self.check_access("write")
        lines = self.env["key.account.cadence"]
        usual = lines.sudo().search(
            [
                ("tier_id", "in", self._get_preset().tier_ids.ids),
                ("company_id", "=", False),
            ]
        )
        by_tier = usual.grouped("tier_id")
        vals_list = []
        for tier in self._get_tiers_without_cadence(self.company_id):
            like = by_tier.get(self._get_preset_tier(tier), usual.browse())
            vals_list += like.copy_data(
                {"tier_id": tier.id, "company_id": self.company_id.id}
            )
        if not vals_list:
            raise UserError(
                self.env._(
                    "None of the usual lines is left to copy: add lines to the cadence."
                )
            )
        lines.create(vals_list)
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _get_tiers_without_cadence(self, company):
        """Return the policy's tiers in use of which no line in force in ``company``
        asks for visits or calls; one query.

        :param company: an empty one stands for lines of all companies
        """
        self.ensure_one()
        lines = self.env["key.account.cadence"]._get_lines(company)
        return self._get_tiers()._origin.filtered(
            lambda tier: not lines._get_first(tier)
        )
