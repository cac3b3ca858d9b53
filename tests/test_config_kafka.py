"""Kafka in the configuration: kinds of source and sink, a table inside a table, secrets, and what must agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli_cases import ROOT, tsds
from tests.test_config import MINIMAL, TARGETS, override, problems, write
from tsds_stream.config import SECTIONS, load_settings
from tsds_stream.configuration.errors import ConfigurationError
from tsds_stream.configuration.layers import Override
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.streams.kafka.settings import KafkaSettings, KafkaTopics
from tsds_stream.streams.kafka.tls import tls_context

__all__ = ["write"]

KAFKA = MINIMAL + '[source]\nkind = "kafka"\n[sink]\nkind = "kafka"\n'
HIDDEN = "pa$$word-hidden"
PASSWORD = "TSDS_STREAM_KAFKA__SASL_PASSWORD"
EXAMPLES = sorted((ROOT / "deploy" / "examples").glob("*.toml"))


# Tables


def test_the_kafka_shape_in_the_documentation_is_accepted(write):
    settings = load_settings(
        write(
            '[[target_sets]]\nname = "default"\n[source]\nkind = "kafka"\n[sink]\nkind = "kafka"\n'
            '[kafka]\nbootstrap_servers = "127.0.0.1:9092"\ngroup_id = "tsds"\ntransactional_id = "tsds-0"\n'
            '[kafka.topics]\ndocuments = "documents"\ntargets = "targets"\nselection = "selection"\n'
            'revisions = "revisions"\ndead_letters = "dead-letters"\n'
        ),
        environment={},
    )
    assert (settings.source.kind, settings.sink.kind) == ("kafka", "kafka")
    assert settings.kafka == KafkaSettings(topics=KafkaTopics(targets="targets"))
    assert settings.uses_kafka


def test_a_document_of_the_default_limit_fits_a_topic_of_the_default_limit_with_room_to_spare(write):
    source = load_settings(write(KAFKA), environment={}).source
    assert source.max_document_bytes + 64 * 1024 <= 1_048_588


def test_a_table_inside_a_table_is_set_by_the_environment_and_the_command_line(write):
    file = write(
        KAFKA + '[kafka]\nclient_id = "me"\n[kafka.topics]\nselection = "file"\nrevisions = "file-revisions"\n'
    )
    environment = {
        "TSDS_STREAM_KAFKA__TOPICS__DOCUMENTS": "variable",
        "TSDS_STREAM_KAFKA__TOPICS__SELECTION": "variable-2",
    }
    settings = load_settings(file, [override("selection", "line", "kafka.topics")], environment)
    assert settings.kafka.topics == KafkaTopics(documents="variable", selection="line", revisions="file-revisions")
    assert settings.kafka.client_id == "me"


def test_problems_inside_a_table_of_a_table_name_it(write):
    file = write(KAFKA + '[kafka]\ngroup = "g"\n[kafka.topics]\ndocument = "d"\nselection = 3\nclient_id = "c"\n')
    assert problems(file, TSDS_STREAM_KAFKA__TOPICS="x", TSDS_STREAM_KAFKA_TOPICS__REVISIONS="x") == [
        "TSDS_STREAM_KAFKA_TOPICS__REVISIONS: a section and its option are joined by two underscores: "
        "TSDS_STREAM_KAFKA__TOPICS__REVISIONS",
        "TSDS_STREAM_KAFKA__TOPICS: [kafka.topics] is a table; set its options one by one",
        "[kafka.topics] selection = 3 is not accepted; expected a text",
        "[kafka.topics] there is no option 'document'; did you mean 'documents'?",
        "[kafka.topics] there is no option 'client_id' here; it belongs to [kafka]",
        "[kafka] there is no option 'group'; did you mean 'group_id'?",
    ]  # fmt: skip


def test_a_table_that_is_none_is_told(write):
    assert problems(write(KAFKA + '[kafka]\ntopics = "documents"\n')) == [
        "[kafka.topics] must be a table, not documents"
    ]


def test_an_empty_table_is_one_of_the_default_kind(write):
    assert load_settings(write(MINIMAL + "[source]\n[sink]\n[kafka]\n"), environment={}).source.kind == "files"


def test_a_kind_that_does_not_exist_gets_those_that_do(write):
    file = write(MINIMAL + '[source]\nkind = "kafak"\npath = "x"\n')
    assert problems(file) == ['[source] kind = "kafak" is not accepted; expected "files" or "kafka"']


def test_a_source_of_topics_has_no_path_and_does_not_follow(write):
    found = problems(write(KAFKA.replace("[sink]", 'path = "documents/"\nfollow = true\n[sink]')))
    assert found == [
        "[source] path is an option of kind = \"files\", and this is 'kafka'",
        "[source] follow is an option of kind = \"files\", and this is 'kafka'",
    ]


def test_changing_the_kind_on_the_command_line_discards_the_options_of_the_other(write):
    file = write(MINIMAL + '[source]\npath = "documents/"\nfollow = true\n')
    kind = Override("source", "kind", "kafka", "--source-kind")
    settings = load_settings(file, [Override("source", "accept_gap", True, "--accept-gap"), kind], {})
    assert settings.source.kind == "kafka"
    assert settings.source.accept_gap


# What must agree


@pytest.mark.parametrize(
    ("servers", "listed"),
    [("kafka:9092", ["kafka:9092"]), ("a.b-c:1, [::1]:65535", ["a.b-c:1", "[::1]:65535"])],
)
def test_servers_are_hosts_with_ports(servers: str, listed: list[str]):
    assert KafkaSettings(bootstrap_servers=servers).servers == listed


@pytest.mark.parametrize(
    "servers", ["", "kafka", "kafka:0", "kafka:65536", "kafka:9092,", "user:pw@kafka:9092", "::1:9092"]
)
def test_anything_else_is_no_server(servers: str):
    with pytest.raises(ValueError, match="host:port"):
        KafkaSettings(bootstrap_servers=servers)


@pytest.mark.parametrize("name", ["a", "a.b_c-D9", "...", "x" * 249])
def test_legal_names_of_topics(name: str):
    assert KafkaTopics(documents=name).documents == name


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "ä", "a/b", "x" * 250, "a\n"])
def test_names_that_kafka_refuses(name: str):
    with pytest.raises(ValueError, match="a topic name has 1 to 249"):
        KafkaTopics(documents=name)


def test_examples_come_from_a_file_or_from_a_topic(write):
    assert problems(write(MINIMAL + '[[target_sets]]\nname = "code"\n')) == [
        f'[[target_sets]] "code": targets is missing: {TARGETS}'
    ]
    file = write(MINIMAL + '[[target_sets]]\nname = "code"\n[kafka.topics]\ntargets = "examples"\n')
    settings = load_settings(file, environment={})
    assert [one.targets for one in settings.target_sets] == ["targets.jsonl", None]
    assert settings.uses_kafka


@pytest.mark.parametrize(
    ("kafka", "told"),
    [
        ('sasl_mechanism = "PLAIN"\nsasl_username = "u"\nsasl_password_file = "p"', ["needs security_protocol ="]),
        ('security_protocol = "SASL_SSL"', ['security_protocol = "SASL_SSL" needs sasl_mechanism']),
        (
            'security_protocol = "SASL_SSL"\nsasl_mechanism = "SCRAM-SHA-256"',
            ["needs sasl_username", f"with sasl_password_file, or set {PASSWORD}"],
        ),
        ('security_protocol = "SASL_SSL"\nsasl_mechanism = "OAUTHBEARER"', ["needs sasl_oauth_token_file"]),
        (
            'security_protocol = "SASL_SSL"\nsasl_mechanism = "OAUTHBEARER"\nsasl_oauth_token_file = "t"\n'
            'sasl_username = "u"',
            ["sasl_username would not be used"],
        ),
        ('sasl_username = "u"\nsasl_password_file = "p"', ["sasl_username and sasl_password_file without"]),
        ('ssl_cafile = "ca"', ["ssl_cafile would not be used"]),
        ('security_protocol = "SSL"\nssl_certfile = "c"', ["ssl_certfile needs ssl_keyfile"]),
        ('security_protocol = "SSL"\nssl_keyfile = "k"', ["ssl_keyfile needs ssl_certfile"]),
        ('security_protocol = "SSL"\nssl_password_file = "k"', ["ssl_password_file needs ssl_keyfile"]),
        ('[kafka.topics]\nselection = "documents"', ['documents = "documents" and selection = "documents" must']),
        ('[kafka.topics]\nselection = "a.b"\nrevisions = "a_b"', ['Kafka takes "." and "_" for the same']),
    ],
)  # fmt: skip
def test_contradictions_are_told_where_kafka_is_used_and_only_there(write, kafka: str, told: list[str]):
    found = problems(write(KAFKA + "[kafka]\n" + kafka))
    assert len(found) == len(told)
    for sentence, part in zip(found, told, strict=True):
        assert sentence.startswith("[kafka] ")
        assert part in sentence
    assert not load_settings(write(MINIMAL + "[kafka]\n" + kafka), environment={}).uses_kafka


def test_references_need_topics_to_refer_to(write):
    file = write(MINIMAL + '[sink]\nkind = "kafka"\npayload = "reference"\n')
    assert problems(file) == [
        '[sink] payload = "reference" needs [source] kind = "kafka": only topics can be referred to'
    ]
    load_settings(write(KAFKA + 'payload = "reference"\n'), environment={})


def test_contradictions_of_all_sections_are_told_at_once_with_wrong_values(write):
    file = write(
        '[[target_sets]]\nregularizer = "tv"\n[sink]\nkind = "kafka"\npayload = "reference"\n'
        f'[publish]\ninterval = "soon"\n[kafka]\nsasl_mechanism = "PLAIN"\nsasl_password = "{HIDDEN}"\n'
        '[kafka.topics]\ndocuments = ".."\n'
    )
    found = problems(file)
    assert len(found) == 8
    for part in (
        "[kafka] sasl_password is a secret",
        '[sink] payload = "reference" needs',
        '[kafka.topics] documents = ".." is not accepted',
        '[[target_sets]] regularizer = "tv" needs',
        '[publish] interval = "soon" is not accepted',
        '[kafka] sasl_mechanism = "PLAIN" needs security_protocol',
        '[kafka] sasl_mechanism = "PLAIN" needs sasl_username',
        "[[target_sets]] targets is missing",
    ):
        assert [sentence for sentence in found if sentence.startswith(part)], part


# Secrets


def test_a_password_in_the_file_is_refused_without_repeating_it(write):
    file = write(KAFKA + f'[kafka]\nsasl_password = "{HIDDEN}"\nssl_password = "{HIDDEN}"\n')
    found = problems(file)
    assert found[1] == (
        "[kafka] sasl_password is a secret, and secrets do not belong into this file: name a file that holds it with "
        f"sasl_password_file, or set {PASSWORD}"
    )
    assert HIDDEN not in "".join(found)


LOGIN = '[kafka]\nsecurity_protocol = "SASL_PLAINTEXT"\nsasl_mechanism = "PLAIN"\nsasl_username = "u"\n'


@pytest.mark.parametrize("password", [HIDDEN, "[1]", '{"a": 1}', "12"])
def test_a_password_of_the_environment_is_taken_as_it_is_and_shown_by_nothing(write, password: str):
    settings = load_settings(write(KAFKA + LOGIN), environment={PASSWORD: password})
    assert settings.kafka.sasl_secret() == password
    for shown in (repr(settings), str(settings.kafka), settings.model_dump_json(), str(settings.model_dump())):
        assert repr(password) not in shown.replace("'12", "12")
        assert HIDDEN not in shown


def test_config_check_prints_no_password(tmp_path: Path):
    (tmp_path / "tsds.toml").write_text(KAFKA + LOGIN)
    for words in (["--json"], []):
        done = tsds("config", "--check", "tsds.toml", *words, cwd=tmp_path, **{PASSWORD: HIDDEN})
        assert done.returncode == 0
        assert HIDDEN not in done.stdout + done.stderr
    assert "topic documents" in done.stdout
    assert "127.0.0.1:9092 (SASL_PLAINTEXT)" in done.stdout


def test_an_error_beside_a_password_does_not_repeat_it(write):
    environment = {PASSWORD: HIDDEN, "TSDS_STREAM_KAFKA__SASL_MECHANISM": "plain"}
    with pytest.raises(ConfigurationError) as caught:
        load_settings(write(KAFKA), environment=environment)
    assert HIDDEN not in str(caught.value)
    with pytest.raises(ValueError, match="sasl_mechanism") as invalid:
        KafkaSettings.model_validate({"sasl_password": HIDDEN, "sasl_mechanism": "plain"})
    assert HIDDEN not in str(invalid.value)


def test_an_empty_password_is_none(write):
    assert problems(write(KAFKA + LOGIN), **{PASSWORD: ""})[0].startswith(f"{PASSWORD}: sasl_password is wrong")


def test_a_password_file_is_read_when_it_is_needed_without_its_newline(tmp_path: Path):
    kafka = KafkaSettings(sasl_password_file=str(tmp_path / "password"), sasl_oauth_token_file=str(tmp_path / "token"))
    with pytest.raises(CommandError, match=r"\[kafka\] sasl_password_file: .*password cannot be read: No such file"):
        kafka.sasl_secret()
    (tmp_path / "password").write_text("")
    with pytest.raises(CommandError, match="is empty"):
        kafka.sasl_secret()
    (tmp_path / "password").write_text(" with spaces \r\n")
    assert kafka.sasl_secret() == " with spaces "
    for token in ("first", "second"):
        (tmp_path / "token").write_text(f"{token}\n")
        assert kafka.oauth_token() == token
    assert kafka.ssl_secret() is None


def test_no_secret_is_an_option_of_the_command_line():
    shown = tsds("run", "--help").stdout
    secrets = {f"{name}.{o.name}" for name, section in SECTIONS.items() for o in section.options if o.secret}
    assert secrets == {"kafka.ssl_password", "kafka.sasl_password", "monitoring.token"}
    for secret in secrets:
        flag = "--" + secret.replace(".", "-").replace("_", "-")
        assert f"{flag} " not in shown
        assert f"{flag}-file" in shown


# TLS


def test_tls_always_checks_the_certificate_and_by_default_the_host():
    import ssl

    for check in (True, False):
        context = tls_context(KafkaSettings(security_protocol="SSL", ssl_check_hostname=check))
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname is check
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_files_that_are_no_certificates_are_named(tmp_path: Path):
    text, absent = tmp_path / "text", tmp_path / "absent"
    text.write_text("no certificate")
    pair = {"ssl_certfile": str(text), "ssl_keyfile": str(text)}
    for files, told in (
        ({"ssl_cafile": str(absent)}, f"ssl_cafile: {absent} cannot be used: No such file"),
        ({"ssl_cafile": str(text)}, f"ssl_cafile: {text} cannot be used: it holds no certificate in PEM"),
        (pair, f"ssl_certfile, ssl_keyfile: {text} and {text} cannot be used: they are not PEM"),
    ):
        with pytest.raises(CommandError) as caught:
            tls_context(KafkaSettings(security_protocol="SSL", **files))
        assert told in str(caught.value)


# Commands


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_sound(example: Path):
    settings = load_settings(example, environment={})
    assert settings.uses_kafka
    assert "is sound" in tsds("config", "--check", str(example)).stdout


def test_there_are_examples_for_one_box_a_cluster_and_input_with_vectors():
    assert [example.stem for example in EXAMPLES] == ["cluster", "one-box", "pre-embedded"]


def test_run_takes_kafka_from_the_command_line_and_names_its_options():
    words = ["--source-kind", "kafka", "--sink-kind", "kafka", "--documents-topic", "a b", "--bootstrap-servers", "x"]
    done = tsds("run", *words, "--documents", "corpus/", "--targets", "t.jsonl")
    assert done.returncode == ExitStatus.USAGE
    assert [line.strip().partition(" is ")[0] for line in done.stderr.splitlines()[1:]] == [
        "--documents: path",
        '--bootstrap-servers: "x"',
        '--documents-topic: "a b"',
    ]


def test_selecting_once_reads_files_whatever_the_environment_says_of_a_daemon(tmp_path: Path):
    (tmp_path / "documents.jsonl").write_text('{"id": "a", "text": "red apples"}\n{"id": "b", "text": "blue cars"}\n')
    (tmp_path / "targets.jsonl").write_text('{"id": "t", "text": "apples"}\n')
    documents = ["--documents", "documents.jsonl", "--budget", "1"]
    words = [*documents, "--targets", "targets.jsonl", "--embedder", "hashing", "--output", "-"]
    environment = {
        "TSDS_STREAM_SOURCE__KIND": "kafka",
        "TSDS_STREAM_SOURCE__ACCEPT_GAP": "true",
        "TSDS_STREAM_SINK__KIND": "kafka",
        "TSDS_STREAM_SINK__PAYLOAD": "reference",
        "TSDS_STREAM_KAFKA__TOPICS__TARGETS": "targets",
    }
    done = tsds("select", *words, "--quiet", cwd=tmp_path, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"source":{"path":"documents.jsonl"' in done.stdout
    done = tsds("select", *documents, cwd=tmp_path, **environment)
    assert done.returncode == ExitStatus.USAGE
    assert "--targets is missing" in done.stderr
