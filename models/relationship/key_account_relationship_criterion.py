from dateutil.relativedelta import relativedelta

from odoo import api, fields, models, tools
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL, format_date

from ...const import LEVEL_NUMBERS, RELATIONSHIP_LEVELS

# The parameters that each automatic measure needs.
MEASURE_PARAMETERS = {
    "executive_meeting": ["months"],
    "levels_met": ["months"],
    "contacts_met": ["months", "minimum_count"],
    "supporters": ["minimum_count"],
    "orders_quarters": ["quarters"],
    "won_share": ["months", "minimum_share"],
    "coverage": ["minimum_share"],
}


class KeyAccountRelationshipCriterion(models.Model):
    """What must be true of an account for a level of the relationship ladder.

    Automatic criteria are read off the data, each with one measure of a fixed set;
    :meth:`_get_status_sql` evaluates all of them for all accounts in one query. Judged
    ones hold while somebody's word (``key.account.relationship.evidence``) is young
    enough.
    """

    _name = "key.account.relationship.criterion"
    _description = "Relationship Criterion"
    _order = "level_number, sequence, id"

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        index=True,
        help="Leave empty to ask for it in every company.",
    )
    level = fields.Selection(
        # Transactional is where everybody starts: it needs no evidence.
        RELATIONSHIP_LEVELS[1:],
        required=True,
        help="A level holds when all its own criteria and those of the levels below "
        "hold.",
    )
    level_number = fields.Integer(compute="_compute_level_number", store=True)
    kind = fields.Selection(
        [("automatic", "Automatic"), ("judged", "Judged")],
        required=True,
        default="judged",
        help="Automatic: read off visits, contacts, orders and opportunities.\n"
        "Judged: somebody says yes, with a note and a date.",
    )
    measure = fields.Selection(
        [
            ("executive_meeting", "Executive met"),
            ("levels_met", "Every decision level met"),
            ("contacts_met", "Contacts met"),
            ("supporters", "Champions or supporters"),
            ("orders_quarters", "Orders in each of the last quarters"),
            ("won_share", "Share of expected revenue won"),
            ("coverage", "Coverage of the buying centre"),
        ],
        help="Executive met: a done visit of the executive track.\n"
        "Every decision level met: somebody of the top, the middle and the working "
        "level was met.\n"
        "Contacts met: so many different contacts were met.\n"
        "Champions or supporters: so many contacts with this stance, in one of the "
        "roles if some are named.\n"
        "Orders in each of the last quarters: a confirmed order or a posted invoice in "
        "each three months, counted back from today.\n"
        "Share of expected revenue won: of closed opportunities, won against lost.\n"
        "Coverage: met required contacts of the tier.",
    )
    months = fields.Integer(
        help="Automatic: how far to look back. Judged: after so many months the "
        "evidence lapses unless somebody renews it.",
        default=12,
    )
    quarters = fields.Integer(default=4, help="Number of quarters, back from today.")
    minimum_count = fields.Integer(string="At Least", default=1)
    minimum_share = fields.Float(string="At Least (%)", digits=(5, 2), default=50)
    role_ids = fields.Many2many(
        "key.account.buying.role",
        "key_account_criterion_role_rel",
        "criterion_id",
        "role_id",
        string="Among the Roles",
        help="Leave empty to count contacts in any role, or in none.",
    )

    parameter_text = fields.Char(
        string="Needs",
        compute="_compute_parameter_text",
        help="The parameters in words.",
    )

    @api.depends(
        "kind",
        "measure",
        "months",
        "quarters",
        "minimum_count",
        "minimum_share",
        "role_ids",
    )
    @api.depends_context("lang")
    def _compute_parameter_text(self):
        for criterion in self:
            if criterion.kind == "judged":
                text = self.env._("evidence of %s months", criterion.months)
            else:
                texts = {
                    "months": self.env._("within %s months", criterion.months),
                    "quarters": self.env._("the last %s quarters", criterion.quarters),
                    "minimum_count": self.env._("at least %s", criterion.minimum_count),
                    "minimum_share": self.env._(
                        "at least %g %%", criterion.minimum_share
                    ),
                }
                text = ", ".join(
                    texts[name]
                    for name in MEASURE_PARAMETERS.get(criterion.measure, [])
                )
                if criterion.measure == "supporters" and criterion.role_ids:
                    roles = ", ".join(criterion.role_ids.mapped("name"))
                    text = self.env._(
                        "%(text)s among %(roles)s", text=text, roles=roles
                    )
            criterion.parameter_text = text

    @api.depends("level")
    def _compute_level_number(self):
        for criterion in self:
            criterion.level_number = LEVEL_NUMBERS.get(criterion.level, 0)

    # -------------------------------------------------------------------------
    # Constraints
    # -------------------------------------------------------------------------

    @api.constrains(
        "kind", "measure", "months", "quarters", "minimum_count", "minimum_share"
    )
    def _check_parameters(self):
        for criterion in self:
            if criterion.kind == "judged":
                names = ["months"]
            elif criterion.measure:
                names = MEASURE_PARAMETERS[criterion.measure]
            else:
                raise ValidationError(
                    self.env._(
                        "The criterion %s is automatic: choose what it measures.",
                        criterion.name,
                    )
                )
            for name in names:
                value = criterion[name]
                field = self._fields[name]._description_string(self.env)
                if value <= 0:
                    raise ValidationError(
                        self.env._(
                            "The criterion %(criterion)s needs a number above 0 in "
                            "“%(field)s”.",
                            criterion=criterion.name,
                            field=field,
                        )
                    )
                # a century is more than anybody means, and keeps dates in range
                limit = {"minimum_share": 100, "months": 1200, "quarters": 400}
                if value > limit.get(name, value):
                    raise ValidationError(
                        self.env._(
                            "The criterion %(criterion)s allows at most %(limit)s in "
                            "“%(field)s”.",
                            criterion=criterion.name,
                            limit=limit[name],
                            field=field,
                        )
                    )

    @api.constrains(
        "kind",
        "measure",
        "name",
        "level",
        "company_id",
        "active",
        "months",
        "quarters",
        "minimum_count",
        "minimum_share",
        "role_ids",
    )
    def _check_duplicate(self):
        """A level includes those below it: to ask for the same on two of them, or
        twice on one, says nothing that one line doesn't say."""
        for criterion in self.filtered("active"):
            if criterion.kind == "automatic" and not criterion.measure:
                continue  # refused above
            for other in self.sudo().search(
                [
                    ("id", "!=", criterion.id),
                    ("kind", "=", criterion.kind),
                    ("measure", "=", criterion._get_measure()),
                ]
            ):
                # asked for in one company each, two never meet
                apart = len(criterion.company_id | other.company_id) == 2
                if not apart and criterion._get_parameters() == other._get_parameters():
                    raise ValidationError(
                        self.env._(
                            "%(name)s asks for the same as “%(other)s” on the level "
                            "%(level)s: a level includes the criteria below it, so "
                            "keep one of the two.",
                            name=criterion.name,
                            other=other.name,
                            level=other._get_level_name(),
                        )
                    )

    def _get_measure(self):
        return self.measure if self.kind == "automatic" else False

    def _get_parameters(self):
        """Return what the criterion asks for, to compare it with others."""
        self.ensure_one()
        if self.kind == "judged":
            return self.name.strip().casefold()
        values = [self[name] for name in MEASURE_PARAMETERS[self.measure]]
        roles = self.role_ids.ids if self.measure == "supporters" else []
        return [*values, sorted(roles)]

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        criteria = super().create([self._clean_vals(vals) for vals in vals_list])
        self.env.registry.clear_cache()
        return criteria

    def write(self, vals):
        res = super().write(self._clean_vals(vals))
        self.env.registry.clear_cache()
        return res

    def unlink(self):
        self.env.registry.clear_cache()
        return super().unlink()

    @api.model
    def _clean_vals(self, vals):
        # a judged criterion measures nothing
        return {**vals, "measure": False} if vals.get("kind") == "judged" else vals

    def _update_field_translations(self, *args, **kwargs):
        self.env.registry.clear_cache()
        return super()._update_field_translations(*args, **kwargs)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_with_evidence(self):
        evidence = (
            self.env["key.account.relationship.evidence"]
            .sudo()
            .search([("criterion_id", "in", self.ids)], limit=1)
        )
        if evidence:
            raise UserError(
                self.env._(
                    "There is evidence for “%s”: archive the criterion instead of "
                    "deleting it.",
                    evidence.criterion_id.name,
                )
            )

    # -------------------------------------------------------------------------
    # Words
    # -------------------------------------------------------------------------

    def _get_level_name(self):
        levels = dict(self._fields["level"]._description_selection(self.env))
        return levels[self.level]

    # Cached: opening a customer must not cost a query for them.
    @api.model
    @tools.ormcache("self.env.lang")
    def _get_names(self):
        """Return {criterion id: name} in the language of the environment."""
        criteria = self.sudo().with_context(active_test=False)
        return {
            criterion.id: criterion.name
            for criterion in criteria.search_fetch([], ["name"])
        }

    @api.model
    def _get_gap_text(self, gap):
        """Return in words which criteria don't hold.

        :param gap: list of dicts ``{"id", "state", "date"}`` as kept on scorecards and
            changes: missing ones, and lapsed ones with the day from which they don't
            hold any more
        """
        names = self._get_names()
        missing = []
        lapsed = []
        for item in gap or []:
            name = names.get(item["id"])
            if not name:
                continue
            if item["state"] == "missing":
                missing.append(name)
            else:
                day = format_date(self.env, item["date"])
                lapsed.append(f"{name} ({day})")
        parts = []
        if lapsed:
            parts.append(self.env._("Lapsed: %s", "; ".join(lapsed)))
        if missing:
            parts.append(self.env._("Missing: %s", "; ".join(missing)))
        return ". ".join(parts)

    # -------------------------------------------------------------------------
    # Measuring
    # -------------------------------------------------------------------------

    @api.model
    def _get_measured_sql(self, days, partner_ids=None):
        """Return a query for what there is to say about criteria: at most a row per
        account and criterion, none where there is nothing to be found.

        Columns: ``partner_id``, ``company_id``, ``criterion_id``, ``level_number``,
        ``sequence``, ``state`` (``holds``, ``lapsed``, ``missing``), ``actual`` (the
        figure, where there is one), ``date`` (of the latest proof), ``date_lapse``
        (first day on which it proves nothing any more), ``evidence_id``.

        A proof of day D holds for N months: while D + N months, clipped to the end of
        the month, is after today. What lies in the future proves nothing yet.

        :param dict days: today's date per company, one at least
        :param partner_ids: limit to these customers
        """

        def among(column):
            # In each measure: the planner wouldn't carry it there by itself.
            if partner_ids is None:
                return SQL("TRUE")
            return SQL(
                "%s = ANY(%s)", SQL.identifier(*column.split(".")), list(partner_ids)
            )

        companies = self.env["res.company"].sudo().browse(days)
        todays = SQL(", ").join(
            SQL(
                "(%s, %s::date, %s)",
                company.id,
                days[company.id],
                company.resource_calendar_id.tz or "UTC",
            )
            for company in companies
        )
        criteria = self._get_criteria(companies)
        measures = [
            getattr(self, f"_get_{criterion.measure}_sql")(criterion, among, days)
            for criterion in criteria
            if criterion.kind == "automatic"
        ]
        measures.append(self._get_judged_sql(among))
        return SQL(
            """
            WITH todays (company_id, today, tz) AS (VALUES %(todays)s)
            SELECT measured.partner_id, measured.company_id, measured.criterion_id,
                   criterion.level_number, criterion.sequence,
                   CASE WHEN measured.holds THEN 'holds'
                        WHEN measured.date_lapse <= todays.today THEN 'lapsed'
                        ELSE 'missing'
                   END AS state,
                   measured.actual, measured.date, measured.date_lapse,
                   measured.evidence_id
              FROM (%(measures)s) AS measured
              JOIN todays ON todays.company_id = measured.company_id
              JOIN key_account_relationship_criterion criterion
                ON criterion.id = measured.criterion_id
               AND COALESCE(criterion.company_id, measured.company_id)
                   = measured.company_id
             WHERE criterion.id = ANY(%(criteria)s)
            """,
            todays=todays,
            criteria=criteria.ids,
            measures=SQL(" UNION ALL ").join(measures),
        )

    @api.model
    def _get_status_sql(self, days, partner_ids=None):
        """Return a query with a row per scorecard and criterion, also for what is
        missing altogether: the columns of :meth:`_get_measured_sql`, and ``card_id``
        and ``user_id``."""
        companies = self.env["res.company"].browse(days)
        accounts = SQL("card.company_id = ANY(%s)", companies.ids)
        if partner_ids is not None:
            accounts = SQL("%s AND card.partner_id = ANY(%s)", accounts, partner_ids)
        return SQL(
            """
            SELECT card.id AS card_id, card.partner_id, card.company_id, card.user_id,
                   criterion.id AS criterion_id, criterion.level_number,
                   criterion.sequence, COALESCE(measured.state, 'missing') AS state,
                   measured.actual, measured.date, measured.date_lapse,
                   measured.evidence_id
              FROM key_account card
              JOIN key_account_relationship_criterion criterion
                ON criterion.id = ANY(%(criteria)s)
               AND COALESCE(criterion.company_id, card.company_id) = card.company_id
              LEFT JOIN (%(measured)s) AS measured
                ON measured.partner_id = card.partner_id
               AND measured.company_id = card.company_id
               AND measured.criterion_id = criterion.id
             WHERE %(accounts)s
            """,
            criteria=self._get_criteria(companies).ids,
            measured=self._get_measured_sql(days, partner_ids),
            accounts=accounts,
        )

    @api.model
    def _get_criteria(self, companies):
        """Return the criteria that are asked for in one of ``companies``."""
        return self.sudo().search(
            ["|", ("company_id", "in", companies.ids), ("company_id", "=", False)]
        )

    def _get_months_sql(self, months):
        return SQL("make_interval(months => %s)", months)

    def _get_met_sql(self, among):
        """Return a query for who was met when: only active contacts that are still at
        the account, and belong to its company."""
        return SQL(
            """
            SELECT visit.partner_id, visit.company_id, visit.date_done AS day,
                   visit.user_id, contact.id AS contact_id, contact.decision_level,
                   todays.today
              FROM key_account_visit visit
              JOIN todays ON todays.company_id = visit.company_id
              JOIN key_account_visit_contact_rel rel ON rel.visit_id = visit.id
              JOIN res_partner contact ON contact.id = rel.contact_id
             WHERE visit.state = 'done'
               AND visit.date_done <= todays.today
               AND contact.commercial_partner_id = visit.partner_id
               AND %s
               AND %s
            """,
            self._get_present_sql(),
            among("visit.partner_id"),
        )

    @api.model
    def _get_present_sql(self):
        """Return the condition on a ``contact`` that can be met today: a person (of the
        account, or the account itself), no address."""
        return SQL(
            """
            contact.active
            AND contact.is_company IS NOT TRUE
            AND contact.type = 'contact'
            AND (contact.left_company_date IS NULL
                 OR contact.left_company_date > todays.today)
            AND COALESCE(contact.company_id, todays.company_id) = todays.company_id
            """
        )

    def _get_executive_meeting_sql(self, criterion, among, days):
        return SQL(
            """
            SELECT visit.partner_id, visit.company_id, %(criterion)s AS criterion_id,
                   BOOL_OR(visit.date_done + %(months)s > todays.today) AS holds,
                   COUNT(*) FILTER (
                       WHERE visit.date_done + %(months)s > todays.today
                   )::numeric AS actual,
                   MAX(visit.date_done) AS date,
                   (MAX(visit.date_done) + %(months)s)::date AS date_lapse,
                   NULL::int AS evidence_id
              FROM key_account_visit visit
              JOIN todays ON todays.company_id = visit.company_id
             WHERE visit.state = 'done'
               AND visit.track = 'executive'
               AND visit.partner_id IS NOT NULL
               AND visit.date_done <= todays.today
               AND %(accounts)s
             GROUP BY visit.partner_id, visit.company_id
            """,
            criterion=criterion.id,
            months=self._get_months_sql(criterion.months),
            accounts=among("visit.partner_id"),
        )

    def _get_levels_met_sql(self, criterion, among, days):
        return SQL(
            """
            SELECT partner_id, company_id, %(criterion)s AS criterion_id,
                   COUNT(*) FILTER (WHERE day + %(months)s > today) = 3 AS holds,
                   COUNT(*) FILTER (WHERE day + %(months)s > today)::numeric AS actual,
                   MAX(day) AS date,
                   CASE WHEN COUNT(*) = 3 THEN (MIN(day) + %(months)s)::date END
                       AS date_lapse,
                   NULL::int AS evidence_id
              FROM (
                    SELECT partner_id, company_id, decision_level, today,
                           MAX(day) AS day
                      FROM (%(met)s) AS met
                     WHERE decision_level IS NOT NULL
                     GROUP BY partner_id, company_id, decision_level, today
                   ) AS levels
             GROUP BY partner_id, company_id
            """,
            criterion=criterion.id,
            months=self._get_months_sql(criterion.months),
            met=self._get_met_sql(among),
        )

    def _get_contacts_met_sql(self, criterion, among, days):
        return SQL(
            """
            SELECT partner_id, company_id, %(criterion)s AS criterion_id,
                   COUNT(*) FILTER (WHERE day + %(months)s > today) >= %(minimum)s
                       AS holds,
                   COUNT(*) FILTER (WHERE day + %(months)s > today)::numeric AS actual,
                   MAX(day) AS date,
                   -- from then on one of the last so many is too long ago
                   ((ARRAY_AGG(day ORDER BY day DESC))[%(minimum)s]
                       + %(months)s)::date AS date_lapse,
                   NULL::int AS evidence_id
              FROM (
                    SELECT partner_id, company_id, contact_id, today, MAX(day) AS day
                      FROM (%(met)s) AS met
                     GROUP BY partner_id, company_id, contact_id, today
                   ) AS contacts
             GROUP BY partner_id, company_id
            """,
            criterion=criterion.id,
            months=self._get_months_sql(criterion.months),
            minimum=criterion.minimum_count,
            met=self._get_met_sql(among),
        )

    def _get_supporters_sql(self, criterion, among, days):
        in_role = SQL("TRUE")
        if criterion.role_ids:
            in_role = SQL(
                """
                EXISTS (SELECT FROM key_account_buying_role_partner_rel rel
                         WHERE rel.partner_id = contact.id AND rel.role_id = ANY(%s))
                """,
                criterion.role_ids.ids,
            )
        return SQL(
            """
            SELECT contact.commercial_partner_id AS partner_id, todays.company_id,
                   %(criterion)s AS criterion_id,
                   COUNT(*) >= %(minimum)s AS holds, COUNT(*)::numeric AS actual,
                   NULL::date AS date, NULL::date AS date_lapse,
                   NULL::int AS evidence_id
              FROM res_partner contact
              JOIN todays ON TRUE
             WHERE contact.stance IN ('champion', 'supporter')
               AND %(present)s
               AND %(in_role)s
               AND %(accounts)s
             GROUP BY contact.commercial_partner_id, todays.company_id
            """,
            criterion=criterion.id,
            minimum=criterion.minimum_count,
            present=self._get_present_sql(),
            in_role=in_role,
            accounts=among("contact.commercial_partner_id"),
        )

    def _get_orders_quarters_sql(self, criterion, among, days):
        # From the oldest on: a quarter is what lies between two of them.
        bounds = SQL(", ").join(
            SQL(
                "(%s, ARRAY[%s]::date[])",
                company_id,
                SQL(", ").join(
                    SQL("%s", today - relativedelta(months=3 * number))
                    for number in range(criterion.quarters, -1, -1)
                ),
            )
            for company_id, today in days.items()
        )
        return SQL(
            """
            SELECT partner_id, company_id, %(criterion)s AS criterion_id,
                   COUNT(*) FILTER (WHERE quarter > 0) = %(quarters)s AS holds,
                   (COUNT(*) FILTER (WHERE quarter > 0))::numeric AS actual,
                   MAX(day) AS date,
                   (MAX(day) + make_interval(months => 3))::date AS date_lapse,
                   NULL::int AS evidence_id
              FROM (
                    SELECT partner_id, company_id,
                           -- the first bound is outside, the last one inside
                           width_bucket(day - 1, bounds.days) AS quarter,
                           MAX(day) AS day
                      FROM (
                            SELECT partner.commercial_partner_id AS partner_id,
                                   sale.company_id,
                                   (sale.date_order AT TIME ZONE 'UTC'
                                        AT TIME ZONE todays.tz)::date AS day
                              FROM sale_order sale
                              JOIN todays ON todays.company_id = sale.company_id
                              JOIN res_partner partner ON partner.id = sale.partner_id
                             WHERE sale.state = 'sale'
                               AND %(buyers)s
                             UNION ALL
                            SELECT move.commercial_partner_id, move.company_id,
                                   move.invoice_date
                              FROM account_move move
                             WHERE move.state = 'posted'
                               AND move.move_type IN ('out_invoice', 'out_receipt')
                               AND %(invoiced)s
                           ) AS sales
                      JOIN (VALUES %(bounds)s) AS bounds (company_id, days)
                     USING (company_id)
                     WHERE day <= bounds.days[%(quarters)s + 1]
                     GROUP BY 1, 2, 3
                   ) AS quarters
             GROUP BY partner_id, company_id
            """,
            criterion=criterion.id,
            quarters=criterion.quarters,
            bounds=bounds,
            buyers=among("partner.commercial_partner_id"),
            invoiced=among("move.commercial_partner_id"),
        )

    def _get_won_share_sql(self, criterion, among, days):
        return SQL(
            """
            SELECT partner_id, company_id, %(criterion)s AS criterion_id,
                   100 * SUM(revenue) FILTER (WHERE won_status = 'won')
                       >= %(minimum)s::numeric * SUM(revenue) AS holds,
                   ROUND((100 * SUM(revenue) FILTER (WHERE won_status = 'won')
                       / NULLIF(SUM(revenue), 0))::numeric, 2) AS actual,
                   MAX(day) AS date, NULL::date AS date_lapse,
                   NULL::int AS evidence_id
              FROM (
                    SELECT partner.commercial_partner_id AS partner_id,
                           todays.company_id, lead.won_status,
                           lead.expected_revenue::numeric AS revenue,
                           (lead.date_closed AT TIME ZONE 'UTC' AT TIME ZONE todays.tz
                           )::date AS day,
                           todays.today
                      FROM crm_lead lead
                      JOIN res_partner partner ON partner.id = lead.partner_id
                      LEFT JOIN crm_team team ON team.id = lead.team_id
                      LEFT JOIN res_users owner ON owner.id = lead.user_id
                      JOIN todays ON todays.company_id = %(lead_company)s
                     WHERE lead.won_status IN ('won', 'lost')
                       AND lead.expected_revenue > 0
                       AND %(accounts)s
                   ) AS closed
             WHERE day <= today AND day + %(months)s > today
             GROUP BY partner_id, company_id
            """,
            criterion=criterion.id,
            months=self._get_months_sql(criterion.months),
            minimum=criterion.minimum_share,
            lead_company=self.env["crm.lead"]._get_key_account_company_sql(),
            accounts=among("partner.commercial_partner_id"),
        )

    def _get_coverage_sql(self, criterion, among, days):
        return SQL(
            """
            SELECT partner_id, company_id, %(criterion)s AS criterion_id,
                   coverage >= %(minimum)s::numeric AS holds, coverage AS actual,
                   NULL::date AS date, NULL::date AS date_lapse,
                   NULL::int AS evidence_id
              FROM key_account
             WHERE required_count > 0 AND %(accounts)s
            """,
            criterion=criterion.id,
            minimum=criterion.minimum_share,
            accounts=among("partner_id"),
        )

    def _get_judged_sql(self, among):
        """The latest word on each judged criterion. A withdrawn one holds no more, and
        counts only where there is no other: whoever mistook the day withdraws and says
        it again."""
        return SQL(
            """
            SELECT partner_id, company_id, criterion_id,
                   date_lapse > today AS holds, NULL::numeric AS actual, date,
                   date_lapse, evidence_id
              FROM (
                    SELECT DISTINCT ON (evidence.partner_id, evidence.company_id,
                                        evidence.criterion_id)
                           evidence.partner_id, evidence.company_id,
                           evidence.criterion_id, evidence.date, todays.today,
                           LEAST(evidence.date_withdrawn,
                                 evidence.date + make_interval(months => judged.months)
                           )::date AS date_lapse,
                           evidence.id AS evidence_id
                      FROM key_account_relationship_evidence evidence
                      JOIN key_account_relationship_criterion judged
                        ON judged.id = evidence.criterion_id AND judged.kind = 'judged'
                      JOIN todays ON todays.company_id = evidence.company_id
                     WHERE evidence.date <= todays.today
                       AND %s
                     ORDER BY evidence.partner_id, evidence.company_id,
                              evidence.criterion_id,
                              evidence.date_withdrawn IS NOT NULL,
                              evidence.date DESC, evidence.id DESC
                   ) AS latest
            """,
            among("evidence.partner_id"),
        )
