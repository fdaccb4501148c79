from odoo import api, fields, models
from odoo.tools import SQL

from ..models.planning.key_account_cadence import TRACKS

# Percentages: what is divided by what, of the sums of a group.
RATIOS = {
    "attainment": ("credited_count", "planned_count"),
    "possible_attainment": ("credited_count", "possible_count"),
    "coverage": ("covered_count", "target_count"),
    "on_time_rate": ("on_time_count", "due_count"),
    "off_plan_rate": ("off_plan_count", "done_count"),
}


class KeyAccountVisitFigures(models.Model):
    """Visits against the targets that were frozen when the month began.

    A row is a target, a visit or an entry of the backlog. The first visits of the month
    on an account and track are credited, as many as were planned: the sum of what is
    credited is the sum of min(done, planned), so that too many visits to one account
    don't hide another that nobody saw. A visit counts for whoever made it; the target
    stays with whom it was frozen for.
    """

    _name = "key.account.visit.figures"
    _inherit = "key.account.shown"
    _description = "Visit Figures"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "partner_id"

    kind = fields.Selection(
        [
            ("target", "Target"),
            ("done", "Done"),
            ("late", "Late"),
            ("missed", "Missed"),
            ("cancelled", "Cancelled"),
            ("backlog", "Backlog"),
        ],
        readonly=True,
    )
    month = fields.Date(readonly=True, help="First day of the month.")
    date = fields.Date(readonly=True)
    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True)
    lead_id = fields.Many2one("crm.lead", readonly=True)
    visit_id = fields.Many2one("key.account.visit", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    user_id = fields.Many2one("res.users", string="Salesperson", readonly=True)
    account_user_id = fields.Many2one(
        "res.users",
        string="Customer's Salesperson",
        readonly=True,
    )
    team_id = fields.Many2one("crm.team", string="Sales Team", readonly=True)
    tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        help="The tier when the month began; without a target, the tier when the visit "
        "was planned.",
    )
    tier_color = fields.Integer(is_internal=True, related="tier_id.color")
    track = fields.Selection(TRACKS, readonly=True)

    possible_count = fields.Integer(
        string="Possible",
        readonly=True,
        help="Of the planned visits, as many as found a day in the month: the rest "
        "didn't fit into the salesperson's time.",
    )
    target_count = fields.Integer(
        string="Targets",
        readonly=True,
        help="Accounts with a target in the month, once per track.",
    )
    planned_count = fields.Integer(
        string="Planned",
        readonly=True,
        help="Visits that the cadence asked for when the month began.",
    )
    done_count = fields.Integer(string="Done", readonly=True)
    credited_count = fields.Integer(
        string="Credited",
        readonly=True,
        help="Done visits up to the number that was planned for the account, in the "
        "month and on the track. They count for whoever made them.",
    )
    covered_count = fields.Integer(
        string="Covered",
        readonly=True,
        help="Targets with at least one done visit, whoever made it.",
    )
    due_count = fields.Integer(
        string="Done with Due Date",
        readonly=True,
        help="Done visits that the cadence had asked for on a day.",
    )
    on_time_count = fields.Integer(
        string="On Time",
        readonly=True,
        help="Done no more than 30 % of the interval before or after the due date.",
    )
    off_plan_count = fields.Integer(
        string="Off Plan",
        readonly=True,
        help="Done visits that no target asked for, or more than it asked for.",
    )
    late_count = fields.Integer(
        string="Late",
        readonly=True,
        help="Planned and not done, and the due date has passed; what a person planned "
        "without one: the planned day.",
    )
    missed_count = fields.Integer(
        string="Missed",
        readonly=True,
        help="The visit's window passed, and nobody went.",
    )
    cancelled_count = fields.Integer(
        string="Cancelled",
        readonly=True,
        help="Cancelled by a person. What planning withdraws isn't counted.",
    )
    backlog_count = fields.Integer(
        string="Backlog",
        readonly=True,
        help="Due, and fits on no day.",
    )
    attainment = fields.Float(
        string="Attainment (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Credited visits in percent of the planned ones. More than 100 %: the "
        "salesperson made visits that were planned for colleagues.",
    )
    possible_attainment = fields.Float(
        string="Attainment of What Fitted (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Credited visits in percent of the possible ones: 100 % for a salesperson "
        "who made every visit that was planned for a day.",
    )
    coverage = fields.Float(
        string="Coverage (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Targets with at least one done visit, in percent of all targets.",
    )
    on_time_rate = fields.Float(
        string="On Time (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Visits on time in percent of the done visits with a due date.",
    )
    off_plan_rate = fields.Float(
        string="Off Plan (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Visits off plan in percent of the done visits.",
    )

    _depends = {
        "key.account.due": [
            "account_user_id",
            "company_id",
            "date_due",
            "lead_id",
            "partner_id",
            "team_id",
            "tier_id",
            "track",
            "user_id",
            "visit_id",
        ],
        "key.account.target": [
            "account_user_id",
            "company_id",
            "lead_id",
            "month",
            "partner_id",
            "planned_count",
            "team_id",
            "tier_id",
            "track",
            "user_id",
        ],
        "key.account.visit": [
            "account_user_id",
            "company_id",
            "date_done",
            "date_due",
            "date_latest",
            "date_planned",
            "date_resume",
            "lead_id",
            "partner_id",
            "state",
            "team_id",
            "tier_id",
            "track",
            "user_id",
        ],
    }

    @property
    def _table_query(self):
        return SQL(
            """
            WITH %(placed)s, fact AS (
                %(targets)s UNION ALL %(done)s UNION ALL %(closed)s
                 UNION ALL %(backlog)s
            )
            SELECT id, kind, date_trunc('month', date)::date AS month, date,
                   partner_id, lead_id, visit_id, company_id, user_id,
                   account_user_id, team_id, tier_id, track, planned_count,
                   COALESCE(possible_count, 0) AS possible_count,
                   (kind = 'target')::int AS target_count,
                   (kind = 'target' AND made_count > 0)::int AS covered_count,
                   (kind = 'done')::int AS done_count,
                   is_credited::int AS credited_count,
                   (kind = 'done' AND NOT is_credited)::int AS off_plan_count,
                   (is_on_time IS NOT NULL)::int AS due_count,
                   COALESCE(is_on_time, FALSE)::int AS on_time_count,
                   (kind = 'late')::int AS late_count,
                   (kind = 'missed')::int AS missed_count,
                   (kind = 'cancelled')::int AS cancelled_count,
                   (kind = 'backlog')::int AS backlog_count,
                   CASE WHEN kind = 'target'
                        THEN 100.0 * LEAST(made_count, planned_count) / planned_count
                        END AS attainment,
                   100.0 * LEAST(made_count, planned_count) / NULLIF(possible_count, 0)
                       AS possible_attainment,
                   CASE WHEN kind = 'target' THEN 100.0 * (made_count > 0)::int
                        END AS coverage,
                   100.0 * is_on_time::int AS on_time_rate,
                   CASE WHEN kind = 'done' THEN 100.0 * (NOT is_credited)::int
                        END AS off_plan_rate
              FROM fact
            """,
            placed=self._get_placed_sql(),
            targets=self._get_targets_sql(),
            done=self._get_done_sql(),
            closed=self._get_not_done_sql(),
            backlog=self._get_backlog_sql(),
        )

    def _get_placed_sql(self):
        """Return the expression ``placed``: what found a day, also if nobody went, or a
        person cancelled it, with its target. Visits at a lead that got a customer since
        count for the lead's target, unless the customer has one."""
        return SQL(
            """
            placed AS (
                SELECT visit.*, target.id AS target_id, target.tier_id AS target_tier,
                       target.team_id AS target_team,
                       target.id IS NOT NULL
                           AND ROW_NUMBER() OVER (
                               PARTITION BY target.id, visit.state = 'done'
                                   ORDER BY visit.date_done, visit.id
                           ) <= target.planned_count AS is_credited
                  FROM (
                        SELECT visit.*,
                               date_trunc('month', CASE state WHEN 'done' THEN date_done
                                   ELSE date_planned END)::date AS month
                          FROM key_account_visit visit
                         WHERE state != 'cancelled' OR date_resume IS NOT NULL
                       ) AS visit
                  LEFT JOIN key_account_target of_account
                    ON of_account.partner_id = visit.partner_id
                   AND of_account.company_id = visit.company_id
                   AND of_account.track = visit.track
                   AND of_account.month = visit.month
                  LEFT JOIN key_account_target of_lead
                    ON of_account.id IS NULL
                   AND of_lead.partner_id IS NULL
                   AND of_lead.lead_id = visit.lead_id
                   AND of_lead.company_id = visit.company_id
                   AND of_lead.track = visit.track
                   AND of_lead.month = visit.month
                  LEFT JOIN key_account_target target
                    ON target.id = COALESCE(of_account.id, of_lead.id)
            )
            """
        )

    def _get_targets_sql(self):
        """Return a query for the targets as facts."""
        return SQL(
            """
            SELECT target.id::bigint * 4 AS id, 'target' AS kind,
                   target.month AS date,
                   target.partner_id, target.lead_id, NULL::int AS visit_id,
                   target.company_id, target.user_id, target.account_user_id,
                   target.team_id, target.tier_id, target.track,
                   target.planned_count,
                   COALESCE(placed.done, 0) AS made_count,
                   LEAST(COALESCE(placed.number, 0), target.planned_count)
                       AS possible_count,
                   FALSE AS is_credited, NULL::boolean AS is_on_time
              FROM key_account_target target
              LEFT JOIN (
                    SELECT target_id, COUNT(*)::int AS number,
                           (COUNT(*) FILTER (WHERE state = 'done'))::int AS done
                      FROM placed
                     GROUP BY target_id
                   ) AS placed ON placed.target_id = target.id
            """
        )

    def _get_done_sql(self):
        """Return a query for done visits as facts. On time is in the window: as much
        before the due date as after it."""
        return SQL(
            """
            SELECT id::bigint * 4 + 1, 'done', date_done,
                   partner_id, lead_id, id, company_id, user_id, account_user_id,
                   COALESCE(team_id, target_team),
                   CASE WHEN target_id IS NULL THEN tier_id ELSE target_tier END,
                   track, 0, 0, 0, is_credited,
                   date_done BETWEEN date_due - (date_latest - date_due)
                                 AND date_latest
              FROM placed
             WHERE state = 'done'
            """
        )

    def _get_not_done_sql(self):
        """Return a query for visits that are late, missed or cancelled as facts."""
        return SQL(
            """
            SELECT id::bigint * 4 + 1,
                   CASE state WHEN 'planned' THEN 'late' ELSE state END,
                   CASE state WHEN 'planned' THEN COALESCE(date_due, date_planned)
                        ELSE date_planned END,
                   partner_id, lead_id, id, company_id, user_id, account_user_id,
                   team_id, tier_id, track, 0, 0, 0, FALSE, NULL
              FROM key_account_visit
             WHERE state = 'missed'
                OR state = 'planned'
                   AND COALESCE(date_due, date_planned) < %(today)s
                -- by a person, who named a day to come back
                OR state = 'cancelled' AND date_resume IS NOT NULL
            """,
            today=fields.Date.context_today(self),
        )

    def _get_backlog_sql(self):
        """Return a query for the backlog as facts."""
        return SQL(
            """
            SELECT due.id::bigint * 4 + 2, 'backlog', date_due,
                   partner_id, lead_id, NULL, company_id, due.user_id,
                   account_user_id, team_id, tier_id, track, 0, 0, 0, FALSE, NULL
              FROM key_account_due due
              JOIN (VALUES %(lasts)s) AS lasts (company_id, last)
             USING (company_id)
             WHERE visit_id IS NULL AND date_due <= lasts.last
            """,
            lasts=self.env["key.account.due"]._get_horizons_sql(),
        )

    def _read_group_select(self, aggregate_spec, query):
        """Percentages of a group are those of its sums, not averages of its rows."""
        name, _, function = aggregate_spec.partition(":")
        if name not in RATIOS or function != "avg":
            return super()._read_group_select(aggregate_spec, query)
        part, whole = (
            self._field_to_sql(self._table, field, query) for field in RATIOS[name]
        )
        return SQL("100.0 * SUM(%s) / NULLIF(SUM(%s), 0)", part, whole)

    def action_open(self):
        """Open the visit; of a target or the backlog, the customer or the lead."""
        self.ensure_one()
        record = self.visit_id or self.partner_id or self.lead_id
        return {
            "type": "ir.actions.act_window",
            "res_model": record._name,
            "res_id": record.id,
            "view_mode": "form",
        }

    @api.depends("partner_id", "lead_id")
    def _compute_display_name(self):
        for row in self:
            # sudo: whoever may read the row may read whose it is
            row.display_name = (row.partner_id or row.lead_id).sudo().display_name
