from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL, split_every

from ...const import (
    BATCH_SIZE,
    ENGAGEMENT_STAGES,
    LOWEST_LEVEL,
    RELATIONSHIP_LEVELS,
)
from . import bounds, clock
from .attempts import do_each
from .engagement_stages import update_engagement_stages
from .key_account_engagement import VALUE_TYPES
from .key_account_shown import open_partner
from .outsiders import get_outsiders_sql
from .receiving import ReceivingHours, get_words

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
    "key_account_receiving_hours": "receiving_hours",
    "key_account_is_excluded": "is_excluded",
    "key_account_group_id": "chosen_group_id",
    "key_account_wallet": "wallet",
    "account_competition": "competition",
    "account_accessibility": "accessibility",
    "account_buying_process": "buying_process",
    "account_quality_standards": "quality_standards",
}
# Decisions whose history is kept on the account itself: a list of no more than this
JUDGED = [
    "value_type",
    "competition",
    "accessibility",
    "buying_process",
    "quality_standards",
]
MOST_JUDGEMENTS = 100
# What people judge of a customer, from the lowest: a scorecard gives points for it.
JUDGEMENTS = [("low", "Low"), ("medium", "Medium"), ("high", "High")]
TIER_DECISIONS = {
    "account_tier_id",
    "account_tier_locked_until",
    "account_tier_lock_reason",
}


