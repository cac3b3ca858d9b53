"""What happens in the demonstration's stream: documents, reposts of popular ones, new versions, retractions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import orjson

from tsds_stream.demo.pages import Page
from tsds_stream.records import Json

TARGETS = 120  # examples of the topic, where so many are found
REPOSTS = 10  # copies of each popular document
POPULAR_SHARE = 1 / 400  # of the documents
NEW_VERSION_SHARE = 0.02
RETRACTED_SHARE = 0.03
_POPULAR = re.compile(r"\b(socket|http|https|connection|server|client|url|ssl|tls|proxy)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Script:
    """A stream, told before it happens.

    Attributes:
        events: records in the order of the stream.
        originals: for every repost the id of the document that it repeats.
        reposts, new_versions, retractions: how many there are.
    """

    events: list[Json]
    originals: Mapping[str, str]
    reposts: int
    new_versions: int
    retractions: int

    def last_records(self) -> dict[str, str]:
        """Texts by id after the whole stream: what a batch computation would be given."""
        texts: dict[str, str] = {}
        for event in self.events:
            if event.get("deleted"):
                texts.pop(event["id"], None)
            else:
                texts[event["id"]] = event["text"]
        return texts

    def families(self, seen: int) -> dict[str, int]:
        """How many records of each popular document and its reposts are among the first `seen` documents."""
        popular = set(self.originals.values())
        names = [event["id"] for event in self.events if not event.get("deleted")][:seen]
        families = (self.originals.get(name, name) for name in names)
        return dict(Counter(family for family in families if family in popular))


def choose_targets(topic: Sequence[Page], seed: int) -> list[Json]:
    """Examples of the topic, by id."""
    chosen = Random(seed).sample(sorted(topic, key=lambda page: page.id), min(TARGETS, len(topic)))
    return [{"id": page.id, "text": page.text} for page in sorted(chosen, key=lambda page: page.id)]


def write_script(pages: Sequence[Page], seed: int) -> Script:
    """Shuffle the documents and let things happen to some of them, each after the document has arrived."""
    random = Random(seed)
    pages = list(pages)
    random.shuffle(pages)
    popular = _popular(pages, random)
    others = [place for place, page in enumerate(pages) if page.id not in popular]
    random.shuffle(others)
    versions = set(others[: round(len(pages) * NEW_VERSION_SHARE)])
    retracted = set(others[len(versions) : len(versions) + round(len(pages) * RETRACTED_SHARE)])

    timed: list[tuple[float, int, Json]] = []  # (moment, number, record)
    originals: dict[str, str] = {}

    def happen(moment: float, record: Json) -> None:
        timed.append((moment, len(timed), record))

    for place, page in enumerate(pages):
        record = {"id": page.id, "text": page.text, "meta": {"source": page.source}}
        later = [place + random.random() * (len(pages) - place) for _ in range(REPOSTS)]
        if page.id in popular:
            happen(place, record)
            for number, moment in enumerate(sorted(later), 1):
                repost = f"{page.id}~repost{number}"
                originals[repost] = page.id
                happen(moment, {**record, "id": repost, "text": _reposted(page.text, number, random)})
        elif place in versions:
            happen(place, {**record, "text": _draft(page.text)})
            happen(later[0], record)
        else:
            happen(place, record)
            if place in retracted:
                happen(later[0], {"id": page.id, "deleted": True})
    events = [record for _, _, record in sorted(timed, key=lambda event: event[:2])]
    return Script(events, originals, len(originals), len(versions), len(retracted))


def write_lines(path: Path, records: Sequence[Json]) -> None:
    """One JSON object per line."""
    path.write_bytes(b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records))


def _popular(pages: Sequence[Page], random: Random) -> set[str]:
    """Documents that are reposted: some of those that say most about the topic, where copies do most harm."""
    wanted = max(3, round(len(pages) * POPULAR_SHARE))
    words = {page.id: len(set(map(str.lower, _POPULAR.findall(page.text)))) for page in pages}
    most = sorted(words, key=lambda name: (-words[name], name))[: 4 * wanted]
    return set(random.sample(most, min(wanted, len(most))))


def _reposted(text: str, number: int, random: Random) -> str:
    """Every second repost is exact; the others differ a little, so that comparing texts would not find them."""
    if number % 2 == 0:
        return text
    if random.random() < 0.5:
        return text.rsplit(maxsplit=random.randint(1, 3))[0]
    return f"{text} ({number})"


def _draft(text: str) -> str:
    return text[: len(text) // 2].rsplit(maxsplit=1)[0]
