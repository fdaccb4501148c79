"""The pictures of README and guides, of the Apps store too: `make pictures`.

A script on a server with the demo data after its first night:
`pictures.py URL CHROMIUM FONTS`. It writes what PICTURES names, each anew.
"""

import base64
import io
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import requests
import websocket
from PIL import Image

CHECKOUT = Path(__file__).resolve().parents[1]
STORE = CHECKOUT / "static/description"
GUIDES = CHECKOUT / "docs/images"
DESKTOP = (1366, 800)
# With the whole of a map, of a tab
TALL = (1366, 1010)
TALLER = (1366, 1290)
PHONE = (390, 844)
# Of the cover in the store, which shows it half as large, and of the icon
COVER = (1200, 600)
ICON = (256, 256)
PATIENCE = 300
# Charts and sheets move for a moment
SETTLE = 1.5
MY_DAY, BRIEF, REPORT = "my_day", "brief", "report"


class Shot:
    """One screen: who opens what, clicks what, and where the picture goes."""

    def __init__(
        self,
        name,
        login,
        path,
        ready,
        clicks=(),
        then=None,
        folder=GUIDES,
        size=DESKTOP,
    ):
        """
        :param ready: CSS selector of what is there once the screen is
        :param clicks: CSS selectors of what to click then, one after the other
        :param then: CSS selector of what is there after the clicks
        :param folder: where the picture goes; None keeps it for others
        """
        self.name = name
        self.login = login
        self.path = path
        self.ready = ready
        self.clicks = clicks
        self.then = then
        self.folder = folder
        self.size = size


def choose_shots(server):
    """Return the shots; records are named as the demo data name them."""
    kestrel = server.find("partner_kestrel")
    brightwater = server.find("partner_brightwater")
    policy = server.find("policy_default")
    [visit] = server.call(
        "key.account.visit",
        "search",
        [
            ("partner_id", "=", kestrel),
            ("state", "=", "planned"),
            ("track", "=", "visit"),
        ],
    )
    row = ".o_data_row"
    no_filter = ".o_facet_remove"
    tab = ".o_notebook .nav-link[name='%s']"
    brief = f"/odoo/customer-visits/{visit}"
    return [
        Shot("key_accounts", "admin", "/odoo/key-accounts", row, folder=STORE),
        Shot(
            "week_board",
            "helen",
            "/odoo/visit-week",
            ".o_week_board_card",
            folder=STORE,
        ),
        Shot(
            "buying_center",
            "kate",
            f"/odoo/res.partner/{kestrel}",
            ".o_form_view",
            (tab % "buying_center",),
            folder=STORE,
            size=TALL,
        ),
        Shot(
            "customer",
            "admin",
            f"/odoo/res.partner/{brightwater}",
            ".o_form_view",
            (tab % "key_account",),
            size=TALLER,
        ),
        Shot(
            "evidence",
            "kate",
            f"/odoo/res.partner/{kestrel}",
            ".o_form_view",
            (
                tab % "key_account",
                "button[name='action_view_relationship_evidence']",
            ),
            row,
        ),
        Shot("lost_accounts", "helen", "/odoo/lost-accounts", row, (no_filter,)),
        Shot(
            "pipeline",
            "helen",
            "/odoo/action-crm.crm_lead_action_pipeline",
            ".o_kanban_record",
            (no_filter,),
        ),
        Shot(
            "policy",
            "admin",
            f"/odoo/tiering-policies/{policy}",
            ".o_form_view",
            size=TALL,
        ),
        Shot("portfolio", "helen", "/odoo/key-account-portfolio", "canvas"),
        Shot(
            "visit_figures",
            "helen",
            "/odoo/action-crm_key_account.key_account_visit_figures_action",
            ".o_pivot table",
        ),
        Shot("visits", "helen", "/odoo/customer-visits", row, (no_filter,)),
        Shot(
            "phone_visits",
            "kate",
            "/odoo/customer-visits",
            ".o_kanban_record",
            size=PHONE,
        ),
        Shot(
            MY_DAY, "kate", "/odoo/my-day", ".o_kanban_record", folder=None, size=PHONE
        ),
        Shot(BRIEF, "kate", brief, ".o_form_view", folder=None, size=PHONE),
        Shot(
            REPORT,
            "kate",
            brief,
            ".o_form_view",
            ("button[name='action_open_report']",),
            ".modal .o_form_view",
            folder=None,
            size=PHONE,
        ),
    ]


