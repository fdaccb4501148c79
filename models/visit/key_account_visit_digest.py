import logging
from datetime import timedelta

from odoo import api, fields, models

from ..account.attempts import CONFLICTS

_logger = logging.getLogger(__name__)


class KeyAccountVisit(models.Model):
    """The daily mail to each salesperson."""

    _inherit = "key.account.visit"

    @api.model
    def _cron_digest(self):
        """Send each rep one mail a day, in the morning of the rep's time zone, about
        today's visits and those that are left. Only to users, never to customers."""
        companies = self.env["res.company"].search([("key_account_digest", "=", True)])
        candidates = self._read_group(
            [
                ("state", "=", "planned"),
                ("company_id", "in", companies.ids),
                ("user_id", "!=", False),
                ("date_planned", "<=", fields.Date.today() + timedelta(days=1)),
            ],
            ["user_id"],
        )
        users = self.env["res.users"].union(*(user for (user,) in candidates))
        template = self.env.ref("crm_key_account.mail_template_visit_digest")
        notes = users._get_failed_digest_notes()
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(users))
        for user in users:
            try:
                with self.env.cr.savepoint():
                    if user._is_visit_digest_due():
                        user._send_visit_digest(template, companies)
                        # what an administrator has closed meanwhile is gone
                        notes[user].exists().unlink()
            except CONFLICTS as error:
                # the next hour's digest meets nobody, or is told of
                _logger.info("The visit digest of user %s waits: %s", user.id, error)
            except Exception as error:
                _logger.exception("The visit digest of user %s failed", user.id)
                user._tell_of_failed_digest(error, notes[user].exists())
            if not cron._commit_progress(1):
                return
