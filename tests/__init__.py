from . import test_engine
from . import test_tiering
from . import test_visits
from . import test_concurrency
from . import test_rights
from . import test_cdnow
from . import test_stock_screens
from . import test_tours
