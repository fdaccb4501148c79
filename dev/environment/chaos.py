"""Chaos: nights, users and `kill -9` on one database, and what must hold afterwards.

Salespeople report, move, cancel and hand over visits through JSON-RPC, a few actions a
second each: first alone, then beside one night after the other, on a server without a
worker for jobs, so that what they wait for are locks. Then tiering and planning run at
the same time, by two processes. Then two servers, each with a worker for jobs, run the
nightly job over and over beside the users, and again and again one of the servers is
killed and started anew. In the end there is one quiet night, and the database is asked.

It all runs on this computer, on a database of its own: a copy of the one with the demo
data, with more customers.
"""

import http.client
import http.cookiejar
import json
import random
import re
import runpy
import signal
import statistics
import subprocess
import threading
import time
import urllib.request
from collections import defaultdict
from contextlib import contextmanager
from datetime import date, timedelta

from . import base, databases, postgres, python
from .base import HOME, Failure, say, step

DATABASE = "key_account_chaos"
USERS = ("kate", "matteo", "ingrid", "helen")
# A user thinks for so long between two actions, in seconds: 2 to 3 a second
PAUSE = (0.2, 0.6)
# A server lives for so long, in seconds
LIFE = (3, 7)
# The quiet night at the end, in seconds
QUIET = 120
# How long users work alone, in seconds
ALONE = 20
# Nights beside users, and tierings against plannings
RUNS = 20
# Nobody waits longer, in seconds, or than so many times of what is usual
LONGEST_WAIT, TIMES_USUAL = 2, 3
# Who waits for a lock, for how long, and for whom: asked all the time
WATCH = r'''
import json, signal, sys, time, psycopg2

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
host, port, user, database = sys.argv[1:]
connection = psycopg2.connect(host=host, port=port, user=user, dbname=database)
connection.autocommit = True
cursor = connection.cursor()
waits = {}
print("ready", flush=True)
try:
    while True:
        cursor.execute("""
            SELECT waits.pid, waits.waitstart::text,
                   EXTRACT(EPOCH FROM clock_timestamp() - waits.waitstart)::float8,
                   regexp_replace(left(who.query, 400), '\s+', ' ', 'g'),
                   regexp_replace(left(other.query, 400), '\s+', ' ', 'g'),
                   EXTRACT(EPOCH FROM clock_timestamp() - other.xact_start)::float8
              FROM pg_locks waits
              JOIN pg_stat_activity who
                ON who.pid = waits.pid AND who.datname = current_database()
              LEFT JOIN pg_stat_activity other
                     ON other.pid = (pg_blocking_pids(waits.pid))[1]
             WHERE NOT waits.granted AND waits.waitstart IS NOT NULL
        """)
        for pid, start, *rest in cursor.fetchall():
            waits[pid, start] = rest
        time.sleep(0.03)
finally:
    longest = sorted(waits.values(), key=lambda wait: -wait[0])[:8]
    print(json.dumps([len(waits), longest]))
'''
# What is run at the same time
CALLS = {
    "tiering": 'env["key.account.policy"]._cron_run()',
    "planning": 'env["key.account.visit"]._cron_generate()',
}
SEED = """
users = env["res.users"].search([("login", "in", ["kate", "matteo", "ingrid"])])
partners = env["res.partner"].create(
    [
        {"name": f"Chaos {n}", "is_company": True, "user_id": users[n % len(users)].id}
        for n in range(100)
    ]
)
partners.account_tier_id = env.ref("crm_key_account.tier_key")
env["crm.lead"].create(
    [
        {"name": f"Chaos {n}", "type": "lead", "user_id": users[n % len(users)].id}
        for n in range(60)
    ]
)
env.cr.commit()
"""
# What is wrong: queries that count it
INVARIANTS = runpy.run_path(base.CHECKOUT / "tests/invariants.py")["INVARIANTS"]


