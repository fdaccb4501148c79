from odoo import Command, api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ...const import SENIORITIES
from ..account import bounds
from ..account.key_account import DEFAULT_MONTHS


class KeyAccountTier(models.Model):
    """A class of customers, such as key, ordinary and low-value accounts."""

    _name = "key.account.tier"
    _inherit = "key.account.form"
    _description = "Account Tier"
    _order = "policy_id, sequence, id"

    policy_id = fields.Many2one(
        "key.account.policy",
        required=True,
        index=True,
        ondelete="cascade",
    )
    # With its company, as what it belongs to goes.
    company_id = fields.Many2one(
        related="policy_id.company_id", store=True, ondelete="cascade"
    )
    policy_bound = fields.Char(related="policy_id.tier_bound")
    name = bounds.Char(required=True, translate=True)
    code = bounds.Char(
        size=8,
        help="Short name for lists and cards, such as A, B or C.",
    )
    active = fields.Boolean(
        default=True,
        help="An archived tier takes nobody any more: the next run moves its accounts, "
        "but for locked ones. What was, stays.",
    )
    sequence = bounds.Integer(
        default=10,
        bounds=bounds.SEQUENCES,
        help="The best tier comes first.",
    )
    color = bounds.Integer(bounds=bounds.COLORS, help="Colour of the tier's badge.")
    threshold = bounds.Float(
        digits=(16, 2),
        bounds=(-bounds.MAX_AMOUNT, bounds.MAX_AMOUNT),
        help="Lower bound, in company currency, or in points from 0 to 100 with a "
        "value scorecard: an account with at least this figure over the policy's "
        "window is in this tier or a better one. Accounts below every threshold are in "
        "the last tier.",
    )
    share = bounds.Float(
        string="Up to Share",
        digits=(5, 2),
        bounds=(0, 100),
        help="Where the tier ends, in percent counted from the best account: of the "
        "total figure for Pareto, of the number of accounts for the pyramid. With "
        "80, 95 and 100 the first tier holds the accounts that make the first 80 %, "
        "the second one those that make the next 15 %.",
    )

    cell_ids = fields.One2many(
        "key.account.tier.cell",
        "tier_id",
        string="Required Contacts",
        copy=True,
        help="Whom somebody must have met. Coverage is the share of these cells in "
        "which a contact was met within the period. Planned visits name the cell that "
        "was seen longest ago.",
    )
    coverage_months = bounds.Integer(
        string="Coverage Period (months)",
        default=DEFAULT_MONTHS,
        bounds=(1, 120),
        help="Who was met within this many months up to today counts as met.",
    )
    min_seniority = fields.Selection(
        SENIORITIES,
        string="Least Seniority",
        help="The least seniority of a salesperson who serves these accounts. Accounts "
        "that somebody with less serves appear in Accounts to Assign. Trainee: new "
        "salespeople train here and are suggested first. Leave empty for anybody.",
    )

    is_best = fields.Boolean(
        string="Best Tier",
        compute="_compute_is_best",
        search="_search_is_best",
        help="The first tier of its policy: its accounts are the key accounts.",
    )
    preset_id = fields.Many2one(
        "key.account.tier",
        store=False,
        inverse="_inverse_preset_id",
        help="Technical: the tier that a new one on a form begins as. It takes over "
        "what the form doesn't show.",
    )

    _code_uniq = models.Constraint(
        "UNIQUE(policy_id, code)",
        "Two tiers of a policy can't have the same code: change one of them.",
    )

    @api.depends("policy_id.tier_ids.sequence")
    def _compute_is_best(self):
        for tier in self:
            policy = tier.policy_id
            tier.is_best = bool(policy) and tier == policy._get_tiers()[:1]

    def _search_is_best(self, operator, value):
        if operator != "in":
            return NotImplemented
        # sudo: few policies; whoever may read the tier may know its place
        policies = self.env["key.account.policy"].sudo()
        policies = policies.with_context(active_test=False).search(Domain.TRUE)
        best = [policy._get_tiers()[:1].id for policy in policies]
        return Domain("id", "in", best)

    @api.depends("name")
    @api.depends_context("key_account_tier_policy", "lang")
    def _compute_display_name(self):
        """Name the policy too, where a list asks for it and there are several."""
        super()._compute_display_name()
        if not self.env.context.get("key_account_tier_policy"):
            return
        if self.env["key.account.policy"].search_count([], limit=2) < 2:
            return
        for tier in self.filtered("policy_id"):
            tier.display_name = f"{tier.name} ({tier.policy_id.sudo().name})"

    def _inverse_preset_id(self):
        for tier in self.filtered("preset_id"):
            preset = tier.preset_id
            tier.min_seniority = preset.min_seniority
            tier.coverage_months = preset.coverage_months
            cells = preset.cell_ids.copy_data({"tier_id": tier.id})
            tier.cell_ids = [Command.create(vals) for vals in cells]

    @api.model_create_multi
    def create(self, vals_list):
        tiers = super().create(vals_list)
        tiers._check_policies()
        return tiers

    def write(self, vals):
        res = super().write(vals)
        if {"active", "policy_id", "sequence", "threshold", "share"} & vals.keys():
            self._check_policies()
        return res

    def unlink(self):
        policies = self.policy_id
        res = super().unlink()
        policies.exists()._check_tiers_unless_deferred()
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_in_use(self):
        in_use = self._filtered_in_use()
        if in_use:
            raise UserError(
                self.env._(
                    "The tier %(tier)s is in use by customers, changes or cadence "
                    "lines: archive it instead of deleting it.",
                    tier=in_use[0].name,
                )
            )

    def _check_policies(self):
        self.policy_id._check_tiers_unless_deferred()

    @api.model
    def _get_places_sql(self):
        """Return a query for ``id`` and ``place`` of all tiers: the lower, the better.

        By it tiers of two policies are compared, whose sequences say nothing of each
        other. What isn't used any more lies between the places of what is.
        """
        self.flush_model(["active", "policy_id", "sequence"])
        return SQL(
            """
            SELECT id,
                   2 * COUNT(*) FILTER (WHERE active) OVER (
                           PARTITION BY policy_id ORDER BY sequence, id
                           ROWS UNBOUNDED PRECEDING)
                   + (active IS NOT TRUE)::int AS place
              FROM key_account_tier
            """
        )

    def _filtered_in_use(self):
        """Return the tiers that customers, the history or the cadence refer to."""
        models_and_fields = (
            ("key.account.tier.change", "from_tier_id"),
            ("key.account.tier.change", "to_tier_id"),
            ("key.account.cadence", "tier_id"),
            ("key.account.target", "tier_id"),
            ("key.account.visit", "tier_id"),
            ("key.account", "tier_id"),
            ("key.account.loss", "tier_id"),
            ("crm.lead", "account_tier_id"),
        )
        used_ids = set()
        for model, field in models_and_fields:
            groups = (
                self.env[model]
                .sudo()
                .with_context(active_test=False)
                ._read_group([(field, "in", self.ids)], [field])
            )
            used_ids.update(tier.id for (tier,) in groups)
        return self.filtered(lambda tier: tier.id in used_ids)
