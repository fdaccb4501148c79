"""Numbers and days have bounds from now on: what was stored beyond them goes to the
nearest one. It made customers unreadable, or stopped the planning of everybody."""

from odoo.tools import SQL
from odoo.tools.sql import column_exists

FIRST_DAY, LAST_DAY = "1970-01-01", "2199-12-31"
SEQUENCES, COLORS = (-(10**6), 10**6), (0, 11)
# (table, column, lowest, highest, what stands for "not a number")
NUMBERS = [
    ("crm_team_member", "key_account_daily_capacity", 0, 100, 0),
    ("key_account", "visit_interval_days", 0, 3650, 0),
    ("key_account_buying_role", "color", *COLORS, 0),
    ("key_account_buying_role", "sequence", *SEQUENCES, 10),
    ("key_account_cadence", "escalate_after_days", 0, 3650, 0),
    ("key_account_cadence", "follow_up_days", 0, 90, 2),
    ("key_account_cadence", "interval_count", 1, 3650, 1),
    ("key_account_cadence", "sequence", *SEQUENCES, 10),
    ("key_account_checklist_item", "sequence", *SEQUENCES, 10),
    ("key_account_churn_reason", "sequence", *SEQUENCES, 10),
    ("key_account_due", "days", 1, 3650, 30),
    ("key_account_engagement", "sequence", *SEQUENCES, 10),
    ("key_account_policy", "hysteresis", 0, 99.99, 5),
    ("key_account_policy", "min_tenure_days", 0, 3650, 90),
    ("key_account_policy", "window_months", 1, 120, 12),
    ("key_account_relationship_criterion", "minimum_count", 0, 10000, 1),
    ("key_account_relationship_criterion", "minimum_share", 0, 100, 50),
    ("key_account_relationship_criterion", "months", 0, 1200, 12),
    ("key_account_relationship_criterion", "quarters", 0, 400, 4),
    ("key_account_relationship_criterion", "sequence", *SEQUENCES, 10),
    ("key_account_tier", "color", *COLORS, 0),
    ("key_account_tier", "coverage_months", 1, 120, 6),
    ("key_account_tier", "sequence", *SEQUENCES, 10),
    ("key_account_tier", "share", 0, 100, 0),
    ("key_account_tier", "threshold", -(10**13), 10**13, 0),
    ("key_account_tier_cell", "sequence", *SEQUENCES, 10),
    ("res_company", "key_account_daily_capacity", 1, 100, 6),
    ("res_company", "key_account_horizon_days", 1, 365, 14),
    ("res_company", "key_account_meeting_hours", 0.25, 24, 1),
    ("res_company", "key_account_route_radius", 0.1, 1000, 20),
    ("res_company", "key_account_route_zip_length", 0, 10, 3),
    # core's, with bounds of ours
    ("res_partner", "partner_latitude", -90, 90, 0),
    ("res_partner", "partner_longitude", -180, 180, 0),
]
DAYS = [
    ("key_account", "last_visit_date"),
    ("key_account", "lost_date"),
    ("key_account", "next_visit_date"),
    ("key_account", "tier_locked_until"),
    ("key_account", "tier_since"),
    ("key_account_commitment", "date_deadline"),
    ("key_account_due", "date_due"),
    ("key_account_due", "date_escalated"),
    ("key_account_due", "date_since"),
    ("key_account_loss", "date"),
    ("key_account_loss", "date_returned"),
    ("key_account_loss", "date_win_back"),
    ("key_account_relationship_evidence", "date"),
    ("key_account_relationship_evidence", "date_withdrawn"),
    ("key_account_visit", "date_cancelled"),
    ("key_account_visit", "date_done"),
    ("key_account_visit", "date_due"),
    ("key_account_visit", "date_escalated"),
    ("key_account_visit", "date_latest"),
    ("key_account_visit", "date_planned"),
    ("key_account_visit", "date_resume"),
    ("key_account_visit", "next_date"),
    ("res_partner", "left_company_date"),
]


def migrate(cr, version):
    for table, column, lowest, highest, instead in NUMBERS:
        if column_exists(cr, table, column):
            _heal_numbers(cr, table, column, lowest, highest, instead)
    if column_exists(cr, "key_account_cadence", "interval_unit"):
        # ten years at most, in any unit
        cr.execute(
            """
            UPDATE key_account_cadence
               SET interval_count = limits.most
              FROM (VALUES ('week', 521), ('month', 121)) AS limits (unit, most)
             WHERE interval_unit = limits.unit AND interval_count > limits.most
            """
        )
    for table, column in DAYS:
        if column_exists(cr, table, column):
            _heal_days(cr, table, column)
    if column_exists(cr, "mail_activity", "key_account_visit_id"):
        _heal_days(
            cr, "mail_activity", "date_deadline", SQL("key_account_visit_id > 0")
        )


def _heal_numbers(cr, table, column, lowest, highest, instead):
    cr.execute(
        SQL(
            """
            UPDATE %(table)s
               SET %(column)s = CASE WHEN %(column)s::text = 'NaN' THEN %(instead)s
                   ELSE LEAST(GREATEST(%(column)s, %(lowest)s), %(highest)s) END
             WHERE NOT %(column)s BETWEEN %(lowest)s AND %(highest)s
            """,
            table=SQL.identifier(table),
            column=SQL.identifier(column),
            lowest=lowest,
            highest=highest,
            instead=instead,
        )
    )


def _heal_days(cr, table, column, condition=None):
    cr.execute(
        SQL(
            """
            UPDATE %(table)s
               SET %(column)s = LEAST(GREATEST(%(column)s, %(first)s), %(last)s)
             WHERE NOT %(column)s BETWEEN %(first)s AND %(last)s AND %(condition)s
            """,
            table=SQL.identifier(table),
            column=SQL.identifier(column),
            first=SQL("%s::date", FIRST_DAY),
            last=SQL("%s::date", LAST_DAY),
            condition=condition or SQL("TRUE"),
        )
    )
