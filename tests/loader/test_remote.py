"""A copy of a selection behind fsspec is read through a cache, and each file is fetched once."""

from __future__ import annotations

import errno
import logging
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.streams.directory_cases import FIRST, MORE, SECOND, opened, published
from tsds_stream.durable import Disk
from tsds_stream.loader.cache import Cache
from tsds_stream.loader.errors import DamagedRevisionError, NoRevisionError, RevisionError
from tsds_stream.loader.remote import RemotePlace
from tsds_stream.loader.revisions import Revisions

fsspec = pytest.importorskip("fsspec")
MemoryFileSystem = fsspec.get_filesystem_class("memory")

TWO = (FIRST | MORE, SECOND | MORE)


@pytest.fixture(params=["memory", "file"])
def remote(request, tmp_path: Path):
    """A place behind fsspec, and how to copy a directory there."""
    if request.param == "file":
        (tmp_path / "remote").mkdir()
        yield f"file://{tmp_path}/remote/selection"
        return
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield "memory://bucket/selection"
    MemoryFileSystem.store.clear()


def upload(root: Path, url: str) -> None:
    fs, path = fsspec.core.url_to_fs(url)
    if fs.exists(path):
        fs.rm(path, recursive=True)
    for file in root.rglob("*"):
        if file.is_file():
            fs.pipe_file(f"{path}/{file.relative_to(root)}", file.read_bytes()) if url.startswith("memory") else (
                Path(path, file.relative_to(root)).parent.mkdir(parents=True, exist_ok=True),
                shutil.copy(file, Path(path, file.relative_to(root))),
            )


def change(url: str, name: str, content: bytes | None) -> None:
    """Replace or remove a file of the copy."""
    fs, path = fsspec.core.url_to_fs(url)
    if content is None:
        fs.rm(f"{path}/{name}")
    else:
        fs.pipe_file(f"{path}/{name}", content)


def read(url: str, name: str) -> bytes:
    fs, path = fsspec.core.url_to_fs(url)
    return fs.cat_file(f"{path}/{name}")


@pytest.fixture
def selection(tmp_path: Path, remote: str) -> str:
    published(tmp_path / "s", *TWO)
    sink = opened(tmp_path / "s", story_of(tmp_path / "s"))
    sink.heartbeat({"documents": 1}, 1234)
    sink.close()
    upload(tmp_path / "s", remote)
    return remote


def story_of(root: Path):
    class Any:
        def is_what(self, committed) -> bool:
            return True

    return Any()


def cached(cache: Path, end: str = "") -> list[str]:
    return sorted(path.name for path in cache.rglob(f"*{end}") if path.is_file() and "leases" not in path.parts)


def test_a_copy_is_read_as_the_directory_itself(selection: str, tmp_path: Path) -> None:
    here = Revisions.open(tmp_path / "s", "a")
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as there:
        assert there.numbers() == [1, 2]
        assert there.newest() == 2
        assert there.list() == here.list()
        assert there.heartbeat() == here.heartbeat() == 1234
        for number in (1, 2):
            assert list(there.at(number)) == list(here.at(number))
            there.at(number).verify()
        revision = there.latest()
    assert revision[0] == here.latest()[0]


def test_files_are_fetched_once_and_shared_by_revisions_and_runs(selection: str, tmp_path: Path) -> None:
    for _ in range(2):
        with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
            kept = [revisions.at(1), revisions.at(2)]
            names = cached(tmp_path / "cache")
            assert len(names) == len(kept) * 2 + 2 * 2 + 1
            stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*-*.*")}
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
        assert len(revisions.at(2)[:]) == 5
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("segments/*-*.*")}.items() <= (
        stamps.items()
    )


def test_what_is_in_no_use_leaves_the_cache_with_the_next_revision(selection: str, tmp_path: Path) -> None:
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
        revisions.at(1)
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
        revision = revisions.at(2)
        assert [name[:8] for name in cached(tmp_path / "cache", ".members")] == ["00000002"]
        revisions.at(1).verify()
        assert len(cached(tmp_path / "cache", ".members")) == 2
        revision.verify()
        revisions.hold(2, "checkpoint", 60.0)
    del revision
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
        revisions.at(1)
    assert len(cached(tmp_path / "cache", ".members")) == 2


def test_workers_read_what_the_main_process_has_fetched_and_ask_nobody(selection: str, tmp_path: Path) -> None:
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
        revision = revisions.latest()
        expected = list(revision)
        change(selection, "a/LATEST", None)
        shutil.rmtree(tmp_path / "s")
        code = "import pickle, sys; print([one['id'] for one in pickle.load(sys.stdin.buffer)])"
        done = subprocess.run(
            [sys.executable, "-c", code], input=pickle.dumps(revision), capture_output=True, check=True
        )
        assert done.stdout.decode().strip() == str([one["id"] for one in expected])


def test_without_a_cache_a_temporary_one_is_used_and_removed(tmp_path: Path, monkeypatch) -> None:
    MemoryFileSystem.store.clear()
    published(tmp_path / "s", *TWO)
    upload(tmp_path / "s", "memory://bucket/selection")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with Revisions.open("memory://bucket/selection", "a") as revisions:
        assert len(revisions.latest()[:]) == 5
        assert len(list((tmp_path / "temporary").iterdir())) == 1
    assert list((tmp_path / "temporary").iterdir()) == []


