"""What one transaction costs: a whole new selection, and the usual few changes."""

from __future__ import annotations

import itertools
import time

import numpy as np

from benchmarks.corpus import Corpus
from benchmarks.kafka.filling import embedded_documents, fill
from benchmarks.kafka.world import World
from benchmarks.report import Part
from tsds_stream import Selector, SelectorConfig
from tsds_stream.engine.publisher import Body, Publisher
from tsds_stream.selection.revision import Revision
from tsds_stream.streams.base import Publication
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.sink import KafkaSink

_SPACING = 0.5  # seconds between the small ones, as revisions come


def measure(world: World, corpus: Corpus, quick: bool) -> Part:
    """`KafkaSink.commit` with real publications: upserts with text and removals, the revision, mark and offsets."""
    part = Part()
    large, again, small = (1000, 2, 4) if quick else (10_000, 5, 20)
    documents = world.topic("documents")
    fill(world.bootstrap, documents, embedded_documents(corpus, 1000))
    stand = world.stand(documents, world.folder / "none", {})
    sink = KafkaSink(
        Connection(world.bootstrap),
        transactional_id=stand.group,
        group_id=stand.group,
        selection=stand.topics["selection"],
        revisions=stand.topics["revisions"],
        dead_letters=stand.topics["dead_letters"],
        documents=documents,
    )
    sink.recover()
    selector, revision, texts = _selected(corpus, large)
    positions = {"documents": dict.fromkeys("0123", 100), "topic": documents, "topic_id": "x", "began": {}}
    place = {"topic": documents, "partition": 0, "offset": 123_456}
    number = itertools.count(1)

    def publication(count: int) -> tuple[Publication, float]:
        """The first `count` documents of the selection as new ones, and the seconds that it took to say so."""
        publisher = Publisher("default", 0.05, "none", "none", None, {})
        began = time.perf_counter()
        prospect = publisher.prospect(
            revision,
            selector,
            positions,
            time.time_ns() // 1_000_000,
            lambda ids, keys: [Body(texts[int(name)], {"url": f"https://example.org/{name}"}, place) for name in ids],
        )
        took = time.perf_counter() - began
        assert prospect is not None
        made = prospect.publication
        made.revision["revision"] = next(number)
        return Publication(made.name, made.revision, made.upserts[:count], made.keys[:count], [], made.members), took

    def committed(count: int, times: int) -> list[float]:
        seconds = []
        for _ in range(times):
            made, _ = publication(count)
            if times > again:
                time.sleep(_SPACING)
            began = time.perf_counter()
            sink.commit([made], [], positions)
            seconds.append(time.perf_counter() - began)
        return seconds

    committed(100, 1)  # the first transaction looks for coordinators
    prepared = [publication(large)[1] for _ in range(again)]
    whole, few, least = committed(large, again), committed(99, small), committed(10, small)
    sink.close()
    part.details = {
        "whole": [round(one, 3) for one in whole],
        "made ready": [round(one, 3) for one in prepared],
        "99": [round(one, 4) for one in few],
        "10": [round(one, 4) for one in least],
    }
    part.add(
        f"publish of a {large:,}-document diff",
        "< 1.5 s",
        f"{np.median(whole):.2f} s in the middle, {max(whole):.2f} s at most ({again} times); and "
        f"{np.median(prepared):.2f} s to make the records",
        bool(np.median(whole) < 1.5),
    )
    part.add(
        "publish of 99 documents, and of 10, every half second",
        "< 50 ms",
        f"{1e3 * np.median(few):.0f} ms and {1e3 * np.median(least):.0f} ms in the middle; 9 of 10 within "
        f"{1e3 * np.percentile(few, 90):.0f} ms and {1e3 * np.percentile(least, 90):.0f} ms, "
        f"{1e3 * max(few):.0f} ms and {1e3 * max(least):.0f} ms at most ({small} times each)",
        bool(np.median(few) < 0.05),
    )
    return part


def _selected(corpus: Corpus, budget: int) -> tuple[Selector, Revision, list[str]]:
    """A selection of so many documents of the corpus, and the texts by number."""
    count = min(4 * budget, len(corpus.documents))
    selector = Selector(np.array(corpus.targets), SelectorConfig(budget=budget))
    selector.add([str(number) for number in range(count)], np.array(corpus.documents[:count]))
    revision = selector.refresh()
    assert revision is not None
    return selector, revision, corpus.lines(count)
