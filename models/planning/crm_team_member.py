from odoo import api, fields, models

from ...const import SENIORITIES, SENIORITY_NUMBERS
from ..account import bounds
from ..account.key_account_shown import sorted_selections

# Whoever leads a team without being a member of it.
LEADER_SENIORITY = "senior"


class CrmTeamMember(models.Model):
    _inherit = "crm.team.member"

    seniority = fields.Selection(
        SENIORITIES,
        default="regular",
        groups="sales_team.group_sale_salesman",
        help="Tiers ask for a least seniority: new salespeople train at low-value "
        "accounts, key accounts want experienced ones.",
    )
    key_account_daily_capacity = bounds.Integer(
        string="Visits per Day",
        groups="sales_team.group_sale_salesman",
        bounds=(0, 100),
        help="Visits and calls that the salesperson can make on a full working day. "
        "0: as the company's settings say. Visits that are planned already stay where "
        "they are.",
    )
    key_account_calendar_id = fields.Many2one(
        "resource.calendar",
        string="Working Hours",
        compute="_compute_key_account_calendar_id",
        groups="sales_team.group_sale_salesman",
        help="The salesperson's, else the company's.",
    )

    @api.depends("user_id")
    @api.depends_context("company")
    def _compute_key_account_calendar_id(self):
        usual = self.env.company.resource_calendar_id
        for member in self:
            # sudo: as working hours are shown on users
            calendar = member.user_id.sudo().resource_calendar_id
            member.key_account_calendar_id = calendar or usual

    def _read_group_orderby(self, order, groupby_terms, query):
        """Seniorities come from the least on."""
        with sorted_selections(self, groupby_terms, {"seniority"}) as terms:
            return super()._read_group_orderby(order, terms, query)

    @api.model_create_multi
    def create(self, vals_list):
        members = super().create(vals_list)
        members.user_id._refresh_key_account_dues()
        return members

    def write(self, vals):
        if not self:
            return super().write(vals)
        users = self.user_id
        res = super().write(vals)
        if {"active", "crm_team_id", "user_id"} & vals.keys():
            (users | self.user_id)._refresh_key_account_dues()
        return res

    def unlink(self):
        if not self:
            return super().unlink()
        users = self.user_id
        res = super().unlink()
        users._refresh_key_account_dues()
        return res

    @api.model
    def _get_daily_capacities(self, users, company):
        """Return {user id: visits on a full working day in ``company``}; ``False`` for
        nobody. Who is a member of several teams has the largest capacity named there.
        """
        default = company.sudo().key_account_daily_capacity
        members = self.sudo().search(
            [
                ("user_id", "in", users.ids),
                ("key_account_daily_capacity", ">", 0),
                ("crm_team_id.company_id", "in", company._get_key_account_team_ids()),
            ]
        )
        own = {}
        for member in members:
            own[member.user_id.id] = max(
                own.get(member.user_id.id, 0), member.key_account_daily_capacity
            )
        return {user_id: own.get(user_id, default) for user_id in [*users.ids, False]}

    @api.model
    def _get_user_teams(self, company, users):
        """Return {user id: team}, for those who left also their former team."""
        members = (
            self.sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("user_id", "in", users.ids),
                    (
                        "crm_team_id.company_id",
                        "in",
                        company._get_key_account_team_ids(),
                    ),
                ],
                order="active, id desc",
            )
        )
        return {member.user_id.id: member.crm_team_id for member in members}

    @api.model
    def _get_seniorities(self, company):
        """Return ``{user id: seniority}`` of who is in a sales team of ``company``, or
        leads one. Of several seniorities the highest counts."""
        seniorities = {}
        teams = company._get_key_account_team_ids()
        for member in self.sudo().search([("crm_team_id.company_id", "in", teams)]):
            seniority = member.seniority or "regular"
            known = seniorities.get(member.user_id.id, seniority)
            seniorities[member.user_id.id] = max(
                seniority, known, key=SENIORITY_NUMBERS.get
            )
        for team in self.env["crm.team"].sudo().search([("company_id", "in", teams)]):
            if team.user_id:
                seniorities.setdefault(team.user_id.id, LEADER_SENIORITY)
        return seniorities
