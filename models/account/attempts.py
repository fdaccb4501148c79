"""Steps of a job, each in a transaction of its own.

Odoo reads as of the beginning of a transaction: whatever another one has changed since
can't be written, whatever a savepoint undoes. So the whole transaction goes, and the
step begins anew, as :func:`odoo.service.model.retrying` does it for requests.
"""

import logging
import math
import random
import time

import psycopg2

from odoo.exceptions import ConcurrencyError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import mute_logger

_logger = logging.getLogger(__name__)

CONFLICTS = (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, ConcurrencyError)
# How often a step is tried
TRIES = 8
# Longest wait before the second try and before any, in seconds
FIRST_WAIT, LONGEST_WAIT = 0.1, 3
# A job gives way to people: below the second after which PostgreSQL looks for
# deadlocks, and ends one of the two.
LOCK_TIMEOUT = "800ms"
# A job goes on for so long, in seconds, after Odoo would have it end: a start is
# costly. Workers are stopped after 120.
EXTRA_TIME = 50


class Attempts:
    """Does steps, commits each, and tries again those that met another transaction.

    :ivar int remaining: what the job still has to do, for its progress
    :ivar int repeated: how many times a step was tried again
    """

    def __init__(self, env):
        self.env = env
        self.remaining = 0
        self.repeated = 0
        self._end = env.context.get("cron_end_time", math.inf) + EXTRA_TIME

    @property
    def has_time(self):
        """Return whether there is time for another step in this call of the job."""
        return time.monotonic() < self._end

    def __call__(self, step, *args, **kwargs):
        """Do a step and commit it.

        :return: what it returns
        :raise: what it raises, after all that it did was rolled back
        """
        for number in range(1, TRIES + 1):
            try:
                self.env.cr.execute("SET LOCAL lock_timeout = %s", [LOCK_TIMEOUT])
                result = step(*args, **kwargs)
                self.commit()
                return result
            except CONFLICTS as error:
                self._roll_back()
                if number == TRIES:
                    raise
                self.repeated += 1
                _logger.info("Tried again, number %s: %s", number + 1, error)
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2**number)
                time.sleep(random.uniform(0, wait))
            except Exception:
                self._roll_back()
                raise

    def commit(self):
        """Commit, and tell Odoo's scheduler what is left. Where nothing is known to be
        left nothing was done: Odoo would call again at once."""
        done = min(1, self.remaining)
        self.env["ir.cron"]._commit_progress(done, remaining=self.remaining)

    def _roll_back(self):
        self.env.cr.rollback()
        self.env.transaction.reset()
        self.env.registry.reset_changes()


def do_each(items, step, env=None):
    """Do ``step`` with all items at once, and where that fails, find by halves those
    with which it does: one keeps no other one from it. They are named in the log.

    :param items: a recordset, or a list
    :param step: called with a part of the items; doesn't commit
    :param env: of a list
    :return: what the calls of ``step`` returned, a list
    :raise psycopg2.OperationalError: on a conflict: a new transaction is needed
    """
    if not items:
        return []
    env = env or items.env
    try:
        with mute_logger("odoo.sql_db"), env.cr.savepoint():
            return [step(items)]
    except (psycopg2.OperationalError, ConcurrencyError):
        raise
    except Exception as error:
        if len(items) == 1:
            _logger.warning("%s was left as it is: %s", items, error, exc_info=error)
            return []
    half = len(items) // 2
    return [
        *do_each(items[:half], step, env),
        *do_each(items[half:], step, env),
    ]
