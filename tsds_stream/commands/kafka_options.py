"""The options of commands that talk to brokers: how to reach them, and the names of the topics."""

from __future__ import annotations

import argparse

from tsds_stream.config import SECTIONS
from tsds_stream.configuration.command_line import add_options

_OURSELVES = ("bootstrap_servers", "group_id", "transactional_id")


def add_kafka_options(parser: argparse.ArgumentParser) -> None:
    """Add --bootstrap-servers and the other options of [kafka], and --documents-topic and those of the other topics."""
    names = {name: _flag(name) for name in _OURSELVES}
    add_options(parser, SECTIONS["kafka"], "Kafka", "kafka-", names)
    topics = SECTIONS["kafka.topics"]
    add_options(parser, topics, "topics", names={name: _flag(f"{name}-topic") for name in topics.names()})


def _flag(name: str) -> str:
    return f"--{name}".replace("_", "-")
