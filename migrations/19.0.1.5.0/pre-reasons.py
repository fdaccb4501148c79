from odoo.tools.sql import column_exists, rename_column


def migrate(cr, version):
    """What was said about a change is one thing, and what the reader sees another: the
    reason of a run is put into words when it is read."""
    if not column_exists(cr, "key_account_tier_change", "said_reason"):
        rename_column(cr, "key_account_tier_change", "reason", "said_reason")
