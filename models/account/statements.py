"""What statements over all accounts, or all invoices, need of PostgreSQL."""

# For each sort and hash: the default of PostgreSQL has to write what belongs to some
# ten thousand accounts to its disk. Servers that allow more keep theirs.
WORK_MEMORY = "64MB"


def prepare_large(cr):
    """Prepare the rest of the transaction for them: compiling such a statement takes
    longer than running it, and what it sorts shall fit into memory."""
    cr.execute("SET LOCAL jit = off")
    cr.execute(
        """
        SELECT set_config('work_mem', %(memory)s, TRUE)
         WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes(%(memory)s)
        """,
        {"memory": WORK_MEMORY},
    )
