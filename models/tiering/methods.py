"""The ways in which a policy sorts its accounts into tiers, one class each.

Another addon adds its own with :func:`register` and ``selection_add`` on
``key.account.policy.method``.
"""

from odoo.exceptions import ValidationError
from odoo.tools import SQL

from .scorecard import get_scores_sql

# {value of key.account.policy.method: class}
METHODS = {}


def _get_figures_at(env, company, metric, shares):
    """Return the smallest figure of the accounts that together make each of ``shares``
    percent of all figures in the books, as they were measured last; [] where nothing
    was.

    :param str metric: column of the accounts
    """
    env["key.account"].flush_model(["company_id", "is_account", metric])
    rows = env.execute_query(
        SQL(
            """
            SELECT share, MIN(figure)
              FROM unnest(%(shares)s::numeric[]) AS share
              JOIN (
                    SELECT figure, 100 * (SUM(figure) OVER (ORDER BY figure DESC)
                                          - figure) AS before,
                           SUM(figure) OVER () AS total
                      FROM (
                            SELECT %(metric)s::numeric AS figure
                              FROM key_account
                             WHERE company_id = %(company)s
                               AND is_account AND %(metric)s > 0
                           ) AS figures
                   ) AS ranked ON ranked.before < share * ranked.total
             GROUP BY share
             ORDER BY share
            """,
            shares=list(shares),
            metric=SQL.identifier(metric),
            company=company.id,
        )
    )
    return [float(figure) for _, figure in rows]


def _round_to_two_digits(figure):
    return float(f"{figure:.1e}")


def register(method):
    METHODS[method.key] = method
    return method


class TieringMethod:
    """How the accounts of a policy find their tiers, the best tier first.

    :cvar key: value of ``key.account.policy.method``
    :cvar label: its name
    :cvar help: one line for the field's help
    :cvar bound: the tiers' field that says where a tier ends: ``threshold``, ``share``
    :cvar highest: the most that it can be; None: no limit
    :cvar usual: {number of tiers: where they usually end, the best one first}
    :cvar figure: the column of accounts that they are ranked by; None: the metric
    """

    key = None
    label = None
    help = None
    bound = None
    highest = None
    usual = {}
    figure = None

    def __init__(self, policy):
        self.policy = policy
        self.env = policy.env
        self.tiers = policy._get_tiers()

    def explain(self):
        """Return what the tiers' figures mean, for the policy's form."""
        return False

    def check(self):
        """Raise a ValidationError if the tiers can't hold every account."""
        raise NotImplementedError

    def get_condition_sql(self, tier):
        """Return the condition on which an account is in ``tier``, if it is in none
        before: over the columns ``figure``, ``figure_before`` and ``figure_total`` (the
        metric: of the account, of those strictly better, of all), ``count_before`` and
        ``count_total``."""
        raise NotImplementedError

    def get_scores_sql(self, figures, trade, company, today):
        """Return a query that adds ``score`` and ``score_points`` to ``figures``.

        :param SQL figures: query of all accounts
        :param SQL trade: query of their trade, see :mod:`.trade`
        """
        return SQL(
            """
            SELECT figures.*, NULL::numeric AS score, NULL::jsonb AS score_points
              FROM (%s) AS figures
            """,
            figures,
        )

    def get_suggested_tier_sql(self):
        """Return the rule as an SQL expression over the columns of
        :meth:`get_condition_sql`. Zero or negative goes to the last tier."""
        last = self.tiers[-1].id
        conditions = SQL(" ").join(
            SQL("WHEN %s THEN %s", self.get_condition_sql(tier), tier.id)
            for tier in self.tiers
        )
        return SQL(
            "CASE WHEN figure <= 0 THEN %s %s ELSE %s END", last, conditions, last
        )

    def get_usual_bounds(self, company):
        """Return where as many tiers as the policy has usually end, the best one first;
        [] where nobody can say. For the form of a policy."""
        return self.usual.get(len(self.tiers), [])

    def get_edges_sql(self, company):
        """Return a query over ``tiers`` (id, position, threshold, share) for
        ``position``, and ``upper_edge`` and ``lower_edge``: the figures that an account
        has to be clear of to leave the tier."""
        raise NotImplementedError

    def get_cutoffs(self, company):
        """Return ``(tier, figure)`` pairs, best first: the smallest figure that an
        account of ``company`` needs for the tier."""
        raise NotImplementedError


