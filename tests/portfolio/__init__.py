from . import test_complaint
from . import test_effort
from . import test_group
from . import test_portfolio
from . import test_risk
