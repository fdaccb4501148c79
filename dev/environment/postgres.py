"""A PostgreSQL cluster of our own, or the server that PGHOST names."""

import fcntl
import getpass
import os
import pwd
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from . import apt, base, python
from .base import HOME, RUN, Failure, environ, step

CLUSTER = HOME / "postgres"
USER = "odoo"
SETTINGS = """
# A throw-away cluster: fast, and no promise to survive a power cut
fsync = off
synchronous_commit = off
full_page_writes = off
# Only by the socket, whose folder only this user may enter
listen_addresses = ''
unix_socket_permissions = 0777
max_connections = 100
shared_buffers = 512MB
work_mem = 16MB
maintenance_work_mem = 128MB
max_wal_size = 2GB
random_page_cost = 1.1
log_min_messages = warning
"""


def settings():
    """How to reach the server, for Odoo's configuration and for `sql`."""
    if os.environ.get("PGHOST"):
        return {
            "host": os.environ["PGHOST"],
            "port": os.environ.get("PGPORT") or "5432",
            "user": os.environ.get("PGUSER") or getpass.getuser(),
        }
    return {"host": str(socket_folder()), "port": "5432", "user": USER}


def socket_folder():
    """A socket's path may have 107 characters: a long HOME needs another place."""
    folder = CLUSTER / "socket"
    return folder if len(str(folder)) < 90 else base.elsewhere() / "socket"


def programs_folder():
    """Where PostgreSQL's programs are unpacked, if the machine has none.

    They ask with access(2) whether they may be run, which root's capabilities don't
    help: as root, each folder on the way must be open to the user that runs them.
    """
    closed = any(not folder.stat().st_mode & 1 for folder in [HOME, *HOME.parents])
    if os.getuid() == 0 and closed:
        return base.elsewhere() / "postgres_programs"
    return HOME / "postgres_programs"


SQL = """
import os, sys, psycopg2
host, port, user, database, statement = sys.argv[1:]
connection = psycopg2.connect(
    host=host, port=port, user=user, dbname=database, connect_timeout=10)
connection.autocommit = True
cursor = connection.cursor()
cursor.execute(statement)
for row in cursor.fetchall() if cursor.description else ():
    print(*row, sep="\\t")
"""


def sql(statement, database="postgres", check=True):
    """Run a statement by the venv's psycopg2: no client program is needed."""
    to = settings()
    done = subprocess.run(
        [python.PYTHON, "-I", "-c", SQL, to["host"], to["port"], to["user"]]
        + [database, statement],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environ(),
    )
    if done.returncode:
        if not check:
            return None
        message = done.stderr.strip().splitlines()[-1]
        if "No space left" in done.stderr:
            message += "; free some disk space and run the same again"
        if os.environ.get("PGHOST"):
            message += "; see PGHOST, PGPORT, PGUSER and PGPASSWORD"
        raise Failure(f"PostgreSQL: {message.partition(': ')[2] or message}")
    return done.stdout.strip()


@contextmanager
def server():
    """Have a server for as long as this lasts; the last user stops a private one."""
    if os.environ.get("PGHOST"):
        _check_named_server()
        yield
        return
    with open(RUN / "postgres.users", "a") as users:
        # Shared by all commands that use the cluster. The one that stops it holds
        # the lock alone meanwhile, so that nobody takes a server about to end.
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            with base.locked("postgres.start", "Waiting for PostgreSQL to start"):
                cluster = Cluster()
                cluster.make()
                cluster.start()
            yield
        finally:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # somebody else still uses it, and will stop it
            else:
                stop()


def stop():
    if (CLUSTER / "data/postmaster.pid").exists():
        Cluster().stop()


def _check_named_server():
    to = settings()
    if to["user"] == "postgres":
        raise Failure(
            "Odoo refuses the database user postgres: name another one that may "
            "create databases with PGUSER."
        )
    may = sql(
        "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user",
        database=os.environ.get("PGDATABASE") or "postgres",
    )
    if may != "True":
        raise Failure(
            f"The user {to['user']} of PGHOST={to['host']} can't create databases: "
            "give it CREATEDB, or name another one with PGUSER."
        )


def find_programs():
    """The folder of initdb and postgres: the machine's newest, or unpacked here."""
    found = shutil.which("initdb")
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: [int(n) for n in re.findall(r"\d+", folder.parent.name)],
    )
    if found:
        folders.append(Path(os.path.realpath(found)).parent)
    made = sorted(programs_folder().glob("usr/lib/postgresql/*/bin"))
    for folder in [*reversed(folders), *made]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    hint = "install PostgreSQL, or name a server with PGHOST=…"
    apt.need_apt(hint + ".")
    step("Fetching PostgreSQL (this machine has none)")
    own = apt.machine()
    packages = own.needed(["postgresql"])
    if not packages:
        raise Failure(f"This machine's apt has no package postgresql: {hint}.")
    target = programs_folder()
    if HOME not in target.parents:
        base.make_elsewhere()
    with base.made_aside(target, "postgres") as folder:
        own.unpack(packages, folder, f"apt can't fetch PostgreSQL: {hint}.")
    return next(target.glob("usr/lib/postgresql/*/bin"))


