"""What the addon does with the data, and what it's compared with."""

from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from unittest.mock import patch

from freezegun import freeze_time
from psycopg2.extras import Json, execute_values

from odoo import Command
from odoo.sql_db import Cursor

import data

# Core's tables that the measurements write; nothing may clean them in the middle of
# one. The addon's own are found by their prefix.
WRITTEN = (
    "account_move",
    "account_move_line",
    "crm_lead",
    "mail_activity",
    "mail_followers",
    "mail_mail",
    "mail_message",
    "res_partner",
)
PREFIX = "key_account"
# By their dates of writing a night knows what was touched
DATED = ("account_move", "crm_lead", "key_account_visit", "res_partner", "sale_order")
# A day's work, a thousand customers in all
INVOICED = 400
VISITED = 300
ASKING = 300
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


def manager(env):
    return env.ref("base.user_admin")


def own_tables(execute, name):
    """Return the tables of the addon."""
    rows = execute(
        name,
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
        "AND tablename LIKE %s ORDER BY 1",
        [PREFIX + "%"],
    )
    return [row[0] for row in rows]


def tune(execute, name):
    for table in (*WRITTEN, *own_tables(execute, name)):
        execute(name, f"ALTER TABLE {table} SET (autovacuum_enabled = false)")


# ---------------------------------------------------------------------------
# The runs
# ---------------------------------------------------------------------------
def read_report(env):
    """What a person would look at instead: core's invoice analysis by customer."""
    company = data.company_of(env)
    report = env["account.invoice.report"].with_context(allowed_company_ids=company.ids)
    return len(
        report._read_group(
            [
                ("state", "=", "posted"),
                ("move_type", "in", ["out_invoice", "out_refund", "out_receipt"]),
                ("company_id", "=", company.id),
            ],
            ["commercial_partner_id"],
            ["price_subtotal:sum"],
        )
    )


def read_pivot(env):
    """Open core's invoice analysis as a pivot, as the web client asks for it: rows,
    columns and their cells, of customers' invoices."""
    company = data.company_of(env)
    report = env["account.invoice.report"].with_context(allowed_company_ids=company.ids)
    rows, columns = "invoice_date:month", "product_categ_id"
    return len(
        report.formatted_read_grouping_sets(
            [
                ("state", "not in", ("draft", "cancel")),
                ("move_type", "in", ["out_invoice", "out_refund"]),
            ],
            [[], [columns], [rows], [rows, columns]],
            ["price_subtotal:sum", "__count"],
        )
    )


def open_portfolio(env, **filters):
    """Open the portfolio as a manager who sees all accounts; return how many."""
    company = data.company_of(env)
    portfolio = env["key.account.portfolio"].with_context(
        allowed_company_ids=company.ids
    )
    result = portfolio.get_portfolio(**filters)
    return result["total"]["count"]


def run_policy(env):
    """Run the policy in one company, in full: tiers, relationships and effort. Return
    the number of changes."""
    policy = env.ref("crm_key_account.policy_default")
    return len(policy._run_companies(data.company_of(env)))


def use_scorecard(env):
    """Have the policy rank by the criteria that come with the addon."""
    env.ref("crm_key_account.policy_default").write(get_scorecard(env))


def get_scorecard(env):
    """Return what :func:`use_scorecard` writes."""
    policy = env.ref("crm_key_account.policy_default")
    preset = env.ref("crm_key_account.policy_scorecard")
    return {
        "method": "scorecard",
        "criterion_ids": [
            Command.create(vals)
            for vals in preset.criterion_ids.copy_data({"policy_id": False})
        ],
        "tier_ids": [
            Command.update(tier.id, {"threshold": other.threshold})
            for tier, other in zip(policy.tier_ids, preset.tier_ids, strict=True)
        ],
    }


def get_other_shares(env):
    """Return what moves many accounts."""
    policy = env.ref("crm_key_account.policy_default")
    return {
        "tier_ids": [
            Command.update(tier.id, {"share": share})
            for tier, share in zip(policy.tier_ids, (60, 85, 100), strict=True)
        ]
    }


def preview(env, get_values):
    """Preview the policy with what stands on a form; return how many would move."""
    company = data.company_of(env)
    policy = env.ref("crm_key_account.policy_default")
    policy = policy.with_context(allowed_company_ids=company.ids)
    action = policy.action_preview(get_values(env))
    return env[action["res_model"]].browse(action["res_id"]).line_count
    env.flush_all()


def measure_trade(env):
    """Measure how the accounts trade, which is a part of each run."""
    # not in a process that never loads the addon
    from odoo.addons.crm_key_account.models.tiering.trade import Trade

    policy = env.ref("crm_key_account.policy_default")
    company = data.company_of(env)
    Trade(policy, company, date.today()).measure()


def run_night(env):
    """What the scheduled job does at night; nothing is committed."""
    with patch.object(Cursor, "commit", lambda cr: cr.flush()):
        env["key.account.policy"]._cron_run()


@contextmanager
def day(number):
    """The small hours of the day in so many days."""
    moment = datetime.combine(date.today() + timedelta(days=number), time(1))
    with freeze_time(moment, tick=True):
        yield


def tomorrow():
    """So that a day's edge of the window passes too."""
    return day(1)


