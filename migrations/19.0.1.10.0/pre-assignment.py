def migrate(cr, version):
    """Lists that were opened twice at once hold each account twice, which the new index
    refuses. They are made anew whenever they are opened."""
    cr.execute("DELETE FROM key_account_assignment")
