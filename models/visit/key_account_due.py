from odoo import api, models
from odoo.exceptions import UserError

from ..account import bounds


class KeyAccountDue(models.Model):
    _inherit = "key.account.due"

    def action_plan(self, date, user_id):
        """Plan what waits for a day on one, as a person's decision.

        :param date: the day, ``YYYY-MM-DD``
        :param int user_id: the salesperson; ``False`` for nobody
        :return: the id of the visit
        :raise UserError: if the day has passed, or the visit isn't due any more
        :raise AccessError: if the user may not plan visits to this customer
        """
        self.ensure_one()
        # Another one may have planned it, or the reason is gone.
        if not self.exists():
            raise UserError(self._get_gone_text())
        self.check_access("read")
        visits = self.env["key.account.visit"]
        visits.check_access("create")
        board = self.env["key.account.week.board"]
        day = bounds.to_day(self.env, date)
        user = bounds.to_record(self.env["res.users"], user_id)
        board._check_day(day, user, self.company_id)
        board._check_works_in_sales(user)
        row = self.sudo()
        row._refresh_touched(row.partner_id.ids, row.lead_id.ids, row.company_id)
        if not row.exists() or row.visit_id:
            raise UserError(self._get_gone_text())
        # sudo: planning fills in what no client may write
        visit = (
            visits.sudo()
            .with_company(row.company_id)
            .create(row._prepare_visit_values(day, user))
        )
        visit.with_user(self.env.user).with_context(
            allowed_company_ids=self.env.companies.ids
        ).check_access("write")
        return visit.id

    @api.model
    def _get_gone_text(self):
        return self.env._(
            "This visit is planned already, or not due any more: refresh the page."
        )
