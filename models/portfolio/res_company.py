from odoo import models

from ..account import bounds
from ..account.res_company import READERS


class ResCompany(models.Model):
    """From where on something is a risk."""

    _inherit = "res.company"

    key_account_concentration_limit = bounds.Float(
        groups=READERS,
        string="Concentration From (%)",
        default=10.0,
        bounds=(1, 100),
        help="A corporate group with at least this share of the revenue is one that we "
        "depend on. IFRS 8 and ASC 280 have 10 % reported.",
    )
    key_account_silence_factor = bounds.Float(
        groups=READERS,
        string="Silent From (Intervals)",
        default=2.0,
        bounds=(1, 100),
        help="An account is silent when its last order is more than so many of its own "
        "usual intervals ago.",
    )
    key_account_discount_limit = bounds.Float(
        groups=READERS,
        string="High Discount From (%)",
        default=10.0,
        bounds=(0, 100),
        help="Together with a low margin, it is a concession that brings nothing.",
    )
    key_account_margin_limit = bounds.Float(
        groups=READERS,
        string="Low Margin Below (%)",
        default=20.0,
        bounds=(-100, 100),
        help="Together with a high discount, it is a concession that brings nothing.",
    )
