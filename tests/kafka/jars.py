"""The server's jars: fetched once by Maven into the user's cache, and compared with the checksums kept here.

`brokers/<version>/pom.xml` pins the versions; `jars.sha256` beside it says what may run, as `sha256sum -c` reads it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BROKERS = Path(__file__).resolve().parent / "brokers"
VERSIONS = ("3.9", "4.1")
JAVA_NEEDED = 17


class BrokerError(Exception):
    """No broker can be started here; the message says what to install or repair."""


class NotInstalledError(BrokerError):
    """The machine has no JVM, or neither Maven nor jars that it fetched before."""


def chosen_version() -> str:
    """The version of Apache Kafka that `TSDS_TEST_KAFKA_VERSION` asks for."""
    version = os.environ.get("TSDS_TEST_KAFKA_VERSION") or VERSIONS[0]
    if version not in VERSIONS:
        raise BrokerError(f"TSDS_TEST_KAFKA_VERSION={version}: there are {' and '.join(VERSIONS)}")
    return version


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tsds-stream" / "kafka"


def java() -> str:
    """The path of a Java of at least version 17."""
    home = os.environ.get("JAVA_HOME")
    path = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if path is None:
        raise NotInstalledError(
            f"no Java is installed: install a JRE >= {JAVA_NEEDED} (Debian: openjdk-17-jre-headless)"
        )
    said = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=60).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found.group(1)) < JAVA_NEEDED:
        words = said.strip().partition("\n")[0]
        raise NotInstalledError(f"{path} is too old ({words}): install a JRE >= {JAVA_NEEDED}, or set JAVA_HOME")
    return path


def installed(version: str) -> str | None:
    """What is to be installed before a broker can be started, or None when nothing is missing."""
    try:
        java()
        if not _jars(version).is_dir():
            _maven()
    except NotInstalledError as error:
        return str(error)
    return None


def libraries(version: str) -> Path:
    """The folder that holds exactly the jars listed for a version, fetched when they are not there yet.

    Safe when several processes ask at once.

    Raises:
        NotInstalledError: there are no jars and no Maven that could fetch them.
        BrokerError: Maven could not fetch them, or they are not the listed ones.
    """
    folder = _jars(version)
    with _locked(folder.parent):
        if not folder.is_dir():
            _fetch(version, folder)
        stamp = folder.parent / "verified"
        seen = _seen(folder, BROKERS / version / "jars.sha256")
        if not stamp.exists() or stamp.read_text() != seen:
            verify(folder, BROKERS / version / "jars.sha256")
            stamp.write_text(seen)
    return folder


def verify(folder: Path, listed: Path) -> None:
    """Compare every jar of a folder with a list of checksums.

    Raises:
        BrokerError: a jar differs, is missing, or is not on the list.
    """
    expected = {name: digest for digest, name in map(str.split, listed.read_text().splitlines())}
    present = {path.name: path for path in folder.iterdir()}
    wrong = [f"{name} is missing" for name in sorted(expected.keys() - present.keys())]
    wrong += [f"{name} is not on the list" for name in sorted(present.keys() - expected.keys())]
    for name in sorted(expected.keys() & present.keys()):
        digest = hashlib.sha256(present[name].read_bytes()).hexdigest()
        if digest != expected[name]:
            wrong.append(f"{name} has sha256 {digest}, listed is {expected[name]}")
    if wrong:
        raise BrokerError(
            f"the jars in {folder} are not those of {listed}, and are not run: {'; '.join(wrong)}. "
            "Delete that folder to have them fetched again."
        )


def _jars(version: str) -> Path:
    return cache_folder() / version / "jars"


def _maven() -> str:
    path = shutil.which("mvn")
    if path is None:
        raise NotInstalledError("no Maven is installed, which fetches the broker: install it (Debian: maven)")
    return path


def _fetch(version: str, folder: Path) -> None:
    maven = _maven()
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        target = Path(work) / "jars"
        command = [maven, "-B", "-q", "-f", str(BROKERS / version / "pom.xml"), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={target}"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-2000:]
            raise BrokerError(f"Maven could not fetch Apache Kafka {version} ({' '.join(command)}): {said}")
        verify(target, BROKERS / version / "jars.sha256")
        target.rename(folder)


def _seen(folder: Path, listed: Path) -> str:
    """What changes when a jar or the list changes, without reading 46 MB."""
    rows = [hashlib.sha256(listed.read_bytes()).hexdigest()]
    for path in sorted(folder.iterdir()):
        status = path.stat()
        rows.append(f"{path.name} {status.st_size} {status.st_mtime_ns} {status.st_ino}")
    return "\n".join(rows)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
