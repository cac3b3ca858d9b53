"""An hour and a day ago, against a list of everything that ever was in force."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitoring.selection_watch.cases import BEGAN, HOUR, MINUTE
from tsds_stream.monitoring.selection_watch.horizons import DAY, Horizons
from tsds_stream.monitoring.selection_watch.mass import Mass

pauses = st.lists(st.sampled_from([1, 7, 90]) | st.integers(1, 30 * 60), min_size=1, max_size=60)  # minutes


def nth(k: int) -> Mass:
    return Mass(np.array([k], np.uint64), np.ones(1), np.array([k], np.uint64))


@given(pauses)
@settings(max_examples=60)
def test_what_is_found_was_in_force_then(minutes):
    horizons = Horizons()
    history = [(BEGAN, nth(0))]
    for k, pause in enumerate(minutes, 1):
        since, mass = history[-1]
        now = since + pause * MINUTE
        horizons.replaced(mass, since, now)
        history.append((now, nth(k)))
        assert len(horizons.kept) <= 7 + 25 + 1
        for back, step in ((HOUR, 10 * MINUTE), (DAY, HOUR)):
            moment = (now - back) // step * step  # up to one step longer ago than asked for
            in_force = [one for began, one in history[:-1] if began <= moment]
            found = horizons.at(now, back)
            if found is None:
                assert not in_force
            else:
                assert found.words.tolist() == in_force[-1].words.tolist()
