"""Rows that are written in SQL, past the ORM: those that differ from what a query says,
compared by columns, and new ones."""

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
    changes = (
        SQL("%s = %s", SQL.identifier(name), SQL.identifier("found", name))
        for name in names
    )
    model.env.cr.execute(
        SQL(
            """
            UPDATE %(table)s AS record
               SET %(changes)s
              FROM unnest(%(arrays)s) AS found (%(names)s)
             WHERE record.id = found.id
            """,
            table=SQL.identifier(model._table),
            changes=SQL(", ").join(changes),
            arrays=_get_arrays_sql(model, ["id", *names], rows),
            names=SQL(", ").join(map(SQL.identifier, ["id", *names])),
        )
    )
    model.invalidate_model(names, flush=False)


def insert_rows(model, names, rows):
    """Insert rows of ``model`` in SQL, past the ORM: what alone a job of ours makes, in
    such numbers that it would take minutes else.

    :param list names: of the columns, all that are required among them
    :param list rows: tuples of a record's value of each column
    :return: the records
    """
    if not rows:
        return model.browse()
    now, uid = model.env.cr.now(), model.env.uid
    written = {"create_uid": uid, "create_date": now}
    written.update(write_uid=uid, write_date=now)
    ids = model.env.execute_query(
        SQL(
            """
            INSERT INTO %(table)s (%(written)s, %(names)s)
            SELECT %(values)s, found.* FROM unnest(%(arrays)s) AS found
            RETURNING id
            """,
            table=SQL.identifier(model._table),
            written=SQL(", ").join(map(SQL.identifier, written)),
            names=SQL(", ").join(map(SQL.identifier, names)),
            values=SQL(", ").join(SQL("%s", value) for value in written.values()),
            arrays=_get_arrays_sql(model, names, rows),
        )
    )
    return model.browse(row[0] for row in ids)


def _get_arrays_sql(model, names, rows):
    """Return the columns of ``rows`` as arrays."""
    columns = (list(column) for column in zip(*rows, strict=True))
    types = (SQL.identifier(model._fields[name].column_type[0]) for name in names)
    return SQL(", ").join(
        SQL("%s::%s[]", *each) for each in zip(columns, types, strict=True)
    )
