"""Let a step wait until several records are written: they are right only together, or
it is enough to follow once. Kept with the cursor, where no client's context reaches."""

from contextlib import contextmanager


@contextmanager
def paused(env, step):
    """Within it, :func:`is_paused` says so.

    :param str step: the name of what waits
    """
    cache = env.cr.cache
    key = f"key_account_paused_{step}"
    before = cache.get(key, False)
    cache[key] = True
    try:
        yield
    finally:
        cache[key] = before


def is_paused(env, step):
    """Return whether the step waits in this transaction."""
    return env.cr.cache.get(f"key_account_paused_{step}", False)
