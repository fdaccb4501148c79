from . import key_account_tier_preview
from . import key_account_tier_set
from . import key_account_tier_undo
