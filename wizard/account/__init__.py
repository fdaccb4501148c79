from . import key_account_loss_set
