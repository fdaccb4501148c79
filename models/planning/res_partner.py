from odoo import api, fields, models

from ..account import bounds, decisions
from ..account.columns import is_among, search_column

# What moves a due date, or changes who is responsible
DUE_FIELDS = {"active", "company_id", "is_company", "parent_id", "user_id"}


class ResPartner(models.Model):
    """When customers are to be visited."""

    _inherit = "res.partner"

    visit_interval_days = decisions.Integer(
        string="Own Visit Interval (days)",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("visit_interval_days"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        bounds=(0, bounds.MAX_DAYS),
        help="Plan visits to this customer every so many days; 0: by the cadence.",
    )
    is_visit_overdue = fields.Boolean(
        compute="_compute_is_visit_overdue",
        search="_search_is_visit_overdue",
        groups="sales_team.group_sale_salesman",
        help="The due date of a visit has passed in this company.",
    )

    visit_days_overdue = fields.Integer(
        string="Days Late",
        compute="_compute_visit_days_overdue",
        groups="sales_team.group_sale_salesman",
        help="Since the due date of the next visit.",
    )
    visit_overdue_user_id = fields.Many2one(
        "res.users",
        string="Whose Visit Is Late",
        compute="_compute_visit_days_overdue",
        groups="sales_team.group_sale_salesman",
        help="The executive whose visit is late; empty: the salesperson's is.",
    )

    @api.depends("key_account_id")
    @api.depends_context("company", "uid", "tz")
    def _compute_visit_days_overdue(self):
        for partner, account in self._get_readable_accounts():
            partner.visit_days_overdue = account.days_overdue
            partner.visit_overdue_user_id = account.overdue_user_id

    @api.depends_context("company", "uid", "tz")
    def _compute_is_visit_overdue(self):
        overdue = self.with_context(active_test=False).search(
            [("id", "in", self.ids), ("is_visit_overdue", "=", True)]
        )
        for partner in self:
            partner.is_visit_overdue = partner in overdue

    def _search_is_visit_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        # the rules of accounts apply: a rep sees the dates of own ones
        home = self.env.company._get_key_account_home()
        accounts = self.env["key.account"]._search(
            [("company_id", "=", home.id), ("is_overdue", "=", True)]
        )
        return is_among("commercial_partner_id", accounts, "partner_id")

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _refresh_key_account_dues(self, vals):
        """Refresh what is due at these customers, if ``vals`` moved it."""
        if DUE_FIELDS & vals.keys():
            partners = self.sudo()
            # those of contacts count where their account has none
            served = partners
            if "user_id" not in vals:
                served = partners.filtered("user_id")
            partners |= served.commercial_partner_id
            self.env["key.account.due"].sudo()._refresh_touched(partners.ids)
