from collections import defaultdict

from odoo import api, fields, models
from odoo.fields import Domain

from ..const import ENGAGEMENT_STAGES, NO_RANK, STAGE_NUMBERS
from ..engine import planner
from ..engine.cadence import interval_days
from .key_account_cadence import TRACK_MODES, TRACKS
from .key_account_mixin import get_account_key


class KeyAccountBacklog(models.Model):
    """Visits that are due and fit on no day. Planning alone writes them: a row goes
    when its visit is planned or not due any more."""

    _name = "key.account.backlog"
    _inherit = ["key.account.mixin"]
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

    @api.model
    def _replace(self, company, rows, tracks, partner_ids=None, lead_ids=None):
        """Make ``rows`` the backlog of the accounts and leads in question; see
        :meth:`key.account.visit._plan`. Rows that are right stay as they are."""
        domain = Domain("company_id", "=", company.id) & Domain("track", "in", tracks)
        if partner_ids is not None or lead_ids is not None:
            accounts = Domain("partner_id", "!=", False)
            if partner_ids is not None:
                accounts = Domain("partner_id", "in", partner_ids)
            leads = Domain("partner_id", "=", False)
            if lead_ids is not None:
                leads &= Domain("lead_id", "in", lead_ids)
            domain &= accounts | leads
        known = {row._get_account_key(): row for row in self.search(domain)}
        # Leads that belong to this company by now
        self.search(
            [
                ("partner_id", "=", False),
                ("lead_id", "in", [row["lead_id"] for row in rows if row["lead_id"]]),
                ("company_id", "!=", company.id),
            ]
        ).unlink()
        new = []
        for values in rows:
            key = get_account_key(
                values["partner_id"], values["lead_id"], company.id, values["track"]
            )
            row = known.pop(key, None)
            if row is None:
                new.append(values)
                continue
            before = row._convert_to_write({name: row[name] for name in values})
            changed = {
                name: value
                for name, value in values.items()
                if (before[name] or False) != (value or False)
            }
            if changed:
                row.write(changed)
        self.union(*known.values()).unlink()
        self.create(new)

    @api.model
    def _get_waiting(self, users):
        """Return {user id: list of :class:`planner.Due`}, in every company."""
        waiting = defaultdict(list)
        for row in self.search([("user_id", "in", users.ids)]):
            line = row.cadence_id
            account = row.partner_id.with_company(row.company_id)
            own = account.visit_interval_days if row.track == "visit" else 0
            waiting[row.user_id.id].append(
                planner.Due(
                    row._get_account_key(),
                    row.date_due,
                    interval_days(*line._get_interval(own)),
                    row.tier_id.sequence if row.tier_id else NO_RANK,
                    STAGE_NUMBERS.get(row.engagement_stage, NO_RANK),
                    load=row._get_load(),
                    on_route=line.on_route,
                )
            )
        return waiting

    def _get_load(self):
        mode = TRACK_MODES[self.track]
        return self.env["key.account.visit"]._get_mode_load(mode)

    def _assign_responsibles(self):
        """Give the rows to whoever is responsible now."""
        groups = self.env["key.account.visit"]._group_by_responsible(self)
        for (user_id, team_id), rows in groups.items():
            rows.write({"user_id": user_id, "team_id": team_id})

    @api.model
    def _forget(self, visits):
        """Remove what has a planned visit now."""
        planned = visits.filtered(lambda visit: visit.state == "planned")
        if not planned:
            return
        keys = {visit._get_account_key() for visit in planned}
        rows = self.search(
            Domain("partner_id", "in", planned.partner_id.ids)
            | (
                Domain("partner_id", "=", False)
                & Domain("lead_id", "in", planned.lead_id.ids)
            )
        )
        rows.filtered(lambda row: row._get_account_key() in keys).unlink()
