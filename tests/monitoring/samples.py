"""Status documents as a run would write them: a healthy one, an empty one, one in trouble, one with two sets."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

Json = dict[str, Any]

NOW = 1_790_000_000_000  # milliseconds since the epoch
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0]


def histogram(*values: float) -> Json:
    """These values in the buckets of the document."""
    counts = [0] * (len(BOUNDS) + 1)
    for value in values:
        counts[next((k for k, bound in enumerate(BOUNDS) if value <= bound), len(BOUNDS))] += 1
    return {"bounds": BOUNDS, "counts": counts, "sum": sum(values), "count": len(values)}


def _signals(sets: list[str], scale: float = 0.4) -> list[Json]:
    found = []
    for window, documents in (("short", 500), ("long", 5000)):
        for name in sets:
            for signal, measure in (("distance", "wasserstein"), ("groups", "jensen_shannon")):
                found.append(_signal(signal, name, window, measure, documents, scale))
        for signal, measure in (("length", "psi"), ("embedding", "mmd"), ("mean", "mean_distance")):
            found.append(_signal(signal, "", window, measure, documents, scale))
    return found


def _signal(signal: str, name: str, window: str, measure: str, documents: int, score: float) -> Json:
    return {
        "signal": signal,
        "set": name,
        "window": window,
        "measure": measure,
        "statistic": 0.05 * score,
        "threshold": 0.05,
        "score": score,
        "documents": documents,
        "ready": True,
    }


def _set(name: str = "default") -> Json:
    return {
        "revision": 42,
        "created": NOW - 12 * SECOND,
        "size": 1000,
        "budget": 1000,
        "token_budget": None,
        "added": 4210,
        "removed": 3210,
        "last_added": 7,
        "last_removed": 7,
        "exact": True,
        "reasons": [],
        "short_of_budget": False,
        "documents_seen": 1_234_567,
        "admitted": 61_234,
        "targets_active": 120,
        "targets_pending": 0,
        "support": 1490,
        "s": 12.5,
        "alpha": 0.37,
        "sigma": 0.57,
        "calibrated": True,
        "tau": 812.5,
        "transport_cost": 0.8124,
        "effective_sample_size": 1320.4,
        "truncated": 0,
        "short": 0,
        "digest": "5b843898f725d1969a51cbc84323a77b",
        "mode": "coordinated",
        "advice": [],
        "index": {
            "kind": "exact",
            "indexed": 61_234,
            "settled": 5200,
            "candidates": 61_234,
            "saturated": 0,
            "tombstones": 0,
            "recall": None,
            "recall_at": 0,
            "rounds": 3,
            "mean_reach": 16.2,
            "shortlist_deficit": 0,
            "weight_spread": 0.21,
        },
        "watch": {
            "tv": 0.0031,
            "tv_hour": 0.052,
            "tv_day": None,
            "turnover": 0.014,
            "turnover_hour": 0.11,
            "turnover_day": None,
            "churn": {
                "arrivals": {"added": 4200, "removed": 3190},
                "retractions": {"added": 10, "removed": 20},
                "expiry": {"added": 0, "removed": 0},
                "targets": {"added": 0, "removed": 0},
                "configuration": {"added": 0, "removed": 0},
            },
            "groups": [
                {"group": "databases", "asked": 0.5, "selected": 0.47},
                {"group": "astronomy", "asked": 0.3, "selected": 0.34},
                {"group": "regular expressions", "asked": 0.2, "selected": 0.19},
            ],
            "named_groups": True,
            "group_distance": 0.04,
            "cost_trend": -0.012,
            "uncovered": 1,
            "uncovered_targets": [{"id": "t-017", "group": "astronomy", "distance": 1.214, "nearest": "doc-000815"}],
            "coverage_distance": 1.15,
            "truncated_share": 0.0,
            "sources": [{"source": "manuals", "share": 0.61}, {"source": "forum", "share": 0.39}],
            "source_concentration": 0.524,
            "selection_drift": {"statistic": 0.021, "threshold": 0.06, "score": 0.35},
            "entered": [
                {
                    "id": f"doc-{1_234_500 - k}",
                    "time": NOW - (12 + 40 * k) * SECOND,
                    "revision": 42 - k // 3,
                    "cause": "arrivals",
                    "probability": 0.0009,
                    "text": f"How an index is rebuilt while queries go on, part {k}: <b>costs</b> & remedies.",
                    "nearest": ["t-003", 0.71],
                }
                for k in range(10)
            ],
            "left": [
                {
                    "id": f"doc-{800_000 + k}",
                    "time": NOW - (12 + 40 * k) * SECOND,
                    "revision": 42 - k // 3,
                    "cause": "arrivals" if k else "retractions",
                    "text": None if k > 6 else f"An older page about vacuuming tables, number {k}.",
                }
                for k in range(10)
            ],
        },
    }


def sample() -> Json:
    """A healthy daemon beside Kafka, with one target set."""
    rows: list[list[Any]] = []
    for k in range(120):
        at = NOW - (119 - k) * MINUTE
        measured = [1200.0 + 40 * (k % 7), float(k % 3 * 20), 1000, 0.9 - 0.0007 * k, 0.014, 0.003]
        rows.append([at, *measured, 0.3 + 0.1 * (k % 5) / 5, 0.35 + 0.1 * (k % 4) / 4])
    columns = ["time", "documents_per_second", "lag_records", "set/default/size", "set/default/transport_cost"]
    columns += ["set/default/turnover", "set/default/tv", "drift/distance/default/short", "drift/embedding/short"]
    return {
        "format": 1,
        "version": "0.1.0",
        "created": NOW,
        "process": {
            "pid": 4711,
            "started": NOW - 2 * HOUR,
            "ticked": NOW - 100,
            "phase": "live",
            "resident_bytes": 412_000_000,
            "memory_limit_bytes": 8_000_000_000,
            "cpu_seconds": 3121.5,
            "exit": None,
        },
        "configuration": {
            "source": "kafka",
            "sink": "kafka",
            "embedder": "static:l2_supercat_256:5c1f",
            "state": "state/",
            "digest": "0c781f0f0517c43f",
            "publish_interval": 1.0,
            "checkpoint_interval": 30.0,
            "follow": True,
            "monitoring": {"short_window": 500, "long_window": 5000, "rate": 200.0},
        },
        "flow": {
            "documents_read": 1_234_700,
            "bytes_read": 1_700_000_000,
            "documents_applied": 1_234_567,
            "retractions": 321,
            "unknown_retractions": 300,
            "duplicates": 1200,
            "replayed": 0,
            "embedded": 1_234_000,
            "backfilled": 0,
            "dead_letters": {"json": 3, "text": 1},
            "queued_documents": 128,
            "last_read": NOW - 300,
            "documents_per_second": 1240.5,
            "lag": {"records": 40.0, "seconds": 0.4},
            "partition_lag": {"documents/0": 10, "documents/1": 30},
            "missing_payloads": 0,
        },
        "stages": {
            "read": histogram(*[0.004] * 40),
            "embed": histogram(*[0.02] * 40),
            "select": histogram(*[0.009] * 40),
            "refresh": histogram(*[0.03] * 20),
            "publish": histogram(*[0.012] * 20),
            "checkpoint": histogram(*[0.4] * 10),
        },
        "latency": {**histogram(*[0.5] * 50, *[1.2] * 3), "recent": {"p50": 0.53, "p99": 1.22, "count": 53}},
        "embedder": {"outages": 0, "out": False, "since": 0, "error": None},
        "publishing": {
            "commits": 240,
            "last_commit": NOW - 2 * SECOND,
            "heartbeat": NOW - 2 * SECOND,
            "failed": 0,
            "records": 9120,
            "oversized": 0,
            "seconds": 0.012,
        },
        "checkpoints": {
            "count": 240,
            "failures": 0,
            "last": NOW - 21 * SECOND,
            "seconds": 0.41,
            "bytes": 52_428_800,
            "error": None,
        },
        "sets": {"default": _set()},
        "drift": {
            "state": "watching",
            "looked_at": 88_000,
            "needed": 0,
            "baseline": {
                "documents": 5000,
                "began": NOW - 110 * MINUTE,
                "ended": NOW - 100 * MINUTE,
                "source": "stream",
            },
            "false_alarm_rate": 0.01,
            "signals": _signals(["default"]),
            "groups": {
                "default": {
                    "labels": ["databases", "astronomy", "regular expressions"],
                    "baseline": [0.55, 0.25, 0.2],
                    "short": [0.53, 0.27, 0.2],
                    "long": [0.54, 0.26, 0.2],
                }
            },
        },
        "history": {"columns": columns, "rows": rows},
        "events": [
            {"time": NOW - 12 * SECOND, "kind": "revision", "set": "default", "text": "revision 42: 7 in, 7 out"},
            {"time": NOW - 40 * MINUTE, "kind": "target", "set": "default", "text": "2 examples added, 1 withdrawn"},
        ],
    }


def two_sets() -> Json:
    """The same with a second set, whose selection is not exact."""
    status = sample()
    other = deepcopy(status["sets"]["default"])
    other.update(revision=7, exact=False, reasons=["truncated"], truncated=4, size=250, budget=250)
    other["watch"]["groups"] = [{"group": "cluster 1", "asked": 0.6, "selected": 0.71},
                                {"group": "cluster 2", "asked": 0.4, "selected": 0.29}]  # fmt: skip
    other["watch"]["named_groups"] = False
    status["sets"]["chess-openings"] = other
    status["drift"]["signals"] = _signals(["chess-openings", "default"])
    return status


def empty() -> Json:
    """A run that has just begun: nothing read, nothing published."""
    status = sample()
    status["process"].update(phase="starting", started=NOW - 2 * SECOND)
    flow = status["flow"]
    for name, value in flow.items():
        flow[name] = {} if isinstance(value, dict) else 0
    for name in status["stages"]:
        status["stages"][name] = histogram()
    status["latency"] = {**histogram(), "recent": None}
    status["publishing"] = dict.fromkeys(status["publishing"], 0)
    status["checkpoints"] = {**dict.fromkeys(status["checkpoints"], 0), "error": None}
    one = status["sets"]["default"]
    for name, value in one.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            one[name] = 0
    one.update(
        exact=False, s=None, alpha=None, sigma=None, tau=None, calibrated=False, budget=1000, targets_active=120,
        transport_cost=None, effective_sample_size=None, digest=None, watch=None,
        index={**dict.fromkeys(one["index"], 0), "kind": "none", "recall": None, "mean_reach": None},
    )  # fmt: skip
    status["drift"] = {
        "state": "warming", "looked_at": 0, "needed": 6000, "baseline": None, "false_alarm_rate": 0.01,
        "signals": [{**one, "statistic": None, "threshold": None, "score": None, "documents": 0, "ready": False}
                    for one in _signals(["default"])],
        "groups": {},
    }  # fmt: skip
    status["history"]["rows"] = []
    status["events"] = []
    return status


def failing() -> Json:
    """Much is wrong: the lag grows, the embedder is out, drift, dead letters, a plan that is cut."""
    status = two_sets()
    status["flow"].update(
        documents_per_second=0.0, last_read=NOW - 9 * MINUTE, lag={"records": 1_200_000.0, "seconds": 840.0},
        dead_letters={"json": 40_000, "text": 1200}, partition_lag={"documents/0": 700_000, "documents/1": 500_000},
    )  # fmt: skip
    status["embedder"] = {"outages": 3, "out": True, "since": NOW - 9 * MINUTE,
                          "error": "http://embedder:8080 does not answer: connection refused"}  # fmt: skip
    status["checkpoints"].update(last=NOW - 50 * MINUTE, failures=9, error="no space left on device: state/checkpoints")
    lag = status["history"]["columns"].index("lag_records")
    for k, row in enumerate(status["history"]["rows"]):
        row[lag] = 10_000.0 * k
        row[-2:] = [0.4 + 0.01 * k, 0.5 + 0.012 * k]
    for signal in status["drift"]["signals"]:
        if signal["signal"] in ("distance", "embedding"):
            signal.update(score=1.9, statistic=0.095)
    one = status["sets"]["default"]
    one["watch"].update(uncovered=14, selection_drift={"statistic": 0.12, "threshold": 0.06, "score": 2.0})
    one.update(truncated=30, exact=False, reasons=["truncated", "short"], short=3, short_of_budget=True, size=800)
    one["advice"] = [["truncated", "30 shortlists are too short for the plan: raise max_k to 2048"]]
    return status
