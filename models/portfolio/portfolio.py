from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, float_round, format_list

from ...const import NO_RANK, RELATIONSHIP_LEVELS
from ..account import bounds, features
from .period import get_figures_sql, get_moves_sql, get_period

# What the pyramid lays side by side, of a tier and of all
FIGURES = ("count", "revenue", "margin", "visits", "hours")
# What the statement gives back, each as rows
PARTS = ("tiers", "curve", "few", "averages", "groups", "points")
# The curve has at most so many points, and one for the best account.
CURVE_POINTS = 100
# How much of the revenue the few are said to make (S2)
FEW_SHARE = 80
# Accounts to draw one by one: those with the most revenue, and with the most visits
MOST_REVENUE, MOST_VISITS = 300, 100
# Of more accounts than these everybody's visits and invoices are read
MANY = 5000


class KeyAccountPortfolio(models.AbstractModel):
    """The portfolio: where revenue, margin and effort of the accounts differ, who is
    visited too much and too little, who moved, who has more to do than time.

    Reads alone. All figures are of accounts that the user may read: with own documents
    of own and unassigned ones, totals included. Each comes with the domain of its
    accounts.
    """

    _name = "key.account.portfolio"
    _description = "Portfolio"

    @api.model
    @api.readonly
    def get_portfolio(
        self,
        company_id=False,
        team_id=False,
        user_id=False,
        date_from=False,
        date_to=False,
    ):
        """Return the figures of the portfolio. A fixed number of queries.

        :param int company_id: whose accounts; default: the user's company
        :param int team_id: accounts of this sales team's members, for those who see all
            documents
        :param int user_id: accounts of this salesperson
        :param date_from: first day of the period, ``YYYY-MM-DD``; default: that of the
            policy's window, whose figures the last run has measured
        :param date_to: last day of the period
        :return: a dictionary, amounts untaxed and in the currency of the company:
            ``state`` (``ok``, ``elsewhere``, ``never_run``, ``empty``), ``lists`` that
            have no menu of their own, or not for everybody, ``company``,
            what there is to choose from (``companies``, ``teams``, ``users``),
            ``period``, ``context`` of what is opened, and, if ``state`` is ``ok``,
            ``total``, ``tiers``, ``curve``, ``effort``, ``load``, ``moves``
        :raise AccessError: outside sales
        :raise UserError: for a company, team or period that there isn't
        """
        self.env["key.account"].check_access("read")
        companies = self._get_companies()
        company = self._get_company(companies, company_id)
        result = self._get_frame(companies)
        if not company:
            # sudo: the user need not work there, and it is named all the same
            home = self.env.company._get_key_account_home().sudo()
            return {**result, "state": "elsewhere", "home": home.name}
        users = self._get_team_users(company, team_id)
        period = get_period(self.env, company, date_from, date_to)
        policy = self.env["key.account.policy"].sudo()._get_for_company(company)
        result |= self._get_company_frame(company, policy, period)
        if not result["computed_at"]:
            return {**result, "state": "never_run"}
        user = bounds.to_record(self.env["res.users"], user_id)
        domain = self._get_domain(company, users, user)
        figures = self._read_figures(company, period, domain)
        if not figures["tiers"]:
            return {**result, "state": "empty"}
        total, tiers = self._get_tiers(company, policy, figures["tiers"], domain)
        return {
            **result,
            "state": "ok",
            "domain": list(domain),
            "total": total,
            "tiers": tiers,
            "curve": self._get_curve(total, figures, domain),
            "effort": self._get_effort(figures, domain),
            "load": self._get_load(company, users, user),
            "moves": self._get_moves(company, period, users, user, domain),
        }

    @api.model
    def _get_frame(self, companies):
        """Return what :meth:`get_portfolio` says before it is known whose accounts."""
        return {
            "companies": [{"id": each.id, "name": each.name} for each in companies],
            "policy_id": False,
            "can_configure": self.env.user.has_group("sales_team.group_sale_manager"),
            "has_risk": "key.account.risk" in self.env,
            "lists": self._get_lists(),
        }

    @api.model
    def _get_company_frame(self, company, policy, period):
        """Return what :meth:`get_portfolio` says of a company before its figures."""
        first = fields.Date.to_string(period.first)
        last = fields.Date.to_string(period.last)
        return {
            "company": {"id": company.id, "name": company.name},
            "currency_id": company.sudo().currency_id.id,
            "see_all": self._sees_all(),
            "teams": [
                {"id": team.id, "name": team.name} for team in self._get_teams(company)
            ],
            "users": self._get_salespeople(company),
            "policy_id": policy.id,
            "computed_at": company.sudo().key_account_computed_at,
            "period": {
                "first": first,
                "last": last,
                "is_window": period.is_window,
                "months": policy.window_months,
            },
            "context": {}
            if period.is_window
            else {"portfolio_from": first, "portfolio_to": last},
        }

    # -------------------------------------------------------------------------
    # Whose accounts
    # -------------------------------------------------------------------------

    @api.model
    def _sees_all(self):
        return self.env.user.has_group("sales_team.group_sale_salesman_all_leads")

    @api.model
    def _get_lists(self):
        """Return what is opened from here: ``[{"action": external id, "name"}]``."""
        lists = {
            "key_account_visit_figures_action": self.env._("Visit Figures"),
            "key_account_risk_action": self.env._("Risk and Growth"),
            "key_account_effort_action": self.env._("Effort and Value Type"),
            "key_account_tier_change_action": self.env._("Tier Changes"),
            "key_account_loss_action": self.env._("Lost Accounts"),
        }
        if features.is_used(self.env, features.EVIDENCE):
            lists["key_account_action_level"] = self.env._("Relationships")
        if features.is_used(self.env, features.BUYING_CENTER):
            lists["key_account_gap_action"] = self.env._("Gaps")
        if features.is_used(self.env, features.ASSIGNMENT):
            name = self.env._("Next Visit Hour")
            lists["key_account_effort_suggestion_action_open"] = name
        return [
            {"action": f"crm_key_account.{action}", "name": name}
            for action, name in lists.items()
        ]

    @api.model
    def _get_companies(self):
        """Return the companies that keep accounts, among those that the user works
        in."""
        companies = self.env.companies
        return companies._get_key_account_keepers() & companies

    @api.model
    def _get_company(self, companies, company_id):
        company = bounds.to_record(self.env["res.company"], company_id)
        if not company:
            home = self.env.company._get_key_account_home()
            return home if home in companies else companies[:1]
        if not companies:
            raise UserError(
                self.env._(
                    "Another company keeps the accounts: ask to work there as well."
                )
            )
        if company not in companies:
            raise UserError(
                self.env._(
                    "You don't work in this company, or another one keeps its "
                    "accounts: choose one of %s.",
                    format_list(self.env, companies.mapped("name"), "or"),
                )
            )
        return company

    @api.model
    def _get_teams(self, company):
        """Return the sales teams that the user may choose."""
        teams = self.env["crm.team"]
        if not self._sees_all():
            return teams
        return teams.search([("company_id", "in", company._get_key_account_team_ids())])

    @api.model
    def _get_team_users(self, company, team_id):
        """Return the salespeople of a team; None if the client named no team."""
        team = bounds.to_record(self.env["crm.team"], team_id)
        if not team:
            return None
        if team not in self._get_teams(company):
            raise UserError(
                self.env._(
                    "This sales team isn't yours to see, or none of %s: choose "
                    "another one.",
                    company.name,
                )
            )
        # sudo: also those who left the company, or sales
        return team.sudo().with_context(active_test=False).member_ids.sudo(False)

    @api.model
    def _get_salespeople(self, company):
        """Return those to choose from: who has accounts that the user sees, and the
        user."""
        users = self.env.user
        if self._sees_all():
            groups = self.env["key.account"]._read_group(
                [("company_id", "=", company.id), ("is_account", "=", True)],
                ["user_id"],
            )
            users = users.union(*(user for [user] in groups))
        # sudo: names of colleagues
        return [
            {"id": user.id, "name": user.name}
            for user in users.sudo().sorted(
                lambda user: (user.id != self.env.uid, user.name.lower(), user.id)
            )
        ]

    @api.model
    def _get_domain(self, company, users, user):
        domain = Domain("company_id", "=", company.id)
        domain &= Domain("is_account", "=", True)
        return domain & self._get_user_domain("user_id", users, user)

    @api.model
    def _get_user_domain(self, name, users, user):
        domain = Domain.TRUE
        if users is not None:
            domain &= Domain(name, "in", users.ids)
        if user:
            domain &= Domain(name, "=", user.id)
        return domain

    # -------------------------------------------------------------------------
    # Figures of the period
    # -------------------------------------------------------------------------

    @api.model
    def _read_figures(self, company, period, domain):
        """Return what there is to read of the accounts in one statement: they are
        measured once, and each picture takes its sums of them.

        :return: {name: list of rows}, see :data:`PARTS`
        """
        self.env.flush_all()
        accounts = self.env["key.account"]._search(domain)
        parts = SQL(", ").join(
            SQL(
                "%s, (SELECT jsonb_agg(to_jsonb(part)) FROM %s AS part)",
                name,
                SQL.identifier(name),
            )
            for name in PARTS
        )
        # Compiling the query takes longer than running it.
        self.env.cr.execute("SET LOCAL jit = off")
        [[rows]] = self.env.execute_query(
            SQL(
                """
                WITH base AS MATERIALIZED (
                    SELECT figures.*
                      FROM (%(figures)s) AS figures
                     WHERE figures.id IN %(accounts)s
                ), %(tiers)s, %(curve)s, %(effort)s
                SELECT jsonb_build_object(%(parts)s)
                """,
                figures=get_figures_sql(
                    self.env, company, period, self._get_partner_ids(accounts)
                ),
                accounts=accounts.subselect(),
                tiers=self._get_tiers_sql(),
                curve=self._get_curve_sql(),
                effort=self._get_effort_sql(company),
                parts=parts,
            )
        )
        return {name: part or [] for name, part in rows.items()}

    @api.model
    def _get_partner_ids(self, accounts):
        """Return the customers of a query for accounts, if their visits and invoices
        are better looked for than everybody's; else None."""
        rows = self.env.execute_query(
            SQL(
                "SELECT partner_id FROM key_account WHERE id IN %s LIMIT %s",
                accounts.subselect(),
                MANY + 1,
            )
        )
        return [row[0] for row in rows] if len(rows) <= MANY else None

    @api.model
    def _get_tiers_sql(self):
        """Return the expression ``tiers``: the sums of the accounts of each tier."""
        return SQL(
            """
            tiers AS (
                SELECT tier_id, COUNT(*) AS count, SUM(revenue) AS revenue,
                       SUM(margin) AS margin, SUM(visits) AS visits,
                       SUM(hours) AS hours,
                       SUM(GREATEST(revenue, 0)) AS positive
                  FROM base
                 GROUP BY tier_id
            )
            """
        )

    @api.model
    def _get_curve_sql(self):
        """Return the expressions ``ranked``: accounts with revenue, equal ones as one,
        ``curve``: its points, and ``few``: where they make :data:`FEW_SHARE`
        percent."""
        return SQL(
            """
            ranked AS (
                -- equal ones have one place
                SELECT revenue, MAX(count) AS count, MAX(cumulated) AS cumulated,
                       MAX(number) AS number, MAX(total) AS total
                  FROM (
                        SELECT revenue,
                               COUNT(*) OVER best AS count,
                               SUM(revenue) OVER best AS cumulated,
                               COUNT(*) OVER () AS number,
                               SUM(revenue) OVER () AS total
                          FROM (SELECT GREATEST(revenue, 0) AS revenue FROM base)
                            AS positive
                        WINDOW best AS (ORDER BY revenue DESC)
                       ) AS account
                 WHERE revenue > 0
                 GROUP BY revenue
            ), curve AS (
                SELECT DISTINCT ON (part) revenue, count, cumulated
                  FROM (
                        SELECT revenue, count, cumulated,
                               CASE WHEN count = MIN(count) OVER () THEN 0
                                    ELSE CEIL(%(points)s * count::numeric / number)
                               END AS part
                          FROM ranked
                       ) AS point
                 ORDER BY part, count DESC
            ), few AS (
                SELECT revenue, count, cumulated
                  FROM ranked
                 WHERE 100 * cumulated >= %(few)s * total
                 ORDER BY count
                 LIMIT 1
            )
            """,
            points=CURVE_POINTS,
            few=FEW_SHARE,
        )

    @api.model
    def _get_effort_sql(self, company):
        """Return the expressions ``averages``, ``grouped``: who is visited too much or
        too little, see :meth:`_get_effort`, ``groups``: their sums, and ``points``:
        accounts to draw one by one."""
        return SQL(
            """
            averages AS (
                SELECT COUNT(*) AS count,
                       ROUND(AVG(revenue)::numeric, %(digits)s) AS revenue,
                       ROUND(AVG(visits), 2) AS visits
                  FROM base
                 WHERE revenue > 0 OR visits > 0
            ), grouped AS (
                SELECT base.*,
                       CASE WHEN base.revenue > 0
                             AND base.revenue >= averages.revenue
                             AND base.visits < averages.visits THEN 'too_little'
                            WHEN base.revenue < averages.revenue
                             AND base.visits > averages.visits THEN 'too_much'
                       END AS fit
                  FROM base CROSS JOIN averages
            ), groups AS (
                SELECT fit, COUNT(*) AS count, SUM(revenue) AS revenue,
                       SUM(visits) AS visits
                  FROM grouped
                 WHERE fit IS NOT NULL
                 GROUP BY fit
            ), points AS (
                SELECT id, partner_id, relationship_level AS level, revenue,
                       visits, fit
                  FROM (
                        SELECT *,
                               ROW_NUMBER() OVER (ORDER BY revenue DESC, id)
                                   AS by_revenue,
                               ROW_NUMBER() OVER (ORDER BY visits DESC, id)
                                   AS by_visits
                          FROM grouped
                         WHERE revenue > 0 OR visits > 0
                       ) AS account
                 WHERE by_revenue <= %(most_revenue)s
                    OR by_visits <= %(most_visits)s
                 ORDER BY revenue DESC, id
            )
            """,
            digits=company.sudo().currency_id.decimal_places,
            most_revenue=MOST_REVENUE,
            most_visits=MOST_VISITS,
        )

    @api.model
    def _get_tiers(self, company, policy, rows, domain):
        """Return the total, and the tiers in order, the best first; each figure with
        its share of the total in percent, None where the total isn't above zero."""
        digits = company.sudo().currency_id.decimal_places
        by_tier = {row["tier_id"]: row for row in rows}
        tiers = self.env["key.account.tier"].sudo().browse(filter(None, by_tier))
        if policy:
            tiers |= policy._get_tiers()
        ordered = [
            *tiers.sorted(lambda tier: (tier.sequence, tier.id)),
            *([tiers.browse()] if None in by_tier else []),
        ]
        nothing = dict.fromkeys((*FIGURES, "positive"), 0)
        found = [by_tier.get(tier.id or None, nothing) for tier in ordered]
        total = {
            name: sum(row[name] for row in found) for name in (*FIGURES, "positive")
        }
        for name in ("revenue", "margin", "positive"):
            total[name] = float_round(total[name], precision_digits=digits)
        return total | {"domain": list(domain)}, [
            {
                "id": tier.id,
                "name": tier.name or self.env._("No tier"),
                "code": tier.code or "",
                "color": tier.color,
                **{name: row[name] for name in (*FIGURES, "positive")},
                "shares": {
                    name: 100 * row[name] / total[name] if total[name] > 0 else None
                    for name in FIGURES
                },
                "domain": list(domain & Domain("tier_id", "=", tier.id)),
            }
            for tier, row in zip(ordered, found, strict=True)
        ]

    @api.model
    def _get_curve(self, total, figures, domain):
        """Return the Pareto curve: how many of the best accounts make how much of the
        revenue. As in the run, only what is above zero makes shares; equal accounts
        have one place.

        :return: ``points`` and ``few``, the fewest accounts that make
            :data:`FEW_SHARE` percent
        """

        def prepare(row):
            return {
                "count": row["count"],
                "revenue": row["cumulated"],
                "count_share": 100 * row["count"] / total["count"],
                "revenue_share": 100 * row["cumulated"] / total["positive"],
                "domain": list(domain & Domain("period_revenue", ">=", row["revenue"])),
            }

        return {
            "points": [prepare(row) for row in figures["curve"]],
            "few": next(map(prepare, figures["few"]), None),
            "few_share": FEW_SHARE,
        }

    @api.model
    def _get_effort(self, figures, domain):
        """Return revenue against visits. Too little: at least the average revenue, and
        fewer visits than the average account. Too much: less revenue, more visits. The
        averages are of the accounts with revenue or a visit in the period."""
        [averages] = figures["averages"]
        revenue, visits = averages["revenue"] or 0, averages["visits"] or 0
        domains = {
            "too_little": Domain("period_revenue", ">", 0)
            & Domain("period_revenue", ">=", revenue)
            & Domain("period_visit_count", "<", visits),
            "too_much": Domain("period_revenue", "<", revenue)
            & Domain("period_visit_count", ">", visits),
        }
        groups = {row["fit"]: row for row in figures["groups"]}
        points = figures["points"]
        # sudo: whoever may read the account may read whose it is
        names = {
            partner.id: partner.display_name
            for partner in self.env["res.partner"]
            .sudo()
            .browse(row["partner_id"] for row in points)
        }
        has_levels = features.is_used(self.env, features.EVIDENCE)
        levels = dict(
            self.env["key.account"]
            ._fields["relationship_level"]
            ._description_selection(self.env)
        )
        shown = [[key, levels[key]] for key, _ in RELATIONSHIP_LEVELS]
        return {
            "levels": shown if has_levels else [[False, self.env._("Accounts")]],
            "count": averages["count"],
            "average_revenue": revenue,
            "average_visits": visits,
            "points": [
                {
                    "id": row["id"],
                    "name": names[row["partner_id"]],
                    "level": has_levels and row["level"],
                    "revenue": row["revenue"],
                    "visits": row["visits"],
                    "fit": row["fit"] or False,
                    "domain": [("id", "=", row["id"])],
                }
                for row in points
            ],
            "groups": {
                key: {
                    "count": groups.get(key, {}).get("count", 0),
                    "revenue": groups.get(key, {}).get("revenue", 0),
                    "visits": groups.get(key, {}).get("visits", 0),
                    "domain": list(domain & part),
                }
                for key, part in domains.items()
            },
        }

    # -------------------------------------------------------------------------
    # Load
    # -------------------------------------------------------------------------

    @api.model
    def _get_load(self, company, users, user):
        """Return what the cadence asks of each salesperson a week, in visits (a call is
        a quarter), against the visits that fit into a week.

        What an account or lead asks on a track is a week over its interval; one visit
        to win a lost account back isn't counted. The capacity is the average of the
        next quarter, see ``key.account.load``. With own documents, of the user alone.

        :return: ``is_planned``, whether the company plans visits, and ``rows``, the
            fullest first: ``load``, ``capacity`` and ``percent`` (None without one)
        """
        if not company.sudo().key_account_planning:
            return {"is_planned": False, "rows": []}
        by_user = self._read_loads(company, users, user)
        people = self._get_people(company, users, user, by_user)
        # sudo: how many visits fit into a colleague's week tells nothing of the reasons
        loads = self.env["key.account.load"].sudo()
        capacities = loads._get_capacities(people.sudo(), company)
        nobody = [self.env["res.users"]] if False in by_user else []
        # sudo: names of colleagues
        rows = [
            self._prepare_load(
                company, each, by_user.get(each.id, {}), capacities.get(each.id)
            )
            for each in [*people.sudo(), *nobody]
        ]
        rows.sort(
            key=lambda row: (
                not row["is_over"],
                -(row["percent"] or 0),
                -row["load"],
                row["id"],
            )
        )
        return {"is_planned": True, "rows": rows}

    @api.model
    def _read_loads(self, company, users, user):
        """Return {user id, or False: what the cadence asks of the user}."""
        asked = Domain("company_id", "=", company.id) & Domain("loss_id", "=", False)
        asked &= self._get_user_domain("user_id", users, user)
        if not self._sees_all():
            asked &= Domain("user_id", "=", self.env.uid)
        readable = self.env["key.account"]._search([("company_id", "=", company.id)])
        self.env.flush_all()
        rows = self.env.execute_query_dict(
            SQL(
                """
                SELECT due.user_id, COUNT(DISTINCT readable.id) AS count,
                       COUNT(DISTINCT due.lead_id) FILTER (
                           WHERE due.account_id IS NULL) AS lead_count,
                       SUM(%(week)s)::float8 AS load
                  FROM key_account_due due
                  LEFT JOIN %(readable)s AS readable ON readable.id = due.account_id
                 WHERE due.id IN %(dues)s
                 GROUP BY due.user_id
                """,
                # joined: beside a condition PostgreSQL looks through a million of
                # them for each row
                readable=readable.subselect(SQL.identifier("key_account", "id")),
                week=self.env["key.account.load"]._get_week_sql(),
                dues=self.env["key.account.due"]._search(asked).subselect(),
            )
        )
        return {row["user_id"] or False: row for row in rows}

    @api.model
    def _prepare_load(self, company, user, row, capacity):
        """Return a row of :meth:`_get_load`.

        :param user: the salesperson; empty: nobody
        :param dict row: that of :meth:`_read_loads`
        :param capacity: visits that fit into a week; None if that isn't known
        """
        load = float_round(row.get("load", 0), precision_digits=2)
        responsible = [("user_id", "=", user.id), ("loss_id", "=", False)]
        return {
            "id": user.id,
            "name": user.name or self.env._("No salesperson"),
            "count": row.get("count", 0),
            "lead_count": row.get("lead_count", 0),
            "load": load,
            "capacity": capacity,
            "percent": 100 * load / capacity if capacity else None,
            "is_over": bool(user) and load > (capacity or 0),
            "domain": list(
                Domain("company_id", "=", company.id)
                & Domain("due_ids", "any", responsible)
            ),
        }

    @api.model
    def _get_people(self, company, users, user, by_user):
        """Return whose load is shown: who has something to do, and who is in a team."""
        people = self.env["res.users"].browse(filter(None, by_user))
        if not self._sees_all():
            return self.env.user if not user or user == self.env.user else people
        if users is None:
            # sudo: who is in a team may be known to whoever may read it
            users = self._get_teams(company).sudo().crm_team_member_ids.user_id
        if user:
            users &= user
        people |= users.sudo(False)
        # sudo: whether colleagues work here
        return people.filtered(
            lambda each: each.sudo().active and company in each.sudo().company_ids
        )

    # -------------------------------------------------------------------------
    # Moves
    # -------------------------------------------------------------------------

    @api.model
    def _get_moves(self, company, period, users, user, domain):
        """Return who ended the period in another tier than they began it in, by both
        tiers: ``rows``, the largest first, and the domain of the changes with their
        reasons."""
        self.env.flush_all()
        found = self.env.execute_query(
            SQL(
                """
                SELECT from_tier_id, to_tier_id, COUNT(*)
                  FROM (%s) AS move
                 WHERE id IN %s
                 GROUP BY from_tier_id, to_tier_id
                """,
                get_moves_sql(company, period),
                self.env["key.account"]._search(domain).subselect(),
            )
        )
        tiers = self.env["key.account.tier"].sudo()
        place_by_id = {
            None: NO_RANK,
            **dict(self.env.execute_query(tiers._get_places_sql())),
        }
        rows = []
        counts = defaultdict(int)
        for from_id, to_id, count in found:
            before, after = tiers.browse(from_id), tiers.browse(to_id)
            places = [place_by_id[from_id], place_by_id[to_id]]
            direction = "up" if places[1] < places[0] else "down"
            if places[0] == places[1]:
                direction = "same"
            counts[direction] += count
            moved = Domain("period_from_tier_id", "=", before.id)
            moved &= Domain("period_to_tier_id", "=", after.id)
            rows.append(
                {
                    "from": before.name or self.env._("No tier"),
                    "to": after.name or self.env._("No tier"),
                    "direction": direction,
                    "count": count,
                    "domain": list(domain & moved),
                    "order": places,
                }
            )
        directions = ["up", "down", "same"]
        rows.sort(
            key=lambda row: (directions.index(row["direction"]), row.pop("order"))
        )
        changes = Domain("company_id", "=", company.id)
        changes &= Domain("state", "=", "applied")
        changes &= Domain("date", ">=", fields.Date.to_string(period.first))
        changes &= Domain("date", "<=", fields.Date.to_string(period.last))
        changes &= self._get_user_domain("partner_user_id", users, user)
        return {
            "rows": rows,
            "up": counts["up"],
            "down": counts["down"],
            "changes_domain": list(changes),
        }
