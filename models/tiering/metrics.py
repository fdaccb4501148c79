"""What a scorecard can give points for, one class each.

Another addon adds its own with :func:`register` and ``selection_add`` on
``key.account.criterion.metric``.
"""

from odoo.tools import SQL

from ...const import LEVEL_NUMBERS, RELATIONSHIP_LEVELS
from ..account.key_account import JUDGEMENTS
from ..account.key_account_engagement import VALUE_TYPES

# {value of key.account.criterion.metric: class}
METRICS = {}


def register(metric):
    METRICS[metric.key] = metric
    return metric


class Metric:
    """A figure of an account that points are given for.

    :cvar key: value of ``key.account.criterion.metric``
    :cvar label: its name
    :cvar help: one line for the field's help, with the formula
    :cvar unit: ``amount`` (company currency), ``percent``, ``days``, ``count``, or
        ``step``, see :meth:`get_steps`
    :cvar higher_is_better: False: the less of it, the more points
    :cvar judged: the decision about the account that says it, if a person does
    """

    key = None
    label = None
    help = None
    unit = "amount"
    higher_is_better = True
    judged = None

    def get_sql(self, today):
        """Return the figure as an SQL expression, NULL where there is no data, over

        - ``figures``: ``revenue``, ``margin``, ``uncosted_revenue``,
          ``previous_revenue`` and ``expected_revenue``, numeric in company currency, as
          this run measures them,
        - ``trade``: the columns of :data:`.trade.COLUMNS`, as this run measures them,
        - ``account``: the account's row as it was before, NULL of a new one.

        :param date today: last day of the policy's window
        """
        raise NotImplementedError

    def get_join_sql(self, policy, company, today):
        """Return joins to ``figures`` of what else :meth:`get_sql` reads.

        :param policy: the policy that is measured by
        :param company: the company of the run
        """
        return SQL("")

    def get_steps(self, env):
        """Return the names of the steps, from 1 on."""
        return []


class _Column(Metric):
    """A column of the account as it is."""

    table = "figures"
    column = None

    def get_sql(self, today):
        return SQL.identifier(self.table, self.column or self.key)


@register
class Revenue(_Column):
    key = "revenue"
    label = "Revenue"
    help = "Revenue: untaxed, of the policy's window, credit notes subtracted."


@register
class ExpectedRevenue(_Column):
    key = "expected_revenue"
    label = "Expected revenue"
    help = "Expected revenue: of the open leads and opportunities."


@register
class Growth(Metric):
    key = "growth"
    label = "Growth"
    unit = "percent"
    help = (
        "Growth: revenue of the window less that of the window before, in percent of "
        "the latter; no data where there was none."
    )

    def get_sql(self, today):
        return SQL(
            """
            100 * (figures.revenue - figures.previous_revenue)
            / NULLIF(GREATEST(figures.previous_revenue, 0), 0)
            """
        )


@register
class Margin(_Column):
    key = "margin"
    label = "Margin"
    help = (
        "Margin: untaxed revenue less cost, of the window; all of the revenue where no "
        "cost is known."
    )


@register
class MarginRate(Metric):
    key = "margin_rate"
    label = "Margin rate"
    unit = "percent"
    help = (
        "Margin rate: margin in percent of revenue, both of what has a cost; no data "
        "without any."
    )

    def get_sql(self, today):
        return SQL(
            """
            100 * (figures.margin - figures.uncosted_revenue)
            / NULLIF(GREATEST(figures.revenue - figures.uncosted_revenue, 0), 0)
            """
        )


class _Trade(_Column):
    table = "trade"


@register
class OrderFrequency(Metric):
    key = "order_frequency"
    label = "Order frequency"
    unit = "count"
    help = "Order frequency: number of orders in the window."

    def get_sql(self, today):
        return SQL("COALESCE(trade.order_count, 0)")


@register
class Recency(Metric):
    key = "recency"
    label = "Recency"
    unit = "days"
    higher_is_better = False
    help = "Recency: days since the last order, the fewer the better."

    def get_sql(self, today):
        return SQL("%s::date - trade.last_order_date", today)


