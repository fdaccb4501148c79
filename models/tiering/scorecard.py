"""The score of accounts: measured for all by one query, explained for one."""

from markupsafe import Markup

from odoo.tools import SQL, formatLang, split_every

from ..account import words

# Arguments that PostgreSQL's functions take, in pairs
MOST_PAIRS = 40


def get_scores_sql(criteria, figures, trade, company, today):
    """Return a query that adds ``score`` (0 to 100) and ``score_points`` to figures:
    {criterion id: [points, figure]}, without those of which there is no data.

    The score is :math:`\\sum w p / \\sum w` over the criteria with data, 0 without any.

    :param criteria: those with a weight
    :param SQL figures: query of all accounts, see :meth:`.metrics.Metric.get_sql`
    :param SQL trade: query of their trade
    """
    measured, pointed, joins = [], [], {}
    weighed, weights, pairs = [], [], []
    for criterion in criteria:
        figure = SQL.identifier(f"figure_{criterion.id}")
        points = SQL.identifier(f"points_{criterion.id}")
        weight = SQL("%s::numeric", f"{criterion.weight:.2f}")
        metric = criterion._get_metric()
        joins[metric.key] = metric.get_join_sql(criterion.policy_id, company, today)
        # Equals stay equal, however long their decimals are.
        measured.append(
            SQL("ROUND((%s)::numeric, 4) AS %s", metric.get_sql(today), figure)
        )
        pointed.append(SQL("%s AS %s", criterion._get_points_sql(figure), points))
        weighed.append(SQL("COALESCE(%s * %s, 0)", weight, points))
        weights.append(SQL("CASE WHEN %s IS NULL THEN 0 ELSE %s END", points, weight))
        pairs.append(
            SQL(
                "%s, CASE WHEN %s IS NOT NULL "
                "THEN jsonb_build_array(%s, ROUND(%s, 2)) END",
                str(criterion.id),
                points,
                points,
                figure,
            )
        )
    return SQL(
        """
        SELECT pointed.*,
               COALESCE(ROUND((%(weighed)s) / NULLIF(%(weights)s, 0), 2), 0) AS score,
               jsonb_strip_nulls(%(pairs)s) AS score_points
          FROM (SELECT measured.*, %(pointed)s
                  FROM (SELECT figures.*, %(measured)s
                          FROM (%(figures)s) AS figures
                          LEFT JOIN (%(trade)s) AS trade
                                 ON trade.partner_id = figures.partner_id
                          LEFT JOIN key_account account
                                 ON account.partner_id = figures.partner_id
                                AND account.company_id = %(company)s
                          %(joins)s
                       ) AS measured
               ) AS pointed
        """,
        figures=figures,
        trade=trade,
        company=company.id,
        joins=SQL(" ").join(joins.values()),
        measured=SQL(", ").join(measured),
        pointed=SQL(", ").join(pointed),
        weighed=SQL(" + ").join(weighed),
        weights=SQL(" + ").join(weights),
        pairs=SQL(" || ").join(
            SQL("jsonb_build_object(%s)", SQL(", ").join(some))
            for some in split_every(MOST_PAIRS, pairs, list)
        ),
    )


