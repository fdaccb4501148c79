from odoo import fields, models
from odoo.exceptions import AccessError


class DigestDigest(models.Model):
    _inherit = "digest.digest"

    kpi_key_account_visits = fields.Boolean(string="Customer Visits")
    kpi_key_account_visits_value = fields.Integer(
        compute="_compute_kpi_key_account_visits_value"
    )

    def _compute_kpi_key_account_visits_value(self):
        # The digest leaves out what its reader may not see.
        if not self.env.user.has_group("sales_team.group_sale_salesman"):
            raise AccessError(self.env._("Customer visits are for sales only."))
        self._calculate_company_based_kpi(
            "key.account.visit",
            "kpi_key_account_visits_value",
            date_field="date_done",
            additional_domain=[("state", "=", "done")],
        )

    def _compute_kpis_actions(self, company, user):
        actions = super()._compute_kpis_actions(company, user)
        menu = self.env.ref("crm.crm_menu_root")
        actions["kpi_key_account_visits"] = (
            f"crm_key_account.key_account_visit_figures_action?menu_id={menu.id}"
        )
        return actions