@register
class Threshold(TieringMethod):
    key = "threshold"
    label = "Thresholds"
    help = "Thresholds: a tier holds the accounts whose figure reaches an amount."
    bound = "threshold"

    def explain(self):
        return self.env._(
            "An account is in the first tier whose threshold it reaches, in company "
            "currency; those below every threshold are in the last tier."
        )

    def check(self):
        if any(tier.threshold < 0 for tier in self.tiers):
            raise ValidationError(
                self.env._("A threshold can't be negative: enter 0 or more.")
            )
        for better, worse in zip(self.tiers, self.tiers[1:], strict=False):
            if better.threshold <= worse.threshold:
                raise ValidationError(
                    self.env._(
                        "The threshold of %(better)s must be above that of %(worse)s: "
                        "put the highest threshold first and make no two equal.",
                        better=better.name,
                        worse=worse.name,
                    )
                )

    def get_usual_bounds(self, company):
        # where Pareto would draw the line in the books, as two digits say it
        shares = Pareto.usual.get(len(self.tiers), [])[:-1]
        figures = _get_figures_at(self.env, company, self.policy.metric, shares)
        bounds = [*map(_round_to_two_digits, figures), 0.0]
        is_falling = all(a > b for a, b in zip(bounds, bounds[1:], strict=False))
        return bounds if shares and figures and is_falling else []

    def get_condition_sql(self, tier):
        return SQL("figure >= %s", tier.threshold)

    def get_edges_sql(self, company):
        return SQL(
            """
            SELECT position,
                   LAG(threshold) OVER (ORDER BY position) AS upper_edge,
                   threshold AS lower_edge
              FROM tiers
            """
        )

    def get_cutoffs(self, company):
        return [(tier, tier.threshold) for tier in self.tiers]


class _Shares(TieringMethod):
    """The first tier whose share is above the cumulative share before the account. Only
    strictly better accounts come before it, so that equal figures get equal tiers."""

    bound = "share"

    def check(self):
        for tier in self.tiers:
            if not 0 < tier.share <= 100:
                raise ValidationError(
                    self.env._(
                        "The share of %(tier)s must be above 0 and at most 100 "
                        "percent.",
                        tier=tier.name,
                    )
                )
        for better, worse in zip(self.tiers, self.tiers[1:], strict=False):
            if better.share >= worse.share:
                raise ValidationError(
                    self.env._(
                        "The share of %(worse)s must be above that of %(better)s: "
                        "shares are counted from the best account, for example 80, 95 "
                        "and 100.",
                        better=better.name,
                        worse=worse.name,
                    )
                )
        last = self.tiers[-1]
        if last.share != 100:
            raise ValidationError(
                self.env._(
                    "The shares reach only %(share)g %%: set that of the last tier, "
                    "%(tier)s, to 100.",
                    share=last.share,
                    tier=last.name,
                )
            )

    def get_edges_sql(self, company):
        # The nearest account on the other side: the best one that stays below (going
        # up), or the last one that stays above (going down).
        return SQL(
            """
            SELECT position,
                   MAX(best) OVER (
                       ORDER BY position
                       ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
                   ) AS upper_edge,
                   MIN(worst) OVER (ORDER BY position) AS lower_edge
              FROM tiers
              LEFT JOIN (
                    SELECT suggested_tier_id, MAX(%(metric)s) AS best,
                           MIN(%(metric)s) AS worst
                      FROM key_account
                     WHERE company_id = %(company)s
                     GROUP BY 1
                   ) AS suggestion ON suggestion.suggested_tier_id = tiers.id
            """,
            metric=SQL.identifier(self.policy.metric),
            company=company.id,
        )

    def get_cutoffs(self, company):
        # of the last account that the last run placed there
        metric = self.policy.metric
        groups = self.env["key.account"]._read_group(
            [("company_id", "=", company.id), (metric, ">", 0)],
            ["suggested_tier_id"],
            [f"{metric}:min"],
        )
        lowest = dict(groups)
        return [(tier, lowest[tier]) for tier in self.tiers if tier in lowest]


