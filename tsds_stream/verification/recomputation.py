"""A revision computed again: the selector, fresh, on all live documents at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tsds_stream.digests import digest_of
from tsds_stream.engine.publisher import parameters_digest
from tsds_stream.engine.target_set import Examples
from tsds_stream.records import Json
from tsds_stream.selection.revision import Revision
from tsds_stream.selection.selector import Selector
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.selection.targets import Targets
from tsds_stream.verification.documents import LiveDocuments

_EMPTY = digest_of([], [], [])


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What the documents give.

    Attributes:
        revision: None when there is no live document.
    """

    digest: str
    ids: Sequence[str]
    revision: Revision | None


class SetOracle:
    """Computes the revisions of one target set from scratch.

    Args:
        embedder: fingerprint of the one that is configured.
        examples: the target examples as they are now.
    """

    def __init__(self, name: str, config: SelectorConfig, embedder: str, examples: Examples) -> None:
        self.name = name
        self.config = config
        self._embedder = embedder
        self._examples = examples
        self._parameters = parameters_digest(config)

    def unfit(self, record: Json, *, sigma_was_frozen: bool) -> str | None:
        """Why a revision cannot be compared with what is computed here, or None.

        Args:
            sigma_was_frozen: by an earlier revision, so that this one is provisional for another reason.
        """
        if record["embedder"] != self._embedder:
            return f"it is made with the embedder {record['embedder']}, configured is {self._embedder}"
        if record.get("parameters", self._parameters) != self._parameters:
            return "it is made with other parameters than those of the configuration"
        reasons = list(record["reasons"])
        measuring = self.config.sigma == "auto" and self.config.uses_sigma and not sigma_was_frozen
        if reasons and not (reasons == ["provisional"] and measuring):
            return f"it is not exact: {', '.join(reasons)}"
        if self._targets_digest(record) != record["targets_digest"]:
            return "its target examples are not those of now"
        return None

    def compute(self, record: Json, documents: LiveDocuments, lengths: Iterable[int] = ()) -> Recomputed:
        """The selection of the live documents with the targets and sigma of `record`.

        Args:
            lengths: of shortlists to try, where the configuration leaves it open and the record does not say: the
                first that gives the digest of the record is taken.
        """
        found = Recomputed(_EMPTY, (), None)
        for config in self._configs(record, lengths):
            selector = self._selector(record, config)
            for block in documents.blocks(config.ttl):
                selector.add(block.ids, block.vectors, block.tokens, block.timestamps)
            revision = selector.refresh()
            found = (
                Recomputed(_EMPTY, (), None)
                if revision is None
                else Recomputed(revision.digest, revision.ids, revision)
            )
            if found.digest == record["digest"]:
                break
        return found

    def length(self, targets: int) -> int:
        """Of the shortlists of a set that was created with so many targets."""
        return self.config.shortlist_length(targets)

    def _configs(self, record: Json, lengths: Iterable[int]) -> Iterator[SelectorConfig]:
        if self.config.max_k != "auto":
            yield self.config
        elif record.get("max_k") is not None:
            yield self.config.model_copy(update={"max_k": int(record["max_k"])})
        else:
            for length in dict.fromkeys(lengths):
                yield self.config.model_copy(update={"max_k": length})

    def _selector(self, record: Json, config: SelectorConfig) -> Selector:
        taking_part = self._taking_part(record)
        examples = self._examples
        selector = Selector(
            examples.vectors[taking_part],
            config,
            [examples.ids[i] for i in taking_part],
            [examples.weights[i] for i in taking_part],
            self.name,
        )
        if config.sigma == "auto" and record["sigma"] is not None:
            selector.calibrate(record["sigma"])
        return selector

    def _taking_part(self, record: Json) -> list[int]:
        pending = set(record.get("pending", ()))
        return [i for i, name in enumerate(self._examples.ids) if name not in pending]

    def _targets_digest(self, record: Json) -> str:
        taking_part = self._taking_part(record)
        examples = self._examples
        targets = Targets(examples.vectors.shape[1])
        if taking_part:
            names, weights = [examples.ids[i] for i in taking_part], [examples.weights[i] for i in taking_part]
            targets.add(names, examples.vectors[taking_part], weights)
        return targets.digest(query.key for query in targets.queries())
