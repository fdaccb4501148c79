from odoo import api, models
from odoo.fields import Domain

# What decides in which companies a user works in sales
SALES_FIELDS = {"active", "company_ids", "group_ids"}


class ResUsers(models.Model):
    """Who works in sales: only they may read visits, and so be responsible for some."""

    _inherit = "res.users"

    @api.model
    def _get_sales_groups(self):
        """Return the groups that may read visits."""
        # not ref: it would ask the database whether the group exists
        group_id = self.env["ir.model.data"]._xmlid_to_res_id(
            "sales_team.group_sale_salesman"
        )
        return self.env["res.groups"].sudo().browse(group_id).all_implied_by_ids

    @api.model
    def _search_in_sales(self, domain=Domain.TRUE):
        """Return the users who work in sales: who are there, internal, and may read
        visits."""
        domain &= Domain("active", "=", True) & Domain("share", "=", False)
        domain &= Domain("group_ids", "in", self._get_sales_groups().ids)
        return self.sudo().search(domain).with_env(self.env)

    def _get_sales_companies(self):
        """Return {user: companies in whose sales the user works}. Two queries."""
        in_sales = self._search_in_sales(Domain("id", "in", self.ids))
        nowhere = self.env["res.company"]
        return {
            user: user.sudo().company_ids if user in in_sales else nowhere
            for user in self
        }

    def _refresh_key_account_dues(self, sponsors=False):
        """Refresh what the users are, or may become, responsible for.

        :param sponsors: also all executive visits
        """
        if not self:
            return
        domain = Domain("user_id", "in", self.ids)
        domain |= Domain("account_user_id", "in", self.ids)
        domain |= Domain("team_id.user_id", "in", self.ids)
        if sponsors:
            domain |= Domain("track", "=", "executive")
        self.env["key.account.due"].sudo().search(domain)._refresh_rows()
