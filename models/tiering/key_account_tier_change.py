from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

from ..account import bounds


class KeyAccountTierChange(models.Model):
    """Why a customer is in its tier: the queue of proposals and the history in one."""

    _name = "key.account.tier.change"
    _inherit = "key.account.change.mixin"
    _description = "Tier Change"
    _order = "date desc, id desc"
    _rec_name = "partner_id"
    # Who decided and when is in user_id and date; a first run writes as many rows as
    # there are customers.
    _log_access = False

    from_tier_id = fields.Many2one(
        "key.account.tier",
        string="From",
        readonly=True,
        ondelete="restrict",
    )
    to_tier_id = fields.Many2one(
        "key.account.tier",
        string="To",
        readonly=True,
        ondelete="restrict",
    )
    reason = bounds.Char(
        longest=bounds.LONGEST_TEXT,
        compute="_compute_reason",
        inverse="_inverse_reason",
        search="_search_reason",
        help="What was measured, or what whoever set the tier said.",
    )
    said_reason = bounds.Char(
        longest=bounds.LONGEST_TEXT,
        readonly=True,
        help="Technical: what somebody said.",
    )
    measured = fields.Json(readonly=True)
    note = bounds.Char(
        longest=bounds.LONGEST_TEXT,
        readonly=True,
        help="What was said when it was decided.",
    )
    user_id = fields.Many2one(help="Empty when the nightly run decided.")

    _proposed_uniq = models.UniqueIndex(
        "(partner_id, company_id) WHERE state = 'proposed'",
        "There is already a proposal for this customer.",
    )

    @api.depends("said_reason", "measured", "company_id")
    @api.depends_context("lang")
    def _compute_reason(self):
        policies = self.env["key.account.policy"]
        for change in self:
            change.reason = change.said_reason or (
                change.measured
                and policies._explain(change.company_id, change.measured)
            )

    def _inverse_reason(self):
        for change in self:
            change.said_reason = change.reason

    def _search_reason(self, operator, value):
        return Domain("said_reason", operator, value)

    def action_apply(self):
        """Give the customers the proposed tiers. For sales administrators.

        :raise UserError: if one of the changes is not a proposal any more
        """
        self._check_can_decide()
        now = fields.Date.context_today(self)
        self.sudo().write({"state": "applied", "user_id": self.env.uid, "date": now})
        # sudo: whoever decides may, whosever accounts they are
        accounts = self.env["key.account"].sudo()
        for (company, tier), changes in self.grouped(
            lambda change: (change.company_id, change.to_tier_id)
        ).items():
            accounts._provide(changes.partner_id.ids, company).tier_id = tier

    def action_reject(self):
        """Keep the tiers in force. For sales administrators.

        The run doesn't propose the same move again before the minimum tenure is over.

        :raise UserError: if one of the changes is not a proposal any more
        """
        self._check_can_decide()
        self.sudo().write(
            {
                "state": "rejected",
                "user_id": self.env.uid,
                "date": fields.Date.context_today(self),
            }
        )

    def _check_can_decide(self):
        self.check_access("read")
        if not self.env.su and not self.env.user.has_group(
            "sales_team.group_sale_manager"
        ):
            raise AccessError(
                self.env._("Only a sales administrator decides on tier changes.")
            )
        decided = self.filtered(lambda change: change.state != "proposed")
        if decided:
            raise UserError(
                self.env._(
                    "The change of %(customer)s was decided already: refresh the list.",
                    customer=decided[0].partner_id.display_name,
                )
            )

    @api.depends("partner_id", "to_tier_id")
    def _compute_display_name(self):
        for change in self:
            # sudo: whoever may read the change may read whose it is
            names = change.sudo()
            change.display_name = (
                f"{names.partner_id.display_name} → {names.to_tier_id.name or '–'}"
            )
