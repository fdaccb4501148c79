from . import base_partner_merge
from . import key_account_assignment
from . import key_account_relationship_decide
from . import key_account_relationship_set
from . import key_account_loss_set
from . import key_account_tier_preview
from . import key_account_tier_set
from . import key_account_visit_cancel
