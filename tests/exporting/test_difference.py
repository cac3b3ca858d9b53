"""An export of an older revision, and the difference to a newer one, make the export of the newer one."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exporting.selections import Writer, content, export, lines, names, removed, request
from tsds_stream.loader.errors import NoRevisionError

ids = st.lists(st.integers(0, 30).map(lambda k: names(1, k)[0]), unique=True, max_size=20)


@settings(max_examples=25)
@given(st.lists(ids, min_size=2, max_size=5), st.integers(0, 1 << 20), st.data())
def test_applied_to_the_older_export_it_gives_the_newer_one(series, seed: int, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        writer = Writer(root / "selection", seed)
        for one in series:
            writer.publish(one)
        writer.close()
        a, b = (data.draw(st.integers(1, len(series))) for _ in range(2))
        export(writer.root, root / "a", request(revision=a))
        export(writer.root, root / "b", request(revision=b))
        told = export(writer.root, root / "change", request(revision=b, since=a))

        held = {one["id"]: one for one in lines(root / "a")}
        gone, come = removed(root / "change"), lines(root / "change")
        for name in gone:
            del held[name]
        held |= {one["id"]: one for one in come}
        assert [held[name] for name in sorted(held)] == lines(root / "b")

        older, newer = writer.truth[a], writer.truth[b]
        assert gone == sorted(older.keys() - newer.keys())
        assert [one["id"] for one in come] == sorted(name for name in newer if older.get(name) != newer[name])
        assert (told["since"], told["documents"], told["removed"]) == (a, len(come), len(gone))


def test_the_difference_in_other_formats_has_the_same_documents(tmp_path: Path) -> None:
    import pyarrow.parquet

    writer = Writer(tmp_path / "selection")
    writer.publish(names(50))
    writer.publish(names(50, 30))
    writer.close()
    for form in ("jsonl", "parquet", "mds"):
        export(writer.root, tmp_path / form, request(form, since=1))
    wanted = [one["id"] for one in lines(tmp_path / "jsonl")]
    table = pyarrow.parquet.read_table(sorted(map(str, (tmp_path / "parquet").glob("*.parquet"))))
    assert table["id"].to_pylist() == wanted
    assert {content(tmp_path / form)["removed.jsonl"] for form in ("jsonl", "parquet", "mds")} == {
        content(tmp_path / "jsonl")["removed.jsonl"]
    }
    assert removed(tmp_path / "mds") == names(30)


def test_a_revision_that_is_not_kept_any_more_is_an_error(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "selection", keep=2)
    for k in range(4):
        writer.publish(names(5, k))
    writer.close()
    with pytest.raises(NoRevisionError, match=r"has no revision 1 of target set 'default'\. It has 3, 4"):
        export(writer.root, tmp_path / "out", request(since=1))
    assert not (tmp_path / "out").exists()
