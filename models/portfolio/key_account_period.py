from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from .period import get_figures_sql, get_moves_sql, get_period

COMPARISONS = {"<": SQL("<"), "<=": SQL("<="), ">": SQL(">"), ">=": SQL(">=")}
# {field: column of the figures}
FIGURES = {
    "period_revenue": "revenue",
    "period_margin": "margin",
    "period_visit_count": "visits",
    "period_hours": "hours",
}
MOVES = {"period_from_tier_id": "from_tier_id", "period_to_tier_id": "to_tier_id"}


class KeyAccount(models.Model):
    """Figures of a period, for what the portfolio opens. The context names the period
    (``portfolio_from`` and ``portfolio_to``, both days included); without one it is the
    window of the tiering policy. Nothing is stored."""

    _inherit = "key.account"

    period_revenue = fields.Monetary(
        string="Revenue of the Period",
        compute="_compute_period_figures",
        search="_search_period_revenue",
        help="Untaxed revenue of the portfolio's period, credit notes subtracted.",
    )
    period_margin = fields.Monetary(
        string="Margin of the Period",
        compute="_compute_period_figures",
        search="_search_period_margin",
        help="Untaxed revenue of the portfolio's period less cost.",
    )
    period_visit_count = fields.Integer(
        string="Visits of the Period",
        compute="_compute_period_figures",
        search="_search_period_visit_count",
        help="Done visits of the portfolio's period, calls and mails not counted.",
    )
    period_hours = fields.Float(
        string="Hours of the Period",
        compute="_compute_period_figures",
        search="_search_period_hours",
        digits=(16, 2),
        help="Hours of the done visits, calls and mails of the portfolio's period: "
        "those of the meeting, else the company's length of a meeting; a call or mail "
        "takes a quarter of it.",
    )
    period_from_tier_id = fields.Many2one(
        "key.account.tier",
        string="Moved from Tier",
        compute="_compute_period_tiers",
        search="_search_period_from_tier_id",
        help="Tier at the beginning of the portfolio's period, if it ended in another "
        "one.",
    )
    period_to_tier_id = fields.Many2one(
        "key.account.tier",
        string="Moved to Tier",
        compute="_compute_period_tiers",
        search="_search_period_to_tier_id",
        help="Tier at the end of the portfolio's period, if it began in another one.",
    )

    @api.depends("revenue", "margin")
    @api.depends_context("portfolio_from", "portfolio_to")
    def _compute_period_figures(self):
        self.env.flush_all()
        found = {}
        for company, accounts in self._origin.grouped("company_id").items():
            period = self._get_context_period(company)
            figures = get_figures_sql(
                self.env, company, period, accounts.partner_id.ids
            )
            for row in self.env.execute_query_dict(figures):
                found[row["id"]] = row
        for account in self:
            row = found.get(account._origin.id, {})
            for name, column in FIGURES.items():
                account[name] = row.get(column, 0)

    @api.depends("tier_id")
    @api.depends_context("portfolio_from", "portfolio_to")
    def _compute_period_tiers(self):
        self.env.flush_all()
        found = {}
        for company, accounts in self._origin.grouped("company_id").items():
            moves = get_moves_sql(company, self._get_context_period(company))
            rows = self.env.execute_query_dict(
                SQL(
                    "SELECT * FROM (%s) AS move WHERE id = ANY(%s)", moves, accounts.ids
                )
            )
            found.update((row["id"], row) for row in rows)
        for account in self:
            row = found.get(account._origin.id, {})
            for name, column in MOVES.items():
                account[name] = row.get(column)

    def _search_period_revenue(self, operator, value):
        return self._search_period("period_revenue", operator, value)

    def _search_period_margin(self, operator, value):
        return self._search_period("period_margin", operator, value)

    def _search_period_visit_count(self, operator, value):
        return self._search_period("period_visit_count", operator, value)

    def _search_period_hours(self, operator, value):
        return self._search_period("period_hours", operator, value)

    def _search_period_from_tier_id(self, operator, value):
        return self._search_moved("from_tier_id", operator, value)

    def _search_period_to_tier_id(self, operator, value):
        return self._search_moved("to_tier_id", operator, value)

    def _search_period(self, name, operator, value):
        """Search by a figure of the period, compared with a number."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = None
        if number is None or operator not in COMPARISONS:
            raise UserError(
                self.env._(
                    "Compare “%s” with a number, by < or >.",
                    self._fields[name]._description_string(self.env),
                )
            )
        self.env.flush_all()
        figures = SQL(" UNION ALL ").join(
            SQL(
                "SELECT id FROM (%s) AS figures WHERE %s %s %s",
                get_figures_sql(self.env, company, self._get_context_period(company)),
                SQL.identifier(FIGURES[name]),
                COMPARISONS[operator],
                number,
            )
            for company in self._get_searched_companies()
        )
        return Domain("id", "in", SQL("(%s)", figures))

    def _search_moved(self, column, operator, value):
        """Search by a tier that accounts moved from or to; False: none, also of those
        that didn't move."""
        if operator != "in":
            return NotImplemented
        self.env.flush_all()
        moves = SQL(" UNION ALL ").join(
            SQL("(%s)", get_moves_sql(company, self._get_context_period(company)))
            for company in self._get_searched_companies()
        )
        moves = SQL("SELECT id, %s AS tier_id FROM (%s) AS move", SQL(column), moves)
        tier_ids = [id_ for id_ in value if id_]
        domain = Domain(
            "id",
            "in",
            SQL("(SELECT id FROM (%s) AS m WHERE tier_id = ANY(%s))", moves, tier_ids),
        )
        if False in value:
            domain |= Domain(
                "id",
                "not in",
                SQL("(SELECT id FROM (%s) AS m WHERE tier_id IS NOT NULL)", moves),
            )
        return domain

    def _get_context_period(self, company):
        return get_period(
            self.env,
            company,
            self.env.context.get("portfolio_from"),
            self.env.context.get("portfolio_to"),
        )

    def _get_searched_companies(self):
        return self.env.companies
