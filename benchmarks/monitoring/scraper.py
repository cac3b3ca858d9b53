"""A client that asks for /metrics at a steady rate, over one connection, until its input ends, and tells how it went.

python -m benchmarks.monitoring.scraper PORT RATE
"""

from __future__ import annotations

import http.client
import json
import select
import sys
import time
from contextlib import suppress


def main() -> None:
    """Falls behind rather than asking twice at once: what it tells is the rate that it has reached."""
    port, rate = int(sys.argv[1]), float(sys.argv[2])
    times: list[float] = []
    sizes: set[int] = set()
    failed = early = 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    print("ready", flush=True)
    began = due = time.perf_counter()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.perf_counter()))[0]:
        due = max(due + 1 / rate, time.perf_counter() - 1)
        start = time.perf_counter()
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            failed += 1
            with suppress(OSError):
                connection.close()
            continue
        if answer.status != 200:  # before the first status document there is nothing to scrape
            failed, early = failed + bool(times), early + (not times)
            continue
        times.append(time.perf_counter() - start)
        sizes.add(len(body))
    took = time.perf_counter() - began
    times.sort()
    quantiles = {f"p{share}_ms": round(1000 * times[len(times) * share // 100], 2) for share in (50, 99) if times}
    asked = len(times) + early + failed
    told = {"scrapes": len(times), "early": early, "failed": failed, "per_second": round(asked / took, 1), **quantiles}
    print(json.dumps({**told, "bytes": max(sizes, default=0)}), flush=True)


if __name__ == "__main__":
    main()
