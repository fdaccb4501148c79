"""The data of the benchmark: one record of each kind made through Odoo, copied in SQL.

Nothing is random in a way that differs between two calls: the seed is fixed.
"""

from datetime import date, timedelta

from odoo import Command

# As many at each size: what grows is the number of customers
SALESPEOPLE = 7
MONTHS = 24


def company_of(env):
    return env.ref("base.main_company")


def fill(env, customers, invoices):
    """Make customers, their invoices, leads and activities."""
    env = env(context={"allowed_company_ids": company_of(env).ids, **_QUIET})
    users = _make_salespeople(env)
    env.cr.execute("SELECT setseed(0.42)")
    _make_customers(env, customers, users)
    _make_invoices(env, customers, invoices)
    _make_leads(env, customers, users)


_QUIET = {
    "tracking_disable": True,
    "mail_create_nosubscribe": True,
    "mail_notrack": True,
    "no_reset_password": True,
}


# Nothing is as new as the day that the night is measured after
_LONG_AGO = "now() at time zone 'UTC' - interval '40 days'"
_AGE = {"create_date": _LONG_AGO, "write_date": _LONG_AGO}
# Each salesperson has thirty areas, told apart by the first three characters
_ZIP = f"(100 + i % {SALESPEOPLE} * 30 + i / {SALESPEOPLE} % 30) * 100 + i % 100"


def copy_rows(env, table, prototype, source, **columns):
    """Copy the row of ``prototype`` once per row of ``source`` (the rest of a FROM
    clause), with other values in ``columns`` (SQL expressions)."""
    env.flush_all()
    env.cr.execute(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name = %s",
        [table],
    )
    names = [row[0] for row in env.cr.fetchall()]
    unknown = columns.keys() - set(names)
    if unknown:
        raise ValueError(f"{table} has no columns {unknown}")
    values = [columns.get(name, f'proto."{name}"') for name in names]
    # Ours alone, no values of anybody's: nothing to escape
    env.cr.execute(
        f"""
        INSERT INTO {table} ({", ".join(f'"{name}"' for name in names)})
        SELECT {", ".join(values)}
          FROM {table} AS proto, {source} AND proto.id = {prototype.id}
         ORDER BY {columns["id"]}
        """
    )


def reserve(env, table, count):
    """Take ``count`` ids from the sequence of a table; return the one before them."""
    env.flush_all()
    env.cr.execute(f"SELECT COALESCE(MAX(id), 0) FROM {table}")
    start = env.cr.fetchone()[0] + 1000
    env.cr.execute(f"SELECT setval('{table}_id_seq', %s)", [start + count])
    return start


def _make_salespeople(env):
    team = env.ref("sales_team.team_sales_department")
    users = env["res.users"].create(
        [
            {
                "name": f"Salesperson {number}",
                "login": f"bench{number}",
                "email": f"bench{number}@example.com",
                "company_id": env.company.id,
                "company_ids": [Command.set(env.company.ids)],
                "group_ids": [
                    Command.link(env.ref("sales_team.group_sale_salesman").id)
                ],
                "tz": "Europe/Brussels",
            }
            for number in range(1, SALESPEOPLE + 1)
        ]
    )
    env["crm.team.member"].create(
        [{"crm_team_id": team.id, "user_id": user.id} for user in users]
    )
    return users


def _make_customers(env, count, users):
    """Companies, every fifth with a contact. ``place`` is the customer's place by
    revenue, spread over the ids and so over the names and salespersons."""
    partner = env["res.partner"].create(
        {
            "name": "Prototype",
            "is_company": True,
            "email": "prototype@example.com",
            "phone": "+1 555-555-0100",
            "street": "215 Vine St",
            "city": "Scranton",
            "zip": "18503",
            "country_id": env.ref("base.us").id,
            "user_id": users[0].id,
            "ref": "PROTOTYPE",
        }
    )
    contact = env["res.partner"].create(
        {"name": "Prototype contact", "parent_id": partner.id}
    )
    start = reserve(env, "res_partner", count * 2)
    env.cr.execute(
        """
        CREATE TEMP TABLE customer ON COMMIT DROP AS
        SELECT i, %s + i AS id, (%s::int[])[i %% %s + 1] AS user_id,
               (i::bigint * 7919) %% %s + 1 AS place
          FROM generate_series(1, %s) AS i
        """,
        [start, users.ids, len(users), count, count],
    )
    name = "'Customer ' || lpad(i::text, 7, '0')"
    copy_rows(
        env,
        "res_partner",
        partner,
        "customer WHERE true",
        id="customer.id",
        name=name,
        complete_name=name,
        commercial_company_name=name,
        commercial_partner_id="customer.id",
        user_id="customer.user_id",
        ref="'BENCH' || i",
        email="'customer' || i || '@example.com'",
        email_normalized="'customer' || i || '@example.com'",
        customer_rank="1",
        zip=_ZIP,
        **_AGE,
    )
    copy_rows(
        env,
        "res_partner",
        contact,
        "customer WHERE i % 5 = 0",
        id=f"customer.id + {count}",
        name="'Contact ' || i",
        complete_name=f"{name} || ', Contact ' || i",
        commercial_company_name=name,
        commercial_partner_id="customer.id",
        parent_id="customer.id",
        user_id="customer.user_id",
        ref="'BENCH-C' || i",
        zip=_ZIP,
        **_AGE,
    )
    _follow(env, "res.partner", "SELECT id, user_id FROM customer")
    (contact | partner).active = False
    env.cr.execute("CREATE UNIQUE INDEX ON customer (place)")
    env.cr.execute("ANALYZE customer")


