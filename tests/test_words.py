import re
from pathlib import Path
from unittest.mock import patch

from odoo.tests import TransactionCase, tagged
from odoo.tools.translate import code_translations

from ..models.account import clock, words
from .terms import export

ROOT = Path(__file__).parents[1]
# Where days of ours are written: Python's sentences, and the client's.
FOLDERS = ("models", "wizard", "report", "data", "static/src")
# Lists that are joined the same in each language.
JOINED = re.compile(r"""["'](?:, |; |\. )["']\.join\(""")
# An address, a line of a log, of a script: nobody's sentence.
UNJOINED = {
    "models/plan/key_account_profile.py",
    "models/tiering/measure.py",
    "models/visit/key_account_visit_meeting.py",
    "models/visit/key_account_visit_report.py",
}
# Odoo's numeric day.
NUMERIC_PY = re.compile(r"\bformat_date\(")
NUMERIC_JS = re.compile(
    r"formatDate\b[^;]*@web/core/l10n/dates|numeric:\s*true|toFormat\("
)


@tagged("post_install", "-at_install")
class TestWords(TransactionCase):
    """One word for one thing, and one way to write a day."""

    def _find(self, pattern, *suffixes):
        return [
            str(path.relative_to(ROOT))
            for folder in FOLDERS
            for path in sorted((ROOT / folder).rglob("*"))
            if path.suffix in suffixes
            and path.name != "clock.py"
            and pattern.search(path.read_text())
        ]

    def test_days_are_written_in_one_way(self):
        """A day in a sentence stands beside days in columns: both are "Mar 25"."""
        self.assertFalse(self._find(NUMERIC_PY, ".py", ".xml"))
        self.assertFalse(self._find(NUMERIC_JS, ".js"))

    def test_nothing_is_joined_by_a_comma_of_ours(self):
        self.assertEqual(set(self._find(JOINED, ".py")), UNJOINED)

    def test_as_the_client_writes_them(self):
        """With the year if it is another one, or for what is printed."""
        day = clock.get_today(self.env.company).replace(month=3, day=25)
        other = day.replace(year=day.year + 1)
        self.assertEqual(clock.format_day(self.env, day), "Mar 25")
        self.assertEqual(
            clock.format_day(self.env, day, weekday=True), f"{day:%a}, Mar 25"
        )
        for text in (
            clock.format_day(self.env, other),
            clock.format_day(self.env, other, year=True),
        ):
            self.assertEqual(text, f"Mar 25, {other.year}")
        self.assertEqual(
            clock.format_day(self.env, day, year=True), f"Mar 25, {day.year}"
        )

    def test_the_next_visit_has_an_objective(self):
        """What a report calls so is called so everywhere: nobody reads of a theme."""
        said = {entry.msgid for entry in export(self.env)}
        self.assertFalse([text for text in said if re.search(r"\btheme", text, re.I)])

    def test_lists_are_joined_as_the_reader_writes_them(self):
        """Names by core's list, what has commas of its own by a semicolon: each in the
        reader's language."""
        self.env["res.lang"]._activate_lang("zh_CN")
        chinese = {
            "%(text)s, %(more)s": "%(text)s，%(more)s",
            "%(text)s; %(more)s": "%(text)s；%(more)s",
            "%(text)s. %(more)s": "%(text)s。%(more)s",
            "%(text)s %(more)s": "%(text)s%(more)s",
            "%(name)s: %(value)s": "%(name)s：%(value)s",
            "Lapsed: %s": "已失效：%s",
            "Missing: %s": "缺少：%s",
        }
        day = clock.get_today(self.env.company).replace(month=3, day=19)
        criteria = self.env["key.account.relationship.criterion"].create(
            [
                {"name": f"Criterion {n}", "level": "partner", "kind": "judged"}
                for n in range(3)
            ]
        )
        states = ("lapsed", "missing", "missing")
        gap = [
            {"id": criterion.id, "state": state, "date": str(day)}
            for criterion, state in zip(criteria, states, strict=True)
        ]
        policy = self.env["key.account.policy"]
        with patch.object(
            code_translations, "get_python_translations", lambda *_: chinese
        ):
            for lang, joined, gaps, run in (
                (
                    "en_US",
                    ("a, b", "a; b", "a. b", "a b", "a: b"),
                    "Lapsed: Criterion 0 (Mar 19). Missing: Criterion 1; Criterion 2",
                    "0 accounts moved and 0 changes proposed",
                ),
                (
                    "zh_CN",
                    ("a，b", "a；b", "a。b", "ab", "a：b"),
                    "已失效：Criterion 0 (3月19日)。缺少：Criterion 1；Criterion 2",
                    "0 accounts moved和0 changes proposed",
                ),
            ):
                env = self.env(context={**self.env.context, "lang": lang})
                self.assertEqual(words.join_named(env, "a", "b"), joined[-1])
                self.assertEqual(words.get_label(env, "a"), joined[-1].rstrip(" b"))
                joins = (
                    words.join_facts,
                    words.join_clauses,
                    words.join_sentences,
                    words.join_said,
                )
                for join, text in zip(joins, joined[:-1], strict=True):
                    self.assertEqual(join(env, ["a", False, "b", ""]), text)
                    self.assertEqual(join(env, []), "")
                self.assertEqual(criteria.with_env(env)._get_gap_text(gap), gaps)
                self.assertEqual(policy.with_env(env)._get_run_text(0, 0, 0), run)
