from odoo.tools.sql import column_exists, rename_column


def migrate(cr, version):
    """The next visit of an account is the salesperson's, or the executive's: what was
    kept of both becomes the former, and :mod:`post-next-visit` tells them apart."""
    if column_exists(cr, "key_account", "next_visit_date"):
        rename_column(cr, "key_account", "next_visit_date", "regular_visit_date")