class Server:
    def __init__(self, url):
        self.url = url
        self.sessions = {}
        self.numbers = itertools.count(1)

    def session(self, login):
        """A session of somebody; the demo's passwords are the logins."""
        if login not in self.sessions:
            session = requests.Session()
            session.trust_env = False
            page = session.get(f"{self.url}/web/login", timeout=PATIENCE).text
            token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
            session.post(
                f"{self.url}/web/login",
                {"login": login, "password": login, "csrf_token": token},
                timeout=PATIENCE,
            )
            self.sessions[login] = session
        return self.sessions[login]

    def call(self, model, method, *args):
        answer = (
            self.session("admin")
            .post(
                f"{self.url}/web/dataset/call_kw",
                json={
                    "jsonrpc": "2.0",
                    "id": next(self.numbers),
                    "params": {
                        "model": model,
                        "method": method,
                        "args": args,
                        "kwargs": {},
                    },
                },
                timeout=PATIENCE,
            )
            .json()
        )
        if "error" in answer:
            sys.exit(f"{model}.{method}: {answer['error']['data']['message']}")
        return answer["result"]

    def find(self, name):
        """The id of a record of the addon's data or demo data."""
        return self.call(
            "ir.model.data", "check_object_reference", "crm_key_account", name
        )[1]