class Server:
    """An Odoo server with one worker for jobs, on a port of its own."""

    database = DATABASE

    def __init__(self, found, number, workers=1):
        self.workers = workers
        self.log = base.new_log(f"chaos_{number}")
        self.port = base.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.command = found.command
        self.options = ["--workers=0"]
        self.environ = found.environ()

    def start(self):
        with open(self.log, "a") as file:
            self.process = subprocess.Popen(
                [
                    *self.command,
                    f"--database={self.database}",
                    f"--db-filter=^{self.database}$",
                    "--http-interface=127.0.0.1",
                    f"--http-port={self.port}",
                    f"--max-cron-threads={self.workers}",
                    *self.options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self.environ,
                cwd=HOME,
                start_new_session=True,
            )

    def is_up(self):
        try:
            with urllib.request.urlopen(f"{self.url}/web/health", timeout=5):
                return True
        except OSError:
            return False

    def wait(self, seconds=90):
        end = time.monotonic() + seconds
        while not self.is_up():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failure(base.explain("starting Odoo", self.log))
            time.sleep(0.2)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class User(threading.Thread):
    """A salesperson who does something a few times a second."""

    def __init__(self, login, servers, ended):
        super().__init__(daemon=True)
        self.login = login
        self.servers = servers
        self.ended = ended
        self.opener = None
        self.url = None
        self.done = self.refused = self.broken = 0
        # seconds of each request, by what is asked; and of all actions
        self.calls, self.actions = defaultdict(list), []
        self.random = random.Random(login)

    def run(self):
        while not self.ended.is_set():
            begin = time.monotonic()
            try:
                if not self.opener:
                    self._log_in()
                self._act()
                self.done += 1
                self.actions.append(time.monotonic() - begin)
            except (OSError, http.client.HTTPException, ValueError):
                # the server was killed
                self.broken += 1
                self.opener = None
                time.sleep(0.3)
            except Failure:
                # somebody else was there before
                self.refused += 1
            time.sleep(self.random.uniform(*PAUSE))

    def _log_in(self):
        # the other one, if one was killed
        urls = [server.url for server in self.servers if server.url != self.url]
        self.url = self.random.choice(urls or [self.url])
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        )
        self._post(
            "/web/session/authenticate",
            {"db": DATABASE, "login": self.login, "password": self.login},
        )

    def _post(self, path, params):
        request = urllib.request.Request(
            self.url + path,
            json.dumps({"jsonrpc": "2.0", "params": params}).encode(),
            {"Content-Type": "application/json"},
        )
        with self.opener.open(request, timeout=60) as response:
            answer = json.load(response)
        if "error" in answer:
            raise Failure(answer["error"]["data"]["message"])
        return answer["result"]

    def _call(self, model, method, *args, **kwargs):
        begin = time.monotonic()
        try:
            return self._post(
                "/web/dataset/call_kw",
                {"model": model, "method": method, "args": args, "kwargs": kwargs},
            )
        finally:
            self.calls[f"{model}.{method}"].append(time.monotonic() - begin)

    def _find(self, model, domain, fields):
        rows = self._call(model, "search_read", domain, fields, limit=200)
        return self.random.choice(rows) if rows else None

    def _act(self):
        action = self.random.choice(
            [
                self._report,
                self._report,
                self._move,
                self._cancel,
                self._cancel_activity,
                self._hand_over,
                self._archive,
                self._assign_lead,
            ]
        )
        action()

    def _find_planned(self):
        return self._find(
            "key.account.visit",
            [("state", "=", "planned"), ("user_id.login", "=", self.login)],
            ["activity_id", "partner_id"],
        )

    def _report(self):
        if visit := self._find_planned():
            self._call("key.account.visit", "action_done", [visit["id"]], "Chaos")

    def _move(self):
        visit = self._find_planned()
        if visit and visit["activity_id"]:
            day = date.today() + timedelta(days=self.random.randint(1, 20))
            self._call(
                "mail.activity",
                "write",
                [visit["activity_id"][0]],
                {"date_deadline": day.isoformat()},
            )

    def _cancel(self):
        if visit := self._find_planned():
            self._call("key.account.visit", "action_cancel", [visit["id"]])

    def _cancel_activity(self):
        visit = self._find_planned()
        if visit and visit["activity_id"]:
            self._call("mail.activity", "unlink", [visit["activity_id"][0]])

    def _hand_over(self):
        users = self._find("res.users", [("login", "in", USERS[:3])], ["id"])
        partner = self._find("res.partner", [("name", "like", "Chaos ")], ["id"])
        if users and partner:
            self._call(
                "res.partner", "write", [partner["id"]], {"user_id": users["id"]}
            )

    def _archive(self):
        domain = [("name", "like", "Chaos "), ("active", "in", [True, False])]
        if partner := self._find("res.partner", domain, ["active"]):
            self._call(
                "res.partner",
                "write",
                [partner["id"]],
                {"active": not partner["active"]},
            )

    def _assign_lead(self):
        user = self._find("res.users", [("login", "in", USERS[:3])], ["id"])
        lead = self._find("crm.lead", [("name", "like", "Chaos ")], ["id"])
        if user and lead:
            self._call("crm.lead", "write", [lead["id"]], {"user_id": user["id"]})


