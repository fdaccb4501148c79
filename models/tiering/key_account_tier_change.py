from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

from ..account import bounds
from ..account.key_account_shown import open_dialog, open_partner


class KeyAccountTierChange(models.Model):
    """Why a customer is in its tier: the queue of proposals and the history in one."""

    _name = "key.account.tier.change"
    _inherit = "key.account.change.mixin"
    _description = "Tier Change"
    _dialog_field = "tier_change_ids"
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
        is_internal=True,
        longest=bounds.LONGEST_TEXT,
        readonly=True,
        help="Technical: what somebody said.",
    )
    measured = fields.Json(is_internal=True, readonly=True)
    note = bounds.Char(
        longest=bounds.LONGEST_TEXT,
        readonly=True,
        help="What was said when it was decided.",
    )
    user_id = fields.Many2one(help="Empty when the nightly run decided.")
    run_number = fields.Integer(
        string="Run",
        readonly=True,
        aggregator=None,
        index="btree_not_null",
        help="The same for all changes of a run. Empty: a person decided, or the "
        "change is older than this number.",
    )
    earlier_figure = fields.Float(
        digits=(16, 2),
        readonly=True,
        aggregator=None,
        help="What the run before had measured, in company currency, or in points.",
    )
    boundary = fields.Float(
        digits=(16, 2),
        readonly=True,
        aggregator=None,
        # with shares it is what another account measures
        groups="sales_team.group_sale_salesman_all_leads",
        help="The edge of the new tier that the account has crossed, in company "
        "currency, or in points: its threshold, or the figure of the nearest account "
        "on the other side. 0: it came from no tier, or from one of another policy.",
    )
    from_since = fields.Date(
        string="In the Former Tier Since",
        readonly=True,
        help="Set again when the run is undone.",
    )

    undone_at = fields.Datetime(
        readonly=True,
        help="Technical: this change undoes one of a run, and when. Until the policy "
        "is changed, and for the minimum tenure, runs don't make the same move again. "
        "Empty: they may.",
    )

    _undone_idx = models.Index("(company_id) WHERE undone_at IS NOT NULL")
    _proposed_uniq = models.UniqueIndex(
        "(partner_id, company_id) WHERE state = 'proposed'",
        "There is already a proposal for this customer.",
    )

    @api.depends(
        "said_reason",
        "measured",
        "company_id",
        "run_number",
        "earlier_figure",
        "boundary",
    )
    @api.depends_context("lang", "uid")
    def _compute_reason(self):
        policies = self.env["key.account.policy"]
        knows = self.env.user.has_group("sales_team.group_sale_salesman_all_leads")
        for change in self:
            reason = change.said_reason
            if not reason and change.measured:
                reason = policies._explain(change.company_id, change.measured)
                if change.run_number:
                    reason += policies._explain_move(
                        change.company_id, change.measured, knows and change.boundary
                    )
            change.reason = reason

    def _inverse_reason(self):
        for change in self:
            change.said_reason = change.reason

    def _search_reason(self, operator, value):
        return Domain("said_reason", operator, value)

    def action_open_partner(self):
        return open_partner(self)

    def action_apply(self, note=False):
        """Give the customers the proposed tiers. For sales administrators.

        :param str note: what to keep in the history
        :raise UserError: if one of the changes is not a proposal any more
        """
        self._decide("applied", note)
        # sudo: whoever decides may, whosever accounts they are
        accounts = self.env["key.account"].sudo()
        for (company, tier), changes in self.grouped(
            lambda change: (change.company_id, change.to_tier_id)
        ).items():
            accounts._provide(changes.partner_id.ids, company).tier_id = tier

    def action_reject(self, note=False):
        """Keep the tiers in force. For sales administrators.

        The run doesn't propose the same move again before the minimum tenure is over.

        :param str note: why
        :raise UserError: if one of the changes is not a proposal any more
        """
        self._decide("rejected", note)

    def action_open_apply(self):
        return self._get_decision_action("applied", self.env._("Apply"))

    def action_open_reject(self):
        return self._get_decision_action("rejected", self.env._("Reject"))

    def action_open_undo(self):
        """Ask why the run that made these changes is to be undone. For sales
        administrators.

        :raise UserError: if they aren't of one run
        """
        self._check_administrator()
        runs = {(change.company_id.id, change.run_number) for change in self}
        if len(runs) != 1 or not all(self.mapped("run_number")):
            raise UserError(
                self.env._(
                    "Choose changes of one run: group the list by run. What a person "
                    "decided, or a run before this was kept, has none."
                )
            )
        return open_dialog(
            self.env._("Undo This Run"),
            "key.account.tier.undo",
            change_id=self[0].id,
        )

    def _check_administrator(self):
        self.check_access("read")
        if not self.env.su and not self.env.user.has_group(
            "sales_team.group_sale_manager"
        ):
            raise AccessError(
                self.env._("Only a sales administrator decides on tier changes.")
            )

    def _check_can_decide(self):
        self._check_administrator()
        decided = self.filtered(lambda change: change.state != "proposed")
        if decided:
            raise UserError(
                self.env._(
                    "The change of %(customer)s was decided already: refresh the list.",
                    customer=decided[0].partner_id.display_name,
                )
            )

    @api.depends("partner_id", "to_tier_id")
    @api.depends_context("lang")
    def _compute_display_name(self):
        for change in self:
            # sudo: whoever may read the change may read whose it is
            names = change.sudo()
            change.display_name = (
                f"{names.partner_id.display_name} → {names.to_tier_id.name or '–'}"
            )
