"""Chaos for the queue: the night as jobs of OCA's queue_job on two servers with two
workers each, which are killed, against the same night by Odoo's cron alone.

A book of twenty companies, or of as many as are named, is made once. On one copy Odoo's
cron does the night, on another the queue, undisturbed: both are timed, and must come to
the same. Then, on a new copy for each night, until there were so many kills: the work
is queued twice, jobs are copied as no identity would allow it, one company's tiering
fails until somebody mends it, and again and again the process of a job that runs, or a
whole server, is killed with ``kill -9``. After each of these nights the database is
asked what `make chaos` asks, and must say the same as the one of cron.
"""

import os
import random
import re
import selectors
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections import Counter
from datetime import date

from . import base, companions, databases, postgres, python
from .base import HOME, Failure, say, step
from .chaos import INVARIANTS, Server

FOLDER = companions.FOLDER / "crm_key_account_queue"
BOOK = "key_account_queue_book"
CRON = "key_account_queue_cron"
QUEUE = "key_account_queue"
# Companies, salespeople in each beside its sponsor, customers of each of them
SHAPE = (20, 2, 15)
# Of the kills these are whole servers
WHOLE = 0.15
# Jobs that are copied each night, about
COPIES = 20
# Seconds: a job's process lives at most so long, a night takes at most so long
LIFE, NIGHT = 0.6, 1500
LIVE = "('wait_dependencies', 'pending', 'enqueued', 'started')"
SEED = """
from unittest.mock import patch
from odoo import Command, fields

env["key.account.policy"].search([]).revenue_basis = "ordered"
# salespeople of two companies are planned for the one that comes first, and the queue
# does them in any order
companies = env["res.company"].search([])
companies.filtered(lambda company: company != env.company).key_account_planning = False
product = env["product.product"].create({"name": "Chaos", "type": "service"})
key = env.ref("crm_key_account.tier_key")
group = env.ref("sales_team.group_sale_salesman")
# whatever is due is left to the night
plain, none = type(env["key.account.planner"]), env["key.account.visit"]
with (
    patch.object(plain, "_plan_now", lambda *args: None),
    patch.object(plain, "_plan_due", lambda *args, **kwargs: none),
    # asks a server of Odoo's about each company
    patch.object(type(env["res.company"]), "iap_enrich_auto", lambda self: True),
):
    for number in range(COMPANIES):
        company = env["res.company"].create({"name": f"Chaos {number}"})
        users = env["res.users"].with_context(no_reset_password=True).create(
            [
                {
                    "name": f"{name} of {number}",
                    "login": f"chaos_{number}_{name}",
                    "company_id": company.id,
                    "company_ids": [Command.set(company.ids)],
                    "group_ids": [Command.link(group.id)],
                    "tz": "Europe/Vienna" if number % 2 else "Asia/Tokyo",
                }
                for name in ["sponsor", *range(SALESPEOPLE)]
            ]
        )
        # nobody is told by mail
        here = env(
            context={
                "allowed_company_ids": company.ids,
                "tracking_disable": True,
                "mail_auto_subscribe_no_notify": True,
                "mail_create_nosubscribe": True,
            }
        )
        partners = here["res.partner"].create(
            [
                {
                    "name": f"Chaos {number}/{index}",
                    "is_company": True,
                    "company_id": company.id,
                    "user_id": [*users[1:].ids, False][index // 4 % (SALESPEOPLE + 1)],
                    "zip": ("1010", "1019", "8010")[index % 3],
                    "city": "Wien",
                }
                for index in range(SALESPEOPLE * CUSTOMERS)
            ]
        )
        partners[::3].account_tier_id = key
        partners[::4].executive_sponsor_id = users[0]
        here["sale.order"].create(
            [
                {
                    "partner_id": partner.id,
                    "company_id": company.id,
                    "user_id": partner.user_id.id,
                    "state": "sale",
                    "date_order": fields.Datetime.now(),
                    "order_line": [
                        Command.create(
                            {
                                "product_id": product.id,
                                "product_uom_qty": 1,
                                "price_unit": 100 + 37 * (index * index % 41),
                            }
                        )
                    ],
                }
                for index, partner in enumerate(partners)
                if index % 5
            ]
        )
        here["crm.lead"].create(
            [
                {
                    "name": f"Chaos {number}/{index}",
                    "company_id": company.id,
                    "user_id": users[1].id,
                    "expected_revenue": 500 * index,
                }
                for index in range(4)
            ]
        )
        env.cr.commit()
"""
# What a night leaves, in columns that don't depend on when it was
RESULTS = {
    "visits": """
        SELECT partner_id, lead_id, company_id, track, state, date_planned, date_due,
               date_latest, user_id, team_id, cadence_id, tier_id, relationship_level,
               engagement_stage, summary, close_reason
          FROM key_account_visit
    """,
    "activities": """
        SELECT activity.res_model, activity.res_id, activity.user_id, date_deadline,
               activity.summary, visit.track
          FROM mail_activity activity
          JOIN key_account_visit visit ON visit.id = key_account_visit_id
         WHERE active
    """,
    "what is due": """
        SELECT partner_id, lead_id, company_id, track, date_due, days, user_id, reason,
               visit_id IS NULL
          FROM key_account_due
    """,
    "accounts": """
        SELECT partner_id, company_id, tier_id, suggested_tier_id, revenue, rank, share,
               relationship_level, suggested_relationship_level, engagement_stage,
               regular_visit_date, executive_visit_date, last_visit_date
          FROM key_account
    """,
    "changes of tiers": """
        SELECT partner_id, company_id, from_tier_id, to_tier_id, state
          FROM key_account_tier_change
    """,
    "proposals of levels": """
        SELECT partner_id, company_id, from_level, to_level, state
          FROM key_account_relationship_change
    """,
    "targets": """
        SELECT month, partner_id, lead_id, company_id, track, user_id, planned_count
          FROM key_account_target
    """,
}
# Odoo takes no notice of addons that aren't installed, nor of their tables
WITHOUT = """
    UPDATE ir_module_module SET state = 'uninstalled'
     WHERE name IN ('crm_key_account_queue', 'queue_job')
"""
# One company's books are bad: whoever measures it fails
BREAK = """
    CREATE FUNCTION key_account_chaos() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.company_id = {company} THEN RAISE EXCEPTION 'bad books'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER key_account_chaos BEFORE UPDATE OF rank ON key_account
       FOR EACH ROW EXECUTE FUNCTION key_account_chaos();
"""
MEND = "DROP FUNCTION key_account_chaos CASCADE"
# What no identity would allow: each job once more
COPY = """
    INSERT INTO queue_job (uuid, user_id, company_id, name, model_name, method_name,
           records, dependencies, args, kwargs, func_string, state, priority,
           date_created, retry, max_retries, channel_method_name, job_function_id,
           channel)
    SELECT gen_random_uuid(), user_id, company_id, name, model_name, method_name,
           records, '{{"depends_on": [], "reverse_depends_on": []}}', args, kwargs,
           func_string, 'pending', priority, date_created, 0, 0, channel_method_name,
           job_function_id, channel
      FROM queue_job
     WHERE state IN ('pending', 'enqueued', 'started') AND identity_key IS NOT NULL
     ORDER BY random()
     LIMIT {number}
"""


