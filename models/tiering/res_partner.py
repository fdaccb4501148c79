from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..account import decisions, words
from ..account.columns import search_column
from ..account.key_account_shown import open_dialog

# As files name them
TIER_COLUMNS = {"account_tier_id", "account_tier_id/id", "account_tier_id/.id"}
LOCK_COLUMNS = {"account_tier_locked_until", "account_tier_lock_reason"}


class ResPartner(models.Model):
    """The tier that customers show, and why they are in it."""

    _inherit = "res.partner"

    account_tier_id = decisions.Many2one(
        "key.account.tier",
        compute="_compute_account_tier",
        compute_sudo=True,
        readonly=False,
        search=search_column("account_tier_id"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="Class of the customer in this company. Set by the tiering policy, or by "
        "hand by a sales administrator.",
    )
    # Not related: nobody searches or groups by it
    account_tier_color = fields.Integer(
        compute="_compute_account_tier_color",
        compute_sudo=True,
        aggregator=None,
        groups="sales_team.group_sale_salesman",
    )
    account_tier_locked_until = decisions.Date(
        string="Tier Locked Until",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("account_tier_locked_until"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="Until this day, included, the tiering run leaves the tier alone.",
    )
    account_tier_lock_reason = decisions.Char(
        string="Lock Reason",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("account_tier_lock_reason"),
        groups="sales_team.group_sale_salesman",
        copy=False,
    )
    # The figures of the key-account tab. Not Monetary: rounding would read the currency
    # for each opened form.
    key_account_currency_id = fields.Many2one(
        "res.currency",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_revenue = fields.Float(
        string="Revenue",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_previous_revenue = fields.Float(
        string="Previous Revenue",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_margin = fields.Float(
        string="Margin",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_expected_revenue = fields.Float(
        string="Expected Revenue",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_rank = fields.Integer(
        string="Account Rank",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_share = fields.Float(
        string="Share (%)",
        digits=(16, 2),
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_cumulative_share = fields.Float(
        string="Cumulative Share (%)",
        digits=(16, 2),
        compute="_compute_key_account_cumulative_share",
        groups="sales_team.group_sale_salesman",
    )
    key_account_score = fields.Float(
        string="Score",
        digits=(5, 2),
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_is_scored = fields.Boolean(
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
        help="Technical: a scorecard gave it points, maybe none.",
    )
    key_account_judged = fields.Char(
        compute="_compute_key_account_judged",
        groups="sales_team.group_sale_salesman",
        help="Technical: what the scorecard of this company wants judged.",
    )
    key_account_explanation = fields.Char(
        string="Why This Tier",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )

    # Apart from the other decisions: lists show it alone.
    @api.depends("parent_id")
    @api.depends_context("company")
    def _compute_account_tier(self):
        for partner in self:
            partner.account_tier_id = partner.key_account_id.tier_id

    @api.depends("account_tier_id.color")
    @api.depends_context("company")
    def _compute_account_tier_color(self):
        for partner in self:
            partner.account_tier_color = partner.account_tier_id.color

    @api.depends("key_account_id", "account_tier_id")
    @api.depends_context("company", "lang", "uid")
    def _compute_key_account(self):
        shown = self._get_readable_accounts()
        # All tiers at once, as the sentence below and the badge need their names.
        # sudo: a policy may have gone to another company meanwhile.
        suggested = self.env["key.account"].union(*(account for _, account in shown))
        (suggested.suggested_tier_id | self.account_tier_id).sudo().mapped("name")
        for partner, account in shown:
            partner.key_account_currency_id = self.env.company.currency_id
            partner.key_account_revenue = account.revenue
            partner.key_account_previous_revenue = account.previous_revenue
            partner.key_account_margin = account.margin
            partner.key_account_expected_revenue = account.expected_revenue
            partner.key_account_rank = account.rank
            partner.key_account_share = account.share
            partner.key_account_score = account.score
            partner.key_account_is_scored = account.score_points is not False
            partner.key_account_explanation = partner._get_key_account_explanation(
                account
            )

    @api.depends("key_account_id")
    @api.depends_context("company", "uid")
    def _compute_key_account_cumulative_share(self):
        for partner, account in self._get_readable_accounts():
            partner.key_account_cumulative_share = account.cumulative_share

    @api.depends_context("company")
    def _compute_key_account_judged(self):
        home = self.env.company._get_key_account_home()
        names = self.env["key.account.policy"]._get_judged_names(home.id)
        self.key_account_judged = " ".join(names)

    def _get_key_account_explanation(self, card):
        """Return one sentence that says why the customer is in its tier."""
        if self.key_account_id and not card:
            return self.env._("The figures are shown to those who serve the customer.")
        own_ids = self.env["res.company"]._get_key_account_own_ids()
        account = self.commercial_partner_id
        # what core keeps of it: whether one of our users is among those behind it
        is_own = account.id in own_ids or account.id and not account.partner_share
        if is_own and not card.is_excluded:
            return self.env._(
                "One of our own: a company or a colleague of ours is no account."
            )
        texts = [card._get_rank_text()]
        if card.has_invalid_amounts:
            texts.append(
                self.env._(
                    "Its invoices, orders or leads add up to what is no amount, which "
                    "counts as zero: correct them."
                )
            )
        if card.suggested_tier_id and card.suggested_tier_id != self.account_tier_id:
            texts.append(
                self.env._(
                    "The figures alone suggest %s.", card.suggested_tier_id.sudo().name
                )
            )
        return words.join_said(self.env, texts)

    def _check_can_set_tier(self):
        if not self.env.su and not self.env.user.has_group(
            "sales_team.group_sale_manager"
        ):
            raise AccessError(
                self.env._("Only a sales administrator sets or locks account tiers.")
            )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_set_account_tier(self):
        self._check_opens_account()
        return open_dialog(
            self.env._("Set Tier"),
            "key.account.tier.set",
            partner_id=self.commercial_partner_id.id,
        )

    def action_open_key_account_score(self):
        """Show what the customer's score is made of."""
        self._check_opens_account()
        account = self.key_account_id
        if not account:
            raise UserError(self.env._("Not measured yet: run the tiering policy."))
        return account.action_open_score()

    def action_view_tier_changes(self):
        self._check_opens_account()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_tier_change_action"
        )
        action["domain"] = [("partner_id", "=", self.commercial_partner_id.id)]
        action["context"] = {}
        return action

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    @api.model
    def _lock_imported_tiers(self, names, rows):
        """Return columns and rows of an import, with a lock as the dialog has it for
        tiers that come without: else the next run would change them."""
        tiers = [n for n, name in enumerate(names) if name in TIER_COLUMNS]
        policy = self.env["key.account.policy"]._get_for_company(self.env.company)
        until = policy._get_default_lock()
        if not tiers or not until or LOCK_COLUMNS & set(names):
            return names, rows
        lock = [fields.Date.to_string(until), self.env._("Imported")]
        return [*names, "account_tier_locked_until", "account_tier_lock_reason"], [
            [*row, *(lock if any(row[n] for n in tiers) else ["", ""])] for row in rows
        ]

    def _reject_tier_changes(self, note):
        """Reject the changes of tier that are proposed for these customers.

        :param str note: why
        """
        self.env["key.account.tier.change"].search(
            [("partner_id", "in", self.ids), ("state", "=", "proposed")]
        ).write({"state": "rejected", "note": note})
