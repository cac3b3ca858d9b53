from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from tsds_stream.embedding import EmbedderError, EmbedderSettings, create
from tsds_stream.embedding.hashing import HashingEmbedder
from tsds_stream.embedding.precomputed import PrecomputedEmbedder
from tsds_stream.embedding.settings import HashingSettings, HttpSettings, PrecomputedSettings, StaticSettings
from tsds_stream.embedding.static import StaticEmbedder


class Tree(BaseModel):
    embedder: EmbedderSettings


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"kind": "static"}, StaticEmbedder),
        ({"kind": "hashing", "dimension": 64}, HashingEmbedder),
        ({"kind": "precomputed", "dimension": 3}, PrecomputedEmbedder),
    ],
)
def test_the_kind_in_the_configuration_decides_the_embedder(given: dict[str, Any], kind: type) -> None:
    embedder = create(Tree.model_validate({"embedder": given}).embedder)
    assert isinstance(embedder, kind)
    embedder.close()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"kind": "magic"}, "'static', 'transformer', 'http', 'precomputed', 'hashing'"),
        ({"kind": "static", "max_token": 3}, "max_token"),
        ({"kind": "hashing", "min_n": 3, "max_n": 2}, "min_n must not exceed max_n"),
        ({"kind": "http"}, "url"),
        ({"kind": "http", "url": "ftp://host/"}, "http://host:port"),
        ({"kind": "http", "url": "http://"}, "http://host:port"),
        ({"kind": "http", "url": "http://host:99999"}, "(?i)port"),
        ({"kind": "http", "url": "http://me:secret@host/"}, "must not hold a user or password"),
        ({"kind": "http", "url": "http://host", "api": "openai"}, "needs model"),
        ({"kind": "http", "url": "http://host", "api_key_env": "A", "api_key_file": "b"}, "not both"),
        ({"kind": "precomputed", "dimension": 20_000}, "16384"),
    ],
)
def test_a_mistake_names_the_option(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Tree.model_validate({"embedder": given})


def test_a_missing_key_is_an_error_at_once() -> None:
    with pytest.raises(EmbedderError, match="NO_SUCH_VARIABLE"):
        create(HttpSettings(url="http://localhost:1", api_key_env="NO_SUCH_VARIABLE"))


def test_every_option_says_what_it_means() -> None:
    for settings in (StaticSettings, HttpSettings, PrecomputedSettings, HashingSettings):
        for name, field in settings.model_fields.items():
            assert name == "kind" or field.description
