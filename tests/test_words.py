import re
from pathlib import Path

from odoo.tests import TransactionCase, tagged

from ..models.account import clock

ROOT = Path(__file__).parents[1]
# Where days of ours are written: Python's sentences, and the client's.
FOLDERS = ("models", "wizard", "report", "data", "static/src")
# Odoo's numeric day; months of a chart have no day.
NUMERIC_PY = re.compile(r"\bformat_date\((?![^)]*MMM yy)")
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
