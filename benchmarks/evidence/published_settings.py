"""(i) The settings of the published code: what they select at these sizes, beside the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.evidence import mixes
from benchmarks.evidence.corpora.images import images
from benchmarks.evidence.corpora.text import text_corpus
from benchmarks.evidence.image_trials import ImageSplit
from benchmarks.evidence.measuring import Figures, measured
from benchmarks.evidence.pictures import draw_differences
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.table import COLUMNS, Column, Table
from benchmarks.evidence.trials import Split, Trial
from tsds_stream.comparison.methods.product import Product
from tsds_stream.selection.settings import STRUCTURAL

DOCUMENTS, TARGETS, HELD_OUT, BUDGET = 20_000, 200, 500, 1000
IMAGES, IMAGE_TARGETS, IMAGE_BUDGET = 12_000, 100, 300
COPIED: Final = {"no copies": 0.0, "5% copied": 0.05}
DEFAULT: Final = "defaults"
_KDE: Final[dict[str, object]] = {"regularizer": "kde", "mode": "coordinated"}
_HALF: Final[dict[str, object]] = {"alpha": 0.5, "distance_scale": 5.0}
_SMALL: Final[dict[str, object]] = {"alpha": 0.01, "distance_scale": 5.0}
_WIDE: Final[dict[str, object]] = {"sigma": 0.75}
SETTINGS: Final[dict[str, dict[str, object]]] = {
    DEFAULT: _KDE,
    "alpha 0.5, C 5, sigma 0.75": {**_KDE, **_HALF, **_WIDE},
    "alpha 0.01, C 5, sigma 0.75": {**_KDE, **_SMALL, **_WIDE},
    "alpha 0.5, C 5, sigma auto": {**_KDE, **_HALF},
    "alpha 0.01, C 5, sigma auto": {**_KDE, **_SMALL},
    "alpha auto, sigma 0.75": {**_KDE, **_WIDE},
    "alpha 0.5, C 5, sigma 0.75, drawn with replacement": {**_KDE, **_HALF, **_WIDE, "mode": "multinomial"},
}


def run(seed: int, quick: bool) -> list[Finding]:
    """Every setting on texts and on images, without and with copies."""
    mix, digits = (mixes.TRIED, mixes.TRIED_DIGITS) if quick else (mixes.text(seed), mixes.digits(seed))
    size = (2000, 50, 100) if quick else (DOCUMENTS, TARGETS, HELD_OUT)
    image_size, budgets = ((2000, 50), (100, 50)) if quick else ((IMAGES, IMAGE_TARGETS), (BUDGET, IMAGE_BUDGET))
    split = Split(text_corpus(), mix, seed, *size, copied=max(COPIED.values()))
    found = []
    for condition, copied in COPIED.items():
        trial = split.trial(budgets[0], size[1], copied)
        found += [Finding(f"text, {condition}", name, _planned(trial, one)) for name, one in SETTINGS.items()]
    for condition, copied in COPIED.items():
        trial = ImageSplit(digits, seed, *image_size, copied).trial(budgets[1])
        found += [Finding(f"images, {condition}", name, _planned(trial, one)) for name, one in SETTINGS.items()]
    return found


def _planned(trial: Trial, settings: dict[str, object]) -> Figures:
    """The figures of the selection, and of the transport plan behind it."""
    method = Product("", settings)
    config = method.changed(trial.task.config)
    shown = {name: value for name, value in config.model_dump().items() if name not in STRUCTURAL}
    revision = trial.task.selector(config).preview(**shown)
    figures = measured(trial, method)
    figures["support"] = revision.support / len(trial.task.targets)
    figures["truncated"] = revision.truncated / len(trial.task.targets)
    if revision.effective_sample_size is not None:
        figures["effective"] = revision.effective_sample_size / figures["documents"]
    return figures


def draw(results: Results, path: Path) -> None:
    """The loss of every setting beside the defaults."""
    draw_differences(
        results,
        path,
        results.conditions,
        "loss",
        DEFAULT,
        "loss above the defaults: text, 100 × log perplexity; images, % of wrong answers (linear up to ±5)",
    )


def _prepare() -> None:
    text_corpus()
    images()


TABLE: Final = Table(
    name="published_settings",
    title="The settings of the published code",
    asks=f"""What other settings would select. alpha .5 with C 5 and a kernel of width .75, and alpha .01 with
C 5, were published with the method; they were chosen for other sizes. Text: {DOCUMENTS:,}
documents, {TARGETS} targets, the tokens of {BUDGET} documents. Images: {IMAGES:,}, {IMAGE_TARGETS} targets,
{IMAGE_BUDGET} selected. Reach: documents with mass in the plan, per target. Cut: share of the targets whose shortlist
was too short for the plan. Effective: effective number of documents with mass, over the number selected. Differences:
of the loss, text 100 × log perplexity, images percentage points of error; negative is better than the defaults
(of the plan; all but the last are drawn with mode coordinated). Drawn with replacement, a document counts once in all
figures.""",
    seeds=len(mixes.TEXT),
    run=run,
    prepare=_prepare,
    columns=(
        Column("support", "reach", ".1f"),
        Column("truncated", "cut", ".0%"),
        Column("effective", "effective", ".1f"),
        *COLUMNS,
    ),
    references=(DEFAULT,),
    draw=draw,
)
