"""The page as text: what is on it for which document."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from html import unescape
from typing import Any

import pytest

from tests.monitoring import samples
from tsds_stream.monitoring.health import Health, Warning, judge
from tsds_stream.monitoring.page import asset, render

NOW = samples.NOW
WELL = Health("healthy", "Healthy: live.")


def _page(status: Any, *, allow_text: bool = True, **options: Any) -> str:
    return render(status, judge(status, NOW), NOW, allow_text=allow_text, **options)


def _without(document: Any, depth: int) -> Any:
    """Every document that one gets by leaving out a part, not deeper than so."""
    if isinstance(document, dict) and depth:
        for key, value in document.items():
            yield {name: each for name, each in document.items() if name != key}
            yield from ({**document, key: less} for less in _without(value, depth - 1))


def test_without_a_document_the_judgement_is_all() -> None:
    page = render(None, Health("down", "Down: nothing has come yet."), NOW, allow_text=True)
    assert "Down: nothing has come yet." in page
    assert "<h2" not in page


@pytest.mark.parametrize("name", ["sample", "empty", "failing", "two_sets"])
def test_headings_follow_each_other_and_identities_are_unique(name: str) -> None:
    page = _page(getattr(samples, name)())
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    identities = re.findall(r' id="([^"]*)"', page)
    assert len(identities) == len(set(identities))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(identities)


def test_the_page_does_not_break_where_a_document_lacks_something() -> None:
    broken = [{}, {"sets": None}, {"sets": {"a": None}}, {"drift": {"state": "watching"}}, {"history": {"rows": [[]]}}]
    whole = samples.failing()
    whole["history"]["rows"] = whole["history"]["rows"][:3]
    for document in [*broken, *_without(whole, 3)]:
        assert "</html>" in render(document, WELL, NOW, allow_text=True)


def test_there_are_no_inline_styles_and_nothing_from_elsewhere() -> None:
    page = _page(samples.failing())
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert set(re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="(/[^"]*|http[^"]*)"', page)) == {
        "/page.js",
        "/style.css",
    }
    for path in ("/page.js", "/style.css"):
        kind, content = asset(path) or ("", b"")
        assert kind.startswith("text/")
        assert not re.search(rb"https?://|@import|url\(", content)
    assert asset("/markup.py") is None


def test_texts_and_explanations_are_for_those_who_may_see_them() -> None:
    shown, hidden = _page(samples.sample()), _page(samples.sample(), allow_text=False, why_no_text="Ask <there>.")
    assert "vacuuming tables" in shown
    assert 'href="/explain?set=default&amp;id=doc-800000"' in shown
    assert "vacuuming tables" not in hidden
    assert "/explain" not in hidden
    assert "Ask &lt;there&gt;." in hidden
    assert "Ask &lt;there" not in shown


def test_warnings_say_what_to_do_the_most_urgent_first() -> None:
    warnings = (
        Warning("stalled", "critical", "It <stands>.", "Restart it."),
        Warning("x_y", "warning", "Less.", "Wait."),
    )
    page = unescape(render(samples.sample(), Health("down", "Down.", warnings), NOW, allow_text=True))
    assert "2 warnings" in page
    order = [page.index(words) for words in ("Critical", "It <stands>.", "Restart it.", "Stalled", "Less.", "Wait.")]
    assert order == sorted(order)
    assert "What to do" not in _page(samples.sample())


def test_a_set_that_is_not_exact_says_why() -> None:
    page = unescape(_page(samples.failing()))
    assert "Not exact" in page
    assert "shortlists lost documents to retractions" in page
    assert "30 shortlists are too short for the plan: raise max_k to 2048" in page
    assert "Not exact" not in _page(samples.sample())


def test_every_set_has_a_section_that_the_navigation_leads_to() -> None:
    document = samples.two_sets()
    document["sets"]["a/b é"] = document["sets"].pop("default")
    page = _page(document)
    for anchor in ("set-chess-2d-openings", "set-a-2f-b-20--e9-"):
        assert f'href="#{anchor}"' in page
        assert f'<section id="{anchor}"' in page


def test_drift_that_is_off_or_has_no_evidence_says_so() -> None:
    document = samples.sample()
    document["drift"] = {"state": "off"}
    assert "drift is switched off" in _page(document)
    empty = unescape(re.sub("<[^>]*>", "", _page(samples.empty())))
    assert "Not known yet: 0 documents are looked at, 6,000 more are needed first." in empty
    assert "not enough documents" in empty


def test_an_alarm_is_told_in_words() -> None:
    plain = re.sub("<[^>]*>", "", _page(samples.failing()))
    assert "short window 1.9 alarm" in plain
    assert "changes more than usual" in plain
    assert " alarm " not in re.sub(" alarm at| alarm line|an alarm", "", re.sub("<[^>]*>", "", _page(samples.sample())))


def test_the_page_is_the_same_for_the_same_document_and_time() -> None:
    assert _page(samples.failing()) == _page(samples.failing())


def test_rendering_needs_nothing_that_the_base_install_lacks() -> None:
    lacking = "import sys; sys.modules.update(dict.fromkeys(('waitress', 'prometheus_client', 'numpy')))"
    script = f"{lacking}; import tsds_stream.monitoring.page as page; print(len(page.message('a', 'b')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100
