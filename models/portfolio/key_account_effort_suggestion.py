from collections import defaultdict
from datetime import timedelta
from typing import NamedTuple

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, formatLang

from ...engine import cadence as cadence_engine
from ...engine import effort
from ...engine.planner import VISIT_LOAD
from ..account import clock
from ..planning.key_account_agenda import MODE_LOADS
from ..planning.key_account_cadence import TRACK_MODES

# Hours are those of so many weeks to come, for a year: a short leave takes nobody's
# time away.
HOURS_WEEKS = 12
WEEKS_PER_YEAR = effort.DAYS_PER_YEAR / 7


class Time(NamedTuple):
    """A salesperson's: hours of work a year, hours of a visit, and whether even the
    longest intervals take more than there are."""

    hours: float
    visit_hours: float
    is_short: bool = False


class KeyAccountEffortSuggestion(models.Model):
    """What the next hour of visits is worth at an account, and the interval that the
    hours of its salesperson are best shared out with; see :mod:`engine.effort`.

    Made anew by whoever opens the list the first time on a day, for the salespeople of
    whom one sees the accounts. What was accepted stays, with what was there before.
    """

    _name = "key.account.effort.suggestion"
    _inherit = "key.account.shown"
    _description = "Next Visit Hour"
    _order = "state desc, difference desc, hour_worth desc, id"

    account_id = fields.Many2one(
        "key.account",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    partner_id = fields.Many2one(
        related="account_id.partner_id",
        string="Customer",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    currency_id = fields.Many2one(is_internal=True, related="company_id.currency_id")
    user_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        readonly=True,
        index=True,
        ondelete="cascade",
        help="Who makes the visits.",
    )
    team_id = fields.Many2one(
        "crm.team", string="Sales Team", readonly=True, ondelete="set null"
    )
    tier_id = fields.Many2one("key.account.tier", readonly=True, ondelete="set null")
    tier_color = fields.Integer(is_internal=True, related="tier_id.color")
    date = fields.Date(string="As Of", required=True, readonly=True)
    state = fields.Selection(
        [
            ("kept", "Stays"),
            ("suggested", "Suggested"),
            ("accepted", "Accepted"),
        ],
        required=True,
        readonly=True,
    )
    note = fields.Selection(
        [
            ("same", "No other interval is better by more than a quarter"),
            ("no_margin", "No margin to reckon with"),
            ("no_hours", "The salesperson has no working hours"),
            ("short", "Even the longest intervals take more hours than there are"),
            ("unvisited", "Not visited in 12 months: reckoned as planned"),
        ],
        readonly=True,
    )
    margin = fields.Monetary(
        string="Margin a Year",
        readonly=True,
        help="Margin of the policy's window, for twelve months: what visits at today's "
        "interval bring.",
    )
    days = fields.Integer(
        string="Interval Today (days)", readonly=True, aggregator=None
    )
    visits = fields.Float(
        string="Visits a Year",
        digits=(16, 1),
        readonly=True,
        help="As today's interval asks for.",
    )
    visit_count = fields.Integer(
        related="account_id.visit_count", string="Visits Made (12 Months)"
    )
    hour_worth = fields.Monetary(
        string="Next Hour Is Worth",
        readonly=True,
        aggregator="avg",
        help="What one more hour of visits a year would bring here today: elasticity × "
        "margin ÷ hours of visits.",
    )
    best_visits = fields.Float(
        string="Best Visits a Year",
        digits=(16, 1),
        readonly=True,
        help="The best use of the same hours if intervals needn't be those of the "
        "cadence.",
    )
    suggested_days = fields.Integer(
        string="Suggested Interval (days)",
        readonly=True,
        aggregator=None,
        help="One of the cadence's intervals, where it differs from today's by more "
        "than a quarter. 0: today's stays.",
    )
    expected_margin = fields.Monetary(
        readonly=True,
        help="Margin a year at the suggested interval: margin × (visits ÷ visits "
        "today) to the power of the elasticity.",
    )
    difference = fields.Monetary(readonly=True, help="Expected margin less today's.")
    hours = fields.Float(
        string="Hours a Year",
        digits=(16, 1),
        readonly=True,
        help="Of visits at today's interval. A visit takes the hours of a working day "
        "by the visits of a day.",
    )
    suggested_hours = fields.Float(
        string="Hours Suggested",
        digits=(16, 1),
        readonly=True,
        help="Of visits at the suggested interval.",
    )
    available_hours = fields.Float(
        string="Hours Available",
        digits=(16, 1),
        readonly=True,
        aggregator="max",
        help="Working hours of the salesperson in a year, less calls, executive visits "
        "and visits of leads and of accounts without a margin.",
    )
    elasticity = fields.Float(digits=(16, 2), readonly=True, aggregator=None)
    # How sure of it one is, which the explanation says
    elasticity_low = fields.Float(
        digits=(16, 2), is_internal=True, readonly=True, aggregator=None
    )
    elasticity_high = fields.Float(
        digits=(16, 2), is_internal=True, readonly=True, aggregator=None
    )
    elasticity_accounts = fields.Integer(
        is_internal=True, readonly=True, aggregator=None
    )
    is_elasticity_own = fields.Boolean(is_internal=True, readonly=True)
    explanation = fields.Text(compute="_compute_explanation")
    own_days = fields.Integer(
        string="Own Interval Before (days)",
        readonly=True,
        aggregator=None,
        help="The customer's own interval when it was reckoned; 0: by the cadence.",
    )
    reason = fields.Char(readonly=True)
    accepted_user_id = fields.Many2one(
        "res.users", string="Accepted By", readonly=True, ondelete="set null"
    )
    accepted_date = fields.Date(string="Accepted On", readonly=True)

    _account_uniq = models.UniqueIndex(
        "(account_id) WHERE state != 'accepted'",
        "Somebody is reckoning the same accounts at this moment: open the list again.",
    )

    @api.depends("partner_id")
    def _compute_display_name(self):
        for row in self:
            row.display_name = row.sudo().partner_id.display_name

    @api.depends("days", "suggested_days", "margin", "expected_margin", "elasticity")
    @api.depends_context("lang")
    def _compute_explanation(self):
        for row in self:
            row.explanation = "\n".join(row._get_sentences())

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    @api.model
    def action_open(self):
        """List what the visits of the company are worth, reckoned today."""
        self.browse().check_access("read")
        company = self.env.company._get_key_account_home()
        users = self._get_users(company)
        today = clock.get_today(company)
        # sudo: whether it was reckoned, also where none of it is for the user's eyes
        known = self.sudo().search(
            [
                ("company_id", "=", company.id),
                ("user_id", "in", users.ids),
                ("date", "=", today),
                ("state", "!=", "accepted"),
            ]
        )
        self._reckon(company, users - known.user_id, today)
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_effort_suggestion_action"
        )
        # The client goes by the menu's own action, so that a reload looks again.
        del action["id"]
        return action

    @api.model
    def action_reckon(self):
        """Reckon anew, for the salespeople of whom one sees the accounts."""
        self.browse().check_access("read")
        company = self.env.company._get_key_account_home()
        self._reckon(company, self._get_users(company), clock.get_today(company))
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_accept(self):
        """Give the customers the suggested intervals as their own, as a person does on
        the customer's form, with the same rights. Those for whom nothing is suggested
        stay as they are: whoever selects a whole list means the others.

        :raise AccessError: if the user may not write one of the customers
        :raise UserError: if there is no suggestion, or the customer's interval was
            changed since; nothing is changed then
        """
        self.check_access("read")
        self = self._filter_state("suggested")
        self._check_unchanged("own_days")
        self._set_intervals("suggested_days")
        # sudo: the customers could be written
        for row in self.sudo():
            row.write(
                {
                    "state": "accepted",
                    "accepted_user_id": self.env.uid,
                    "accepted_date": fields.Date.context_today(self),
                    "reason": row._get_reason(),
                }
            )
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_undo(self):
        """Give the customers back the intervals that they had before, of those for whom
        one was accepted.

        :raise AccessError: if the user may not write one of the customers
        :raise UserError: if the suggestion wasn't accepted, or the customer's interval
            was changed since; nothing is changed then
        """
        self.check_access("read")
        self = self._filter_state("accepted")
        self._check_unchanged("suggested_days")
        self._set_intervals("own_days")
        # sudo: users write no suggestions, the buttons do
        rows = self.sudo()
        # reckoned with the interval that is gone
        rows.search(
            [("account_id", "in", rows.account_id.ids), ("state", "!=", "accepted")]
        ).unlink()
        rows.write(
            {
                "state": "suggested",
                "accepted_user_id": False,
                "accepted_date": False,
                "reason": False,
            }
        )
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_open_partner(self):
        self.ensure_one()
        return self.account_id.action_open_partner()

    def _filter_state(self, state):
        """Return those in a state.

        :raise UserError: if there is none
        """
        rows = self.filtered(lambda row: row.state == state)
        if self and not rows:
            name = self[0].display_name
            raise UserError(
                self.env._("Nothing is suggested for %s: leave it out.", name)
                if state == "suggested"
                else self.env._("Nothing was accepted for %s: leave it out.", name)
            )
        return rows

    def _check_unchanged(self, column):
        """Refuse if a customer's own interval isn't the one that the rows know of."""
        for row in self:
            if row.account_id.visit_interval_days != row[column]:
                raise UserError(
                    self.env._(
                        "The visit interval of %s was changed since: leave it out, or "
                        "reckon anew.",
                        row.display_name,
                    )
                )

    def _set_intervals(self, column):
        for (company, days), rows in self.grouped(
            lambda row: (row.company_id, row[column])
        ).items():
            customers = rows.partner_id.with_company(company)
            customers.write({"visit_interval_days": days})

    # -------------------------------------------------------------------------
    # In words
    # -------------------------------------------------------------------------

    def _format_money(self, amount):
        """Return whole units of the currency: what is expected isn't known by cents."""
        number, symbol = formatLang(self.env, amount, digits=0), self.currency_id.symbol
        if self.currency_id.position == "before":
            return f"{symbol}\N{NO-BREAK SPACE}{number}"
        return f"{number}\N{NO-BREAK SPACE}{symbol}"

    def _get_reason(self):
        return self.env._(
            "Next visit hour of %(date)s, days between visits: %(suggested)s instead "
            "of %(days)s, %(difference)s a year expected",
            date=clock.format_day(self.env, self.date),
            suggested=self.suggested_days,
            days=self.days,
            difference=self._format_money(self.difference),
        )

    def _get_sentences(self):
        """Return what the figures say, a sentence each."""
        self.ensure_one()
        notes = dict(self._fields["note"]._description_selection(self.env))
        today = {
            "visits": formatLang(self.env, self.visits, digits=1),
            "margin": self._format_money(self.margin),
        }
        suggested = {
            "margin": self._format_money(self.expected_margin),
            "difference": self._format_money(self.difference),
        }
        sentences = [
            self.env._(
                "Today: a visit every day, %(visits)s a year, %(margin)s margin.",
                **today,
            )
            if self.days == 1
            else self.env._(
                "Today: a visit every %(days)s days, %(visits)s a year, "
                "%(margin)s margin.",
                days=self.days,
                **today,
            )
        ]
        if self.suggested_days == 1:
            sentences.append(
                self.env._(
                    "Suggested: a visit every day, %(margin)s expected, a difference "
                    "of %(difference)s.",
                    **suggested,
                )
            )
        elif self.suggested_days:
            sentences.append(
                self.env._(
                    "Suggested: a visit every %(days)s days, %(margin)s expected, a "
                    "difference of %(difference)s.",
                    days=self.suggested_days,
                    **suggested,
                )
            )
        if self.note:
            sentences.append(f"{notes[self.note]}.")
        if self.note not in ("no_margin", "no_hours"):
            sentences.append(
                self.env._(
                    "One more hour here is worth %s.",
                    self._format_money(self.hour_worth),
                )
            )
            sentences.append(self._get_elasticity_sentence())
            fewer, more = effort.get_flatness(self.elasticity)
            sentences.append(
                self.env._(
                    "The maximum is flat: a quarter more visits change this margin by "
                    "%(more)+.0f %%, a quarter fewer by %(fewer)+.0f %%. Take it as a "
                    "direction, not as a promise.",
                    more=100 * more,
                    fewer=100 * fewer,
                )
            )
        return sentences

    def _get_elasticity_sentence(self):
        values = {
            "value": formatLang(self.env, self.elasticity, digits=2),
            "low": formatLang(self.env, self.elasticity_low, digits=2),
            "high": formatLang(self.env, self.elasticity_high, digits=2),
            "count": self.elasticity_accounts,
        }
        if self.is_elasticity_own:
            return self.env._(
                "Elasticity %(value)s, from %(low)s to %(high)s: that of your own "
                "accounts (%(count)s compared), weighed with the figure of the "
                "settings.",
                **values,
            )
        return self.env._(
            "Elasticity %(value)s, from %(low)s to %(high)s, of the settings: your own "
            "data are too thin (accounts that can be compared: %(count)s).",
            **values,
        )

    # -------------------------------------------------------------------------
    # Reckoning
    # -------------------------------------------------------------------------

    @api.model
    def _get_users(self, company):
        """Return the salespeople of whom the user may know how their hours are used:
        oneself, for those who see their own documents only; nobody in a company that
        keeps the accounts of one's branch."""
        user = self.env.user
        if company not in self.env.companies:
            return user.browse()
        if not self.env.su and not user.has_group(
            "sales_team.group_sale_salesman_all_leads"
        ):
            return user
        domain = [("company_id", "=", company.id), ("user_id", "!=", False)]
        users = user.browse()
        # also those who had something to do, but have nothing any more
        for model in ("key.account.due", "key.account.effort.suggestion"):
            for (found,) in self.env[model].sudo()._read_group(domain, ["user_id"]):
                users |= found
        return users.with_env(self.env)

    @api.model
    def _reckon(self, company, users, today):
        """Make the rows of salespeople in ``company`` anew. A fixed number of queries
        for all of them, besides the batches of rows; doesn't commit."""
        if not users:
            return
        rows = self.sudo()
        values = rows._prepare_rows(company, users, today)
        rows.search(
            Domain("company_id", "=", company.id)
            & Domain("state", "!=", "accepted")
            & (
                Domain("user_id", "in", users.ids)
                # a colleague's until now
                | Domain("account_id", "in", [vals["account_id"] for vals in values])
            )
        ).unlink()
        rows.create(values)

    @api.model
    def _prepare_rows(self, company, users, today):
        """Return the values of the rows of salespeople in ``company``."""
        policy = self.env["key.account.policy"]._get_for_company(company).sudo()
        limits = self._get_limits(company, policy)
        times = self._get_times(company, users, today)
        elasticity = self._get_elasticity(company, policy, today)
        months = policy.window_months or 12
        by_user = defaultdict(list)
        for due in self._get_dues(company, users):
            # of twelve months
            due["margin"] = company.currency_id.round(
                (due["margin"] or 0) * 12 / months
            )
            by_user[due["user_id"]].append(due)
        common = {
            "company_id": company.id,
            "date": today,
            "elasticity": elasticity.value,
            "elasticity_low": elasticity.low,
            "elasticity_high": elasticity.high,
            "elasticity_accounts": elasticity.accounts,
            "is_elasticity_own": elasticity.is_own,
        }
        return [
            {**common, "user_id": user_id, **values}
            for user_id, dues in by_user.items()
            for values in self._prepare_user_rows(
                company, dues, times[user_id], limits, elasticity.value
            )
        ]

    @api.model
    def _prepare_user_rows(self, company, dues, time, limits, beta):
        """Return the values of one salesperson's rows, besides what all rows have.

        :param dues: rows of :meth:`_get_dues`
        :param time: :class:`Time`
        :param limits: see :meth:`_get_limits`
        """
        shared, choices, accounts = [], [], []
        used = fixed = 0.0
        for due in dues:
            load = MODE_LOADS[TRACK_MODES[due["track"]]] / VISIT_LOAD
            visits = effort.get_visits(due["days"])
            due["hours"] = visits * time.visit_hours * load
            if not due["is_account"] or due["margin"] <= 0:
                # nothing tells what other intervals would bring
                fixed += due["hours"]
                continue
            used += due["hours"]
            options = effort.get_options(
                due["days"], *limits(due["tier_id"], due["days"])
            )
            shared.append(due)
            choices.append(
                effort.Choice(due["margin"], due["days"], time.visit_hours, options)
            )
            accounts.append(
                effort.Account(
                    due["margin"],
                    visits,
                    time.visit_hours,
                    effort.get_visits(max(options)),
                    effort.get_visits(min(options)),
                )
            )
        available = max(time.hours - fixed, 0)
        time = time._replace(
            is_short=available < sum(a.fewest * a.hours for a in accounts)
        )
        results = {}
        if time.hours:
            budget = available
            if company.sudo().key_account_effort_hours != "all":
                budget = min(available, used)
            results = {
                due["account_id"]: result
                for due, *result in zip(
                    shared,
                    effort.choose(choices, budget, beta),
                    effort.allocate(accounts, budget, beta).visits,
                    strict=True,
                )
            }
        return [
            {
                **self._prepare_row(company, due, results, time, beta),
                "available_hours": available,
            }
            for due in dues
            if due["is_account"]
        ]

    @api.model
    def _prepare_row(self, company, due, results, time, beta):
        """Return the values of one row.

        :param dict results: the best interval in days, and the best visits a year, by
            the account's id, where there is something to share out
        """
        days, margin = due["days"], due["margin"]
        visits = effort.get_visits(days)
        chosen, best = results.get(due["account_id"], (days, visits))
        expected = company.currency_id.round(
            effort.get_contribution(margin, visits, effort.get_visits(chosen), beta)
        )
        is_same = chosen == days
        if margin <= 0:
            note = "no_margin"
        elif not time.hours:
            note = "no_hours"
        elif time.is_short:
            note = "short"
        elif not due["visit_count"]:
            note = "unvisited"
        else:
            note = is_same and "same"
        return {
            "account_id": due["account_id"],
            "team_id": due["team_id"],
            "tier_id": due["tier_id"],
            "state": "kept" if is_same else "suggested",
            "note": note,
            "margin": margin,
            "days": days,
            "own_days": due["own_days"],
            "visits": visits,
            "hour_worth": effort.get_worth(margin, visits, time.visit_hours, beta),
            "best_visits": best,
            "suggested_days": 0 if is_same else chosen,
            "expected_margin": expected,
            "difference": expected - margin,
            "hours": due["hours"],
            "suggested_hours": effort.get_visits(chosen) * time.visit_hours,
        }

    @api.model
    def _get_dues(self, company, users):
        """Return dicts of what the cadence asks of salespeople, and of the accounts:
        ``is_account`` tells visits of customers, whose interval can be another one,
        from calls, executive visits and leads. One query."""
        self.env.flush_all()
        return self.env.execute_query_dict(
            SQL(
                """
                SELECT due.user_id, due.team_id, due.track, due.days, due.account_id,
                       due.track = 'visit' AND due.account_id IS NOT NULL AS is_account,
                       card.tier_id, card.margin, card.visit_count,
                       COALESCE(card.visit_interval_days, 0) AS own_days
                  FROM key_account_due due
                  LEFT JOIN key_account card ON card.id = due.account_id
                 WHERE due.company_id = %s
                   AND due.user_id = ANY(%s)
                   -- one visit to win a lost account back isn't one every so many days
                   AND due.loss_id IS NULL
                 ORDER BY due.user_id, due.id
                """,
                company.id,
                users.ids,
            )
        )

    @api.model
    def _get_limits(self, company, policy):
        """Return a function of a tier's id and today's interval, in days: the intervals
        that the company's cadence knows, and the shortest and the longest of them that
        a customer of this tier may get.

        These are the tier's own lines and those of the tiers next to it: a key account
        isn't left to the interval of low-value ones, nor the other way round. What a
        person decided today is within the limits in any case.
        """
        lines = self.env["key.account.cadence"]._get_lines(company)
        by_tier = defaultdict(set)
        for line in lines:
            if line.track == "visit":
                by_tier[line.tier_id.id].add(
                    cadence_engine.interval_days(
                        line.interval_count, line.interval_unit
                    )
                )
        everybody = by_tier[False]
        steps = set().union(*by_tier.values())
        tier_ids = policy._get_tiers().ids if policy else []
        allowed = {}
        for tier_id in [*tier_ids, *by_tier]:
            near = [tier_id]
            if tier_id in tier_ids:
                place = tier_ids.index(tier_id)
                near = tier_ids[max(place - 1, 0) : place + 2]
            allowed[tier_id] = everybody.union(*(by_tier.get(id_, ()) for id_ in near))

        def get_limits(tier_id, days):
            within = allowed.get(tier_id or False, everybody) | {days}
            return steps, min(within), max(within)

        return get_limits

    @api.model
    def _get_times(self, company, users, today):
        """Return {user id: :class:`Time`}, by the weeks to come: leaves and holidays
        are out. A visit takes the hours of a full day by the visits of a day; the way
        there is in it."""
        times = self.env["key.account.agenda"]._get_working_times(
            users, company, today, today + timedelta(weeks=HOURS_WEEKS, days=-1)
        )
        capacities = self.env["crm.team.member"]._get_daily_capacities(users, company)
        result = {}
        for user in users:
            work = times[user.id]
            worked = sum(
                (end - begin).total_seconds() / 3600 for begin, end in work.slots
            )
            full = work.full_days.values()
            day = sum(full) / len(full) if full else 0
            result[user.id] = Time(
                worked / HOURS_WEEKS * WEEKS_PER_YEAR, day / capacities[user.id]
            )
        return result

    @api.model
    def _get_elasticity(self, company, policy, today):
        """Return the :class:`engine.effort.Elasticity` of the company: how the margins
        of its accounts grew with their visits from the window before to this one.

        What the margin was in the window before isn't measured: the revenue's growth
        stands for it. One query.
        """
        prior = company.sudo().key_account_effort_elasticity
        if not policy:
            return effort.estimate_elasticity([], prior)
        months = policy.window_months
        rows = self.env.execute_query(
            SQL(
                """
                SELECT card.previous_revenue,
                       COUNT(*) FILTER (WHERE visit.date_done <= %(start)s),
                       card.revenue,
                       COUNT(*) FILTER (WHERE visit.date_done > %(start)s)
                  FROM key_account card
                  JOIN key_account_visit visit
                    ON visit.partner_id = card.partner_id
                   AND visit.company_id = card.company_id
                   AND visit.track IN ('visit', 'executive')
                   AND visit.state = 'done'
                   AND visit.date_done > %(before)s
                   AND visit.date_done <= %(today)s
                 WHERE card.company_id = %(company)s
                   AND card.is_account
                   AND card.revenue > 0
                   AND card.previous_revenue > 0
                   AND card.margin > 0
                 GROUP BY card.id
                """,
                company=company.id,
                today=today,
                start=today - relativedelta(months=months),
                before=today - relativedelta(months=2 * months),
            )
        )
        return effort.estimate_elasticity(rows, prior)
