"""Make and use the developer environment: `python3 dev/env.py COMMAND`.

The Makefile calls this; see `make help`.
"""

import errno
import signal
import sys

if sys.version_info < (3, 8):  # noqa: UP036 - the message is for whoever has it
    sys.exit("Python 3.10 to 3.13 is needed.")

from environment import base
from environment.commands import COMMANDS


def _interrupted(number, _frame):
    # Once: what follows is the orderly end, which a second Ctrl-C shan't break off
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"Usage: {sys.argv[0]} {'|'.join(COMMANDS)}")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        return COMMANDS[sys.argv[1]](None) or 0
    except base.Failure as failure:
        print(f"\nStopped: {failure}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr, flush=True)
        return 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(
            f"\nStopped: the disk is full: free some of {base.HOME}'s disk, or name a "
            "folder elsewhere with KEY_ACCOUNT_HOME, and run the same again.",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
