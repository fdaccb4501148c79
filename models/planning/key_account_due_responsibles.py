from odoo import api, models
from odoo.tools import SQL


class KeyAccountDue(models.Model):
    """Who is responsible for what is due."""

    _inherit = "key.account.due"

    @api.model
    def _get_responsibles_sql(self, company, books, asked):
        """Return common table expressions, the last of them ``responsibles``: the rows
        of ``asked`` with ``user_id`` and ``team_id``.

        The salesperson, on the executive track the executive sponsor. A customer that
        names no salesperson has the one of most of its contacts, else the one of its
        invoices; of several, the first who invoiced it, while this goes on. If there is
        none, or one who isn't in sales any more, the leader of the team: of the
        salesperson's own, for those who left their former one, else of the team of the
        account's latest lead or order. If there is no leader either, nobody: the visit
        goes to the unassigned list. Whoever it is may read the visit.

        :param books: ids of the companies whose invoices and orders count
        :param asked: name of a query with ``partner_id``, ``lead_id``, ``track``,
            ``account_user_id`` and ``sponsor_id``
        """
        return SQL(
            "%s, %s, %s, %s, %s",
            self._get_salespeople_sql(company, books),
            self._get_chosen_sql(asked),
            self._get_deputies_sql(books),
            self._get_latest_teams_sql(books),
            self._get_chosen_or_deputies_sql(),
        )

    @api.model
    def _get_salespeople_sql(self, company, books):
        """Return the expressions ``present``: users in sales who may read accounts of
        ``company``, ``teams`` with their leaders, if these are present, and ``members``
        with their teams."""
        return SQL(
            """
            present AS MATERIALIZED (
                -- as res.users._search_in_sales
                SELECT users.id
                  FROM res_users users
                  JOIN res_company_users_rel rel
                    ON rel.user_id = users.id AND rel.cid = %(company)s
                 WHERE users.active
                   AND users.share IS NOT TRUE
                   AND EXISTS (SELECT FROM res_groups_users_rel has
                                WHERE has.uid = users.id
                                  AND has.gid = ANY(%(groups)s))
            ), teams AS MATERIALIZED (
                SELECT team.id, leader.id AS leader_id
                  FROM crm_team team
                  LEFT JOIN present leader ON leader.id = team.user_id
            ), members AS MATERIALIZED (
                SELECT DISTINCT ON (member.user_id)
                       member.user_id, member.crm_team_id AS team_id
                  FROM crm_team_member member
                  JOIN crm_team team
                    ON team.id = member.crm_team_id
                   AND (team.company_id = ANY(%(books)s) OR team.company_id IS NULL)
                 ORDER BY member.user_id, member.active DESC, member.id
                        )
            """,
            company=company.id,
            books=books,
            groups=self.env["res.users"]._get_sales_groups().ids,
        )

    @api.model
    def _get_chosen_sql(self, asked):
        """Return the expression ``chosen``: ``asked`` with the salesperson or sponsor
        who was named, if present, and the team of the salesperson."""
        return SQL(
            """
            chosen AS MATERIALIZED (
                SELECT asked.*, members.team_id AS own_team_id,
                       CASE WHEN asked.track = 'executive' THEN sponsor.id
                            ELSE salesperson.id END AS chosen_id
                  FROM %(asked)s AS asked
                  LEFT JOIN present salesperson
                    ON salesperson.id = asked.account_user_id
                  LEFT JOIN present sponsor
                    ON sponsor.id = asked.sponsor_id
                  LEFT JOIN members ON members.user_id = asked.account_user_id
                        )
            """,
            asked=asked,
        )

    @api.model
    def _get_deputies_sql(self, books):
        """Return the expressions ``unserved``: customers that name no salesperson, and
        ``deputies``: the present salesperson of most of their contacts, else of their
        invoices: of those who invoiced them in the year before the latest invoice, who
        did so first. By the latest one, or by most of them, visits would go to and fro
        between two who invoice in turn."""
        return SQL(
            """
            unserved AS MATERIALIZED (
                SELECT DISTINCT partner_id
                  FROM chosen
                 WHERE account_user_id IS NULL
                   AND partner_id IS NOT NULL
                   AND track != 'executive'
            ), deputies AS MATERIALIZED (
                SELECT DISTINCT ON (partner_id)
                       partner_id, present.id AS user_id, members.team_id
                  FROM (
                        SELECT unserved.partner_id, contact.user_id, 1 AS place,
                               COUNT(*) AS weight
                          FROM unserved
                          JOIN res_partner contact
                            ON contact.commercial_partner_id = unserved.partner_id
                           AND contact.active
                         GROUP BY unserved.partner_id, contact.user_id
                         UNION ALL
                        SELECT partner_id, user_id, 2, DATE '0001-01-01' - first
                          FROM (
                                SELECT unserved.partner_id,
                                       move.invoice_user_id AS user_id,
                                       MIN(move.invoice_date) AS first,
                                       MAX(move.invoice_date) AS last,
                                       MAX(MAX(move.invoice_date)) OVER (
                                           PARTITION BY unserved.partner_id) AS latest
                                  FROM unserved
                                  -- itself, and who has become its contact: the books
                                  -- count their invoices, also to contacts who have
                                  -- left since
                                  JOIN res_partner firm
                                    ON firm.commercial_partner_id = unserved.partner_id
                                  JOIN account_move move
                                    ON move.commercial_partner_id = firm.id
                                   AND move.company_id = ANY(%(books)s)
                                   AND move.state = 'posted'
                                   AND move.move_type IN ('out_invoice', 'out_receipt')
                                  JOIN present ON present.id = move.invoice_user_id
                                 GROUP BY unserved.partner_id, move.invoice_user_id
                               ) AS invoiced
                         WHERE last > latest - INTERVAL '1 year'
                       ) AS candidates
                  JOIN present ON present.id = candidates.user_id
                  LEFT JOIN members ON members.user_id = present.id
                 ORDER BY partner_id, place, weight DESC, present.id
                        )
            """,
            books=books,
        )

    @api.model
    def _get_latest_teams_sql(self, books):
        """Return the expressions ``orphans``: accounts and leads for whom nobody is
        present and that have no team by their salesperson, and ``latest``: the team of
        their latest lead or order."""
        return SQL(
            """
            orphans AS MATERIALIZED (
                SELECT DISTINCT partner_id, lead_id
                  FROM chosen
                 WHERE chosen_id IS NULL AND own_team_id IS NULL
            ), latest AS MATERIALIZED (
                SELECT DISTINCT ON (partner_id, lead_id) partner_id, lead_id, team_id
                  FROM (
                        SELECT orphans.partner_id, NULL::int AS lead_id,
                               document.team_id, document.day
                          FROM orphans
                          JOIN res_partner partner
                            ON partner.commercial_partner_id = orphans.partner_id
                          JOIN (
                                SELECT partner_id, team_id, create_date AS day
                                  FROM crm_lead
                                 WHERE company_id = ANY(%(books)s)
                                    OR company_id IS NULL
                                 UNION ALL
                                SELECT partner_id, team_id, date_order
                                  FROM sale_order
                                 WHERE company_id = ANY(%(books)s)
                               ) AS document
                            ON document.partner_id = partner.id
                         UNION ALL
                        SELECT NULL, lead.id, lead.team_id, lead.create_date
                          FROM orphans
                          JOIN crm_lead lead ON lead.id = orphans.lead_id
                         WHERE orphans.partner_id IS NULL
                       ) AS documents
                 WHERE team_id IS NOT NULL
                 ORDER BY partner_id, lead_id, day DESC, team_id
                        )
            """,
            books=books,
        )

    @api.model
    def _get_chosen_or_deputies_sql(self):
        """Return the expression ``responsibles``: ``chosen``, their deputies, or the
        leader of the team."""
        return SQL(
            """
            responsibles AS (
                SELECT chosen.*,
                       COALESCE(chosen_id, deputies.user_id, teams.leader_id)
                           AS user_id,
                       CASE WHEN deputies.user_id IS NOT NULL THEN deputies.team_id
                            WHEN chosen_id IS NULL THEN teams.id
                            ELSE own_team_id END AS team_id
                  FROM chosen
                  LEFT JOIN deputies
                    ON deputies.partner_id = chosen.partner_id
                   AND chosen.account_user_id IS NULL
                   AND chosen.track != 'executive'
                  LEFT JOIN latest latest_account
                    ON latest_account.partner_id = chosen.partner_id
                  LEFT JOIN latest latest_lead
                    ON latest_lead.lead_id = chosen.lead_id
                   AND chosen.partner_id IS NULL
                  LEFT JOIN teams
                    ON chosen_id IS NULL
                   AND deputies.user_id IS NULL
                   AND teams.id = COALESCE(own_team_id, latest_account.team_id,
                                           latest_lead.team_id)
            )
            """,
        )

    @api.model
    def _get_responsibles(self, company, keys):
        """Return {(partner id or None, lead id or None, track): (user id or False, team
        id or False)}; see :meth:`_get_responsibles_sql`. One query.

        :param keys: such triples, with one of partner and lead each
        """
        if not keys:
            return {}
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                WITH keys (partner_id, lead_id, track) AS (VALUES %(keys)s),
                asked AS (
                    SELECT keys.*,
                           COALESCE(partner.user_id, lead.user_id) AS account_user_id,
                           card.executive_sponsor_id AS sponsor_id
                      FROM keys
                      LEFT JOIN res_partner partner ON partner.id = keys.partner_id
                      LEFT JOIN key_account card
                        ON card.partner_id = keys.partner_id
                       AND card.company_id = %(company)s
                      LEFT JOIN crm_lead lead
                        ON lead.id = keys.lead_id AND keys.partner_id IS NULL
                ), %(responsibles)s
                SELECT partner_id, lead_id, track, user_id, team_id FROM responsibles
                """,
                keys=SQL(", ").join(
                    SQL("(%s::int, %s::int, %s)", *key) for key in set(keys)
                ),
                company=company.id,
                responsibles=self._get_responsibles_sql(
                    company, company._get_key_account_branches().ids, SQL("asked")
                ),
            )
        )
        return {
            (partner_id, lead_id, track): (user_id or False, team_id or False)
            for partner_id, lead_id, track, user_id, team_id in rows
        }
