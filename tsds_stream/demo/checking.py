"""The demonstration's proof: the same selection, computed in one go from the last records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tsds_stream.batch import select
from tsds_stream.embedding.base import Embedder
from tsds_stream.records import Json
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.streams.revisions import StoredRevision


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the streamed and the batch selection are the same, bit for bit.

    Attributes:
        published, recomputed: their digests.
        exact: whether the published revision claims to be exact.
        different: ids that only one of them has.
    """

    published: str
    recomputed: str
    exact: bool
    documents: int
    different: int

    @property
    def holds(self) -> bool:
        return self.exact and self.published == self.recomputed


def check(
    published: StoredRevision,
    last_records: Mapping[str, str],
    targets: Sequence[Json],
    config: SelectorConfig,
    embedder: Embedder,
) -> Verdict:
    """Read the published revision back from disk and select afresh, from the texts, in another order.

    Args:
        last_records: text by id of every document that is live at the end.
        config: of the stream; sigma is taken as the stream has frozen it.

    Raises:
        DamagedFileError: the revision on disk is not what was written.
    """
    published.verify()
    ids = sorted(last_records)
    Random(config.seed + 1).shuffle(ids)
    settings = {**config.model_dump(), "sigma": published.record["sigma"]}
    revision = select(
        [last_records[name] for name in ids],
        [target["text"] for target in targets],
        embedder=embedder,
        ids=ids,
        target_ids=[target["id"] for target in targets],
        name=published.record["set"],
        **settings,
    )
    return Verdict(
        published=published.record["digest"],
        recomputed=revision.digest,
        exact=bool(published.record["exact"]) and revision.exact,
        documents=len(ids),
        different=len(set(published.ids) ^ set(revision.ids)),
    )
