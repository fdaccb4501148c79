from . import key_account_relationship_history
from . import key_account_relationship_status
