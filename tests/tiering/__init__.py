from . import test_books
from . import test_branches
from . import test_cdnow
from . import test_incremental
from . import test_scorecard
from . import test_tiering
from . import test_trade
from . import test_what_if