@register
class Pyramid(_Shares):
    key = "pyramid"
    label = "Pyramid"
    help = "Pyramid: a tier holds a share of the accounts."
    # After Curry's customer pyramid: the best one, four, fifteen percent, and the rest.
    usual = {2: [20, 100], 3: [5, 20, 100], 4: [1, 5, 20, 100]}

    def explain(self):
        return self.env._(
            "Accounts are lined up by the figure, the best first. With 5, 20 and 100 "
            "the first tier holds the best 5 percent of the accounts, and the second "
            "one the next 15 percent."
        )

    def get_condition_sql(self, tier):
        return SQL("count_before * 100 < %s::numeric * count_total", tier.share)


@register
class Pareto(_Shares):
    key = "pareto"
    label = "Pareto (ABC)"
    help = "Pareto: a tier holds the accounts that together make a share of the total."
    usual = {2: [80, 100], 3: [80, 95, 100], 4: [50, 80, 95, 100]}

    def explain(self):
        return self.env._(
            "Accounts are lined up by the figure, the best first. With 80, 95 and 100 "
            "the first tier holds the accounts that together make the first 80 percent "
            "of the total."
        )

    def get_condition_sql(self, tier):
        return SQL("figure_before * 100 < %s::numeric * figure_total", tier.share)


@register
class Scorecard(Threshold):
    """Criteria give 0 to 100 points each, their weighted average is the score."""

    key = "scorecard"
    label = "Value scorecard"
    help = (
        "Value scorecard: a tier holds the accounts whose score, from 0 to 100 points "
        "over several criteria, reaches its threshold."
    )
    figure = "score"
    highest = 100
    usual = {2: [50, 0], 3: [70, 30, 0], 4: [80, 60, 30, 0]}

    @property
    def criteria(self):
        """The criteria that count, in their order."""
        criteria = self.policy.criterion_ids
        return criteria.filtered(lambda each: each.weight > 0).sorted(
            lambda each: (each.sequence, each._origin.id)
        )

    def explain(self):
        return self.env._(
            "Each criterion gives an account 0 to 100 points; the score is their "
            "average by weight, over the criteria of which there is data. An account "
            "is in the first tier whose threshold, in points, its score reaches; those "
            "below every threshold are in the last tier. A lead without a customer is "
            "in the tier whose accounts typically bring as much as it would."
        )

    def check(self):
        if not self.criteria:
            raise ValidationError(
                self.env._(
                    "The weights of the scorecard of %(policy)s sum to zero: add a "
                    "criterion, or give one a weight.",
                    policy=self.policy.name,
                )
            )
        if self.tiers[:1].threshold > self.highest:
            raise ValidationError(
                self.env._(
                    "A score is at most 100 points: lower the threshold of %(tier)s.",
                    tier=self.tiers[0].name,
                )
            )
        return super().check()

    def get_usual_bounds(self, company):
        # points, not amounts
        return self.usual.get(len(self.tiers), [])

    def get_scores_sql(self, figures, trade, company, today):
        return get_scores_sql(self.criteria, figures, trade, company, today)

    def get_cutoffs(self, company):
        # No lead has a score. What the accounts of a tier typically bring is the
        # nearest to it that is known of one.
        metric = SQL.identifier(self.policy.metric)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT suggested_tier_id,
                       PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY %(metric)s)
                  FROM key_account
                 WHERE company_id = %(company)s AND %(metric)s > 0
                 GROUP BY 1
                """,
                metric=metric,
                company=company.id,
            )
        )
        typical = dict(rows)
        cutoffs = []
        for tier in self.tiers:
            figure = typical.get(tier.id)
            # a tier that brings more than a better one tells nothing apart
            if figure and (not cutoffs or figure < cutoffs[-1][1]):
                cutoffs.append((tier, float(figure)))
        return cutoffs
