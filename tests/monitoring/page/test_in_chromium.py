"""The status page in a real browser, from the real server: what somebody sees who opens it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.monitoring import samples
from tests.monitoring.page.chromium import Chromium, Tab
from tests.monitoring.page.numbers import COLLECT, differences
from tests.monitoring.page.pages import Pages, fresh
from tests.monitoring.runs import watched_run
from tests.patience import PATIENCE

SAMPLES = ("sample", "empty", "failing", "two_sets")
PHONE = {"width": 360, "height": 740}
HOSTILE = '<script>window.taken = 1</script><img src=x onerror="window.taken = 2">\u202e"\'&amp;\x00\x1b'

Serve = Callable[..., Pages]


def _sample(name: str) -> Any:
    return fresh(getattr(samples, name)())


def _unfolded(tab: Tab) -> None:
    tab.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The last document of a run with three target sets."""
    return watched_run(tmp_path_factory.mktemp("run") / "run", records=1500)[-1]


@pytest.mark.parametrize("name", [*SAMPLES, "real"])
def test_every_number_equals_the_status_document(
    name: str, browser: Chromium, serve: Serve, request: pytest.FixtureRequest
) -> None:
    document = _sample(name) if name in SAMPLES else request.getfixturevalue("real")
    pages = serve(document)
    found = ["nothing was compared"]
    with browser.tab() as tab:
        limit = monotonic() + PATIENCE
        while found and monotonic() < limit:  # words move with the clock: page and document may be of two seconds
            tab.open(pages.url)
            seen = tab.run(COLLECT)
            found = differences(seen, pages.status())
    assert not found
    assert len(seen["named"]) > (60 if name == "empty" else 150)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("look", [{}, {"dark": True}, PHONE], ids=["light", "dark", "phone"])
def test_the_browser_has_nothing_to_complain_of_and_nothing_sticks_out(
    name: str, look: dict[str, Any], browser: Chromium, serve: Serve
) -> None:
    pages = serve(_sample(name))
    with browser.tab(**look) as tab:
        tab.open(pages.url)
        assert tab.run("getComputedStyle(document.body).maxWidth") != "none", "the style sheet is in effect"
        assert _sideways(tab) == 0
        _unfolded(tab)
        assert _sideways(tab) == 0
        assert tab.complaints() == []


@pytest.mark.parametrize("name", SAMPLES)
def test_the_page_is_complete_without_scripts(name: str, browser: Chromium, serve: Serve) -> None:
    pages = serve(_sample(name))
    words = []
    for scripts in (True, False):
        with browser.tab(scripts=scripts) as tab:
            tab.open(pages.url)
            words.append(
                tab.run("[...document.querySelectorAll('h1, h2, h3, dt, th, summary')].map(e => e.textContent)")
            )
            assert tab.complaints() == []
    assert words[0][1:] == words[1][1:]  # the first is the sentence, which tells ages
    assert len(words[0]) > 20


def test_the_page_refreshes_itself_and_leaves_the_reader_where_he_is(browser: Chromium, serve: Serve) -> None:
    document = _sample("sample")
    pages = serve(document)
    with browser.tab(width=1000, height=600) as tab:
        tab.open(pages.url)
        tab.run("document.getElementById('inside-process').open = true")
        tab.run("document.getElementById('set-default-question').value = 'doc-1'")
        tab.run("document.querySelector('#inside-process summary').focus()")
        tab.run("window.scrollTo({top: 900, behavior: 'instant'})")
        in_view = "document.getElementById('inside-process').getBoundingClientRect().top"
        seen = tab.run(in_view)
        document["sets"]["default"]["revision"] = 43
        document["created"] += 1
        pages.show(document)
        tab.run("window.dispatchEvent(new Event('online'))")
        tab.until("document.querySelector('[data-value=\"/sets/default/revision\"]').textContent === '43'")
        assert tab.run("document.getElementById('inside-process').open")
        assert not tab.run("document.getElementById('inside-stages').open")
        assert tab.run("document.getElementById('set-default-question').value") == "doc-1"
        assert tab.run("document.activeElement.closest('details').id") == "inside-process"
        assert tab.run("window.scrollY") > 800
        assert tab.run(in_view) == pytest.approx(seen, abs=5)  # the browser keeps it there while ages above it change
        assert tab.run("document.getElementById('contact').textContent") == ""
        assert tab.complaints() == []


