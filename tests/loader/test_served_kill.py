"""A process that serves is killed at random moments; what it was seen to serve is in its log, and the sequence of the
run, put together over all its lives, is that of a run that nobody killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from tests.cli_cases import ROOT
from tests.loader.served_logs import sequence

SERVING = """
import sys
from tests.loader.served_logs import name
from tsds_stream.loader.served_writer import ServedWriter
writer = ServedWriter(sys.argv[1], segment=2000)
begin = int(sys.argv[2])
writer.begin(begin)
for step in range(begin, 10**9):
    writer.write(step, 1, "default", 1, 0, [name(step, place) for place in range(3)])
    print(step, flush=True)  # it is served
    if step % 7 == 0:
        writer.sync()
"""


def test_what_was_served_before_a_kill_is_in_the_log(tmp_path: Path) -> None:
    chance = random.Random(4)
    begin, reached = 0, 0
    for _ in range(8):
        command = [sys.executable, "-c", SERVING, str(tmp_path), str(begin)]
        serving = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        assert serving.stdout is not None
        for _ in range(chance.randrange(1, 120)):
            serving.stdout.readline()
        serving.send_signal(signal.SIGKILL)
        served = [int(line) for line in serving.stdout if line.endswith("\n")]
        serving.wait()
        serving.stdout.close()
        found = sequence(tmp_path)
        assert [step for step, _, _ in found] == list(range(len(found)))
        if served:
            assert len(found) > served[-1]
        reached = len(found)
        begin = max(0, reached - chance.randrange(20))
    assert reached > 100
