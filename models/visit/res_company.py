from odoo import fields, models

from ..account import bounds
from ..account.res_company import READERS


class ResCompany(models.Model):
    """Whether salespeople say when they are at a customer's."""

    _inherit = "res.company"

    key_account_check_in = fields.Boolean(
        groups=READERS,
        string="Check-In at the Customer",
        help="Salespeople note by one tap when they are at the door, and where, if "
        "their phone allows it.",
    )
    key_account_check_in_months = bounds.Integer(
        groups=READERS,
        string="Keep Check-Ins (months)",
        default=3,
        required=True,
        bounds=(1, 36),
        help="Check-ins are deleted after so many months.",
    )
    key_account_note_months = bounds.Integer(
        groups=READERS,
        string="Keep Visit Notes (months)",
        bounds=(0, 240),
        help="What was said, photographed and corrected at closed visits is deleted "
        "after so many months; 0: never. Days, people met, commitments, ratings and "
        "open complaints stay.",
    )
    key_account_judgement_months = bounds.Integer(
        groups=READERS,
        string="Keep Judgements of People (months)",
        bounds=(0, 240),
        help="The stance of a contact whom nobody met or changed for so many months is "
        "deleted, and the words of evidence that is older; 0: never.",
    )