def test_sets_and_revisions_that_are_not_there_are_told_with_those_that_are(selection: str, tmp_path: Path) -> None:
    with pytest.raises(NoRevisionError, match=r"selection has no revision of a target set 'b': it has a\."):
        Revisions.open(selection, "b", cache=tmp_path / "cache")
    with pytest.raises(NoRevisionError, match="no set there has a file LATEST"):
        Revisions.open(f"{selection}/nowhere", "a", cache=tmp_path / "cache")
    with (
        Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions,
        pytest.raises(NoRevisionError, match=r"has no revision 7 of target set 'a'\. It has 1, 2\."),
    ):
        revisions.at(7)


def place(url: str, cache: Path, disk: Disk | None = None) -> RemotePlace:
    return RemotePlace(url, "a", cache, disk=disk, pauses=(0.0,))


FILES = ("LATEST", "manifests/00000002.json", "manifests/00000002.members", "segments/00000001.index",
         "segments/00000001.jsonl")  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_damage_of_the_copy_is_found_on_the_way_and_never_cached(
    selection: str, tmp_path: Path, name: str, damage: str
) -> None:
    whole = read(selection, f"a/{name}")
    flipped = whole[:20] + bytes([whole[20] ^ 1]) + whole[21:]
    change(selection, f"a/{name}", {"missing": None, "cut": whole[:-1], "flipped": flipped}[damage])
    source = place(selection, tmp_path / "cache")
    with pytest.raises(RevisionError, match=name.rpartition("/")[2]) as caught:
        source.open(source.newest())
    if (name, damage) != ("LATEST", "missing"):
        assert isinstance(caught.value, DamagedRevisionError)
        assert "Copy the selection there anew" in str(caught.value)
    change(selection, f"a/{name}", whole)
    source.open(source.newest()).verify()
    assert cached(tmp_path / "cache", ".tmp") == []


def test_damage_of_the_cache_is_found_named_and_mended(selection: str, tmp_path: Path) -> None:
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
        revisions.latest()
        path = next((tmp_path / "cache").rglob("00000001-*.jsonl"))
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
        with pytest.raises(DamagedRevisionError, match=r"is damaged in line 1 .*Delete this file of the cache"):
            revisions.latest().verify()
        path.unlink()
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
        revisions.latest().verify()
    path.write_bytes(data[:10])
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
        revisions.latest().verify()


@pytest.mark.parametrize("space", [10, 1200, 2000])
def test_a_full_cache_disk_is_an_error_that_says_so_and_leaves_nothing_half(
    selection: str, tmp_path: Path, space: int
) -> None:
    class Full(Disk):
        left = space

        def write(self, path: Path, parts) -> None:
            data = b"".join(parts)
            super().write(path, [data[: self.left]])
            self.left = max(self.left - len(data), 0)
            if not self.left:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))

    source = place(selection, tmp_path / "cache", Full())
    with pytest.raises(RevisionError, match=r"no space is left for .*Free some space on the disk of .*another cache"):
        source.open(2)
    assert cached(tmp_path / "cache", ".tmp") == []
    place(selection, tmp_path / "cache").open(2).verify()


def test_a_file_system_that_fails_now_and_then_is_asked_again(selection: str, tmp_path: Path, monkeypatch) -> None:
    source = RemotePlace(selection, "a", tmp_path / "cache", pauses=(0.0,) * 3)
    fs, _ = source._open_file_system()
    failing = {"open": 1, "cat_file": 1}
    for name in failing:
        whole = getattr(fs, name)

        def sometimes(*arguments, whole=whole, name=name, **options):
            failing[name] += 1
            if failing[name] % 2 == 0:
                raise TimeoutError("the network is slow")
            return whole(*arguments, **options)

        monkeypatch.setattr(fs, name, sometimes)
    monkeypatch.setattr("tsds_stream.loader.remote._AT_ONCE", 1)
    source.open(source.newest()).verify()
    monkeypatch.setattr(fs, "cat_file", lambda *a, **o: 1 / 0)
    with pytest.raises(RevisionError, match=r"Could not read .*LATEST \(ZeroDivisionError.*credentials"):
        source.newest()


def test_several_processes_fill_one_cache(selection: str, tmp_path: Path) -> None:
    found: list[object] = []

    def run() -> None:
        try:
            with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
                for number in (1, 2, 1):
                    revisions.at(number).verify()
            found.append(True)
        except Exception as error:  # noqa: BLE001
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def test_who_waits_for_a_stuck_process_is_told_whom_to_end(tmp_path: Path) -> None:
    cache = Cache(tmp_path, "a")
    with (
        cache.filling(),
        pytest.raises(RevisionError, match=r"holds .*cache.lock and has fetched nothing for 0.2 s"),
        Cache(tmp_path, "a").filling(patience=0.2),
    ):
        raise AssertionError


def test_a_copy_that_was_made_anew_is_not_taken_for_the_old_one(selection: str, tmp_path: Path) -> None:
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
        assert len(revisions.at(1)) == 5
    published(tmp_path / "other", {"z": (1.0, 1.0, 1)})
    upload(tmp_path / "other", selection)
    with Revisions.open(selection, "a", cache=tmp_path / "cache") as revisions:
        assert revisions.latest().ids == ["z"]
        assert revisions.numbers() == [1]


def test_what_cannot_be_read_for_want_of_a_package_or_a_known_scheme_is_told(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.CRITICAL)
    with pytest.raises(RevisionError, match="nosuch://bucket/selection cannot be read: Protocol not known"):
        Revisions.open("nosuch://user:secret@bucket/selection", cache=tmp_path)
    code = (
        "import sys; sys.modules['fsspec'] = None; from tsds_stream.loader.revisions import Revisions; "
        "Revisions.open('memory://x')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'tsds-stream[fsspec]'" in done.stderr
