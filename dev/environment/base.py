"""Where things lie, how commands are run, and how failures are told."""

import errno
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ADDON = "crm_key_account"
CHECKOUT = Path(__file__).resolve().parents[2]
DEV = CHECKOUT / "dev"
MARKER = ".crm_key_account_home"
# Every process we start carries this variable, so that we can find them again:
# its value is "HOME|TAG", the tag being our own process id or "postgres".
CHILD_VARIABLE = "KEY_ACCOUNT_CHILD"


class Failure(Exception):
    """Something the developer can act on: told in one sentence, no traceback."""


def _default_home():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, ADDON)


HOME = Path(os.path.abspath(os.environ.get("KEY_ACCOUNT_HOME") or _default_home()))
LOG = HOME / "log"
VENV = HOME / "venv"
BIN = HOME / "bin"
RUN = HOME / "run"
# A folder that holds nothing but a link called like the addon: Odoo's addons path
ADDONS = HOME / "addons"


# ---------------------------------------------------------------------------
# Messages
# ---------------------------------------------------------------------------
class Output:
    """Progress goes to stdout; `make shell` leaves that to its script."""

    stream = sys.stdout


def say(text):
    print(text, file=Output.stream, flush=True)


def step(text):
    say(f"==> {text}")


def progress_bar(done, total, state):
    """A bar on a terminal, a line every quarter elsewhere. `state` is kept by us."""
    share = min(done / total, 1) if total else 1
    numbers = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
    if Output.stream.isatty():
        filled = int(share * 40)
        bar = "#" * filled + "-" * (40 - filled)
        print(f"\r    [{bar}] {numbers}", end="", file=Output.stream, flush=True)
        if share == 1 and not state.get("closed"):
            state["closed"] = True
            print(file=Output.stream, flush=True)
    elif int(share * 4) > state.get("quarter", 0):
        state["quarter"] = int(share * 4)
        filled = int(share * 20)
        say(f"    [{'#' * filled}{'-' * (20 - filled)}] {numbers}")


