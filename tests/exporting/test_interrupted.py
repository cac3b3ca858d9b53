"""An export that is interrupted anywhere leaves nothing under its name, goes on, and comes out the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exporting.selections import Writer, content, export, names, request
from tests.faulty_disk import CRASHES, Crash, FaultyDisk
from tsds_stream.durable import Disk
from tsds_stream.exporting.errors import ExportError

FORMS = [("jsonl", "zstd"), ("parquet", "none"), ("mds", "gzip")]


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory):
    writer = Writer(tmp_path_factory.mktemp("selection"))
    writer.publish(names(24))
    writer.publish(names(24, 6))
    yield writer
    writer.close()


def only(parent: Path) -> set[str]:
    return {path.name for path in parent.iterdir()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fault", CRASHES)
def test_death_at_any_operation_is_made_good_by_another_try(writer: Writer, tmp_path: Path, form, fault: str) -> None:
    asked = request(form[0], compression=form[1], since=1)
    disk = FaultyDisk()
    export(writer.root, tmp_path / "whole", asked, disk)
    whole, operations = content(tmp_path / "whole"), len(disk.operations)
    assert len([name for name in whole if name not in ("export.json", "index.json", "removed.jsonl")]) >= 3
    for at in range(0, operations, 2 if fault == "power" else 3):
        output = tmp_path / f"{at}" / "out"
        output.parent.mkdir()
        with pytest.raises(Crash):
            export(writer.root, output, asked, FaultyDisk(at, fault))
        assert not output.exists() or content(output) == whole
        export(writer.root, output, asked, FaultyDisk())
        assert content(output) == whole
        assert only(output.parent) == {"out"}


@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_is_told_and_the_export_goes_on_when_there_is_room(writer: Writer, tmp_path: Path, form) -> None:
    asked = request(form[0], compression=form[1])
    disk = FaultyDisk()
    whole = content_of(writer, tmp_path / "whole", asked, disk)
    for at in range(0, len(disk.operations), 2):
        output = tmp_path / f"{at}" / "out"
        output.parent.mkdir()
        with pytest.raises(ExportError, match=r"Could not export: no space is left for .*Free some space on the disk"):
            export(writer.root, output, asked, FaultyDisk(at, "full"))
        assert not output.exists() or content(output) == whole
        assert content_of(writer, output, asked, FaultyDisk()) == whole


def content_of(writer: Writer, output: Path, asked, disk: Disk) -> dict[str, bytes]:
    export(writer.root, output, asked, disk)
    return content(output)


class Counted(FaultyDisk):
    """Ends the work before the file of documents with this number is written."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self.most, self.files = most, 0

    def write(self, path: Path, parts) -> None:
        if path.name.startswith("documents-"):
            if self.files == self.most:
                raise Crash
            self.files += 1
        super().write(path, parts)


def interrupted(writer: Writer, output: Path, asked, files: int = 3) -> None:
    with pytest.raises(Crash):
        export(writer.root, output, asked, Counted(files))


def test_what_is_finished_is_not_written_again(writer: Writer, tmp_path: Path) -> None:
    whole = content_of(writer, tmp_path / "whole", request(), every := Counted())
    interrupted(writer, tmp_path / "out", request())
    assert content_of(writer, tmp_path / "out", request(), rest := Counted()) == whole
    assert rest.files == every.files - 3


@pytest.mark.parametrize("victim", ["files/documents-00001.jsonl", "finished/1.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_what_was_damaged_meanwhile_is_written_again(writer: Writer, tmp_path: Path, victim: str, damage: str) -> None:
    whole = content_of(writer, tmp_path / "whole", request(), every := Counted())
    interrupted(writer, tmp_path / "out", request())
    path = tmp_path / "out.tmp" / victim
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data if damage == "flip" else data[:-1])
    assert content_of(writer, tmp_path / "out", request(), rest := Counted()) == whole
    assert rest.files == every.files - 1


@pytest.mark.parametrize("change", [{"revision": 1}, {"since": 1}, {"compression": "gzip"}, {"shard_size": 3000}])
def test_an_export_of_something_else_begins_anew(writer: Writer, tmp_path: Path, change: dict[str, object]) -> None:
    interrupted(writer, tmp_path / "out", request())
    whole = content_of(writer, tmp_path / "whole", request(**change), FaultyDisk())
    assert content_of(writer, tmp_path / "out", request(**change), FaultyDisk()) == whole


def test_the_latest_revision_stays_the_one_that_was_begun(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "selection")
    writer.publish(names(24))
    whole = content_of(writer, tmp_path / "whole", request(), FaultyDisk())
    interrupted(writer, tmp_path / "out", request())
    writer.publish(names(30))
    assert content_of(writer, tmp_path / "out", request(), FaultyDisk()) == whole
    interrupted(writer, tmp_path / "other", request(revision=1))
    assert export(writer.root, tmp_path / "other", request(compression="gzip"))["revision"] == 2
    writer.close()


def test_an_export_that_was_taken_away_is_made_again(writer: Writer, tmp_path: Path) -> None:
    class Dies(FaultyDisk):
        def sync_directory(self, path: Path) -> None:
            if path == tmp_path and (tmp_path / "out").exists():
                raise Crash
            super().sync_directory(path)

    with pytest.raises(Crash):
        export(writer.root, tmp_path / "out", request(), Dies())
    whole = content(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    assert content_of(writer, tmp_path / "out", request(), FaultyDisk()) == whole


def test_one_process_at_a_time(writer: Writer, tmp_path: Path) -> None:
    class Another(FaultyDisk):
        def write(self, path: Path, parts) -> None:
            if path.name == "export.json":
                with pytest.raises(ExportError, match=r"has a writer already: process .* goes on when it is started"):
                    export(writer.root, tmp_path / "out", request())
            super().write(path, parts)

    export(writer.root, tmp_path / "out", request(), Another())


def test_an_export_that_is_there_is_left_alone(writer: Writer, tmp_path: Path) -> None:
    told = export(writer.root, tmp_path / "out", request())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert export(writer.root, tmp_path / "out", request()) == told
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    with pytest.raises(ExportError, match=r"out is another export: its revision is 2, and 1 was asked for\. Give"):
        export(writer.root, tmp_path / "out", request(revision=1))
    with pytest.raises(ExportError, match=r'its file_format is "jsonl", and "mds" was asked for'):
        export(writer.root, tmp_path / "out", request("mds"))


def test_what_is_no_export_is_left_alone(writer: Writer, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export(writer.root, tmp_path / "out", request())  # an empty folder is as good as none
    for name in ("file", "folder", "folder2.tmp"):
        path = tmp_path / name
        if name == "file":
            path.write_text("mine")
        else:
            path.mkdir()
            (path / "mine").write_text("mine")
    with pytest.raises(ExportError, match=r"file is there and is no export"):
        export(writer.root, tmp_path / "file", request())
    with pytest.raises(ExportError, match=r"folder is there and is no export"):
        export(writer.root, tmp_path / "folder", request())
    with pytest.raises(ExportError, match=r"folder2\.tmp is where the export is made, and holds something else \(mine"):
        export(writer.root, tmp_path / "folder2", request())
    assert only(tmp_path) == {"out", "file", "folder", "folder2.tmp"}
