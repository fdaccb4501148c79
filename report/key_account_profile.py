from odoo import api, models


class KeyAccountProfileReport(models.AbstractModel):
    """The profile, printed from customers."""

    _name = "report.crm_key_account.key_account_profile"
    _description = "Account Profile of Customers"

    @api.model
    def _get_report_values(self, docids, data=None):
        return self._prepare_values(self.env["res.partner"].browse(docids))

    @api.model
    def _prepare_values(self, docs):
        """Return what the template shows of ``docs``, customers or accounts."""
        Profile = self.env["key.account.profile"]
        profiles = {}
        if docs._name == "res.partner":
            found = Profile._get_profiles(docs)
            profiles = {doc: found[doc.commercial_partner_id] for doc in docs}
        else:
            docs.check_access("read")
            for company, accounts in docs.grouped("company_id").items():
                partners = accounts.partner_id
                found = Profile.with_company(company)._get_profiles(partners)
                profiles |= {doc: found[doc.partner_id] for doc in accounts}
        return {
            "doc_ids": docs.ids,
            "doc_model": docs._name,
            "docs": docs,
            "profiles": [(doc, profiles[doc]) for doc in docs],
        }


class KeyAccountProfileAccountReport(models.AbstractModel):
    """The same, printed from accounts."""

    _name = "report.crm_key_account.key_account_profile_account"
    _inherit = "report.crm_key_account.key_account_profile"
    _description = "Account Profile of Accounts"

    @api.model
    def _get_report_values(self, docids, data=None):
        return self._prepare_values(self.env["key.account"].browse(docids))
