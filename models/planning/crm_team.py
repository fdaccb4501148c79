from odoo import models


class CrmTeam(models.Model):
    _inherit = "crm.team"

    def write(self, vals):
        res = super().write(vals)
        if self and {"active", "company_id", "user_id"} & vals.keys():
            self._refresh_key_account_dues()
        return res

    def unlink(self):
        if not self:
            return super().unlink()
        # members go along
        users = self.with_context(active_test=False).crm_team_member_all_ids.user_id
        dues = self._get_key_account_dues()
        res = super().unlink()
        dues._refresh_rows()
        users._refresh_key_account_dues()
        return res

    def _get_key_account_dues(self):
        dues = self.env["key.account.due"].sudo()
        return dues.search([("team_id", "in", self.ids)])

    def _refresh_key_account_dues(self):
        self._get_key_account_dues()._refresh_rows()
        # a team that comes back, or into another company, may take over again
        self.with_context(
            active_test=False
        ).crm_team_member_all_ids.user_id._refresh_key_account_dues()
