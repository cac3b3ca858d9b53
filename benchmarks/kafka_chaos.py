"""Put a daemon on a real Kafka broker through a thousand faults: `python -m benchmarks.kafka_chaos --faults 1000`.

A round is a new broker, new topics and some fifty faults under a steady stream: daemons killed at random moments and at
chosen calls of the client, stopped, replaced; brokers killed and stopped; disks slow and full; checkpoints damaged.
After each round everything is read and verified: every revision number once, every revision equal to the batch result
at its positions, dead letters exactly the records that are no documents, no reader held up. A consumer that is not our
code follows all the time and must see whole revisions only. `--brokers 3`: three nodes, of which the leader of a topic
or a coordinator is killed in turn; nothing that was acknowledged may be lost.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kafka.broker import Broker
from tests.kafka.chaos import Chaos, OneBroker, Servers, ThreeBrokers
from tests.kafka.cluster import Cluster
from tests.kafka.faults import some_broker_faults, some_faults
from tests.kafka.forker import Forker
from tests.kafka.jars import chosen_version, installed
from tests.kafka.world import Names, World


def main() -> int:
    """Parse the options, run the rounds, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=1000, help="faults to survive (default: %(default)s)")
    parser.add_argument("--round", type=int, default=50, help="faults of one round (default: %(default)s)")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1, help="nodes (default: %(default)s)")
    parser.add_argument("--version", default=chosen_version(), help="of Apache Kafka (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=100.0, help="records per second (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of stream and faults (default: %(default)s)")
    options = parser.parse_args()
    missing = installed(options.version)
    if missing is not None:
        parser.error(missing)
    seen: Counter[str] = Counter()
    began, survived = time.monotonic(), 0
    while survived < options.faults:
        faults = min(options.round, options.faults - survived)
        seen += one_round(options, faults, options.seed + seen["rounds"])
        survived += faults
        print(f"== {survived} faults in {time.monotonic() - began:.0f} s", flush=True)
    print(f"survived {survived} faults of Kafka {options.version} with {options.brokers} broker(s)")
    for what, count in sorted(seen.items()):
        print(f"  {what}: {count}")
    return 0


def one_round(options: argparse.Namespace, faults: int, seed: int) -> Counter[str]:
    """New servers, a new world, some faults, and a look at everything; what happened, counted."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tsds-stream-chaos-")))
        forker = stack.enter_context(Forker())
        names = Names()
        topics: Broker | Cluster
        servers: Servers
        if options.brokers == 1:
            topics = stack.enter_context(Broker(folder / "kafka", options.version))
            servers = OneBroker(topics)
        else:
            topics = stack.enter_context(Cluster(folder / "kafka", options.version))
            servers = ThreeBrokers(topics, list(names.topics.values()), names.group, names.transactional_id)
        world = World(folder / "world", topics, forker, names, seed=seed, rate=options.rate)
        chaos = Chaos(world, servers, seed)
        print(f"-- round with the seed {seed}", flush=True)
        drawn = some_faults(faults, seed) if options.brokers == 1 else some_broker_faults(faults, seed)
        said = chaos.run(drawn, say=lambda line: print(line, flush=True))
        world.close()
        print(said, flush=True)
        chaos.seen["rounds"] += 1
        chaos.seen["revisions"] += sum(len(records) for records in world.witness.records.values())
        chaos.seen["transactions"] += world.publications
        chaos.seen["records sent"] += world.feeder.ledger.sent
        chaos.seen["poison records"] += len(world.feeder.ledger.poison)
        chaos.seen["starts of the daemon"] += chaos.supervisor.starts
        return chaos.seen


if __name__ == "__main__":
    sys.exit(main())
