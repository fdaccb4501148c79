"""A headless Chromium for the browser tests: the machine's, or unpacked here."""

import os
import shutil
from pathlib import Path

from . import apt, base
from .base import BIN, HOME, Failure, is_made, output, step

PREFIX = HOME / "chromium"
# For pictures: about as wide as what Windows and macOS have
FONT_PACKAGE = "fonts-open-sans"
# The names that Odoo's test browser looks for
NAMES = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")
# With fonts, so that text has a width and screenshots can be read
PACKAGES = ("chromium", "fonts-dejavu-core")
WRAPPER = """#!/bin/sh
# Debian's Chromium, unpacked with what it needs: see dev/environment/browser.py
here={prefix}
export LD_LIBRARY_PATH={libraries}
export FONTCONFIG_FILE=$here/fonts.conf
export XDG_DATA_DIRS=$here/usr/share:${{XDG_DATA_DIRS:-/usr/local/share:/usr/share}}
exec $here/usr/lib/chromium/chromium "$@"
"""
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
    <dir>{prefix}/usr/share/fonts</dir>
    <dir>/usr/share/fonts</dir>
    <cachedir>{home}/cache/fontconfig</cachedir>
</fontconfig>
"""


def make_chromium():
    """Have one of NAMES on the PATH of the commands that we start."""
    path = os.environ.get("PATH", os.defpath)
    if any(shutil.which(name, path=path) for name in NAMES):
        (BIN / "chromium").unlink(missing_ok=True)
        return
    made = base.stamp_of(*PACKAGES)
    if is_made(PREFIX, made) and (BIN / "chromium").exists():
        return
    hint = "install Chromium or Chrome, for the browser tests."
    apt.need_apt(hint)
    step("Fetching Chromium for the browser tests (this machine has none)")
    own = apt.machine()
    packages = own.needed(PACKAGES)
    if not packages or "chromium" not in packages:
        raise Failure(f"This machine's apt has no package chromium: {hint}")
    with base.made_aside(PREFIX, made) as folder:
        own.unpack(packages, folder, f"apt can't fetch Chromium: {hint}")
    libraries = sorted(
        {
            str(file.parent)
            for file in PREFIX.glob("usr/lib/*-linux-gnu*/**/*.so*")
            if file.parent.name.endswith(("gnu", "gnueabihf", "pulseaudio"))
        }
        | {str(f) for f in PREFIX.glob("lib/*-linux-gnu*")}
    )
    (PREFIX / "fonts.conf").write_text(FONTS.format(prefix=PREFIX, home=HOME))
    wrapper = BIN / "chromium"
    new = wrapper.with_suffix(".new")
    new.write_text(WRAPPER.format(prefix=PREFIX, libraries=":".join(libraries)))
    new.chmod(0o755)
    _check(new)
    new.rename(wrapper)


def find_chromium():
    """The browser that make_chromium() found or fetched."""
    path = base.environ()["PATH"]
    return next(filter(None, (shutil.which(name, path=path) for name in NAMES)))


def make_fonts():
    """A folder with the fonts of the pictures."""
    folder = HOME / "fonts"
    made = base.stamp_of(FONT_PACKAGE)
    if not is_made(folder, made):
        hint = f"the font of the pictures, {FONT_PACKAGE}, is fetched with it."
        apt.need_apt(hint)
        step("Fetching the font of the pictures")
        with base.made_aside(folder, made) as aside:
            apt.machine().unpack([FONT_PACKAGE], aside, f"apt can't fetch {hint}")
    return folder


def _check(program: Path):
    """A missing library shows here, rather than as a skipped browser test."""
    if output([program, "--version"], check=False) is None:
        missing = output(["ldd", PREFIX / "usr/lib/chromium/chromium"], check=False)
        lines = [line for line in (missing or "").splitlines() if "not found" in line]
        raise Failure(
            f"The unpacked Chromium doesn't start ({'; '.join(lines) or 'no reason'})"
            ": install Chromium or Chrome on this machine."
        )
