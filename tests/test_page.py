import re
import runpy
from pathlib import Path

import lxml.html
import polib

from odoo.modules import Manifest
from odoo.tests import TransactionCase, tagged

ADDON = "crm_key_account"


@tagged("post_install", "-at_install")
class TestPage(TransactionCase):
    """The page that Apps shows is as the README says: `make page` renews it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = Path(Manifest.for_addon(ADDON).path)
        cls.page = (cls.folder / "static/description/index.html").read_text()

    def test_is_of_this_readme(self):
        generator = self.folder / "dev/environment/page.py"
        if not generator.exists():
            return  # an installed addon, which comes without it
        render = runpy.run_path(str(generator))["render"]
        readme = (self.folder / "README.md").read_text()
        self.assertEqual(self.page, render(readme), "run `make page`")

    def test_stands_alone(self):
        """No script and no link, and each picture comes with it."""
        page = lxml.html.document_fromstring(self.page)
        self.assertFalse(page.xpath("//script|//a|//link|//iframe|//@style"))
        pictures = page.xpath("//img/@src")
        self.assertTrue(pictures)
        pictures += [
            name.removeprefix("static/description/")
            for name in Manifest.for_addon(ADDON)["images"]
        ]
        for name in pictures:
            with self.subTest(name):
                self.assertTrue((self.folder / "static/description" / name).is_file())

    def test_apps_shows_all_of_it(self):
        """Odoo cleans the page: nothing that the page needs goes."""
        module = self.env["ir.module.module"].search([("name", "=", ADDON)])
        shown = lxml.html.document_fromstring(module.description_html)
        page = lxml.html.document_fromstring(self.page)
        self.assertEqual(shown.text_content().split(), page.text_content().split())
        self.assertEqual(len(shown.xpath("//img")), len(page.xpath("//img")))
        for source in shown.xpath("//img/@src"):
            self.assertTrue(source.startswith(f"/{ADDON}/static/description/"), source)


# What the guides name of Odoo's own
CORES = {
    "Apps",
    "Configuration",
    "CRM",
    "Dashboards",
    "Geo Localization",
    "Print",
    "Reporting",
    "Sales",
    "Sales Teams",
    "Update Apps List",
    "Upgrade",
    "View",
}


@tagged("post_install", "-at_install")
class TestGuides(TransactionCase):
    def test_names(self):
        """What the guides print in italics is said on a screen, or is no name."""
        folder = Path(Manifest.for_addon(ADDON).path)
        template = polib.pofile(folder / f"i18n/{ADDON}.pot")
        said = {entry.msgid.strip() for entry in template} | CORES
        guides = {*folder.glob("docs/*.md"), folder / "README.md"}
        for path in guides:
            if path.stem in ("architecture", "performance"):
                continue
            text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
            for match in re.finditer(r"(?<!\*)\*(?![*\s])([^*]+)\*(?!\*)", text):
                for name in " ".join(match[1].split()).split(" › "):
                    with self.subTest(f"{path.name}: {name}"):
                        self.assertTrue(name in said or name.islower())