class Browser:
    """One page of a headless Chromium, by its DevTools protocol."""

    def __init__(self, chromium, folder):
        self.process = subprocess.Popen(
            [chromium, "--headless=new", "--no-sandbox", "--disable-gpu"]
            + ["--hide-scrollbars", "--remote-debugging-port=0", "--lang=en-US"]
            + [f"--user-data-dir={folder}", "--no-first-run", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.numbers = itertools.count(1)
        port = self._wait(lambda: (Path(folder) / "DevToolsActivePort").read_text())
        port = port.split()[0]
        [page] = self._wait(lambda: self._pages(port))
        self.socket = websocket.create_connection(
            page["webSocketDebuggerUrl"], timeout=PATIENCE, suppress_origin=True
        )
        self.send("Page.enable")

    @staticmethod
    def _wait(look):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                found = look()
                if found:
                    return found
            except OSError:
                pass
            if time.monotonic() > end:
                sys.exit("Chromium doesn't answer.")
            time.sleep(0.2)

    @staticmethod
    def _pages(port):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/json", timeout=10) as answer:
            pages = json.load(answer)
        return [page for page in pages if page["type"] == "page"]

    def send(self, method, **params):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def ask(self, script):
        """What a JavaScript expression gives."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    def wait(self, script, what):
        end = time.monotonic() + PATIENCE
        while not self.ask(script):
            if time.monotonic() > end:
                sys.exit(f"{what}: it doesn't come")
            time.sleep(0.3)

    def resize(self, size):
        width, height = size
        phone = size == PHONE
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)

    def take(self):
        answer = self.send("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    def take_html(self, html, size):
        """A picture of a page that we write ourselves."""
        self.resize(size)
        self.send("Page.navigate", url="about:blank")
        frame = self.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self.send("Page.setDocumentContent", frameId=frame, html=html)
        time.sleep(SETTLE)
        return self.take()

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(10)


@contextmanager
def browsing(chromium):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(chromium, folder)
        try:
            yield browser
        finally:
            browser.close()


def write_fonts(folder):
    """CSS that gives Odoo's pages a font, the same on each machine.

    Odoo asks for what the user's system has, first of it "Segoe UI"; its charts for
    "Helvetica Neue".
    """
    rules = []
    for name, weight in (("Regular", 400), ("SemiBold", 600), ("Bold", 700)):
        for path in sorted(Path(folder).rglob(f"OpenSans-{name}.ttf"))[:1]:
            data = _data_url(path.read_bytes(), "font/ttf")
            rules += [
                f'@font-face {{ font-family: "{family}"; font-weight: {weight}; '
                f"src: url({data}) }}"
                for family in ("Segoe UI", "Helvetica Neue")
            ]
    return "\n".join(rules)


def _data_url(content, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def take_shot(browser, server, shot):
    cookies = server.session(shot.login).cookies
    browser.send(
        "Network.setCookie",
        name="session_id",
        value=cookies["session_id"],
        url=server.url,
    )
    browser.resize(shot.size)
    browser.send("Page.navigate", url="about:blank")
    browser.send("Page.navigate", url=server.url + shot.path)
    _wait_for(browser, shot, shot.ready)
    for selector in shot.clicks:
        browser.ask(f"{_wait_for(browser, shot, selector)}.click()")
        _settle(browser, shot)
    if shot.then:
        _wait_for(browser, shot, shot.then)
    # The mouse is nowhere, and no field is being edited
    browser.ask("document.activeElement?.blur()")
    time.sleep(SETTLE)
    return browser.take()


def _wait_for(browser, shot, selector):
    """Wait for what is to be there, and give it, as JavaScript."""
    there = f"document.querySelector({json.dumps(selector)})"
    browser.wait(f"!!{there}", f"{shot.name}: {selector}")
    _settle(browser, shot)
    return there


def _settle(browser, shot):
    time.sleep(0.5)
    browser.wait(
        "document.readyState === 'complete' && "
        "!document.querySelector('.o_loading_indicator, .o_blockUI')",
        f"{shot.name}: the end of loading",
    )


def put(path, picture, colors=256):
    """Write a picture; of screens one hardly sees how few colours it has.

    :param colors: how many; None for all
    """
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    if colors:
        image = image.quantize(colors, dither=Image.Dither.NONE)
    image.save(path, optimize=True)
    print(f"{path.relative_to(CHECKOUT)}: {path.stat().st_size // 1000} kB", flush=True)


PAGE = """<!DOCTYPE html>
<style>
    {fonts}
    * {{ box-sizing: border-box }}
    body {{ margin: 0; font-family: "Segoe UI", sans-serif; overflow: hidden }}
    {style}
</style>
{body}
"""
PHONES = """
    body { display: flex; justify-content: space-between; background: #fff }
    img { border: 1px solid #d8dadd; border-radius: 12px; width: 390px }
"""
COVER_STYLE = """
    body { height: 600px; background: linear-gradient(135deg, #875a7b, #5b3f55) }
    h1, p { color: #fff }
    h1 { position: absolute; left: 56px; top: 40px; margin: 0; font-size: 52px }
    p { position: absolute; left: 56px; top: 112px; margin: 0; font-size: 25px }
    .icon { position: absolute; right: 56px; top: 36px; width: 112px }
    .desktop { position: absolute; left: 56px; top: 184px; width: 870px }
    .phone { position: absolute; right: 56px; top: 200px; width: 250px }
    .desktop, .phone { border-radius: 8px; box-shadow: 0 8px 30px #0008 }
"""
ICON_STYLE = "body { background: transparent } svg { width: 256px; height: 256px }"


def compose(browser, fonts, taken):
    """The icon, the three phones beside each other, and the store's cover."""
    drawing = (STORE / "icon.svg").read_text()
    browser.send(
        "Emulation.setDefaultBackgroundColorOverride",
        color={"r": 0, "g": 0, "b": 0, "a": 0},
    )
    page = PAGE.format(fonts="", style=ICON_STYLE, body=drawing)
    icon = browser.take_html(page, ICON)
    (STORE / "icon.png").write_bytes(icon)
    browser.send("Emulation.setDefaultBackgroundColorOverride")

    phones = "".join(
        f'<img src="{_data_url(taken[n])}">' for n in (MY_DAY, BRIEF, REPORT)
    )
    page = PAGE.format(fonts=fonts, style=PHONES, body=phones)
    put(STORE / "phone.png", browser.take_html(page, (1230, PHONE[1] + 2)))

    body = (
        "<h1>Key Accounts</h1>"
        "<p>Tiers from the books, visits in the week, and why</p>"
        f'<img class="icon" src="{_data_url(icon)}">'
        f'<img class="desktop" src="{_data_url(taken["key_accounts"])}">'
        f'<img class="phone" src="{_data_url(taken[BRIEF])}">'
    )
    page = PAGE.format(fonts=fonts, style=COVER_STYLE, body=body)
    put(STORE / "main_screenshot.png", browser.take_html(page, COVER), None)


def main(url, chromium, fonts):
    server = Server(url)
    fonts = write_fonts(fonts)
    taken = {}
    with browsing(chromium) as browser:
        script = f"""
            addEventListener("DOMContentLoaded", () => {{
                const style = document.createElement("style");
                style.textContent = {json.dumps(fonts)};
                document.head.append(style);
            }});
        """
        browser.send("Page.addScriptToEvaluateOnNewDocument", source=script)
        for shot in choose_shots(server):
            taken[shot.name] = take_shot(browser, server, shot)
            if shot.folder:
                put(shot.folder / f"{shot.name}.png", taken[shot.name])
        compose(browser, fonts, taken)


if __name__ == "__main__":
    main(*sys.argv[1:])
