"""Where the next visit hour is worth most: visits of one salesperson shared out among
accounts, in plain numbers.

An account that brings a margin ``m`` a year at ``x0`` visits a year is taken to bring

    f(x) = m * (x / x0) ** beta                                     (money a year)

at ``x`` visits: one per cent more visits bring ``beta`` per cent more margin, so that
each further visit brings less than the one before. The best use of ``H`` hours a year,
at ``h`` hours a visit, is the largest sum of f under

    sum(h * x) <= H  and  fewest <= x <= most for each account

(L. M. Lodish, "CALLPLAN: An Interactive Salesman's Call Planning System", Management
Science 18, 1971). With the multiplier ``w`` of the hours it is

    x = (beta * m / (w * h * x0 ** beta)) ** (1 / (1 - beta))

within the limits, and ``w``, in money an hour, is what the next hour would bring. The
hours fall as ``w`` rises, so ``w`` is found by bisection. Where no limit binds,
``h * x`` is in proportion to ``beta * f(x)``: time goes where elasticity times
contribution is (S. Albers' rule).

The elasticity is 0.34 on the average of 506 measured ones (S. Albers, M. K. Mantrala,
S. Sridhar, "Personal Selling Elasticities: A Meta-Analysis", Journal of Marketing
Research 47, 2010). It is a prior: a company's own data move it only as far as they are
sure (:func:`estimate_elasticity`).

The maximum is flat: with 0.34, a quarter more visits than the best number bring 8 per
cent more of the account's margin, and a quarter fewer lose 9 per cent, which other
accounts win back for the most part. So nothing is suggested that differs by a quarter
or less from what is done today (:func:`get_options`).

What has no visits today, or no margin, says nothing about what visits bring: it gets
the fewest.
"""

from collections import defaultdict
from math import exp, inf, log, log1p, sqrt
from typing import NamedTuple

PRIOR = 0.34
# Elasticities lie between; at 1 more visits wouldn't bring less and less.
LOWEST, HIGHEST = 0.01, 0.99
# How far a company may be from the average, as a standard deviation. Ours: it covers
# from about zero to twice the average.
PRIOR_DEVIATION = 0.17
# Accounts without which a company's own data say nothing
LEAST_ACCOUNTS = 30
# Two standard deviations to each side are 95 per cent.
NORMAL_95 = 1.96
# What differs by no more from today isn't suggested.
LEAST_CHANGE = 0.25
DAYS_PER_YEAR = 365
# Halves the range of the multiplier's logarithm to what floats tell apart
BISECTIONS = 100


class Account(NamedTuple):
    """An account of one salesperson.

    :param float margin: money a year, at ``visits``
    :param float visits: a year, today
    :param float hours: of one visit, above zero
    :param float fewest: visits a year, above zero
    :param float most: visits a year, not below ``fewest``
    """

    margin: float
    visits: float
    hours: float
    fewest: float
    most: float


class Telling(NamedTuple):
    """An account that says what visits bring, in logarithms: with an elasticity near 1
    the powers leave the floats.

    :param int number: its place among the accounts
    :param float slope: of its response, at one visit a year
    :param float fewest: visits a year
    :param float most: visits a year
    :param float hours: of one visit; no logarithm
    """

    number: int
    slope: float
    fewest: float
    most: float
    hours: float


class Plan(NamedTuple):
    """The best use of the hours.

    :param list visits: a year, in the order of the accounts
    :param float worth: of the next hour, in money; 0 where hours are left
    """

    visits: list
    worth: float


class Choice(NamedTuple):
    """An account that is visited every so many days.

    :param float margin: money a year, at today's interval
    :param int days: today's interval
    :param float hours: of one visit, above zero
    :param list options: intervals to choose from, today's among them
    """

    margin: float
    days: int
    hours: float
    options: list


class Elasticity(NamedTuple):
    """:param float value: the elasticity to reckon with
    :param float low: of its 95 per cent range
    :param float high: of its 95 per cent range
    :param int accounts: how many could be compared
    :param bool is_own: the company's own data count, else it is the prior
    """

    value: float
    low: float
    high: float
    accounts: int
    is_own: bool


