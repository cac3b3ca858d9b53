"""The client library, typed and reduced to what is used: the one package that imports kafka-python.

A record is what the library gives, without decoding. Errors are those of `errors`, as sentences. None of the classes
may be used by two threads at once.
"""

from tsds_stream.streams.kafka.client.admin import Admin
from tsds_stream.streams.kafka.client.consumer import Consumer
from tsds_stream.streams.kafka.client.failures import explained
from tsds_stream.streams.kafka.client.producer import Pending, Producer
from tsds_stream.streams.kafka.client.types import Mark, Record, Topic

__all__ = ["Admin", "Consumer", "Mark", "Pending", "Producer", "Record", "Topic", "explained"]
