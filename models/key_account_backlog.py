from odoo import api, fields, models

from ..const import ENGAGEMENT_STAGES
from .key_account_cadence import TRACKS


class KeyAccountBacklog(models.Model):
    """Visits that are due and fit on no day. Planning alone writes them: a row goes
    when its visit is planned or not due any more."""

    _name = "key.account.backlog"
    _description = "Visit Backlog"
    _order = "overdue_ratio desc, id"

    name = fields.Char(
        string="Customer or Lead",
        compute="_compute_name",
        # sudo: whoever may read the row may read whose it is
        compute_sudo=True,
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        index="btree_not_null",
        ondelete="cascade",
        readonly=True,
    )
    lead_id = fields.Many2one(
        "crm.lead",
        index="btree_not_null",
        ondelete="cascade",
        readonly=True,
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        readonly=True,
        ondelete="cascade",
    )
    user_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        index=True,
        readonly=True,
        ondelete="set null",
    )
    # A copy for the record rules, as on visits.
    account_user_id = fields.Many2one(
        "res.users",
        string="Customer's Salesperson",
        compute="_compute_account_user_id",
        store=True,
        index=True,
    )
    team_id = fields.Many2one(
        "crm.team",
        string="Sales Team",
        readonly=True,
        ondelete="set null",
    )
    cadence_id = fields.Many2one(
        "key.account.cadence",
        readonly=True,
        ondelete="cascade",
    )
    tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        ondelete="cascade",
    )
    tier_color = fields.Integer(related="tier_id.color")
    engagement_stage = fields.Selection(ENGAGEMENT_STAGES, readonly=True)
    track = fields.Selection(TRACKS, required=True, readonly=True)
    date_due = fields.Date(
        string="Due",
        readonly=True,
        help="The day that the cadence asks for.",
    )
    overdue_ratio = fields.Float(
        string="Overdue",
        digits=(16, 2),
        readonly=True,
        help="Days since the last visit over the interval: 2 is twice as long as it "
        "should be.",
    )
    reason = fields.Selection(
        [
            ("capacity", "No capacity left"),
            ("away", "No working day"),
            ("route", "Not on a route"),
        ],
        required=True,
        readonly=True,
        help="Why there is no day for the visit.",
    )
    date_escalated = fields.Date(string="Escalated On", readonly=True)

    _account_or_lead = models.Constraint(
        "CHECK(partner_id IS NOT NULL OR lead_id IS NOT NULL)",
        "A visit in the backlog needs a customer or a lead.",
    )
    _partner_uniq = models.UniqueIndex(
        "(partner_id, company_id, track) WHERE partner_id IS NOT NULL",
    )
    _lead_uniq = models.UniqueIndex("(lead_id, track) WHERE partner_id IS NULL")

    @api.depends("partner_id", "lead_id")
    def _compute_name(self):
        for row in self:
            row.name = (row.partner_id or row.lead_id).display_name

    @api.depends("name")
    def _compute_display_name(self):
        for row in self:
            row.display_name = row.name

    @api.depends("partner_id.user_id", "lead_id.user_id")
    def _compute_account_user_id(self):
        for row in self:
            row.account_user_id = (row.partner_id or row.lead_id).user_id
