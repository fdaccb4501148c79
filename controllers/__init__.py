from . import key_account_privacy