def work_a_day(env):
    """Invoice some customers, visit others and note leads of others again, through
    Odoo as people do."""
    company = data.company_of(env)
    env = env(context={"allowed_company_ids": company.ids})
    ids = customer_ids(env)
    # spread over all of them, and so over tiers and salespersons
    partners = env["res.partner"].browse(
        ids[:: len(ids) // (INVOICED + VISITED + ASKING)]
    )
    invoiced = partners[:INVOICED]
    visited = partners[INVOICED : INVOICED + VISITED]
    asking = partners[INVOICED + VISITED : INVOICED + VISITED + ASKING]
    product = env["product.product"].search([("name", "=", "Benchmark")], limit=1)
    moves = env["account.move"].create(
        [
            {
                "move_type": "out_invoice",
                "partner_id": partner.id,
                "invoice_date": date.today(),
                "invoice_line_ids": [
                    Command.create(
                        {
                            "product_id": product.id,
                            "price_unit": 100 + number,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
            }
            for number, partner in enumerate(invoiced)
        ]
    )
    moves.action_post()
    env["key.account.visit"].create(
        [
            {
                "partner_id": partner.id,
                "user_id": partner.user_id.id,
                "state": "done",
                "date_done": date.today(),
            }
            for partner in visited
        ]
    )
    env["crm.lead"].create(
        [
            {
                "name": f"Question of {partner.name}",
                "type": "lead",
                "partner_id": partner.id,
                "user_id": partner.user_id.id,
                "expected_revenue": 1000,
            }
            for partner in asking
        ]
    )
    env.flush_all()


# ---------------------------------------------------------------------------
# Planning
# ---------------------------------------------------------------------------
def generate(env, partners=None, capacity=None, horizon=None):
    """Plan visits, with room for ``capacity`` visits a day; return them."""
    company = data.company_of(env)
    if capacity:
        company.key_account_daily_capacity = capacity
    if horizon:
        company.key_account_horizon_days = horizon
    env.flush_all()
    visits = env["key.account.visit"].with_company(company)
    return visits._generate(partners=partners, company=company)


def hire(env, count):
    """Have ``count`` salespeople: each of those there are hands over equal parts of the
    customers in each of their areas, with leads and what is planned."""
    users = env["res.users"].search([("login", "=like", "bench%")], order="id")
    team = users.crm_team_member_ids.crm_team_id[:1]
    quiet = env["res.users"].with_context(no_reset_password=True, tracking_disable=True)
    more = quiet.create(
        [
            {
                "name": f"Salesperson {number}",
                "login": f"bench{number}",
                "company_id": users[0].company_id.id,
                "company_ids": [Command.set(users[0].company_ids.ids)],
                "group_ids": [Command.set(users[0].group_ids.ids)],
                "tz": users[0].tz,
            }
            for number in range(len(users) + 1, count + 1)
        ]
    )
    env["crm.team.member"].create(
        [{"crm_team_id": team.id, "user_id": user.id} for user in more]
    )
    env.flush_all()
    # customers go round the salespeople, and round their thirty areas (see data.py)
    env.cr.execute(
        """
        CREATE TEMP TABLE hired ON COMMIT DROP AS
        SELECT customer.id,
               (%(users)s::int[])[1 + place %% %(old)s
                   + %(old)s * (place / (%(old)s * 30)
                                %% ((%(count)s - place %% %(old)s - 1) / %(old)s + 1))]
                   AS user_id
          FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS place
                  FROM UNNEST(%(ids)s) AS ids (id)) AS customer
        """,
        {
            "users": (users | more).ids,
            "old": len(users),
            "count": max(count, len(users)),
            "ids": customer_ids(env),
        },
    )
    env.cr.execute("CREATE UNIQUE INDEX ON hired (id); ANALYZE hired")
    for table, column, condition in (
        ("res_partner", "commercial_partner_id", "TRUE"),
        ("key_account", "partner_id", "TRUE"),
        ("crm_lead", "partner_id", "TRUE"),
        ("key_account_visit", "partner_id", "state = 'planned'"),
    ):
        env.cr.execute(
            f"""
            UPDATE {table} AS held SET user_id = hired.user_id
              FROM hired
             WHERE hired.id = held.{column} AND {condition}
               AND held.user_id IS DISTINCT FROM hired.user_id
            """
        )
    env.cr.execute(
        """
        UPDATE mail_activity AS activity SET user_id = visit.user_id
          FROM key_account_visit AS visit
         WHERE visit.id = activity.key_account_visit_id AND visit.state = 'planned'
           AND activity.active AND activity.key_account_role = 'visit'
        """
    )
    env.invalidate_all(flush=False)
    env["key.account.due"]._refresh(data.company_of(env), planning=True)


def plan_night(env):
    """Plan as the nightly job does, each step committed; return how many visits."""
    from odoo.addons.crm_key_account.models.account.attempts import Attempts

    company = data.company_of(env)
    count = "SELECT COUNT(*) FROM key_account_visit WHERE state = 'planned'"
    env.cr.execute(count)
    before = env.cr.fetchone()[0]
    planner = env["key.account.planner"].with_company(company)
    planner._plan_night(company, Attempts(env))
    env.cr.execute(count)
    return env.cr.fetchone()[0] - before


def batch_customers(env, batch):
    """The customers that the measurement of visits plans for: nothing is planned for
    them yet, and they are no lost accounts."""
    env.cr.execute(
        """
        SELECT partner.id
          FROM res_partner partner
         WHERE partner.id = ANY(%s)
           AND NOT EXISTS (SELECT FROM key_account_visit visit
                            WHERE visit.partner_id = partner.id
                              AND visit.state = 'planned')
           AND NOT EXISTS (SELECT FROM key_account_loss loss
                            WHERE loss.partner_id = partner.id)
         ORDER BY partner.id DESC
         LIMIT %s
        """,
        [customer_ids(env), batch],
    )
    return env["res.partner"].browse(row[0] for row in env.cr.fetchall())


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
        "WHERE key_account_role = 'visit' AND key_account_visit_id IS NOT NULL "
        "ORDER BY id"
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
