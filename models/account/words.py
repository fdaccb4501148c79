"""How what stands beside each other is joined, in the reader's language.

Names of equal rank are core's ``odoo.tools.format_list``: "A, B, and C", "A、B和C".
Here is the rest; languages have commas of their own, as in "A; B", "A ; B", "A；B".
"""

from functools import reduce

from odoo.tools import formatLang


def join_facts(env, texts):
    """Join what tells of one thing, as in "Key account, weekly"; empty ones are left
    out."""
    return _join(
        lambda text, more: env._("%(text)s, %(more)s", text=text, more=more), texts
    )


def join_clauses(env, texts):
    """Join what may have commas of its own; empty ones are left out."""
    return _join(
        lambda text, more: env._("%(text)s; %(more)s", text=text, more=more), texts
    )


def join_sentences(env, texts):
    """Join sentences without their full stops; empty ones are left out."""
    return _join(
        lambda text, more: env._("%(text)s. %(more)s", text=text, more=more), texts
    )


def join_said(env, texts):
    """Join sentences that have their full stops, as in "It is done. Nothing is left.";
    empty ones are left out."""
    return _join(
        lambda text, more: env._("%(text)s %(more)s", text=text, more=more), texts
    )


def join_named(env, name, value):
    """Return what something is, as in "Key account: weekly"."""
    return env._("%(name)s: %(value)s", name=name, value=value)


def get_label(env, name):
    """Return the name of what follows, as in "Needs:", "Besoins :", "需求："."""
    return join_named(env, name, "").rstrip()


def format_number(env, number):
    """Return a number with the decimals that it has, as the reader's language writes
    it: "7.5", "7,5"."""
    digits = len(f"{number:g}".partition(".")[2])
    return formatLang(env, number, digits=digits)


def _join(join_two, texts):
    texts = [text for text in texts if text]
    return reduce(join_two, texts) if texts else ""
