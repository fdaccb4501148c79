from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL


class KeyAccountScorecard(models.Model):
    """What the books say about a customer in a company.

    The figures are written by the tiering run alone, in SQL. The tier in force, the
    salesperson and the visit dates are copies, kept in step by the models that own
    them, so that lists and record rules need no join.
    """

    _name = "key.account.scorecard"
    _description = "Key Account"
    _order = "rank, id"
    _log_access = False
    _rec_name = "partner_id"

    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        readonly=True,
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
        help="Place among the company's accounts; equal figures share a place.",
    )
    cumulative_share = fields.Float(
        string="Cumulative Share (%)",
        digits=(16, 4),
        readonly=True,
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
    suggested_tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        ondelete="set null",
        help="The tier that the figures alone would give.",
    )
    last_visit_date = fields.Date(string="Last Visit", readonly=True, aggregator="max")
    next_visit_date = fields.Date(string="Next Visit", readonly=True, aggregator="min")
    is_overdue = fields.Boolean(
        compute="_compute_is_overdue",
        search="_search_is_overdue",
        help="The next visit should have taken place already.",
    )
    computed_at = fields.Datetime(
        related="company_id.key_account_computed_at",
        string="Figures As Of",
    )

    _partner_company_uniq = models.Constraint(
        "UNIQUE(partner_id, company_id)",
        "A customer has one scorecard per company.",
    )
    _company_rank_idx = models.Index("(company_id, rank)")

    @api.depends("next_visit_date")
    @api.depends_context("tz")
    def _compute_is_overdue(self):
        today = fields.Date.context_today(self)
        for card in self:
            card.is_overdue = bool(card.next_visit_date) and (
                card.next_visit_date < today
            )

    def _search_is_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain("next_visit_date", "<", fields.Date.context_today(self))

    @api.depends("partner_id")
    def _compute_display_name(self):
        for card in self:
            # sudo: whoever may read the card may read whose it is
            card.display_name = card.partner_id.sudo().display_name

    def action_open_partner(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "res.partner",
            "res_id": self.partner_id.id,
            "view_mode": "form",
        }

    def _copy_salesperson(self):
        for user, cards in self.grouped(lambda card: card.partner_id.user_id).items():
            cards.user_id = user

    @api.model
    def _ensure(self, partner_ids, company):
        """Make an empty scorecard for the customers that have none in ``company``:
        the next run fills it."""
        self.flush_model()
        self.env["res.partner"].flush_model(["user_id", "account_tier_id"])
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO key_account_scorecard
                       (partner_id, company_id, user_id, is_account, tier_id)
                SELECT id, %(company)s, user_id, FALSE,
                       (account_tier_id ->> %(company)s::text)::int
                  FROM res_partner
                 WHERE id = ANY(%(partners)s)
                    ON CONFLICT (partner_id, company_id) DO NOTHING
                """,
                company=company.id,
                partners=list(partner_ids),
            )
        )

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
                      FROM key_account_scorecard card
                      LEFT JOIN key_account_visit visit
                             ON visit.partner_id = card.partner_id
                            AND visit.company_id = card.company_id
                     WHERE card.partner_id = ANY(%(partners)s)
                     GROUP BY card.id
                )
                UPDATE key_account_scorecard card
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
        self.env["res.partner"].invalidate_model(
            ["key_account_scorecard_id", "last_visit_date", "next_visit_date"]
        )
        self.env["crm.lead"].invalidate_model(["last_visit_date", "next_visit_date"])
