from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, ormcache

from ...engine import effort
from ...engine.planner import Nearness
from . import bounds
from .trial import CACHE_KEY

# Sales, and those who make the settings.
READERS = "sales_team.group_sale_salesman,base.group_system"
# No transaction is under way for longer.
RUN_OVERLAP = timedelta(hours=1)


class ResCompany(models.Model):
    _inherit = "res.company"

    key_account_computed_at = fields.Datetime(readonly=True, groups=READERS)
    # How far the tiering run is: the last day that it counted, the day on which it last
    # measured every account, and by which configuration.
    key_account_run_date = fields.Date(groups="base.group_system", readonly=True)
    key_account_full_run_date = fields.Date(groups="base.group_system", readonly=True)
    key_account_run_key = fields.Char(groups="base.group_system", readonly=True)
    # Whether planning has made the due dates of all accounts.
    key_account_has_dues = fields.Boolean(groups="base.group_system", readonly=True)
    # Whether an administrator has closed the panel of the first steps.
    key_account_start_closed = fields.Boolean(groups="base.group_system", readonly=True)
    key_account_planning = fields.Boolean(
        groups=READERS,
        string="Plan Visits Automatically",
        default=True,
    )
    key_account_horizon_days = bounds.Integer(
        groups=READERS,
        string="Planning Horizon (days)",
        default=14,
        bounds=(1, 365),
    )
    key_account_daily_capacity = bounds.Integer(
        groups=READERS,
        string="Visits per Day",
        default=6,
        bounds=(1, 100),
        help="How many visits and calls a salesperson can make on a full working day, "
        "unless the member of the sales team says otherwise. Visits that are planned "
        "already stay where they are.",
    )
    key_account_effort_elasticity = bounds.Float(
        groups=READERS,
        string="Elasticity of Margin to Visits",
        digits=(16, 2),
        default=effort.PRIOR,
        bounds=(effort.LOWEST, effort.HIGHEST),
        help="By how many per cent the margin of a customer grows with one per cent "
        "more visits. 0.34 is the average of 506 measured ones (Albers, Mantrala and "
        "Sridhar, 2010). Your own accounts count as soon as 30 of them can be "
        "compared, as far as they are sure.",
    )
    key_account_effort_hours = fields.Selection(
        [
            ("today", "The hours that visits take today"),
            ("all", "All hours that are available"),
        ],
        groups=READERS,
        string="Hours to Share Out",
        default="today",
        help="Never more than are available.",
    )
    key_account_route_radius = bounds.Float(
        groups=READERS,
        string="Near Is Within (km)",
        default=20.0,
        bounds=(0.1, 1000),
        help="For visits on a route, where both customers have coordinates.",
    )
    key_account_route_zip_length = bounds.Integer(
        groups=READERS,
        string="Same First Characters of the Postal Code",
        default=3,
        bounds=(0, 10),
        help="For visits on a route, where a customer has no coordinates. 0: the same "
        "city.",
    )
    key_account_meeting_hours = bounds.Float(
        groups=READERS,
        string="Length of a Meeting (hours)",
        default=1.0,
        bounds=(0.25, 24),
        help="How long the meeting is that a salesperson schedules for a visit.",
    )
    key_account_digest = fields.Boolean(
        groups=READERS,
        string="Daily Visit Digest",
        default=True,
    )

    @api.model
    @ormcache()
    def _get_key_account_own_ids(self):
        """Return the ids of the partners that our companies are: core empties the cache
        when there is a new company, and where one becomes another partner, by
        :meth:`cache_invalidation_fields` or by a merge, so do we."""
        return frozenset(self.sudo().search(Domain.TRUE).partner_id.ids)

    def cache_invalidation_fields(self):
        return super().cache_invalidation_fields() | {"partner_id"}

    def _get_key_account_nearness(self):
        """Return what counts as near for visits on a route."""
        company = self.sudo()
        return Nearness(
            company.key_account_route_radius, company.key_account_route_zip_length
        )

    def _get_key_account_administrators(self):
        """Return whom to tell what goes wrong by itself: the administrators of the
        company, else all there are."""
        users = (
            self.env["res.users"]
            .sudo()
            .search(
                [
                    ("all_group_ids", "in", self.env.ref("base.group_system").ids),
                    ("share", "=", False),
                ]
            )
        )
        return users.filtered(lambda user: self in user.company_ids) or users

    # -------------------------------------------------------------------------
    # Branches
    # -------------------------------------------------------------------------

    @api.model
    def _get_key_account_homes(self):
        """Return {company id: id of the company that keeps its accounts}, of branches
        that have none of their own. What keeps them apart is a matter of policy."""
        return {}

    def _get_key_account_home(self):
        """Return the company that keeps the accounts of this one: another one for a
        branch that isn't apart."""
        self.ensure_one()
        homes = self._get_key_account_homes()
        return self.browse(homes.get(self.id, self.id))

    def _get_key_account_keepers(self):
        """Return the companies that keep the accounts of these."""
        homes = self._get_key_account_homes()
        return self.browse(dict.fromkeys(homes.get(id_, id_) for id_ in self.ids))

    def _get_key_account_branches(self):
        """Return the companies whose books are those of this one's accounts, itself
        first."""
        self.ensure_one()
        homes = self._get_key_account_homes()
        return self + self.browse(id_ for id_, home in homes.items() if home == self.id)

    def _get_key_account_team_ids(self):
        """Return the ids of the companies whose sales teams serve this one's accounts,
        False among them: teams without a company serve all."""
        return [*self._get_key_account_branches().ids, False]

    # Cached: each measure of a run asks.
    @api.model
    @ormcache("column", CACHE_KEY)
    def _get_key_account_home_sql(self, column):
        """Return :meth:`_get_key_account_home` of an SQL expression."""
        homes = self._get_key_account_homes()
        if not homes:
            return column
        return SQL(
            "CASE %s %s ELSE %s END",
            column,
            SQL(" ").join(SQL("WHEN %s THEN %s", *pair) for pair in homes.items()),
            column,
        )

    @api.model
    def _get_key_account_fallback(self):
        """Return the company of leads that name none: the one that keeps accounts,
        none where several do. To guess would tell of a company's figures to another
        one's users."""
        return self.browse(self._get_key_account_fallback_id() or ())

    @api.model
    @ormcache(CACHE_KEY)
    def _get_key_account_fallback_id(self):
        # as long as companies and policies are the same
        keepers = self.sudo().search(Domain.TRUE)._get_key_account_keepers()
        return keepers.id if len(keepers) == 1 else False

    def _get_key_account_run_moment(self):
        """Return since when documents may have changed unseen by the last run:
        transactions that were under way during it are read again."""
        return self.sudo().key_account_computed_at - RUN_OVERLAP
