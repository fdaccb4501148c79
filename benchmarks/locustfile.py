"""Salespeople at work, as Locust's users: each opens a screen every few seconds, by the
calls that the web client makes for its data, as a browser was seen to make them. What
is loaded once (views, menus) and the chatter, which is core's, aren't among them.

``load.py`` starts it; ``KEY_ACCOUNT_LOAD`` names a file with the database, the logins
and the specifications that the views ask for. Each screen that was opened is a line of
the file ``samples``: when it began, its name, the milliseconds of all its calls, of the
longest call, and what went wrong.
"""

import csv
import itertools
import json
import os
import random
import time

from locust import HttpUser, between, events, task

with open(os.environ["KEY_ACCOUNT_LOAD"]) as file:
    SETUP = json.load(file)
LOGINS = itertools.cycle(SETUP["logins"])
SAMPLES = open(SETUP["samples"], "a", newline="")
WRITER = csv.writer(SAMPLES)
VISIT = "key.account.visit"
SCREENS = SETUP["screens"]


class CallError(Exception):
    """What the server answers instead of a result."""


class Salesperson(HttpUser):
    wait_time = between(*SETUP["pause"])

    def on_start(self):
        self.login = next(LOGINS)
        self.user_context = {}
        result = self._post(
            "/web/session/authenticate",
            {"db": SETUP["database"], "login": self.login, "password": self.login},
        )
        self.uid = result["uid"]
        self.user_context = {
            **result["user_context"],
            "allowed_company_ids": [result["user_companies"]["current_company"]],
        }
        self.random = random.Random(self.login)

    def _post(self, path, params, name=None):
        response = self.client.post(
            path, json={"jsonrpc": "2.0", "params": params}, name=name or path
        )
        answer = response.json()
        if "error" in answer:
            raise CallError(answer["error"]["data"]["message"])
        return answer["result"]

    def _call(self, model, method, *args, **kwargs):
        context = {**self.user_context, **kwargs.pop("context", {})}
        begin = time.monotonic()
        try:
            return self._post(
                f"/web/dataset/call_kw/{model}/{method}",
                {
                    "model": model,
                    "method": method,
                    "args": args,
                    "kwargs": {**kwargs, "context": context},
                },
            )
        finally:
            self.longest = max(self.longest, time.monotonic() - begin)

    def _open(self, name, show, *args):
        """Open a screen and note how long it took, all its calls together."""
        began, begin, self.longest, error = time.time(), time.monotonic(), 0, ""
        try:
            show(*args)
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"[:500]
        milliseconds = 1000 * (time.monotonic() - begin)
        WRITER.writerow([began, name, milliseconds, 1000 * self.longest, error])
        SAMPLES.flush()
        events.request.fire(
            request_type="screen",
            name=name,
            response_time=milliseconds,
            response_length=0,
            exception=error and CallError(error) or None,
        )

    def _find_planned(self):
        self.longest = 0
        visits = self._call(
            VISIT,
            "search_read",
            [("state", "=", "planned"), ("user_id", "=", self.uid)],
            ["partner_id", "company_id"],
            limit=50,
            order="date_planned, id",
        )
        return self.random.choice(visits) if visits else None

    # Screens ------------------------------------------------------------------

    def _show_list(self, screen, domain):
        self._call(
            screen["model"],
            "web_search_read",
            domain,
            screen["spec"],
            context={"bin_size": True},
            order=screen["order"],
            limit=80,
            count_limit=10001,
        )

    def _show_my_day(self):
        self._show_list(
            SCREENS["my_day"],
            [
                ("user_id", "=", self.uid),
                "|",
                "&",
                ("state", "=", "planned"),
                ("date_planned", "<=", "today"),
                "&",
                ("state", "=", "done"),
                ("date_done", "=", "today"),
            ],
        )
        self._call(VISIT, "get_my_day")

    def _show_brief(self, visit):
        self._call(VISIT, "web_read", [visit["id"]], SCREENS["brief"]["spec"])

    def _report(self, visit):
        self._call(VISIT, "action_open_report", [visit["id"]])
        self._call(VISIT, "web_read", [visit["id"]], SCREENS["report"]["spec"])
        if visit["partner_id"]:
            self._call(
                VISIT,
                "get_report_contacts",
                visit["partner_id"][0],
                visit["company_id"][0],
            )
        values = {"is_nobody_met": True, "feedback": "Nobody was there"}
        self._call(VISIT, "action_report", [visit["id"]], values=values)

    def _show_board(self):
        self._call(VISIT, "get_week_board", date=False, team_id=False, own=False)

    def _show_accounts(self):
        self._show_list(SCREENS["accounts"], [])

    @task(3)
    def open_my_day(self):
        self._open("My Day", self._show_my_day)

    @task(2)
    def open_brief(self):
        if visit := self._find_planned():
            self._open("brief", self._show_brief, visit)

    @task(2)
    def give_report(self):
        if visit := self._find_planned():
            self._open("report", self._report, visit)

    @task(1)
    def open_board(self):
        self._open("week board", self._show_board)

    @task(2)
    def open_accounts(self):
        self._open("accounts", self._show_accounts)
