"""What a company has decided about its customers, and its visits so far.

Decisions go through Odoo, visits and what belongs to them are copied in SQL, as the
rest of the data.
"""

from datetime import timedelta

from odoo import Command, fields
from odoo.tools import split_every

import data

BATCH = 1000
# Decisions, and every how manieth customer they are about, from which one on
DECISIONS = (
    (100, 3, {"relationship_level": "strategic_alliance"}),
    (50, 4, {"relationship_level": "partner"}),
    (25, 6, {"relationship_level": "preferred_supplier"}),
    (20, 9, {"account_value_type": "intrinsic"}),
    (50, 12, {"account_value_type": "strategic"}),
    (100, 17, {"visit_interval_days": 10}),
)
LOCKED = (500, 19)
SPONSORED = (200, 3)
LOST = (200, 23)
# Of the contacts: every 20th customer has one with a part in the buying centre
ROLES = (4, 1)
STANCES = ("champion", "supporter", "neutral", "opponent")
LEVELS = ("top", "middle", "working")


def make(env, customer_ids):
    """Decide about a few in a hundred of the customers, and make up their visits of
    the last 200 days. The tiers have been run."""
    company = data.company_of(env)
    env = env(context={"allowed_company_ids": company.ids, "tracking_disable": True})
    env.cr.execute("SELECT setseed(0.7)")
    # Decisions plan visits at once: here, the generator does it for all of them
    company.with_env(env).key_account_planning = False
    _decide(env, customer_ids)
    _fill_buying_centres(env, customer_ids)
    _lose(env, customer_ids)
    _make_visits(env, company)
    _say(env, company, customer_ids)
    company.with_env(env).key_account_planning = True
    env["key.account"].sudo()._update_visit_dates(customer_ids)
    env.flush_all()


def _decide(env, ids):
    today = fields.Date.today()
    sponsors = env["res.users"].search([("login", "=like", "bench%")])
    locked = {
        "account_tier_locked_until": today + timedelta(days=100),
        "account_tier_lock_reason": "A framework contract is being negotiated",
    }
    decisions = [
        *DECISIONS,
        (*LOCKED, locked),
        (*SPONSORED, {"executive_sponsor_id": sponsors[:1].id}),
    ]
    for step, start, values in decisions:
        for batch in split_every(BATCH, ids[start::step]):
            env["res.partner"].browse(batch).write(values)
            env.flush_all()
            env.invalidate_all()


def _fill_buying_centres(env, ids):
    roles = env["key.account.buying.role"].search([])
    contacts = env["res.partner"].search(
        [("parent_id", "in", ids), ("ref", "=like", "BENCH-C%")], order="id"
    )
    step, start = ROLES
    contacts = contacts[start::step]
    kinds = len(STANCES) * len(LEVELS)
    for number in range(kinds):
        for batch in split_every(BATCH, contacts[number::kinds].ids):
            env["res.partner"].browse(batch).write(
                {
                    "decision_level": LEVELS[number % len(LEVELS)],
                    "stance": STANCES[number % len(STANCES)],
                    "buying_role_ids": [Command.link(roles[number % len(roles)].id)],
                }
            )
            env.flush_all()
            env.invalidate_all()


def _lose(env, ids):
    step, start = LOST
    today = fields.Date.today()
    reason = env["key.account.churn.reason"].search([], limit=1)
    env["key.account.loss"].create(
        [
            {
                "partner_id": id_,
                "reason_id": reason.id,
                "date": today - timedelta(days=45),
                "date_win_back": number % 2 and today + timedelta(days=5),
            }
            for number, id_ in enumerate(ids[start::step])
        ]
    )


