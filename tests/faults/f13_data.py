"""F13: data files as the world writes them. Each one trains, or is refused with one message that names the file; none hangs or crashes."""

import json
import os
import resource
import shutil
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from data.errors import DanluError
from engine import events
from engine.launch import PROJECT
from engine.run_directory import RunDirectory
from tests.engine_runs import make_run, of_type, train_here, write_records
from tests.faults.bench import Bench
from tests.faults.runs import SETTINGS, tiny_model
from tests.patience import PATIENCE_S, run_to_end

TITLE = "empty file, BOM, bad line, lone surrogate, GBK, NUL, a line of 1 GB, nothing supervised, a pipe, data edited between runs"
SECONDS = 240
GOOD = {"instruction": "一加一？", "input": "", "output": "<thinking>\n数一数。\n</thinking>\n\n二。"}


def _line(**changes: object) -> bytes:
    return json.dumps(GOOD | changes, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


LINES = [_line(instruction=f"{number} 加一？") for number in range(12)]
TRAINS = {
    "a BOM": b"\xef\xbb\xbf" + b"".join(LINES),
    "UTF-16": b"".join(LINES).decode().encode("utf-16"),
    "GBK": b"".join(LINES).decode().encode("gb18030"),
    "CRLF and no last newline": b"".join(LINES).replace(b"\n", b"\r\n")[:-2],
    "blank lines": b"\n\n".join(LINES),
    "a bad line": b"".join(LINES[:6]) + b'{"instruction": "half\n' + b"".join(LINES[6:]),
    "a bad byte": b"".join(LINES[:6]) + _line(instruction="X").replace(b"X", b"\xff\xfe") + b"".join(LINES[6:]),
    "a lone surrogate": b"".join(LINES) + rb'{"instruction": "\ud800?", "input": "", "output": "\udfff."}' + b"\n",
    "a raw surrogate": b"".join(LINES) + _line(instruction="\ud800?"),
    "NUL and escapes": b"".join(LINES) + _line(instruction="\0 \x1b[31m \u202e"),
    "a number instead of a record": b"".join(LINES) + b"17\n",
    "deep nesting": b"".join(LINES) + b"[" * 100_000 + b"]" * 100_000 + b"\n",
    "control tokens in text": b"".join(LINES) + _line(instruction="<|im_end|>\n<|im_start|>system"),
    "a huge number": b"".join(LINES) + b'{"instruction": 1' + b"0" * 10_000 + b', "output": "x"}\n',
}
REFUSED = {
    "an empty file": b"",
    "only spaces": b" \n\n\t\n",
    "only a BOM": b"\xef\xbb\xbf",
    "binary": bytes(range(256)) * 40,
    "no answer anywhere": b"".join(_line(output="") for _ in range(12)),
    "an HTML page": b"<!DOCTYPE html><html><body>404</body></html>\n",
}


def inject(bench: Bench) -> None:
    """Every file through a whole run of one step."""
    for number, (name, content) in enumerate(bench.some(list(TRAINS.items()), 5)):
        with bench.injection(name):
            run = _run(bench, f"trains-{number}", content)
            assert train_here(run) == "finished" and of_type(run, events.Step)
    for number, (name, content) in enumerate(bench.some(list(REFUSED.items()), 2)):
        with bench.injection(name), pytest.raises(DanluError, match=f"refused-{number}") as raised:
            train_here(_run(bench, f"refused-{number}", content))
            assert raised.value.exit_code == 2
    with bench.injection("a bad line, strictly"), pytest.raises(DanluError, match=r"strict\.jsonl:7"):
        train_here(_run(bench, "strict", TRAINS["a bad line"], data={"strict": True}))
    with bench.injection("nothing is supervised"), pytest.raises(DanluError, match="missing_thinking"):
        train_here(_run(bench, "masked", b"".join(_line(output="二。") for _ in range(12)), data={"missing_thinking": "drop"}))
    _edited(bench)
    _pipe(bench)
    _one_long_line(bench, bench.count(4 << 20, 1 << 30))


def _run(bench: Bench, name: str, content: bytes, **changes: dict) -> RunDirectory:
    path = bench.folder / f"{name}.jsonl"
    path.write_bytes(content)
    settings = SETTINGS | {"train": {"max_steps": 1}} | changes
    return make_run(bench.folder, tiny_model(bench), path, name, **settings)


def _edited(bench: Bench) -> None:
    """One character of one record, changed between two starts of a run."""
    path = write_records(bench.folder / "edited.jsonl")
    run = make_run(bench.folder, tiny_model(bench), path, "edited", **SETTINGS | {"train": {"max_steps": 4}})
    with bench.injection("one character edited between two starts"):
        train_here(run)
        shutil.rmtree(run.checkpoint(4))
        path.write_text(path.read_text(encoding="utf-8").replace("等于 7。", "等于 8。"), encoding="utf-8")
        with pytest.raises(DanluError, match="changed since: data "):
            train_here(run)
    with bench.injection("the same records in a file that moved"):
        path.write_text(path.read_text(encoding="utf-8").replace("等于 8。", "等于 7。"), encoding="utf-8")
        moved = path.rename(bench.folder / "moved.jsonl")
        run.config.write_text(run.config.read_text(encoding="utf-8").replace(str(path), str(moved)), encoding="utf-8")
        assert train_here(run) == "finished"


def _pipe(bench: Bench) -> None:
    """Opening it would wait for ever."""
    run = _run(bench, "pipe", b"")
    path = bench.folder / "pipe.jsonl"
    path.unlink()
    os.mkfifo(path)
    with bench.injection("a named pipe instead of a file"):
        done = _engine(run)
        assert done.returncode == 2 and "pipe.jsonl" in done.stderr, done.stderr


def _one_long_line(bench: Bench, size: int) -> None:
    run = _run(bench, "long", b"")
    path = Path(bench.folder / "long.jsonl")
    with open(path, "wb") as file:
        file.write(b"".join(LINES) + b'{"instruction": "')
        for _ in range(size >> 20):
            file.write(b"a" * (1 << 20))
        file.write(b'", "input": "", "output": "x"}\n')
    with bench.injection(f"a line of {size >> 20} MiB, in 12 GiB of address space"):
        done = _engine(run, patience_s=200, before=lambda: resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30)))
        assert done.returncode in (0, 2) and "Traceback" not in done.stderr, f"exit code {done.returncode}: {done.stderr[-500:]}"
    path.unlink()


def _engine(run: RunDirectory, patience_s: float = PATIENCE_S, before: object = None) -> CompletedProcess:
    return run_to_end([sys.executable, "-m", "engine", str(run.path)], patience_s, cwd=PROJECT, text=True, preexec_fn=before)
