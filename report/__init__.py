from . import key_account_proposal
from . import key_account_relationship_history
from . import key_account_relationship_status
from . import key_account_visit_figures
from . import key_account_profile
from . import key_account_gap
