"""Whose invoices and orders are: those of the firm that Odoo knows from their day, also
when the contact has gone to another one since."""

from odoo.tools import SQL

# What is kept of invoices, see keep_invoices.
KEPT_COLUMNS = (
    "id",
    "company_id",
    "state",
    "move_type",
    "invoice_date",
    "invoice_currency_rate",
    "amount_untaxed_signed",
)


# What reverses an invoice of the same contact is of the firm that had been invoiced:
# Odoo notes the one that the contact has gone to since.
FIRM = SQL(
    """
    CASE WHEN origin.partner_id = move.partner_id THEN origin.commercial_partner_id
         ELSE move.commercial_partner_id END
    """
)


def get_invoices_sql(invoices=None):
    """Return a query for customers' invoices, credit notes and receipts: the columns of
    ``account_move``, and ``firm_id``, the account that was invoiced. A customer that is
    somebody's contact now belongs to that account with all its invoices.

    :param invoices: limits them, as :func:`find_invoices` returns it; None: all
    """
    if invoices is not None:
        return SQL(
            """
            SELECT move.*, found.firm_id
              FROM account_move move
              JOIN (%s) AS found ON found.id = move.id
            """,
            get_found_sql(invoices),
        )
    return SQL(
        """
        SELECT move.*, firm.commercial_partner_id AS firm_id
          FROM account_move move
          JOIN res_partner firm ON firm.id = move.commercial_partner_id
         WHERE move.move_type IN ('out_invoice', 'out_refund', 'out_receipt')
           AND move.reversed_entry_id IS NULL
         UNION ALL
        SELECT move.*, firm.commercial_partner_id
          FROM account_move move
          JOIN account_move origin ON origin.id = move.reversed_entry_id
          JOIN res_partner firm ON firm.id = %s
         WHERE move.move_type IN ('out_invoice', 'out_refund', 'out_receipt')
        """,
        FIRM,
    )


def get_reversals_sql():
    """Return a query for ``id`` of what reverses an invoice, and ``partner_id``, whose
    it is by :data:`FIRM`."""
    return SQL(
        """
        SELECT move.id, %s AS partner_id
          FROM account_move move
          JOIN account_move origin ON origin.id = move.reversed_entry_id
         WHERE move.move_type IN ('out_invoice', 'out_refund', 'out_receipt')
        """,
        FIRM,
    )


def find_invoices(env, books, firm_ids):
    """Return the posted invoices of some accounts: their ids, and whose each is. For
    several queries that would look through all invoices for them, each on its own.

    :param books: ids of the companies that invoiced
    """
    if not firm_ids:
        return [], []
    rows = env.execute_query(
        SQL(
            """
            SELECT id, firm_id
              FROM (%s) AS move
             WHERE company_id = ANY(%s) AND state = 'posted' AND firm_id = ANY(%s)
            """,
            get_invoices_sql(),
            books,
            list(firm_ids),
        )
    )
    return [row[0] for row in rows], [row[1] for row in rows]


def keep_invoices(env, books, firm_ids):
    """Put the posted invoices of some accounts into the temporary table
    ``key_account_invoice``, until the transaction ends or the next call: for a run,
    whose statements would look through all invoices for them, each on its own.

    :param books: ids of the companies that invoiced
    """
    env.cr.execute("DROP TABLE IF EXISTS key_account_invoice")
    env.cr.execute(
        SQL(
            """
            CREATE TEMP TABLE key_account_invoice ON COMMIT DROP AS
            SELECT %s, firm_id
              FROM (%s) AS move
             WHERE company_id = ANY(%s) AND state = 'posted' AND firm_id = ANY(%s)
            """,
            SQL(", ").join(map(SQL.identifier, KEPT_COLUMNS)),
            get_invoices_sql(),
            books,
            list(firm_ids),
        )
    )
    # without statistics what joins it looks through all that it's joined to
    env.cr.execute("ANALYZE key_account_invoice")


def get_kept_invoices_sql():
    """Return a query for what :func:`keep_invoices` kept: :data:`KEPT_COLUMNS` and
    ``firm_id``."""
    return SQL("SELECT * FROM key_account_invoice")


