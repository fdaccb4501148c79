from odoo import api, fields, models
from odoo.fields import Domain

# What moves a due date, or changes who is responsible
DUE_FIELDS = {
    "account_tier_id",
    "active",
    "company_id",
    "engagement_stage",
    "expected_revenue",
    "lost_reason_id",
    "order_ids",
    "partner_id",
    "probability",
    "relationship_level",
    "stage_id",
    "team_id",
    "type",
    "user_id",
    "won_status",
}


class CrmLead(models.Model):
    _inherit = "crm.lead"

    is_visit_overdue = fields.Boolean(
        compute="_compute_is_visit_overdue",
        search="_search_is_visit_overdue",
        groups="sales_team.group_sale_salesman",
        help="The due date of a visit to the customer, or to the lead while it has "
        "none, has passed.",
    )

    @api.depends_context("company", "uid", "tz")
    def _compute_is_visit_overdue(self):
        overdue = self.with_context(active_test=False).search(
            [("id", "in", self.ids), ("is_visit_overdue", "=", True)]
        )
        for lead in self:
            lead.is_visit_overdue = lead in overdue

    def _search_is_visit_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        alone = Domain.OR(
            Domain(
                "id",
                "in",
                self.env[model]
                ._search(
                    Domain("partner_id", "=", False)
                    & Domain("lead_id", "!=", False)
                    & Domain("is_overdue", "=", True)
                )
                .subselect("lead_id"),
            )
            for model in ("key.account.due", "key.account.visit")
        )
        accounts = self.env["key.account"]
        in_company = Domain.OR(
            Domain(
                "company_id",
                "in",
                [company.id, False] if company == self.env.company else [company.id],
            )
            & Domain(
                "partner_id.commercial_partner_id",
                "in",
                accounts._search(
                    [("company_id", "=", company.id), ("is_overdue", "=", True)]
                ).subselect("partner_id"),
            )
            for company in self.env.companies
        )
        return (Domain("partner_id", "=", False) & alone) | in_company

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _filter_due(self, vals):
        """Return the leads without a customer if ``vals`` moves what is due there."""
        if DUE_FIELDS & vals.keys():
            return self.filtered(lambda lead: not lead.partner_id)
        return self.browse()

    def _refresh_key_account_dues(self):
        """Refresh what is due at these leads."""
        self.env["key.account.due"].sudo()._refresh_touched([], self.ids)
