"""What is answered, without a port."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.engine_fakes import ListLog
from tests.monitoring.samples import NOW, Json, failing, sample, two_sets
from tests.monitoring.serve.asking import Reply
from tests.monitoring.serve.conftest import TOKEN
from tsds_stream.monitoring.health import judge
from tsds_stream.monitoring.serve import routes as routes_module
from tsds_stream.monitoring.serve.app import Application
from tsds_stream.monitoring.serve.explaining import (
    CannotExplainError,
    Explained,
    Explainer,
    NotNowError,
    UnknownError,
)
from tsds_stream.monitoring.serve.newest import Newest
from tsds_stream.monitoring.serve.routes import Routes, without_texts
from tsds_stream.monitoring.serve.security import Door

SCRIPT = "<script>alert(1)</script>"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class FakeExplainer(Explainer):
    """Answers what it is given."""

    def __init__(self, answer: Explained | Exception) -> None:
        super().__init__(Path("nowhere"))
        self.given = answer
        self.asked: list[tuple[str | None, str]] = []

    def explain(self, name: str | None, document: str) -> Explained:
        self.asked.append((name, document))
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


def explained(**more: Any) -> Explained:
    content = {"id": "d1", "state": "selected", "probability": 0.5}
    facts = {"set": "default", "sentences": ["Document 'd1' is selected.", "Its rank is low."], "text": "words of d1"}
    return Explained(**{**facts, "content": content, "checkpoint": 7, "written": NOW - 5000, **more})


Get = Callable[..., Reply]


def site(
    status: Json | None,
    *,
    listen: tuple[str, str] = ("127.0.0.1", "127.0.0.1"),
    token: str | None = None,
    explainer: Explainer | None = None,
    log: ListLog | None = None,
) -> Get:
    """A site that knows this document; `get(path, method="GET", client="127.0.0.1", **headers)` asks it."""
    newest = Newest()
    if status is not None:
        newest.put(orjson.dumps(status))
    routes = Routes(newest, explainer or FakeExplainer(explained()), lambda: NOW / 1000)
    application = Application(routes, Door(token, [listen[0]], listen[1]), log or ListLog())

    def get(path: str, method: str = "GET", client: str = "127.0.0.1", **headers: str) -> Reply:
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_ADDR": client,
            "HTTP_HOST": "localhost:9464",
            "wsgi.file_wrapper": lambda file: [file.read()],
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        told: list[Any] = []
        body = b"".join(application(environ, lambda status, headers: told.extend((status, headers))))
        return Reply(int(told[0].split()[0]), {key.lower(): value for key, value in told[1]}, body)

    return get


class Scripts(HTMLParser):
    """Collects what a browser would run, and what it would show."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.run: list[dict[str, str | None]] = []
        self.shown = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.run.append(dict(attrs))
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.shown += data


def test_everything_that_is_listed_is_there():
    get = site(sample())
    for path in ("/", "/status.json", "/metrics", "/healthz", "/readyz", "/style.css", "/page.js"):
        assert get(path).status == 200, path


