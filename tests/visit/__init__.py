from . import test_brief
from . import test_calendar_meeting
from . import test_figures
from . import test_night
from . import test_report
from . import test_settlement
from . import test_visits
from . import test_week_board
