"""The tier of leads that have no customer yet."""

from odoo.tools import SQL

from ...const import NO_AMOUNT


class Prospects:
    """What leads without a customer would bring, compared with the company's accounts.

    Accounts are ranked by what they bring in a policy's window. So what a lead would
    bring in one is weighed by its probability: the deal once, and what recurs with
    Odoo's monthly figure, for every month of the window. By margin, it leaves as much
    as the average of the accounts. By expected revenue, accounts and leads are compared
    by the same, unweighted figure.

    :ivar policy: the policy in force
    :ivar company: the company of the leads
    """

    def __init__(self, policy, company):
        self.policy = policy
        self.env = policy.env
        self.company = company
        method = policy._get_method()
        self.cutoffs = method.get_cutoffs(company)
        self.last_tier = method.tiers[-1:]
        self.rate = self._get_margin_rate() if policy.metric == "margin" else 1.0

    def get_tier(self, lead):
        """Return the tier that a lead would have, none while nothing was measured, or
        where what it would bring is no amount."""
        figure = self._get_figure(lead)
        # what is no number compares with nothing
        if not self.cutoffs or not abs(figure) < NO_AMOUNT:
            return self.last_tier.browse()
        for tier, cutoff in self.cutoffs:
            if figure > 0 and figure >= cutoff:
                return tier
        return self.last_tier

    def get_tier_sql(self):
        """Return the same in SQL, of a query's ``lead``."""
        if not self.cutoffs:
            return SQL("NULL::int")
        figure = self._get_figure_sql()
        return SQL(
            """
            CASE WHEN abs(%(figure)s) >= %(most)s THEN NULL
                 WHEN %(figure)s <= 0 THEN %(last)s
                 %(tiers)s
                 ELSE %(last)s END
            """,
            figure=figure,
            most=NO_AMOUNT,
            last=self.last_tier.id,
            tiers=SQL(" ").join(
                SQL("WHEN %s >= %s THEN %s", figure, cutoff, tier.id)
                for tier, cutoff in self.cutoffs
            ),
        )

    def _get_figure(self, lead):
        if self.policy.metric == "expected_revenue":
            return lead.expected_revenue
        recurring = lead.recurring_revenue_monthly_prorated * self.policy.window_months
        return (lead.prorated_revenue + recurring) * self.rate

    def _get_figure_sql(self):
        if self.policy.metric == "expected_revenue":
            return SQL("COALESCE(lead.expected_revenue, 0)::float8")
        return SQL(
            """
            (COALESCE(lead.prorated_revenue, 0)::float8
             + COALESCE(lead.recurring_revenue_monthly_prorated, 0)::float8 * %s) * %s
            """,
            self.policy.window_months,
            self.rate,
        )

    def _get_margin_rate(self):
        """Return what the company's accounts leave of their revenue, from 0 to 1."""
        accounts = self.env["key.account"].sudo()
        ((margin, revenue),) = accounts._read_group(
            [("company_id", "=", self.company.id), ("revenue", ">", 0)],
            aggregates=["margin:sum", "revenue:sum"],
        )
        return min(max(margin / revenue, 0.0), 1.0) if revenue else 0.0
