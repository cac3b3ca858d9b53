"""What breaks while batches are being served is said at the batch where it matters, with real workers and without."""

from __future__ import annotations

import shutil
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.loader.selections import Selection, ids
from tests.loader.serving import loader_of
from tests.loader.tools import WORKERS_ARE_FINE, needed
from tests.streams.stories import publication
from tsds_stream.durable import Disk
from tsds_stream.loader.reading import LoaderError
from tsds_stream.loader.remote import RemotePlace
from tsds_stream.loader.revisions import Revisions
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.layout import Layout

needed("torch")

pytestmark = [*WORKERS_ARE_FINE, pytest.mark.parametrize("workers", [0, 2])]


def two_segments(path: Path) -> None:
    """Forty documents in a first segment, and eight, the last ones by id, in a second one."""
    sink, before = DirectorySink(path), {}
    sink.recover()
    for number, count in enumerate((40, 48), 1):
        members = dict.fromkeys(ids(count), (1 / 48, 1.0, 1))  # the first ones are not sent again
        sink.commit([publication("default", number, before, members)], [], {"documents": {}, "targets": {}})
        before = members
    sink.close()


@pytest.mark.parametrize("file", ["lines", "index"])
def test_a_missing_segment_is_an_error_before_the_first_batch(tmp_path: Path, workers: int, file: str) -> None:
    two_segments(tmp_path)
    missing = getattr(Layout(tmp_path).of("default"), file)(2)
    missing.unlink()
    served: list[list[str]] = []
    with pytest.raises(LoaderError, match=rf"{missing} is missing\. .+\."):
        served.extend(loader_of(tmp_path, 4, workers, shuffle=False))
    assert served == []


@pytest.mark.parametrize("gone", ["revision", "directory"])
def test_what_vanishes_under_the_workers_is_served_to_its_end_and_then_an_error(
    tmp_path: Path, workers: int, gone: str
) -> None:
    path = tmp_path / "selection"
    two_segments(path)
    loader = loader_of(path, 4, workers, shuffle=False)
    batches = iter(loader)
    served = [next(batches) for _ in range(4)]  # each worker has its files open
    layout = Layout(path).of("default")
    if gone == "directory":
        shutil.rmtree(path)
    else:
        for file in (layout.manifest(2), layout.members(2), layout.lines(2), layout.index(2)):
            file.unlink()
    served.extend(batches)
    assert served == [ids(4, 4 * k) for k in range(12)]
    loader.close()
    with pytest.raises(LoaderError, match=rf"{path} has no revision .*(It has 1\.|Name a target set that it has)"):
        list(loader_of(path, 4, workers, revision=2))


def test_a_directory_that_vanishes_is_an_error_where_a_newer_revision_is_looked_for(
    tmp_path: Path, workers: int
) -> None:
    path = tmp_path / "selection"
    Selection(path, ids(12)).close()
    loader = loader_of(path, 2, workers, follow="epoch", repeat=True)
    batches = iter(loader)
    served = [next(batches) for _ in range(4)]
    shutil.rmtree(path)
    with pytest.raises(LoaderError, match=rf"{path} has no revision .* Name a target set that it has"):
        served.extend(batches)
    assert sorted(chain(*served[:6])) == ids(12)


class Filling(Disk):
    """Has room for no more segments once it is full."""

    full = False

    def write(self, path: Path, parts: Any) -> None:
        if self.full and path.parent.name == "segments":
            raise OSError(28, "No space left on device", str(path))
        super().write(path, parts)


def test_a_full_cache_disk_is_an_error_at_the_change_over(tmp_path: Path, workers: int) -> None:
    selection, disk = Selection(tmp_path / "there", ids(12)), Filling()
    place = RemotePlace(f"file://{tmp_path}/there", "default", tmp_path / "cache", disk=disk, pauses=())
    with Revisions(place, "default") as revisions:
        loader = loader_of(tmp_path, 4, workers, archive=revisions, follow="epoch", repeat=True)
        disk.full = True
        selection.publish(ids(12, 6))
        served: list[list[str]] = []
        with pytest.raises(LoaderError, match=r"no space is left for .*Free some space on the disk of .*another cache"):
            served.extend(loader)
    assert sorted(chain(*served)) == ids(12)
    selection.close()


