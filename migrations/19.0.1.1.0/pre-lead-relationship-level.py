def migrate(cr, version):
    """Fill the new column in one statement: the ORM would compute it lead by lead."""
    cr.execute(
        "ALTER TABLE crm_lead ADD COLUMN IF NOT EXISTS relationship_level varchar"
    )
    cr.execute(
        """
        UPDATE crm_lead SET relationship_level = 'transactional'
         WHERE relationship_level IS NULL
        """
    )
