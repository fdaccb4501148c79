"""Whom a company sells to, and who is no customer all the same."""

from odoo.tools import SQL


def get_outsiders_sql(env, company):
    """Return a query for the partners that are no accounts of ``company``: the
    companies of this database, whoever works here, the visitors of the website, and
    whom an administrator has marked so.

    Few: to be used as ``partner_id NOT IN (…)``.
    """
    # Only those of a table that is there: the app of employees isn't needed.
    employees = SQL()
    if "hr.employee" in env:
        employees = SQL(
            "UNION ALL SELECT work_contact_id FROM hr_employee WHERE active"
        )
    return SQL(
        """
        SELECT partner_id
          FROM (
                SELECT partner_id FROM res_company
                 UNION ALL
                SELECT partner_id
                  FROM res_users
                 WHERE active AND share IS NOT TRUE
                 UNION ALL
                -- nobody logs in as they do: they are archived
                SELECT visitor.partner_id
                  FROM res_users visitor
                  JOIN res_groups_users_rel rel ON rel.uid = visitor.id
                 WHERE rel.gid = %(public)s
                 UNION ALL
                SELECT partner_id
                  FROM key_account
                 WHERE company_id = %(company)s AND is_excluded
                 %(employees)s
               ) AS outsiders (partner_id)
         WHERE partner_id IS NOT NULL
        """,
        public=env["ir.model.data"]._xmlid_to_res_id("base.group_public"),
        company=company.id,
        employees=employees,
    )
