import math
import re
from itertools import zip_longest

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL, formatLang

from ..account import bounds, words
from ..account.trial import forget_configuration
from .metrics import METRICS

NUMBER = r"[-−]?\d+(?:\.\d+)?"
BAND = re.compile(
    rf"\s*({NUMBER})\s*(?:(?:-|–|to)\s*({NUMBER})\s*)?:\s*({NUMBER})\s*%?\s*"
)


class KeyAccountCriterion(models.Model):
    """What a scorecard gives points for: a metric (:mod:`.metrics`), how its figure
    becomes 0 to 100 points, and how much these weigh. The score is
    :math:`\\sum w p / \\sum w` over the criteria of which an account has data.
    """

    _name = "key.account.criterion"
    _inherit = "key.account.form"
    _description = "Scorecard Criterion"
    _order = "policy_id, sequence, id"

    policy_id = fields.Many2one(
        "key.account.policy", required=True, index=True, ondelete="cascade"
    )
    # With its company, as what it belongs to goes.
    company_id = fields.Many2one(
        related="policy_id.company_id", store=True, ondelete="cascade"
    )
    sequence = bounds.Integer(default=10, bounds=bounds.SEQUENCES)
    dimension = fields.Selection(
        [
            ("value", "Value"),
            ("accessibility", "Accessibility"),
            ("profitability", "Profitability"),
        ],
        required=True,
        default="value",
        help="Value: what the account brings, and will.\n"
        "Accessibility: how far it accepts us and what we sell.\n"
        "Profitability: what is left of it, and what competition takes.",
    )
    metric = fields.Selection(
        [(metric.key, metric.label) for metric in METRICS.values()],
        required=True,
        default="revenue",
        help="\n".join(metric.help for metric in METRICS.values()),
    )
    weight = bounds.Float(
        default=10,
        digits=(5, 2),
        bounds=(0, 999),
        help="How much the points count, against the weights of the other criteria. "
        "An account without data is scored by its other criteria, as if their weights "
        "were all there are. 0: isn't measured.",
    )
    scale = fields.Selection(
        [
            ("rank", "Percentile rank"),
            ("linear", "Between two figures"),
            ("bands", "Bands"),
        ],
        required=True,
        default="rank",
        help="Percentile rank: of the accounts with another figure, the percentage "
        "that the account does better than; 50 where all are equal.\n"
        "Between two figures: 0 points at the one, 100 at the other, in proportion in "
        "between.\n"
        "Bands: the points of the band that the figure is in.",
    )
    figure_none = bounds.Float(
        string="0 Points At",
        digits=(16, 2),
        bounds=(-bounds.MAX_AMOUNT, bounds.MAX_AMOUNT),
    )
    figure_full = bounds.Float(
        string="100 Points At",
        digits=(16, 2),
        bounds=(-bounds.MAX_AMOUNT, bounds.MAX_AMOUNT),
        help="May be below the other figure, where less is better.",
    )
    bands = bounds.Char(
        help="Where each band begins and its points, for example “0: 10; 1000: 50; "
        "5000: 100”: 50 points from 1000 to below 5000. A figure below the first band "
        "gets 0 points. “0 - 1000: 10” may name the end as well, which is where the "
        "next one begins.",
    )
    scale_text = fields.Char(
        string="Points",
        compute="_compute_scale_text",
        help="How the figure becomes points.",
    )

    @api.depends("metric", "scale", "figure_none", "figure_full", "bands")
    @api.depends_context("lang")
    def _compute_scale_text(self):
        for criterion in self:
            criterion.scale_text = criterion.metric and criterion._get_scale_text()

    @api.depends("metric")
    @api.depends_context("lang")
    def _compute_display_name(self):
        labels = dict(self._fields["metric"]._description_selection(self.env))
        for criterion in self:
            criterion.display_name = labels.get(criterion.metric)

    # -------------------------------------------------------------------------
    # Constraints
    # -------------------------------------------------------------------------

    @api.constrains("scale", "figure_none", "figure_full", "bands")
    def _check_scale(self):
        for criterion in self:
            name = criterion.display_name
            if criterion.scale == "bands":
                criterion._get_bands()
            elif (
                criterion.scale == "linear"
                and criterion.figure_none == criterion.figure_full
            ):
                raise ValidationError(
                    self.env._(
                        "%(criterion)s: 0 and 100 points are at the same figure, make "
                        "them differ.",
                        criterion=name,
                    )
                )

    @api.onchange("metric", "scale")
    def _onchange_scale(self):
        """Begin with figures that can be saved."""
        metric = self.metric and self._get_metric()
        if metric and self.scale == "linear" and self.figure_none == self.figure_full:
            most = len(metric.get_steps(self.env)) or 100
            least = 1 if metric.unit == "step" else 0
            better = metric.higher_is_better
            self.figure_none, self.figure_full = (
                (least, most) if better else (most, least)
            )
        if metric and self.scale == "bands" and not self.bands:
            self.bands = "0: 0; 50: 50; 100: 100"

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        criteria = super().create(vals_list)
        criteria._check_policies()
        return criteria

    def write(self, vals):
        policies = self.policy_id
        res = super().write(vals)
        if {"policy_id", "weight", "metric"} & vals.keys():
            (policies | self.policy_id)._check_tiers_unless_deferred()
            forget_configuration(self.env)
        return res

    def unlink(self):
        policies = self.policy_id
        res = super().unlink()
        policies.exists()._check_tiers_unless_deferred()
        forget_configuration(self.env)
        return res

    def _check_policies(self):
        self.policy_id._check_tiers_unless_deferred()
        # which judgements customers show
        forget_configuration(self.env)

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _get_metric(self):
        """Return what is measured, see :mod:`.metrics`."""
        return METRICS[self.metric]()

    def _get_bands(self):
        """Return the bands, from the lowest: pairs (figure from which on, points).

        :raise ValidationError: if the text isn't bands, or these overlap, leave a gap
            or give more than 100 points
        """
        self.ensure_one()
        bands, end = [], None
        for text in filter(str.strip, re.split(r"[;\n]", self.bands or "")):
            start, stop, points = self._read_band(text)
            before = bands[-1][0] if bands else None
            self._check_band(text, start, stop, points, before, end)
            bands.append((start, points))
            end = stop
        if not bands:
            raise ValidationError(
                self.env._(
                    "%(criterion)s has no bands: write where each begins and its "
                    "points, for example “0: 10; 1000: 100”.",
                    criterion=self.display_name,
                )
            )
        return bands

    def _read_band(self, text):
        """Return where a band begins, where it ends (None if it doesn't say), and its
        points.

        :raise ValidationError: if the text isn't a band
        """
        match = BAND.fullmatch(text)
        if not match:
            raise ValidationError(
                self.env._(
                    "%(criterion)s: “%(band)s” is no band, write it as “1000: 50”, "
                    "with a point before decimals and a semicolon between bands.",
                    criterion=self.display_name,
                    band=text.strip(),
                )
            )
        return tuple(each and float(each.replace("−", "-")) for each in match.groups())

    def _check_band(self, text, start, stop, points, before, end):
        """Refuse a band that doesn't follow the one before it.

        :param before: where that one begins; None: there is none
        :param end: where it ends; None: it doesn't say
        """
        said = {"criterion": self.display_name, "band": text.strip()}
        if before is not None and (start <= before or end is not None and start < end):
            raise ValidationError(
                self.env._(
                    "%(criterion)s: the band “%(band)s” overlaps the one before "
                    "it, let each begin where the one before ends.",
                    **said,
                )
            )
        if end is not None and start > end:
            raise ValidationError(
                self.env._(
                    "%(criterion)s: there is a gap before the band “%(band)s”, let "
                    "it begin at %(end)s.",
                    **said,
                    end=f"{end:g}",
                )
            )
        if not 0 <= points <= 100:
            raise ValidationError(
                self.env._(
                    "%(criterion)s: the points of “%(band)s” must be 0 to 100.",
                    **said,
                )
            )
        if abs(start) > bounds.MAX_AMOUNT or stop is not None and stop <= start:
            raise ValidationError(
                self.env._(
                    "%(criterion)s: “%(band)s” ends before it begins, or is no amount.",
                    **said,
                )
            )

    def _get_points_sql(self, figure):
        """Return 0 to 100 points of a figure, numeric with two decimals, NULL without
        data, as an SQL expression.

        :param SQL figure: a column of a query of all accounts, each ``is_account`` or
            not
        """
        if self.scale == "linear":
            # Of nothing and 0, the greatest would be 0.
            points = SQL(
                """
                CASE WHEN %(figure)s IS NOT NULL
                     THEN LEAST(GREATEST(
                         100 * (%(figure)s - %(none)s::numeric) / %(span)s::numeric,
                         0), 100)
                END
                """,
                figure=figure,
                none=_to_sql(self.figure_none),
                span=_to_sql(self.figure_full - self.figure_none),
            )
        elif self.scale == "bands":
            points = SQL(
                "CASE WHEN %s IS NULL THEN NULL %s ELSE 0 END",
                figure,
                SQL(" ").join(
                    SQL("WHEN %s >= %s::numeric THEN %s", figure, _to_sql(start), part)
                    for start, part in reversed(self._get_bands())
                ),
            )
        else:
            # Of those with another figure: equals stand neither above nor below.
            # The frame of COUNT ends with the equals.
            window = SQL("(PARTITION BY is_account ORDER BY %s)", figure)
            points = SQL(
                """
                CASE WHEN %(figure)s IS NOT NULL
                     THEN COALESCE(100.0 * (RANK() OVER %(window)s - 1)
                          / NULLIF(RANK() OVER %(window)s - 1
                                   + COUNT(%(figure)s) OVER (PARTITION BY is_account)
                                   - COUNT(%(figure)s) OVER %(window)s, 0), 50)
                END
                """,
                figure=figure,
                window=window,
            )
            if not self._get_metric().higher_is_better:
                points = SQL("100 - %s", points)
        return SQL("ROUND((%s)::numeric, 2)", points)

    def _get_scale_text(self):
        metric = self._get_metric()
        if self.scale == "linear":
            return self.env._(
                "0 at %(none)s, 100 at %(full)s",
                none=self._format_figure(self.figure_none),
                full=self._format_figure(self.figure_full),
            )
        if self.scale == "bands":
            try:
                return words.join_clauses(
                    self.env,
                    [
                        self.env._(
                            "from %(figure)s: %(points)g",
                            figure=self._format_figure(figure),
                            points=points,
                        )
                        for figure, points in self._get_bands()
                    ],
                )
            except ValidationError:
                return False
        if metric.higher_is_better:
            return self.env._("the more than others, the better")
        return self.env._("the less than others, the better")

    def _format_figure(self, figure):
        """Return a figure of the metric in words, in the reader's format."""
        metric = self._get_metric()
        if metric.unit == "step":
            labels = metric.get_steps(self.env)
            if float(figure).is_integer() and 1 <= figure <= len(labels):
                return labels[int(figure) - 1]
            return formatLang(self.env, figure, digits=1)
        whole = metric.unit in ("amount", "count")
        text = formatLang(self.env, figure, digits=0 if whole else 1)
        if metric.unit == "percent":
            return self.env._("%s %%", text)
        if metric.unit == "days":
            return self.env._("%s days", text)
        return text

    def _get_most_points(self):
        """Return how many points the scale can give."""
        if self.scale == "bands":
            return max(points for _figure, points in self._get_bands())
        return 100

    def _find_figure(self, points, before):
        """Return the figure that is enough for so many points, the nearest to
        ``before``; None if it depends on the other accounts.

        :param float points: from 0 to those of :meth:`_get_most_points`
        """
        if self.scale == "rank":
            return None
        # as it is shown, and not a bit less than what is needed
        part = 10 if self._get_metric().unit in ("percent", "days") else 1
        if self.scale == "bands":
            bands = self._get_bands()
            ends = [start - 1 / part for start, _part in bands[1:]]
            enough = [
                # coming from above, where it ends
                start if before < start or end is None else max(start, end)
                for (start, given), end in zip_longest(bands, ends)
                if given >= points
            ]
            return min(enough, key=lambda figure: abs(figure - before))
        span = self.figure_full - self.figure_none
        figure = round((self.figure_none + span * points / 100) * part, 6)
        return (math.ceil(figure) if span > 0 else math.floor(figure)) / part


def _to_sql(number):
    """Return a number of two decimals as PostgreSQL's numerics read it."""
    return f"{number:.2f}"
