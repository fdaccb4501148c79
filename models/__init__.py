from . import account
from . import tiering
from . import relationship
from . import planning
from . import visit
from . import portfolio
from . import plan
