"""Checks the manifest of a wheel: every module of the package, the type marker, the licence, the command; no tests."""

from __future__ import annotations

import sys
import zipfile
from email.parser import Parser
from pathlib import Path


def problems_of(wheel: Path) -> list[str]:
    """What is missing from the wheel or should not be in it."""
    root = Path(__file__).resolve().parent.parent
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        information = next(name for name in names if name.endswith(".dist-info/METADATA")).rpartition("/")[0]
        metadata = Parser().parsestr(archive.read(f"{information}/METADATA").decode())
        entry_points = archive.read(f"{information}/entry_points.txt").decode()
    packaged = {name for name in names if not name.startswith(information)}
    expected = {
        path.relative_to(root).as_posix()
        for path in (root / "tsds_stream").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    problems = [f"missing: {name}" for name in sorted(expected - packaged)]
    problems += [f"should not be there: {name}" for name in sorted(packaged - expected)]
    if "tsds_stream/py.typed" not in packaged:
        problems.append("missing: tsds_stream/py.typed, so that users get no types")
    if not any(name.endswith("/LICENSE") for name in names):
        problems.append("missing: LICENSE")
    if "tsds-stream = tsds_stream.cli:main" not in entry_points:
        problems.append("missing: the command tsds-stream")
    version = (root / "tsds_stream" / "__init__.py").read_text()
    if f'__version__ = "{metadata["Version"]}"' not in version:
        problems.append(f"version {metadata['Version']} is not the one in tsds_stream/__init__.py")
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    problems += [f"not for everybody: {line}" for line in required if line.startswith(("torch", "pyarrow", "faiss"))]
    return problems


if __name__ == "__main__":
    found = problems_of(Path(sys.argv[1]))
    print("\n".join(found) or f"{Path(sys.argv[1]).name}: complete")
    sys.exit(bool(found))
