"""The rules of the house: what keeps the code easy to read, quick to import and fit to be published."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = sorted((ROOT / "tsds_stream").rglob("*.py"))
SOURCES = [*PACKAGE, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
LONGEST = 400
SLOW_IMPORTS = {"torch", "pyarrow", "hnswlib", "wordllama", "matplotlib", "scipy", "sentence_transformers", "rich"}

# What numbers may not know: the world.
WORLDLY = {"os", "io", "socket", "time", "datetime", "threading", "logging", "random", "sqlite3", "subprocess", "kafka"}
NEEDED = {
    "blas.py": {"threading"},  # products limit the BLAS threads of the process, and several may run at once
    "locks.py": {"threading"},  # hnswlib is not safe for a writer beside readers
    "hnsw.py": {"threading"},  # a graph is rebuilt in the background
    "index_files.py": {"os"},  # hnswlib writes its files itself and reports no error: they are checked
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("tsds_stream", set()),
        ("tsds_stream.cli", set()),
        ("tsds_stream.config", set()),
        ("tsds_stream.engine", {"hnswlib"}),
    ],
)
def test_importing_a_module_imports_nothing_slow(module: str, needed: set[str]):
    code = f"import sys, {module}; print(*sorted({SLOW_IMPORTS - needed!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_help_does_not_even_import_numpy():
    code = (
        "import sys; from tsds_stream.cli import main; status = main(['--help']); "
        "print(status, *sorted({'numpy', 'pydantic', 'rich'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.split() == ["0"]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_is_one_idea(path: Path):
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST, f"{name_of(path)} has {lines} lines"
    assert path.name not in {"utils.py", "helpers.py", "misc.py", "common.py"}


@pytest.mark.parametrize("path", PACKAGE, ids=name_of)
def test_every_module_says_what_it_is(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{name_of(path)} has no docstring"


@pytest.mark.parametrize("path", sorted((ROOT / "tsds_stream" / "selection").glob("*.py")), ids=name_of)
def test_numbers_know_nothing_of_the_world(path: Path):
    assert not {name.split(".")[0] for name in imports_of(path)} & (WORLDLY - NEEDED.get(path.name, set()))


def test_the_selection_package_depends_on_nothing_above_it():
    above = ("tsds_stream.engine", "tsds_stream.streams", "tsds_stream.embedding", "tsds_stream.commands")
    for path in (ROOT / "tsds_stream" / "selection").glob("*.py"):
        assert not [name for name in imports_of(path) if name.startswith(above)], name_of(path)


def public_texts() -> list[Path]:
    suffixes = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".txt", ".cfg", ".sh", ""}
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, cwd=ROOT
    )
    if listed.returncode:  # a source distribution: everything that is there is public
        paths = [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    else:
        paths = [ROOT / name for name in listed.stdout.splitlines()]
    return [path for path in paths if path.suffix in suffixes and path.is_file()]


def test_no_text_names_a_machine_or_a_place_on_it():
    private = re.compile(r"(?<![\w.$}])/(?:home|root|Users|work|mnt|farm)/\w")
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in public_texts()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(errors="ignore").splitlines(), 1)
        if private.search(line)
    ]
    assert found == []


def test_nothing_is_left_to_be_done():
    mark = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [name_of(path) for path in SOURCES if path != Path(__file__) and mark.search(path.read_text())]
    assert found == []


def test_no_test_is_skipped_without_a_reason_outside_of_us():
    """An extra that is not installed is such a reason, for a whole file: importorskip, or skip at module level.

    So is a machine that cannot run a Kafka server, of which one function of the fixtures decides, and CI does not.
    """
    skip = re.compile(r"pytest\.(mark\.)?(skip|xfail)\b")
    exempt = {Path(__file__), ROOT / "tests" / "kafka" / "fixtures.py"}
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path not in exempt]
    lines = [(path, line) for path in tests for line in path.read_text().splitlines() if skip.search(line)]
    assert [f"{name_of(path)}: {line}" for path, line in lines if "allow_module_level" not in line] == []


def test_selection_parameters_have_one_definition():
    """Their names stand in the settings of the selector, and no command declares an option for one again."""
    from tsds_stream.selection.settings import SelectorConfig

    flags = {"--" + name.replace("_", "-") for name in SelectorConfig.model_fields}
    for path in (ROOT / "tsds_stream" / "commands").glob("*.py"):
        declared = set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', path.read_text()))
        assert not declared & flags, name_of(path)
