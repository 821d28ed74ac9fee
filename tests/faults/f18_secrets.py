"""F18: a token planted in environment, addresses, data, prompts and errors is in no file that a run leaves behind."""

import os
import string
import sys
from pathlib import Path

from engine import events, launch
from engine.engine_log import last_lines
from engine.launch import PROJECT
from engine.run_directory import RunDirectory
from tests.engine_runs import of_type, train_here
from tests.faults.bench import Bench
from tests.faults.runs import new_run, records, tiny_model
from tests.patience import run_to_end

TITLE = "a planted hf_ token and a password in an address: in no artefact of a run and in no message"
SECONDS = 120


def inject(bench: Bench) -> None:
    """A run that works, one that fails at its hub, one that dies of an unexpected error, the command line."""
    for number in range(bench.count(1, 3)):
        token = "hf_" + "".join(bench.random.choices(string.ascii_letters, k=34))
        with bench.injection("a prompt and a sample that hold the token"):
            prompts = {"prompts": [f"我的密钥是 {token}"], "max_new_tokens": 3}
            run = new_run(bench, f"prompt-{number}", train={"max_steps": 2}, sample=prompts)
            launch.send(run, "sample", f"token {token}")
            train_here(run)
            _nowhere(run.path, token)
        with bench.injection("a hub that cannot be reached, its address with a password"):
            run = _hub_run(bench, f"hub-{number}")
            code, said = _engine(run, HF_TOKEN=token, HF_ENDPOINT=f"http://me:{token}@127.0.0.1:9")
            assert code == 1, said
            _nowhere(run.path, token, said)
        with bench.injection("an unexpected error whose text holds the token"):
            run = new_run(bench, f"traceback-{number}")
            code, said = _program(
                "import sys, engine.__main__ as m\n"
                "def dies(*a): raise ValueError('no access with ' + __import__('os').environ['HF_TOKEN'])\n"
                "m.newest_verified = dies\nsys.exit(m.main([sys.argv[1]]))", run, HF_TOKEN=token,
            )  # fmt: skip
            assert code == 1 and "ValueError" in said, said
            _nowhere(run.path, token, said)
        with bench.injection("native code prints the token in two pieces, then crashes"):
            run = RunDirectory(bench.folder / f"native-{number}")
            run.path.mkdir()
            _native(run, token)
            _nowhere(run.path, token, " ".join(last_lines(run)))
        with bench.injection("the command line with a token in its settings"):
            runs = bench.folder / f"cli-{number}"
            arguments = ["-m", "tui", "train", "cpu-smoke", "--runs-dir", str(runs), "--detach", "--plain"]
            sets = ["--set", f"model.name=https://me:{token}@hub.example/x", "--set", f"data.path={records(bench)}"]
            command = [sys.executable, *arguments, *sets]
            done = run_to_end(command, cwd=PROJECT, text=True)
            if runs.exists():
                _nowhere(runs, token)
            assert done.returncode == 2, done.stderr


def _native(run: RunDirectory, token: str) -> None:
    """An engine as far as its supervisor sees it, which writes to its output past Python."""
    program = (
        "import os, sys, time; from engine import events; from engine.queue import EventWriter; "
        "EventWriter(sys.argv[1] + '/events.jsonl').emit(events.EngineStarted(start_id='1', pid=os.getpid(), versions={}))\n"
        "half = len(os.environ['HF_TOKEN']) // 2\n"
        "os.write(1, b'libnccl: auth ' + os.environb[b'HF_TOKEN'][:half]); time.sleep(2.5)\n"
        "os.write(2, os.environb[b'HF_TOKEN'][half:] + b' refused\\n'); os.abort()"
    )
    supervise = "import sys; from engine.supervise import main; main([sys.argv[1]], [sys.executable, '-c', *sys.argv[2:]])"
    with open(run.engine_log, "ab") as log:
        command = [sys.executable, "-c", supervise, str(run.path), program, str(run.path)]
        run_to_end(command, cwd=PROJECT, env=os.environ | {"HF_TOKEN": token}, stdout=log, stderr=log)
    assert b"refused" in run.engine_log.read_bytes() and of_type(run, events.EngineStopped)[-1].cause == "crash"


def _hub_run(bench: Bench, name: str) -> RunDirectory:
    run = new_run(bench, name)
    text = run.config.read_text(encoding="utf-8").replace(str(tiny_model(bench)), "nobody/nothing")
    run.config.write_text(text, encoding="utf-8")
    return run


def _engine(run: RunDirectory, **environment: str) -> tuple[int, str]:
    return _program("import sys, engine.__main__ as m; sys.exit(m.main([sys.argv[1]]))", run, **environment)


def _program(program: str, run: RunDirectory, **environment: str) -> tuple[int, str]:
    """Exit code and output of the engine, which also goes to engine.log, as the launcher has it."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""} | environment
    done = run_to_end([sys.executable, "-c", program, str(run.path)], cwd=PROJECT, env=environment, text=True)
    run.engine_log.write_text(done.stdout + done.stderr, encoding="utf-8")
    return done.returncode, done.stdout + done.stderr


def _nowhere(folder: Path, token: str, said: str = "") -> None:
    assert token not in said, "in what was said"
    for path in folder.rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path.relative_to(folder)