def test_fewer_documents_than_ranks_and_workers_are_an_error(tmp_path: Path, workers: int) -> None:
    Selection(tmp_path, ids(5 if workers else 3)).close()
    least = 4 * max(workers, 1)
    says = rf"has \d documents, fewer than the {least} of 4 ranks × {max(workers, 1)} workers\. Use fewer"
    with pytest.raises(LoaderError, match=says):
        list(loader_of(tmp_path, 1, workers, rank=0, world_size=4))


def test_a_selection_that_becomes_empty_is_an_error_and_not_the_end(tmp_path: Path, workers: int) -> None:
    selection = Selection(tmp_path, ids(12))
    loader = loader_of(tmp_path, 4, workers, follow="epoch", repeat=True)
    selection.publish([])
    served: list[list[str]] = []
    with pytest.raises(LoaderError, match=r"Revision 2 of target set 'default' is empty: .+ Wait until"):
        served.extend(loader)
    assert sorted(chain(*served)) == ids(12)
    selection.close()


def text_lengths(batch: list[dict[str, Any]]) -> list[int]:
    return [len(document["text"]) for document in batch]


def misspelt(batch: list[dict[str, Any]]) -> list[int]:
    return [len(document["txt"]) for document in batch]


def test_documents_without_their_text_are_an_error_that_says_what_was_published(tmp_path: Path, workers: int) -> None:
    one = publication("default", 1, {}, dict.fromkeys(ids(4), (0.25, 1.0, 1)))
    for record in one.upserts:
        del record["text"], record["meta"]
    sink = DirectorySink(tmp_path)
    sink.recover()
    sink.commit([one], [], {"documents": {}, "targets": {}})
    sink.close()
    assert sorted(chain(*loader_of(tmp_path, 4, workers))) == ids(4)
    says = r"Document 'd0000\d' of revision 1 has no text: .*payload = 'reference'.* Publish it with payload"
    with pytest.raises(LoaderError, match=says):
        list(loader_of(tmp_path, 4, workers, collate_fn=text_lengths))
    with pytest.raises(KeyError, match="txt"):
        list(loader_of(tmp_path, 4, workers, collate_fn=misspelt))


def test_a_publisher_that_falls_silent_ends_the_training_after_what_was_read_ahead(
    tmp_path: Path, workers: int
) -> None:
    selection = Selection(tmp_path, ids(12))
    selection.heartbeat(0)
    loader = loader_of(tmp_path, 4, workers, repeat=True, max_staleness=0.5)
    with pytest.raises(LoaderError, match=r"was last heard of .* ago, and max_staleness is 0\.5 s\. See whether"):
        list(loader)  # which would never end
    assert loader.step > 0
    selection.close()


def test_a_set_that_is_not_there_is_an_error_that_says_which_are(tmp_path: Path, workers: int) -> None:
    Selection(tmp_path, ids(4)).close()
    for archive in (tmp_path, f"file://{tmp_path}"):
        with pytest.raises(LoaderError, match=r"'other'.*default.* Name a (target )?set that it has"):
            loader_of(tmp_path, 2, workers, archive=archive, target_set="other", cache=tmp_path / "cache")


def test_a_cache_that_is_emptied_is_filled_again(tmp_path: Path, workers: int) -> None:
    two_segments(tmp_path / "there")
    url, cache = f"file://{tmp_path}/there", tmp_path / "cache"
    loader = loader_of(tmp_path, 4, workers, archive=url, cache=cache)
    for path in chain(cache.rglob("*.jsonl"), cache.rglob("*.index")):
        path.unlink()
    if workers:  # they open the revision for themselves
        assert sorted(chain(*loader)) == ids(48)
        loader.close()
    assert sorted(chain(*loader_of(tmp_path, 4, workers, archive=url, cache=cache))) == ids(48)
