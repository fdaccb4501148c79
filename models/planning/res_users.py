from odoo import models
from odoo.fields import Domain


class ResUsers(models.Model):
    _inherit = "res.users"

    def _filter_changed(self, vals, shared):
        """Return the users for whom ``vals`` changed what they are responsible for.

        :param shared: those who were portal users, who have no accounts
        """
        if {"active", "company_ids"} & vals.keys():
            return self
        if "group_ids" in vals:
            return self.filtered(lambda user: user.share != (user in shared))
        return self.browse()

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
