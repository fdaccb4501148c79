def migrate(cr, version):
    """Fill the new column in one statement: the ORM would compute it lead by lead."""
    cr.execute("ALTER TABLE crm_lead ADD COLUMN IF NOT EXISTS engagement_stage varchar")
    # As crm.lead._compute_engagement_stage. Carts of a shop are recognized when their
    # lead changes next; few of them have one.
    cr.execute(
        """
        UPDATE crm_lead lead
           SET engagement_stage = CASE
                   WHEN orders.is_quoted THEN 'quotation'
                   WHEN orders.is_running THEN 'contract'
                   WHEN NOT lead.active OR lead.won_status != 'pending' THEN 'target'
                   ELSE lead.type END
          FROM crm_lead same
          LEFT JOIN (
                SELECT opportunity_id,
                       BOOL_OR(state IN ('draft', 'sent')) AS is_quoted,
                       BOOL_OR(state = 'sale' AND invoice_status IS DISTINCT FROM
                               'invoiced') AS is_running
                  FROM sale_order
                 WHERE opportunity_id IS NOT NULL
                 GROUP BY opportunity_id
               ) AS orders ON orders.opportunity_id = same.id
         WHERE lead.id = same.id
           AND lead.engagement_stage IS NULL
        """
    )
