from odoo import api, fields, models
from odoo.tools import SQL

from ...const import QUIET_DAYS, RELATIONSHIP_LEVELS
from ..account import clock, features, words
from .coverage import get_coverage_sql, update_coverage
from .ladder import get_silent_ladder, update_levels

# What is kept of relationships, where it is used
SWITCHED = {
    features.EVIDENCE: {
        "date_lapse",
        "is_evidence_fallen",
        "relationship_direction",
        "relationship_level",
        "suggested_relationship_level",
    },
    features.BUYING_CENTER: {
        "coverage",
        "covered_count",
        "is_single_threaded",
        "met_contact_count",
        "met_user_count",
        "required_count",
    },
}


class KeyAccount(models.Model):
    """How well we know the account (:mod:`.coverage`), and which level of relationship
    the evidence supports (:mod:`.ladder`): columns that are brought up to date by the
    run and whenever a visit, a contact or evidence changes."""

    _inherit = "key.account"
    _switched_fields = SWITCHED

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
        is_internal=True,
        readonly=True,
        help="The evidence supported the level in force, and doesn't any more.",
    )
    relationship_gap = fields.Json(is_internal=True, readonly=True)
    relationship_gap_text = fields.Char(
        string="Missing or Lapsed",
        compute="_compute_relationship_gap_text",
        help="Criteria of the level in force, or of the next one, that don't hold.",
    )
    date_lapse = fields.Date(
        is_internal=True,
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

    _company_lapse_idx = models.Index(
        "(company_id, date_lapse) WHERE date_lapse IS NOT NULL"
    )

    @api.depends("relationship_gap")
    @api.depends_context("lang")
    def _compute_relationship_gap_text(self):
        criteria = self.env["key.account.relationship.criterion"]
        for account in self:
            account.relationship_gap_text = criteria._get_gap_text(
                account.relationship_gap
            )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_accept_level(self):
        """Give the accounts the level that their evidence supports, or propose it, as
        far as the user may not set it, and say which of both."""
        self.check_access("read")
        differing = self.filtered("relationship_direction")
        given = self.browse()
        for (company, level, reason), accounts in differing.grouped(
            lambda account: (
                account.company_id,
                account.suggested_relationship_level,
                account._get_accept_reason(),
            )
        ).items():
            customers = accounts.partner_id.with_company(company)
            free = customers.filtered(lambda p, level=level: p._can_set_level(level))
            if free:
                free.with_context(key_account_reason=reason).relationship_level = level
                given |= accounts.filtered(
                    lambda account, free=free: account.partner_id in free
                )
            if customers - free:
                (customers - free)._propose_level(level, reason)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self._get_accept_text(given, differing - given),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    @api.model
    def _get_accept_text(self, given, proposed):
        """Return in words what became of accepted levels."""
        texts = []
        if len(given) == 1:
            texts.append(self.env._("%s has the new level.", given.display_name))
        elif given:
            texts.append(self.env._("%s accounts have the new level.", len(given)))
        if len(proposed) == 1:
            texts.append(
                self.env._(
                    "The change of %s is proposed: a sales administrator decides.",
                    proposed.display_name,
                )
            )
        elif proposed:
            texts.append(
                self.env._(
                    "%s changes are proposed: a sales administrator decides.",
                    len(proposed),
                )
            )
        if not texts:
            return self.env._("Nothing to accept: refresh the page.")
        return words.join_said(self.env, texts)

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
    # Decisions
    # -------------------------------------------------------------------------

    def _log_decisions(self, vals):
        res = super()._log_decisions(vals)
        if "relationship_level" in vals:
            self._log_levels(vals["relationship_level"])
        return res

    def _follow_decisions(self, columns):
        res = super()._follow_decisions(columns)
        if {
            "executive_sponsor_id",
            "is_excluded",
            "relationship_level",
            "tier_id",
        } & columns:
            # Which contacts are required depends on the tier, and who is an executive
            # of ours on the sponsor.
            self._refresh_relationships(self.partner_id.ids)
        return res

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

    @api.model
    def _get_histories(self):
        if not features.is_used(self.env, features.EVIDENCE):
            return super()._get_histories()
        return super()._get_histories() | {
            "relationship_level": (
                "key.account.relationship.change",
                "from_level",
                "to_level",
            ),
        }

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    @api.model
    def _get_used_criteria(self, company):
        """Return the criteria that are asked for in ``company``: none where the ladder
        isn't used."""
        criteria = self.env["key.account.relationship.criterion"]
        if not features.is_used(self.env, features.EVIDENCE):
            return criteria
        return criteria._get_criteria(company)

    @api.model
    def _get_watched_records(self, company):
        return [
            *super()._get_watched_records(company),
            self._get_used_criteria(company),
        ]

    @api.model
    def _get_watched_months(self, company):
        sold, closed = super()._get_watched_months(company)
        for measure in self._get_used_criteria(company)._get_measures():
            sold.update(measure.get_sale_months())
            closed.update(measure.get_lead_months())
        return sold, closed

    @api.model
    def _get_related_sql(self, company, today):
        queries = super()._get_related_sql(company, today)
        if not features.is_used(self.env, features.EVIDENCE):
            return queries
        return [
            *queries,
            SQL(
                """
                SELECT partner_id
                  FROM key_account
                 WHERE company_id = %s AND date_lapse <= %s
                """,
                company.id,
                today,
            ),
            # about whom nobody was asked for a while
            SQL(
                """
                SELECT partner_id
                  FROM key_account_relationship_change
                 WHERE company_id = %(company)s
                   AND date > %(last_day)s::date - %(quiet)s
                   AND date <= %(today)s::date - %(quiet)s
                """,
                company=company.id,
                last_day=company.key_account_run_date,
                today=today,
                quiet=QUIET_DAYS,
            ),
        ]

    @api.model
    def _get_silent_values(self, company):
        return super()._get_silent_values(company) | {
            **get_silent_ladder(self._get_used_criteria(company)),
            "covered_count": SQL("0"),
            "met_contact_count": SQL("0"),
            "met_user_count": SQL("0"),
            "is_single_threaded": SQL("FALSE"),
        }

    @api.model
    def _get_coverage_sql(self, company, policies, today):
        if not features.is_used(self.env, features.BUYING_CENTER):
            return super()._get_coverage_sql(company, policies, today)
        for policy in policies:
            for tier in policy._get_tiers().filtered("cell_ids")[:1]:
                return get_coverage_sql(self.env, company, tier, today)
        return None

    @api.model
    def _update_losses(self, partner_ids):
        res = super()._update_losses(partner_ids)
        # nothing is proposed for those who left
        self._refresh_relationships(partner_ids)
        return res

    @api.model
    def _refresh_relationships(self, partner_ids, companies=None):
        """Bring coverage and ladder of these customers up to date.

        :param companies: default: every one where they are accounts
        """
        if not partner_ids:
            return
        if companies is None:
            companies = self._get_account_companies(partner_ids)
        for company in companies:
            self._update_relationships(company, partner_ids)

    @api.model
    def _get_account_companies(self, partner_ids):
        """Return the companies where these customers are accounts; none where nothing
        is kept of their relationship."""
        companies = self.env["res.company"]
        if not features.get_used(self.env, SWITCHED):
            return companies
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
        return companies.browse(row[0] for row in rows)

    @api.model
    def _update_relationships(self, company, partner_ids=None, today=None):
        """Note whom we met at the customers, and which level of
        relationship the evidence supports; propose to go down where it has lapsed.
        Of these, what the database uses.

        A fixed number of statements, whatever the number of customers. Doesn't commit.

        :param company: the company whose visits, orders and criteria count
        :param partner_ids: limit to these customers
        :param date today: default: today in the time zone of the company's calendar
        """
        self = self.sudo()
        used = features.get_used(self.env, SWITCHED)
        if not used:
            return
        company = company.sudo()
        today = today or clock.get_today(company)
        self.env.flush_all()
        scope = SQL("card.company_id = %s", company.id)
        if partner_ids is not None:
            scope = SQL("%s AND card.partner_id = ANY(%s)", scope, list(partner_ids))
        if features.BUYING_CENTER in used:
            update_coverage(self.env, company, scope, today, partner_ids)
        if features.EVIDENCE in used:
            update_levels(self.env, company, scope, today, partner_ids)
            self.env["key.account.relationship.change"]._propose_demotions(
                company, today, partner_ids
            )
        self.invalidate_model()
        self.env["res.partner"]._forget_key_accounts()
