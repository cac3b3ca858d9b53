"""How much is logged is not up to clients."""

from __future__ import annotations

import logging

from tests.engine_fakes import ListLog
from tsds_stream.monitoring.serve.calm import CalmLog, Forwarder


def test_a_few_lines_pass_each_minute_and_the_others_are_counted():
    now, log = [0.0], ListLog()
    calm = CalmLog(log, lambda: now[0])
    for _ in range(1000):
        calm.warning("trouble", kind="x")
    assert log.lines == [("warning", "trouble", {"kind": "x"})] * 10
    now[0] = 61.0
    calm.error("other trouble")
    calm.info("news")
    assert log.lines[10:] == [("error", "other trouble", {"lines_dropped": 990}), ("info", "news", {})]


def test_what_a_library_logs_is_an_event_with_its_error():
    log = ListLog()
    logger = logging.Logger("library")
    logger.addHandler(Forwarder(log))
    try:
        raise ValueError("wrong")
    except ValueError:
        logger.exception("while serving %s", "/x" * 1000)
    (level, event, fields), *others = log.lines
    assert (level, event, others) == ("warning", "status server", [])
    assert (len(str(fields["message"])), fields["error"], fields["kind"]) == (500, "wrong", "ValueError")
