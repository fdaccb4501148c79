from . import key_account_night
