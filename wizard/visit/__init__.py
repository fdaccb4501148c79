from . import key_account_visit_cancel
from . import key_account_visit_substitute
