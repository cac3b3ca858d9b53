"""What the library raises and logs, as failures that say what they mean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kafka import errors as kafka_errors

from tsds_stream.streams.kafka.client.overhearing import may_pass, overheard
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import (
    FencedOff,
    KafkaFailure,
    OutOfRange,
    Partition,
    Refused,
    TooLarge,
    Unreachable,
)


@contextmanager
def explained(doing: str, connection: Connection | None = None) -> Iterator[None]:
    """Turn what the library raises into a failure that says what it means."""
    began = time.monotonic()
    try:
        yield
    except kafka_errors.OffsetOutOfRangeError as error:
        raise OutOfRange({Partition(*p): int(offset) for p, offset in dict(error.args[0]).items()}) from error
    except kafka_errors.LogTruncationError as error:
        cut = {Partition(*p): max(0, at.offset) if at else 0 for p, at in error.divergent_offsets.items()}
        raise OutOfRange(dict.fromkeys(cut, -1), cut) from error
    except kafka_errors.MessageSizeTooLargeError as error:
        raise TooLarge(f"Could not {doing}: {error}") from error
    except (kafka_errors.KafkaError, OSError, AssertionError, ValueError) as error:
        at = f" ({where(connection)})" if connection is not None else ""
        reason = overheard(began) if isinstance(error, kafka_errors.KafkaTimeoutError) else None
        if reason is not None:  # with a wrong password the library only waits, and says why in its log
            raise (Unreachable if may_pass(reason) else Refused)(f"Could not {doing}{at}: {reason}") from error
        raise _kind(error)(f"Could not {doing}{at}: {_said(error)}") from error


_FENCED = (
    kafka_errors.ProducerFencedError,
    kafka_errors.InvalidProducerEpochError,
    kafka_errors.TransactionCoordinatorFencedError,
    kafka_errors.OutOfOrderSequenceNumberError,
)
_REFUSED = (
    kafka_errors.AuthorizationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.KafkaConfigurationError,
    kafka_errors.InvalidTransactionTimeoutError,
    kafka_errors.PolicyViolationError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidConfigurationError,
    kafka_errors.TopicAlreadyExistsError,
    kafka_errors.OffsetMetadataTooLargeError,
    ValueError,
)
_REFUSALS = ("AuthorizationFailed", *(kind.__name__ for kind in _REFUSED))  # in the text of what a later call raises


def _kind(error: Exception) -> type[KafkaFailure]:
    if isinstance(error, _FENCED) or "ProducerFencedError" in str(error):
        return FencedOff
    if isinstance(error, _REFUSED) or any(word in str(error) for word in _REFUSALS):
        return Refused
    return Unreachable


def _said(error: Exception) -> str:
    text = str(error) or type(error).__name__
    name = type(error).__name__
    told = text.startswith(("[", name)) or type(error) is kafka_errors.KafkaError  # some name themselves
    return text if told else f"{name}: {text}"


def where(connection: Connection) -> str:
    """For messages."""
    return connection.bootstrap_servers
