from . import crm_lead
from . import key_account_buying_role
from . import key_account_relationship_change
from . import key_account_relationship_criterion
from . import key_account_relationship_evidence
from . import key_account_tier_cell
from . import res_partner
from . import res_partner_buying_center
