"""What is damaged in an export or in the selection behind it is found, and named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.cli_cases import tsds
from tests.exporting.selections import Writer, content, export, names, request
from tsds_stream.cli import main
from tsds_stream.exit_status import ExitStatus
from tsds_stream.exporting.formats import FORMATS
from tsds_stream.loader.errors import DamagedRevisionError
from tsds_stream.streams.layout import Layout


@pytest.fixture
def writer(tmp_path: Path):
    writer = Writer(tmp_path / "selection")
    writer.publish(names(40))
    writer.publish(names(40, 10))
    yield writer
    writer.close()


@pytest.mark.parametrize("form", FORMATS)
def test_a_flipped_bit_anywhere_in_an_export_is_found(writer: Writer, tmp_path: Path, form: str, capsys) -> None:
    export(writer.root, tmp_path / "out", request(form, since=1))
    assert main(["export", "--check", str(tmp_path / "out")]) == ExitStatus.OK
    assert "0 damages found" in capsys.readouterr().out
    chosen = random.Random(form)
    for name, data in content(tmp_path / "out").items():
        broken = bytearray(data)
        broken[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        (tmp_path / "out" / name).write_bytes(broken)
        assert main(["export", "--check", str(tmp_path / "out")]) == ExitStatus.STATE
        said = capsys.readouterr()
        assert name in said.out + said.err
        assert "make it anew" in said.out + said.err
        (tmp_path / "out" / name).write_bytes(data)


def test_what_is_missing_cut_or_added_is_found_all_at_once(writer: Writer, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    export(writer.root, out, request())
    (out / "documents-00001.jsonl").unlink()
    (out / "documents-00002.jsonl").write_bytes(b"{}")
    (out / "documents-99999.jsonl").write_bytes(b"")
    assert main(["export", "--check", str(out)]) == ExitStatus.STATE
    said = capsys.readouterr().out
    assert f"{out / 'documents-00001.jsonl'} is missing." in said
    assert f"{out / 'documents-00002.jsonl'} has 2 bytes instead of" in said
    assert f"{out / 'documents-99999.jsonl'} is no part of the export." in said
    assert "3 damages found" in said


def test_a_damaged_selection_is_not_exported(writer: Writer, tmp_path: Path) -> None:
    path = Layout(writer.root).of("default").lines(1)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"probability", b"probabilitz"))
    with pytest.raises(DamagedRevisionError, match=r"00000001\.jsonl is damaged in line 1 "):
        export(writer.root, tmp_path / "out", request(revision=1))
    assert not (tmp_path / "out").exists()
    path.write_bytes(data)
    export(writer.root, tmp_path / "out", request(revision=1))


def test_a_revision_stays_while_it_is_exported(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "selection", keep=1)
    writer.publish(names(30))
    writer.publish(names(30, 10))
    export(writer.root, tmp_path / "before", request())

    from tests.faulty_disk import Crash, FaultyDisk

    class Meanwhile(FaultyDisk):
        """The writer publishes with every file that is written."""

        def __init__(self, most: int) -> None:
            super().__init__()
            self.most = most

        def write(self, path: Path, parts) -> None:
            if path.name.startswith("documents-"):
                self.most -= 1
                if not self.most:
                    raise Crash
                writer.publish(names(30, writer.number))
            super().write(path, parts)

    with pytest.raises(Crash):
        export(writer.root, tmp_path / "out", request(), Meanwhile(3))
    kept = sorted(path.name for path in Layout(writer.root).of("default").manifests.glob("*.json"))
    assert kept == ["00000002.json", f"{writer.number:08d}.json"]
    writer.publish(names(3))  # while nothing is exported; the lease goes on for an hour
    export(writer.root, tmp_path / "out", request(), Meanwhile(100))
    assert content(tmp_path / "out") == content(tmp_path / "before")
    writer.publish(names(3))
    writer.publish(names(3))
    assert [path.name for path in Layout(writer.root).of("default").manifests.glob("*.json")] == [
        f"{writer.number:08d}.json"
    ]
    writer.close()


def test_errors_have_exit_codes_and_say_what_to_do(writer: Writer, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def told(status: ExitStatus, *words: str | Path) -> str:
        done = tsds("export", *words)
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        return done.stderr

    assert "--output DIR" in told(ExitStatus.USAGE, writer.root)
    assert "stands alone" in told(ExitStatus.USAGE, writer.root, "--check", out)
    assert "expected latest or" in told(ExitStatus.USAGE, writer.root, "--output", out, "--revision", "newest")
    assert "1 byte to 2 GiB" in told(ExitStatus.USAGE, writer.root, "--output", out, "--shard-size", "3GiB")
    assert "It has 1, 2" in told(ExitStatus.STATE, writer.root, "--output", out, "--revision", "7")
    assert "Name a target set" in told(ExitStatus.STATE, writer.root, "--output", out, "--set", "other")
    assert "names no topics" in told(ExitStatus.INPUT, "kafka://x", "--output", out)
    assert "is not there: it has no export.json" in told(ExitStatus.STATE, "--check", out)
    assert not out.exists()
