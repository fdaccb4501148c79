from . import account_move
from . import key_account_policy
from . import key_account_tier
from . import key_account_tier_change
from . import methods
from . import sale_order
from . import touched
