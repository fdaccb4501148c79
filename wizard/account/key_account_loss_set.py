from odoo import fields, models
from odoo.exceptions import UserError

from ...models.account import bounds


class KeyAccountLossSet(models.TransientModel):
    """Note that an account left, why, and when to try to win it back."""

    _name = "key.account.loss.set"
    _inherit = "key.account.form"
    _description = "Mark Account Lost"

    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        ondelete="cascade",
    )
    reason_id = fields.Many2one(
        "key.account.churn.reason",
        required=True,
        ondelete="cascade",
    )
    date = bounds.Date(
        string="Lost On",
        required=True,
        default=fields.Date.context_today,
    )
    competitor_id = fields.Many2one(
        "res.partner",
        domain=[("is_company", "=", True)],
        ondelete="set null",
        help="Who has the business now, if known.",
    )
    note = bounds.Text()
    date_win_back = bounds.Date(
        string="Win Back On",
        is_plan=True,
        help="Plans a visit for this day. Leave empty to plan nothing more.",
    )

    def action_set(self):
        """Mark the account lost in this company: planned visits are closed, and the
        win-back visit is planned.

        :raise AccessError: if it is a colleague's, for those who see their own
            documents only
        :raise UserError: if the account is lost already, archived, or another company's
        """
        self.ensure_one()
        account = self.partner_id.commercial_partner_id
        (self.partner_id | account).check_access("read")
        account._check_own_account()
        self.competitor_id.check_access("read")
        self._check_can_be_lost(account)
        self.env["key.account.loss"].sudo().create(
            {
                "partner_id": account.id,
                "company_id": self.env.company._get_key_account_home().id,
                "reason_id": self.reason_id.id,
                "date": self.date,
                "competitor_id": self.competitor_id.id,
                "note": self.note,
                "date_win_back": self.date_win_back,
            }
        )
        return {"type": "ir.actions.act_window_close"}

    def _check_can_be_lost(self, account):
        company = self.env.company._get_key_account_home()
        if not account.active:
            raise UserError(
                self.env._(
                    "%s is archived: restore the customer first.", account.display_name
                )
            )
        keeper = account.sudo().company_id
        if keeper and keeper._get_key_account_home() != company:
            raise UserError(
                self.env._(
                    "%(customer)s is a customer of %(company)s: switch to that "
                    "company.",
                    customer=account.display_name,
                    company=keeper.name,
                )
            )
        # sudo: one that a colleague noted counts as well
        loss = (
            self.env["key.account.loss"]
            .sudo()
            .search(
                [
                    ("partner_id", "=", account.id),
                    ("company_id", "=", company.id),
                    ("state", "=", "lost"),
                ]
            )
        )
        if loss:
            raise UserError(
                self.env._("%s is lost already.", account.display_name),
            )
