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


@contextmanager
def collected(env, step, do):
    """Within it, :func:`collect` takes what waits; in the end ``do`` is called once,
    with {id: what was said of it first}.

    :param str step: the name of what waits
    """
    key = f"key_account_collected_{step}"
    if key in env.cr.cache:  # the outer one does it
        yield
        return
    waiting = env.cr.cache[key] = {}
    try:
        yield
    finally:
        env.cr.cache.pop(key, None)
    if waiting:
        do(waiting)


def collect(env, step, values):
    """Let what follows wait.

    :param dict values: by id, what is to be known of it in the end
    :return: whether it waits; False: nobody collects
    """
    waiting = env.cr.cache.get(f"key_account_collected_{step}")
    if waiting is None:
        return False
    waiting.update({**values, **waiting})
    return True