def make_chaos(found, kills):
    """Make chaos.

    :param int kills: how many servers are killed
    :return: 1 if something is lost or wrong afterwards, else 0
    """
    with base.locked("databases", "Waiting for another command that makes databases"):
        _make_database(found)
    lost = _be_beside_users(found) + _run_against(found)
    servers = [Server(found, number) for number in (1, 2)]
    killed = 0
    with _users(servers) as users:
        step(f"Killing {kills} servers")
        while killed < kills:
            end = time.monotonic() + random.uniform(*LIFE)
            while time.monotonic() < end:
                _call_job()
                time.sleep(0.5)
            server = servers[killed % 2]
            server.kill()
            killed += 1
            server.start()
            server.wait()
        step("A quiet night")
        _stop(users)
        # what is in two minds is healed by a whole night that nobody disturbs
        for _ in range(2):
            _call_job()
            _wait_for_night()
    return _report(servers, users, killed) or min(lost, 1)


@contextmanager
def _users(servers):
    """Four users of these servers, all of them stopped in the end."""
    ended = threading.Event()
    users = [User(login, servers, ended) for login in USERS]
    step(f"Starting {len(servers)} servers and {len(users)} users")
    try:
        for server in servers:
            server.start()
            server.wait()
        for user in users:
            user.start()
        yield users
    finally:
        ended.set()
        for server in servers:
            server.stop()


def _stop(users):
    users[0].ended.set()
    for user in users:
        user.join(60)


@contextmanager
def _watching():
    """Watch who waits for locks; gives a list that is filled in the end with the number
    of waits, and the longest ones: seconds, who waits, for whom, and how old the
    transaction is that holds."""
    to = postgres.settings()
    found = []
    with subprocess.Popen(
        [python.PYTHON, "-I", "-c", WATCH]
        + [to["host"], to["port"], to["user"], DATABASE],
        stdout=subprocess.PIPE,
        text=True,
        env=base.environ(),
    ) as process:
        process.stdout.readline()
        try:
            yield found
        finally:
            process.terminate()
            found[:] = json.loads(process.stdout.read())


def _be_beside_users(found):
    """Nights beside four users whom nobody disturbs otherwise.

    :return: how many nights were lost
    """
    jobs, web = Server(found, "jobs"), Server(found, "web", workers=0)
    jobs.start()
    lost = 0
    try:
        jobs.wait()
        with _users([web]) as users:
            time.sleep(3)  # the first requests fill caches
            _take_times(users)
            time.sleep(ALONE)
            alone = _take_times(users)
            step(f"{RUNS} nights beside four users")
            with _watching() as waits:
                for _ in range(RUNS):
                    _call_job()
                    _wait_for_night()
                    lost += int(
                        postgres.sql(
                            INVARIANTS["companies whose night isn't done"], DATABASE
                        )
                    )
                beside = _take_times(users)
            actions = sum(user.done for user in users)
            _stop(users)
    finally:
        jobs.stop()
    text = jobs.log.read_text(errors="replace")
    again = len(re.findall("Tried again, number", text))
    say(f"    {RUNS} nights beside {actions} actions: {lost} lost, {again} steps again")
    _say_times(alone, beside)
    _say_waits(waits)
    return lost


def _take_times(users):
    """Return the seconds of each request since the last time, by what was asked."""
    times = defaultdict(list)
    for user in users:
        calls, user.calls = user.calls, defaultdict(list)
        for name, seconds in calls.items():
            times[name] += seconds
    return times


def _say_times(alone, beside):
    for name, seconds in sorted(beside.items()):
        usual = statistics.median(alone.get(name) or seconds)
        limit = max(LONGEST_WAIT, TIMES_USUAL * usual)
        late = sum(each > limit for each in seconds)
        say(
            f"    {name}: {len(seconds)} times, usually {usual:.2f} s alone "
            f"(longest {max(alone.get(name) or [0]):.2f}), beside nights "
            f"{statistics.median(seconds):.2f}, longest {max(seconds):.2f}; "
            f"{late} over {limit:.1f} s"
        )


def _say_waits(waits):
    count, longest = waits
    say(f"    {count} waits for locks, the longest ones:")
    for seconds, query, other, age in longest:
        say(
            f"    {seconds:.2f} s: {query[:100]}\n"
            f"        for ({age or 0:.1f} s old) {(other or '?')[:160]}"
        )


