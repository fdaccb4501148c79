from . import key_account
from . import key_account_effort_suggestion
from . import key_account_period
from . import portfolio
from . import res_company
from . import res_config_settings
from . import res_partner
from . import risk
