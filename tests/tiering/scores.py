"""The scorecard's points counted once more, in plain Python."""

from bisect import bisect_left, bisect_right
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction


def round_half_up(value, digits):
    value = Fraction(value)
    value = Decimal(value.numerator) / Decimal(value.denominator)
    return value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def count_points(figures, criterion):
    """Give the points of one criterion once more, from the words of its help.

    :param figures: {account: figure or None}
    :param criterion: dict of scale, higher_is_better and what the scale needs
    """
    known = {
        # to four decimals
        key: Fraction(round_half_up(figure, 4))
        for key, figure in figures.items()
        if figure is not None
    }
    in_order = sorted(known.values())
    points = {}
    for key, figure in known.items():
        if criterion["scale"] == "rank":
            lower = bisect_left(in_order, figure)
            higher = len(in_order) - bisect_right(in_order, figure)
            better = lower if criterion["higher_is_better"] else higher
            others = lower + higher
            points[key] = Fraction(100 * better, others) if others else 50
        elif criterion["scale"] == "linear":
            none, full = map(Fraction, criterion["figures"])
            points[key] = 100 * min(max((figure - none) / (full - none), 0), 1)
        else:
            reached = [
                part for start, part in criterion["bands"] if figure >= Fraction(start)
            ]
            points[key] = reached[-1] if reached else 0
    return {key: round_half_up(value, 2) for key, value in points.items()}


def count_scores(rows, criteria):
    """Return {account: (score, {criterion: points})}.

    :param rows: {account: {metric: figure or None}}
    """
    points = {
        name: count_points({key: row[name] for key, row in rows.items()}, criterion)
        for name, criterion in criteria.items()
    }
    result = {}
    for key in rows:
        own = {name: each[key] for name, each in points.items() if key in each}
        weight = sum(criteria[name]["weight"] for name in own)
        total = sum(criteria[name]["weight"] * part for name, part in own.items())
        score = round_half_up(Fraction(total) / weight, 2) if weight else Decimal(0)
        result[key] = (score, own)
    return result