# ---------------------------------------------------------------------------
# Our folder
# ---------------------------------------------------------------------------
def make_home():
    """Make KEY_ACCOUNT_HOME, or refuse a folder that somebody else filled."""
    if CHECKOUT == HOME or CHECKOUT in HOME.parents:
        raise Failure(
            f"KEY_ACCOUNT_HOME is {HOME}, inside the checkout: name a folder outside."
        )
    try:
        HOME.mkdir(parents=True, exist_ok=True)
        # Another command of ours may be making it at this moment: the marker comes
        # before all else in it, so it is looked for after anything else is seen
        if any(HOME.iterdir()) and not (HOME / MARKER).exists():
            raise Failure(
                f"{HOME} isn't empty and wasn't made by this project: "
                "name another folder with KEY_ACCOUNT_HOME."
            )
        (HOME / MARKER).touch()
        for folder in (LOG, BIN, RUN, HOME / "tmp"):
            folder.mkdir(exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise Failure(
            f"{error.filename} is no folder: name another one with KEY_ACCOUNT_HOME."
        ) from None
    except PermissionError as error:
        raise Failure(
            f"{error.filename or HOME} can't be written by this user: "
            "name another folder with KEY_ACCOUNT_HOME."
        ) from None


def link_addon():
    """Link the checkout as ADDONS/crm_key_account (pytest-odoo goes by that name)."""
    ADDONS.mkdir(exist_ok=True)
    link = ADDONS / ADDON
    if not (link.is_symlink() and os.readlink(link) == str(CHECKOUT)):
        new = ADDONS / f".new-{os.getpid()}"
        new.symlink_to(CHECKOUT)
        os.replace(new, link)


@contextmanager
def locked(name, waiting):
    """Hold an exclusive lock; say `waiting` if somebody else has it."""
    with open(RUN / name, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            step(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def stamp_of(*parts):
    """A short hash of what something was made from, to see when to make it anew.

    A path stands for the file's content.
    """
    text = "\0".join(
        part.read_text() if isinstance(part, Path) else str(part) for part in parts
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_made(folder, stamp):
    try:
        return (folder / ".made").read_text() == stamp
    except OSError:
        return False


@contextmanager
def made_aside(folder, stamp):
    """Give an empty folder to fill; only when that's done does it take its name."""
    aside = folder.with_name(f".new-{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    yield aside
    (aside / ".made").write_text(stamp)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


def elsewhere():
    """A folder outside HOME, for the two things that can't lie in every HOME.

    That is PostgreSQL's socket, whose path may have 107 characters only, and its
    programs when root's HOME is closed to the user that runs them.
    """
    digest = hashlib.sha256(str(HOME).encode()).hexdigest()[:12]
    return Path(f"/var/tmp/{ADDON}-{os.getuid()}-{digest}")


def make_elsewhere():
    folder = elsewhere()
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise Failure(f"{folder} belongs to somebody else: remove it.")
    folder.chmod(0o755)
    return folder


def need_space(megabytes, what):
    """Stop before a big step rather than in the middle of it."""
    free = shutil.disk_usage(HOME).free / 1e6
    if free < megabytes:
        raise Failure(
            f"The disk is too full for {what}: {HOME} has {free:.0f} MB free and needs "
            f"{megabytes}; free some or name a folder elsewhere with KEY_ACCOUNT_HOME."
        )


# ---------------------------------------------------------------------------
# Running commands
# ---------------------------------------------------------------------------
def environ(**more):
    """The environment of every command that we start."""
    values = dict(os.environ)
    # The project's folders decide, not what an activated venv or a user set
    for name in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "ODOO_RC", "MAKEFLAGS"):
        values.pop(name, None)
    values.update(
        {
            CHILD_VARIABLE: f"{HOME}|{os.getpid()}",
            "KEY_ACCOUNT_HOME": str(HOME),
            "KEY_ACCOUNT_CHECKOUT": str(CHECKOUT),
            "PATH": f"{VENV}/bin:{BIN}:{os.environ.get('PATH', os.defpath)}",
            # Nothing of ours in the checkout, no __pycache__ either
            "PYTHONPYCACHEPREFIX": str(HOME / "cache/pycache"),
            "RUFF_CACHE_DIR": str(HOME / "cache/ruff"),
            "PYLINTHOME": str(HOME / "cache/pylint"),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(HOME / "cache/hypothesis"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "TMPDIR": str(HOME / "tmp") if len(str(HOME)) < 60 else "/tmp",
        }
    )
    values.pop("PYTHONDONTWRITEBYTECODE", None)
    values.update({name: str(value) for name, value in more.items()})
    return values


NETWORK = re.compile(
    r"Temporary failure (in name resolution|resolving)|Could not resolve"
    r"|Name or service not known|Network is unreachable|ENOTFOUND|EAI_AGAIN"
    r"|ECONNREFUSED|ETIMEDOUT|NewConnectionError|Failed to establish a new connection"
    r"|Could not connect to|Connection refused|Connection timed out|Unable to connect"
)


def explain(what, log):
    """The one sentence for a command that failed, from what its log says."""
    try:
        text = log.read_text(errors="replace")[-20000:]
    except OSError:
        text = ""
    if "No space left on device" in text or "ENOSPC" in text:
        return (
            f"The disk is full ({what}): free some of {HOME}'s disk, or name a "
            "folder elsewhere with KEY_ACCOUNT_HOME, and run the same again."
        )
    if "No matching distribution found" in text:
        return (
            "The package index lacks a version that dev/requirements.txt pins: check "
            f"the network and this machine's pip settings; the log is {log}."
        )
    if NETWORK.search(text):
        return (
            f"No network ({what}): connect, or fix this machine's proxy or mirror "
            f"settings, and run the same again; the log is {log}."
        )
    return f"It failed while {what}: see the end of {log}."


def run(command, what, log, env=None, cwd=None, stdin=subprocess.DEVNULL):
    """Run a command into a log file, or fail with one sentence."""
    path = LOG / f"{log}.log"
    command = [str(part) for part in command]
    with open(path, "a") as file:
        file.write(f"\n$ {shlex.join(command)}\n")
        file.flush()
        try:
            code = subprocess.run(
                command,
                stdin=stdin,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=env or environ(),
                cwd=cwd or HOME,
            ).returncode
        except FileNotFoundError:
            raise Failure(f"This machine has no `{command[0]}`: install it.") from None
    if code:
        raise Failure(explain(what, path))


def new_log(name):
    """Empty a log before its step, so that a failure shows only what's of now."""
    path = LOG / f"{name}.log"
    path.write_text("")
    return path


def output(command, env=None, check=True):
    """What a short command prints; None when it fails and `check` is off."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=env or environ(),
            cwd=HOME,
        )
    except FileNotFoundError:
        if check:
            raise Failure(f"This machine has no `{command[0]}`: install it.") from None
        return None
    if done.returncode:
        if check:
            raise Failure(f"`{shlex.join(map(str, command))}`: {done.stderr.strip()}")
        return None
    return done.stdout


# ---------------------------------------------------------------------------
# Processes of ours
# ---------------------------------------------------------------------------
def our_processes(tag=None):
    """Ids of the processes that we started (with `tag`, or any), never our own."""
    for pid, found in _tagged_processes():
        if tag is None or found == str(tag):
            yield pid


def end_orphans():
    """End what a killed command (kill -9) left behind, PostgreSQL excepted."""
    for tag in {found for _pid, found in _tagged_processes() if found.isdigit()}:
        if not os.path.exists(f"/proc/{tag}"):
            end_processes(tag)


def _tagged_processes():
    """(process id, tag) of every process that carries CHILD_VARIABLE with our HOME."""
    ancestors, pid = set(), os.getpid()
    while pid > 1:
        ancestors.add(pid)
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])
    start = f"{CHILD_VARIABLE}={HOME}|"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in ancestors:
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for value in variables:
            if value.startswith(start.encode()):
                yield int(entry.name), value.decode()[len(start) :]


def end_processes(tag=None):
    """End what a command of ours left running (a browser, a server)."""
    for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 2)):
        pids = list(our_processes(tag))
        for pid in pids:
            try:
                os.kill(pid, number)
            except OSError:
                pass
        end = time.monotonic() + patience
        while pids and time.monotonic() < end:
            time.sleep(0.1)
            pids = list(our_processes(tag))
        if not pids:
            return


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