class Cluster:
    """Our private cluster in CLUSTER/data."""

    def __init__(self):
        self.data = CLUSTER / "data"
        self.programs = find_programs()
        self.log = CLUSTER / "postgres.log"
        self.prefix = []
        self.owner = None
        if os.getuid() == 0:
            self.owner = _server_user()

    # -- who runs it ---------------------------------------------------------
    def _as_owner(self):
        """PostgreSQL refuses root: as root, run it as another user."""
        if not self.owner:
            return []
        if not self.prefix:
            ids = [f"--reuid={self.owner.pw_uid}", f"--regid={self.owner.pw_gid}"]
            plain = ["setpriv", *ids, "--clear-groups"]
            # Our folder may lie in one that only root may enter (/root): the
            # capability lets the server pass, without changing anybody's folder.
            capable = [
                "setpriv",
                *ids,
                "--clear-groups",
                "--inh-caps=+dac_override",
                "--ambient-caps=+dac_override",
            ]
            for prefix in (plain, capable):
                # Really write: `test -w` asks without the capability
                probe = [*prefix, "touch", str(CLUSTER / ".probe")]
                if base.output(probe, check=False) is not None:
                    self.prefix = prefix
                    break
            else:
                raise Failure(
                    f"PostgreSQL doesn't run as root, and the user "
                    f"{self.owner.pw_name} can't enter {HOME}: name a folder that "
                    f"it can with KEY_ACCOUNT_HOME, as /var/tmp/{base.ADDON}."
                )
        return self.prefix

    def _environ(self):
        """Libraries too, if the programs were unpacked here."""
        values = environ(**{base.CHILD_VARIABLE: f"{HOME}|postgres"})
        for name in [name for name in values if name.startswith("PG")]:
            del values[name]
        values["TMPDIR"] = "/tmp"
        values["LC_ALL"] = "C.UTF-8"
        if programs_folder() in self.programs.parents:
            libraries = programs_folder().glob("usr/lib/*-linux-gnu*")
            values["LD_LIBRARY_PATH"] = ":".join(map(str, libraries))
        return values

    def _own(self, folder, mode=0o700):
        folder.mkdir(parents=True, exist_ok=True, mode=mode)
        if self.owner:
            os.chown(folder, self.owner.pw_uid, self.owner.pw_gid)
        os.chmod(folder, mode)

    # -- life ----------------------------------------------------------------
    def make(self):
        self._own(CLUSTER, 0o755)
        folder = socket_folder()
        if HOME not in folder.parents:
            base.make_elsewhere()
        self._own(folder)
        if (self.data / "made").exists():
            made = (self.data / "PG_VERSION").read_text().strip()
            version = base.output(
                [self.programs / "postgres", "--version"], env=self._environ()
            )
            if not re.search(rf"\s{made}\b", version):
                raise Failure(
                    f"The databases were made by PostgreSQL {made}, and this machine "
                    f"now has {version.split()[-1]}: `make clean` removes them."
                )
            return
        step("Making a private PostgreSQL cluster")
        base.new_log("initdb")
        shutil.rmtree(self.data, ignore_errors=True)
        base.run(
            [*self._as_owner(), self.programs / "initdb", "-D", self.data, "-U", USER]
            + ["--auth=trust", "--encoding=UTF8", "--no-sync"]
            + ["--lc-collate=C", "--lc-ctype=C.UTF-8"],
            "making a PostgreSQL cluster",
            "initdb",
            env=self._environ(),
            cwd="/",
        )
        with open(self.data / "postgresql.conf", "a") as file:
            file.write(SETTINGS)
        (self.data / "made").touch()

    def _process(self):
        """The id of the running server, or None; a stale pid file is removed."""
        file = self.data / "postmaster.pid"
        try:
            pid = int(file.read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            command = b""
        if str(self.data).encode() in command:
            return pid
        # Left by a crash; its number may be another process's by now
        file.unlink()
        return None

    def start(self):
        if not self._process():
            # Made by a former start that was killed
            for left in socket_folder().glob(".s.PGSQL.*"):
                left.unlink()
            with open(self.log, "a") as log:
                # A session of its own: Ctrl-C is for the command in front
                subprocess.Popen(
                    [*self._as_owner(), str(self.programs / "postgres")]
                    + ["-D", str(self.data), "-k", str(socket_folder())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=self._environ(),
                    start_new_session=True,
                )
        end = time.monotonic() + 60
        while sql("SELECT 1", check=False) != "1":
            if time.monotonic() > end or not self._alive():
                raise Failure(base.explain("starting PostgreSQL", self.log))
            time.sleep(0.2)

    def _alive(self):
        return any(True for _ in base.our_processes("postgres"))

    def stop(self):
        pid = self._process()
        if not pid:
            return
        base.output(
            [*self._as_owner(), self.programs / "pg_ctl", "-D", self.data]
            + ["-m", "fast", "-w", "-t", "60", "stop"],
            env=self._environ(),
            check=False,
        )


def _server_user():
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Failure("PostgreSQL doesn't run as root: add a user called postgres.")
