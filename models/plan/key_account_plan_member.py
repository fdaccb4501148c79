from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..account import bounds


class KeyAccountPlanMember(models.Model):
    """A colleague who works for the account: whoever of them works in sales reads the
    plan and writes to it; a fitter or an engineer is named there all the same."""

    _name = "key.account.plan.member"
    _inherit = "key.account.plan.line"
    _description = "Team of an Account Plan"
    _order = "id"
    _rec_name = "user_id"

    user_id = fields.Many2one(
        "res.users",
        string="Colleague",
        required=True,
        index=True,
        ondelete="cascade",
        domain=[("share", "=", False)],
    )
    role = bounds.Char(help="What the colleague does for this account.")

    _plan_user_uniq = models.UniqueIndex(
        "(plan_id, user_id)",
        "A colleague is in the team already: give them one role.",
    )

    @api.constrains("user_id", "plan_id")
    def _check_user(self):
        for member in self:
            user = member.user_id.sudo()
            if user.share or member.plan_id.company_id not in user.company_ids:
                raise ValidationError(
                    self.env._(
                        "%(user)s doesn't work for %(company)s: choose another "
                        "colleague for the team.",
                        user=user.name,
                        company=member.plan_id.company_id.name,
                    )
                )

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    def write(self, vals):
        plans = self.plan_id
        res = super().write(vals)
        if {"plan_id", "user_id"} & vals.keys():
            plans._hand_over_objectives()
        return res

    def unlink(self):
        plans = self.plan_id
        res = super().unlink()
        plans._hand_over_objectives()
        return res
