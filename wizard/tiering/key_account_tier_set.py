from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ...models.account import bounds


class KeyAccountTierSet(models.TransientModel):
    """Set a customer's tier by hand, with a reason and, if wanted, a lock."""

    _name = "key.account.tier.set"
    _inherit = "key.account.form"
    _description = "Set Account Tier"

    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        ondelete="cascade",
    )
    policy_id = fields.Many2one("key.account.policy", compute="_compute_policy_id")
    tier_id = fields.Many2one(
        "key.account.tier",
        required=True,
        ondelete="cascade",
        compute="_compute_tier_id",
        compute_sudo=False,
        store=True,
        readonly=False,
        precompute=True,
        domain="[('policy_id', '=', policy_id)]",
    )
    reason = bounds.Char(
        required=True,
        help="Shown to the salesperson and kept in the history.",
    )
    locked_until = bounds.Date(
        compute="_compute_locked_until",
        compute_sudo=False,
        store=True,
        readonly=False,
        precompute=True,
        help="Until this day, included, the tiering run leaves the tier alone. Leave "
        "empty to let the next run decide.",
    )

    @api.depends("partner_id")
    @api.depends_context("company")
    def _compute_policy_id(self):
        policy = self.env["key.account.policy"]._get_for_company(self.env.company)
        self.policy_id = policy

    @api.depends("partner_id")
    def _compute_tier_id(self):
        for wizard in self:
            wizard.tier_id = wizard.partner_id.account_tier_id

    @api.depends("policy_id")
    def _compute_locked_until(self):
        for wizard in self:
            wizard.locked_until = wizard.policy_id._get_default_lock()

    @api.constrains("locked_until")
    def _check_locked_until(self):
        for wizard in self:
            if wizard.locked_until and wizard.locked_until < fields.Date.context_today(
                wizard
            ):
                raise ValidationError(
                    self.env._("The lock ends in the past: choose a later day.")
                )

    def action_set(self):
        """Write the tier. The rights are those of the customer's fields."""
        self.ensure_one()
        self.partner_id.with_context(key_account_reason=self.reason).write(
            {
                "account_tier_id": self.tier_id.id,
                "account_tier_locked_until": self.locked_until,
                "account_tier_lock_reason": self.reason if self.locked_until else False,
            }
        )
        return {"type": "ir.actions.act_window_close"}
