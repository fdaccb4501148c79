"""What the relationship ladder reads off the data, one class per measure.

Another addon adds its own with :func:`register` and ``selection_add`` on
``key.account.relationship.criterion.measure``. How all of them are asked at once is a
matter of :mod:`.evaluation`.
"""

from dateutil.relativedelta import relativedelta

from odoo.tools import SQL, format_list

from ..account import words
from ..account.books import get_invoices_sql, get_orders_sql

# {value of key.account.relationship.criterion.measure: class}
MEASURES = {}


def register(measure):
    MEASURES[measure.key] = measure
    return measure


class Measure:
    """One thing that an automatic criterion can measure.

    :cvar key: value of ``key.account.relationship.criterion.measure``
    :cvar label: its name
    :cvar help: one line for the field's help
    :cvar parameters: the criterion's fields that it uses, in the order of their words
    :cvar unit: what its figure counts: ``number``, ``percent``
    """

    key = None
    label = None
    help = None
    parameters = ()
    unit = "number"

    def __init__(self, criterion):
        self.criterion = criterion
        self.env = criterion.env

    # -------------------------------------------------------------------------
    # Words
    # -------------------------------------------------------------------------

    def explain(self):
        """Return the parameters in words."""
        criterion = self.criterion
        texts = {
            "months": self.env._("within 1 month")
            if criterion.months == 1
            else self.env._("within %s months", criterion.months),
            "quarters": self.env._("the last quarter")
            if criterion.quarters == 1
            else self.env._("the last %s quarters", criterion.quarters),
            "minimum_count": self.env._("at least %s", criterion.minimum_count),
            "minimum_share": self.env._("at least %g %%", criterion.minimum_share),
        }
        return words.join_facts(self.env, map(texts.get, self.parameters))

    def explain_figure(self, actual):
        """Return in words what was found, and what is needed."""
        needed = self.get_needed()
        if self.unit == "percent":
            return self.env._(
                "%(actual)g %%, at least %(needed)g %% needed",
                actual=actual,
                needed=needed,
            )
        return self.env._(
            "%(actual)d of %(needed)d", actual=min(actual, needed), needed=needed
        )

    def get_needed(self):
        """Return the figure from which on the criterion holds, in the unit."""
        raise NotImplementedError

    # -------------------------------------------------------------------------
    # Measuring
    # -------------------------------------------------------------------------

    def get_sql(self, scope):
        """Return a query with a row per account of which there is something to say,
        over the common tables ``todays`` (``company_id``, ``today``, ``tz``) and
        ``met`` (:func:`get_contacts_met_sql`).

        Columns, in any order: ``partner_id``, ``company_id``, ``holds``, ``actual``
        (the figure, in the unit), ``date`` (of the latest proof), ``date_lapse``
        (first day on which it proves nothing any more).

        A proof of day D holds for N months: while D + N months, clipped to the end of
        the month, is after today. What lies in the future proves nothing yet.

        :param Scope scope: whom to measure, as of when
        """
        raise NotImplementedError

    def get_sale_months(self):
        """Return so many months after which days an order or an invoice comes into, or
        out of, what is counted, though ``date_lapse`` doesn't tell: a night's run
        measures its customer again."""
        return []

    def get_lead_months(self):
        """The same for leads that were closed."""
        return []

    def _get_months_sql(self):
        return SQL("make_interval(months => %s)", self.criterion.months)


def get_measure(criterion):
    """Return what a criterion measures; None if somebody judges, or while nothing is
    chosen."""
    if criterion.kind == "automatic" and criterion.measure:
        return MEASURES[criterion.measure](criterion)
    return None


def get_measures(criteria):
    """Return what is measured of the criteria."""
    return [measure for each in criteria if (measure := get_measure(each))]


def get_queries(criteria, scope):
    """Return {criterion id: query} of what is measured of the criteria, see
    :meth:`Measure.get_sql`."""
    return {
        measure.criterion.id: measure.get_sql(scope)
        for measure in get_measures(criteria)
    }


def get_all_parameters():
    """Return the criterion's fields that one of the measures uses."""
    return sorted({name for each in MEASURES.values() for name in each.parameters})


