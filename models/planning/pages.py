"""A night handles what it finds page by page, and commits after each."""

from ...const import NIGHT_BATCH


def take_page(records, after):
    """Return what to handle of ``records`` now, and what to hand over as ``after`` for
    the next page, None: there is none.

    :param after: id of the last record of the page before, 0: none; None: take all
    """
    if after is None:
        return records, None
    rest = records.filtered(lambda record: record.id > after).sorted("id")
    page = rest[:NIGHT_BATCH]
    return page, page[-1:].id if len(rest) > len(page) else None
