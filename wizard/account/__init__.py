from . import key_account_loss_set
from . import key_account_receiving_set
