"""Pure Python: imports nothing of Odoo, so that it is tested without a database."""
