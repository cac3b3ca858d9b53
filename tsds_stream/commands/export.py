"""`tsds-stream export`: a published selection as files for other programs."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from tsds_stream.exporting.export import Request
    from tsds_stream.loader.revisions import Revisions
    from tsds_stream.records import Json
    from tsds_stream.terminal import Progress

USAGE = "DIR|URL --output DIR [--format jsonl|parquet|mds] [--revision latest|N] [--since N] | --check DIR"
DESCRIPTION = (
    "Write one revision of a selection, or only what differs from an older one, as files that other programs read: "
    "JSON Lines, Parquet, or MDS for mosaicml-streaming. The output appears whole or not at all; what was interrupted "
    "goes on when the same command is started again, and gives the same bytes. export.json in it names the revision "
    "and has the checksum of every file."
)
EXAMPLES = """\
examples:
  tsds-stream export selection/ --output corpus/
  tsds-stream export selection/ --output corpus-mds/ --format mds --compression zstd
  tsds-stream export selection/ --revision 12 --since 9 --output from-9-to-12/
  tsds-stream export 'kafka://broker:9092/selection?revisions=revisions' --output corpus/ --format parquet
  tsds-stream export --check corpus/

With --since there are only documents that came or of which anything is another, and removed.jsonl with the ids of those
that went: take these away and put the documents in, and an export of that revision has become one of this revision.
"""
_LARGEST = 1 << 31  # bytes of a file: MDS ends at 4 GiB, and a file is put together in memory
_TIMEOUT = 600.0  # seconds for topics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    from tsds_stream.exporting.compression import COMPRESSIONS
    from tsds_stream.exporting.formats import FORMATS

    parser.add_argument(
        "place", metavar="DIR|URL", nargs="?",
        help="the selection directory, a copy of one that fsspec reads (s3://…), or "
        "kafka://HOST:PORT/SELECTION_TOPIC?revisions=REVISIONS_TOPIC",
    )  # fmt: skip
    parser.add_argument("--output", metavar="DIR", type=Path, help="the folder to make")
    parser.add_argument("--set", metavar="NAME", help="target set; needed only where there are several")
    parser.add_argument(
        "--revision", metavar="latest|N", type=_revision, default=None, help="which one (default: latest)"
    )
    parser.add_argument("--since", metavar="N", type=int, help="only the difference from this revision")
    parser.add_argument("--format", choices=FORMATS, default="jsonl", help="default: %(default)s")
    parser.add_argument("--compression", choices=COMPRESSIONS, help="default: zstd for parquet, none for the others")
    parser.add_argument(
        "--shard-size", metavar="SIZE", type=_size, default=64 << 20,
        help="documents per file, in bytes of JSON; memory is used in proportion (default: 64 MiB)",
    )  # fmt: skip
    parser.add_argument(
        "--cache", metavar="DIR", type=Path,
        help="where what is not on this computer is copied to and kept (default: beside the output, until it is done)",
    )  # fmt: skip
    parser.add_argument(
        "--options", metavar="FILE", type=Path,
        help="a JSON object: options of the fsspec file system, or TLS and SASL settings as kafka-python names them",
    )  # fmt: skip
    parser.add_argument("--check", metavar="DIR", type=Path, help="compare all files of an export with their checksums")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Export, or check an export."""
    if arguments.check is not None:
        if arguments.place is not None or arguments.output is not None:
            raise CommandError("--check DIR stands alone", ExitStatus.USAGE)
        return _check(arguments.check)
    for given, name in ((arguments.place, "DIR|URL: what to export"), (arguments.output, "--output DIR")):
        if given is None:
            raise CommandError(f"give {name} (see: tsds-stream export --help)", ExitStatus.USAGE)
    from tsds_stream.durable import Disk
    from tsds_stream.exporting.workplace import leave_nothing, occupied

    output: Path = arguments.output.absolute()
    request = _request(arguments)
    try:
        content = _export(arguments, request)
    finally:
        if occupied(output):  # so that nothing will be gone on with; and by now nobody writes the copy of a selection
            leave_nothing(output, Disk(), cache=True)
    _report(arguments.output, content)
    return ExitStatus.OK


def _request(arguments: argparse.Namespace) -> Request:
    from importlib.util import find_spec

    from tsds_stream.exporting.export import Request
    from tsds_stream.exporting.formats import DEFAULT_COMPRESSION

    if arguments.format == "parquet" and find_spec("pyarrow") is None:
        raise CommandError("--format parquet needs pyarrow: pip install 'tsds-stream[parquet]'", ExitStatus.USAGE)
    compression = arguments.compression or DEFAULT_COMPRESSION[arguments.format]
    return Request(arguments.revision, arguments.since, arguments.format, compression, arguments.shard_size)


