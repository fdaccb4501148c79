"""Write the template of translations anew, and bring the translations in line with it:
`make i18n`.

A script for Odoo's shell on a new database of the tests. What a translation misses is
left untranslated, what nobody says any more goes.
"""

from pathlib import Path

import polib

from odoo.modules import Manifest

from odoo.addons.crm_key_account.tests.terms import ADDON, export


def renew(env):
    folder = Path(Manifest.for_addon(ADDON).path) / "i18n"
    template = export(env)
    template.save(folder / f"{ADDON}.pot")
    for path in sorted(folder.glob("*.po")):
        catalogue = polib.pofile(path, wrapwidth=78)
        catalogue.merge(template)
        for entry in catalogue.obsolete_entries():
            catalogue.remove(entry)
        catalogue.sort(key=lambda entry: entry.msgid)
        for name in ("POT-Creation-Date", "Project-Id-Version"):
            catalogue.metadata[name] = template.metadata[name]
        catalogue.save(path)
        print(
            f"{path.name}: {len(catalogue.translated_entries())} translated, "
            f"{len(catalogue.untranslated_entries())} not, "
            f"{len(catalogue.fuzzy_entries())} fuzzy"
        )
    print(f"{ADDON}.pot: {len(template)} entries")


renew(env)  # noqa: F821 - the shell's own
