"""(e) Code and images: the near-duplicates table on what is not prose, the kernel's width by the rule `auto`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.evidence import mixes
from benchmarks.evidence.contestants import compared
from benchmarks.evidence.corpora.code import code_corpus
from benchmarks.evidence.corpora.images import images
from benchmarks.evidence.image_trials import ImageSplit
from benchmarks.evidence.measuring import measured
from benchmarks.evidence.pictures import draw_differences
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.table import BEST_SIMPLE, Table
from benchmarks.evidence.trials import Split

DOCUMENTS, TARGETS, HELD_OUT, BUDGET = 10_000, 200, 400, 500
IMAGES, IMAGE_TARGETS, IMAGE_BUDGET = 12_000, 100, 300
COPIED: Final = {"no copies": 0.0, "1% copied": 0.01, "5% copied": 0.05}


def run(seed: int, quick: bool) -> list[Finding]:
    """Every method on code, then on images, with every share of copies."""
    mix = mixes.TRIED_CODE if quick else mixes.code(seed)
    digits = mixes.TRIED_DIGITS if quick else mixes.digits(seed)
    size = (2000, 50, 100) if quick else (DOCUMENTS, TARGETS, HELD_OUT)
    image_size, budgets = ((2000, 50), (100, 50)) if quick else ((IMAGES, IMAGE_TARGETS), (BUDGET, IMAGE_BUDGET))
    split = Split(code_corpus(), mix, seed, *size, copied=max(COPIED.values()), rare=mixes.RARE)
    found = []
    for condition, copied in COPIED.items():
        trial = split.trial(budgets[0], size[1], copied)
        found += [Finding(f"code, {condition}", name, measured(trial, one)) for name, one in compared().items()]
    for condition, copied in COPIED.items():
        trial = ImageSplit(digits, seed, *image_size, copied).trial(budgets[1])
        seeing = {name: one for name, one in compared().items() if not one.needs_texts}
        found += [Finding(f"images, {condition}", name, measured(trial, one)) for name, one in seeing.items()]
    return found


def draw(results: Results, path: Path) -> None:
    """The loss of every method beside the best simple rule."""
    draw_differences(
        results,
        path,
        ["code, no copies", "code, 5% copied", "images, no copies", "images, 5% copied"],
        "loss",
        BEST_SIMPLE,
        f"loss above {BEST_SIMPLE}: code, 100 × log perplexity; images, % of wrong answers (linear up to ±5)",
    )


def _prepare() -> None:
    code_corpus()
    images()


TABLE: Final = Table(
    name="code_and_images",
    title="Code and images",
    asks=f"""What holds beyond prose. Code: {DOCUMENTS:,} chunks in eleven languages, {mixes.RARE:.0%} of them in the
three languages of the {TARGETS} targets, and the tokens of {BUDGET} chunks selected; copies as in the table of
near-duplicates, white space kept. Images: {IMAGES:,} digits, {IMAGE_TARGETS} targets of four, {IMAGE_BUDGET} selected;
copies with noise on the pixels. The width of the kernel comes from the rule `auto`. Differences: code, 100 × the
difference in log perplexity; images, the difference of the error in percentage points; negative is better.""",
    seeds=len(mixes.CODE),
    run=run,
    prepare=_prepare,
    draw=draw,
)
