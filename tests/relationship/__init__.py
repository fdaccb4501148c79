from . import test_buying_center
from . import test_relationship
from . import test_gaps