def _follow(env, model, records):
    """Salespersons follow their customers and leads: core sees to that on creation."""
    subtypes = env["mail.message.subtype"].default_subtypes(model)[0]
    env.cr.execute(
        f"""
        WITH follower AS (
            INSERT INTO mail_followers (res_model, res_id, partner_id)
            SELECT %s, record.id, res_users.partner_id
              FROM ({records}) AS record
              JOIN res_users ON res_users.id = record.user_id
             RETURNING id
        )
        INSERT INTO mail_followers_mail_message_subtype_rel
               (mail_followers_id, mail_message_subtype_id)
        SELECT follower.id, subtype.id
          FROM follower, unnest(%s::int[]) AS subtype (id)
        """,
        [model, subtypes.ids],
    )


def _make_prototype_move(env, move_type, product, partner):
    move = env["account.move"].create(
        {
            "move_type": move_type,
            "partner_id": partner.id,
            "invoice_date": date.today() - timedelta(days=30),
            "invoice_line_ids": [
                Command.create(
                    {
                        "product_id": product.id,
                        "quantity": 1,
                        "price_unit": 100,
                        "tax_ids": [Command.clear()],
                    }
                )
            ],
        }
    )
    move.action_post()
    lines = move.line_ids
    if len(lines) != 2 or move.amount_total != 100:
        raise ValueError(f"An unexpected invoice: {lines.mapped('display_type')}")
    product_line = lines.filtered(lambda line: line.display_type == "product")
    return move, product_line, lines - product_line


