from odoo import api, models, tools

from ..account.trial import CACHE_KEY


class ResCompany(models.Model):
    """Branches: the company whose policy holds for them keeps their accounts, unless
    the policy says that branches are apart."""

    _inherit = "res.company"

    @api.model
    @tools.ormcache(CACHE_KEY)
    def _get_key_account_homes(self):
        homes = super()._get_key_account_homes()
        policies = self.env["key.account.policy"].sudo()._get_by_company()
        for company in self.sudo().search([("parent_id", "!=", False)]):
            policy = company._get_key_account_policy(policies)
            home = policy.company_id or company.root_id
            if policy and not policy.branches_apart and home != company:
                homes[company.id] = home.id
        return homes

    def _get_key_account_policy(self, policies):
        """Return the policy in force: the company's own, that of the nearest company
        above it, the shared one, or an empty recordset.

        :param dict policies: active policies by company
        """
        self.ensure_one()
        company = self.sudo()
        # from the root down to the company itself
        above = list(company.parent_ids)[::-1]
        for each in [*above, self.browse()]:
            if each in policies:
                return policies[each]
        return self.env["key.account.policy"]
