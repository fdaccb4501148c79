from pathlib import Path

import polib

from odoo.modules import Manifest
from odoo.tests import TransactionCase, tagged

from .terms import ADDON, export


@tagged("post_install", "-at_install")
class TestTranslations(TransactionCase):
    """The catalogues say what the addon says: `make i18n` renews them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.said = _get_terms(export(cls.env))
        cls.folder = Path(Manifest.for_addon(ADDON).path) / "i18n"

    def _check(self, catalogue):
        terms = _get_terms(catalogue)
        self.assertFalse(self.said - terms, "missing")
        self.assertFalse(terms - self.said, "nobody says so any more")

    def test_template(self):
        self.assertTrue(self.said)
        self._check(polib.pofile(self.folder / f"{ADDON}.pot"))

    def test_translations(self):
        paths = list(self.folder.glob("*.po"))
        self.assertTrue(paths)
        for path in paths:
            with self.subTest(path.name):
                catalogue = polib.pofile(path)
                self._check(catalogue)
                unsaid = catalogue.untranslated_entries() + catalogue.fuzzy_entries()
                self.assertFalse([entry.msgid for entry in unsaid])


def _get_terms(catalogue):
    return {entry.msgid for entry in catalogue if not entry.obsolete}
