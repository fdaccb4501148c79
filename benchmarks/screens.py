"""Opening screens as the web client does, without a browser: core's, and our own.

The calls and their specifications follow the arch that ``get_views`` returns, by the
rules of the web client's ``getFieldsSpec``: what a view of the addon adds to a screen
is asked for, and nothing else.
"""

import ast
from datetime import date

from lxml import etree

ALWAYS = ("1", "True")
NUMBERS = ("integer", "float", "monetary")
# Widgets that ask for the names of the records, and a colour if they're told to
TAGS = ("many2many_tags", "many2many_tags_avatar", "many2many_avatar_user")
# Widgets that read nothing of the records but their ids
IDS = ("kanban_activity", "list_activity", "mail_thread", "hidden")
KANBAN_LIMIT = 40
LIST_LIMIT = 80


def get_view(env, model, view_type, view_id=None):
    views = env[model].get_views([(view_id, view_type)])
    fields = views["models"][model]["fields"]
    return etree.fromstring(views["views"][view_type]["arch"]), fields


def get_spec(env, model, arch, fields, depth=2):
    """Return the specification for ``web_read`` that a view asks for."""
    spec = {}
    level = len(list(arch.iterancestors("field")))
    nodes = {}
    for node in arch.iter("field"):
        if len(list(node.iterancestors("field"))) == level + (arch.tag == "field"):
            nodes.setdefault(node.get("name"), []).append(node)
    for name, occurrences in nodes.items():
        if name not in fields:
            continue
        shown = [node for node in occurrences if not _is_invisible(node)]
        spec[name] = _field_spec(env, fields[name], shown, depth)
    return spec


def _field_spec(env, field, shown, depth):
    if field["type"] in ("many2one", "reference"):
        return {"fields": {"display_name": {}} if shown else {}}
    if field["type"] not in ("one2many", "many2many") or not shown:
        return {}
    node = shown[0]
    widget = node.get("widget")
    if widget in TAGS:
        options = ast.literal_eval(node.get("options") or "{}")
        names = {"display_name", options.get("color_field")} - {None}
        return {"fields": {name: {} for name in sorted(names)}}
    if widget in IDS or not depth:
        return {"fields": {}}
    kind = (node.get("mode") or "list,kanban").split(",")[0]
    subview = node.find(kind)
    comodel = field["relation"]
    if subview is None:
        if widget:
            return {"fields": {}}
        subview, subfields = get_view(env, comodel, kind)
    else:
        subfields = env[comodel].fields_get()
    limit = int(subview.get("limit") or 40)
    return {
        "fields": get_spec(env, comodel, subview, subfields, depth - 1),
        "limit": limit,
    }


def _is_invisible(node):
    """Always: an expression may yet be false for a record."""
    chain = [node, *node.iterancestors()]
    for each in chain:
        if each is not node and each.tag == "field":
            break
        if each.get("invisible") in ALWAYS or each.get("column_invisible") in ALWAYS:
            return True
    return False


def _aggregates(fields, spec):
    return [
        f"{name}:{fields[name]['aggregator']}"
        for name in spec
        if fields[name].get("aggregator") and fields[name]["type"] in NUMBERS
    ]