class Explanation:
    """What the score of an account is made of, and what would lift it.

    :ivar account: an account that was measured with a scorecard
    :ivar policy: the policy in force
    :ivar lines: (criterion, points, figure) of those with data, None and None of those
        without
    """

    def __init__(self, account, policy):
        self.account = account
        self.env = account.env
        self.policy = policy
        measured = account.score_points or {}
        self.lines = [
            (criterion, *measured.get(str(criterion.id), (None, None)))
            for criterion in policy._get_method().criteria
        ]
        self.weight = sum(
            criterion.weight
            for criterion, points, _figure in self.lines
            if points is not None
        )

    def get_next_tier(self):
        """Return the tier above the one that the figures suggest, if there is one."""
        tiers = self.policy._get_tiers()
        ids = tiers.ids
        suggested = self.account.suggested_tier_id.id
        place = ids.index(suggested) if suggested in ids else 0
        return tiers[place - 1] if place else tiers.browse()

    def get_lift(self):
        """Return in words what would lift the account to the next tier."""
        if not self.account.suggested_tier_id:
            return ""
        tier = self.get_next_tier()
        if not tier:
            return self.env._("No tier is above this one.")
        missing = tier.threshold - self.account.score
        ways = self._get_ways(missing)
        if not ways:
            return self.env._(
                "%(missing)s more points make it %(tier)s: more has to be known of it.",
                missing=self._format(missing),
                tier=tier.name,
            )
        enough = [text for gain, text in ways if gain > missing - 0.005]
        if enough:
            return self.env._(
                "%(missing)s more points make it %(tier)s. Each of these is enough: "
                "%(ways)s.",
                missing=self._format(missing),
                tier=tier.name,
                ways=words.join_clauses(self.env, enough[:3]),
            )
        return self.env._(
            "%(missing)s more points make it %(tier)s. No criterion alone is enough, "
            "most is to be won by: %(ways)s.",
            missing=self._format(missing),
            tier=tier.name,
            ways=words.join_clauses(self.env, (text for _gain, text in ways[:3])),
        )

    def _get_ways(self, missing):
        """Return (points of the score to be won, words), the largest first."""
        ways = []
        for criterion, points, figure in self.lines:
            most = criterion._get_most_points()
            if points is None or points >= most:
                continue
            share = criterion.weight / self.weight
            needed = min(points + missing / share, most)
            ways.append(
                (
                    (most - points) * share,
                    self._describe(criterion, points, needed, figure),
                )
            )
        return sorted(ways, key=lambda way: -way[0])

    def _describe(self, criterion, points, needed, figure):
        """Return in words what gives a criterion so many points."""
        target = criterion._find_figure(needed, figure)
        if target is not None:
            return self.env._(
                "%(criterion)s %(target)s instead of %(figure)s",
                criterion=criterion.display_name,
                target=criterion._format_figure(target),
                figure=criterion._format_figure(figure),
            )
        return self.env._(
            "%(criterion)s better than %(needed)s %% of the others instead of "
            "%(points)s %%",
            criterion=criterion.display_name,
            needed=self._format(needed),
            points=self._format(points),
        )

    def get_bars(self):
        """Return the points of each criterion as bars, in HTML: names are escaped."""
        rows = Markup().join(self._get_bar(*line) for line in self.lines)
        return Markup('<div class="o_key_account_score">%s</div>') % rows

    def _get_bar(self, criterion, points, figure):
        labels = dict(criterion._fields["dimension"]._description_selection(self.env))
        share = 0 if points is None else 100 * criterion.weight / self.weight
        if points is None:
            value = self.env._("no data: left out")
        else:
            value = self.env._(
                "%(points)s points, counts %(share)s %%",
                points=self._format(points),
                share=formatLang(self.env, share, digits=0),
            )
        return Markup(
            '<div class="mb-2" title="%(dimension)s">'
            '<div class="d-flex justify-content-between gap-2">'
            "<span>%(label)s</span>"
            '<span class="text-muted text-end">%(value)s</span></div>'
            '<div class="progress" style="height: 6px" role="progressbar" '
            'aria-label="%(name)s" aria-valuenow="%(width)s" aria-valuemin="0" '
            'aria-valuemax="100">'
            '<div class="progress-bar" style="width: %(width)s%%"></div>'
            "</div></div>"
        ) % {
            "dimension": labels[criterion.dimension],
            "name": criterion.display_name,
            "label": criterion.display_name
            if points is None
            else words.join_named(
                self.env, criterion.display_name, criterion._format_figure(figure)
            ),
            "value": value,
            "width": f"{points or 0:.0f}",
        }

    def _format(self, number):
        return formatLang(self.env, number, digits=1)
