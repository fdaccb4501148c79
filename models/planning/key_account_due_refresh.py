from odoo import api, models
from odoo.tools import SQL

from ...const import ANALYZED_ROWS
from ..account.attempts import do_each
from ..account.differing import get_columns_sql

# What a change writes; the rest of a row tells whose it is.
WRITTEN_COLUMNS = (
    "account_id",
    "company_id",
    "cadence_id",
    "loss_id",
    "tier_id",
    "relationship_level",
    "engagement_stage",
    "account_user_id",
    "user_id",
    "team_id",
    "days",
    "on_route",
    "date_due",
    "date_since",
    "date_escalated",
    "reason",
    "visit_id",
)


class KeyAccountDue(models.Model):
    """Rows are kept up to date by one statement, for all at night and for what an
    event touched."""

    _inherit = "key.account.due"

    # -------------------------------------------------------------------------
    # One statement
    # -------------------------------------------------------------------------

    @api.model
    def _refresh(
        self, company, partner_ids=None, lead_ids=None, today=None, planning=False
    ):
        """Bring the rows of ``company`` in line with visits, cadence and accounts: one
        statement, which writes what differs and deletes what isn't asked any more.
        Doesn't commit.

        :param partner_ids: limits the accounts; None: all
        :param lead_ids: limits the leads without a customer; None: all
        :param date today: default: today in each salesperson's time zone
        :param planning: who comes within the horizon gets the reason to wait that most
            have in the end: planning is about to look for a day, and writes where
            another one is right
        """
        if all(ids is not None and not ids for ids in (partner_ids, lead_ids)):
            return
        self.env.flush_all()
        is_full = partner_ids is None and lead_ids is None
        if is_full:
            # For many times fewer rows than there are, which PostgreSQL expects where a
            # table has just been filled, loops in loops took minutes.
            self.env.cr.execute("SET LOCAL enable_nestloop = off")
        self.env.cr.execute(
            self._get_refresh_sql(company, partner_ids, lead_ids, today, planning)
        )
        ((rowcount, visit_ids),) = self.env.cr.fetchall()
        if is_full:
            self.env.cr.execute("SET LOCAL enable_nestloop TO DEFAULT")
            company = company.sudo()
            if not company.key_account_has_dues:
                company.key_account_has_dues = True
            if rowcount > ANALYZED_ROWS:
                # Without statistics the next statements take a full table for an empty
                # one.
                self.env.cr.execute("ANALYZE key_account_due")
        if rowcount:
            self._invalidate_refreshed()
        if visit_ids:
            visits = self.env["key.account.visit"].sudo().browse(visit_ids)
            follow = self.env["key.account.visit.follow"].sudo()
            do_each(visits, follow._assign_responsibles)

    @api.model
    def _get_refresh_sql(self, company, partner_ids, lead_ids, today, planning):
        """Return the statement of :meth:`_refresh`: how many rows it wrote or deleted,
        and the visits to hand over."""
        # compiling the statement takes longer than running it
        return SQL(
            """
            SET LOCAL jit = off;
            WITH wanted AS MATERIALIZED (%(wanted)s),
            gone AS (%(delete)s
            ), accounts AS (%(upsert_accounts)s
            ), leads AS (%(upsert_leads)s
            ), handed AS (%(handed)s
            )
            SELECT (SELECT COUNT(*) FROM gone) + (SELECT COUNT(*) FROM accounts)
                   + (SELECT COUNT(*) FROM leads),
                   ARRAY(SELECT id FROM handed ORDER BY id)
            """,
            wanted=self._get_wanted_sql(
                company, partner_ids, lead_ids, today, planning
            ),
            delete=self._get_delete_sql(company, partner_ids, lead_ids),
            upsert_accounts=self._get_upsert_sql(
                SQL(
                    "due.partner_id = wanted.partner_id"
                    " AND due.company_id = wanted.company_id"
                ),
                SQL("wanted.partner_id IS NOT NULL"),
                SQL("(partner_id, company_id, track) WHERE partner_id IS NOT NULL"),
            ),
            upsert_leads=self._get_upsert_sql(
                SQL("due.lead_id = wanted.lead_id AND due.partner_id IS NULL"),
                SQL("wanted.partner_id IS NULL"),
                SQL("(lead_id, track) WHERE partner_id IS NULL"),
            ),
            handed=self._get_handed_sql(),
        )

    @api.model
    def _get_handed_sql(self):
        """Return a query for the visits whose responsible is another one than the row
        said so far, who has them: the plan gave them there. What a person gave to
        somebody else, or planned, stays there."""
        return SQL(
            """
            SELECT visit.id
              FROM wanted
              JOIN key_account_due due ON due.visit_id = wanted.visit_id
              JOIN key_account_visit visit ON visit.id = due.visit_id
             WHERE wanted.user_id IS DISTINCT FROM due.user_id
               AND visit.user_id IS NOT DISTINCT FROM due.user_id
               AND visit.cadence_id IS NOT NULL
            """
        )

    @api.model
    def _get_delete_sql(self, company, partner_ids, lead_ids):
        """Return the statement that deletes what isn't asked any more: rows without a
        counterpart in the query ``wanted``."""
        return SQL(
            """
            DELETE FROM key_account_due due
             WHERE due.company_id = %(company)s
               AND %(scope)s
               AND NOT EXISTS (
                   SELECT FROM wanted
                    WHERE wanted.track = due.track
                      AND wanted.partner_id = due.partner_id)
               AND NOT EXISTS (
                   SELECT FROM wanted
                    WHERE wanted.track = due.track
                      AND wanted.lead_id = due.lead_id
                      AND due.partner_id IS NULL)
            RETURNING due.id
            """,
            company=company.id,
            scope=self._get_scope_sql(partner_ids, lead_ids),
        )

    @api.model
    def _get_upsert_sql(self, same, kind, key):
        """Return the statement that writes the rows of the query ``wanted`` where they
        differ.

        :param SQL same: condition on the rows ``due`` and ``wanted`` of a track that
            they are the same
        :param SQL kind: condition on the rows of ``wanted``
        :param SQL key: the unique index of the rows
        """
        return SQL(
            """
            INSERT INTO key_account_due AS due
                   (partner_id, lead_id, track, %(columns)s)
            SELECT wanted.partner_id, wanted.lead_id, wanted.track, %(wanted)s
              FROM wanted
              LEFT JOIN key_account_due due
                     ON %(same)s
                    AND due.track = wanted.track
             WHERE %(kind)s
                   -- what is right already isn't even locked
               AND (due.id IS NULL OR (%(wanted)s) IS DISTINCT FROM (%(due)s))
                ON CONFLICT %(key)s
                DO UPDATE SET %(changes)s
             WHERE (%(due)s) IS DISTINCT FROM (%(excluded)s)
            RETURNING due.id
            """,
            columns=SQL(", ").join(map(SQL.identifier, WRITTEN_COLUMNS)),
            wanted=get_columns_sql("wanted", WRITTEN_COLUMNS),
            due=get_columns_sql("due", WRITTEN_COLUMNS),
            excluded=get_columns_sql("excluded", WRITTEN_COLUMNS),
            changes=SQL(", ").join(
                SQL("%(name)s = EXCLUDED.%(name)s", name=SQL.identifier(name))
                for name in WRITTEN_COLUMNS
            ),
            same=same,
            kind=kind,
            key=key,
        )

    @api.model
    def _get_scope_sql(self, partner_ids, lead_ids):
        accounts = SQL("due.partner_id IS NOT NULL")
        if partner_ids is not None:
            accounts = SQL("due.partner_id = ANY(%s)", list(partner_ids))
        leads = SQL("due.partner_id IS NULL")
        if lead_ids is not None:
            leads = SQL("%s AND due.lead_id = ANY(%s)", leads, list(lead_ids))
        return SQL("(%s OR %s)", accounts, leads)

    @api.model
    def _invalidate_refreshed(self):
        """Forget what was read from rows that a statement has changed."""
        self.invalidate_model(flush=False)
        self.env["key.account"].invalidate_model(
            [
                "days_overdue",
                "due_ids",
                "is_overdue",
                "next_due_date",
                "overdue_user_id",
            ],
            flush=False,
        )
        self.env["res.partner"].invalidate_model(
            ["is_visit_overdue", "visit_days_overdue", "visit_overdue_user_id"],
            flush=False,
        )
        self.env["crm.lead"].invalidate_model(["is_visit_overdue"], flush=False)
        self.env["crm.lead"]._forget_key_account_records()

    # -------------------------------------------------------------------------
    # Events
    # -------------------------------------------------------------------------

    @api.model
    def _refresh_touched(self, partner_ids, lead_ids=(), companies=None):
        """Refresh the rows of what an event touched, in the companies that plan.

        :param partner_ids: customers
        :param lead_ids: leads, also those that got a customer
        :param companies: default: all in which they are, or were, asked for
        """
        partner_ids, lead_ids = list(partner_ids), list(lead_ids)
        if not partner_ids and not lead_ids:
            return
        if companies is None:
            companies = self._get_companies(partner_ids, lead_ids)
        for company in companies.sudo():
            if company.key_account_planning:
                self._refresh(company, partner_ids, lead_ids)

    def _refresh_rows(self):
        """Refresh the accounts and leads of these rows."""
        for company, group in self.grouped("company_id").items():
            leads = group.filtered(lambda row: not row.partner_id).lead_id
            self._refresh_touched(group.partner_id.ids, leads.ids, company)

    @api.model
    def _refresh_companies(self, companies):
        """Refresh all rows of the companies that plan."""
        for company in companies.sudo():
            if company.key_account_planning:
                self._refresh(company)

    @api.model
    def _refresh_leads(self, company):
        """Refresh the rows of leads without a customer whose tier isn't the one of the
        row any more, or that got their first one: a run changed it in SQL."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT lead.id
                  FROM crm_lead lead
                  LEFT JOIN crm_team team ON team.id = lead.team_id
                  LEFT JOIN res_users owner ON owner.id = lead.user_id
                  LEFT JOIN key_account_due due
                         ON due.lead_id = lead.id AND due.partner_id IS NULL
                 WHERE lead.active
                   AND lead.partner_id IS NULL
                   AND lead.won_status = 'pending'
                   AND %s = %s
                   AND due.tier_id IS DISTINCT FROM lead.account_tier_id
                """,
                self.env["crm.lead"]._get_key_account_company_sql(),
                company.id,
            )
        )
        self._refresh(company, [], list({row[0] for row in rows}))

    @api.model
    def _get_companies(self, partner_ids, lead_ids):
        """Return the companies in which customers and leads are, or were, asked for:
        the one that a lead has gone to before the one that it left, so that what was
        known of it goes along."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT company_id
                  FROM (
                        SELECT %(lead_company)s AS company_id, 1 AS place
                          FROM crm_lead lead
                          LEFT JOIN crm_team team ON team.id = lead.team_id
                          LEFT JOIN res_users owner ON owner.id = lead.user_id
                         WHERE lead.id = ANY(%(leads)s) AND lead.partner_id IS NULL
                         UNION ALL
                        SELECT company_id, 2
                          FROM key_account
                         WHERE partner_id = ANY(%(partners)s)
                         UNION ALL
                        SELECT company_id, 2
                          FROM key_account_due
                         WHERE partner_id = ANY(%(partners)s)
                            OR lead_id = ANY(%(leads)s)
                       ) AS companies
                 -- a lead may be of none
                 WHERE company_id IS NOT NULL
                 GROUP BY company_id
                 ORDER BY MIN(place), company_id
                """,
                partners=partner_ids,
                leads=lead_ids,
                lead_company=self.env["crm.lead"]._get_key_account_company_sql(),
            )
        )
        return self.env["res.company"].browse(row[0] for row in rows)

    @api.model
    def _is_kept(self, company):
        """Return whether all rows of ``company`` are there, to be kept up to date:
        planning makes them first."""
        company = company.sudo()
        return company.key_account_planning and company.key_account_has_dues

    @api.model
    def _forget(self, companies):
        """Delete all rows of the companies: at once, there may be many."""
        self.flush_model()
        self.env.cr.execute(
            SQL("DELETE FROM key_account_due WHERE company_id = ANY(%s)", companies.ids)
        )
        self._invalidate_refreshed()
