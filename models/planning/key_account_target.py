from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.tools import SQL, split_every

from ...engine import figures
from ..account import clock
from ..account.differing import get_columns_sql, insert_rows
from .key_account_cadence import TRACKS

INSERT_SIZE = 10000
ASKED_COLUMNS = (
    "partner_id",
    "lead_id",
    "track",
    "user_id",
    "account_user_id",
    "team_id",
    "tier_id",
)


class KeyAccountTarget(models.Model):
    """How many visits the cadence asked for in a month, as it was when the month began.
    Never changed afterwards: another tier, cadence or salesperson counts from the next
    month on, so that the figures of the past stay what they were."""

    _name = "key.account.target"
    _inherit = ["key.account.mixin"]
    _description = "Visit Target"
    _order = "month desc, id"
    _rec_name = "partner_id"

    month = fields.Date(required=True, readonly=True, help="First day of the month.")
    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        readonly=True,
        index="btree_not_null",
        ondelete="cascade",
    )
    lead_id = fields.Many2one(
        "crm.lead",
        readonly=True,
        index="btree_not_null",
        ondelete="cascade",
        help="The lead, while it had no customer.",
    )
    track = fields.Selection(TRACKS, required=True, readonly=True)
    user_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        readonly=True,
        index=True,
        ondelete="set null",
        help="Who was to make the visits when the month began.",
    )
    team_id = fields.Many2one(
        "crm.team",
        string="Sales Team",
        readonly=True,
        ondelete="set null",
    )
    tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        ondelete="restrict",
        help="Tier of the customer when the month began.",
    )
    planned_count = fields.Integer(
        string="Planned Visits",
        required=True,
        readonly=True,
    )

    _account_or_lead = models.Constraint(
        "CHECK(partner_id IS NOT NULL OR lead_id IS NOT NULL)",
        "A target needs a customer or a lead.",
    )
    _partner_uniq = models.UniqueIndex(
        "(company_id, month, track, partner_id) WHERE partner_id IS NOT NULL",
    )
    _lead_uniq = models.UniqueIndex(
        "(company_id, month, track, lead_id) WHERE partner_id IS NULL",
    )

    @api.model_create_multi
    def create(self, vals_list):
        targets = super().create(vals_list)
        self.env["crm.lead"]._forget_key_account_records()
        return targets

    @api.model
    def _freeze(self, company, today=None):
        """Note how many visits the cadence asks for in the current month, once a month.

        The month counts from its first day; in the first month of planning, from today.
        Doesn't commit. A fixed number of queries, and one for 10,000 targets.

        :param date today: default: today in the time zone of the company
        :return: the targets made, none if the month has some already
        """
        targets = self.sudo()
        today = today or clock.get_today(company)
        month = today.replace(day=1)
        previous = month - relativedelta(months=1)
        frozen = targets.search_fetch(
            [("company_id", "=", company.id), ("month", "in", [previous, month])],
            ["month"],
            order="month DESC",
            limit=1,
        )
        if frozen.month == month:
            return targets.browse()
        start = month if frozen else today
        rows = []
        for *asked, first_due, count, unit, is_lost in self.env.execute_query(
            self._get_asked_sql(company)
        ):
            number = self._count_due_dates(first_due, count, unit, is_lost, start)
            if number:
                rows.append((*asked, month, company.id, number))
        names = [*ASKED_COLUMNS, "month", "company_id", "planned_count"]
        made = targets.browse()
        for batch in split_every(INSERT_SIZE, rows):
            made += insert_rows(targets, names, batch)
        self.env["crm.lead"]._forget_key_account_records()
        return made

    @api.model
    def _get_asked_sql(self, company):
        """Return a query for what the cadence asks for: :data:`ASKED_COLUMNS`, the due
        date, count and unit of the interval, and whether the account is lost."""
        for model in ("key.account", "key.account.cadence", "key.account.due"):
            self.env[model].flush_model()
        return SQL(
            """
            SELECT %(columns)s, due.date_due,
                   COALESCE(own.days, line.interval_count),
                   CASE WHEN own.days IS NULL THEN line.interval_unit ELSE 'day' END,
                   due.loss_id IS NOT NULL
              FROM key_account_due due
              JOIN key_account_cadence line ON line.id = due.cadence_id
              LEFT JOIN key_account card ON card.id = due.account_id
             CROSS JOIN LATERAL (
                   SELECT CASE WHEN due.track = 'visit'
                                    AND due.days = card.visit_interval_days
                               THEN due.days END AS days) AS own
             WHERE due.company_id = %(company)s
             ORDER BY due.track DESC, due.partner_id, due.lead_id
            """,
            columns=get_columns_sql("due", ASKED_COLUMNS),
            company=company.id,
        )

    @api.model
    def _count_due_dates(self, first_due, count, unit, is_lost, start):
        """Return how many visits are asked for from ``start`` to the end of the
        month."""
        end = start + relativedelta(day=31)
        if is_lost:
            # one visit to win the account back
            return int(first_due <= end)
        return figures.count_due_dates(first_due, count, unit, start, end)

    @api.model
    def _follow_commercial_entity(self, partners):
        """Give the targets of partners that became contacts to their company."""
        for partner in self.search([("partner_id", "in", partners.ids)]).partner_id:
            if partner != partner.commercial_partner_id:
                self._merge(partner, partner.commercial_partner_id)

    @api.model
    def _merge(self, sources, destination):
        """Give the targets of customers or leads that are merged to ``destination``, as
        their visits are. What was planned at both adds up."""
        column = "partner_id" if destination._name == "res.partner" else "lead_id"
        targets = self.search([(column, "in", (sources | destination).ids)], order="id")
        for group in targets.grouped(
            lambda target: (target.company_id, target.month, target.track)
        ).values():
            own = group.filtered(lambda target: target[column] == destination)
            kept = (own or group)[:1]
            planned_count = sum(group.mapped("planned_count"))
            (group - kept).unlink()
            kept.write({column: destination.id, "planned_count": planned_count})
