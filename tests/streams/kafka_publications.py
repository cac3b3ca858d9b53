"""Publications as the engine makes them, in miniature, and what the world must look like after each."""

from __future__ import annotations

from hashlib import blake2b

from tsds_stream.digests import digest_of
from tsds_stream.streams.base import Committed, Positions, Publication, Sent

TOPIC = "documents"


def positions(*offsets: int, topic: str = TOPIC, topic_id: str = "id-of-documents") -> Positions:
    """Of a Kafka source."""
    return {
        "documents": {str(partition): offset for partition, offset in enumerate(offsets)},
        "topic": topic,
        "topic_id": topic_id,
        "began": {str(partition): 0 for partition in range(len(offsets))},
    }


def point(identifier: str) -> bytes:
    return blake2b(identifier.encode(), digest_size=16).digest()


class Story:
    """A target set and what consumers hold of it."""

    def __init__(self, name: str = "news") -> None:
        self.name = name
        self.number = 0
        self.members: dict[str, Sent] = {}

    def follow(self, committed: Committed) -> None:
        """Go on from what a sink holds."""
        self.members = dict(committed.members.get(self.name, {}))
        self.number = committed.revisions[self.name]["revision"] if self.name in committed.revisions else 0

    def publication(self, add: dict[str, float], remove: tuple[str, ...] = (), text: str = "a text") -> Publication:
        """The next revision; `add` gives the probabilities."""
        self.number += 1
        for identifier in remove:
            del self.members[identifier]
        upserts = []
        for identifier, probability in add.items():
            self.members[identifier] = Sent(probability, 1 / probability, point(identifier), 1)
            upserts.append(
                {
                    "set": self.name,
                    "id": identifier,
                    "revision": self.number,
                    "probability": probability,
                    "weight": 1 / probability,
                    "density": None,
                    "multiplicity": 1,
                    "nearest": [["t", 0.25]],
                    "text": text,
                    "meta": {"of": identifier},
                    "source": {"topic": TOPIC, "partition": 0, "offset": 1},
                }
            )
        ids = sorted(self.members)
        p = [self.members[one].probability for one in ids]
        weights = [self.members[one].weight for one in ids]
        record = {
            "set": self.name,
            "revision": self.number,
            "size": len(ids),
            "published_digest": digest_of(ids, p, weights),
            "selection_end": None,
        }
        return Publication(
            self.name, record, upserts, [point(one["id"]) for one in upserts], list(remove), (ids, p, weights)
        )