@pytest.mark.parametrize(
    "path", ["/nothing", "/metrics/", "//", "", "/../etc/passwd", "/%00", "/\x00", "/status.json\x00"]
)
def test_elsewhere_is_nothing_but_links(path: str):
    plain = site(sample())(path)
    assert (plain.status, plain.headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert "/metrics" in plain.text
    page = site(sample())(path, accept=BROWSER)
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert 'href="/status.json"' in page.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "X"])
def test_nothing_can_be_changed(method: str):
    for path in ("/", "/metrics", "/nothing"):
        answer = site(sample())(path, method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_head_is_get_without_the_body():
    get = site(sample())
    for path in ("/", "/status.json", "/metrics", "/healthz", "/nothing"):
        head, whole = get(path, "HEAD"), get(path)
        assert head.body == b""
        assert (head.status, head.headers) == (whole.status, whole.headers)
        assert int(head.headers["content-length"]) == len(whole.body)


def test_every_answer_forbids_what_it_does_not_need():
    get = site(sample())
    for answer in (
        get("/"),
        get("/metrics"),
        get("/nothing"),
        get("/", "POST"),
        get("/explain"),
        site(None)("/metrics"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


def test_status_is_the_document_and_the_judgement_of_it():
    answer = site(failing())("/status.json")
    assert answer.headers["content-type"] == "application/json"
    assert orjson.loads(answer.body) == {**failing(), "health": judge(failing(), NOW).as_json()}


def test_metrics_come_in_both_formats():
    get = site(sample())
    assert get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")
    wanted = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    answer = get("/metrics", accept=wanted)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")
    assert get("/metrics", accept=wanted) == answer
    assert not get("/metrics").body.endswith(b"# EOF\n")
    assert get("/metrics", accept="application/openmetrics-text;version=x").status == 200
    assert get("/metrics", accept=f"application/openmetrics-text;version={'9' * 10_000}").status == 200


def test_clients_cannot_make_up_formats_that_are_rendered_anew(monkeypatch: pytest.MonkeyPatch):
    rendered: list[str] = []
    render = routes_module.render_metrics
    monkeypatch.setattr(
        routes_module, "render_metrics", lambda status, accept: rendered.append(accept) or render(status, accept)
    )
    get = site(sample())
    kinds = {
        get("/metrics", accept=f"{name};version={major}.{minor};escaping={escaping}").headers["content-type"]
        for name in ("application/openmetrics-text", "text/plain", "text/html")
        for major in range(3)
        for minor in range(30)
        for escaping in ("underscores", "allow-utf-8", "x")
    }
    assert len(kinds) == len(rendered) == 2


def test_before_the_first_document_there_is_little_to_say():
    get = site(None)
    assert [get(path).status for path in ("/", "/healthz")] == [200, 200]
    assert "starting" in get("/").text
    for path in ("/metrics", "/status.json", "/readyz"):
        answer = get(path)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5"), path


def test_readiness_says_what_is_missing():
    status = sample()
    status["sets"]["default"]["revision"] = 0
    answer = site(status)("/readyz")
    assert (answer.status, answer.text) == (503, "not ready:\ntarget set default has no revision yet\n")


def test_a_loop_that_stands_still_is_not_alive():
    status = sample()
    status["process"]["ticked"] = status["created"] - 200_000
    answer = site(status)("/healthz")
    assert answer.status == 503
    assert "3 minutes ago" in answer.text


def test_texts_are_for_those_who_may_see_them():
    text = sample()["sets"]["default"]["watch"]["left"][0]["text"]
    for path in ("/", "/status.json"):
        assert text in site(sample())(path).text
        assert text not in site(sample())(path, x_forwarded_for="192.0.2.1").text
        assert text not in site(sample(), listen=("0.0.0.0", "0.0.0.0"))(path).text
        opened = site(sample(), listen=("0.0.0.0", "0.0.0.0"), token=TOKEN)(path, authorization=f"Bearer {TOKEN}")
        assert text in opened.text


def test_a_page_without_texts_says_why():
    get = site(sample(), listen=("0.0.0.0", "0.0.0.0"))
    assert "Texts of documents are shown on the machine itself" in get("/").text
    assert "Texts of documents are shown on the machine itself" not in site(sample())("/").text


def test_one_client_without_texts_does_not_take_them_from_the_next():
    get = site(sample())
    without, full = get("/status.json", x_forwarded_for="192.0.2.1"), get("/status.json")
    assert without.body != full.body
    assert get("/status.json", x_forwarded_for="192.0.2.1") == without


def test_without_texts_nothing_else_is_missing():
    status = two_sets()
    stripped = without_texts(status)
    watch = stripped["sets"]["default"]["watch"]
    assert {one["text"] for field in ("entered", "left") for one in watch[field]} == {None}
    for name, one in status["sets"].items():
        for field in ("entered", "left"):
            for member, shown in zip(
                (one["watch"] or {}).get(field, []), (stripped["sets"][name]["watch"] or {}).get(field, []), strict=True
            ):
                assert {**member, "text": None} == shown
    status["sets"]["default"]["watch"] = None
    assert without_texts(status)["sets"]["default"] == status["sets"]["default"]


def test_where_a_token_is_set_others_need_it_for_all_but_what_machines_ask():
    get = site(sample(), listen=("0.0.0.0", "0.0.0.0"), token=TOKEN)
    for path in ("/", "/status.json", "/explain?id=d1"):
        for given in ({}, {"authorization": "Bearer wrong"}):
            answer = get(path, **given)
            assert answer.status == 401
            assert "Bearer" in answer.headers["www-authenticate"]
            assert TOKEN not in answer.text
    for path in ("/metrics", "/healthz", "/readyz", "/style.css"):
        assert get(path).status == 200
        assert get(path, authorization="Bearer wrong").status == 200


def test_a_page_elsewhere_cannot_read_what_is_here():
    """It can make its own name lead to 127.0.0.1, but the browser still sends that name."""
    get = site(sample())
    for path in ("/", "/status.json", "/explain?id=d1", "/metrics", "/nothing"):
        assert get(path, host="evil.example:9464").status == 403


def test_explanations_need_more_than_an_open_port():
    explainer = FakeExplainer(explained())
    assert site(sample(), listen=("0.0.0.0", "0.0.0.0"), explainer=explainer)("/explain?id=d1").status == 403
    assert site(sample(), explainer=explainer)("/explain?id=d1", x_forwarded_for="192.0.2.1").status == 403
    assert explainer.asked == []


def test_an_explanation_says_of_which_checkpoint_it_is():
    explainer = FakeExplainer(explained())
    get = site(sample(), explainer=explainer)
    found = orjson.loads(get("/explain?set=default&id=d%C3%A9%201", accept="*/*").body)
    assert found["checkpoint"] == {"number": 7, "written": NOW - 5000}
    assert (found["state"], found["text"]) == ("selected", "words of d1")
    page = get("/explain?id=d1", accept=BROWSER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "as of checkpoint 7, written 5 s ago" in page.text
    assert explainer.asked == [("default", "dé 1"), (None, "d1")]


@pytest.mark.parametrize(
    ("failure", "status"),
    [(UnknownError("no such"), 404), (NotNowError("later"), 503), (CannotExplainError("which set"), 400)],
)
def test_what_cannot_be_explained_is_a_sentence(failure: Exception, status: int):
    answer = site(sample(), explainer=FakeExplainer(failure))("/explain?id=d1")
    assert (answer.status, answer.text) == (status, f"{failure}\n")
    assert ("retry-after" in answer.headers) is (status == 503)


@pytest.mark.parametrize("query", ["", "?id=", "?set=default", "?" + "&".join(["a=1"] * 30), "?id=%"])
def test_a_question_without_a_document_is_refused_or_answered(query: str):
    assert site(sample())(f"/explain{query}").status == (200 if query == "?id=%" else 400)


def test_an_answer_that_fails_is_told_in_the_log_and_not_to_the_client():
    log = ListLog()
    answer = site(sample(), explainer=FakeExplainer(RuntimeError("secret")), log=log)("/explain?id=d1")
    assert answer.status == 500
    assert "secret" not in answer.text
    assert [(event, fields["error"]) for _, event, fields in log.lines] == [("answer failed", "secret")]


def hostile() -> Json:
    """A document of which everything that others wrote is a script."""
    status = failing()
    status["embedder"]["error"] = status["checkpoints"]["error"] = SCRIPT
    status["events"] = [{"time": NOW, "kind": "warning", "set": SCRIPT, "text": SCRIPT}]
    one = status["sets"].pop("default")
    watch = one["watch"] = sample()["sets"]["default"]["watch"]
    watch["groups"][0]["group"] = watch["sources"][0]["source"] = SCRIPT
    watch["uncovered_targets"] = [{"id": SCRIPT, "group": SCRIPT, "distance": 1.0, "nearest": SCRIPT}]
    for field in ("entered", "left"):
        watch[field][0] |= {"id": SCRIPT, "text": SCRIPT, "cause": SCRIPT}
    watch["entered"][0]["nearest"] = [SCRIPT, 0.5]
    status["sets"][SCRIPT] = one
    return status


def test_whatever_documents_contain_shows_as_text():
    get = site(hostile(), explainer=FakeExplainer(UnknownError(f"no {SCRIPT}")))
    for allowed in ({}, {"x_forwarded_for": "192.0.2.1"}):
        page = Scripts(get("/", accept=BROWSER, **allowed).text)
        assert page.run == [{"src": "/page.js", "defer": None}]
        assert SCRIPT in page.shown
    answer = Scripts(get(f"/explain?id={SCRIPT}", accept=BROWSER).text)
    assert (answer.run, SCRIPT in answer.shown) == ([], True)
    assert get(f"/explain?id={SCRIPT}").headers["content-type"].startswith("text/plain")
    lines = get("/metrics").text.splitlines()
    assert all(re.fullmatch(r"(#.*|[a-z_]+(\{.*\})? [-+.0-9eInfNa]+)", line) for line in lines)


def test_whatever_an_explanation_contains_shows_as_text():
    words = explained(set=SCRIPT, text=SCRIPT, sentences=[SCRIPT, SCRIPT], content={"id": SCRIPT})
    page = Scripts(site(sample(), explainer=FakeExplainer(words))(f"/explain?id={SCRIPT}", accept=BROWSER).text)
    assert (page.run, page.shown.count(SCRIPT)) == ([], 4)


def test_an_address_that_is_a_script_is_not_run():
    page = Scripts(site(sample())(f"/{SCRIPT}", accept=BROWSER).text)
    assert page.run == []
