"""Debian packages without root and without touching the system.

apt is run on lists, a cache and a state of our own; packages are downloaded by
it (so their signatures are checked) and unpacked with `dpkg -x` into a folder.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from . import base
from .base import HOME, Failure, output, progress_bar, run, step

APT = HOME / "apt"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# For how long fetched package lists are taken as they are
LISTS_AGE = 24 * 3600


class Apt:
    """apt-get on a folder of its own, with the machine's sources or the given one."""

    def __init__(self, name, source=None):
        self.folder = APT / name
        self.source = source
        for sub in ("lists/partial", "cache/archives/partial"):
            (self.folder / sub).mkdir(parents=True, exist_ok=True)
        self.options = [
            f"-oDir::State::Lists={self.folder}/lists",
            f"-oDir::Cache={self.folder}/cache",
            # The machine's lock files need root, and nothing of theirs is written
            "-oDebug::NoLocking=1",
            "-oAcquire::Languages=none",
            # root's _apt user couldn't write into our folder
            "-oAPT::Sandbox::User=root",
        ]
        if source:
            listing = self.folder / "sources.list"
            listing.write_text(source + "\n")
            self.options += [
                f"-oDir::Etc::sourcelist={listing}",
                "-oDir::Etc::sourceparts=/dev/null",
            ]

    def get(self, *arguments):
        return ["apt-get", *self.options, *arguments]

    def update(self):
        """Fetch the package lists, unless that was done lately."""
        stamp = self.folder / "updated"
        made = base.stamp_of(self.source)
        if (
            stamp.exists()
            and stamp.read_text() == made
            and time.time() - stamp.stat().st_mtime < LISTS_AGE
        ):
            return
        log = base.new_log("apt")
        try:
            run(self.get("update"), "fetching apt's package lists", "apt")
        except Failure:
            # Another source of the machine's may be broken: what counts is whether
            # a list came from the distribution, and that's seen when it is used.
            if not any((self.folder / "lists").glob("*_Packages*")):
                raise
        text = log.read_text(errors="replace")
        if not any((self.folder / "lists").glob("*_Packages*")):
            raise Failure(base.explain("fetching apt's package lists", log))
        # apt ends well without a network too, on the lists it had
        if "W: Some index files failed" not in text:
            stamp.write_text(made)

    def needed(self, packages):
        """The packages, and what they depend on and the machine hasn't."""
        text = output(
            self.get("install", "-s", "--no-install-recommends", *packages),
            check=False,
        )
        if text is None:
            return None
        found = re.findall(r"^Inst (\S+)", text, re.M)
        # A package that the machine has already isn't in the list, and isn't needed
        return found

    def unpack(self, packages, target, missing):
        """Download the packages with a bar, and unpack them into `target`."""
        debs = self.folder / "debs"
        debs.mkdir(exist_ok=True)
        listing = output(self.get("download", "--print-uris", *packages), check=False)
        sizes = dict(
            (name, int(size))
            for name, size in re.findall(r"^'[^']*' (\S+) (\d+)", listing or "", re.M)
        )
        if len(sizes) < len(packages):
            raise Failure(missing)
        total = sum(sizes.values())
        base.need_space(total * 10 // 1000000, "what is about to be unpacked")
        done = {
            name
            for name, size in sizes.items()
            if (debs / name).exists() and (debs / name).stat().st_size == size
        }
        wanted = [p for p in packages if not any(_is_of(name, p) for name in done)]
        if wanted:
            self._download(wanted, debs, total, sizes)
        for name in sizes:
            run(["dpkg", "-x", debs / name, target], f"unpacking {name}", "apt")
        shutil.rmtree(debs)

    def _download(self, packages, debs, total, sizes):
        log = base.new_log("apt")
        state = {}
        with open(log, "a") as file:
            process = subprocess.Popen(
                self.get("download", *packages),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=debs,
                env=base.environ(),
            )
            try:
                while process.poll() is None:
                    progress_bar(_size(debs), total, state)
                    time.sleep(0.3)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if process.returncode:
            raise Failure(base.explain("downloading packages", log))
        progress_bar(total, total, state)
        for name in sizes:
            if not (debs / name).exists():
                raise Failure(base.explain(f"downloading {name}", log))


def _is_of(file_name, package):
    return file_name.startswith(f"{package.split(':')[0]}_")


def _size(folder):
    total = 0
    for entry in os.scandir(folder):
        try:
            total += entry.stat().st_size
        except OSError:
            pass
    return total


def need_apt(hint):
    for tool in ("apt-get", "dpkg"):
        if not shutil.which(tool):
            raise Failure(f"This machine has no {tool}: {hint}")


def machine():
    """apt with the machine's own sources, and lists of our own."""
    apt = Apt("machine")
    apt.update()
    return apt


def unstable(hint):
    """apt with Debian's unstable suite, from the mirror that the machine uses."""
    own = machine()
    targets = output(
        own.get(
            "indextargets",
            "--format",
            "$(REPO_URI) $(ORIGIN) $(LABEL)",
            "Created-By: Packages",
        )
    )
    for line in targets.splitlines():
        uri, _, names = line.partition(" ")
        if names == "Debian Debian":
            break
    else:
        raise Failure(f"This machine's apt has no source of Debian's: {hint}")
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    apt = Apt("unstable", f"deb {signed}{uri} unstable main")
    step("Fetching the package list of Debian unstable")
    apt.update()
    return apt