@register
class DaysLate(_Trade):
    key = "days_late"
    label = "Days late in paying"
    unit = "days"
    higher_is_better = False
    help = (
        "Days late in paying: on average of the window's invoices, the fewer the "
        "better; no data where nothing was due."
    )


@register
class Discount(_Trade):
    key = "discount"
    column = "discount_rate"
    label = "Discount given"
    unit = "percent"
    higher_is_better = False
    help = "Discount given: in percent of the list price, the less the better."


@register
class WinRate(_Trade):
    key = "win_rate"
    label = "Win rate"
    unit = "percent"
    help = (
        "Win rate: won in percent of the leads and opportunities that were won or "
        "lost in the window."
    )


class _Step(Metric):
    """A selection of the account's row, from the lowest step to the highest."""

    unit = "step"
    selection = ()
    column = None

    def get_steps(self, env):
        field = env["key.account"]._fields[self.column or self.key]
        return [label for _value, label in field._description_selection(env)]

    def get_sql(self, today):
        return SQL(
            "CASE %s %s END",
            SQL.identifier("account", self.column or self.key),
            SQL(" ").join(
                SQL("WHEN %s THEN %s", value, number)
                for number, (value, _label) in enumerate(self.selection, start=1)
            ),
        )


@register
class RelationshipLevel(_Step):
    key = "relationship_level"
    label = "Relationship level"
    selection = RELATIONSHIP_LEVELS
    help = (
        "Relationship level: 1 transactional to 4 strategic alliance, as it stands "
        "when the run begins."
    )

    def get_sql(self, today):
        # nobody said anything about a new one
        return SQL(
            "COALESCE(%s, %s)",
            super().get_sql(today),
            LEVEL_NUMBERS[RELATIONSHIP_LEVELS[0][0]],
        )


@register
class Coverage(Metric):
    key = "coverage"
    label = "Coverage (best tier)"
    unit = "percent"
    help = (
        "Coverage (best tier): who was met, in percent of the contacts that the best "
        "tier requires, whatever the account's own: a move doesn't change it. No data "
        "where no tier requires anybody."
    )

    def get_join_sql(self, policy, company, today):
        accounts = policy.env["key.account"]
        # the tiers of a preset to compare with may require nobody
        policies = [policy, policy._get_for_company(company)]
        covered = accounts._get_coverage_sql(company, policies, today)
        return SQL(
            """
            LEFT JOIN (SELECT 0 AS coverage) AS uncovered ON %s
            LEFT JOIN (%s) AS covered ON covered.partner_id = figures.partner_id
            """,
            bool(covered),
            covered or SQL("SELECT NULL::int AS partner_id, NULL::numeric AS coverage"),
        )

    def get_sql(self, today):
        return SQL("COALESCE(covered.coverage, uncovered.coverage)")


@register
class ValueType(_Step):
    key = "value_type"
    label = "Value type"
    selection = VALUE_TYPES
    judged = "value_type"
    help = "Value type: 1 intrinsic, 2 extrinsic, 3 strategic; no data until set."


class _Judged(_Step):
    """What a salesperson enters on the customer, see :data:`JUDGEMENTS`."""

    @property
    def judged(self):
        return self.key

    @property
    def selection(self):
        return JUDGEMENTS


@register
class Competition(_Judged):
    key = "competition"
    label = "Competition (judged)"
    higher_is_better = False
    help = "Competition: 1 low to 3 high, the less the better; no data until judged."


@register
class Accessibility(_Judged):
    key = "accessibility"
    label = "Accessibility (judged)"
    help = (
        "Accessibility: how far the customer accepts us and the product, 1 low to 3 "
        "high; no data until judged."
    )


@register
class BuyingProcess(_Judged):
    key = "buying_process"
    label = "Formal buying process (judged)"
    help = "Formal buying process: 1 low to 3 high; no data until judged."


@register
class QualityStandards(_Judged):
    key = "quality_standards"
    label = "Quality standards (judged)"
    help = "Quality standards: 1 low to 3 high; no data until judged."
