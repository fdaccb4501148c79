from . import key_account_relationship_decide
from . import key_account_relationship_set
