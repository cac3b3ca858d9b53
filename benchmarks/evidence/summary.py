"""What the default selects against everything else, in one table: made of the results of other tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tsds_stream.comparison.intervals import interval_of

SUBJECT: Final = "turns"
COLUMNS: Final = (
    ("near_duplicates", "no copies", "text"),
    ("near_duplicates", "5% copied", "text, 5% copied"),
    ("code_and_images", "code, no copies", "code"),
    ("code_and_images", "code, 5% copied", "code, 5% copied"),
)
REFERENCES: Final = ("kde", "uniform", "round_robin", "dedup+round_robin", "nearest", "dsir", "random")


def write_summary(folder: Path) -> str:
    """Write `summary.md`; the tables it is made of have to be there."""
    rows = [
        "| perplexity of what `turns` selects, against | " + " | ".join(heading for *_, heading in COLUMNS) + " |",
        "|---|" + "---|" * len(COLUMNS),
    ]
    for reference in REFERENCES:
        cells = [_advantage(_losses(folder, table, condition), reference) for table, condition, _ in COLUMNS]
        rows.append(f"| {reference} | " + " | ".join(cells) + " |")
    page = "\n".join(rows) + "\n"
    (folder / "summary.md").write_text(page)
    return page


def _losses(folder: Path, table: str, condition: str) -> dict[str, list[float]]:
    """Method -> its loss with each seed."""
    record: dict[str, Any] = json.loads((folder / f"{table}.json").read_text())
    found: dict[str, list[float]] = {}
    for seed in record["seeds"]:
        for finding in seed["findings"]:
            if finding["condition"] == condition:
                found.setdefault(finding["method"], []).append(finding["figures"]["loss"])
    return found


def _advantage(losses: dict[str, list[float]], reference: str) -> str:
    """100 × the difference of the losses, paired by seed: about the per cent of perplexity."""
    own, other = losses[SUBJECT], losses[reference]
    told = interval_of([100 * (mine - theirs) for mine, theirs in zip(own, other, strict=True)])
    cell = f"{told.mean:+.1f} ± {told.half or 0.0:.1f}"
    return f"**{cell}**" if told.decided else cell
