"""What holds in every database, whoever did what: queries that count what is wrong.

Plain text without Odoo: `make chaos` asks them after nights among killed servers, the
sequences of :mod:`.fuzz` after each step."""

LAST = """
    SELECT DISTINCT ON (partner_id, company_id) *
      FROM {table}
     WHERE state = 'applied'
     ORDER BY partner_id, company_id, id DESC
"""
PLANNED = """
    key_account_visit visit
    LEFT JOIN mail_activity activity
           ON activity.key_account_visit_id = visit.id
          AND activity.key_account_role = 'visit'
          AND activity.active
    LEFT JOIN res_partner partner ON partner.id = visit.partner_id
    LEFT JOIN crm_lead lead ON lead.id = visit.lead_id
    LEFT JOIN res_users salesperson ON salesperson.id = visit.user_id
    WHERE visit.state = 'planned'
"""
# What is wrong: queries that count it
INVARIANTS = {
    "two planned visits of an account and track": """
        SELECT COUNT(*) FROM (
            SELECT FROM key_account_visit
             WHERE state = 'planned'
             GROUP BY partner_id, company_id, track,
                      CASE WHEN partner_id IS NULL THEN lead_id END
            HAVING COUNT(*) > 1) AS groups
    """,
    "planned visits without an activity of their own": f"""
        SELECT COUNT(*) FROM (
            SELECT visit.id FROM {PLANNED}
             GROUP BY visit.id HAVING COUNT(activity.id) != 1) AS visits
    """,
    "planned visits that say other than their activity": f"""
        SELECT COUNT(*) FROM {PLANNED}
           AND (activity.date_deadline != visit.date_planned
                OR activity.user_id IS DISTINCT FROM visit.user_id
                OR activity.res_id != COALESCE(visit.partner_id, visit.lead_id))
    """,
    "activities of visits that aren't planned": """
        SELECT COUNT(*)
          FROM mail_activity activity
          LEFT JOIN key_account_visit visit
                 ON visit.id = activity.key_account_visit_id
         WHERE activity.active AND activity.key_account_role = 'visit'
           AND visit.state IS DISTINCT FROM 'planned'
    """,
    "planned visits to whom nobody visits": f"""
        SELECT COUNT(*) FROM {PLANNED}
           AND (partner.active IS FALSE
                OR partner.commercial_partner_id != partner.id
                OR partner.company_id != visit.company_id
                OR salesperson.active IS FALSE)
    """,
    "visits of another customer's salesperson": """
        SELECT COUNT(*)
          FROM key_account_visit visit
          LEFT JOIN res_partner partner ON partner.id = visit.partner_id
          LEFT JOIN crm_lead lead ON lead.id = visit.lead_id
         WHERE visit.account_user_id IS DISTINCT FROM
               CASE WHEN visit.partner_id IS NULL THEN lead.user_id
                    ELSE partner.user_id END
    """,
    "histories that end with another tier": f"""
        SELECT COUNT(*)
          FROM key_account account
          JOIN ({LAST.format(table="key_account_tier_change")}) AS last
            USING (partner_id, company_id)
         WHERE account.tier_id IS NOT NULL
           AND account.tier_id IS DISTINCT FROM last.to_tier_id
    """,
    "histories that end with another level": f"""
        SELECT COUNT(*)
          FROM key_account account
          JOIN ({LAST.format(table="key_account_relationship_change")}) AS last
            USING (partner_id, company_id)
         WHERE account.relationship_level != last.to_level
    """,
    "due dates that don't know their visit": """
        SELECT COUNT(*)
          FROM key_account_due due
          LEFT JOIN key_account_visit visit
                 ON visit.track = due.track AND visit.company_id = due.company_id
                AND visit.state = 'planned'
                AND (visit.partner_id = due.partner_id
                     OR due.partner_id IS NULL AND visit.partner_id IS NULL
                        AND visit.lead_id = due.lead_id)
         WHERE due.visit_id IS DISTINCT FROM visit.id
    """,
    "accounts with another next or last visit": """
        SELECT COUNT(*)
          FROM key_account account
          LEFT JOIN (
                SELECT partner_id, company_id,
                       MIN(date_planned) FILTER (WHERE state = 'planned') AS next,
                       MAX(date_done) FILTER (WHERE state = 'done') AS last
                  FROM key_account_visit
                 GROUP BY partner_id, company_id
               ) AS visits USING (partner_id, company_id)
         WHERE LEAST(account.regular_visit_date, account.executive_visit_date)
              IS DISTINCT FROM visits.next
            OR account.last_visit_date IS DISTINCT FROM visits.last
    """,
    "accounts that wait though there was room and nothing is said": """
        SELECT COUNT(*)
          FROM key_account_due due
          JOIN res_company company ON company.id = due.company_id
         WHERE company.key_account_planning AND due.visit_id IS NULL
           AND due.reason IS NULL
           AND due.date_due < CURRENT_DATE + company.key_account_horizon_days - 1
    """,
    "companies whose night isn't done": """
        SELECT COUNT(*) FROM key_account_night
         WHERE phases IS NOT NULL AND phases::text NOT IN ('false', '[]', 'null')
    """,
}
