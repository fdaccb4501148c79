from odoo import api, fields, models
from odoo.tools import SQL

from ..account import columns

# Decisions that move a due date
DECIDED_COLUMNS = {
    "executive_sponsor_id",
    "is_excluded",
    "relationship_level",
    "tier_id",
    "visit_interval_days",
}


class KeyAccount(models.Model):
    _inherit = "key.account"

    due_ids = fields.One2many(
        "key.account.due", "account_id", readonly=True, is_internal=True
    )
    is_overdue = fields.Boolean(
        compute="_compute_is_overdue",
        search="_search_is_overdue",
        help="On a track the due date has passed, whether a visit is planned or not; "
        "or the day has of a visit that a person planned.",
    )
    days_overdue = columns.Integer(
        string="Visit Days Late",
        sql="_get_days_overdue_sql",
        compute="_compute_is_overdue",
        aggregator="max",
        help="Since the due date, whatever day a visit is planned for: of the reader's "
        "own visit first, then of the salesperson's, then of an executive's.",
    )
    overdue_user_id = fields.Many2one(
        "res.users",
        string="Whose Visit Is Late",
        compute="_compute_is_overdue",
        is_internal=True,
        help="The executive whose visit is late; empty: the salesperson's is.",
    )
    next_due_date = columns.Date(
        string="Next Due",
        sql="_get_next_due_date_sql",
        compute="_compute_next_due_date",
        search=columns.search_column("next_due_date"),
        help="The earliest day that the cadence asks for, on any track.",
    )

    @api.depends("due_ids.date_due")
    def _compute_next_due_date(self):
        for account in self:
            account.next_due_date = min(
                account.due_ids.mapped("date_due"), default=False
            )

    def _get_next_due_date_sql(self, alias, _name):
        return SQL(
            "(SELECT MIN(due.date_due) FROM key_account_due due"
            " WHERE due.account_id = %s)",
            SQL.identifier(alias, "id"),
        )

    def _get_days_overdue_sql(self, alias, _name):
        return SQL(
            "COALESCE((SELECT days FROM %s AS overdue WHERE overdue.id = %s"
            " ORDER BY place, days DESC LIMIT 1), 0)",
            self._get_overdue_sql(),
            SQL.identifier(alias, "id"),
        )

    @api.depends("due_ids.date_due", "next_visit_date")
    @api.depends_context("tz", "uid")
    def _compute_is_overdue(self):
        self.env["key.account.visit"].flush_model()
        self.env["key.account.due"].flush_model()
        rows = self.env.execute_query(
            SQL(
                "SELECT DISTINCT ON (id) id, days, executive_id FROM %s AS overdue"
                " WHERE id = ANY(%s) ORDER BY id, place, days DESC",
                self._get_overdue_sql(),
                self.ids,
            )
        )
        late = {account_id: told for account_id, *told in rows}
        for account in self:
            account.is_overdue = account.id in late
            account.days_overdue, account.overdue_user_id = late.get(
                account.id, (0, False)
            )

    def _search_is_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        self.env["key.account.visit"].flush_model()
        self.env["key.account.due"].flush_model()
        return columns.is_among("id", self._get_overdue_sql(), "id")

    @api.model
    def _get_overdue_sql(self):
        """Return a query for ``id`` and ``days`` of the accounts that are overdue: on a
        track the due date has passed, or that of a planned visit; what a person planned
        has its day alone. ``place`` says which of several the reader is told of,
        ``executive_id`` whose visit it is, if it is an executive's."""
        today = fields.Date.context_today(self)
        place = SQL(
            "CASE WHEN user_id = %s THEN 0 WHEN track != 'executive' THEN 1 ELSE 2 END",
            self.env.uid,
        )
        executive = SQL("CASE WHEN track = 'executive' THEN user_id END")
        return SQL(
            """(
            SELECT account_id AS id, %(today)s::date - date_due AS days,
                   %(place)s AS place, %(executive)s AS executive_id
              FROM key_account_due
             WHERE account_id IS NOT NULL AND date_due < %(today)s
             UNION ALL
            SELECT card.id,
                   %(today)s::date - COALESCE(visit.date_due, visit.date_planned),
                   visit.place, visit.executive_id
              FROM (SELECT *, %(place)s AS place, %(executive)s AS executive_id
                      FROM key_account_visit) AS visit
              JOIN key_account card
                ON card.partner_id = visit.partner_id
               AND card.company_id = visit.company_id
             WHERE visit.state = 'planned'
               AND COALESCE(visit.date_due, visit.date_planned) < %(today)s
            )""",
            executive=executive,
            place=place,
            today=today,
        )

    def _follow_decisions(self, columns):
        # before visits are planned by it
        if DECIDED_COLUMNS & columns:
            self.env["key.account.due"]._refresh_touched(
                self.partner_id.ids, companies=self.company_id
            )
        return super()._follow_decisions(columns)

    @api.model
    def _update_losses(self, partner_ids):
        res = super()._update_losses(partner_ids)
        self.env["key.account.due"].sudo()._refresh_touched(partner_ids)
        return res

    @api.model
    def _update_engagement_stages(self, company, partner_ids=None):
        changed = super()._update_engagement_stages(company, partner_ids)
        if company.sudo().key_account_planning:
            self.env["key.account.due"].sudo()._refresh(company, changed, [])
        return changed
