from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..account import clock, columns, features
from ..account.differing import write_differing
from ..account.key_account import DEFAULT_MONTHS, EFFORT_MONTHS


class KeyAccount(models.Model):
    """When the account was and will be visited, and whether that is worth it."""

    _inherit = "key.account"

    visit_count = fields.Integer(
        string="Visits (12 Months)",
        readonly=True,
        help="Done visits of the last 12 months, calls and mails not counted.",
    )
    effort_mismatch = fields.Selection(
        [("too_much", "Too much effort"), ("too_little", "Too little effort")],
        readonly=True,
        help="Whether the customer is visited more, or less, than its value type "
        "calls for.",
    )
    last_visit_date = fields.Date(
        string="Last Visit",
        readonly=True,
        aggregator="max",
        help="The last one that took place, a call or mail too.",
    )
    next_visit_date = columns.Date(
        string="Next Visit",
        sql="_get_next_visit_date_sql",
        compute="_compute_next_visit",
        search=columns.search_column("next_visit_date"),
        aggregator="min",
        help="The reader's own visit first; else that of the salesperson, else that of "
        "an executive.",
    )
    next_visit_user_id = fields.Many2one(
        "res.users",
        string="Whose Visit",
        compute="_compute_next_visit",
        help="The executive whose visit the next one is; empty: the salesperson's.",
    )
    # What the next visit is made of: copies, so that lists are sorted by them
    regular_visit_date = fields.Date(is_internal=True, readonly=True)
    executive_visit_date = fields.Date(is_internal=True, readonly=True)
    executive_visit_user_id = fields.Many2one(
        "res.users",
        is_internal=True,
        readonly=True,
        ondelete="set null",
    )

    @api.depends(
        "regular_visit_date", "executive_visit_date", "executive_visit_user_id"
    )
    @api.depends_context("uid")
    def _compute_next_visit(self):
        for account in self:
            executive = account.executive_visit_user_id
            executive_date = account.executive_visit_date
            if executive_date and executive == self.env.user:
                account.next_visit_date = executive_date
                account.next_visit_user_id = executive
            elif account.regular_visit_date:
                account.next_visit_date = account.regular_visit_date
                account.next_visit_user_id = False
            else:
                account.next_visit_date = executive_date
                account.next_visit_user_id = executive_date and executive

    def _get_next_visit_date_sql(self, alias, _name):
        regular, executive, user = (
            self._field_to_sql(alias, name)
            for name in (
                "regular_visit_date",
                "executive_visit_date",
                "executive_visit_user_id",
            )
        )
        return SQL(
            "CASE WHEN %(user)s = %(uid)s AND %(executive)s IS NOT NULL"
            " THEN %(executive)s ELSE COALESCE(%(regular)s, %(executive)s) END",
            user=user,
            uid=self.env.uid,
            regular=regular,
            executive=executive,
        )

    def _follow_decisions(self, columns):
        # last: visits are planned by what the other rooms make of it
        res = super()._follow_decisions(columns)
        if "is_excluded" in columns:
            self._stop_excluded_visits()
        if "relationship_level" in columns:
            planner = self.env["key.account.planner"]
            accounts = self.filtered(
                lambda account: (
                    account.partner_id == account.partner_id.commercial_partner_id
                )
            )
            for company, same in accounts.grouped("company_id").items():
                planner._plan_now(same.partner_id, company)
        if "executive_sponsor_id" in columns:
            self.env["key.account.visit.follow"]._follow_sponsor(self)
        if "receiving_hours" in columns:
            for company, same in self.grouped("company_id").items():
                self.env["key.account.planner"]._plan_received(same.partner_id, company)
        return res

    def _stop_excluded_visits(self):
        """Close what is planned at those that were marked as no accounts."""
        excluded = self.filtered("is_excluded")
        for company, same in excluded.grouped("company_id").items():
            self.env["key.account.visit.follow"]._close_for_partners(
                same.partner_id,
                self.env._("Not an account"),
                [("company_id", "=", company.id)],
            )

    @api.model
    def _get_silent_values(self, company):
        return super()._get_silent_values(company) | {"visit_count": SQL("0")}

    @api.model
    def _get_related_sql(self, company, today):
        return [
            *super()._get_related_sql(company, today),
            # whom we met, also too long ago, or on a day that was to come
            SQL(
                """
                SELECT partner_id
                  FROM key_account_visit
                 WHERE company_id = %(company)s
                   AND state = 'done'
                   AND (write_date >= %(since)s OR %(met)s)
                """,
                company=company.id,
                since=company._get_key_account_run_moment(),
                met=self._get_met_sql(company.key_account_run_date, today),
            ),
        ]

    @api.model
    def _get_met_sql(self, last_day, today):
        """Return the condition on a visit that it came into what is counted, or left
        it."""
        periods = {0, EFFORT_MONTHS}
        if features.is_used(self.env, features.BUYING_CENTER):
            tiers = self.env["key.account.tier"].sudo().search(Domain.TRUE)
            periods.update([DEFAULT_MONTHS, *tiers.mapped("coverage_months")])
        return SQL(" OR ").join(
            SQL(
                "date_done + make_interval(months => %s) > %s "
                "AND date_done + make_interval(months => %s) <= %s",
                months,
                last_day,
                months,
                today,
            )
            for months in sorted(periods)
        )

    @api.model
    def _update_visit_dates(self, partner_ids, visited=None):
        """Copy the last done and the next planned visit of these customers.

        :param dict visited: {company: ids of customers} that get their row if they have
            none
        """
        Visit = self.env["key.account.visit"]
        Visit.flush_model(
            [
                "partner_id",
                "company_id",
                "state",
                "track",
                "user_id",
                "date_done",
                "date_planned",
            ]
        )
        names = [
            "last_visit_date",
            "regular_visit_date",
            "executive_visit_date",
            "executive_visit_user_id",
        ]
        self.flush_model(names)
        statements = [self._get_visit_dates_sql(partner_ids)]
        if visited:
            self.env["res.partner"].flush_model(["user_id"])
            statements[:0] = [
                self._get_ensure_sql(ids, company) for company, ids in visited.items()
            ]
        self.env.cr.execute(SQL("; ").join(statements))
        self.invalidate_model([*names, "next_visit_date", "next_visit_user_id"])
        self.env["res.partner"]._forget_key_accounts()
        self.env["crm.lead"].invalidate_model(
            ["is_visit_overdue", "last_visit_date", "next_visit_date"]
        )

    @api.model
    def _get_visit_dates_sql(self, partner_ids):
        """Return the statement of :meth:`_update_visit_dates`."""
        return SQL(
            """
            WITH dates AS (
                SELECT card.id,
                       MAX(date_done) FILTER (WHERE state = 'done') AS last_date,
                       MIN(date_planned) FILTER (
                           WHERE state = 'planned' AND track != 'executive'
                       ) AS regular_date,
                       MIN(date_planned) FILTER (
                           WHERE state = 'planned' AND track = 'executive'
                       ) AS executive_date,
                       -- at most one is planned on a track
                       MIN(visit.user_id) FILTER (
                           WHERE state = 'planned' AND track = 'executive'
                       ) AS executive_id
                  FROM key_account card
                  LEFT JOIN key_account_visit visit
                         ON visit.partner_id = card.partner_id
                        AND visit.company_id = card.company_id
                 WHERE card.partner_id = ANY(%(partners)s)
                 GROUP BY card.id
            )
            UPDATE key_account card
               SET last_visit_date = last_date,
                   regular_visit_date = regular_date,
                   executive_visit_date = executive_date,
                   executive_visit_user_id = executive_id
              FROM dates
             WHERE card.id = dates.id
               AND (last_visit_date, regular_visit_date, executive_visit_date,
                    executive_visit_user_id)
                   IS DISTINCT FROM
                   (last_date, regular_date, executive_date, executive_id)
            """,
            partners=list(partner_ids),
        )

    @api.model
    def _update_effort(self, company, today=None, touched=None):
        """Count the visits of the last 12 months and mark the accounts whose effort
        doesn't fit their value type. A fixed number of statements; doesn't commit.

        Intrinsic customers buy on price: as many visits as the average of the best
        tier are too many. Strategic ones are to be met more often than the average of
        the other tiers. The averages are those of the policy's tiers in force;
        without one there is no mark. Customers that are no accounts, or lost, neither
        count nor get a mark.

        :param date today: last day of the 12 months; default: today in the time zone
            of the company's working hours
        :param touched: ids of the customers whose visits to count; those of the others
            are as many as they were. Default: all
        """
        today = today or clock.get_today(company)
        self.env["key.account.visit"].flush_model(
            ["partner_id", "company_id", "state", "track", "date_done"]
        )
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                WITH %(accounts)s, %(marked)s
                SELECT id, visit_count, effort_mismatch
                  FROM marked
                 WHERE (old_count, old_mismatch)
                       IS DISTINCT FROM (visit_count, effort_mismatch)
                """,
                accounts=self._get_effort_sql(company, today, touched),
                marked=self._get_marked_sql(),
            )
        )
        write_differing(self, ["visit_count", "effort_mismatch"], rows)

    @api.model
    def _get_effort_sql(self, company, today, touched=None):
        """Return the expressions ``visits``: the number of each customer, and
        ``accounts`` with it; see :meth:`_update_effort`."""
        policy = self.env["key.account.policy"]._get_for_company(company).sudo()
        tier_ids = policy._get_tiers().ids if policy else []
        among, looked_at = SQL("TRUE"), SQL("TRUE")
        counted = SQL("COALESCE(visits.visit_count, 0)")
        if touched is not None:
            # an average changes the marks of others
            looked_at = SQL(
                "card.partner_id = ANY(%s) OR value_type IS NOT NULL"
                " OR effort_mismatch IS NOT NULL",
                touched,
            )
            among = SQL("partner_id = ANY(%s)", touched)
            counted = SQL(
                "CASE WHEN card.partner_id = ANY(%s) THEN %s ELSE card.visit_count END",
                touched,
                counted,
            )
        return SQL(
            """
            visits AS (
                SELECT partner_id, COUNT(*)::int AS visit_count
                  FROM key_account_visit
                 WHERE company_id = %(company)s
                   AND track IN ('visit', 'executive')
                   AND state = 'done'
                   AND date_done > %(after)s
                   AND date_done <= %(today)s
                   AND %(among)s
                 GROUP BY partner_id
            ), accounts AS (
                SELECT card.id, card.value_type, %(counted)s AS visit_count,
                       %(looked_at)s AS is_looked_at,
                       card.visit_count AS old_count,
                       card.effort_mismatch AS old_mismatch,
                       is_account AND is_lost IS NOT TRUE AS is_counted,
                       card.tier_id = ANY(%(best)s) AS is_best,
                       card.tier_id = ANY(%(others)s) AS is_other
                  FROM key_account card
                  LEFT JOIN visits ON visits.partner_id = card.partner_id
                 WHERE card.company_id = %(company)s
            )
            """,
            company=company.id,
            after=today - relativedelta(months=EFFORT_MONTHS),
            today=today,
            among=among,
            counted=counted,
            looked_at=looked_at,
            best=tier_ids[:1],
            others=tier_ids[1:],
        )

    @api.model
    def _get_marked_sql(self):
        """Return the expressions ``averages``, and ``marked``: ``accounts`` with what
        their number of visits means."""
        return SQL(
            """
            averages AS (
                SELECT AVG(visit_count) FILTER (WHERE is_best) AS best,
                       AVG(visit_count) FILTER (WHERE is_other) AS others
                  FROM accounts
                 WHERE is_counted
            ), marked AS (
                SELECT id, visit_count, old_count, old_mismatch,
                       CASE WHEN is_counted IS NOT TRUE THEN NULL
                            WHEN value_type = 'intrinsic'
                             AND visit_count > 0
                             AND visit_count >= best THEN 'too_much'
                            WHEN value_type = 'strategic'
                             AND visit_count <= others
                             AND visit_count < best THEN 'too_little'
                       END AS effort_mismatch
                  FROM accounts CROSS JOIN averages
                 WHERE is_looked_at
            )
            """
        )
