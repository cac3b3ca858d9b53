"""axe-core, fetched once by npm into the user's cache, and compared with the checksum that is kept here."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

_PACKAGE = "axe-core"
_VERSION = "4.14.1"
_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="


class AxeError(Exception):
    """It could not be fetched, or is not what was asked for."""


def missing() -> str | None:
    """What is to be installed before the script can be had, or None."""
    if _archive().exists() or shutil.which("npm"):
        return None
    return "npm is not installed, which fetches axe-core for this test (Debian: npm)"


def script() -> str:
    """The source of axe-core. Raises `AxeError`."""
    archive = _archive()
    if not archive.exists():
        _fetch(archive)
    content = archive.read_bytes()
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != _SHA512:
        raise AxeError(f"{archive} has sha512 {found}, expected was {_SHA512}: delete it to have it fetched again")
    with tarfile.open(archive) as opened:
        member = opened.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def _archive() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tsds-stream" / "npm" / f"{_PACKAGE}-{_VERSION}.tgz"


def _fetch(archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as work:
        command = ["npm", "pack", "--silent", "--pack-destination", work, f"{_PACKAGE}@{_VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, cwd=work)
        if done.returncode:
            raise AxeError(f"npm could not fetch {_PACKAGE} {_VERSION}: {(done.stdout + done.stderr)[-2000:]}")
        (Path(work) / archive.name).replace(archive)  # whole or not at all, whoever else fetches it now
