"""Strings that have broken terminals, and runs, data and files full of them."""

import json
import os
from pathlib import Path

import tomlkit

from engine import events
from engine.config import Config, Data, Model
from engine.config_file import write_resolved
from engine.run_directory import RunDirectory
from tests.console_runs import beginning, sample, step, stopped, write

OWN = (
    "[/b] [TODO] [red]x[/red] [@click=app.quit]quit[/]",
    "\x1b]52;c;QUFBQQ==\x07",
    "\x1b]0;stolen title\x07",
    "\x1b[2J\x1b[H",
    "\x1b[38;5;201mpink\x1b[m",
    "\x1b[6n\x1b[c\x1b]10;?\x07",
    "\x1bP+q544e\x1b\\",
    "\x9b31m c1 \x9d52;c;QQ==\x9c",
    "\x1b_Gi=1;AAAA\x1b\\",
    "a\x08\x08\x7f\x00b",
    "\u202eright to left\u202c \u2066iso\u2069",
    "\u200bzero\u200bwidth\ufeff",
    "\u2028line\u2029par",
    "\U000e0041\U000e0042 tags",
    "\r\roverwritten",
    "\x1b[?1049l\x1b[?25h",
    "\x0e\x0f shift",
    "e\u0301\u0301\u0301\u0301",
    "\ud800 lone",
    "％ {0} %s ${HOME} {{x}}",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "👩‍👩‍👧‍👦 ❤️ 🇨🇳",
)
FILE_NAME = "naughty [b] \x1b]52;c;QQ==\x07 \u202e \x9b31m.jsonl"
RUN_NAME = "naughty [b] \x1b]0;x\x07 \u202e \x9b31m"


def corpus(shared: Path | None) -> list[str]:
    """Our own strings and, where the Big List of Naughty Strings is, all of it."""
    paths = sorted(shared.rglob("blns*.json")) if shared else []
    return [*OWN, *(text for path in paths for text in json.loads(path.read_text(encoding="utf-8")))]


def in_threes(strings: list[str]) -> list[tuple[str, str, str]]:
    """Question, thinking and answer of a record or sample: every string once, the first ones again where the last lacks some."""
    full = [*strings, *strings[: -len(strings) % 3]]
    return list(zip(full[::3], full[1::3], full[2::3], strict=True))


def naughty_data(folder: Path, strings: list[str]) -> Path:
    """A data file with an awkward name, each string in a record's question, thinking or answer."""
    path = folder / FILE_NAME
    records = [
        {"instruction": f"q {question}", "input": "", "output": f"<thinking>\nt {thinking}\n</thinking>\n\na {answer}"}
        for question, thinking, answer in in_threes(strings)
    ]
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return path


def naughty_run(runs_dir: Path, data: Path, strings: list[str]) -> RunDirectory:
    """A run that died, with an awkward name; every text an engine, a model, a file or a log may hold is one of the strings."""
    run = RunDirectory(runs_dir / RUN_NAME)
    run.path.mkdir(parents=True)
    config = Config(data=Data(path=str(data)), model=Model(name="naughty\u202e[b]\x1b]52;c;QQ==\x07/model"))
    write_resolved(run.config, config, {"danlu": "0"})
    _put_into_config(run.config, strings)
    clean = [text.encode("utf-8", "replace").decode() for text in strings]
    told: list[events.Event] = [*beginning(10), step(1, 10)]
    for number, text in enumerate(clean):
        told += [events.Warning(code=text if number % 2 else "not_finite", text=text), events.Phase(name=f"load{text}", detail=text)]
        told.append(events.CommandDone(id=str(number), command=text, ok=False, reason=text))
    for number, (prompt, thinking, answer) in enumerate(in_threes(clean)):
        told.append(sample(f"1-{number}", 1, prompt=prompt, thinking=thinking, answer=answer))
    last = stopped("died", 1, " ".join(clean[:30]))
    write(run, [*told, events.CheckpointSaved(step=1, path=clean[1], bytes=1), last])
    run.engine_log.write_text("\n".join(clean[:20]), encoding="utf-8")
    run.training_log.write_text("\n".join(clean), encoding="utf-8")
    return run


def naughty_folders(runs_dir: Path, strings: list[str]) -> None:
    """A run directory called like each string, as far as a file system takes it."""
    for text in strings:
        name = text.replace("/", "|").replace("\0", "").encode("utf-8", "surrogatepass")[:200]
        folder = os.path.join(os.fsencode(runs_dir), name)
        if name not in (b"", b".", b"..") and not os.path.exists(folder):
            os.mkdir(folder)
            open(os.path.join(folder, b"config.toml"), "wb").close()
            os.utime(os.path.join(folder, b"config.toml"), (1, 1))  # behind the run that is opened


def _put_into_config(path: Path, strings: list[str]) -> None:
    """Every string as a prompt, a line each, written raw as far as TOML allows."""
    tables = tomlkit.parse(path.read_text(encoding="utf-8"))
    prompts = tomlkit.array()
    for text in strings:
        prompts.append(text.encode("utf-8", "replace").decode())
    tables["sample"]["prompts"] = prompts.multiline(True)
    path.write_text(tomlkit.dumps(tables), encoding="utf-8")
