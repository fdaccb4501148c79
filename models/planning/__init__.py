from . import crm_team_member
from . import key_account_cadence
from . import key_account_due
from . import key_account_due_events
from . import key_account_target