def get_visits(days: int) -> float:
    """Return the visits a year of an interval in days."""
    return DAYS_PER_YEAR / days


def get_contribution(margin: float, visits: float, other: float, beta: float) -> float:
    """Return the margin a year at ``other`` visits a year instead of ``visits``."""
    if visits <= 0 or other == visits:
        return margin
    return margin * (other / visits) ** beta


def get_worth(margin: float, visits: float, hours: float, beta: float) -> float:
    """Return what the next hour of visits brings at ``visits`` a year, in money: the
    slope of the response. 0 where nothing tells."""
    if min(margin, visits, hours) <= 0:
        return 0.0
    return beta * margin / (visits * hours)


def allocate(accounts, hours: float, beta: float) -> Plan:
    """Return the best use of ``hours`` a year.

    If even the fewest visits take more hours, it is the fewest.

    :param accounts: list of :class:`Account`
    :raise ValueError: if limits, hours of a visit or elasticity make no sense
    """
    _check(accounts, beta)
    visits = [account.fewest for account in accounts]
    telling = _get_telling(accounts, beta)
    if not telling:
        return Plan(visits, 0.0)
    least = sum(account.fewest * account.hours for account in accounts)
    fixed = least - sum(exp(row.fewest) * row.hours for row in telling)

    def spend(worth):
        """Return the logarithms of the visits where the next hour brings so much."""
        return [
            min(max((row.slope - worth) / (1 - beta), row.fewest), row.most)
            for row in telling
        ]

    def count(worth):
        """Return the hours that these visits take."""
        return fixed + sum(
            exp(value) * row.hours
            for value, row in zip(spend(worth), telling, strict=True)
        )

    low = min(row.slope - (1 - beta) * row.most for row in telling)
    high = max(row.slope - (1 - beta) * row.fewest for row in telling)
    if least >= hours:
        return Plan(visits, exp(high))
    is_enough = count(low) <= hours
    worth = low if is_enough else _bisect(count, hours, low, high)
    for row, value in zip(telling, spend(worth), strict=True):
        account = accounts[row.number]
        if value >= row.most:
            visits[row.number] = account.most
        elif value > row.fewest:
            visits[row.number] = min(max(exp(value), account.fewest), account.most)
    return Plan(visits, 0.0 if is_enough else exp(worth))


def _check(accounts, beta):
    """:raise ValueError: if limits, hours of a visit or elasticity make no sense"""
    if not 0 < beta < 1:
        raise ValueError("The elasticity is between 0 and 1.")
    for account in accounts:
        if not (0 < account.fewest <= account.most < inf and account.hours > 0):
            raise ValueError("Limits and hours of a visit are above zero.")


def _get_telling(accounts, beta):
    """Return a :class:`Telling` of each account that says what visits bring."""
    return [
        Telling(
            number,
            log(beta)
            + log(account.margin)
            - log(account.hours)
            - beta * log(account.visits),
            log(account.fewest),
            log(account.most),
            account.hours,
        )
        for number, account in enumerate(accounts)
        if account.margin > 0 and account.visits > 0
    ]


