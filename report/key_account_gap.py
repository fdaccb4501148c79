from odoo import api, fields, models
from odoo.tools import SQL

from ..const import DECISION_LEVELS
from ..models.account import clock
from ..models.account.key_account_shown import open_partner
from ..models.relationship.measures import get_present_sql

# More than there will ever be required contacts: makes an id of an account's and a
# cell's.
ID_FACTOR = 100000


class KeyAccountGap(models.Model):
    """The required contacts of accounts that nobody met within the tier's period, as
    the map of the buying centre marks them; over all accounts, worked out when asked.

    Coverage, which the account keeps, says how many there are (:mod:`.coverage`):
    accounts without a gap aren't looked at.
    """

    _name = "key.account.gap"
    _inherit = "key.account.shown"
    _description = "Gap in a Buying Centre"
    _auto = False
    _order = "account_rank, account_id, sequence, id"
    _rec_name = "partner_id"

    account_id = fields.Many2one("key.account", readonly=True, is_internal=True)
    account_rank = fields.Integer(readonly=True, aggregator=None, is_internal=True)
    sequence = fields.Integer(readonly=True, aggregator=None, is_internal=True)
    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    user_id = fields.Many2one("res.users", string="Salesperson", readonly=True)
    tier_id = fields.Many2one("key.account.tier", readonly=True)
    tier_color = fields.Integer(related="tier_id.color", is_internal=True)
    role_id = fields.Many2one("key.account.buying.role", readonly=True)
    decision_level = fields.Selection(DECISION_LEVELS, readonly=True)
    state = fields.Selection(
        [
            ("nobody", "Nobody known"),
            ("never", "Never met"),
            ("long_ago", "Met too long ago"),
        ],
        string="Gap",
        readonly=True,
    )
    contact_id = fields.Many2one(
        "res.partner",
        string="Whom to See",
        readonly=True,
        help="The contact on this place of the map whose last meeting is longest ago.",
    )
    last_met_date = fields.Date(
        string="Last Met",
        readonly=True,
        help="When somebody on this place was met last.",
    )

    @property
    def _table_query(self):
        return SQL(
            """
            %(known)s
            SELECT accounts.id::bigint * %(factor)s + cell.id AS id,
                   accounts.id AS account_id, accounts.rank AS account_rank,
                   cell.sequence, accounts.partner_id, accounts.company_id,
                   accounts.user_id, accounts.tier_id, cell.role_id,
                   cell.decision_level, MAX(known.day) AS last_met_date,
                   (ARRAY_AGG(known.id ORDER BY known.day NULLS FIRST, known.id))[1]
                       AS contact_id,
                   CASE WHEN COUNT(known.id) = 0 THEN 'nobody'
                        WHEN MAX(known.day) IS NULL THEN 'never'
                        ELSE 'long_ago' END AS state
              FROM accounts
              JOIN key_account_tier_cell cell ON cell.tier_id = accounts.tier_id
              LEFT JOIN known
                     ON known.account_id = accounts.id
                    AND COALESCE(cell.decision_level = known.decision_level,
                                 cell.decision_level IS NULL)
                    AND (cell.role_id IS NULL OR EXISTS (
                            SELECT FROM key_account_buying_role_partner_rel role
                             WHERE role.partner_id = known.id
                               AND role.role_id = cell.role_id))
             GROUP BY accounts.id, accounts.rank, cell.id, cell.sequence,
                      accounts.partner_id, accounts.company_id, accounts.user_id,
                      accounts.tier_id, cell.role_id, cell.decision_level,
                      accounts.today, accounts.coverage_months
            HAVING COALESCE(
                       MAX(known.day)
                       + make_interval(months => accounts.coverage_months)
                       <= accounts.today,
                       TRUE)
            """,
            known=self._get_known_sql(),
            factor=ID_FACTOR,
        )

    @api.model
    def _get_known_sql(self):
        """Return the expressions ``accounts``: those with a gap, and ``known``: whom we
        know there, and when we met them."""
        return SQL(
            """
            WITH todays (company_id, today) AS (VALUES %(todays)s),
            accounts AS (
                SELECT card.id, card.partner_id, card.company_id, card.user_id,
                       card.tier_id, card.rank, todays.today, tier.coverage_months
                  FROM key_account card
                  JOIN todays ON todays.company_id = card.company_id
                  JOIN key_account_tier tier ON tier.id = card.tier_id
                 WHERE card.is_account
                   AND card.is_lost IS NOT TRUE
                   AND card.covered_count < card.required_count
            ), met AS (
                SELECT rel.contact_id, visit.company_id, MAX(visit.date_done) AS day
                  FROM key_account_visit visit
                  JOIN todays ON todays.company_id = visit.company_id
                  JOIN key_account_visit_contact_rel rel ON rel.visit_id = visit.id
                 WHERE visit.state = 'done'
                   AND visit.date_done <= todays.today
                 GROUP BY rel.contact_id, visit.company_id
            ), known AS (
                SELECT accounts.id AS account_id, contact.id, contact.decision_level,
                       met.day
                  FROM accounts
                  JOIN todays ON todays.company_id = accounts.company_id
                  JOIN res_partner contact
                    ON contact.commercial_partner_id = accounts.partner_id
                   AND %(present)s
                  LEFT JOIN met
                         ON met.contact_id = contact.id
                        AND met.company_id = accounts.company_id
            )
            """,
            todays=SQL(", ").join(
                SQL("(%s, %s::date)", company.id, clock.get_today(company))
                for company in self.env.companies
            ),
            present=get_present_sql(self.env),
        )

    def action_open_partner(self):
        return open_partner(self)
