"""Documents and targets from files, embedded once, as the arrays that methods see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tsds_stream.codecs import Decoder, Needs
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.comparison.words import Lexicon
from tsds_stream.config import Settings
from tsds_stream.embedding.base import Embedder
from tsds_stream.embedding.factory import create
from tsds_stream.engine.clock import SystemClock
from tsds_stream.engine.preparation import Preparer
from tsds_stream.engine.statistics import Statistics
from tsds_stream.engine.stop import Stop
from tsds_stream.engine.target_set import embedded
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.logs import Log
from tsds_stream.records import DeadLetter, Document, Target
from tsds_stream.selection.arithmetic import Float32, Int64
from tsds_stream.streams.chained import ChainedSource
from tsds_stream.streams.sources import open_source
from tsds_stream.streams.targets import TargetFile

_RECORDS = 2048  # read and embedded at a time

Show = Callable[[int, int], None]


@dataclass
class Material:
    """What a comparison works on.

    Attributes:
        unusable: records that could not be used, by reason; first: the first of them, in a sentence.
    """

    pool: Pool
    targets: Targets
    embedder: str
    unusable: Counter[str] = field(default_factory=Counter)
    first: str = ""


def read_material(settings: Settings, documents: Sequence[str], log: Log, show: Show) -> Material:
    """Read the targets of the first target set, then all `documents` (files, directories or "-").

    A document whose id comes again is replaced, a retracted one is gone: what counts is the end of the stream.

    Args:
        show: told how many bytes and documents were read.

    Raises:
        CommandError: there is nothing to compare on.
        SourceError, EmbedderError, TargetsError: files or models that cannot be used.
    """
    path, embedder = settings.target_sets[0].targets, create(settings.embedder)
    if path is None:
        raise CommandError("--targets is missing: a comparison needs a file of target examples", ExitStatus.USAGE)
    preparer = Preparer(embedder, SystemClock(), Statistics(), log, Stop())
    lexicon = Lexicon()
    targets = _targets(TargetFile(path, Decoder()).read(), embedder, preparer, lexicon)
    held, letters = _documents(settings, documents, embedder, preparer, show)
    if not held:
        told = f"no record could be used; the first one: {letters[0].detail}" if letters else "no record was found"
        raise CommandError(
            f"there is no document to select from in {', '.join(documents)}: {told}. A line is "
            '{"id": "...", "text": "..."}; `tsds-stream select --help` names what else is read',
            ExitStatus.INPUT,
        )
    chosen = list(held.values())
    texts = [document.text for document, _ in chosen]
    has_texts = targets.words is not None and all(text is not None for text in texts)
    pool = Pool.of(
        list(held),
        np.stack([vector for _, vector in chosen]),
        _tokens([document for document, _ in chosen], settings.target_sets[0].token_budget is not None),
        lexicon.encode([text or "" for text in texts]) if has_texts else None,
    )
    material = Material(pool, targets, embedder.fingerprint, Counter(letter.reason for letter in letters))
    if letters:
        place = ":".join(str(letters[0].source[key]) for key in ("path", "line") if key in letters[0].source)
        material.first = f"{place}: {letters[0].detail}"
    return material


def _targets(read: Sequence[Target], embedder: Embedder, preparer: Preparer, lexicon: Lexicon) -> Targets:
    adopt = getattr(embedder, "adopt", None)
    counts = Counter(len(target.embedding) for target in read if target.embedding is not None)
    if adopt is not None and counts:
        adopt(counts.most_common(1)[0][0])
    examples, _ = embedded("default", read, preparer, embedder.dimension)
    words = None
    if all(target.text is not None for target in read):
        words = lexicon.encode([target.text or "" for target in read])
    groups = [target.group or "" for target in read]
    return Targets.of(examples.ids, examples.vectors, examples.weights, groups, words)


def _documents(
    settings: Settings, paths: Sequence[str], embedder: Embedder, preparer: Preparer, show: Show
) -> tuple[dict[str, tuple[Document, Float32]], list[DeadLetter]]:
    needs: Needs = "embedding" if settings.embedder.kind == "precomputed" else "either"
    assert settings.source.kind == "files"
    sources = [
        open_source(
            settings.source.model_copy(update={"path": path, "follow": False}),
            None,
            dimension=embedder.dimension,
            needs=needs,
        )
        for path in paths
    ]
    held: dict[str, tuple[Document, Float32]] = {}
    letters: list[DeadLetter] = []
    source, size = ChainedSource(sources), 0
    try:
        while not source.exhausted:
            prepared = preparer.prepare(source.poll(_RECORDS, 1.0))
            letters += prepared.dead_letters
            for document, vector in zip(prepared.documents, prepared.embeddings, strict=True):
                held.pop(document.id, None)  # a new version stands at the end of the stream
                if not document.deleted:
                    held[document.id] = document, vector
            size += prepared.size
            show(size, len(held))
    finally:
        source.close()
    return held, letters


def _tokens(documents: Sequence[Document], needed: bool) -> Int64:
    """Tokens of each document; 1 where only some bring any, so that a budget counts documents."""
    counts = [document.tokens for document in documents]
    if all(count is not None for count in counts):
        return np.array(counts, np.int64)
    if needed:
        missing = next(document.id for document in documents if document.tokens is None)
        raise CommandError(
            f"--token-budget needs the tokens of every document, and {missing!r} has neither text nor tokens: give "
            "--budget N (documents) instead",
            ExitStatus.INPUT,
        )
    return np.ones(len(documents), np.int64)