class Scope:
    """Whom to measure, as of when.

    :ivar dict days: today's date per company id, one at least
    :ivar partner_ids: ids of the customers; None: all
    """

    def __init__(self, days, partner_ids=None):
        self.days = days
        self.partner_ids = None if partner_ids is None else list(partner_ids)

    def among(self, *column):
        """Return the condition that the customer in a column is one of them.

        :param column: as for ``SQL.identifier``
        """
        # In each measure: the planner wouldn't carry it there by itself.
        if self.partner_ids is None:
            return SQL("TRUE")
        return SQL("%s = ANY(%s)", SQL.identifier(*column), self.partner_ids)


def get_present_sql(env):
    """Return the condition on a ``contact`` that can be met today: a person (of the
    account, or the account itself), no address."""
    home = env["res.company"]._get_key_account_home_sql(SQL("contact.company_id"))
    return SQL(
        """
        contact.active
        AND contact.is_company IS NOT TRUE
        AND contact.type = 'contact'
        AND (contact.left_company_date IS NULL
             OR contact.left_company_date > todays.today)
        AND COALESCE(%s, todays.company_id) = todays.company_id
        """,
        home,
    )


def get_contacts_met_sql(env, scope):
    """Return a query for who was met when: only active contacts that are still at the
    account, and belong to its company."""
    return SQL(
        """
        SELECT visit.partner_id, visit.company_id, visit.date_done AS day,
               visit.user_id, visit.id AS visit_id, contact.id AS contact_id,
               contact.decision_level, todays.today
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
        get_present_sql(env),
        scope.among("visit", "partner_id"),
    )


@register
class ExecutiveMeeting(Measure):
    key = "executive_meeting"
    label = "Executive met"
    help = (
        "Executive met: somebody of the top level was met by an executive of ours, who "
        "may have come along. "
        "Executives are the executive sponsors of customers and the leaders of sales "
        "teams, who stand in for them."
    )
    parameters = ("months",)

    def get_needed(self):
        return 1

    def get_sql(self, scope):
        return SQL(
            """
            SELECT partner_id, company_id,
                   BOOL_OR(day + %(months)s > today) AS holds,
                   COUNT(*) FILTER (WHERE day + %(months)s > today) AS actual,
                   MAX(day) AS date, MAX(day) + %(months)s AS date_lapse
              FROM met
             WHERE decision_level = 'top'
               AND (%(met_by_executive)s
                    -- or one of them came along
                    OR EXISTS (SELECT FROM key_account_visit_participant_rel rel
                                WHERE rel.visit_id = met.visit_id
                                  AND %(came_along)s))
             GROUP BY partner_id, company_id
            """,
            months=self._get_months_sql(),
            met_by_executive=self._get_executive_sql("met", "user_id"),
            came_along=self._get_executive_sql("rel", "user_id"),
        )

    def _get_executive_sql(self, *column):
        """Return the condition that the user in a column is an executive in the company
        of ``met``.

        :param column: as for ``SQL.identifier``
        """
        home = self.env["res.company"]._get_key_account_home_sql(SQL("team.company_id"))
        return SQL(
            """
            (EXISTS (SELECT FROM key_account card
                      WHERE card.executive_sponsor_id = %(user)s
                        AND card.company_id = met.company_id)
             OR EXISTS (SELECT FROM crm_team team
                         WHERE team.user_id = %(user)s
                           AND team.active
                           AND COALESCE(%(home)s, met.company_id) = met.company_id))
            """,
            user=SQL.identifier(*column),
            home=home,
        )


@register
class LevelsMet(Measure):
    key = "levels_met"
    label = "Every decision level met"
    help = (
        "Every decision level met: somebody of the top, the middle and the working "
        "level was met."
    )
    parameters = ("months",)

    def get_needed(self):
        return 3

    def get_sql(self, scope):
        return SQL(
            """
            SELECT partner_id, company_id,
                   COUNT(*) FILTER (WHERE day + %(months)s > today) = 3 AS holds,
                   COUNT(*) FILTER (WHERE day + %(months)s > today) AS actual,
                   MAX(day) AS date,
                   CASE WHEN COUNT(*) = 3 THEN MIN(day) + %(months)s END AS date_lapse
              FROM (
                    SELECT partner_id, company_id, decision_level, today,
                           MAX(day) AS day
                      FROM met
                     WHERE decision_level IS NOT NULL
                     GROUP BY partner_id, company_id, decision_level, today
                   ) AS levels
             GROUP BY partner_id, company_id
            """,
            months=self._get_months_sql(),
        )


@register
class ContactsMet(Measure):
    key = "contacts_met"
    label = "Contacts met"
    help = "Contacts met: so many different contacts were met."
    parameters = ("months", "minimum_count")

    def get_needed(self):
        return self.criterion.minimum_count

    def get_sql(self, scope):
        return SQL(
            """
            SELECT partner_id, company_id,
                   COUNT(*) FILTER (WHERE day + %(months)s > today) >= %(minimum)s
                       AS holds,
                   COUNT(*) FILTER (WHERE day + %(months)s > today) AS actual,
                   MAX(day) AS date,
                   -- from then on one of the last so many is too long ago
                   (ARRAY_AGG(day ORDER BY day DESC))[%(minimum)s] + %(months)s
                       AS date_lapse
              FROM (
                    SELECT partner_id, company_id, contact_id, today, MAX(day) AS day
                      FROM met
                     GROUP BY partner_id, company_id, contact_id, today
                   ) AS contacts
             GROUP BY partner_id, company_id
            """,
            months=self._get_months_sql(),
            minimum=self.criterion.minimum_count,
        )


@register
class Supporters(Measure):
    key = "supporters"
    label = "Champions or supporters"
    help = (
        "Champions or supporters: so many contacts with this stance, in one of the "
        "roles if some are named."
    )
    parameters = ("minimum_count", "role_ids")

    def explain(self):
        text = super().explain()
        roles = self.criterion.role_ids
        if not roles:
            return text
        return self.env._(
            "%(text)s among %(roles)s",
            text=text,
            roles=format_list(self.env, roles.mapped("name")),
        )

    def get_needed(self):
        return self.criterion.minimum_count

    def get_sql(self, scope):
        named = SQL(
            """
            SELECT role.id
              FROM key_account_criterion_role_rel named
              JOIN key_account_buying_role role
                ON role.id = named.role_id AND role.active
             WHERE named.criterion_id = %s
            """,
            self.criterion.id,
        )
        return SQL(
            """
            SELECT contact.commercial_partner_id AS partner_id, todays.company_id,
                   COUNT(*) >= %(minimum)s AS holds, COUNT(*) AS actual,
                   NULL AS date, NULL AS date_lapse
              FROM res_partner contact
              JOIN todays ON TRUE
             WHERE contact.stance IN ('champion', 'supporter')
               AND %(present)s
               AND (NOT EXISTS (%(named)s)
                    OR EXISTS (
                       SELECT FROM key_account_buying_role_partner_rel rel
                        WHERE rel.partner_id = contact.id
                          AND rel.role_id IN (%(named)s)))
               AND %(accounts)s
             GROUP BY contact.commercial_partner_id, todays.company_id
            """,
            minimum=self.criterion.minimum_count,
            present=get_present_sql(self.env),
            named=named,
            accounts=scope.among("contact", "commercial_partner_id"),
        )


@register
class OrdersQuarters(Measure):
    key = "orders_quarters"
    label = "Orders in each of the last quarters"
    help = (
        "Orders in each of the last quarters: a confirmed order or a posted invoice in "
        "each three months, counted back from today."
    )
    parameters = ("quarters",)

    def get_needed(self):
        return self.criterion.quarters

    def get_sale_months(self):
        return [3 * number for number in range(1, self.criterion.quarters + 1)]

    def get_sql(self, scope):
        # From the oldest on: a quarter is what lies between two of them.
        bounds = SQL(", ").join(
            SQL(
                "(%s, ARRAY[%s]::date[])",
                company_id,
                SQL(", ").join(
                    SQL("%s", today - relativedelta(months=3 * number))
                    for number in range(self.criterion.quarters, -1, -1)
                ),
            )
            for company_id, today in scope.days.items()
        )
        return SQL(
            """
            SELECT partner_id, company_id, actual = %(quarters)s AS holds, actual, date,
                   date + make_interval(months => 3) AS date_lapse
              FROM (
                    SELECT partner_id, company_id, MAX(day) AS date,
                           -- a bit for each quarter: counted in one pass
                           COALESCE(length(replace(
                               (BIT_OR(B'1'::bit(%(bits)s) >> (quarter - 1))
                                FILTER (WHERE quarter > 0))::text,
                               '0', '')), 0) AS actual
                      FROM (
                            SELECT partner_id, company_id, day,
                                   -- the first bound is outside, the last one inside
                                   width_bucket(day - 1, bounds.days) AS quarter
                              FROM (%(sales)s) AS sales
                              JOIN (VALUES %(bounds)s) AS bounds (company_id, days)
                             USING (company_id)
                             WHERE day <= bounds.days[%(quarters)s + 1]
                           ) AS sales
                     GROUP BY partner_id, company_id
                   ) AS quarters
            """,
            quarters=self.criterion.quarters,
            bits=max(self.criterion.quarters, 1),
            bounds=bounds,
            sales=self._get_sales_sql(scope),
        )

    def _get_sales_sql(self, scope):
        """Return a query for ``partner_id``, ``company_id`` and ``day`` of confirmed
        orders and posted invoices."""
        get_home_sql = self.env["res.company"]._get_key_account_home_sql
        return SQL(
            """
            SELECT sale.firm_id AS partner_id, todays.company_id,
                   (sale.date_order AT TIME ZONE 'UTC'
                        AT TIME ZONE todays.tz)::date AS day
              FROM (%(orders)s) AS sale
              JOIN todays ON todays.company_id = %(sale_company)s
             WHERE sale.state = 'sale'
             UNION ALL
            SELECT move.firm_id AS partner_id, %(move_company)s AS company_id,
                   move.invoice_date AS day
              FROM (%(invoices)s) AS move
             WHERE move.state = 'posted'
               AND move.move_type != 'out_refund'
               AND %(invoiced)s
            """,
            sale_company=get_home_sql(SQL("sale.company_id")),
            move_company=get_home_sql(SQL("move.company_id")),
            orders=get_orders_sql(scope.partner_ids),
            invoices=get_invoices_sql(),
            invoiced=scope.among("move", "firm_id"),
        )


@register
class WonShare(Measure):
    key = "won_share"
    label = "Share of expected revenue won"
    help = "Share of expected revenue won: of closed opportunities, won against lost."
    parameters = ("months", "minimum_share")
    unit = "percent"

    def get_needed(self):
        return self.criterion.minimum_share

    def get_lead_months(self):
        return [self.criterion.months]

    def get_sql(self, scope):
        return SQL(
            """
            SELECT partner_id, company_id,
                   100 * SUM(revenue) FILTER (WHERE won_status = 'won')
                       >= %(minimum)s::numeric * SUM(revenue) AS holds,
                   ROUND((100 * SUM(revenue) FILTER (WHERE won_status = 'won')
                       / NULLIF(SUM(revenue), 0))::numeric, 2) AS actual,
                   MAX(day) AS date, NULL AS date_lapse
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
            months=self._get_months_sql(),
            minimum=self.criterion.minimum_share,
            lead_company=self.env["crm.lead"]._get_key_account_company_sql(),
            accounts=scope.among("partner", "commercial_partner_id"),
        )


@register
class Coverage(Measure):
    key = "coverage"
    label = "Coverage of the buying centre"
    help = "Coverage: met required contacts of the tier."
    parameters = ("minimum_share",)
    unit = "percent"

    def get_needed(self):
        return self.criterion.minimum_share

    def get_sql(self, scope):
        return SQL(
            """
            SELECT partner_id, company_id, coverage >= %(minimum)s::numeric AS holds,
                   coverage AS actual, NULL AS date, NULL AS date_lapse
              FROM key_account
             WHERE required_count > 0 AND %(accounts)s
            """,
            minimum=self.criterion.minimum_share,
            accounts=scope.among("partner_id"),
        )
