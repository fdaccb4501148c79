"""What the addon says: for the test of its catalogues, and for `make i18n`."""

import io

import polib

from odoo.tools.translate import trans_export

ADDON = "crm_key_account"
# In the same folder, but other addons, and nothing that a user reads
OTHERS = tuple(f"code:addons/{ADDON}/{folder}/" for folder in ("companions", "tests"))


def export(env):
    """Return all terms of the addon in ``env`` as a catalogue."""
    with io.BytesIO() as exported:
        trans_export(False, [ADDON], exported, "po", env)
        catalogue = polib.pofile(exported.getvalue().decode(), wrapwidth=78)
    for entry in [*catalogue]:
        entry.occurrences = [
            place for place in entry.occurrences if not place[0].startswith(OTHERS)
        ]
        if not entry.occurrences:
            catalogue.remove(entry)
    return catalogue
