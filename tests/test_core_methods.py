import inspect
from difflib import unified_diff

from odoo.tests import tagged
from odoo.tools import file_open

from .common import KeyAccountCommon

OURS = "odoo.addons.crm_key_account."
LIST = "crm_key_account/tests/core_methods.txt"


def get_core_methods(env):
    """Return each method of Odoo that a class of ours overrides, as a line with where
    it is defined and how it is called, sorted.

    Of several definitions the one counts that ``super()`` calls where nothing but what
    the addon depends on is installed.
    """
    modules = env["ir.module.module"].search([("name", "=", "crm_key_account")])
    modules |= modules.upstream_dependencies(exclude_states=("uninstallable",))
    lines = set()
    for model in env.registry.values():
        classes = inspect.getmro(model)
        for position, ours in enumerate(classes):
            if not ours.__module__.startswith(OURS):
                continue
            for name, value in vars(ours).items():
                if name.startswith("__") or not callable(_unwrap(value)):
                    continue
                for theirs in classes[position + 1 :]:
                    if name in vars(theirs) and _is_core(theirs, modules):
                        function = _unwrap(vars(theirs)[name])
                        lines.add(
                            f"{theirs.__module__} {theirs.__qualname__}.{name}"
                            f"{inspect.signature(function)}"
                        )
                        break
    return sorted(lines)


def _unwrap(value):
    if isinstance(value, classmethod | staticmethod):
        value = value.__func__
    return inspect.unwrap(value) if inspect.isroutine(value) else None


def _is_core(theirs, modules):
    if theirs.__module__.startswith("odoo.addons."):
        name = theirs.__module__.split(".")[2]
        return name != "crm_key_account" and name in modules.mapped("name")
    return theirs.__module__.startswith("odoo.")


@tagged("post_install", "-at_install")
class TestCoreMethods(KeyAccountCommon):
    """What another version of Odoo defines elsewhere, calls in another way or doesn't
    have any more: ``make test T=tests/test_core_methods.py ODOO_HOME=…``."""

    maxDiff = None

    def test_core_methods(self):
        with file_open(LIST) as lines:
            known = lines.read().splitlines()
        found = get_core_methods(self.env)
        changed = list(
            unified_diff(known, found, "known", "this Odoo", n=0, lineterm="")
        )
        self.assertFalse(
            changed,
            "Look at what overrides these, and write them into tests/core_methods.txt:"
            "\n" + "\n".join(changed),
        )

    def test_another_signature_is_found(self):
        lines = get_core_methods(self.env)
        lead = next(
            theirs
            for theirs in inspect.getmro(self.env.registry["crm.lead"])
            if theirs.__module__ == "odoo.addons.crm.models.crm_lead"
        )

        def write(self, vals, *, audited=False):
            raise NotImplementedError

        self.patch(lead, "write", write)
        start = f"{lead.__module__} {lead.__qualname__}.write"
        self.assertEqual(
            set(get_core_methods(self.env)) ^ set(lines),
            {f"{start}(self, vals)", f"{start}(self, vals, *, audited=False)"},
        )