class Screen:
    """A screen; :meth:`prepare` reads its view, :meth:`open` its data."""

    def __init__(
        self, name, model, view_type, view=None, domain=(), group_by=None, calls=()
    ):
        """
        :param calls: what the screen asks for beside the view: pairs of a model and of
            its method
        """
        self.name = name
        self.model = model
        self.view_type = view_type
        self.view = view
        self.domain = list(domain)
        self.group_by = group_by
        self.calls = calls

    def prepare(self, env):
        view_id = env.ref(self.view).id if self.view else None
        arch, fields = get_view(env, self.model, self.view_type, view_id)
        self.spec = get_spec(env, self.model, arch, fields)
        if self.view_type == "form":
            self.spec.setdefault("display_name", {})
        if self.group_by:
            self.aggregates = _aggregates(fields, self.spec)
        if self.view_type == "kanban" and self.group_by:
            bar = arch.find(".//progressbar")
            self.bar = {
                "field": bar.get("field"),
                "colors": ast.literal_eval(bar.get("colors")),
                "help": bar.get("help"),
            }
        return self

    def open(self, env, record_id=None):
        """Make the calls that show the screen; return a count of what it shows."""
        for model, method in self.calls:
            getattr(env[model], method)()
        records = env[self.model]
        if self.view_type == "form":
            return len(records.browse(record_id).web_read(self.spec))
        if not self.group_by:
            result = records.with_context(bin_size=True).web_search_read(
                self.domain, self.spec, limit=LIST_LIMIT, count_limit=10001
            )
            return len(result["records"])
        if self.view_type == "list":
            # folded
            result = records.web_read_group(
                self.domain, [self.group_by], self.aggregates, limit=LIST_LIMIT
            )
            return len(result["groups"])
        records.read_progress_bar(self.domain, self.group_by, self.bar)
        result = records.with_context(read_group_expand=True).web_read_group(
            self.domain,
            [self.group_by],
            self.aggregates,
            auto_unfold=True,
            unfold_read_specification=self.spec,
            unfold_read_default_limit=KANBAN_LIMIT,
        )
        return sum(len(group.get("__records", ())) for group in result["groups"])


class Board(Screen):
    """A screen without a view: one call.

    :ivar count: how many things its answer shows
    """

    def __init__(self, name, model, method, count):
        super().__init__(name, model, "board")
        self.method = method
        self.count = count

    def prepare(self, env):
        return self

    def open(self, env, record_id=None):
        return self.count(getattr(env[self.model], self.method)())


def get_screens(user_id):
    """The screens that a salesperson opens, with their default filters."""
    return [
        Screen(
            "lead kanban",
            "crm.lead",
            "kanban",
            view="crm.crm_case_kanban_view_leads",
            domain=[("type", "=", "opportunity"), ("user_id", "=", user_id)],
            group_by="stage_id",
        ),
        Screen("partner list", "res.partner", "list"),
        Screen("partner form", "res.partner", "form"),
        Screen("lead form", "crm.lead", "form", view="crm.crm_lead_view_form"),
    ]


CUSTOMERS = Screen("partner list", "res.partner", "list")


def get_own_screens(user_id, is_manager):
    """The addon's screens, with their default filters; managers look at everybody's
    visits."""
    visit, views = "key.account.visit", "crm_key_account.key_account"
    own = [("user_id", "=", user_id)]
    today = date.today().isoformat()
    # what a manager's list asks for first steps
    panel = [("key.account.start", "get_panel")] if is_manager else []
    return [
        Screen(
            "accounts",
            "key.account",
            "list",
            view=f"{views}_view_list",
            calls=panel,
        ),
        Screen(
            "accounts by tier",
            "key.account",
            "list",
            view=f"{views}_view_list",
            group_by="tier_id",
            calls=panel,
        ),
        Screen(
            "visits",
            visit,
            "list",
            view=f"{views}_visit_view_list",
            domain=[("state", "=", "planned"), *([] if is_manager else own)],
        ),
        Screen(
            "My Day",
            visit,
            "kanban",
            view=f"{views}_visit_view_kanban_my_day",
            domain=[
                *own,
                "|",
                "&",
                ("state", "=", "planned"),
                ("date_planned", "<=", today),
                "&",
                ("state", "=", "done"),
                ("date_done", "=", today),
            ],
            calls=[(visit, "get_my_day")],
        ),
        Board(
            "week board",
            visit,
            "get_week_board",
            lambda board: len(board["visits"]),
        ),
        Board(
            "portfolio",
            "key.account.portfolio",
            "get_portfolio",
            lambda result: result["total"]["count"],
        ),
    ]
