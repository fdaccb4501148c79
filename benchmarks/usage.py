"""What the addon does with the data, and what it's compared with."""

from psycopg2.extras import Json, execute_values

import data

# Tables that the measurements write; nothing may clean them in the middle of one
WRITTEN = (
    "account_move",
    "account_move_line",
    "crm_lead",
    "mail_activity",
    "res_partner",
    "key_account",
    "key_account_tier_change",
    "key_account_visit",
)
WRITTEN_BY_RUN = (
    "res_partner",
    "crm_lead",
    "key_account",
    "key_account_tier_change",
)
WRITTEN_BY_VISITS = (
    "mail_activity",
    "key_account",
    "key_account_visit",
    "mail_message",
    "mail_mail",
)
NOTE = "<p>benchmark</p>"


def customer_ids(env):
    """Return the ids of the customers in the order in which they were made."""
    env.cr.execute(
        "SELECT id FROM res_partner WHERE ref LIKE 'BENCH%' AND parent_id IS NULL "
        "ORDER BY id"
    )
    return [row[0] for row in env.cr.fetchall()]


def salesperson(env):
    return env["res.users"].search([("login", "=", "bench1")])


def tune(execute, name):
    for table in WRITTEN:
        execute(
            name,
            f"ALTER TABLE IF EXISTS {table} SET (autovacuum_enabled = false)",
        )


def policy_of(env):
    return env.ref("crm_key_account.policy_default")


def run_policy(env):
    """Run the policy in one company; only the changes' number matters."""
    return len(policy_of(env)._run_companies(data.company_of(env)))


def batch_customers(env, batch):
    """The customers that the measurement of visits plans for: they have none yet."""
    ids = customer_ids(env)
    return env["res.partner"].browse(ids[-batch:])


def plan_visits(env, batch):
    """Plan visits as the nightly run does, but not for the ``batch`` customers, and
    make up a past: two done visits for every second customer."""
    company = data.company_of(env)
    ids = customer_ids(env)
    others = env["res.partner"].browse(ids[: min(len(ids) - batch, len(ids) // 4)])
    visits = env["key.account.visit"].with_company(company)
    made = visits._generate(partners=others, company=company)
    prototype = made[:1]
    start = data.reserve(env, "key_account_visit", 2 * len(ids))
    env.cr.execute(
        """
        CREATE TEMP TABLE past ON COMMIT DROP AS
        SELECT i, partner.id, partner.user_id, account_tier_id
          FROM unnest(%s::int[]) WITH ORDINALITY AS given (id, i)
          JOIN res_partner partner USING (id)
         WHERE i %% 2 = 0
        """,
        [ids],
    )
    for number, days in ((0, 200), (1, 30)):
        day = f"current_date - {days} - i::int % 90"
        data.copy_rows(
            env,
            "key_account_visit",
            prototype,
            "past WHERE true",
            id=f"{start} + 2 * i - {number}",
            partner_id="past.id",
            user_id="past.user_id",
            account_user_id="past.user_id",
            state="'done'",
            date_due=day,
            date_planned=day,
            date_latest=day,
            date_done=day,
            activity_id="NULL",
        )
    env["key.account"]._update_visit_dates(ids)


def read_rows(env, table, ids):
    """Return (table, columns, rows) for :func:`insert_rows`."""
    env.flush_all()
    env.cr.execute(f"SELECT * FROM {table} WHERE id = ANY(%s) ORDER BY id", [ids])
    columns = [column.name for column in env.cr.description]
    rows = [tuple(map(adapt, row)) for row in env.cr.fetchall()]
    return table, columns, rows


def insert_rows(env, tables):
    """The rows of :func:`read_rows`, without Odoo: a lower bound for making them."""
    for table, columns, rows in tables:
        execute_values(
            env.cr._obj,
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES %s",
            rows,
            page_size=500,
        )


def records_to_open(env, user):
    """Customers and leads of a salesperson whose forms are opened."""
    leads = env["crm.lead"].search(
        [
            ("user_id", "=", user.id),
            ("type", "=", "opportunity"),
            ("partner_id.ref", "=like", "BENCH%"),
        ],
        order="id",
        limit=5,
    )
    return {"crm.lead": leads.ids, "res.partner": leads.partner_id.ids}


def copy_activities(source, target):
    """Give the database without the addon the activities of the planned visits, so
    that both hold the same ones."""
    target.cr.execute("DELETE FROM mail_activity WHERE note = %s", [NOTE])
    target.cr.execute(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name = 'mail_activity' ORDER BY 1"
    )
    names = [row[0] for row in target.cr.fetchall()]
    todo = target.ref("mail.mail_activity_data_todo").id
    columns = ", ".join(f'"{name}"' for name in names)
    source.cr.execute(
        f"SELECT {columns} FROM mail_activity "
        "WHERE id IN (SELECT activity_id FROM key_account_visit) ORDER BY id"
    )
    rows = []
    for row in source.cr.dictfetchall():
        row.update(activity_type_id=todo, note=NOTE)
        rows.append([adapt(row[name]) for name in names])
    execute_values(
        target.cr._obj, f"INSERT INTO mail_activity ({columns}) VALUES %s", rows
    )
    target.cr.execute(
        "SELECT setval('mail_activity_id_seq', (SELECT MAX(id) FROM mail_activity))"
    )


def adapt(value):
    return Json(value) if isinstance(value, dict) else value
