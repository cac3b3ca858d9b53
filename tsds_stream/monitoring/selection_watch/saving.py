"""What a watch has learnt, in one file: comparisons with an hour and a day ago survive a restart."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from tsds_stream.durable import Disk, make_directories, write_in_one_step
from tsds_stream.monitoring.selection_watch.mass import Mass
from tsds_stream.monitoring.selection_watch.pace import Pace, Window
from tsds_stream.monitoring.selection_watch.watch import SelectionWatch
from tsds_stream.records import Json

FORMAT: Final = 1
_MOST_MEMBERS: Final = 1 << 17  # beyond, it is not kept which source each one is of

Arrays = Mapping[str, NDArray[Any]]


def save(watch: SelectionWatch, path: Path) -> None:
    """Replace the file in one step. It is not forced to the disk: losing it costs an hour's comparisons. `OSError`."""
    arrays, contents = _arrays(watch)
    buffer = io.BytesIO()
    np.savez(buffer, contents=np.frombuffer(orjson.dumps(contents), np.uint8), **arrays)
    disk = Disk()
    make_directories(disk, path.parent)
    write_in_one_step(disk, path, buffer.getvalue())


def load(watch: SelectionWatch, path: Path) -> bool:
    """Let a new watch go on where the saved one was; False, and nothing has changed, where that cannot be read."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        contents = orjson.loads(arrays["contents"].tobytes())
        if contents["format"] != FORMAT:
            return False
        masses = [_mass(arrays, k, share) for k, share in enumerate(contents["shares"])]
        mass = None if contents["mass"] is None else masses[contents["mass"]]
        kept = {moment: masses[k] for moment, k in contents["horizons"]}
        distance, frozen = contents["coverage"]
        trend = [(time, cost) for time, cost in contents["trend"]]
        pace = _pace(contents["pace"], masses, watch.pace.rate)
        members = contents["members"], arrays["member_sources"], contents["sources"]
        standing, since, entered, left = (contents[name] for name in ("standing", "since", "entered", "left"))
    except Exception:  # noqa: BLE001 - a damaged file makes its readers raise nearly anything
        return False
    watch.standing, watch.since, watch.mass, watch.pace = standing, since, mass, pace
    watch.horizons.kept = kept
    if not watch.coverage.frozen:
        watch.coverage.distance, watch.coverage.frozen = distance, frozen
    watch.trend.points.extend(trend)
    watch.recent.entered.extend(entered)
    watch.recent.left.extend(left)
    watch.members.restore(*members)
    return True


def _pace(saved: Json, masses: Sequence[Mass], rate: float) -> Pace:
    pace = Pace(rate, windows=[Window(**one) for one in saved["windows"]])
    pace.live, pace.seen, pace.grown = saved["live"], saved["seen"], saved["grown"]
    pace.pace, pace.last, pace.lasting = saved["pace"], saved["last"], saved["lasting"]
    pace.start = None if saved["start"] is None else masses[saved["start"]]
    return pace


def _arrays(watch: SelectionWatch) -> tuple[dict[str, Any], Json]:
    """Masses are kept once, however many names they have."""
    masses: dict[int, Mass] = {}
    for one in (watch.mass, watch.pace.start, *watch.horizons.kept.values()):
        if one is not None:
            masses[id(one)] = one
    number = {key: k for k, key in enumerate(masses)}
    arrays: dict[str, Any] = {}
    for k, mass in enumerate(masses.values()):
        arrays |= {f"words_{k}": mass.words, f"members_{k}": mass.members}
        arrays[f"p_{k}"] = mass.probabilities.astype(np.float32)
    pace, members = watch.pace, watch.members
    few = len(members.ids) <= _MOST_MEMBERS
    arrays["member_sources"] = members.source if few else members.source[:0]
    contents: Json = {
        "format": FORMAT,
        "shares": [mass.share for mass in masses.values()],
        "mass": None if watch.mass is None else number[id(watch.mass)],
        "since": watch.since,
        "standing": watch.standing,
        "horizons": [[moment, number[id(mass)]] for moment, mass in watch.horizons.kept.items()],
        "coverage": [watch.coverage.distance, watch.coverage.frozen],
        "trend": list(watch.trend.points),
        "pace": {
            "live": pace.live,
            "seen": pace.seen,
            "grown": pace.grown,
            "pace": pace.pace,
            "last": pace.last,
            "lasting": pace.lasting,
            "start": None if pace.start is None else number[id(pace.start)],
            "windows": [asdict(one) for one in pace.windows],
        },
        "entered": list(watch.recent.entered),
        "left": list(watch.recent.left),
        "members": list(members.ids) if few else [],
        "sources": members.sources,
    }
    return arrays, contents


def _mass(arrays: Arrays, k: int, share: float) -> Mass:
    return Mass(arrays[f"words_{k}"], arrays[f"p_{k}"].astype(np.float64), arrays[f"members_{k}"], share)
