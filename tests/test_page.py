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
    "Administrator",
    "All documents",
    "Apps",
    "Configuration",
    "CRM",
    "Dashboards",
    "Geo Localization",
    "Open Record",
    "Own documents",
    "Print",
    "Privacy Logs",
    "Privacy Lookup",
    "Reporting",
    "Sales",
    "Sales Teams",
    "Technical",
    "Update Apps List",
    "Upgrade",
    "View",
}


@tagged("post_install", "-at_install")
class TestGuides(TransactionCase):
    """README and guides; an installed addon comes without the latter."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = Path(Manifest.for_addon(ADDON).path)
        cls.texts = {
            path: re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
            for path in cls.folder.glob("docs/*.md")
        }
        if cls.texts:
            path = cls.folder / "README.md"
            cls.texts[path] = path.read_text()

    def test_names(self):
        """What they print in italics is said on a screen, or is no name."""
        template = polib.pofile(self.folder / f"i18n/{ADDON}.pot")
        said = {entry.msgid.strip() for entry in template} | CORES
        for path, text in self.texts.items():
            if path.stem in ("architecture", "performance"):
                continue
            for match in re.finditer(r"(?<!\*)\*(?![*\s])([^*]+)\*(?!\*)", text):
                for name in " ".join(match[1].split()).split(" › "):
                    with self.subTest(f"{path.name}: {name}"):
                        self.assertTrue(name in said or name.islower())
            if path.stem != "try_it":
                continue
            # where the story is, in bold: menus, tabs, buttons
            for match in re.finditer(r"\*\*([^*]+)\*\*", text):
                for name in " ".join(match[1].split()).split(" › "):
                    with self.subTest(f"{path.name}: {name}"):
                        self.assertIn(name, said)

    def test_links(self):
        """Links and pictures lead somewhere, and each picture is shown."""
        shown = set()
        for path, text in self.texts.items():
            for target in re.findall(r"\]\(([^)]+)\)|src=\"([^\"]+)\"", text):
                target = "".join(target)
                if "://" in target:
                    continue
                name, _, part = target.partition("#")
                file = (path.parent / name).resolve() if name else path
                with self.subTest(f"{path.name}: {target}"):
                    self.assertTrue(file.is_file())
                    if part:
                        heading = rf"^#+ {part.replace('-', '[- ]')}$"
                        self.assertRegex(
                            file.read_text(), re.compile(heading, re.I | re.M)
                        )
                shown.add(file)
        for file in self.folder.glob("docs/images/*"):
            self.assertIn(file.resolve(), shown)
