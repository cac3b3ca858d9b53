"""Nothing that somebody else wrote becomes markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsds_stream.monitoring.page import Html, join, layout, message, tag, text


class _Read(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


_PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")))


@given(_PRINTABLE, _PRINTABLE)
def test_words_and_attributes_come_out_as_they_went_in(words: str, attribute: str) -> None:
    read = _Read(tag("p", words, title=attribute))
    assert read.tags == [("p", {"title": attribute})]
    assert read.words == words


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_opens_an_element_or_an_attribute(words: str, attribute: str) -> None:
    read = _Read(tag("p", words, title=attribute))
    assert [name for name, _ in read.tags] == ["p"]
    assert list(read.tags[0][1]) == ["title"]


def test_text_is_escaped_once_however_deep_it_stands() -> None:
    once = tag("b", "<&>")
    assert once == "<b>&lt;&amp;&gt;</b>"
    assert join(tag("p", once)) == f"<p>{once}</p>"
    assert text(text("<")) == "&lt;"


def test_what_is_put_together_without_the_builder_is_plain_text() -> None:
    for glued in (Html("<b>") + "<i>", f"{Html('<b>')}<i>", Html("<%s>") % "b", Html("<b>").lower()):
        assert "<" not in tag("p", glued).removeprefix("<p>").removesuffix("</p>")


def test_characters_that_cannot_be_shown_are_replaced() -> None:
    assert text("a\x00b\x1bc\x85d\ud800e\ufffff\tg\n") == "a�b�c�d�e�f\tg\n"


def test_attributes_without_a_value() -> None:
    assert tag("input", required=True, disabled=False, value=None) == "<input required/>"
    assert tag("label", "x", for_="y", data_value="/a") == '<label for="y" data-value="/a">x</label>'


@pytest.mark.parametrize("name", ["a b", "", "a>", "on\n", "a=b"])
def test_names_are_not_taken_from_anywhere(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        tag(name)
    with pytest.raises(ValueError, match="no name"):
        tag("p", **{name or " ": "x"})


def test_a_page_is_not_made_of_plain_text() -> None:
    with pytest.raises(TypeError, match="not be escaped"):
        layout("title", "<p>not built</p>")  # type: ignore[arg-type]


def test_a_message_is_a_whole_page() -> None:
    page = message("Not <here>", "Nothing is at this address.", "Look & see.")
    assert page.startswith("<!doctype html>\n<html lang=")
    read = _Read(page)
    assert [name for name, _ in read.tags].count("h1") == 1
    assert "Not <here>" in read.words
    assert "Look & see." in read.words
