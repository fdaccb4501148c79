"""Do something to see what would come of it: everything is as if it were done, and
afterwards nothing is."""

from contextlib import contextmanager
from itertools import count

import psycopg2

from odoo.exceptions import UserError
from odoo.tools import mute_logger

# What is tried has no other trace: each trial, and each change within it, counts on,
# never to say again what another one was called.
_numbers = count(1)
KEY = "key_account_trial"
# For the key of what is cached of the configuration: what is read within a trial is
# kept apart, others in this process go on with what is in force
CACHE_KEY = f"self.env.cr.cache.get({KEY!r}, False)"
# Whoever tries something doesn't wait for a run: it may take minutes.
LOCK_TIMEOUT = "3s"


@contextmanager
def trial(env):
    """Within it, :func:`is_trial` says so; what is done is undone in the end.

    :raise UserError: if somebody else, such as a run, is writing the same accounts
    """
    try:
        with mute_logger("odoo.sql_db"), env.cr.savepoint() as savepoint:
            try:
                # ends with the savepoint
                env.cr.execute("SET LOCAL lock_timeout = %s", [LOCK_TIMEOUT])
                env.cr.cache[KEY] = next(_numbers)
                yield
            finally:
                env.cr.cache.pop(KEY, None)
                savepoint.rollback()
    except psycopg2.errors.LockNotAvailable as error:
        raise UserError(
            env._(
                "The accounts are being worked on at the moment, for example by a "
                "tiering run: try again in a minute."
            )
        ) from error
    finally:
        env.invalidate_all(flush=False)


def is_trial(env):
    """Return whether what is done in this transaction at the moment will be undone."""
    return KEY in env.cr.cache


def forget_configuration(env):
    """Forget what is cached of the configuration; within a trial for the trial alone:
    no other worker has to read everything anew for what won't have happened."""
    if is_trial(env):
        env.cr.cache[KEY] = next(_numbers)
    else:
        env.registry.clear_cache()
