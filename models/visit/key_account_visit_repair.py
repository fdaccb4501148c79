from datetime import timedelta

from odoo import SUPERUSER_ID, api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..account import features
from ..account.attempts import do_each
from ..planning.pages import take_page


class KeyAccountVisitRepair(models.AbstractModel):
    """What two transactions side by side leave behind: planning makes a visit while
    somebody archives its customer, and neither sees the other one. The next night finds
    what contradicts the rules, and does what would have followed.
    """

    _name = "key.account.visit.repair"
    _description = "Repair of Visits"

    @api.model
    def _heal(self, company, after=None):
        """Bring what is planned in ``company`` in step with customers, leads,
        salespeople and activities, and what is told of salespeople.

        :param after: see :class:`key.account.plan.revision`
        """
        visits = self.env["key.account.visit"].sudo()
        self.env.flush_all()
        reasons = dict(self.env.execute_query(self._get_broken_sql(company)))
        page, following = take_page(visits.browse(reasons), after)
        for reason, group in page.grouped(lambda visit: reasons[visit.id]).items():
            do_each(group, getattr(self, f"_heal_{reason}"))
        if following is None:
            self._heal_contacts(company)
            self._unlink_orphans(company)
            self._copy_salespeople(company)
        return following

    @api.model
    def _get_broken_sql(self, company):
        """Return a query of visits and what is wrong with them, the name of a method
        ``_heal_…``. Of what isn't planned any more: whose it is."""
        return SQL(
            """
            SELECT visit.id, 'contact' AS reason
              FROM res_partner partner
              JOIN key_account_visit visit ON visit.partner_id = partner.id
             -- contacts have a parent: statistics know how few they are
             WHERE partner.parent_id IS NOT NULL
               AND partner.commercial_partner_id != partner.id
               AND visit.company_id = %(company)s
               AND visit.state != 'planned'
             UNION ALL
            SELECT id, reason
              FROM (
                    SELECT visit.id,
                           %(reason)s AS reason
                      FROM key_account_visit visit
                      LEFT JOIN res_partner partner ON partner.id = visit.partner_id
                      LEFT JOIN crm_lead lead ON lead.id = visit.lead_id
                      LEFT JOIN res_users users ON users.id = visit.user_id
                      LEFT JOIN LATERAL (
                            SELECT id, date_deadline, user_id
                              FROM mail_activity
                             WHERE key_account_visit_id = visit.id
                               AND key_account_role = 'visit'
                               AND active
                             ORDER BY id DESC
                             LIMIT 1
                           ) AS activity ON TRUE
                     WHERE visit.company_id = %(company)s
                       AND visit.state = 'planned'
                   ) AS visits
             WHERE reason IS NOT NULL
             ORDER BY id
            """,
            reason=self._get_reason_sql(),
            company=company.id,
        )

    @api.model
    def _get_reason_sql(self):
        """Return what is wrong with a planned visit, see :meth:`_get_broken_sql`, or
        NULL; what is looked at first is mended first."""
        get_home_sql = self.env["res.company"]._get_key_account_home_sql
        return SQL(
            """
            CASE
            WHEN partner.commercial_partner_id != partner.id
                THEN 'contact'
            WHEN partner.active IS FALSE THEN 'archived'
            WHEN %(partner_company)s != visit.company_id THEN 'moved'
            WHEN visit.partner_id IS NULL AND lead.partner_id IS NOT NULL
                THEN 'customer'
            WHEN visit.partner_id IS NULL
                 AND visit.cadence_id IS NOT NULL
                 AND (NOT lead.active OR lead.won_status != 'pending')
                THEN 'lead'
            WHEN visit.partner_id IS NULL
                 AND %(lead_company)s != visit.company_id
                THEN 'lead_company'
            WHEN visit.user_id != %(robot)s
                 AND (users.active IS NOT TRUE OR users.share
                      OR NOT EXISTS (
                         SELECT FROM res_company_users_rel rel
                          WHERE rel.user_id = visit.user_id
                            AND rel.cid = visit.company_id)
                      OR NOT EXISTS (
                         SELECT FROM res_groups_users_rel has
                          WHERE has.uid = visit.user_id
                            AND has.gid = ANY(%(sales)s)))
                THEN 'left'
            WHEN visit.account_user_id IS DISTINCT FROM
                 CASE WHEN visit.partner_id IS NULL THEN lead.user_id
                      ELSE partner.user_id END
                THEN 'salesperson'
            WHEN activity.id IS NULL THEN 'activity'
            WHEN activity.date_deadline != visit.date_planned
                 OR activity.user_id IS DISTINCT FROM visit.user_id
                THEN 'differing'
            END
            """,
            # those of a branch are kept by the company above
            lead_company=get_home_sql(SQL("lead.company_id")),
            partner_company=get_home_sql(SQL("partner.company_id")),
            robot=SUPERUSER_ID,
            sales=self.env["res.users"]._get_sales_groups().ids,
        )

    # -------------------------------------------------------------------------
    # What would have followed
    # -------------------------------------------------------------------------

    @api.model
    def _heal_archived(self, visits):
        visits._close(self.env._("Customer archived"))

    @api.model
    def _heal_moved(self, visits):
        visits._close(self.env._("Customer moved to another company"))

    @api.model
    def _heal_contact(self, visits):
        visits.partner_id._follow_commercial_entity()

    @api.model
    def _heal_customer(self, visits):
        self.env["key.account.visit.follow"].sudo()._follow_lead_customer(
            visits.lead_id
        )

    @api.model
    def _heal_lead(self, visits):
        visits._close(self.env._("Lead closed"))

    @api.model
    def _heal_lead_company(self, visits):
        self.env["key.account.visit.follow"].sudo()._follow_lead_company(visits.lead_id)

    @api.model
    def _heal_left(self, visits):
        users = visits.user_id
        self.env["key.account.visit.follow"].sudo()._assign_left(visits)
        self.env["key.account.visit.task"].sudo()._hand_over_lost_tasks(users)

    @api.model
    def _heal_salesperson(self, visits):
        self.env["key.account.visit.follow"].sudo()._hand_over_stale(visits)

    @api.model
    def _heal_activity(self, visits):
        visits._create_activities()

    @api.model
    def _heal_differing(self, visits):
        """What a person moved is right."""
        visits._agree_with_activities()

    @api.model
    def _heal_contacts(self, company):
        """End what was decided about accounts that are contacts now."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT partner.id
                  FROM key_account account
                  JOIN res_partner partner ON partner.id = account.partner_id
                 WHERE account.company_id = %s
                   AND partner.parent_id IS NOT NULL
                   AND partner.commercial_partner_id != partner.id
                   AND (account.tier_id IS NOT NULL
                        OR account.relationship_level != 'transactional')
                """,
                company.id,
            )
        )
        contacts = self.env["res.partner"].sudo().browse(row[0] for row in rows)
        do_each(contacts, lambda each: each._become_contacts())

    @api.model
    def _unlink_orphans(self, company):
        """Delete what is to be done about visits that nobody plans any more."""
        activities = self.env["mail.activity"].sudo()
        orphans = activities.search(
            Domain("key_account_role", "=", "visit")
            & Domain("key_account_visit_id.company_id", "=", company.id)
            & Domain("key_account_visit_id.state", "!=", "planned")
        )
        orphans.unlink()

    @api.model
    def _get_salesperson_copies(self):
        """Return {model: its stored copy of the customer's salesperson}."""
        copies = {
            "key.account": "user_id",
            "key.account.visit": "account_user_id",
            "key.account.tier.change": "partner_user_id",
        }
        if features.is_used(self.env, features.EVIDENCE):
            copies["key.account.relationship.change"] = "partner_user_id"
            copies["key.account.relationship.evidence"] = "partner_user_id"
        return copies

    @api.model
    def _copy_salespeople(self, company):
        """Say whose visits, accounts and changes are now: their records are read by
        it. Of customers that somebody wrote within a month."""
        copies = self._get_salesperson_copies()
        rows = self.env.execute_query(
            SQL(
                """
                WITH written AS MATERIALIZED (
                    SELECT id, user_id FROM res_partner WHERE write_date >= %s
                ) %s
                """,
                fields.Datetime.now() - timedelta(days=30),
                SQL(" UNION ALL ").join(
                    SQL(
                        """
                        SELECT %(model)s, record.id
                          FROM written
                          JOIN %(table)s record ON record.partner_id = written.id
                         WHERE record.company_id = %(company)s
                           AND record.%(column)s IS DISTINCT FROM written.user_id
                        """,
                        model=name,
                        table=SQL.identifier(self.env[name]._table),
                        column=SQL.identifier(column),
                        company=company.id,
                    )
                    for name, column in copies.items()
                ),
            )
        )
        found = {name: [id_ for model, id_ in rows if model == name] for name in copies}
        accounts = self.env["key.account"].sudo().browse(found.pop("key.account"))
        accounts._copy_salesperson()
        for name, ids in found.items():
            records = self.env[name].sudo().browse(ids)
            self.env.add_to_compute(records._fields[copies[name]], records)
        self.env.flush_all()