def find_kept(env, firm_ids):
    """Return those of some accounts among what was kept, as :func:`find_invoices`
    does."""
    rows = env.execute_query(
        SQL(
            "SELECT id, firm_id FROM key_account_invoice WHERE firm_id = ANY(%s)",
            list(firm_ids),
        )
    )
    return [row[0] for row in rows], [row[1] for row in rows]


def get_found_sql(invoices):
    """Return a query for ``id`` and ``firm_id`` of what :func:`find_invoices` found."""
    ids, firm_ids = invoices
    return SQL(
        "SELECT * FROM unnest(%s::int[], %s::int[]) AS found (id, firm_id)",
        ids,
        firm_ids,
    )


def get_orders_sql(firm_ids=None):
    """Return a query for orders: the columns of ``sale_order``, and ``firm_id``, the
    account that ordered.

    Odoo doesn't note the firm of an order's contact. It is told by the first posted
    invoice, else by the invoice address; where that is the contact too, by where the
    contact is today.

    :param firm_ids: limits the accounts; None: all
    """
    firm = SQL(
        """
        CASE WHEN partner.commercial_partner_id = partner.id THEN partner.id
             ELSE COALESCE(billed.firm_id, payer.commercial_partner_id,
                           partner.commercial_partner_id) END
        """
    )
    among = SQL("TRUE")
    if firm_ids is not None:
        # Candidates first, each by an index.
        among = SQL(
            """
            sale.id IN (%(candidates)s)
            AND %(firm)s = ANY(%(firms)s)
            """,
            candidates=_get_candidates_sql(list(firm_ids)),
            firm=firm,
            firms=list(firm_ids),
        )
    return SQL(
        """
        SELECT sale.*, %(firm)s AS firm_id
          FROM sale_order sale
          JOIN res_partner partner ON partner.id = sale.partner_id
          LEFT JOIN res_partner payer ON payer.id = sale.partner_invoice_id
          LEFT JOIN (%(billed)s) AS billed ON billed.order_id = sale.id
         WHERE %(among)s
        """,
        firm=firm,
        billed=_get_billed_sql(),
        among=among,
    )


def _get_candidates_sql(firm_ids):
    """Return a query for the ids of all orders that may be of these accounts."""
    return SQL(
        """
        SELECT sale.id
          FROM sale_order sale
          JOIN res_partner partner ON partner.id = sale.partner_id
         WHERE partner.commercial_partner_id = ANY(%(firms)s)
         UNION ALL
        SELECT sale.id
          FROM sale_order sale
          JOIN res_partner payer ON payer.id = sale.partner_invoice_id
         WHERE payer.commercial_partner_id = ANY(%(firms)s)
         UNION ALL
        SELECT sold.order_id
          FROM res_partner firm
          JOIN account_move_line item ON item.partner_id = firm.id
          JOIN sale_order_line_invoice_rel rel ON rel.invoice_line_id = item.id
          JOIN sale_order_line sold ON sold.id = rel.order_line_id
         WHERE firm.commercial_partner_id = ANY(%(firms)s)
        """,
        firms=firm_ids,
    )


def _get_billed_sql():
    """Return a query for the orders of contacts with the account that was invoiced
    first."""
    return SQL(
        """
        SELECT sale.id AS order_id,
               (ARRAY_AGG(move.firm_id ORDER BY move.id))[1] AS firm_id
          FROM sale_order sale
          JOIN res_partner partner
            ON partner.id = sale.partner_id
           AND partner.commercial_partner_id != partner.id
          JOIN sale_order_line sold ON sold.order_id = sale.id
          JOIN sale_order_line_invoice_rel rel ON rel.order_line_id = sold.id
          JOIN account_move_line item ON item.id = rel.invoice_line_id
          JOIN (%(invoices)s) AS move
            ON move.id = item.move_id AND move.state = 'posted'
         GROUP BY sale.id
        """,
        invoices=get_invoices_sql(),
    )
