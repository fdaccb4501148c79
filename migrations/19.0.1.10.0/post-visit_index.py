def migrate(cr, version):
    """The salesperson's days have an index of their own, which finds the salesperson,
    too; Odoo keeps the one before."""
    cr.execute("DROP INDEX IF EXISTS key_account_visit__user_id_index")