def _run_against(found):
    """Tiering and planning at the same time, by two processes, over and over.

    :return: how many runs were lost
    """
    step(f"{RUNS} runs of tiering against planning")
    logs, processes = [], []
    for name, call in CALLS.items():
        logs.append(base.new_log(f"chaos_{name}"))
        with open(logs[-1], "a") as file:
            process = subprocess.Popen(
                [*found.command, "shell", "-d", DATABASE, "--no-http"],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                env=found.environ(),
                cwd=HOME,
            )
        process.stdin.write(f"for _ in range({RUNS}):\n    {call}\n\n")
        process.stdin.close()
        processes.append(process)
    codes = [process.wait() for process in processes]
    text = "".join(log.read_text(errors="replace") for log in logs)
    done = re.findall(r"Night of \d+ companies: (\d+) left, (\d+) steps", text)
    lost = sum(left != "0" for left, _ in done) + 2 * RUNS - len(done)
    again = sum(int(steps) for _, steps in done)
    say(
        f"    {len(done)} of {2 * RUNS} came to their end: {lost} lost, "
        f"{again} steps again{', ended badly' if any(codes) else ''}"
    )
    return lost


def _make_database(found):
    step(f"Making the database {DATABASE}")
    databases.make(found, databases.DEMO)
    databases.copy(databases.DEMO, DATABASE)
    databases.run_odoo(found, DATABASE, [], "adding customers", "chaos_seed", SEED)
    # this job alone
    postgres.sql(
        "UPDATE ir_cron SET active = id IN (SELECT res_id FROM ir_model_data WHERE "
        "module = 'crm_key_account' AND name = 'ir_cron_tiering')",
        DATABASE,
    )


def _call_job():
    postgres.sql(
        "INSERT INTO ir_cron_trigger (cron_id, call_at) SELECT res_id, "
        "date_trunc('second', NOW() AT TIME ZONE 'UTC') FROM ir_model_data WHERE "
        "module = 'crm_key_account' AND name = 'ir_cron_tiering'",
        DATABASE,
    )
    postgres.sql(f"SELECT pg_notify('cron_trigger', '{DATABASE}')")


def _wait_for_night():
    """Wait until nobody calls the job and it doesn't run."""
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        time.sleep(1)
        waiting, running = postgres.sql(
            """
            SELECT (SELECT COUNT(*) FROM ir_cron_trigger call
                      JOIN ir_cron job ON job.id = call.cron_id AND job.active
                     WHERE call_at <= NOW() AT TIME ZONE 'UTC'),
                   (SELECT COUNT(*) FROM ir_cron WHERE active)
                   - (SELECT COUNT(*) FROM (
                        SELECT FROM ir_cron WHERE active
                           FOR NO KEY UPDATE SKIP LOCKED) AS free)
            """,
            DATABASE,
        ).split("\t")
        if waiting == running == "0":
            return
        postgres.sql(f"SELECT pg_notify('cron_trigger', '{DATABASE}')")
    say("    The night took too long.")


def _report(servers, users, killed):
    text = "".join(server.log.read_text(errors="replace") for server in servers)
    nights = re.findall(r"Night of \d+ companies: (\d+) left, (\d+) steps", text)
    lost = re.findall(r"of company \d+ (?:met others too often|failed)", text)
    requests = len(re.findall("tries left, try again", text))
    say(f"    kills: {killed}")
    say(f"    nights that came to their end: {len(nights)}")
    again = len(re.findall("Tried again, number", text))
    say(f"    steps of nights tried again: {again}")
    say(f"    requests tried again: {requests}")
    say(f"    companies that a night passed over, and came back to: {len(lost)}")
    say(
        "    users: "
        f"{sum(user.done for user in users)} actions, "
        f"{sum(user.refused for user in users)} refused, "
        f"{sum(user.broken for user in users)} on a server that was killed, "
        "the slowest took "
        f"{max(time for user in users for time in user.actions):.1f} s"
    )
    wrong = 0
    for name, query in INVARIANTS.items():
        count = int(postgres.sql(query, DATABASE))
        wrong += count
        say(f"    {'ok    ' if not count else 'WRONG '} {count} {name}")
    losses = int(postgres.sql(INVARIANTS["companies whose night isn't done"], DATABASE))
    say(f"    losses: {losses}, wrong: {wrong}")
    return 1 if wrong else 0
