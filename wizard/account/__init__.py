from . import base_partner_merge
from . import key_account_loss_set
