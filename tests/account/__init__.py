from . import test_account
from . import test_engagement
from . import test_leaving
from . import test_migration_account
from . import test_outsiders
from . import test_list_names
