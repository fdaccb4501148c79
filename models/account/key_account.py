import json
from collections import Counter

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ...const import (
    ENGAGEMENT_STAGES,
    LEVEL_NUMBERS,
    RELATIONSHIP_LEVELS,
    STAGE_NUMBERS,
)
from . import clock
from .key_account_engagement import VALUE_TYPES

# How far back a met contact counts for accounts without a tier.
DEFAULT_MONTHS = 6
# Over which visits are counted for the effort
EFFORT_MONTHS = 12
# What people decide about an account: the customer's field, and the column here.
DECISIONS = {
    "account_tier_id": "tier_id",
    "account_tier_locked_until": "tier_locked_until",
    "account_tier_lock_reason": "tier_lock_reason",
    "relationship_level": "relationship_level",
    "account_value_type": "value_type",
    "executive_sponsor_id": "executive_sponsor_id",
    "visit_interval_days": "visit_interval_days",
}
TIER_DECISIONS = {
    "account_tier_id",
    "account_tier_locked_until",
    "account_tier_lock_reason",
}


class KeyAccount(models.Model):
    """A customer in a company: what people decided about it, and what was measured.

    One row per commercial partner and company. Customers and their contacts show it in
    fields of their own and write decisions through them (:meth:`_decide`). Figures
    are written by the tiering run alone, coverage and evidence by the run and whenever
    a visit, a contact or evidence changes, all in SQL. The salesperson
    and the visit dates are copies, kept in step by the models that own them, so that
    lists and record rules need no join.
    """

    _name = "key.account"
    _description = "Key Account"
    _order = "rank, id"
    _log_access = False
    _rec_name = "partner_id"

    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    user_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        readonly=True,
        ondelete="set null",
    )
    is_account = fields.Boolean(
        readonly=True,
        help="Was invoiced, has a confirmed order or a lead in this company.",
    )
    # A night's run measures it, though nothing that is still there tells to.
    is_touched = fields.Boolean(readonly=True)
    revenue = fields.Monetary(
        readonly=True,
        help="Untaxed revenue of the policy's window, credit notes subtracted.",
    )
    margin = fields.Monetary(readonly=True)
    margin_rate = fields.Float(
        string="Margin (%)",
        digits=(16, 2),
        readonly=True,
        aggregator=None,
    )
    expected_revenue = fields.Monetary(
        readonly=True,
        help="Expected revenue of the open leads and opportunities.",
    )
    previous_revenue = fields.Monetary(
        readonly=True,
        help="Revenue of the window before this one.",
    )
    share = fields.Float(
        string="Share (%)",
        digits=(16, 4),
        readonly=True,
        help="Share of the account in the figure that the policy ranks by.",
    )
    rank = fields.Integer(
        readonly=True,
        aggregator=None,
        help="Place among the company's accounts; equal figures share a place. Places "
        "behind the first thousand are brought up to date once a week.",
    )
    cumulative_share = fields.Float(
        string="Cumulative Share (%)",
        digits=(16, 4),
        compute="_compute_cumulative_share",
        search="_search_cumulative_share",
        aggregator=None,
        help="Share of this and all better accounts together.",
    )
    tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        ondelete="restrict",
    )
    tier_color = fields.Integer(related="tier_id.color")
    tier_since = fields.Date(readonly=True)
    tier_locked_until = fields.Date(
        readonly=True,
        help="Until this day, included, the tiering run leaves the tier alone.",
    )
    tier_lock_reason = fields.Char(string="Lock Reason", readonly=True)
    suggested_tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        ondelete="set null",
        help="The tier that the figures alone would give.",
    )
    engagement_stage = fields.Selection(
        ENGAGEMENT_STAGES,
        readonly=True,
        help="What is going on: a quotation is out, a contract is running, an "
        "opportunity or a lead is open, or none of these: a target.",
    )
    relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        required=True,
        readonly=True,
        default="transactional",
    )
    suggested_relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        string="Evidence Supports",
        readonly=True,
        help="The highest level whose own and lower criteria all hold.",
    )
    relationship_direction = fields.Selection(
        [("promotion", "Promotion"), ("demotion", "Demotion")],
        string="Evidence For",
        readonly=True,
        help="Where the evidence supports another level than the one in force.",
    )
    is_evidence_fallen = fields.Boolean(
        readonly=True,
        help="The evidence supported the level in force, and doesn't any more.",
    )
    relationship_gap = fields.Json(readonly=True)
    relationship_gap_text = fields.Char(
        string="Missing or Lapsed",
        compute="_compute_relationship_gap_text",
        help="Criteria of the level in force, or of the next one, that don't hold.",
    )
    date_lapse = fields.Date(
        readonly=True,
        help="First day on which evidence or a meeting counts no more.",
    )
    coverage = fields.Float(
        string="Coverage (%)",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="Share of the tier's required contacts that were met within its period.",
    )
    required_count = fields.Integer(string="Required Contacts", readonly=True)
    covered_count = fields.Integer(string="Required Contacts Met", readonly=True)
    met_contact_count = fields.Integer(
        string="Contacts Met",
        readonly=True,
        help="Different contacts who were met within the tier's period.",
    )
    met_user_count = fields.Integer(
        string="Colleagues Who Met Them",
        readonly=True,
    )
    is_single_threaded = fields.Boolean(
        string="Single-Threaded",
        readonly=True,
        help="Only one contact was met, or only one colleague met them, within the "
        "tier's period.",
    )
    value_type = fields.Selection(
        VALUE_TYPES,
        readonly=True,
        help="What the customer buys on; set on the customer.",
    )
    executive_sponsor_id = fields.Many2one(
        "res.users",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="The executive of ours who visits this customer.",
    )
    visit_interval_days = fields.Integer(
        string="Own Visit Interval (days)",
        readonly=True,
        aggregator=None,
        help="Visits are planned every so many days; 0: by the cadence.",
    )
    visit_count = fields.Integer(
        string="Visits (12 Months)",
        readonly=True,
        help="Done visits of the last 12 months, calls and mails not counted.",
    )
    effort_mismatch = fields.Selection(
        [("too_much", "Too much effort"), ("too_little", "Too little effort")],
        readonly=True,
        help="Whether the customer is visited more, or less, than its value type "
        "calls for.",
    )
    is_lost = fields.Boolean(readonly=True)
    lost_date = fields.Date(string="Lost On", readonly=True, aggregator="max")
    last_visit_date = fields.Date(string="Last Visit", readonly=True, aggregator="max")
    next_visit_date = fields.Date(string="Next Visit", readonly=True, aggregator="min")
    computed_at = fields.Datetime(
        related="company_id.key_account_computed_at",
        string="Figures As Of",
    )

    _partner_company_uniq = models.Constraint(
        "UNIQUE(partner_id, company_id)",
        "A customer is one account per company.",
    )
    # Few accounts are above the lowest level, and those are looked for.
    _company_level_idx = models.Index(
        "(company_id, relationship_level) WHERE relationship_level != 'transactional'"
    )
    _company_lapse_idx = models.Index(
        "(company_id, date_lapse) WHERE date_lapse IS NOT NULL"
    )

    @api.depends("is_account", "revenue", "margin", "expected_revenue")
    def _compute_cumulative_share(self):
        """Add up the shares of the account and of all better ones: asked for rarely, so
        that one customer's new invoice doesn't change the row of every other one."""
        shares = {}
        if self.ids:
            rows = self.env.execute_query(
                SQL(
                    "SELECT id, cumulated FROM (%s) AS accounts WHERE id = ANY(%s)",
                    self._get_cumulated_sql(self.company_id),
                    self.ids,
                )
            )
            shares = dict(rows)
        for account in self:
            account.cumulative_share = shares.get(account._origin.id, 0)

    def _search_cumulative_share(self, operator, value):
        if operator not in ("<", "<=", ">", ">="):
            return NotImplemented
        accounts = SQL(
            "(SELECT id FROM (%s) AS accounts WHERE COALESCE(cumulated, 0) %s %s)",
            self._get_cumulated_sql(self.env.companies),
            SQL(operator),
            value,
        )
        return Domain("id", "in", accounts)

    def _get_cumulated_sql(self, companies):
        """Return a query of all rows of these companies: id, and the share of all
        accounts up to this one in the figure that the policy ranks by; NULL for those
        that are no accounts."""
        metrics = {
            company.id: self.env["key.account.policy"]._get_for_company(company).metric
            for company in companies.sudo()
        }
        self.flush_model(
            ["company_id", "is_account", *{*filter(None, metrics.values()), "revenue"}]
        )
        figure = SQL(" ").join(
            SQL("WHEN %s THEN %s", company_id, SQL.identifier(metric))
            for company_id, metric in metrics.items()
            if metric
        )
        return SQL(
            """
            SELECT id,
                   CASE WHEN is_account
                        THEN ROUND(100 * SUM(GREATEST(figure, 0)) OVER best
                                   / NULLIF(SUM(GREATEST(figure, 0)) OVER everybody, 0),
                                   4)
                   END AS cumulated
              FROM (SELECT id, company_id, is_account,
                           (CASE company_id %s ELSE revenue END)::numeric AS figure
                      FROM key_account
                     WHERE company_id = ANY(%s)
                   ) AS accounts
            WINDOW everybody AS (PARTITION BY company_id, is_account),
                   best AS (PARTITION BY company_id, is_account ORDER BY figure DESC)
            """,
            figure or SQL("WHEN NULL THEN NULL"),
            companies.ids,
        )

    @api.depends("relationship_gap")
    @api.depends_context("lang")
    def _compute_relationship_gap_text(self):
        criteria = self.env["key.account.relationship.criterion"]
        for card in self:
            card.relationship_gap_text = criteria._get_gap_text(card.relationship_gap)

    @api.depends("partner_id")
    def _compute_display_name(self):
        for card in self:
            # sudo: whoever may read the card may read whose it is
            card.display_name = card.partner_id.sudo().display_name

    # -------------------------------------------------------------------------
    # Constraints
    # -------------------------------------------------------------------------

    @api.constrains("tier_id", "company_id")
    def _check_tier_company(self):
        for account in self:
            company = account.tier_id.company_id
            if company and company != account.company_id:
                raise ValidationError(
                    self.env._(
                        "The tier %(tier)s belongs to %(company)s: choose one of this "
                        "company's policy.",
                        tier=account.tier_id.name,
                        company=company.name,
                    )
                )

    @api.constrains("executive_sponsor_id", "company_id")
    def _check_executive_sponsor_id(self):
        for account in self:
            sponsor = account.executive_sponsor_id
            if sponsor and (
                sponsor.share or account.company_id not in sponsor.company_ids
            ):
                raise ValidationError(
                    self.env._(
                        "%(user)s doesn't work for %(company)s: choose another "
                        "executive sponsor.",
                        user=sponsor.name,
                        company=account.company_id.name,
                    )
                )

    @api.constrains("visit_interval_days")
    def _check_visit_interval_days(self):
        for account in self:
            if account.visit_interval_days < 0:
                raise ValidationError(
                    self.env._("The visit interval can't be negative: enter 0 or more.")
                )

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        accounts = super().create(vals_list)
        self.env["res.partner"]._forget_key_accounts()
        return accounts

    def write(self, vals):
        if "tier_id" in vals and "tier_since" not in vals:
            for company, accounts in self.grouped("company_id").items():
                today = clock.get_today(company)
                super(KeyAccount, accounts).write(
                    {"tier_since": today if vals["tier_id"] else False}
                )
        res = super().write(vals)
        if not vals.keys().isdisjoint(DECISIONS.values()):
            # first: leads are computed from what customers show
            self.env["res.partner"]._forget_key_accounts()
            self._follow_decisions(vals.keys())
        return res

    def unlink(self):
        res = super().unlink()
        self.env["res.partner"]._forget_key_accounts()
        return res

    def _follow_decisions(self, columns):
        """Bring what depends on decisions about these accounts in step."""
        if {"tier_id", "relationship_level"} & columns:
            # Which contacts are required depends on the tier.
            self._refresh_relationships(self.partner_id.ids)
        if "relationship_level" in columns:
            planner = self.env["key.account.planner"]
            accounts = self.filtered(
                lambda account: (
                    account.partner_id == account.partner_id.commercial_partner_id
                )
            )
            for company, same in accounts.grouped("company_id").items():
                planner._plan_now(same.partner_id, company)
        if "executive_sponsor_id" in columns:
            self.env["key.account.visit"]._follow_sponsor(self)

    # -------------------------------------------------------------------------
    # Decisions
    # -------------------------------------------------------------------------

    @api.model
    def _decide(self, company, decisions):
        """Write what people decided about customers, where it differs, and keep the
        history of tiers and levels. An account that nothing was ever said about needs
        no row to say nothing again.

        :param company: the company that it is decided for
        :param decisions: {partner id: {column: value}}, see :data:`DECISIONS`
        """
        for values in decisions.values():
            if "relationship_level" in values:
                values["relationship_level"] = (
                    values["relationship_level"] or "transactional"
                )
        none = self.new({"company_id": company.id})
        accounts = self._get_accounts(decisions, company)
        missing = [
            partner_id
            for partner_id in decisions.keys() - set(accounts.partner_id.ids)
            if none._get_differing(decisions[partner_id])
        ]
        if missing:
            accounts |= self._provide(missing, company)
        for changes, same in accounts.grouped(
            lambda account: tuple(
                account._get_differing(decisions[account.partner_id.id]).items()
            )
        ).items():
            vals = dict(changes)
            if "tier_id" in vals:
                same._log_tiers(vals["tier_id"], vals.get("tier_lock_reason"))
            if "relationship_level" in vals:
                same._log_levels(vals["relationship_level"])
            if vals:
                same.write(vals)

    def _get_differing(self, values):
        """Return those of ``values`` that the account hasn't got yet."""
        self.ensure_one()
        fields_ = self._fields
        return {
            name: value
            for name, value in values.items()
            if (fields_[name].convert_to_write(self[name], self) or False)
            != (value or False)
        }

    @api.model
    def _get_accounts(self, partner_ids, company):
        return self.search(
            [("partner_id", "in", list(partner_ids)), ("company_id", "=", company.id)]
        )

    def _get_proposals(self, changes):
        """Return the accounts' proposals among tier or relationship changes."""
        keys = {(account.partner_id, account.company_id) for account in self}
        return changes.search(
            [("partner_id", "in", self.partner_id.ids), ("state", "=", "proposed")]
        ).filtered(lambda change: (change.partner_id, change.company_id) in keys)

    def _log_tiers(self, tier_id, lock_reason=None):
        """Keep in the history that somebody is about to give the accounts a tier."""
        changes = self.env["key.account.tier.change"]
        by_hand = self.env._("Set by hand")
        self._get_proposals(changes).write({"state": "rejected", "note": by_hand})
        changes.create(
            [
                {
                    "partner_id": account.partner_id.id,
                    "company_id": account.company_id.id,
                    "from_tier_id": account.tier_id.id,
                    "to_tier_id": tier_id,
                    "state": "applied",
                    "reason": self.env.context.get("key_account_reason")
                    or lock_reason
                    or account.tier_lock_reason
                    or by_hand,
                    "user_id": self.env.uid,
                }
                for account in self
            ]
        )

    def _log_levels(self, level):
        """Keep in the history that somebody is about to move the accounts to a level:
        a proposal to do so is approved by that, another one is off."""
        changes = self.env["key.account.relationship.change"]
        today = fields.Date.context_today(self)
        pending = self._get_proposals(changes)
        meant = pending.filtered(lambda change: change.to_level == level)
        meant.write({"state": "applied", "user_id": self.env.uid, "date": today})
        # Nobody said no to the others: without a user they don't count as such.
        (pending - meant).write(
            {
                "state": "rejected",
                "note": self.env._("Set by hand to another level"),
                "date": today,
            }
        )
        settled = {(change.partner_id, change.company_id) for change in meant}
        changes.create(
            [
                {
                    "partner_id": account.partner_id.id,
                    "company_id": account.company_id.id,
                    "from_level": account.relationship_level,
                    "to_level": level,
                    "state": "applied",
                    "reason": self.env.context.get("key_account_reason")
                    or self.env._("Set by hand"),
                    "gap": account.relationship_gap,
                    "proposed_user_id": self.env.uid,
                    "user_id": self.env.uid,
                    "date": today,
                }
                for account in self
                if (account.partner_id, account.company_id) not in settled
            ]
        )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_open_partner(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "res.partner",
            "res_id": self.partner_id.id,
            "view_mode": "form",
        }

    def action_accept_level(self):
        """Give the accounts the level that their evidence supports, or propose it, as
        far as the user may not set it."""
        self.check_access("read")
        differing = self.filtered("relationship_direction")
        for (company, level, reason), cards in differing.grouped(
            lambda card: (
                card.company_id,
                card.suggested_relationship_level,
                card._get_accept_reason(),
            )
        ).items():
            accounts = cards.partner_id.with_company(company)
            free = accounts.filtered(lambda p, level=level: p._can_set_level(level))
            if free:
                free.with_context(key_account_reason=reason).relationship_level = level
            if accounts - free:
                (accounts - free)._propose_level(level, reason)

    def _get_accept_reason(self):
        if self.relationship_direction == "demotion" and self.relationship_gap_text:
            return self.relationship_gap_text
        return self.env._("Supported by the evidence")

    def _get_thread_text(self):
        """Return in words how many contacts were met by how many of us."""
        if not self.met_contact_count:
            return self.env._("No contact was met within the tier's period")
        return self.env._(
            "Met within the period: %(contacts)s of theirs, by %(users)s of ours",
            contacts=self.met_contact_count,
            users=self.met_user_count,
        )

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _copy_salesperson(self):
        for user, cards in self.grouped(lambda card: card.partner_id.user_id).items():
            cards.user_id = user

    def _merge_into(self, target):
        """Keep one row per company of customers that are about to be merged. What
        ``target`` says counts; where it says nothing, what the others say.

        :param target: the customer that stays
        :return: rows of others that become the target's
        """
        inherited = self.browse()
        for accounts in self.grouped("company_id").values():
            kept = accounts.filtered(lambda account: account.partner_id == target)
            if not kept:
                kept = accounts[:1]
                inherited |= kept
            others = accounts - kept
            vals = {}
            # levels are decided for each account: nobody inherits them
            for names, said in (
                (["value_type"], others.filtered("value_type")),
                (["visit_interval_days"], others.filtered("visit_interval_days")),
                # one who left isn't accepted any more
                (
                    ["executive_sponsor_id"],
                    others.filtered("executive_sponsor_id.active"),
                ),
                # a tier with its own lock
                (
                    ["tier_id", "tier_locked_until", "tier_lock_reason"],
                    others.filtered("tier_id"),
                ),
            ):
                if said and not kept[names[0]]:
                    vals |= {
                        name: self._fields[name].convert_to_write(said[:1][name], said)
                        for name in names
                    }
            others.unlink()
            if vals:
                kept.write(vals)
        return inherited

    @api.model
    def _touch(self, partners):
        """Have the next run measure the accounts of these partners: documents have left
        them."""
        accounts = partners.sudo().commercial_partner_id
        if accounts:
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE key_account SET is_touched = TRUE
                     WHERE partner_id = ANY(%s) AND is_touched IS NOT TRUE
                    """,
                    accounts.ids,
                )
            )

    @api.model
    def _provide(self, partner_ids, company):
        """Return the rows of customers in ``company``, made where there was none."""
        self._ensure(partner_ids, company)
        return self._get_accounts(partner_ids, company)

    @api.model
    def _ensure(self, partner_ids, company):
        """Make an empty row for the customers that have none in ``company``: the next
        run fills it."""
        self.env["res.partner"].flush_model(["user_id"])
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO key_account
                       (partner_id, company_id, user_id, is_account,
                        relationship_level)
                SELECT id, %(company)s, user_id, FALSE, 'transactional'
                  FROM res_partner
                 WHERE id = ANY(%(partners)s)
                    ON CONFLICT (partner_id, company_id) DO NOTHING
                """,
                company=company.id,
                partners=list(partner_ids),
            )
        )
        if self.env.cr.rowcount:
            self.env["res.partner"]._forget_key_accounts()

    @api.model
    def _get_silent_ladder(self, company):
        """Return {column: SQL} of the ladder where no evidence is known and nobody has
        decided: the same for all such accounts of ``company``."""
        criteria = self.env["key.account.relationship.criterion"]._get_criteria(company)
        next_level = LEVEL_NUMBERS["transactional"] + 1
        gap = [
            {"id": criterion.id, "state": "missing", "date": None}
            for criterion in criteria.sorted(
                lambda c: (c.level_number, c.sequence, c.id)
            )
            if criterion.level_number <= next_level
        ]
        return {
            "relationship_level": SQL("'transactional'"),
            "suggested_relationship_level": SQL("'transactional'"),
            "relationship_direction": SQL("NULL::varchar"),
            "relationship_gap": SQL("%s::jsonb", json.dumps(gap) if gap else None),
            "is_evidence_fallen": SQL("FALSE"),
            "date_lapse": SQL("NULL::date"),
        }

    @api.model
    def _get_silent_values(self, company):
        """Return {column: SQL} of what is true of an account of ``company`` that nobody
        has visited, met or said anything about."""
        return {
            **self._get_silent_ladder(company),
            "engagement_stage": SQL("'target'"),
            "covered_count": SQL("0"),
            "met_contact_count": SQL("0"),
            "met_user_count": SQL("0"),
            "is_single_threaded": SQL("FALSE"),
            "visit_count": SQL("0"),
        }

    @api.model
    def _update_visit_dates(self, partner_ids):
        """Copy the last done and the next planned visit of these customers."""
        Visit = self.env["key.account.visit"]
        Visit.flush_model(
            ["partner_id", "company_id", "state", "date_done", "date_planned"]
        )
        self.flush_model(["last_visit_date", "next_visit_date"])
        self.env.cr.execute(
            SQL(
                """
                WITH dates AS (
                    SELECT card.id,
                           MAX(date_done) FILTER (WHERE state = 'done') AS last_date,
                           MIN(date_planned) FILTER (WHERE state = 'planned')
                               AS next_date
                      FROM key_account card
                      LEFT JOIN key_account_visit visit
                             ON visit.partner_id = card.partner_id
                            AND visit.company_id = card.company_id
                     WHERE card.partner_id = ANY(%(partners)s)
                     GROUP BY card.id
                )
                UPDATE key_account card
                   SET last_visit_date = last_date, next_visit_date = next_date
                  FROM dates
                 WHERE card.id = dates.id
                   AND (last_visit_date, next_visit_date)
                       IS DISTINCT FROM (last_date, next_date)
                """,
                partners=list(partner_ids),
            )
        )
        self.invalidate_model(["last_visit_date", "next_visit_date"])
        self.env["res.partner"]._forget_key_accounts()
        self.env["crm.lead"].invalidate_model(
            ["is_visit_overdue", "last_visit_date", "next_visit_date"]
        )

    @api.model
    def _update_engagement_stages(self, company, partner_ids=None):
        """Note what is going on with the accounts of ``company``, by their quotations,
        orders that aren't invoiced yet, and open leads: the best reason to spend time
        on them counts. One statement.

        :param partner_ids: limits the accounts; None: all
        :return: ids of the customers whose stage changed
        """
        self.env.flush_all()
        carts = SQL()
        if self.env["sale.order"]._fields.get("website_id"):
            # A cart is no quotation.
            carts = SQL("AND (sale.state != 'draft' OR sale.website_id IS NULL)")
        self.env.cr.execute(
            SQL(
                """
                WITH documents AS (
                    SELECT partner.commercial_partner_id AS partner_id,
                           CASE WHEN sale.state = 'sale' THEN %(contract)s
                                ELSE %(quotation)s END AS number
                      FROM sale_order sale
                      JOIN res_partner partner ON partner.id = sale.partner_id
                     WHERE sale.company_id = %(company)s
                       AND (sale.state IN ('draft', 'sent')
                            OR sale.state = 'sale'
                               AND sale.invoice_status IS DISTINCT FROM 'invoiced')
                       %(carts)s
                     UNION ALL
                    SELECT partner.commercial_partner_id,
                           CASE WHEN lead.type = 'lead' THEN %(lead)s
                                ELSE %(opportunity)s END
                      FROM crm_lead lead
                      LEFT JOIN crm_team team ON team.id = lead.team_id
                      LEFT JOIN res_users owner ON owner.id = lead.user_id
                      JOIN res_partner partner ON partner.id = lead.partner_id
                     WHERE lead.active
                       AND lead.won_status = 'pending'
                       AND %(lead_company)s = %(company)s
                ), best AS (
                    SELECT partner_id, MIN(number) AS number
                      FROM documents
                     GROUP BY partner_id
                ), stages AS (
                    SELECT card.id, card.engagement_stage AS old_stage,
                           (ARRAY[%(stages)s])[COALESCE(best.number, %(target)s)]
                               AS stage
                      FROM key_account card
                      LEFT JOIN best ON best.partner_id = card.partner_id
                     WHERE card.company_id = %(company)s
                       AND (%(everybody)s OR card.partner_id = ANY(%(partner_ids)s))
                )
                UPDATE key_account card
                   SET engagement_stage = stages.stage
                  FROM stages
                 WHERE card.id = stages.id
                   AND stages.old_stage IS DISTINCT FROM stages.stage
             RETURNING card.partner_id
                """,
                contract=STAGE_NUMBERS["contract"],
                quotation=STAGE_NUMBERS["quotation"],
                lead=STAGE_NUMBERS["lead"],
                opportunity=STAGE_NUMBERS["opportunity"],
                target=STAGE_NUMBERS["target"],
                stages=SQL(", ").join(SQL("%s", stage) for stage in STAGE_NUMBERS),
                carts=carts,
                lead_company=self.env["crm.lead"]._get_key_account_company_sql(),
                company=company.id,
                everybody=partner_ids is None,
                partner_ids=list(partner_ids or []),
            )
        )
        changed = [row[0] for row in self.env.cr.fetchall()]
        self.invalidate_model(["engagement_stage"], flush=False)
        return changed

    @api.model
    def _refresh_relationships(self, partner_ids):
        """Bring coverage and ladder of these customers up to date, in every company
        where they have a scorecard."""
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT company_id FROM key_account
                 WHERE partner_id = ANY(%s)
                """,
                list(partner_ids),
            )
        )
        for company in self.env["res.company"].browse(row[0] for row in rows):
            self._update_relationships(company, partner_ids)

    @api.model
    def _update_relationships(self, company, partner_ids=None, today=None):
        """Write to the scorecards whom we met at the customers, and which level of
        relationship the evidence supports; propose to go down where it has lapsed.

        A fixed number of statements, whatever the number of customers. Doesn't commit.

        :param company: the company whose visits, orders and criteria count
        :param partner_ids: limit to these customers
        :param date today: default: today in the time zone of the company's calendar
        """
        self = self.sudo()
        company = company.sudo()
        today = today or clock.get_today(company)
        self.env.flush_all()
        scope = SQL("card.company_id = %s", company.id)
        if partner_ids is not None:
            scope = SQL("%s AND card.partner_id = ANY(%s)", scope, list(partner_ids))
        self._update_coverage(company, scope, today, partner_ids)
        self._update_levels(company, scope, today, partner_ids)
        self.env["key.account.relationship.change"]._propose_demotions(
            company, today, partner_ids
        )
        self.invalidate_model()
        self.env["res.partner"]._forget_key_accounts()

    def _update_coverage(self, company, scope, today, partner_ids=None):
        """Count who was met within the tier's period, and in which required cells.

        Contacts count while they are active, at this account and open to this company.
        """
        self.env.cr.execute(
            SQL(
                """
                WITH todays (company_id, today) AS (VALUES (%(company)s, %(today)s)),
                accounts AS %(kept)s (
                    SELECT card.id, card.partner_id, card.company_id, card.tier_id,
                           COALESCE(tier.coverage_months, %(default)s) AS months
                      FROM key_account card
                      LEFT JOIN key_account_tier tier ON tier.id = card.tier_id
                     WHERE %(scope)s
                ), met AS (
                    SELECT accounts.id AS card_id, accounts.tier_id, visit.user_id,
                           contact.id AS contact_id, contact.decision_level
                      FROM accounts
                      JOIN todays ON todays.company_id = accounts.company_id
                      JOIN key_account_visit visit
                        ON visit.partner_id = accounts.partner_id
                       AND visit.company_id = accounts.company_id
                       AND visit.state = 'done'
                       AND visit.date_done <= todays.today
                       AND visit.date_done + make_interval(months => accounts.months)
                           > todays.today
                      JOIN key_account_visit_contact_rel rel ON rel.visit_id = visit.id
                      JOIN res_partner contact
                        ON contact.id = rel.contact_id
                       AND contact.commercial_partner_id = accounts.partner_id
                       AND %(present)s
                ), threads AS (
                    SELECT card_id, COUNT(DISTINCT contact_id) AS contacts,
                           COUNT(DISTINCT user_id) AS users
                      FROM met
                     GROUP BY card_id
                ), covered AS (
                    SELECT card_id, COUNT(DISTINCT cell.id) AS cells
                      FROM met
                      JOIN key_account_tier_cell cell
                        ON cell.tier_id = met.tier_id
                       AND COALESCE(cell.decision_level = met.decision_level,
                                    cell.decision_level IS NULL)
                      LEFT JOIN key_account_buying_role_partner_rel role
                        ON role.partner_id = met.contact_id
                       AND role.role_id = cell.role_id
                     WHERE cell.role_id IS NULL OR role.role_id IS NOT NULL
                     GROUP BY card_id
                ), required AS (
                    SELECT tier_id, COUNT(*) AS cells
                      FROM key_account_tier_cell
                     GROUP BY tier_id
                ), result AS (
                    SELECT accounts.id,
                           ROUND(100.0 * COALESCE(covered.cells, 0) / required.cells, 2)
                               AS coverage,
                           COALESCE(required.cells, 0) AS required_count,
                           COALESCE(covered.cells, 0) AS covered_count,
                           COALESCE(threads.contacts, 0) AS met_contact_count,
                           COALESCE(threads.users, 0) AS met_user_count,
                           COALESCE(threads.contacts = 1 OR threads.users = 1, FALSE)
                               AS is_single_threaded
                      FROM accounts
                      LEFT JOIN required ON required.tier_id = accounts.tier_id
                      LEFT JOIN covered ON covered.card_id = accounts.id
                      LEFT JOIN threads ON threads.card_id = accounts.id
                )
                UPDATE key_account card
                   SET coverage = result.coverage,
                       required_count = result.required_count,
                       covered_count = result.covered_count,
                       met_contact_count = result.met_contact_count,
                       met_user_count = result.met_user_count,
                       is_single_threaded = result.is_single_threaded
                  FROM result
                 WHERE result.id = card.id
                   AND (card.coverage, card.required_count, card.covered_count,
                        card.met_contact_count, card.met_user_count,
                        card.is_single_threaded)
                       IS DISTINCT FROM
                       (result.coverage, result.required_count, result.covered_count,
                        result.met_contact_count, result.met_user_count,
                        result.is_single_threaded)
                """,
                company=company.id,
                today=today,
                # A few are looked up first; of all, each use has its own best way.
                kept=SQL("NOT MATERIALIZED" if partner_ids is None else "MATERIALIZED"),
                default=DEFAULT_MONTHS,
                scope=scope,
                present=self.env[
                    "key.account.relationship.criterion"
                ]._get_present_sql(),
            )
        )

    def _update_levels(self, company, scope, today, partner_ids):
        """Find the level that the evidence supports: the highest that has criteria of
        its own, while they and all lower ones hold.

        The gap keeps the criteria that fail up to the level in force, or up to the
        next one if that is higher than what is supported.

        Accounts of which nothing is known, on the lowest level, are left alone: they
        were made with what that means (:meth:`_get_silent_values`).
        """
        Criterion = self.env["key.account.relationship.criterion"]
        criteria = Criterion._get_criteria(company)
        counts = Counter(criteria.mapped("level_number"))
        supported = SQL("1")
        holding = SQL("TRUE")
        for number in sorted(counts):
            holding = SQL(
                "%s AND COALESCE(level_%s, 0) = %s", holding, number, counts[number]
            )
            supported = SQL(
                "CASE WHEN %s THEN %s ELSE %s END", holding, number, supported
            )
        held = SQL("").join(
            SQL(
                ", COUNT(*) FILTER (WHERE level_number = %s) AS level_%s",
                number,
                number,
            )
            for number in counts
        )
        levels = SQL(
            "ARRAY[%s]::varchar[]",
            SQL(", ").join(SQL("%s", level) for level, _ in RELATIONSHIP_LEVELS),
        )
        silent = self._get_silent_ladder(company)
        self.env.cr.execute(
            SQL(
                """
                WITH measured AS MATERIALIZED (
                    %(measured)s
                ), said AS (
                    -- nobody gets above the first level without one of these
                    SELECT DISTINCT partner_id
                      FROM measured
                     WHERE level_number <= %(first)s
                ), accounts AS (
                    SELECT card.id, card.partner_id, card.relationship_level AS level,
                           array_position(%(levels)s, card.suggested_relationship_level)
                               AS supported_before,
                           -- contacts have no relationship of their own, and those
                           -- who left none to raise or to lower
                           partner.commercial_partner_id = partner.id
                               AND partner.active
                               AND card.is_lost IS NOT TRUE AS is_compared
                      FROM key_account card
                      JOIN res_partner partner ON partner.id = card.partner_id
                      LEFT JOIN said ON said.partner_id = card.partner_id
                     WHERE %(scope)s
                       AND (said.partner_id IS NOT NULL
                            OR (%(names)s) IS DISTINCT FROM (%(silent)s))
                ), held AS (
                    SELECT partner_id %(held)s
                      FROM measured
                     WHERE state = 'holds'
                     GROUP BY partner_id
                ), numbers AS (
                    SELECT accounts.id, partner_id, level, supported_before,
                           is_compared,
                           array_position(%(levels)s, level::varchar) AS number,
                           %(supported)s AS supported
                      FROM accounts
                      LEFT JOIN held USING (partner_id)
                ), gaps AS (
                    SELECT numbers.id,
                           jsonb_agg(
                               jsonb_build_object(
                                   'id', criterion.id,
                                   'state', COALESCE(state, 'missing'),
                                   'date', CASE state WHEN 'lapsed' THEN date_lapse END)
                               ORDER BY criterion.level_number, criterion.sequence,
                                        criterion.id) AS gap
                      FROM numbers
                      JOIN key_account_relationship_criterion criterion
                        ON criterion.id = ANY(%(criteria)s)
                       AND criterion.level_number <= GREATEST(number, supported + 1)
                      LEFT JOIN measured
                             ON measured.partner_id = numbers.partner_id
                            AND measured.criterion_id = criterion.id
                     WHERE state IS DISTINCT FROM 'holds'
                     GROUP BY numbers.id
                ), result AS (
                    SELECT numbers.id, (%(levels)s)[supported] AS suggested,
                           CASE WHEN NOT is_compared THEN NULL
                                WHEN supported > number THEN 'promotion'
                                WHEN supported < number THEN 'demotion'
                           END AS direction,
                           CASE WHEN NOT is_compared OR supported >= number THEN 'no'
                                WHEN supported_before >= number THEN 'yes'
                                ELSE 'as before'
                           END AS fallen,
                           gap, lapses.date_lapse
                      FROM numbers
                      LEFT JOIN gaps ON gaps.id = numbers.id
                      LEFT JOIN (
                            SELECT partner_id, MIN(date_lapse) AS date_lapse
                              FROM measured
                             WHERE date_lapse > %(today)s
                             GROUP BY partner_id
                           ) AS lapses ON lapses.partner_id = numbers.partner_id
                )
                UPDATE key_account card
                   SET suggested_relationship_level = result.suggested,
                       relationship_direction = result.direction,
                       relationship_gap = result.gap,
                       date_lapse = result.date_lapse,
                       is_evidence_fallen = CASE result.fallen
                           WHEN 'as before' THEN card.is_evidence_fallen
                           ELSE result.fallen = 'yes' END
                  FROM result
                 WHERE result.id = card.id
                   AND ((card.suggested_relationship_level,
                         card.relationship_direction, card.relationship_gap,
                         card.date_lapse)
                        IS DISTINCT FROM
                        (result.suggested, result.direction, result.gap,
                         result.date_lapse)
                        OR result.fallen = 'yes' AND card.is_evidence_fallen IS NOT TRUE
                        OR result.fallen = 'no' AND card.is_evidence_fallen)
                """,
                first=min(counts, default=0),
                names=SQL(", ").join(SQL.identifier("card", name) for name in silent),
                silent=SQL(", ").join(silent.values()),
                today=today,
                scope=scope,
                levels=levels,
                supported=supported,
                held=held,
                criteria=criteria.ids,
                measured=Criterion._get_measured_sql({company.id: today}, partner_ids),
            )
        )

    @api.model
    def _update_losses(self, partner_ids):
        """Copy whether, and since when, these customers are lost."""
        self.env["key.account.loss"].flush_model(
            ["partner_id", "company_id", "date", "date_returned"]
        )
        self.flush_model(["is_lost", "lost_date"])
        self.env.cr.execute(
            SQL(
                """
                WITH losses AS (
                    SELECT card.id, loss.date
                      FROM key_account card
                      LEFT JOIN key_account_loss loss
                             ON loss.partner_id = card.partner_id
                            AND loss.company_id = card.company_id
                            AND loss.date_returned IS NULL
                     WHERE card.partner_id = ANY(%(partners)s)
                )
                UPDATE key_account card
                   SET is_lost = date IS NOT NULL, lost_date = date
                  FROM losses
                 WHERE card.id = losses.id
                   AND lost_date IS DISTINCT FROM date
                """,
                partners=list(partner_ids),
            )
        )
        self.invalidate_model(["is_lost", "lost_date"])
        self.env["res.partner"]._forget_key_accounts()
        # nothing is proposed for those who left
        self._refresh_relationships(partner_ids)

    @api.model
    def _update_effort(self, company, today=None, touched=None):
        """Count the visits of the last 12 months and mark the accounts whose effort
        doesn't fit their value type. A fixed number of statements; doesn't commit.

        Intrinsic customers buy on price: as many visits as the average of the best
        tier are too many. Strategic ones are to be met more often than the average of
        the other tiers. The averages are those of the policy's tiers in force;
        without one there is no mark. Customers that are no accounts, or lost, neither
        count nor get a mark.

        :param date today: last day of the 12 months; default: today in the time zone
            of the company's working hours
        :param touched: ids of the customers whose visits to count; those of the others
            are as many as they were. Default: all
        """
        policies = self.env["key.account.policy"]
        today = today or clock.get_today(company)
        policy = policies._get_for_company(company).sudo()
        tier_ids = policy._get_tiers().ids if policy else []
        self.env["key.account.visit"].flush_model(
            ["partner_id", "company_id", "state", "track", "date_done"]
        )
        self.flush_model()
        among, looked_at = SQL("TRUE"), SQL("TRUE")
        counted = SQL("COALESCE(visits.visit_count, 0)")
        if touched is not None:
            # an average changes the marks of others
            looked_at = SQL(
                "card.partner_id = ANY(%s) OR value_type IS NOT NULL"
                " OR effort_mismatch IS NOT NULL",
                touched,
            )
            among = SQL("partner_id = ANY(%s)", touched)
            counted = SQL(
                "CASE WHEN card.partner_id = ANY(%s) THEN %s ELSE card.visit_count END",
                touched,
                counted,
            )
        self.env.cr.execute(
            SQL(
                """
                WITH visits AS (
                    SELECT partner_id, COUNT(*)::int AS visit_count
                      FROM key_account_visit
                     WHERE company_id = %(company)s
                       AND track IN ('visit', 'executive')
                       AND state = 'done'
                       AND date_done > %(after)s
                       AND date_done <= %(today)s
                       AND %(among)s
                     GROUP BY partner_id
                ), accounts AS (
                    SELECT card.id, card.value_type, %(counted)s AS visit_count,
                           %(looked_at)s AS is_looked_at,
                           card.visit_count AS old_count,
                           card.effort_mismatch AS old_mismatch,
                           is_account AND is_lost IS NOT TRUE AS is_counted,
                           card.tier_id = ANY(%(best)s) AS is_best,
                           card.tier_id = ANY(%(others)s) AS is_other
                      FROM key_account card
                      LEFT JOIN visits ON visits.partner_id = card.partner_id
                     WHERE card.company_id = %(company)s
                ), averages AS (
                    SELECT AVG(visit_count) FILTER (WHERE is_best) AS best,
                           AVG(visit_count) FILTER (WHERE is_other) AS others
                      FROM accounts
                     WHERE is_counted
                ), marked AS (
                    SELECT id, visit_count, old_count, old_mismatch,
                           CASE WHEN is_counted IS NOT TRUE THEN NULL
                                WHEN value_type = 'intrinsic'
                                 AND visit_count > 0
                                 AND visit_count >= best THEN 'too_much'
                                WHEN value_type = 'strategic'
                                 AND visit_count <= others
                                 AND visit_count < best THEN 'too_little'
                           END AS effort_mismatch
                      FROM accounts CROSS JOIN averages
                     WHERE is_looked_at
                )
                UPDATE key_account card
                   SET visit_count = marked.visit_count,
                       effort_mismatch = marked.effort_mismatch
                  FROM marked
                 WHERE card.id = marked.id
                   AND (marked.old_count, marked.old_mismatch)
                       IS DISTINCT FROM (marked.visit_count, marked.effort_mismatch)
                """,
                company=company.id,
                after=today - relativedelta(months=EFFORT_MONTHS),
                today=today,
                among=among,
                counted=counted,
                looked_at=looked_at,
                best=tier_ids[:1],
                others=tier_ids[1:],
            )
        )
        self.invalidate_model(["visit_count", "effort_mismatch"])
