"""A producer at a steady rate, in a process of its own: `python -m benchmarks.kafka.load`.

Arguments: bootstrap, topic, first document, count, documents per second, file of results, and `--quick`. It prints
"ready" and begins when it reads a line. The results are arrays: partition, offset and time stamp of every record, as
the server acknowledged them.
"""

from __future__ import annotations

import itertools
import sys
import time
from typing import Any

import numpy as np
from confluent_kafka import KafkaError, Message

_TICK = 0.01


def main() -> None:
    """Prepare the values, then send them on time."""
    from benchmarks.corpus import corpus
    from benchmarks.kafka.filling import embedded_documents, fast_producer

    bootstrap, topic, first, count, rate, path, *rest = sys.argv[1:]
    found = corpus(75_000 if "--quick" in rest else None)
    begin, end = int(first), int(first) + int(count)
    records = list(itertools.islice(embedded_documents(found, end), begin, None))
    producer = fast_producer(bootstrap, linger=2)
    seen: list[tuple[int, int, int]] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            seen.append((int(message.partition() or 0), int(message.offset() or 0), message.timestamp()[1]))

    print("ready", flush=True)
    sys.stdin.readline()
    began, sent = time.monotonic(), 0
    while sent < len(records):
        due = min(len(records), int((time.monotonic() - began) * float(rate)))
        for key, value in records[sent:due]:
            producer.produce(topic, value, key, timestamp=time.time_ns() // 1_000_000, on_delivery=delivered)
        sent = max(sent, due)
        producer.poll(_TICK)
    producer.flush(30)
    arrays: dict[str, Any] = {name: np.array([one[i] for one in seen], np.int64) for i, name in enumerate(NAMES)}
    np.savez(path, **arrays)


NAMES = ("partition", "offset", "time")

if __name__ == "__main__":
    main()
