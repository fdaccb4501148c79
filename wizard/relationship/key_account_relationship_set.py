from odoo import api, fields, models
from odoo.exceptions import UserError

from ...const import RELATIONSHIP_LEVELS
from ...models.account import bounds


class KeyAccountRelationshipSet(models.TransientModel):
    """Move an account on the ladder, or propose to."""

    _name = "key.account.relationship.set"
    _inherit = "key.account.form"
    _description = "Change Relationship Level"

    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    # With the reader's rights: the accounts of colleagues stay theirs.
    current_level = fields.Selection(
        related="partner_id.relationship_level",
        related_sudo=False,
    )
    suggested_level = fields.Selection(
        related="partner_id.suggested_relationship_level",
        related_sudo=False,
        string="Evidence Supports",
    )
    gap_text = fields.Char(
        related="partner_id.relationship_gap_text",
        related_sudo=False,
        string="Missing or Lapsed",
    )
    level = fields.Selection(
        RELATIONSHIP_LEVELS,
        string="New Level",
        required=True,
        compute="_compute_level",
        compute_sudo=False,
        store=True,
        readonly=False,
        precompute=True,
    )
    is_proposal = fields.Boolean(compute="_compute_is_proposal")
    pending_id = fields.Many2one(
        "key.account.relationship.change",
        string="Waiting for a Decision",
        compute="_compute_pending_id",
    )
    reason = bounds.Char(
        required=True,
        help="Kept in the history; who approves it reads it.",
    )

    @api.depends("partner_id")
    def _compute_level(self):
        for wizard in self:
            account = wizard.partner_id
            # of colleagues' accounts the evidence stays theirs
            card = account._get_readable_account()
            suggested = card.suggested_relationship_level
            wizard.level = suggested != account.relationship_level and suggested

    @api.depends("partner_id")
    @api.depends_context("company")
    def _compute_pending_id(self):
        for wizard in self:
            wizard.pending_id = self.env["key.account.relationship.change"].search(
                [
                    ("partner_id", "=", wizard.partner_id.id),
                    ("company_id", "=", self.env.company._get_key_account_home().id),
                    ("state", "=", "proposed"),
                ]
            )

    @api.depends("partner_id", "level")
    @api.depends_context("uid")
    def _compute_is_proposal(self):
        for wizard in self:
            wizard.is_proposal = not wizard.partner_id._can_set_level(wizard.level)

    def action_set(self):
        """Write the level, or leave a proposal for what a sales administrator decides.

        :raise UserError: if the account is on the level already, or has a proposal
        """
        self.ensure_one()
        account = self.partner_id.commercial_partner_id
        if account.relationship_level == self.level:
            raise UserError(
                self.env._(
                    "%s is on this level already: choose another one.",
                    account.display_name,
                )
            )
        if self.is_proposal:
            account._propose_level(self.level, self.reason)
        else:
            account.with_context(
                key_account_reason=self.reason
            ).relationship_level = self.level
        return {"type": "ir.actions.act_window_close"}