def _export(arguments: argparse.Namespace, request: Request) -> Json:
    import sys

    from tsds_stream.exporting.export import Export
    from tsds_stream.logs import LineLog, forwarded
    from tsds_stream.terminal import progress

    log = LineLog("warning" if sys.stderr.isatty() else "info")
    with ExitStack() as stack:
        stack.enter_context(forwarded(log))
        revisions = stack.enter_context(_opened(arguments))
        bars: list[Progress] = []

        def tell(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(progress("Exporting", total, "documents")))
            bars[0].update(done)

        return Export(revisions, arguments.output, request, log, tell).make()


def _opened(arguments: argparse.Namespace) -> Revisions:
    from tsds_stream.durable import temporary
    from tsds_stream.loader.revisions import Revisions

    place: str = arguments.place
    options = _options(arguments.options)
    if "://" not in place:
        directory = Path(place).absolute()
        return Revisions.open(directory, arguments.set or _only_set(directory), cache=arguments.cache)
    cache = arguments.cache or temporary(arguments.output.absolute()) / "cache"
    if place.startswith("file://") and arguments.cache is None:
        cache = None
    revisions = Revisions.open(
        place, arguments.set or "default", cache=cache, holder="export", options=options, timeout=_TIMEOUT
    )
    if place.startswith("kafka://") and arguments.revision is None:
        from tsds_stream.exporting.newest import catch_up_with
        from tsds_stream.loader.topics import Address
        from tsds_stream.streams.kafka.connection import Connection
        from tsds_stream.streams.kafka.view import open_reader

        address = Address.of(place)
        try:
            catch_up_with(
                open_reader(Connection(address.brokers, security=options)), address.revisions, revisions, _TIMEOUT
            )
        except BaseException:
            revisions.close()
            raise
    return revisions


def _only_set(directory: Path) -> str:
    from tsds_stream.streams.revisions import target_sets

    names = target_sets(directory) if directory.is_dir() else []
    if len(names) > 1:
        raise CommandError(
            f"{directory} has {len(names)} target sets; choose with --set: {', '.join(names)}", ExitStatus.USAGE
        )
    return names[0] if names else "default"


def _options(path: Path | None) -> dict[str, Any]:
    import orjson

    if path is None:
        return {}
    try:
        options = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise CommandError(f"--options: {path} is not JSON: {error}", ExitStatus.USAGE) from error
    if not isinstance(options, dict):
        raise CommandError(f"--options: {path} is not a JSON object", ExitStatus.USAGE)
    return options


def _report(output: Path, content: Json) -> None:
    from tsds_stream.terminal import Page, count

    page = Page()
    difference = f", {content['removed']:,} removed since revision {content['since']}" if content["since"] else ""
    size = sum(file["bytes"] for file in content["files"])
    page.line(
        f"Revision {content['revision']} of {content['set']}: {count(content['documents'], 'document')}{difference}; "
        f"{count(len(content['files']), 'file')}, {size:,} bytes in {output}."
    )
    if content["without_text"]:
        empty = "an empty text, which MDS has for none" if content["file_format"] == "mds" else "null for a text"
        page.warning(
            f"{count(content['without_text'], 'document')} without a text: published as a reference, or selected by "
            f"an embedding alone. The export has {empty}; `source` says where each of them is."
        )


def _check(output: Path) -> ExitStatus:
    from tsds_stream.exporting import manifest
    from tsds_stream.terminal import Page, count, progress

    page, content, wrong = Page(), manifest.read(output), []
    with progress("Checking", len(content["files"]), "files") as bar:
        for k, (name, damage) in enumerate(manifest.damages(output, content)):
            bar.update(k, name)
            if damage is not None:
                wrong.append(damage)
    for damage in wrong:
        page.warning(damage)
    page.line(
        f"Revision {content['revision']} of {content['set']} as {content['file_format']}: "
        f"{count(len(content['files']), 'file')} compared, {count(len(wrong), 'damage')} found."
    )
    return ExitStatus.STATE if wrong else ExitStatus.OK


def _revision(word: str) -> int | None:
    if word == "latest":
        return None
    if not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f'"{word}" is not accepted; expected latest or the number of a revision')
    return int(word)


def _size(word: str) -> int:
    from tsds_stream.units import parse_size

    try:
        size = parse_size(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not 1 <= size <= _LARGEST:
        raise argparse.ArgumentTypeError(f'"{word}" is not accepted; expected 1 byte to 2 GiB')
    return size
