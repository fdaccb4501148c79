from odoo import api, fields, models

from .prospects import Prospects


class CrmLead(models.Model):
    _inherit = "crm.lead"

    account_tier_id = fields.Many2one(
        "key.account.tier",
        compute="_compute_account_tier_id",
        store=True,
        index="btree_not_null",
        ondelete="restrict",
        groups="sales_team.group_sale_salesman",
        help="Tier of the customer. Without a customer a prospective one: that of an "
        "account with the revenue that the lead would bring in the policy's window, "
        "weighed by its probability: the deal once, recurring revenue by its monthly "
        "figure for each month. Where margin counts, at the accounts' average margin; "
        "where expected revenue counts, that of the lead as it is.",
    )
    # Not related: nobody searches or groups by it
    account_tier_color = fields.Integer(
        compute="_compute_account_tier_color",
        compute_sudo=True,
        aggregator=None,
        groups="sales_team.group_sale_salesman",
    )

    @api.depends("account_tier_id.color")
    def _compute_account_tier_color(self):
        for lead in self:
            lead.account_tier_color = lead.account_tier_id.color

    @api.depends(
        "partner_id.commercial_partner_id.key_account_ids.tier_id",
        # and of which company it is, see _follow_company
        "company_id",
        "expected_revenue",
        "prorated_revenue",
        "recurring_revenue_monthly_prorated",
    )
    def _compute_account_tier_id(self):
        policies = self.env["key.account.policy"].sudo()
        for company, leads in self._group_by_key_account_company().items():
            # of no company: no policy says which tier
            told = leads._filter_told(company) if company else leads.browse()
            (leads - told).account_tier_id = False
            leads = told
            partners = leads.partner_id.sudo().with_company(company)
            # at once: customers that were made one by one don't know of each other
            partners.commercial_partner_id.mapped("account_tier_id")
            for lead in leads.filtered("partner_id"):
                account = lead.partner_id.sudo().with_company(company)
                lead.account_tier_id = account.commercial_partner_id.account_tier_id
            prospects = leads.filtered(lambda lead: not lead.partner_id)
            policy = prospects and policies._get_for_company(company)
            if not policy:
                prospects.account_tier_id = False
                continue
            tiers = Prospects(policy, company)
            for lead in prospects:
                lead.account_tier_id = tiers.get_tier(lead)