def _bisect(count, hours, low, high):
    """Return the least logarithm of a worth between ``low`` and ``high`` at which there
    are hours enough."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if count(middle) <= hours:
            high = middle
        else:
            low = middle
    return high


def get_options(days: int, steps, shortest: int, longest: int) -> list:
    """Return the intervals to choose from: today's, and those of ``steps`` within the
    limits that differ from it by more than a quarter.

    :param int days: today's interval
    :param steps: intervals, in days
    """
    return [days] + sorted(
        step
        for step in set(steps)
        if shortest <= step <= longest and abs(step - days) > LEAST_CHANGE * days
    )


def choose(choices, hours: float, beta: float) -> list:
    """Return the best interval of each account within ``hours`` a year, in days.

    From the longest intervals on, the next shorter one is taken where an hour brings
    most, until the hours don't suffice: the best use of the hours that this takes (H.
    Everett, "Generalized Lagrange Multiplier Method", Operations Research 11, 1963).
    Accounts at which an hour brings the same are taken together or not at all. If
    today's intervals are within the hours and bring more, they stay.

    :param choices: list of :class:`Choice`
    """
    chosen = [max(choice.options) for choice in choices]
    steps = defaultdict(list)
    for number, choice in enumerate(choices):
        if choice.margin > 0:
            options = sorted(choice.options, reverse=True)
            for longer, shorter in zip(options, options[1:], strict=False):
                more = get_visits(shorter) - get_visits(longer)
                gain = _get_gain(choice, shorter, beta) - _get_gain(
                    choice, longer, beta
                )
                time = more * choice.hours
                steps[gain / time].append((number, shorter, time))
    left = hours - _count_hours(choices, chosen)
    for gain in sorted(steps, reverse=True):
        time = sum(step[-1] for step in steps[gain])
        if time > left:
            break
        left -= time
        for number, days, _ in steps[gain]:
            chosen[number] = min(days, chosen[number])
    today = [choice.days for choice in choices]
    if _count_hours(choices, today) <= hours and _sum_gains(
        choices, today, beta
    ) > _sum_gains(choices, chosen, beta):
        return today
    return chosen


def _get_gain(choice, days, beta):
    return get_contribution(
        choice.margin, get_visits(choice.days), get_visits(days), beta
    )


def _sum_gains(choices, chosen, beta):
    return sum(
        _get_gain(choice, days, beta)
        for choice, days in zip(choices, chosen, strict=True)
    )


def _count_hours(choices, chosen):
    return sum(
        get_visits(days) * choice.hours
        for choice, days in zip(choices, chosen, strict=True)
    )


def estimate_elasticity(pairs, prior: float = PRIOR) -> Elasticity:
    """Return the elasticity that a company's own accounts suggest, shrunk to ``prior``.

    The growth of the margin is compared with the growth of the visits from one window
    to the next, both as logarithms: the slope of the line through them, with a growth
    common to all, is the elasticity, with a variance ``s2`` (ordinary least squares).
    It and the prior, with the variance ``t2``, are weighed by how sure they are:

        value = (slope / s2 + prior / t2) / (1 / s2 + 1 / t2)

    with the variance ``1 / (1 / s2 + 1 / t2)`` (empirical Bayes: C. Morris, Journal of
    the American Statistical Association 78, 1983). Fewer than 30 accounts, or accounts
    all of whose visits grew alike, say nothing: the prior, with its own range.

    Those who sell more where they go more often anyway find too high a value: growth
    is compared, not size, and even so it is an upper bound rather than a middle.

    :param pairs: tuples (margin before, visits before, margin now, visits now); those
        with a zero or a negative number can't be compared
    """
    growths = [
        (log(visits) - log(visits_before), log(margin) - log(margin_before))
        for margin_before, visits_before, margin, visits in pairs
        if min(margin_before, visits_before, margin, visits) > 0
    ]
    count = len(growths)
    value, variance, is_own = prior, PRIOR_DEVIATION**2, False
    if count >= LEAST_ACCOUNTS:
        mean_x = sum(x for x, _ in growths) / count
        mean_y = sum(y for _, y in growths) / count
        spread = sum((x - mean_x) ** 2 for x, _ in growths)
        if spread > 1e-9:
            slope = sum((x - mean_x) * (y - mean_y) for x, y in growths) / spread
            rest = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in growths)
            own = max(rest / (count - 2) / spread, 1e-9)
            weight = 1 / own + 1 / variance
            value = (slope / own + prior / variance) / weight
            variance, is_own = 1 / weight, True
    reach = NORMAL_95 * sqrt(variance)
    return Elasticity(
        *(min(max(v, LOWEST), HIGHEST) for v in (value, value - reach, value + reach)),
        count,
        is_own,
    )


def get_flatness(beta: float) -> tuple:
    """Return by how much of an account's margin a quarter fewer and a quarter more
    visits differ, as shares: below and above zero."""
    return tuple(
        exp(beta * log1p(change)) - 1 for change in (-LEAST_CHANGE, LEAST_CHANGE)
    )
