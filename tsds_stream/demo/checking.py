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
        reasons: why the published revision does not claim to be exact; empty where it does.
        different: ids that only one of them has.
    """

    published: str
    recomputed: str
    reasons: tuple[str, ...]
    documents: int
    different: int

    @property
    def equal(self) -> bool:
        return self.published == self.recomputed

    @property
    def broken(self) -> bool:
        """Whether a promise was not kept. A revision that says it is not exact promises nothing."""
        return not self.reasons and not self.equal


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
        reasons=tuple(published.record["reasons"]),
        documents=len(ids),
        different=len(set(published.ids) ^ set(revision.ids)),
    )
