from odoo import api, fields, models
from odoo.tools import SQL

from ..const import RELATIONSHIP_LEVELS
from ..models.account import clock
from ..models.account.key_account_shown import open_dialog

# More than there will ever be criteria: makes an id of an account's and a criterion's.
ID_FACTOR = 100000


class KeyAccountRelationshipStatus(models.Model):
    """Which criteria of the ladder hold for which account, evaluated when asked. The
    accounts keep what the same query says in sum (``_refresh_relationships``)."""

    _name = "key.account.relationship.status"
    _inherit = "key.account.shown"
    _description = "Relationship Evidence by Criterion"
    _auto = False
    _order = "level_number, sequence, id"
    _rec_name = "criterion_id"

    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    user_id = fields.Many2one("res.users", string="Salesperson", readonly=True)
    criterion_id = fields.Many2one(
        "key.account.relationship.criterion",
        readonly=True,
    )
    level = fields.Selection(RELATIONSHIP_LEVELS, readonly=True)
    level_number = fields.Integer(is_internal=True, readonly=True, aggregator=None)
    sequence = fields.Integer(is_internal=True, readonly=True, aggregator=None)
    kind = fields.Selection(related="criterion_id.kind")
    state = fields.Selection(
        [("holds", "Holds"), ("lapsed", "Lapsed"), ("missing", "Missing")],
        readonly=True,
    )
    actual = fields.Float(readonly=True, aggregator=None)
    finding = fields.Char(compute="_compute_finding", help="What was found.")
    date = fields.Date(readonly=True, string="Last Proof")
    date_lapse = fields.Date(readonly=True, string="Lapses On")
    evidence_id = fields.Many2one(
        "key.account.relationship.evidence", readonly=True, is_internal=True
    )
    note = fields.Text(related="evidence_id.note")
    said_by_id = fields.Many2one(related="evidence_id.user_id", string="Said By")

    @property
    def _table_query(self):
        companies = self.env.companies
        # The screen of one account: reading by id says nothing of it.
        account_id = self.env.context.get("key_account_partner_id")
        return SQL(
            """
            SELECT card_id::bigint * %(factor)s + criterion_id AS id,
                   (ARRAY[%(levels)s])[level_number] AS level, status.*
              FROM (%(status)s) AS status
            """,
            factor=ID_FACTOR,
            levels=SQL(", ").join(SQL("%s", level) for level, _ in RELATIONSHIP_LEVELS),
            status=self.env["key.account.relationship.criterion"]._get_status_sql(
                {company.id: clock.get_today(company) for company in companies},
                [account_id] if isinstance(account_id, int) else None,
            ),
        )

    @api.depends("actual", "criterion_id")
    @api.depends_context("lang")
    def _compute_finding(self):
        for status in self:
            # sudo: a branch is asked by the criteria of its parent
            measure = status.criterion_id.sudo()._get_measure()
            if measure:
                status.finding = measure.explain_figure(status.actual)
            elif status.evidence_id.date_withdrawn:
                status.finding = self.env._("Withdrawn: %s", status.note)
            else:
                status.finding = status.note

    def action_confirm(self):
        """Open the form that records evidence for a judged criterion."""
        self.ensure_one()
        return open_dialog(
            self.env._("Record Evidence"),
            "key.account.relationship.evidence",
            partner_id=self.partner_id.id,
            company_id=self.company_id.id,
            criterion_id=self.criterion_id.id,
        )

    def action_withdraw(self):
        self.ensure_one()
        self.evidence_id.action_withdraw()