def test_a_change_of_the_state_reaches_the_title_the_icon_and_those_who_listen(browser: Chromium, serve: Serve) -> None:
    document = _sample("sample")
    pages = serve(document)
    with browser.tab() as tab:
        tab.open(pages.url)
        icon = tab.run("document.getElementById('icon').href")
        assert tab.run("document.title") == "healthy · tsds-stream"
        failing = _sample("failing")
        failing["created"] = document["created"] + 1
        pages.show(failing)
        tab.run("window.dispatchEvent(new Event('online'))")
        tab.until("document.getElementById('news').textContent !== ''")
        assert tab.run("document.title") == "degraded · tsds-stream"
        assert tab.run("document.getElementById('news').textContent") == tab.run(
            "document.querySelector('h1').textContent"
        )
        assert tab.run("document.getElementById('icon').href") != icon
        assert tab.run("document.querySelector('header nav').textContent.includes('chess-openings')")


def test_the_page_says_when_nobody_answers_any_more(browser: Chromium, serve: Serve) -> None:
    pages = serve(_sample("sample"))
    with browser.tab() as tab:
        tab.open(pages.url)
        pages.close()
        tab.run("window.dispatchEvent(new Event('online'))")
        tab.until("document.getElementById('contact').textContent.startsWith('No answer since ')")
        assert tab.run("document.querySelector('[data-value=\"/sets/default/revision\"]').textContent") == "42"


def test_a_tab_that_nobody_looks_at_asks_for_nothing(browser: Chromium, serve: Serve) -> None:
    pages = serve(_sample("sample"))
    with browser.tab() as tab:
        tab.open(pages.url)
        asked = "performance.getEntriesByType('resource').filter((one) => one.initiatorType === 'fetch').length"
        tab.run("Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })")
        tab.run("document.dispatchEvent(new Event('visibilitychange'))")
        tab.run("window.dispatchEvent(new Event('online'))")
        assert tab.run(asked) == 0
        tab.run("delete document.hidden")
        tab.run("document.dispatchEvent(new Event('visibilitychange'))")
        tab.until(f"{asked} === 1")


def test_what_documents_contain_is_shown_as_text(browser: Chromium, serve: Serve) -> None:
    document = _sample("failing")
    one = document["sets"].pop("default")
    document["sets"][HOSTILE] = one
    one["watch"]["entered"][0].update(id=HOSTILE, text=HOSTILE)
    one["watch"]["left"][0].update(id="x" * 10_000, text="w" * 10_000)
    one["watch"]["groups"][0]["group"] = HOSTILE
    one["watch"]["groups"][1]["group"] = "g" * 10_000
    one["watch"]["uncovered_targets"] = [{"id": HOSTILE, "group": HOSTILE, "distance": 1.2, "nearest": "n" * 10_000}]
    one["watch"]["sources"] = [{"source": HOSTILE, "share": 1.0}]
    document["embedder"]["error"] = HOSTILE
    document["events"][0]["text"] = HOSTILE
    pages = serve(document)
    shown = HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    with browser.tab(**PHONE) as tab:
        tab.open(pages.url)
        _unfolded(tab)
        assert tab.run("window.taken") is None
        assert tab.run("[document.images.length, document.querySelectorAll('main script').length]") == [0, 0]
        found = tab.run("[...document.querySelectorAll('bdi')].map((one) => one.textContent)")
        assert found.count(shown) >= 8
        assert _sideways(tab) == 0
        assert tab.complaints() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", [*SAMPLES, "not found"])
def test_axe_finds_nothing_that_keeps_people_out(
    name: str, dark: bool, browser: Chromium, serve: Serve, axe_script: str
) -> None:
    pages = serve(_sample(name if name in SAMPLES else "sample"))
    with browser.tab(dark=dark) as tab:
        tab.open(pages.url if name in SAMPLES else f"{pages.url}status")
        _unfolded(tab)
        tab.run(f"{axe_script}; undefined")
        found = tab.run(
            "axe.run().then((found) => JSON.stringify({ bad: found.violations, good: found.passes.length }))"
        )
    checked = json.loads(found)
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in checked["bad"]] == []
    assert checked["good"] > 10


def test_a_picture_is_not_empty(browser: Chromium, serve: Serve, tmp_path: Path) -> None:
    pages = serve(_sample("sample"))
    with browser.tab() as tab:
        tab.open(pages.url)
        tab.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 20_000


def _sideways(tab: Tab) -> int:
    """How far the page can be scrolled to the side, or something is cut off at its edge."""
    return int(tab.run("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - innerWidth"))
