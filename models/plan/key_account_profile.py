from collections import defaultdict
from datetime import date
from textwrap import shorten

from dateutil.relativedelta import relativedelta

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL, format_list, formatLang, html2plaintext

from ...const import LEVEL_NUMBERS
from ..account import clock, features, words
from .actuals import get_months

# The trade of a year beside that of the year before.
MONTHS = 12
VISIT_MONTHS = 12
# What fits on a page or two: the rest is counted.
MAX_VISITS = 8
MAX_CONTACTS = 12
MAX_NOTE, MAX_TEXT = 700, 220
# Of the chart, in units of its own: a paper's width stretches them.
WIDTH, HEIGHT = 720, 170
LEFT, RIGHT, TOP, BOTTOM = 64, 4, 10, 20


class KeyAccountProfile(models.AbstractModel):
    """The biography of an account on one page, on screen and in print: facts and
    character, what happened, what was traded, what is planned.

    Reads alone, with the rights of whoever opens it, a fixed number of queries for any
    number of accounts. What a colleague's account or visit would tell is left out.
    """

    _name = "key.account.profile"
    _description = "Account Profile"

    @api.model
    def _get_profiles(self, partners):
        """Return ``{customer: values of the template}``.

        :param partners: customers; contacts stand for their customer
        :raise AccessError: outside sales, or without the right to read one of them
        """
        self.env["key.account"].check_access("read")
        partners.check_access("read")
        home = self.env.company._get_key_account_home()
        if home in self.env.user.company_ids:
            # a branch's accounts are its parent's
            self = self.with_company(home)
        accounts = partners.with_env(self.env).commercial_partner_id
        accounts.check_access("read")
        rows = self.env["key.account"].search(
            Domain("partner_id", "in", accounts.ids)
            & Domain("company_id", "=", self.env.company.id)
        )
        row_by_account = {row.partner_id: row for row in rows}
        brief = self.env["key.account.visit.brief"]
        parts = {
            "people": self._get_people(brief._get_contacts(accounts)),
            "ladder": self._get_ladder(rows),
            "coverage": self._get_coverage(rows),
            "visits": self._get_visits(accounts),
            "trade": self._get_trade(rows),
            "open": brief._get_documents(accounts),
            "commitments": brief._get_commitments(accounts, self.env["crm.lead"], {}),
            "plan": self._get_plans(accounts),
        }
        lines = self.env["key.account.engagement"]._get_lines(self.env.company)
        result = {}
        for account in accounts:
            row = row_by_account.get(account, rows.browse())
            values = {name: part.get(account) for name, part in parts.items()}
            result[account] = {
                **values,
                "has_roles": features.is_used(self.env, features.BUYING_CENTER),
                "name": account.display_name,
                "tier": account.account_tier_id.sudo().name,
                "company": self.env.company,
                "day": clock.format_day(
                    self.env, clock.get_today(self.env.company), year=True
                ),
                "facts": self._get_facts(account),
                "is_hidden": not row and not account._is_own_account(),
                "figures": self._get_figures(row),
                "strategy": self._get_strategy(lines, account),
                "note": self._shorten(html2plaintext(account.comment or ""), MAX_NOTE),
                "risks": self._get_risks(row, values),
            }
        return result

    @api.model
    def _shorten(self, text, length=MAX_TEXT):
        return shorten(text or "", length, placeholder=" …")

    @api.model
    def _get_label(self, record, name):
        """Return a selection's value in words."""
        field = record._fields[name]
        return dict(field._description_selection(self.env)).get(record[name])

    @api.model
    def _format(self, amount):
        """Write an amount of the company's currency; whole units are enough."""
        return self.env["key.account.visit.brief"]._format_amount(amount)

    # Facts and character -----------------------------------------------------

    @api.model
    def _get_facts(self, account):
        """Return who the customer is, as ``(name, value)``."""
        # sudo: names of what the readable customer shows
        account = account.sudo()
        address = ", ".join(
            line.strip()
            for line in account._display_address(without_company=True).splitlines()
            if line.strip()
        )
        facts = [
            (self.env._("Address"), address),
            (self.env._("Phone"), account.phone),
            (self.env._("Email"), account.email),
            (self.env._("Website"), account.website),
            (self.env._("Industry"), account.industry_id.name),
            (
                self.env._("Tags"),
                format_list(self.env, account.category_id.mapped("name")),
            ),
            (self.env._("Salesperson"), account.user_id.name),
            (self.env._("Executive sponsor"), account.executive_sponsor_id.name),
            (self.env._("Value type"), self._get_label(account, "account_value_type")),
        ]
        return [(name, value) for name, value in facts if value]

    @api.model
    def _get_figures(self, row):
        """Return what the tiering run measured, as ``(name, value)``."""
        if not row:
            return []
        figures = [
            (self.env._("Revenue"), self._format(row.revenue)),
            (self.env._("The window before"), self._format(row.previous_revenue)),
            (self.env._("Margin"), self._format(row.margin)),
            (self.env._("Expected"), self._format(row.expected_revenue)),
            (self.env._("Rank"), str(row.rank) if row.rank else ""),
            (
                self.env._("Share of revenue"),
                self.env._("%s %%", formatLang(self.env, row.share, digits=1)),
            ),
        ]
        return [(name, value) for name, value in figures if value]

    @api.model
    def _get_strategy(self, lines, account):
        """Return how to treat the customer, as plain text.

        :param lines: strategies of the company
        """
        found = lines._match(account, self.env.company)
        texts = [html2plaintext(line.text or "") for line in found]
        return self._shorten(" ".join(texts), MAX_NOTE)

    # Relationship ------------------------------------------------------------

    @api.model
    def _get_ladder(self, rows):
        """Return {account: level, what supports it, and the criteria up to the next
        one}; nothing where levels aren't used."""
        if not rows or not features.is_used(self.env, features.EVIDENCE):
            return {}
        lines_by_id = self._get_ladder_lines(rows)
        levels = dict(
            rows._fields["relationship_level"]._description_selection(self.env)
        )
        return {
            row.partner_id: {
                "level": levels.get(row.relationship_level),
                "supported": levels.get(row.suggested_relationship_level),
                "direction": row.relationship_direction,
                "levels": [
                    (levels[level], lines)
                    for level, lines in lines_by_id[row.partner_id.id].items()
                    # up to the step that comes next
                    if LEVEL_NUMBERS[level] <= self._get_reach(row) + 1
                ],
            }
            for row in rows
        }

    @api.model
    def _get_ladder_lines(self, rows):
        """Return {customer id: {level: its criteria, and how they stand}}."""
        self.env.flush_all()
        company = self.env.company
        found = self.env.execute_query(
            SQL(
                """
                SELECT partner_id, criterion_id, state, actual, date, evidence_id
                  FROM (%s) AS status
                 ORDER BY level_number, sequence, criterion_id
                """,
                self.env["key.account.relationship.criterion"]._get_status_sql(
                    {company.id: clock.get_today(company)}, rows.partner_id.ids
                ),
            )
        )
        # sudo: of accounts whose evidence the user may read
        criteria = self.env["key.account.relationship.criterion"].sudo()
        criteria = criteria.browse({row[1] for row in found})
        notes = self.env["key.account.relationship.evidence"].sudo()
        notes = notes.browse({row[5] for row in found if row[5]})
        notes.fetch(["note", "date_withdrawn"])
        names = dict(
            self.env["key.account.relationship.status"]
            ._fields["state"]
            ._description_selection(self.env)
        )
        lines_by_id = defaultdict(lambda: defaultdict(list))
        for partner_id, criterion_id, state, actual, day, evidence_id in found:
            criterion = criteria.browse(criterion_id)
            measure = criterion._get_measure()
            text = notes.browse(evidence_id).note if evidence_id else ""
            if measure:
                text = measure.explain_figure(actual or 0)
            lines_by_id[partner_id][criterion.level].append(
                {
                    "name": criterion.name,
                    "state": state,
                    "state_text": names[state],
                    "day": day and clock.format_day(self.env, day),
                    "text": self._shorten(text, 120),
                }
            )
        return lines_by_id

    @api.model
    def _get_coverage(self, rows):
        """Return {account: how many of the required contacts were met, and by how many
        of us}; nothing where the buying centre isn't used."""
        if not features.is_used(self.env, features.BUYING_CENTER):
            return {}
        return {
            row.partner_id: {
                "coverage": row.required_count
                and self.env._(
                    "%(covered)s of %(required)s required contacts met",
                    covered=row.covered_count,
                    required=row.required_count,
                ),
                "threads": row._get_thread_text(),
            }
            for row in rows
        }

    @api.model
    def _get_reach(self, row):
        """Return the number of the higher one of the level in force and the one that
        the evidence supports."""
        levels = (row.relationship_level, row.suggested_relationship_level)
        return max(LEVEL_NUMBERS.get(level, 1) for level in levels)

    @api.model
    def _get_people(self, contacts):
        """Return {account: its contacts, those with a part in buying first}.

        :param dict contacts: contacts by account
        """
        result = {}
        has_roles = features.is_used(self.env, features.BUYING_CENTER)
        for account, people in contacts.items():
            placed = people.sorted(
                lambda contact: (
                    has_roles
                    and not (contact.buying_role_ids or contact.decision_level),
                    # the latest first
                    -(contact.last_met_date or date.min).toordinal(),
                    contact.name or "",
                )
            )
            result[account] = {
                "contacts": [
                    {
                        "name": contact.name,
                        "function": contact.function,
                        "roles": has_roles
                        and format_list(
                            self.env, contact.buying_role_ids.mapped("name")
                        ),
                        "level": has_roles
                        and self._get_label(contact, "decision_level"),
                        "stance": has_roles and self._get_label(contact, "stance"),
                        "met": contact.last_met_date
                        and clock.format_day(self.env, contact.last_met_date),
                    }
                    for contact in placed[:MAX_CONTACTS]
                ],
                "more": max(len(placed) - MAX_CONTACTS, 0),
            }
        return result

    # What happened -----------------------------------------------------------

    @api.model
    def _get_visits(self, accounts):
        """Return {account: its visits of the last year, and the next one}, of those
        that the user may read."""
        today = clock.get_today(self.env.company)
        found = self.env["key.account.visit"].search(
            Domain("partner_id", "in", accounts.ids)
            & Domain("company_id", "=", self.env.company.id)
            & (
                Domain("state", "=", "done")
                & Domain("date_done", ">", today - relativedelta(months=VISIT_MONTHS))
                | Domain("state", "=", "planned")
            )
        )
        result = {}
        for account, visits in found.grouped("partner_id").items():
            done = visits.filtered(lambda visit: visit.state == "done")
            done = done.sorted(lambda visit: (visit.date_done, visit.id), reverse=True)
            planned = (visits - done).sorted("date_planned")[:1]
            result[account] = {
                "count": len(done),
                "lines": [self._get_visit(visit) for visit in done[:MAX_VISITS]],
                "more": max(len(done) - MAX_VISITS, 0),
                "next": planned and clock.format_day(self.env, planned.date_planned),
            }
        return result

    @api.model
    def _get_visit(self, visit):
        texts = (visit.feedback, visit.needs, visit.objections, visit.next_step)
        text = " · ".join(" ".join(text.split()) for text in texts if text)
        return {
            "day": clock.format_day(self.env, visit.date_done),
            "mode": self._get_label(visit, "mode"),
            # sudo: whoever may read the visit may read who met whom
            "user": visit.sudo().user_id.name,
            "met": visit.sudo()._get_met_text(),
            "reached": visit._get_result_text(),
            "text": self._shorten(text),
        }

    # What was traded ---------------------------------------------------------

    @api.model
    def _get_trade(self, rows):
        """Return {account: the chart of its trade by month}: the last twelve months,
        each beside the same month of the year before. Of accounts that the user may
        read alone."""
        today = clock.get_today(self.env.company)
        start = today.replace(day=1) - relativedelta(months=2 * MONTHS - 1)
        found = get_months(
            self.env, self.env.company, rows.partner_id.ids, start, today
        )
        months = [start + relativedelta(months=number) for number in range(2 * MONTHS)]
        result = {}
        for account in rows.partner_id:
            by_month = found.get(account.id, {})
            amounts = [by_month.get(month, 0.0) for month in months]
            result[account] = any(amounts) and self._get_chart(
                months[MONTHS:], amounts[MONTHS:], amounts[:MONTHS]
            )
        return result

    @api.model
    def _get_chart(self, months, amounts, earlier):
        """Return the bars and lines of a chart, to draw as they are.

        :param months: first days of the months
        :param amounts: of these months, in the company's currency
        :param earlier: of the same months a year before
        """
        highest = max(*amounts, *earlier, 0.0)
        lowest = min(*amounts, *earlier, 0.0)
        scale = (HEIGHT - TOP - BOTTOM) / ((highest - lowest) or 1.0)
        step = (WIDTH - LEFT - RIGHT) / len(months)

        def get_y(amount):
            return round(TOP + (highest - amount) * scale, 1)

        def get_bar(number, amount, offset, color):
            top, base = sorted((get_y(amount), get_y(0)))
            return {
                "x": round(LEFT + (number + offset) * step, 1),
                "y": top,
                "width": round(step * 0.38, 1),
                "height": round(base - top, 1),
                "color": color,
            }

        bars = []
        for number, (amount, before) in enumerate(zip(amounts, earlier, strict=True)):
            bars.append(get_bar(number, before, 0.08, "#c9ccd1"))
            bars.append(get_bar(number, amount, 0.48, "#714b67"))
        levels = {highest, highest / 2, 0.0, lowest}
        return {
            "width": WIDTH,
            "height": HEIGHT,
            "left": LEFT,
            "right": WIDTH - RIGHT,
            "bars": [bar for bar in bars if bar["height"]],
            "lines": [
                {"y": get_y(level), "text": self._format(level)}
                for level in sorted(levels)
            ],
            "months": [
                {
                    "x": round(LEFT + (number + 0.5) * step, 1),
                    "text": clock.format_month(self.env, month),
                }
                for number, month in enumerate(months)
            ],
            "total": self._format(sum(amounts)),
            "total_before": self._format(sum(earlier)),
        }

    # What is to be watched, and planned --------------------------------------

    @api.model
    def _get_risks(self, row, values):
        """Return what speaks against relying on the account, in words.

        :param row: the account, empty where the user may not read it
        :param dict values: what else the profile shows of it
        """
        if not row:
            return []
        # in the order of the portfolio; what the profile says in more words, once
        risks = [row.risk_text] if row.risk_text else []
        if row.is_lost:
            risks.append(
                self.env._("Lost on %s", clock.format_day(self.env, row.lost_date))
            )
        single = row._fields["is_single_threaded"]._description_string(self.env)
        if (
            row.is_single_threaded
            and single not in (row.risk_text or "")
            and features.is_used(self.env, features.BUYING_CENTER)
        ):
            risks.append(self.env._("Single-threaded: %s", row._get_thread_text()))
        if row.relationship_direction == "demotion" and features.is_used(
            self.env, features.EVIDENCE
        ):
            risks.append(
                self.env._(
                    "The evidence supports a lower level: %s",
                    row.relationship_gap_text or "",
                )
            )
        if row.is_overdue:
            risks.append(self.env._("A visit is overdue"))
        if row.effort_mismatch:
            risks.append(
                self.env._(
                    "Effort against value type: %s",
                    self._get_label(row, "effort_mismatch"),
                )
            )
        return risks

    @api.model
    def _get_plans(self, accounts):
        """Return {account: its plan in force}, nothing where the company doesn't use
        plans."""
        if not self.env.user.has_group("crm_key_account.group_use_account_plan"):
            return {}
        Plan = self.env["key.account.plan"]
        plans = Plan._get_current(self.env.company, accounts.ids)
        Plan.union(*plans.values()).mapped("objective_ids.activity_ids")
        return {
            accounts.browse(partner_id): self._get_plan(plan)
            for partner_id, plan in plans.items()
        }

    @api.model
    def _get_plan(self, plan):
        targets = [
            (
                words.get_label(self.env, name),
                self._format(target),
                self._format(actual),
                f"{share:.0f} %",
            )
            for name, target, actual, share in (
                (
                    self.env._("Revenue"),
                    plan.target_revenue,
                    plan.revenue,
                    plan.revenue_progress,
                ),
                (
                    self.env._("Margin"),
                    plan.target_margin,
                    plan.margin,
                    plan.margin_progress,
                ),
            )
            if target and not plan.are_actuals_hidden
        ]
        texts = [
            (
                words.get_label(
                    self.env, plan._fields[name]._description_string(self.env)
                ),
                self._shorten(plan[name]),
            )
            for name in ("goals", "challenges", "strengths", "vulnerability")
            if plan[name]
        ]
        return {
            "period": plan._get_period_text(),
            "state": self._get_label(plan, "state"),
            # sudo: whoever may read the plan may read whose it is
            "owner": plan.sudo().user_id.name,
            "elapsed": f"{plan.elapsed:.0f} %",
            "aimed": self._get_label(plan, "aimed_level"),
            "targets": targets,
            "texts": texts,
            "objectives": [
                {
                    "name": objective.name,
                    "measure": objective.measure,
                    "progress": f"{objective.progress:.0f} %",
                    "day": objective.date_end
                    and clock.format_day(self.env, objective.date_end),
                    "user": objective.sudo().user_id.name,
                    "actions": words.join_clauses(
                        self.env,
                        (
                            activity.summary or activity.activity_type_id.name
                            for activity in objective.activity_ids
                        ),
                    ),
                }
                for objective in plan.objective_ids
            ],
        }
