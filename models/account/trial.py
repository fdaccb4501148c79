"""Do something to see what would come of it: everything is as if it were done, and
afterwards nothing is."""

from contextlib import contextmanager

import psycopg2

from odoo.exceptions import UserError
from odoo.tools import mute_logger

from .pause import is_paused, paused

TRIAL = "trial"
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
                with paused(env, TRIAL):
                    yield
            finally:
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
        # what was read of it meanwhile
        env.registry.clear_cache()


def is_trial(env):
    """Return whether what is done in this transaction at the moment will be undone."""
    return is_paused(env, TRIAL)
