"""False alarms and detection delays of the drift signals on real text: `python -m benchmarks.drift [--quick]`.

Streams without a change, and with a sudden, a gradual and a small one at a known place, in bursts of neighbouring
passages of several lengths. Writes benchmarks/results/drift.md, .json and .png.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from benchmarks.corpus import CACHE
from benchmarks.drift.detectors import Found, watch
from benchmarks.drift.report import write
from benchmarks.drift.streams import CHANGES, NONE, Change, stream
from benchmarks.drift.text import text
from benchmarks.report import RESULTS
from tsds_stream.monitoring.stream_drift import DriftOptions
from tsds_stream.selection.blas import one_blas_thread

OPTIONS = DriftOptions()
BURSTS = (1, 20, 50)
FIRST_SEED = 5000  # other streams than those that were looked at while the thresholds were designed
UNCHANGED_SEEDS, CHANGED_SEEDS = 60, 20
WATCHED = 50_000  # documents for which the false alarm rate is promised
BEFORE = OPTIONS.warmup + OPTIONS.baseline + OPTIONS.long_window  # documents before the change
AFTER = 20_000

Case = tuple[Change, int, int]


def run(case: Case) -> Found:
    """One stream, watched."""
    change, burst, seed = case
    if change == NONE:  # equal, not the same: it came from another process
        length, at = OPTIONS.warmup + OPTIONS.baseline + WATCHED, 0
    else:
        length, at = BEFORE + AFTER, BEFORE
    with one_blas_thread():
        return watch(text(), stream(text(), change, burst, length, at, seed), OPTIONS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seeds of each: a smoke test")
    quick = parser.parse_args().quick
    started = time.perf_counter()
    text()  # built once, here
    unchanged, changed = (2, 2) if quick else (UNCHANGED_SEEDS, CHANGED_SEEDS)
    cases: list[Case] = list(itertools.product([NONE], BURSTS, range(FIRST_SEED, FIRST_SEED + unchanged)))
    cases += itertools.product(CHANGES, BURSTS, range(FIRST_SEED, FIRST_SEED + changed))
    results: list[tuple[Case, Found]] = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for case, found in zip(cases, pool.map(run, cases), strict=True):
            results.append((case, found))
            if len(results) % 20 == 0:
                false = sum(case[0] == NONE and bool(found.ours) for case, found in results)
                print(f"{len(results)} of {len(cases)} streams, {false} false alarms", file=sys.stderr, flush=True)
    folder = CACHE / "quick-results" if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    print(write(folder, results, OPTIONS, BEFORE, time.perf_counter() - started))
    return 0


if __name__ == "__main__":
    sys.exit(main())
