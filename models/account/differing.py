"""Rows that differ from what a query says: compared by columns, and written."""

from odoo.tools import SQL


def get_columns_sql(alias, names):
    """Return the columns of a table or query, one after the other."""
    return SQL(", ").join(SQL.identifier(alias, name) for name in names)


def write_differing(model, names, rows):
    """Write columns of ``model`` in SQL, past the ORM, and forget what was read of
    them.

    Apart from the query that finds the rows: PostgreSQL, which expects most to differ,
    would join the whole table with itself.

    :param list names: of the columns
    :param list rows: tuples of a record's id and its value of each column
    """
    if not rows:
        return
    ids, *columns = (list(column) for column in zip(*rows, strict=True))
    types = (SQL.identifier(model._fields[name].column_type[0]) for name in names)
    arrays = [
        SQL("%s::int[]", ids),
        *(SQL("%s::%s[]", *each) for each in zip(columns, types, strict=True)),
    ]
    changes = (
        SQL("%s = %s", SQL.identifier(name), SQL.identifier("found", name))
        for name in names
    )
    model.env.cr.execute(
        SQL(
            """
            UPDATE %(table)s AS record
               SET %(changes)s
              FROM unnest(%(arrays)s) AS found (id, %(names)s)
             WHERE record.id = found.id
            """,
            table=SQL.identifier(model._table),
            changes=SQL(", ").join(changes),
            arrays=SQL(", ").join(arrays),
            names=SQL(", ").join(map(SQL.identifier, names)),
        )
    )
    model.invalidate_model(names, flush=False)
