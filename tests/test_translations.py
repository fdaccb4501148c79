from pathlib import Path

import polib
from lxml import etree

from odoo.modules import Manifest
from odoo.tests import TransactionCase, tagged

from .terms import ADDON, export

# What the search menu has room for beside its other columns, at 1,366 px: 149 px
FILTER_LENGTH = 22


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

    def test_names_of_filters_fit(self):
        """A name that the search menu cuts says too little."""
        ours = self.env["ir.model.data"].search(
            [("module", "=", ADDON), ("model", "=", "ir.ui.view")]
        )
        views = self.env["ir.ui.view"].browse(ours.mapped("res_id"))
        arches = [etree.fromstring(view.arch_db) for view in views]
        names = {
            name
            for arch in arches
            for name in arch.xpath("//filter[not(@invisible='1')]/@string")
        }
        self.assertGreater(len(names), 100)
        self._check_length(names)
        for path in self.folder.glob("*.po"):
            with self.subTest(path.name):
                said = {entry.msgid: entry.msgstr for entry in polib.pofile(path)}
                self._check_length(said.get(name, name) for name in names)

    def _check_length(self, names):
        self.assertFalse([name for name in names if len(name) > FILTER_LENGTH])


def _get_terms(catalogue):
    return {entry.msgid for entry in catalogue if not entry.obsolete}
