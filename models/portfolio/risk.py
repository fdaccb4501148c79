from odoo import api, models
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.tools import SQL

from ..account import bounds, clock, features, words
from .period import get_period, get_sales_sql

# How many groups are named, those beyond the limit aside
MAX_GROUPS = 10
# No more have one percent, below which no limit lies.
MAX_ROWS = 100


class KeyAccountRisk(models.AbstractModel):
    """What a company, a team or a salesperson depends on, and where it may grow: read
    alone, with the rights of the user. Who sees own accounts only has figures of those,
    totals included.

    For clients there is :meth:`get_risk`; other models use :meth:`_get_concentration`.
    """

    _name = "key.account.risk"
    _description = "Risk of a Portfolio"

    @api.model
    @api.readonly
    def get_risk(
        self, company_id, team_id=False, user_id=False, date_from=None, date_to=None
    ):
        """Return the figures of risk and growth of a portfolio.

        :param int company_id: whose accounts; one of those that the user has selected
        :param team_id: those of this sales team's members
        :param user_id: those of this salesperson
        :param date_from: first day of the revenue that concentration is about
        :param date_to: its last day. Without both: the window of the policy. All else
            is as of today, by the window of the policy.
        :return: ``figures``, a list of dicts with ``key``, ``kind`` (``concentration``,
            ``risk`` or ``growth``), ``label``, ``value``, ``unit`` (``percent``,
            ``number``, ``accounts`` or ``complaints``), ``revenue`` of the accounts
            where they are counted (company currency), ``is_warning``, ``formula`` and
            ``domain``, which opens its accounts; ``groups``, the largest ones, each
            with ``id``, ``label``, ``accounts``, ``revenue``, ``share`` (percent),
            ``is_warning`` and ``domain``; ``company_id``, ``currency_id``, ``limit``
            (percent), ``total`` revenue and ``date``
        :raise AccessError: outside sales, or of a company that isn't the user's
        :raise UserError: if a day or an id is none, or the days are no period
        """
        self.env["key.account"].check_access("read")
        company = self._get_company(company_id)
        domain = self._get_domain(company, team_id, user_id)
        concentration = self._get_concentration(domain, company, date_from, date_to)
        # of a period it is read from the context, as the portfolio opens it
        revenue = "period_revenue" if date_from and date_to else "revenue"
        return {
            "company_id": company.id,
            "currency_id": company.currency_id.id,
            "date": clock.get_today(company),
            "limit": concentration["limit"],
            "total": concentration["total"],
            "groups": [
                {**group, "domain": [*group["domain"], (revenue, ">", 0)]}
                for group in concentration["groups"]
            ],
            "figures": [
                *self._get_concentration_figures(
                    domain & Domain(revenue, ">", 0), concentration
                ),
                *self._get_account_figures(domain),
            ],
        }

    # -------------------------------------------------------------------------
    # Whose
    # -------------------------------------------------------------------------

    @api.model
    def _get_company(self, company_id):
        """Return the company that keeps the accounts of the one that a client named."""
        company = bounds.to_record(self.env["res.company"], company_id)
        company = company or self.env.company
        if company not in self.env.companies:
            raise AccessError(
                self.env._("Choose one of the companies that you are working in.")
            )
        return company._get_key_account_home()

    @api.model
    def _get_domain(self, company, team_id=False, user_id=False):
        """Return the domain on the accounts of a company, a team, a salesperson."""
        domain = Domain("company_id", "=", company.id) & Domain("is_account", "=", True)
        if team := bounds.to_record(self.env["crm.team"], team_id):
            team.check_access("read")
            # sudo: also those who left the company, or sales
            members = team.sudo().with_context(active_test=False).member_ids
            domain &= Domain("user_id", "in", members.ids)
        if user := bounds.to_record(self.env["res.users"], user_id):
            domain &= Domain("user_id", "=", user.id)
        return domain

    # -------------------------------------------------------------------------
    # Concentration
    # -------------------------------------------------------------------------

    @api.model
    def _get_concentration(self, domain, company, date_from=None, date_to=None):
        """Return how much depends on how few. Accounts of one corporate group count as
        one; negative revenue counts as none.

        HHI is the Herfindahl-Hirschman index, the sum of the squared shares, from 0 to
        1; the effective number is 1 / HHI: so many groups of equal size would be as
        concentrated.

        :param domain: on accounts; with the rules of the user
        :param company: that of the accounts
        :param date_from: first day of the revenue; with ``date_to``, its last day.
            Default: what the tiering run measured, the policy's window
        :return: a dict of ``total`` (company currency), ``count`` of groups with
            revenue, ``top`` {1, 5, 10: share in percent}, ``top_ids`` of the same,
            ``hhi``, ``effective``, ``limit`` (percent), ``groups``
        """
        domain = Domain(domain)
        rows = self._read_groups(domain, company, date_from, date_to)
        total, squares, count = rows[0][3:] if rows else (0, 0, 0)
        rows = [row[:3] for row in rows]
        hhi = squares / total**2 if total else 0
        # sudo: a limit is no secret to whoever sees what is beyond it
        limit = company.sudo().key_account_concentration_limit
        result = {
            "total": total,
            "count": count,
            "hhi": hhi,
            "effective": 1 / hhi if hhi else 0,
            "limit": limit,
            "top": {},
            "top_ids": {},
        }
        for number in (1, 5, 10):
            first = rows[:number]
            result["top"][number] = sum(100 * row[2] / total for row in first)
            result["top_ids"][number] = [row[0] for row in first]
        result["groups"] = self._get_groups(domain, rows, total, limit)
        return result

    @api.model
    def _read_groups(self, domain, company, date_from, date_to):
        """Return the largest corporate groups, the largest first: their ids, how many
        accounts and how much revenue each has, and of all groups the revenue, the sum
        of its squares and the number."""
        accounts = self.env["key.account"]._search(domain)
        group = self.env["key.account"]._field_to_sql(
            accounts.table, "group_id", accounts
        )
        revenue = self._add_revenue(accounts, company, date_from, date_to)
        return self.env.execute_query(
            SQL(
                """
                SELECT *, SUM(revenue) OVER (), SUM(revenue * revenue) OVER (),
                       COUNT(*) OVER ()
                  FROM (SELECT group_id, COUNT(*) AS accounts,
                               SUM(revenue)::float AS revenue
                          FROM %s AS accounts
                         WHERE revenue > 0
                         GROUP BY group_id
                       ) AS groups
                 ORDER BY revenue DESC, group_id
                 LIMIT %s
                """,
                accounts.subselect(
                    SQL("%s AS group_id", group), SQL("%s AS revenue", revenue)
                ),
                MAX_ROWS,
            )
        )

    @api.model
    def _get_groups(self, domain, rows, total, limit):
        """Return the largest groups, and all of those that are beyond the limit."""
        rows = [
            row
            for place, row in enumerate(rows)
            if place < MAX_GROUPS or 100 * row[2] / total >= limit
        ]
        # sudo: whoever may read an account may read whose it is
        groups = self.env["res.partner"].sudo().browse(row[0] for row in rows)
        return [
            {
                "id": group.id,
                "label": group.display_name,
                "accounts": accounts,
                "revenue": revenue,
                "share": 100 * revenue / total,
                "is_warning": 100 * revenue / total >= limit,
                "domain": list(domain & Domain("group_id", "=", group.id)),
            }
            for group, (_id, accounts, revenue) in zip(groups, rows, strict=True)
        ]

    @api.model
    def _add_revenue(self, accounts, company, date_from, date_to):
        """Return the revenue of accounts as a column of the query ``accounts``."""
        period = get_period(self.env, company, date_from, date_to)
        if period.is_window:
            return self.env["key.account"]._field_to_sql(
                accounts.table, "revenue", accounts
            )
        self.env.flush_all()
        sales = accounts.make_alias(accounts.table, "sales")
        accounts.add_join(
            "LEFT JOIN",
            sales,
            SQL("(%s)", get_sales_sql(self.env, company, period)),
            SQL(
                "%s = %s",
                SQL.identifier(sales, "partner_id"),
                SQL.identifier(accounts.table, "partner_id"),
            ),
        )
        return SQL.identifier(sales, "revenue")

    @api.model
    def _get_concentration_figures(self, domain, concentration):
        """Return the figures of :meth:`_get_concentration` as :meth:`get_risk` has
        them.

        :param domain: all accounts with revenue: what they open adds up to them
        """
        shown = [
            *self._get_top_figures(domain, concentration),
            self._get_beyond_figure(domain, concentration),
            *self._get_index_figures(domain, concentration),
        ]
        return [{"kind": "concentration", **figure} for figure in shown]

    @api.model
    def _get_top_figures(self, domain, concentration):
        """Return how much the largest groups make."""
        labels = {
            1: self.env._("Largest group"),
            5: self.env._("Five largest groups"),
            10: self.env._("Ten largest groups"),
        }
        top, limit = concentration["top"], concentration["limit"]
        return [
            {
                "key": f"top_{number}",
                "label": label,
                "value": top[number],
                "unit": "percent",
                "is_warning": number == 1 and top[1] >= limit > 0,
                "formula": self.env._(
                    "Revenue of the %s largest corporate groups / revenue of all, in "
                    "percent",
                    number,
                ),
                "domain": list(
                    domain & Domain("group_id", "in", concentration["top_ids"][number])
                ),
            }
            for number, label in labels.items()
        ]

    @api.model
    def _get_beyond_figure(self, domain, concentration):
        """Return how many groups make more than the limit."""
        limit = words.format_number(self.env, concentration["limit"])
        warned = [
            group["id"] for group in concentration["groups"] if group["is_warning"]
        ]
        return {
            "key": "beyond_limit",
            "label": self.env._("Groups from %s %% on", limit),
            "value": len(warned),
            "unit": "number",
            "is_warning": bool(warned),
            "formula": self.env._(
                "Corporate groups with at least %s %% of the revenue", limit
            ),
            "domain": list(domain & Domain("group_id", "in", warned)),
        }

    @api.model
    def _get_index_figures(self, domain, concentration):
        """Return the index, and how many equal groups it stands for."""
        figures = [
            {
                "key": "hhi",
                "label": self.env._("Concentration (HHI)"),
                "formula": self.env._(
                    "Sum of the squared shares of all groups: 1 is one group, near 0 "
                    "are many of equal size"
                ),
            },
            {
                "key": "effective",
                "label": self.env._("Effective number of groups"),
                "formula": self.env._(
                    "1 / HHI: so many groups of equal size would be as concentrated"
                ),
            },
        ]
        return [
            {
                **figure,
                "value": concentration[figure["key"]],
                "unit": "number",
                "is_warning": False,
                "domain": list(domain),
            }
            for figure in figures
        ]

    # -------------------------------------------------------------------------
    # Accounts
    # -------------------------------------------------------------------------

    @api.model
    def _get_account_lists(self):
        """Return {key: (kind, name of the field that explains it, domain on accounts)}
        of what is counted."""
        accounts = self.env["key.account"]
        upper = sorted(accounts._get_tier_ids("upper"))
        lists = {
            name.removeprefix("is_"): ("risk", name, Domain(name, "=", True))
            for name in accounts._get_risk_flags()
            if name != "is_concentrated"
        }
        if features.is_used(self.env, features.BUYING_CENTER):
            lists["single_threaded"] = (
                "risk",
                "is_single_threaded",
                Domain("is_single_threaded", "=", True)
                & Domain("tier_id", "in", upper),
            )
        return lists | {
            "complaints": (
                "risk",
                "complaint_count",
                Domain("complaint_count", ">", 0),
            ),
            "deepen": ("growth", "growth_path", Domain("growth_path", "=", "deepen")),
            "develop": ("growth", "growth_path", Domain("growth_path", "=", "develop")),
            "candidate": ("growth", "is_candidate", Domain("is_candidate", "=", True)),
        }

    @api.model
    def _get_account_figures(self, domain):
        """Return how many accounts are in each list, and their revenue: one query."""
        model = self.env["key.account"]
        accounts = model._search(domain)
        lists = self._get_account_lists()
        revenue = model._field_to_sql(accounts.table, "revenue", accounts)
        columns = []
        for _kind, _name, among in lists.values():
            condition = among.optimize_full(model)._to_sql(
                model, accounts.table, accounts
            )
            columns += [
                SQL("COUNT(*) FILTER (WHERE %s)", condition),
                SQL(
                    "COALESCE(SUM(%s) FILTER (WHERE %s), 0)::float", revenue, condition
                ),
            ]
        accounts.order = None
        (row,) = self.env.execute_query(accounts.select(*columns))
        figures = []
        for number, (key, (kind, name, among)) in enumerate(lists.items()):
            field = model._fields[name]
            label = field._description_string(self.env)
            formula = field._description_help(self.env)
            if field.type == "selection":
                labels = dict(field._description_selection(self.env))
                label = labels.pop(key)
                # the lines of the other values are told with those
                formula = "\n".join(
                    line
                    for line in formula.split("\n")
                    if not line.startswith(tuple(labels.values()))
                )
            figures.append(
                {
                    "key": key,
                    "kind": kind,
                    "label": label,
                    "value": row[2 * number],
                    "revenue": row[2 * number + 1],
                    "unit": "accounts",
                    "is_warning": kind == "risk" and row[2 * number] > 0,
                    "formula": formula,
                    "domain": list(domain & among),
                }
            )
        return figures