def _make_invoices(env, customers, count):
    """Posted invoices, one in 25 a credit note, over the last two years. Each
    customer has one; the rest go mostly to those whose amounts are high, too."""
    product = env["product.product"].create(
        {"name": "Benchmark", "list_price": 100, "standard_price": 60}
    )
    partner = env["res.partner"].search([("ref", "=", "BENCH1")])
    start = reserve(env, "account_move", count)
    line_start = reserve(env, "account_move_line", 2 * count)
    env.cr.execute(
        """
        CREATE TEMP TABLE invoice ON COMMIT DROP AS
        SELECT number.i, %(start)s + number.i AS id, customer.id AS partner_id,
               customer.user_id, number.i %% 25 = 0 AS refund,
               current_date - (age * %(days)s)::int AS day,
               ROUND((100 * POWER(%(customers)s / customer.place::numeric, 0.8)
                      * (0.5 + spread))::numeric, 2) AS amount
          FROM (SELECT i, random() AS spread, random() AS age,
                       CASE WHEN i <= %(customers)s THEN i
                       ELSE 1 + floor(%(customers)s * POWER(random(), 1.5))
                       END AS place
                  FROM generate_series(1, %(count)s) AS i) AS number
          JOIN customer ON customer.place = number.place
        """,
        {
            "start": start,
            "days": MONTHS * 30.4,
            "customers": customers,
            "count": count,
        },
    )
    env.cr.execute("ANALYZE invoice")
    for move_type, sign, refund in (
        ("out_invoice", "", "NOT refund"),
        ("out_refund", "-", "refund"),
    ):
        move, product_line, term_line = _make_prototype_move(
            env, move_type, product, partner
        )
        name = f"'{move_type[4:].upper()}/' || lpad(i::text, 7, '0')"
        copy_rows(
            env,
            "account_move",
            move,
            f"invoice WHERE {refund}",
            id="invoice.id",
            name=name,
            payment_reference=name,
            sequence_prefix=f"'{move_type[4:].upper()}/'",
            sequence_number="i",
            partner_id="invoice.partner_id",
            commercial_partner_id="invoice.partner_id",
            partner_shipping_id="invoice.partner_id",
            invoice_partner_display_name="'Customer'",
            invoice_user_id="invoice.user_id",
            date="day",
            invoice_date="day",
            invoice_date_due="day",
            amount_untaxed="amount",
            amount_total="amount",
            amount_residual="amount",
            amount_untaxed_signed=f"{sign}amount",
            amount_untaxed_in_currency_signed=f"{sign}amount",
            amount_total_signed=f"{sign}amount",
            amount_total_in_currency_signed=f"{sign}amount",
            amount_residual_signed=f"{sign}amount",
            access_token="NULL",
            **_AGE,
        )
        shared = {
            "move_id": "invoice.id",
            "move_name": name,
            "partner_id": "invoice.partner_id",
            "date": "day",
            "invoice_date": "day",
            **_AGE,
        }
        for line, offset, minus in ((product_line, 1, "-"), (term_line, 0, "")):
            balance = f"{'' if minus == sign else '-'}amount"
            debit = balance == "amount"
            columns = {
                "balance": balance,
                "amount_currency": balance,
                "debit": "amount" if debit else "0",
                "credit": "0" if debit else "amount",
            }
            if offset:
                columns |= dict.fromkeys(
                    ["price_unit", "price_subtotal", "price_total"], "amount"
                )
            else:
                columns |= {
                    "amount_residual": balance,
                    "amount_residual_currency": balance,
                    "date_maturity": "day",
                }
            copy_rows(
                env,
                "account_move_line",
                line,
                f"invoice WHERE {refund}",
                id=f"{line_start} + 2 * i - {offset}",
                **shared,
                **columns,
            )


def _make_leads(env, customers, users):
    """A fifth as many leads as customers, one in four without a customer; and an
    activity on one in five."""
    count = customers // 5
    team = env.ref("sales_team.team_sales_department")
    lead = env["crm.lead"].create(
        {
            "name": "Prototype",
            "type": "opportunity",
            "user_id": users[0].id,
            "team_id": team.id,
            "expected_revenue": 1000,
        }
    )
    activity = lead.with_context(mail_activity_quick_update=True).activity_schedule(
        "mail.mail_activity_data_todo", user_id=users[0].id
    )
    stages = env["crm.stage"].search([("is_won", "=", False)], limit=3)
    won = env["crm.stage"].search([("is_won", "=", True)], limit=1)
    start = reserve(env, "crm_lead", count)
    state = "i % 20"
    source = f"customer WHERE i <= {count}"
    with_customer = "WHEN i % 4 > 0 THEN"
    copy_rows(
        env,
        "crm_lead",
        lead,
        source,
        id=f"{start} + i",
        name="'Opportunity ' || i",
        partner_id=f"CASE {with_customer} customer.id END",
        partner_name="'Customer ' || lpad(i::text, 7, '0')",
        user_id="customer.user_id",
        type="CASE WHEN i % 5 = 0 THEN 'lead' ELSE 'opportunity' END",
        active=f"{state} <> 1",
        won_status=f"CASE {state} WHEN 0 THEN 'won' WHEN 1 THEN 'lost' "
        "ELSE 'pending' END",
        stage_id=f"CASE WHEN {state} = 0 THEN {won.id} "
        f"ELSE (ARRAY{stages.ids})[i % 3 + 1] END",
        probability=f"CASE {state} WHEN 0 THEN 100 WHEN 1 THEN 0 ELSE 20 END",
        date_closed=f"CASE WHEN {state} < 2 THEN now() at time zone 'UTC' END",
        expected_revenue="round(500 + 20000 * random())",
        create_date=f"{_LONG_AGO} - random() * interval '660 days'",
        write_date=_LONG_AGO,
    )
    _follow(
        env,
        "crm.lead",
        f"SELECT {start} + i AS id, user_id FROM customer WHERE i <= {count}",
    )
    first = reserve(env, "mail_activity", count)
    copy_rows(
        env,
        "mail_activity",
        activity,
        f"{source} AND i % 5 = 2",
        id=f"{first} + i",
        res_id=f"{start} + i",
        res_name="'Opportunity ' || i",
        user_id="customer.user_id",
        date_deadline="current_date - 10 + i % 30",
    )
    lead.active = False
