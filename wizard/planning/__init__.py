from . import key_account_assignment
