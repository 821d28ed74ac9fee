"""Secrets are in nothing that is written down."""

import json
import os

import pytest

from engine import events, log_redaction, redaction
from engine.config_file import parse, read_resolved, write_resolved
from engine.log_redaction import redact_file
from engine.queue import EventWriter
from engine.redaction import MARK, redact, redact_bytes
from engine.training_log import TrainingLog

TOKEN = "hf_" + "aB3" * 11


@pytest.fixture
def secret_environment(monkeypatch):
    """A password in the environment that looks like nothing."""
    monkeypatch.setenv("MY_MIRROR_PASSWORD", "correct horse")
    redaction._secrets.cache_clear()
    redaction._signs.cache_clear()
    yield "correct horse"
    monkeypatch.undo()
    redaction._secrets.cache_clear()
    redaction._signs.cache_clear()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"Authorization: Bearer {TOKEN}", f"Authorization: Bearer {MARK}"),
        (f"https://user:{TOKEN}@mirror.example/x", f"https://{MARK}@mirror.example/x"),
        ("https://user:pw@mirror.example/x", f"https://{MARK}@mirror.example/x"),
        ("https://mirror.example/a@b", "https://mirror.example/a@b"),
        ("hf_hub and shelf_life_of_things", "hf_hub and shelf_life_of_things"),
        ("密钥是 hf_短", "密钥是 hf_短"),
        ("mail@example.org", "mail@example.org"),
    ],
)
def test_tokens_and_passwords_go_and_everything_else_stays(text, wanted):
    """By look; an address keeps its host."""
    assert redact(text) == wanted
    assert redact_bytes(text.encode()) == wanted.encode()


def test_values_of_the_environment_s_secrets_go(secret_environment):
    """Whatever they look like."""
    assert redact(f"said {secret_environment}!") == f"said {MARK}!"
    assert redact_bytes(f"said {secret_environment}!".encode()) == f"said {MARK}!".encode()


def test_no_file_of_a_run_holds_a_token(run_dir):
    """Events, the log and the configuration; each stays readable."""
    writer = EventWriter(run_dir.events)
    warning = events.Warning(code="x", text=f"https://me:{TOKEN}@mirror refused {TOKEN}")
    writer.emit(warning)
    writer.close()
    TrainingLog(run_dir.training_log).write(warning)
    write_resolved(run_dir.config, parse(f'[model]\nname = "{TOKEN}"', "test"), {"origin": TOKEN})

    assert json.loads(run_dir.events.read_bytes())["text"] == f"https://{MARK}@mirror refused {MARK}"
    assert read_resolved(run_dir.config).model.name == MARK
    assert all(TOKEN not in path.read_text() for path in run_dir.path.iterdir())


def test_a_log_keeps_its_length_and_loses_its_secrets(run_dir, secret_environment):
    """Whatever native code wrote, across the borders of what is read at once; what is no secret stays byte for byte."""
    noise = os.urandom(log_redaction.BLOCK // 2).replace(b"hf_", b"HF_").replace(b"://", b"::/") + b"\n"
    told = f" {TOKEN} https://me:pw@x/ {secret_environment}\n".encode()
    before = noise + told + noise[: -len(told) - 30] + told + noise
    run_dir.engine_log.write_bytes(before)
    redact_file(run_dir.engine_log)
    after = run_dir.engine_log.read_bytes()

    assert len(after) == len(before) and after.startswith(noise) and after.endswith(noise)
    assert all(secret not in after for secret in (TOKEN.encode(), b"me:pw@", secret_environment.encode()))
    assert after.count(b"https://[reda@x/") == 2


def test_a_secret_written_in_two_pieces_is_found(run_dir):
    """The watcher looks again at the end of what it has seen; a writer that appends meanwhile loses nothing."""
    run_dir.engine_log.write_text(f"begin {TOKEN[:20]}")
    place = redact_file(run_dir.engine_log, is_whole=False)
    with open(run_dir.engine_log, "a") as log:
        log.write(f"{TOKEN[20:]} end")
    redact_file(run_dir.engine_log, max(0, place - log_redaction.OVERLAP))

    assert run_dir.engine_log.read_text() == f"begin {'[redacted]'.ljust(len(TOKEN), '*')} end"
