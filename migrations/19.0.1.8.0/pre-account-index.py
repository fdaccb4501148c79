def migrate(cr, version):
    """The index of customers was one more to keep: the unique one of customer and
    company begins with them. Odoo keeps the indexes that a field has no more."""
    cr.execute("DROP INDEX IF EXISTS key_account__partner_id_index")
