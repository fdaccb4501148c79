from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from ...const import LEVEL_NUMBERS, QUIET_DAYS, RELATIONSHIP_LEVELS
from ..account import bounds
from ..account.key_account_shown import open_partner


class KeyAccountRelationshipChange(models.Model):
    """Why a customer is on its level: the queue of proposals and the history in one."""

    _name = "key.account.relationship.change"
    _inherit = "key.account.change.mixin"
    _description = "Relationship Change"
    _dialog_field = "change_ids"
    _order = "date desc, id desc"
    _rec_name = "partner_id"
    # Who proposed and who decided is in fields of its own.
    _log_access = False

    from_level = fields.Selection(RELATIONSHIP_LEVELS, string="From", readonly=True)
    to_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        string="To",
        required=True,
        readonly=True,
    )
    level_number = fields.Integer(
        is_internal=True,
        string="Level (1-4)",
        compute="_compute_level_number",
        store=True,
        aggregator="max",
        help="1 transactional, 2 preferred supplier, 3 partner, 4 strategic alliance: "
        "to draw an account's way over time.",
    )
    direction = fields.Selection(
        [("promotion", "Promotion"), ("demotion", "Demotion")],
        compute="_compute_direction",
        store=True,
    )
    reason = bounds.Char(
        longest=bounds.LONGEST_TEXT,
        readonly=True,
        help="Why it was set or proposed; empty where lapsed evidence proposes.",
    )
    gap = fields.Json(is_internal=True, readonly=True)
    gap_text = fields.Char(
        string="Missing or Lapsed",
        compute="_compute_gap_text",
        help="Criteria that didn't hold when it was proposed or set.",
    )
    proposed_user_id = fields.Many2one(
        "res.users",
        string="Proposed By",
        readonly=True,
        help="Empty: by the evidence.",
    )
    note = bounds.Char(
        string="Decision Note",
        readonly=True,
        help="What was said when it was decided.",
    )
    date = fields.Date(
        help="Day of the decision; while there is none, of the proposal.",
    )
    date_proposed = fields.Date(
        string="Proposed On",
        readonly=True,
        default=fields.Date.context_today,
    )

    _proposed_uniq = models.UniqueIndex(
        "(partner_id, company_id) WHERE state = 'proposed'",
        "There is already a proposal for this customer: decide on that one first.",
    )

    @api.depends("to_level")
    def _compute_level_number(self):
        for change in self:
            change.level_number = LEVEL_NUMBERS.get(change.to_level, 0)

    @api.depends("from_level", "to_level")
    def _compute_direction(self):
        for change in self:
            up = LEVEL_NUMBERS.get(change.to_level, 0)
            down = LEVEL_NUMBERS.get(change.from_level, 1)
            change.direction = "promotion" if up > down else "demotion"

    @api.depends("gap")
    @api.depends_context("lang")
    def _compute_gap_text(self):
        criteria = self.env["key.account.relationship.criterion"]
        for change in self:
            change.gap_text = criteria._get_gap_text(change.gap)

    @api.depends("partner_id", "to_level")
    @api.depends_context("lang")
    def _compute_display_name(self):
        levels = dict(self._fields["to_level"]._description_selection(self.env))
        for change in self:
            # sudo: whoever may read the change may read whose it is
            customer = change.sudo().partner_id.display_name
            change.display_name = f"{customer} → {levels.get(change.to_level, '–')}"

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_open_partner(self):
        return open_partner(self)

    def action_apply(self, note=False):
        """Give the customers the proposed levels. For sales administrators.

        :param str note: what to keep in the history
        :raise UserError: if one of the changes is not a proposal any more
        """
        self._decide("applied", note)
        # sudo: whoever decides may, whosever accounts they are
        accounts = self.env["key.account"].sudo()
        for (company, level), changes in self.grouped(
            lambda change: (change.company_id, change.to_level)
        ).items():
            accounts._provide(
                changes.partner_id.ids, company
            ).relationship_level = level

    def action_reject(self, note=False):
        """Keep the levels in force. For sales administrators.

        :param str note: why; whoever proposed it reads it
        :raise UserError: if one of the changes is not a proposal any more, or without
            a reason
        """
        if not bounds.clean_text(note):
            raise UserError(
                self.env._("Say why you reject it: whoever proposed it wants to know.")
            )
        self._decide("rejected", note)

    def action_open_apply(self):
        return self._get_decision_action("applied", self.env._("Approve"))

    def action_open_reject(self):
        return self._get_decision_action("rejected", self.env._("Reject"))

    def _check_can_decide(self):
        self.check_access("read")
        if not self.env.su and not self.env.user.has_group(
            "sales_team.group_sale_manager"
        ):
            raise AccessError(
                self.env._("Only a sales administrator decides on proposed levels.")
            )
        decided = self.filtered(lambda change: change.state != "proposed")
        if decided:
            raise UserError(
                self.env._(
                    "The proposal for %s was decided already: refresh the list.",
                    decided[0].partner_id.display_name,
                )
            )

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    @api.model
    def _propose_demotions(self, company, today, partner_ids=None):
        """Propose a lower level where evidence for the one in force has lapsed or
        doesn't support it any more, and withdraw such proposals where it does again.
        Nobody is demoted by this, and nothing is proposed where the evidence never
        supported the level: whoever set it knew why.

        Not again within :data:`QUIET_DAYS` after somebody rejected it.
        """
        scope = SQL("card.company_id = %s", company.id)
        if partner_ids is not None:
            scope = SQL("%s AND card.partner_id = ANY(%s)", scope, list(partner_ids))
        lapsed = SQL(
            """
            card.relationship_direction = 'demotion'
            AND (card.is_evidence_fallen
                 OR card.relationship_gap @> '[{"state": "lapsed"}]')
            """
        )
        self.flush_model()
        self.env.cr.execute(
            SQL(
                "%s; %s",
                self._get_withdraw_sql(scope, lapsed, today),
                self._get_propose_sql(scope, lapsed, today),
            )
        )
        self.invalidate_model()

    def _get_withdraw_sql(self, scope, lapsed, today):
        """Return the statement that takes back what the evidence proposed and doesn't
        ask for any more.

        :param SQL scope: condition on the accounts, ``card``
        :param SQL lapsed: condition on those whose evidence asks for a lower level
        """
        return SQL(
            """
            UPDATE key_account_relationship_change change
               SET state = 'rejected', note = %(withdrawn)s, date = %(today)s
              FROM key_account card
             WHERE change.state = 'proposed'
               AND change.proposed_user_id IS NULL
               AND card.partner_id = change.partner_id
               AND card.company_id = change.company_id
               AND %(scope)s
               AND NOT COALESCE(%(lapsed)s
                   AND card.suggested_relationship_level = change.to_level, FALSE)
            """,
            withdrawn=self.env._("Withdrawn: the evidence changed."),
            today=today,
            scope=scope,
            lapsed=lapsed,
        )

    def _get_propose_sql(self, scope, lapsed, today):
        """Return the statement that proposes what the evidence asks for, where nothing
        is proposed and nobody has said no lately; see :meth:`_get_withdraw_sql`."""
        return SQL(
            """
            INSERT INTO key_account_relationship_change (
                   partner_id, company_id, partner_user_id, from_level, to_level,
                   level_number, direction, state, gap, date, date_proposed)
            SELECT card.partner_id, card.company_id, card.user_id,
                   card.relationship_level, card.suggested_relationship_level,
                   array_position(ARRAY[%(levels)s]::varchar[],
                                  card.suggested_relationship_level),
                   'demotion', 'proposed', card.relationship_gap, %(today)s,
                   %(today)s
              FROM key_account card
             WHERE %(scope)s
               AND %(lapsed)s
               AND NOT EXISTS (
                   SELECT FROM key_account_relationship_change rejected
                    WHERE rejected.partner_id = card.partner_id
                      AND rejected.company_id = card.company_id
                      AND rejected.state = 'rejected'
                      AND rejected.direction = 'demotion'
                      AND rejected.user_id IS NOT NULL
                      AND rejected.date > %(today)s::date - %(quiet)s)
               -- nor after somebody approved it, knowing what had lapsed
               AND NOT EXISTS (
                   SELECT FROM key_account_relationship_change approved
                    WHERE approved.partner_id = card.partner_id
                      AND approved.company_id = card.company_id
                      AND approved.state = 'applied'
                      AND approved.to_level = card.relationship_level
                      AND approved.user_id != approved.proposed_user_id
                      AND approved.gap @> '[{"state": "lapsed"}]'
                      AND approved.date > %(today)s::date - %(quiet)s)
                ON CONFLICT (partner_id, company_id) WHERE state = 'proposed'
                DO NOTHING
            """,
            levels=SQL(", ").join(SQL("%s", level) for level, _ in RELATIONSHIP_LEVELS),
            today=today,
            scope=scope,
            lapsed=lapsed,
            quiet=QUIET_DAYS,
        )