class QueueServer(Server):
    """An Odoo server with processes of its own for requests, and so for jobs."""

    database = QUEUE

    def __init__(self, found, number, balancer, cron, capacity):
        super().__init__(found, f"queue_{number}", cron)
        # Odoo starts one of its processes by the script's path
        self.command = (python.PYTHON, _make_script())
        self.options = [
            *companions.options(found),
            f"--gevent-port={base.free_port()}",
            "--workers=2",
            "--load=base,web,queue_job",
        ]
        self.environ = {
            **companions.environ(found),
            "ODOO_QUEUE_JOB_CHANNELS": f"root:{capacity}",
            "ODOO_QUEUE_JOB_PORT": str(balancer.port),
        }

    def owns(self, pid):
        try:
            return os.getpgid(pid) == self.process.pid
        except OSError:
            return False

    def kill(self):
        """All of its processes at once, as when a host loses its power."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        super().stop()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except OSError:
            pass


def _make_script():
    path = base.RUN / "odoo_server.py"
    path.write_text("from odoo.cli.command import main\n\nmain()\n")
    return path


class Balancer(socketserver.ThreadingTCPServer):
    """What stands in front of several hosts: one after the other, those that answer."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Pipe)
        self.port = self.server_address[1]
        self.ports = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def connect(self):
        for port in list(self.ports):
            self.ports.append(self.ports.pop(0))
            try:
                return socket.create_connection(("127.0.0.1", port), 2)
            except OSError:
                continue
        return None

    def handle_error(self, request, client_address):
        """A server was killed."""


