from odoo import fields, models


class KeyAccountChangeMixin(models.AbstractModel):
    """What changes of tiers and of levels share: why a customer is where it is, the
    queue of proposals and the history in one."""

    _name = "key.account.change.mixin"
    _inherit = "key.account.shown"
    _description = "Change of a Key Account"

    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    # A copy, so that the record rules need no join.
    partner_user_id = fields.Many2one(
        related="partner_id.user_id",
        string="Salesperson",
        store=True,
        index=True,
    )
    state = fields.Selection(
        [
            ("proposed", "Proposed"),
            ("applied", "Applied"),
            ("rejected", "Rejected"),
        ],
        required=True,
        readonly=True,
        default="proposed",
    )
    user_id = fields.Many2one("res.users", string="Decided By", readonly=True)
    date = fields.Date(readonly=True, required=True, default=fields.Date.context_today)