class KeyAccount(models.Model):
    """A customer in a company: what people decided about it, and what was measured.

    One row per commercial partner and company. Customers and their contacts show it in
    fields of their own and write decisions through them (:meth:`_decide`). What is
    measured is a matter of the rooms that measure it, each with its columns, written in
    SQL: figures, coverage and evidence, due dates, visits. The salesperson and the
    visit dates are copies, kept in step by the models that own them, so that lists and
    record rules need no join.

    What follows from here in other rooms they add to :meth:`_log_decisions`,
    :meth:`_get_histories`, :meth:`_follow_decisions`, :meth:`_get_silent_values`,
    :meth:`_get_coverage_sql`, :meth:`_update_losses` and
    :meth:`_update_engagement_stages`; what a night has to look at, to
    :meth:`_get_watched_records` and the two methods behind it.
    """

    _name = "key.account"
    _inherit = "key.account.located"
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
    currency_id = fields.Many2one(is_internal=True, related="company_id.currency_id")
    user_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        readonly=True,
        index=True,
        ondelete="set null",
    )
    is_account = fields.Boolean(
        readonly=True,
        help="Was invoiced, has a confirmed order or a lead in this company.",
    )
    # A night's run measures it, though nothing that is still there tells to.
    is_touched = fields.Boolean(is_internal=True, readonly=True)
    tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        ondelete="restrict",
    )
    tier_color = fields.Integer(
        is_internal=True, related="tier_id.color", aggregator=None
    )
    tier_since = bounds.Date(readonly=True)
    tier_locked_until = bounds.Date(
        readonly=True,
        help="Until this day, included, the tiering run leaves the tier alone.",
    )
    tier_lock_reason = bounds.Char(string="Lock Reason", readonly=True)
    engagement_stage = fields.Selection(
        ENGAGEMENT_STAGES,
        readonly=True,
        help="What is going on: a quotation was sent and holds, a contract is running, "
        "an opportunity or a lead is open, or none of these: a target.",
    )
    relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        required=True,
        readonly=True,
        default=LOWEST_LEVEL,
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
    visit_interval_days = bounds.Integer(
        string="Own Visit Interval (days)",
        readonly=True,
        aggregator=None,
        bounds=(0, bounds.MAX_DAYS),
        help="Visits are planned every so many days; 0: by the cadence.",
    )
    receiving_hours = ReceivingHours(
        readonly=True,
        help="Weekdays, hours and closing days as in "
        "“Mo-We,Fr 08:00-12:00; closed 2026-08-01/2026-08-31”; empty: always.",
    )
    is_excluded = fields.Boolean(
        string="Not an Account",
        readonly=True,
        help="Takes no share of the figures and gets no visit, whatever it buys.",
    )
    chosen_group_id = fields.Many2one(
        "res.partner",
        is_internal=True,
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="The corporate group that somebody chose; empty: as the parent companies "
        "say.",
    )
    wallet = bounds.Monetary(
        string="Purchase Potential",
        readonly=True,
        bounds=(0, bounds.MAX_AMOUNT),
        help="What the customer buys in a year, from all its suppliers, of what we "
        "sell: estimated by the salesperson, on the customer.",
    )
    competition = fields.Selection(
        JUDGEMENTS,
        readonly=True,
        help="How strong others are with this customer; set on the customer.",
    )
    accessibility = fields.Selection(
        JUDGEMENTS,
        readonly=True,
        help="How far the customer accepts us and what we sell; set on the customer.",
    )
    buying_process = fields.Selection(
        JUDGEMENTS,
        string="Formal Buying Process",
        readonly=True,
        help="How far a team decides by a regular process; set on the customer.",
    )
    quality_standards = fields.Selection(
        JUDGEMENTS,
        readonly=True,
        help="How strict the customer is about quality; set on the customer.",
    )
    # {"field", "before", "after", "user", "date"}, the last one first
    judgements = fields.Json(is_internal=True, readonly=True)
    judgement_history = fields.Text(
        compute="_compute_judgement_history",
        help="Who judged what, and when.",
    )
    is_lost = fields.Boolean(readonly=True)
    lost_date = fields.Date(string="Lost On", readonly=True, aggregator="max")

    _partner_company_uniq = models.Constraint(
        "UNIQUE(partner_id, company_id)",
        "A customer is one account per company.",
    )
    _company_excluded_idx = models.Index("(company_id) WHERE is_excluded")
    _company_touched_idx = models.Index("(company_id) WHERE is_touched")
    # Whom planning has to treat apart; no row where nobody uses it.
    _company_receiving_idx = models.Index(
        "(company_id) WHERE receiving_hours IS NOT NULL"
    )
    # Few accounts are above the lowest level, and those are looked for.
    _company_level_idx = models.Index(
        "(company_id, relationship_level) WHERE relationship_level != 'transactional'"
    )

    @api.depends("partner_id")
    def _compute_display_name(self):
        for account in self:
            # sudo: whoever may read the account may read whose it is
            account.display_name = account.partner_id.sudo().display_name

    @api.depends("judgements")
    @api.depends_context("lang")
    def _compute_judgement_history(self):
        known = [each for account in self for each in account.judgements or []]
        # sudo: whoever may read the account may read who judged it
        users = self.env["res.users"].sudo().browse({each["user"] for each in known})
        names = {user.id: user.name for user in users.exists()}
        labels = {
            name: (
                self._fields[name]._description_string(self.env),
                dict(self._fields[name]._description_selection(self.env)),
            )
            for name in JUDGED
        }
        for account in self:
            lines = []
            for each in account.judgements or []:
                label, values = labels[each["field"]]
                lines.append(
                    self.env._(
                        "%(date)s, %(user)s: %(field)s %(before)s → %(after)s",
                        date=clock.format_day(
                            self.env, fields.Date.to_date(each["date"])
                        ),
                        user=names.get(each["user"], "–"),
                        field=label,
                        before=values.get(each["before"], "–"),
                        after=values.get(each["after"], "–"),
                    )
                )
            account.judgement_history = "\n".join(lines)

    # -------------------------------------------------------------------------
    # Constraints
    # -------------------------------------------------------------------------

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

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        accounts = super().create(vals_list)
        if accounts:
            self.env["res.partner"]._forget_key_accounts()
        return accounts

    def write(self, vals):
        if not self:
            return super().write(vals)
        if "tier_id" in vals and "tier_since" not in vals:
            self._date_tiers(vals["tier_id"])
        res = super().write(vals)
        if not vals.keys().isdisjoint(DECISIONS.values()):
            # first: leads are computed from what customers show
            self.env["res.partner"]._forget_key_accounts()
            self._follow_decisions(vals.keys())
        return res

    def unlink(self):
        res = super().unlink()
        if self:
            self.env["res.partner"]._forget_key_accounts()
        return res

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
                    values["relationship_level"] or LOWEST_LEVEL
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
            if changes:
                vals = dict(changes)
                same._log_decisions(vals)
                same.write(vals)

    def _log_decisions(self, vals):
        """Keep in the history what somebody is about to decide about the accounts.

        :param dict vals: {column: value}, see :data:`DECISIONS`
        """
        judged = [name for name in JUDGED if name in vals]
        if not judged:
            return
        for account in self:
            new = [
                {
                    "field": name,
                    "before": account[name],
                    "after": vals[name],
                    "user": self.env.uid,
                    "date": str(clock.get_today(account.company_id)),
                }
                for name in judged
            ]
            account.judgements = (new + (account.judgements or []))[:MOST_JUDGEMENTS]

    @api.model
    def _get_histories(self):
        """Return what is kept in a history, by column of the account: (model of the
        changes, their field for what was before, their field for what is then)."""
        return {}

    @api.model
    def _complete_history(self, company, partner_ids=None):
        """Keep in the history what is in force where that ends with something else:
        two accounts were merged, or two transactions decided side by side.

        :param partner_ids: limit to these customers
        """
        self.env.flush_all()
        for column, (model, before, after) in self._get_histories().items():
            changes = self.env[model].sudo()
            rows = self.env.execute_query(
                SQL(
                    """
                    SELECT account.partner_id, last.%(after)s, account.%(column)s
                      FROM (%(last)s) AS last
                      JOIN key_account account
                        ON account.partner_id = last.partner_id
                       AND account.company_id = last.company_id
                     WHERE account.%(column)s IS NOT NULL
                       AND account.%(column)s IS DISTINCT FROM last.%(after)s
                    """,
                    column=SQL.identifier(column),
                    after=SQL.identifier(after),
                    last=self._get_last_change_sql(
                        changes._table, company, partner_ids
                    ),
                )
            )
            changes.create(
                [
                    {
                        "partner_id": partner_id,
                        "company_id": company.id,
                        before: old,
                        after: new,
                        "state": "applied",
                        "reason": self.env._("Taken over, or decided at the same time"),
                        "date": clock.get_today(company),
                    }
                    for partner_id, old, new in rows
                ]
            )

    @api.model
    def _get_last_change_sql(self, table, company, partner_ids=None):
        """Return a query for what was decided last about each account.

        :param str table: of the changes
        """
        return SQL(
            """
            SELECT DISTINCT ON (partner_id) *
              FROM %(table)s
             WHERE company_id = %(company)s
               AND state = 'applied'
               AND %(scope)s
             ORDER BY partner_id, id DESC
            """,
            table=SQL.identifier(table),
            company=company.id,
            scope=SQL("TRUE")
            if partner_ids is None
            else SQL("partner_id = ANY(%s)", list(partner_ids)),
        )

    def _follow_decisions(self, columns):
        """Bring what depends on decisions about these accounts in step.

        :param columns: those that were written, see :data:`DECISIONS`
        """
        if "is_excluded" in columns:
            # the next run places them, or takes their tier and their share
            self._touch(self.partner_id)

    @api.model
    def _is_watched(self):
        """Return whether an automation rule waits for what becomes of accounts: it
        hears of what is written through the ORM, not of statements."""
        rules = self.env.get("base.automation")
        return rules is not None and bool(
            rules.sudo().search_count([("model_id.model", "=", self._name)], limit=1)
        )

    def _give_tier(self, tier_id, day):
        """Give these accounts a tier through the ORM, a batch at a time; one that a
        rule refuses keeps no other one from it."""
        self.invalidate_recordset()
        for batch in split_every(BATCH_SIZE, self.ids, self.browse):
            do_each(
                batch,
                lambda each: each.write({"tier_id": tier_id, "tier_since": day}),
            )

    def _date_tiers(self, tier_id):
        """Note that the accounts are in a tier, or in none, as of today."""
        for company, accounts in self.grouped("company_id").items():
            accounts.tier_since = clock.get_today(company) if tier_id else False

    # -------------------------------------------------------------------------
    # Whom a night measures
    # -------------------------------------------------------------------------

    @api.model
    def _get_watched_records(self, company):
        """Return the configuration that what is known about accounts depends on, a list
        of recordsets: where it changed, everybody is measured."""
        return []

    @api.model
    def _get_watched_months(self, company):
        """Return the ages in months at which orders and invoices, and closed leads,
        begin or cease to count, as two sets."""
        return set(), set()

    @api.model
    def _get_touched_sql(self, company, today):
        """Return queries for the ids of customers whose figures changed since the last
        run, though none of their documents did.

        :param date today: the day of the run
        """
        return [
            SQL(
                "SELECT partner_id FROM key_account"
                " WHERE company_id = %s AND is_touched",
                company.id,
            ),
            # those that are none any more
            SQL(
                """
                SELECT partner_id
                  FROM key_account
                 WHERE company_id = %(company)s
                   AND partner_id IN (%(outsiders)s)
                   AND (is_account OR tier_id IS NOT NULL)
                """,
                company=company.id,
                outsiders=get_outsiders_sql(self.env, company),
            ),
        ]

    @api.model
    def _get_related_sql(self, company, today):
        """Return queries for the ids of customers about whose relationship something
        changed since the last run, or counts by the day alone.

        :param date today: the day of the run
        """
        return []

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

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_open_partner(self):
        return open_partner(self)

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _copy_salesperson(self):
        for user, accounts in self.grouped(
            lambda account: account.partner_id.user_id
        ).items():
            accounts.user_id = user

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
                *(([name], others.filtered(name)) for name in JUDGED),
                (["visit_interval_days"], others.filtered("visit_interval_days")),
                (["receiving_hours"], others.filtered("receiving_hours")),
                (["wallet"], others.filtered("wallet")),
                (["chosen_group_id"], others.filtered("chosen_group_id")),
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
            judged = [name for name in JUDGED if name in vals]
            if judged:
                vals["judgements"] = kept._merge_judgements(others, judged)
            others.unlink()
            if vals:
                kept.write(vals)
        return inherited

    def _merge_judgements(self, others, names):
        """Return the account's history of judgements with that of ``others``, of what
        it takes over from them: of each of ``names`` from the first that says it."""
        history = list(self.judgements or [])
        for name in names:
            said = others.filtered(name)[:1]
            history += [each for each in said.judgements or [] if each["field"] == name]
        history.sort(key=lambda each: each["date"], reverse=True)
        return history[:MOST_JUDGEMENTS]

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
    def _get_receiving_hours(self, keys):
        """Return {(partner id, company id): text of the receiving hours} of accounts
        that have some. One query.

        :param keys: pairs of a partner's id and a company's
        """
        keys = set(keys)
        # sudo: whoever may read what is planned may know when they receive
        accounts = self.sudo().search_fetch(
            [
                ("partner_id", "in", [partner_id for partner_id, _ in keys]),
                ("company_id", "in", list({company_id for _, company_id in keys})),
                ("receiving_hours", "!=", False),
            ],
            ["partner_id", "company_id", "receiving_hours"],
        )
        return {
            (account.partner_id.id, account.company_id.id): account.receiving_hours
            for account in accounts
        }

    @api.model
    def _get_receiving_words(self, text):
        """Return receiving hours in the user's language, see :func:`get_words`."""
        return get_words(self.env, text, fields.Date.context_today(self))

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
        self.env.cr.execute(self._get_ensure_sql(partner_ids, company))
        if self.env.cr.rowcount:
            self.env["res.partner"]._forget_key_accounts()

    @api.model
    def _get_ensure_sql(self, partner_ids, company):
        """Return the statement of :meth:`_ensure`."""
        return SQL(
            """
            INSERT INTO key_account
                   (partner_id, company_id, user_id, is_account, relationship_level)
            SELECT id, %(company)s, user_id, FALSE, 'transactional'
              FROM res_partner
             WHERE id = ANY(%(partners)s)
                ON CONFLICT (partner_id, company_id) DO NOTHING
            """,
            company=company.id,
            partners=list(partner_ids),
        )

    @api.model
    def _get_silent_values(self, company):
        """Return {column: SQL} of what is true of an account of ``company`` that nobody
        has visited, met or said anything about."""
        return {"engagement_stage": SQL("'target'")}

    @api.model
    def _get_coverage_sql(self, company, policies, today):
        """Return a query for ``partner_id`` and ``coverage``, in percent of the
        contacts that the best tier with any requires, of the accounts of ``company``
        with any coverage; None where nobody is required.

        By the best tier for all: by its own, an account that rises would have less of
        it, and fall back for that.

        :param list policies: whose tiers are asked, one after the other
        :param date today: the last day that counts
        """
        return None

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

    @api.model
    def _update_engagement_stages(self, company, partner_ids=None):
        """Note what is going on with the accounts of ``company``, see
        :mod:`.engagement_stages`.

        :param partner_ids: limits the accounts; None: all
        :return: ids of the customers whose stage changed
        """
        return update_engagement_stages(self.env, company, partner_ids)
