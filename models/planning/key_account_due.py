import logging
from collections import defaultdict
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ...const import ENGAGEMENT_STAGES, LOGGED_IDS, RELATIONSHIP_LEVELS
from ..account import clock, columns, features
from ..account.receiving import get_receiving
from .key_account_cadence import TRACK_MODES, TRACKS

_logger = logging.getLogger(__name__)


class KeyAccountDue(models.Model):
    """When a customer, or a lead that has none, is due on a track: one row each,
    whether a visit is planned or not.

    One statement works out line, interval, due date and responsible and writes where
    they differ (:meth:`_refresh`), for the accounts that an event touched at once, for
    everybody at night. Planning alone says why a visit has no day.
    """

    _name = "key.account.due"
    _inherit = ["key.account.mixin"]
    _switched_fields = {features.EVIDENCE: {"relationship_level"}}
    _description = "Visit Due"
    _order = "date_due, id"
    # Written in SQL, a hundred thousand at once the first time.
    _log_access = False

    name = fields.Char(
        string="Customer or Lead",
        compute="_compute_name",
        search="_search_name",
        # sudo: whoever may read the row may read whose it is
        compute_sudo=True,
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        # the unique index begins with it
        ondelete="cascade",
        readonly=True,
    )
    lead_id = fields.Many2one(
        "crm.lead",
        index="btree_not_null",
        ondelete="cascade",
        readonly=True,
    )
    account_id = fields.Many2one(
        "key.account",
        is_internal=True,
        index="btree_not_null",
        ondelete="cascade",
        readonly=True,
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    user_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        index=True,
        readonly=True,
        ondelete="set null",
        help="Who is responsible: the salesperson, of executive visits the sponsor; "
        "the leader of the sales team, if there is none.",
    )
    team_id = fields.Many2one(
        "crm.team",
        string="Sales Team",
        readonly=True,
        ondelete="set null",
    )
    cadence_id = fields.Many2one(
        "key.account.cadence",
        required=True,
        index=True,
        readonly=True,
        ondelete="cascade",
        help="The line that asks for the visits.",
    )
    loss_id = fields.Many2one(
        "key.account.loss",
        index="btree_not_null",
        readonly=True,
        ondelete="set null",
        help="The loss of the account that the visit is to undo.",
    )
    tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        ondelete="cascade",
    )
    tier_color = fields.Integer(
        is_internal=True, related="tier_id.color", aggregator=None
    )
    relationship_level = fields.Selection(RELATIONSHIP_LEVELS, readonly=True)
    engagement_stage = fields.Selection(ENGAGEMENT_STAGES, readonly=True)
    track = fields.Selection(TRACKS, required=True, readonly=True)
    days = fields.Integer(
        string="Interval (days)",
        required=True,
        readonly=True,
        aggregator="avg",
        help="The customer's own interval or that of the cadence; a month counts 30 "
        "days.",
    )
    on_route = fields.Boolean(
        string="Only on Route",
        readonly=True,
        help="Planned only for days on which the salesperson is near anyway.",
    )
    date_due = fields.Date(
        string="Due",
        required=True,
        readonly=True,
        help="The day that the cadence asks for, or that somebody named when a visit "
        "was cancelled.",
    )
    date_since = fields.Date(
        string="Due Since",
        required=True,
        readonly=True,
        help="The due date. Of a customer that nobody visited so far: the day that was "
        "asked for first, whatever tier, level or interval followed.",
    )
    is_overdue = fields.Boolean(
        compute="_compute_is_overdue",
        search="_search_is_overdue",
        help="The due date has passed, whether a visit is planned or not.",
    )
    # Lists are sorted by the next two, and groups have an average.
    days_overdue = columns.Integer(
        string="Days Late",
        sql="_get_days_overdue_sql",
        compute="_compute_is_overdue",
        aggregator="max",
        help="Since the due date, whether a visit is planned or not.",
    )
    overdue_ratio = columns.Float(
        string="Overdue",
        digits=(16, 2),
        sql="_get_overdue_ratio_sql",
        compute="_compute_overdue_ratio",
        aggregator="avg",
        help="Days since the last visit over the interval: 2 is twice as long as it "
        "should be.",
    )
    visit_id = fields.Many2one(
        "key.account.visit",
        string="Planned Visit",
        index="btree_not_null",
        readonly=True,
        ondelete="set null",
    )
    is_waiting = fields.Boolean(
        string="In the Backlog",
        compute="_compute_is_waiting",
        search="_search_is_waiting",
        help="Due within the planning horizon, and no visit is planned.",
    )
    reason = fields.Selection(
        [
            ("capacity", "No capacity left"),
            ("away", "No working day"),
            ("route", "Not on a route"),
            ("closed", "They don't receive then"),
            ("refused", "Refused"),
            ("data", "Interval or amounts to correct"),
        ],
        readonly=True,
        help="Why the last planning found no day for the visit.",
    )
    refusal = fields.Char(
        string="Refused Because",
        readonly=True,
        help="What the rule, or the other app, said that refused the visit.",
    )
    date_escalated = fields.Date(
        string="Escalated On",
        readonly=True,
        help="The sales team's leader was told that the visit is overdue.",
    )

    _account_or_lead = models.Constraint(
        "CHECK(partner_id IS NOT NULL OR lead_id IS NOT NULL)",
        "What is due needs a customer or a lead.",
    )
    _partner_uniq = models.UniqueIndex(
        "(partner_id, company_id, track) WHERE partner_id IS NOT NULL",
    )
    _lead_uniq = models.UniqueIndex("(lead_id, track) WHERE partner_id IS NULL")
    # the earliest of each salesperson and interval that have no day yet
    _planner_idx = models.Index(
        "(company_id, user_id, on_route, days, date_due) WHERE visit_id IS NULL"
    )
    _invalid_idx = models.Index("(company_id) WHERE reason = 'data'")

    # -------------------------------------------------------------------------
    # Computes
    # -------------------------------------------------------------------------

    @api.depends("partner_id", "lead_id")
    def _compute_name(self):
        for row in self:
            row.name = (row.partner_id or row.lead_id).display_name

    @api.depends("name")
    def _compute_display_name(self):
        for row in self:
            row.display_name = row.name

    @api.depends("date_due")
    @api.depends_context("tz")
    def _compute_is_overdue(self):
        today = fields.Date.context_today(self)
        for row in self:
            row.days_overdue = max((today - row.date_due).days, 0)
            row.is_overdue = bool(row.days_overdue)

    def _search_is_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain("date_due", "<", fields.Date.context_today(self))

    @api.depends("date_due", "days")
    @api.depends_context("tz")
    def _compute_overdue_ratio(self):
        today = fields.Date.context_today(self)
        for row in self:
            row.overdue_ratio = 1 + (today - row.date_due).days / row.days

    def _get_overdue_ratio_sql(self, alias, _name):
        return SQL(
            "(1 + (%s - %s)::numeric / %s)",
            fields.Date.context_today(self),
            self._field_to_sql(alias, "date_due"),
            self._field_to_sql(alias, "days"),
        )

    def _get_days_overdue_sql(self, alias, _name):
        return SQL(
            "GREATEST(%s::date - %s, 0)",
            fields.Date.context_today(self),
            self._field_to_sql(alias, "date_due"),
        )

    @api.depends("visit_id", "date_due", "company_id")
    def _compute_is_waiting(self):
        waiting = self.filtered_domain(self._get_waiting_domain(self.company_id))
        for row in self:
            row.is_waiting = row in waiting

    def _search_is_waiting(self, operator, value):
        if operator != "in":
            return NotImplemented
        # sudo: a rule says which companies' rows are shown
        return self._get_waiting_domain(
            self.env["res.company"].sudo().search(Domain.TRUE)
        )

    @api.model
    def _get_waiting_domain(self, companies):
        """Return the domain of what is due within the horizon and has no day."""
        days = defaultdict(list)
        for company in companies.sudo():
            today = clock.get_today(company)
            last = today + timedelta(days=company.key_account_horizon_days)
            days[last].append(company.id)
        return Domain("visit_id", "=", False) & Domain.OR(
            Domain("company_id", "in", ids) & Domain("date_due", "<=", last)
            for last, ids in days.items()
        )

    @api.model
    def _get_horizons_sql(self):
        """Return rows (company id, last day of its horizon) for a VALUES list."""
        return SQL(", ").join(
            SQL(
                "(%s, %s::date)",
                company.id,
                clock.get_today(company)
                + timedelta(days=company.key_account_horizon_days),
            )
            for company in self.env["res.company"].sudo().search(Domain.TRUE)
        )

    def action_open_document(self):
        return self._open_document()

    # -------------------------------------------------------------------------
    # Whom it waits for, merges, visits by hand
    # -------------------------------------------------------------------------

    @api.model
    def _get_invalid(self, company):
        """Return the rows that aren't planned until somebody corrects an interval or an
        amount."""
        return self.sudo().search(
            [("company_id", "=", company.id), ("reason", "=", "data")], order="id"
        )

    @api.model
    def _log_invalid(self, company):
        """Name in the log who isn't planned until somebody corrects it."""
        for name in ("partner_id", "lead_id"):
            ids = self._get_invalid(company)[name].ids
            if ids:
                _logger.warning(
                    "Company %s: %s of %s have an interval or amounts that can't be "
                    "right, and no visit is planned: %s",
                    company.id,
                    len(ids),
                    self._fields[name].comodel_name,
                    ids[:LOGGED_IDS],
                )

    @api.model
    def _merge(self, sources, destination):
        """Let ``destination`` go on with what was asked for first at customers or leads
        that are merged into it, and delete their rows."""
        column = "partner_id" if destination._name == "res.partner" else "lead_id"
        rows = self.search([(column, "in", (sources | destination).ids)])
        if column == "lead_id":
            rows = rows.filtered(lambda row: not row.partner_id)
        # a lead has one row a track, whatever the company
        for group in rows.grouped(
            lambda row: (column == "partner_id" and row.company_id, row.track)
        ).values():
            own = group.filtered(lambda row: row[column] == destination)
            kept = own or group[:1]
            kept.date_since = min(group.mapped("date_since"))
            kept.date_escalated = max(
                group.filtered("date_escalated").mapped("date_escalated"),
                default=False,
            )
            (group - kept).unlink()
            kept[column] = destination
            if column == "partner_id":
                # else it goes with the row of the customer that goes
                kept.account_id = (
                    self.env["key.account"]._get_accounts(
                        destination.ids, kept.company_id
                    )
                    or kept.account_id
                )

    def _get_receiving(self):
        """Return when the customer receives who makes the visit or call."""
        # sudo: whoever may know what is due may know when they receive
        hours = self.sudo().account_id.receiving_hours
        return get_receiving(hours, TRACK_MODES[self.track])

    def _prepare_visit_values(self, day, user):
        """Return the values of a visit that a person plans for ``user``."""
        teams = self.env["crm.team.member"]._get_user_teams(self.company_id, user)
        team = teams.get(user.id)
        (values,) = self.env["key.account.plan.values"]._prepare_plans(
            {
                self.id: {
                    "date_planned": day,
                    "user_id": user.id,
                    "team_id": (team or self.team_id).id,
                    "is_date_fixed": True,
                }
            }
        )
        return values
