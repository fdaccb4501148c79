from odoo import api, fields, models

from ...const import LOWEST_LEVEL, RELATIONSHIP_LEVELS


class CrmLead(models.Model):
    _inherit = "crm.lead"

    relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        compute="_compute_relationship_level",
        store=True,
        groups="sales_team.group_sale_salesman",
        help="Level of the customer. Without a customer: transactional.",
    )

    @api.depends(
        "partner_id.commercial_partner_id.key_account_ids.relationship_level",
        # and of which company it is, see _follow_company
        "company_id",
    )
    def _compute_relationship_level(self):
        for company, leads in self._group_by_key_account_company().items():
            told = leads._filter_told(company) if company else leads.browse()
            (leads - told).relationship_level = LOWEST_LEVEL
            partners = told.partner_id.sudo().with_company(company)
            # at once: customers that were made one by one don't know of each other
            partners.commercial_partner_id.mapped("relationship_level")
            for lead in told:
                account = lead.partner_id.sudo().with_company(company)
                lead.relationship_level = (
                    account.commercial_partner_id.relationship_level or LOWEST_LEVEL
                )