class _Pipe(socketserver.BaseRequestHandler):
    def handle(self):
        other = self.server.connect()
        if not other:
            return
        with other, selectors.DefaultSelector() as selector:
            selector.register(self.request, selectors.EVENT_READ, other)
            selector.register(other, selectors.EVENT_READ, self.request)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    key.data.sendall(data)


def make_chaos(found, kills, shape=None):
    """Make chaos.

    :param int kills: how many processes are killed
    :param shape: see :data:`SHAPE`
    :return: 1 if something is wrong afterwards, else 0
    """
    with base.locked("setup", "Waiting for another command that makes the same"):
        python.make_companions()
    try:
        with base.locked(
            "databases", "Waiting for another command that makes databases"
        ):
            _make_book(found, shape or SHAPE)
        days = _get_days()
        expected, before = _time(found)
        return _kill(found, kills, expected, before, days)
    finally:
        for name in (CRON, QUEUE):
            databases.drop(name)


def _make_book(found, shape):
    """The book that each night begins with, kept until the addon changes."""
    databases.make(found, databases.DEMO)
    names = ("COMPANIES", "SALESPEOPLE", "CUSTOMERS")
    numbers = [f"{name} = {number}" for name, number in zip(names, shape, strict=True)]
    script = "\n".join([*numbers, SEED])
    # what installing the companion reads
    read = [
        databases.declarations(path.read_text()) if path.suffix == ".py" else path
        for pattern in ("*/*.xml", "models/*.py")
        for path in sorted(FOLDER.glob(pattern))
    ]
    stamp = base.stamp_of(
        databases.stamp_of(databases.DEMO), script, date.today(), *read
    )
    if databases.stamp_of(BOOK) == stamp:
        return
    step("Making a book of {} companies, {} salespeople, {} customers".format(*shape))
    databases.copy(databases.DEMO, BOOK)
    databases.run_odoo(found, BOOK, [], "adding customers", "queue_seed", script)
    postgres.sql(
        "UPDATE ir_cron SET active = id IN (SELECT res_id FROM ir_model_data WHERE "
        "module = 'crm_key_account' AND name = 'ir_cron_tiering'), "
        "nextcall = NOW() AT TIME ZONE 'UTC' + INTERVAL '10 days'",
        BOOK,
    )
    path = base.new_log("queue_install")
    with open(path, "a") as file:
        code = subprocess.run(
            [*found.command, "-d", BOOK, "-i", "crm_key_account_queue", "--no-http"]
            + [*companions.options(found), "--stop-after-init"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=companions.environ(found),
            cwd=HOME,
        ).returncode
    if code:
        raise Failure(base.explain("installing crm_key_account_queue", path))
    databases.set_stamp(BOOK, stamp)


# ---------------------------------------------------------------------------
# Nights
# ---------------------------------------------------------------------------
def _time(found):
    """Return what a night by cron comes to, and what is wrong after it, which the book
    brought along; the same by the queue is timed."""
    step("A night by cron, one worker")
    databases.copy(BOOK, CRON)
    postgres.sql(WITHOUT, CRON)
    server = CronServer(found, "queue_cron")
    server.start()
    try:
        server.wait()
        time.sleep(5)
        alone = _run_night(CRON)
    finally:
        server.stop()
    expected, before = _read_results(CRON), _count_wrong(CRON)
    load = os.getloadavg()[0]
    step("The same by the queue, one server with two workers")
    databases.copy(BOOK, QUEUE)
    with _servers(found, 1):
        beside = _run_night(QUEUE)
        jobs, busy = _ask(
            "SELECT COUNT(*), ROUND(SUM(exec_time)::numeric, 1) FROM queue_job"
        )[0]
    say(
        f"    cron {alone:.1f} s (load {load:.1f}), queue {beside:.1f} s "
        f"(load {os.getloadavg()[0]:.1f}) for {jobs} jobs of {busy} s: "
        f"{beside / alone:.2f} times"
    )
    if wrong := _compare(expected, _read_results(QUEUE)):
        raise Failure(f"An undisturbed night by the queue differs: {wrong} rows.")
    return expected, before


class CronServer(Server):
    """One worker for Odoo's jobs, without the companion."""

    database = CRON


class _servers:
    """So many servers behind a balancer, the first of them with a cron worker."""

    def __init__(self, found, number):
        self.balancer = Balancer()
        self.servers = [
            QueueServer(found, place, self.balancer, 1 if place == 0 else 0, 2 * number)
            for place in range(number)
        ]
        self.balancer.ports = [server.port for server in self.servers]

    def __enter__(self):
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait()
        # the runner begins after five seconds
        time.sleep(6)
        return self.servers

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()
        self.balancer.shutdown()
        self.balancer.server_close()


def _call_job(database, name="ir_cron_tiering"):
    postgres.sql(
        "INSERT INTO ir_cron_trigger (cron_id, call_at) SELECT res_id, "
        "date_trunc('second', NOW() AT TIME ZONE 'UTC') FROM ir_model_data "
        f"WHERE model = 'ir.cron' AND name = '{name}' AND module LIKE 'crm_key%'",
        database,
    )
    postgres.sql(f"SELECT pg_notify('cron_trigger', '{database}')")


def _ask(query, database=QUEUE):
    text = postgres.sql(query, database)
    return [line.split("\t") for line in text.splitlines()]


def _now(database):
    return _ask("SELECT date_trunc('second', NOW() AT TIME ZONE 'UTC')", database)[0][0]


def _get_days():
    """Return what day it is where the salespeople of the book are."""
    return postgres.sql(
        "SELECT (NOW() AT TIME ZONE 'Europe/Vienna')::date, "
        "(NOW() AT TIME ZONE 'Asia/Tokyo')::date"
    )


def _is_done(database, begin):
    """Return whether a night that began after ``begin`` is over."""
    [(count, left)] = _ask(
        f"""
        SELECT COUNT(*), COUNT(*) FILTER (WHERE date_start < '{begin}'
               OR phases IS NOT NULL AND phases::text NOT IN ('false', '[]', 'null'))
          FROM key_account_night
        """,
        database,
    )
    if count == "0" or left != "0":
        return False
    if database == CRON:
        return True
    return _ask(f"SELECT COUNT(*) FROM queue_job WHERE state IN {LIVE}") == [["0"]]


def _run_night(database):
    """Return how many seconds a night took."""
    begin, start = _now(database), time.monotonic()
    _call_job(database)
    while not _is_done(database, begin):
        if time.monotonic() - start > NIGHT:
            raise Failure(f"The night on {database} took too long.")
        time.sleep(0.3)
        # what had no time is to go on at once
        postgres.sql(f"SELECT pg_notify('cron_trigger', '{database}')")
    return time.monotonic() - start


# ---------------------------------------------------------------------------
# Kills
# ---------------------------------------------------------------------------
def _count_wrong(database):
    return {
        name: int(postgres.sql(query, database)) for name, query in INVARIANTS.items()
    }


def _kill(found, kills, expected, before, days):
    killed = whole = wrong = nights = copies = requeued = 0
    while killed < kills:
        nights += 1
        step(f"Night {nights}: {killed} of {kills} kills so far")
        databases.copy(BOOK, QUEUE)
        [[broken]] = _ask(
            "SELECT MIN(id) + 1 FROM res_company WHERE name LIKE 'Chaos %'"
        )
        postgres.sql(BREAK.format(company=broken), QUEUE)
        with _servers(found, 2) as servers:
            night = _Night(servers, kills - killed, broken)
            night.run()
            logs = [server.log.read_text(errors="replace") for server in servers]
        if _get_days() != days:
            raise Failure(
                "A new day began where some of the companies are: this night can't be "
                "compared with yesterday's. Begin again."
            )
        killed += night.killed
        whole += night.whole
        copies += night.copies
        requeued += sum(text.count("Re-queued dead job") for text in logs)
        wrong += night.wrong
        wrong += _compare(
            _leave_out(expected, broken), _leave_out(_read_results(QUEUE), broken)
        )
        for name, count in _count_wrong(QUEUE).items():
            if count > before[name]:
                wrong += count
                say(f"    WRONG  {count} {name}, {before[name]} by cron")
    say(f"    kills: {killed}, {whole} of them whole servers, in {nights} nights")
    say(f"    dead jobs that were found and queued again: {requeued}")
    say(f"    jobs queued twice: {copies}")
    say(f"    {len(INVARIANTS)} invariants and {len(RESULTS)} tables; wrong: {wrong}")
    return 1 if wrong else 0


class _Night:
    """One night with so many kills."""

    def __init__(self, servers, kills, broken):
        self.servers = servers
        self.kills = kills
        self.broken = broken
        self.killed = self.whole = self.copies = self.wrong = 0
        self.dead = set()

    def run(self):
        begin, start = _now(QUEUE), time.monotonic()
        _call_job(QUEUE)
        mended = False
        called = time.monotonic()
        while not _is_done(QUEUE, begin):
            if time.monotonic() - start > NIGHT:
                raise Failure("The night took too long.")
            if self.killed < self.kills:
                self._kill_one()
            else:
                time.sleep(0.5)
            if time.monotonic() - called > 5:
                # called again, and what is queued is queued twice
                called = time.monotonic()
                [[left]] = _ask(
                    "SELECT COUNT(*) FROM key_account_night WHERE "
                    "phases::text NOT IN ('false', '[]', 'null')"
                )
                # called when all is done, the night would begin anew
                _call_job(
                    QUEUE, "ir_cron_tiering" if int(left) > 2 else "ir_cron_watch"
                )
                if self.copies < COPIES:
                    self._copy()
            if not mended:
                mended = self._mend()
        if not mended:
            self._complain("the company didn't fail")
        if _ask(
            "SELECT COUNT(*) FROM mail_activity WHERE active AND "
            "res_model = 'key.account.night'"
        ) != [["0"]]:
            self._complain("administrators are told of a night that is done")

    def _complain(self, text):
        self.wrong += 1
        say(f"    WRONG  {text}")

    def _copy(self):
        before = _ask("SELECT COUNT(*) FROM queue_job")[0][0]
        postgres.sql(COPY.format(number=3), QUEUE)
        self.copies += int(_ask("SELECT COUNT(*) FROM queue_job")[0][0]) - int(before)

    def _kill_one(self):
        if random.random() < WHOLE / 4:
            server = random.choice(self.servers)
            server.kill()
            self.killed += 1
            self.whole += 1
            server.start()
            # the other one goes on meanwhile
            return
        rows = _ask(
            "SELECT uuid, worker_pid FROM queue_job WHERE state = 'started' "
            "AND worker_pid IS NOT NULL"
        )
        rows = [(uuid, int(pid)) for uuid, pid in rows if (uuid, pid) not in self.dead]
        random.shuffle(rows)
        time.sleep(random.uniform(0, LIFE))
        for uuid, pid in rows:
            if any(server.owns(pid) for server in self.servers):
                os.kill(pid, signal.SIGKILL)
                self.dead.add((uuid, str(pid)))
                self.killed += 1
                return

    def _mend(self):
        """Mend the company when it has failed twice; tell if others waited for it, or
        if somebody was told twice."""
        [[failures]] = _ask(
            "SELECT COALESCE(MAX(failure_count), 0) FROM key_account_night "
            f"WHERE company_id = {self.broken}"
        )
        if int(failures) == 0:
            return False
        if int(failures) < 2:
            # not after a minute: now
            postgres.sql(
                "UPDATE queue_job SET eta = NULL WHERE state = 'pending' "
                f"AND eta IS NOT NULL AND company_id = {self.broken}",
                QUEUE,
            )
            return False
        twice = _ask(
            "SELECT COUNT(*) FROM (SELECT FROM mail_activity WHERE active "
            "AND res_model = 'key.account.night' GROUP BY res_id, user_id "
            "HAVING COUNT(*) > 1) AS twice"
        )
        told = _ask(
            "SELECT COUNT(*) FROM mail_activity WHERE active "
            "AND res_model = 'key.account.night'"
        )
        if twice != [["0"]] or told == [["0"]]:
            self._complain("administrators weren't told once")
        postgres.sql(MEND, QUEUE)
        postgres.sql(
            f"UPDATE queue_job SET eta = NULL WHERE state = 'pending' "
            f"AND company_id = {self.broken}",
            QUEUE,
        )
        return True


# ---------------------------------------------------------------------------
# Results
# ---------------------------------------------------------------------------
def _read_results(database):
    """Return {what: sorted rows}."""
    return {name: sorted(_ask(query, database)) for name, query in RESULTS.items()}


def _leave_out(results, company):
    """Leave out the company that failed: its visits were planned before its tiers."""
    places = {
        name: re.split(r",\s*", query.partition("SELECT")[2]).index("company_id")
        for name, query in RESULTS.items()
        if "company_id" in query
    }
    return {
        name: [row for row in rows if row[places[name]] != company]
        for name, rows in results.items()
        if name in places
    }


def _compare(expected, found):
    """Say which rows differ; return how many."""
    count = 0
    for name, rows in expected.items():
        rows, others = Counter(map(tuple, rows)), Counter(map(tuple, found[name]))
        for text, some in (
            ("cron alone", rows - others),
            ("the queue alone", others - rows),
        ):
            count += some.total()
            for row in sorted(some)[:3]:
                say(f"    WRONG  {name}, {text}: {' '.join(row)}")
    say(f"    {'WRONG ' if count else 'ok    '} {count} rows differ from cron's")
    return count