def _make_visits(env, company):
    """One to seven done visits of seven in ten accounts, most of them not long ago;
    some that were cancelled until a day, and some missed."""
    env.flush_all()
    env.cr.execute(
        """
        CREATE TEMP TABLE account ON COMMIT DROP AS
        SELECT card.partner_id AS id, card.user_id, card.tier_id,
               tier.id = (SELECT id FROM key_account_tier
                           WHERE policy_id = tier.policy_id
                           ORDER BY sequence DESC, id DESC LIMIT 1) AS is_last,
               random() AS r1, random() AS r2, random() AS r3
          FROM key_account card
          JOIN res_partner partner ON partner.id = card.partner_id
          LEFT JOIN key_account_tier tier ON tier.id = card.tier_id
         WHERE card.company_id = %s
           AND partner.ref LIKE 'BENCH%%'
         ORDER BY card.partner_id
        """,
        [company.id],
    )
    env.cr.execute(
        """
        CREATE TEMP TABLE past ON COMMIT DROP AS
        SELECT row_number() OVER () AS i, account.*, kind.*
          FROM account
          CROSS JOIN LATERAL (
               SELECT 'done' AS state,
                      CASE WHEN n = 7 THEN 'executive'
                           WHEN is_last AND mod(n, 3) > 0 THEN 'contact'
                           ELSE 'visit' END AS track,
                      current_date - 1 - (power(random(), 1.5) * 200)::int AS day
                 FROM generate_series(1, 7) AS n
                WHERE r1 < 0.7 AND n <= 1 + r2 * 7
                UNION ALL
               SELECT 'cancelled', 'visit',
                      current_date - 1 - (random() * 60)::int
                WHERE r3 > 0.97
                UNION ALL
               SELECT 'missed', 'visit', current_date - 1 - (random() * 30)::int
                WHERE r1 > 0.7 AND r2 < 0.05
               ) AS kind
        """
    )
    env.cr.execute("SELECT count(*), min(id) FROM past")
    count, partner_id = env.cr.fetchone()
    prototype = env["key.account.visit"].create(
        {
            "partner_id": partner_id,
            "user_id": env["res.partner"].browse(partner_id).user_id.id,
            "state": "done",
            "date_done": fields.Date.today() - timedelta(days=30),
        }
    )
    start = data.reserve(env, "key_account_visit", count)
    done = "CASE past.state WHEN 'done' THEN day END"
    cancelled = "CASE past.state WHEN 'cancelled' THEN {} END"
    data.copy_rows(
        env,
        "key_account_visit",
        prototype,
        "past WHERE true",
        id=f"{start} + i",
        partner_id="past.id",
        user_id="past.user_id",
        account_user_id="past.user_id",
        tier_id="past.tier_id",
        track="past.track",
        mode="CASE past.track WHEN 'contact' THEN 'phone' ELSE 'on_site' END",
        state="past.state",
        date_due="day",
        date_planned="day",
        date_latest="day",
        date_done=done,
        date_cancelled=cancelled.format("day"),
        date_resume=cancelled.format("day + 40"),
        create_date="day",
        write_date="day",
    )
    env.cr.execute(
        """
        INSERT INTO key_account_visit_contact_rel (visit_id, contact_id)
        SELECT visit.id, contact.id
          FROM key_account_visit visit
          JOIN res_partner contact ON contact.parent_id = visit.partner_id
         WHERE visit.id > %s
           AND visit.state = 'done'
           AND contact.decision_level IS NOT NULL
        """,
        [start],
    )
    env.invalidate_all()


def _say(env, company, ids):
    """Evidence for judged criteria, about those whose level is the highest."""
    step, start, _ = DECISIONS[0]
    criteria = env["key.account.relationship.criterion"].search(
        [("kind", "=", "judged"), ("company_id", "in", [company.id, False])]
    )
    for batch in split_every(BATCH, ids[start::step]):
        env["key.account.relationship.evidence"].create(
            [
                {
                    "partner_id": id_,
                    "company_id": company.id,
                    "criterion_id": criterion.id,
                    "date": fields.Date.today() - timedelta(days=60),
                    "note": "They said so.",
                }
                for id_ in batch
                for criterion in criteria
            ]
        )
        env.flush_all()
        env.invalidate_all()
