"""Odoo 19: the one that ODOO_HOME names, or Debian unstable's, unpacked."""

import os
import re
import shutil
from pathlib import Path

from . import apt, base, python
from .base import ADDONS, HOME, Failure, is_made, step

PREFIX = HOME / "odoo"
CONFIG = HOME / "odoo.conf"
DATA = HOME / "data"
PACKAGES = (
    "odoo-19",
    # Odoo's static files are links to these packages' files
    "fonts-montserrat",
    "fonts-roboto-unhinted",
    "fonts-ocr-b",
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
)
HINT = "name an Odoo 19 that you have, a checkout or an installation, with ODOO_HOME=…"
MISSING = f"Debian unstable no longer has the package odoo-19: {HINT}."


class Odoo:
    """Where Odoo's code is, and how to run it."""

    def __init__(self, package):
        self.package = package  # the folder `odoo` that Python imports
        release = package / "release.py"
        version = re.search(
            r"^version_info = \((\d+|'[^']*')", release.read_text(), re.M
        )
        if not version or not version[1].strip("'").endswith("19"):
            raise Failure(f"{package} isn't Odoo 19: {HINT}.")

        self.path = package.parent  # for PYTHONPATH
        if self.path.name.endswith("-packages") and HOME not in package.parents:
            # Other packages lie beside it, made for another Python than ours
            self.path = HOME / "odoo_link" / base.stamp_of(str(package))
            self.path.mkdir(parents=True, exist_ok=True)
            if not (self.path / "odoo").is_symlink():
                (self.path / "odoo").symlink_to(package)

    @property
    def addons_path(self):
        """A checkout keeps the business addons beside the package, not in it."""
        folders = [self.package / "addons", self.package.parent / "addons"]
        found = [f for f in folders if any(f.glob("*/__manifest__.py"))]
        return [*found, ADDONS]

    @property
    def command(self):
        return [python.PYTHON, "-m", "odoo"]

    def environ(self, **more):
        return base.environ(
            **{
                "PYTHONPATH": self.path,
                "ODOO_RC": CONFIG,
                "KEY_ACCOUNT_CDNOW": python.CDNOW,
                **more,
            }
        )

    def find(self, addon):
        for folder in self.addons_path:
            if (folder / addon).is_dir():
                return folder / addon
        raise Failure(f"This Odoo has no addon {addon}: {HINT}.")


def find_odoo():
    """The Odoo to use; Debian's is fetched the first time."""
    named = os.environ.get("ODOO_HOME")
    if named:
        return Odoo(_package_of(Path(os.path.abspath(os.path.expanduser(named)))))
    _make_prefix()
    return Odoo(PREFIX / "usr/lib/python3/dist-packages/odoo")


def _package_of(folder):
    """The folder of the Python package `odoo` in what ODOO_HOME names."""
    candidates = [folder]  # a checkout, or a folder on a PYTHONPATH
    candidates += folder.glob("usr/lib/python3*/*-packages")  # a prefix
    candidates += folder.glob("lib/python3*/*-packages")  # a venv
    for candidate in candidates:
        if (candidate / "odoo/release.py").exists():
            return candidate / "odoo"
    interpreter = folder / "bin/python"
    if interpreter.exists():  # a venv where a checkout is installed as editable
        code = "import odoo.release; print(odoo.release.__file__)"
        found = base.output([interpreter, "-c", code], check=False)
        if found:
            return Path(found.strip()).parent
    raise Failure(
        f"ODOO_HOME={folder} holds no Odoo: name a source checkout with odoo-bin, a "
        "prefix with usr/bin/odoo, or a venv where `import odoo` works."
    )


def _make_prefix():
    made = base.stamp_of(*PACKAGES)
    if is_made(PREFIX, made):
        return
    step("Looking for Odoo 19 in Debian unstable")
    apt.need_apt(HINT + ".")
    base.need_space(2000, "Odoo")
    unstable = apt.unstable(HINT + ".")
    with base.made_aside(PREFIX, made) as folder:
        step("Downloading and unpacking Odoo 19")
        unstable.unpack(PACKAGES, folder, MISSING)
        _add_missing_files(folder / "usr/lib/python3/dist-packages/odoo/addons")


def _add_missing_files(addons):
    """Two sets of files that Debian's package leaves out, taken from npm.

    It links to FontAwesome 4.7, which unstable has no more, and drops a file that the
    web client loads: without it every browser test fails on a console error.
    """
    modules = python.NODE / "node_modules"
    for folder in ("src/libs/fontawesome/fonts", "lib/fontawesome/fonts"):
        for link in (addons / "web/static" / folder).iterdir():
            source = modules / "font-awesome/fonts" / link.name
            if source.exists() and not link.exists():
                link.unlink()
                shutil.copy(source, link)
    target = addons / "mail/static/lib/selfie_segmentation"
    source = modules / "@mediapipe/selfie_segmentation"
    target.mkdir(exist_ok=True)
    for file in source.glob("selfie_segmentation.js"):
        if not (target / file.name).exists():
            shutil.copy(file, target)


def write_config(odoo, database):
    """Odoo's configuration; what differs per command is given on its line."""
    lines = [
        "[options]",
        f"addons_path = {','.join(map(str, odoo.addons_path))}",
        f"data_dir = {DATA}",
        f"db_host = {database['host']}",
        f"db_port = {database['port']}",
        f"db_user = {database['user']}",
        # A password stays in PGPASSWORD, which the database client reads
        "admin_passwd = admin",
        f"screenshots = {base.LOG}/screenshots",
        "list_db = False",
        "max_cron_threads = 1",
        "limit_time_cpu = 3600",
        "limit_time_real = 3600",
        "",
    ]
    text = "\n".join(lines)
    if not CONFIG.exists() or CONFIG.read_text() != text:
        new = CONFIG.with_suffix(f".{os.getpid()}")
        new.write_text(text)
        new.rename(CONFIG)
