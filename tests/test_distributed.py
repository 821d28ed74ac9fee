"""Whole runs of several processes with gloo: what they compute, a killed rank, commands, another number of ranks, two machines.

Each rank imports PyTorch, so there are few of these runs and each shows several things.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import pytest
import torch
from safetensors.torch import load_file

from engine import events, launch
from engine.launch import PROJECT, launch_engine
from engine.processes import end_engine
from engine.run_directory import RunDirectory
from tests.engine_runs import all_events, losses, make_run, of_type, train_here, write_records
from tests.patience import ended, wait_until
from tests.tiny_models import tiny_model

SETTINGS = {
    "data": {"max_seq_length": 96},
    "train": {"batch_size": 1, "gradient_accumulation_steps": 5, "max_steps": 12, "num_epochs": 9},
    "checkpoint": {"every_steps": 2},
    "eval": {"every_steps": 0},
}
"""Five rows a step, so that two ranks never have equally many, and a shorter last step in each epoch."""
PATIENCE_S = 300
TWO = {"strategy": "ddp", "num_gpus": 2}


@pytest.fixture(scope="module", autouse=True)
def on_the_cpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model("qwen3", tmp_path_factory.mktemp("qwen3"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("data") / "records.jsonl", count=27)


@pytest.fixture(scope="module")
def whole(model, data, tmp_path_factory):
    """The same run in one process, undisturbed."""
    run = make_run(tmp_path_factory.mktemp("runs"), model, data, "whole", **SETTINGS)
    assert train_here(run) == "finished"
    return run


@pytest.fixture
def launched():
    """Starts runs as the console does; whatever a failed test leaves running is ended."""
    runs = []

    def start(run):
        runs.append(run)
        return launch_engine(run)

    yield start
    for run in runs:
        end_engine(run, grace_s=5.0)


def assert_same_result(run, whole):
    """Losses to 1e-6, and the adapter."""
    assert losses(run) == pytest.approx(losses(whole), rel=1e-6)
    assert_same_adapter(run, whole)


def assert_same_adapter(run, whole):
    """Every tensor of the final adapter to 2e-6 of its size: fp32 sums in another order, through twelve steps of Adam."""
    name = "adapter_model.safetensors"
    found, expected = load_file(run.final_model / name), load_file(whole.final_model / name)
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        assert torch.linalg.vector_norm(found[key] - tensor) <= 2e-6 * torch.linalg.vector_norm(tensor), key


def ranks_of(run) -> list[psutil.Process]:
    """The ranks' processes, in the order they were started."""
    holder = run.holder()
    below = psutil.Process(holder).children(recursive=True) if holder else []
    return sorted((p for p in below if "engine.torchrun" not in p.cmdline() and "engine" in p.cmdline()), key=lambda p: p.pid)


def test_ddp_computes_what_one_process_does_and_survives_a_killed_rank(model, data, whole, launched, tmp_path):
    """Rank 1 is killed after a checkpoint: named within seconds, nobody left; resumed, all losses are those of one process."""
    run = make_run(tmp_path, model, data, "ddp", **SETTINGS, parallel=TWO)
    engine = launched(run)
    wait_until(lambda: of_type(run, events.CheckpointSaved), "a checkpoint", PATIENCE_S)
    started = ranks_of(run)
    assert len(started) == 2
    os.kill(started[1].pid, signal.SIGKILL)
    ended(engine, "the engine")
    stopped = all_events(run)[-1]

    assert isinstance(stopped, events.EngineStopped) and stopped.reason == "failed"
    assert f"(process {started[1].pid})" in stopped.error and "resume" in stopped.error
    assert not psutil.wait_procs(started, timeout=5)[1]

    assert ended(launched(run), "the engine") == 0
    assert_same_result(run, whole)
    assert [event.seq for event in all_events(run)] == list(range(len(all_events(run))))
    assert not [warning for warning in of_type(run, events.Warning) if warning.code == "resume_equivalent"]
    loads = of_type(run, events.Ranks)[-1]
    assert [load.rank for load in loads.ranks] == [0, 1] and all(load.rss_gib > 0 for load in loads.ranks)


def test_fsdp2_obeys_commands_and_goes_on_in_one_process(model, data, whole, launched, tmp_path):
    """Sharded weights: paused, saved, gone on, stopped with exit code 3; then one process goes on as an equivalent run to the same end."""
    run = make_run(tmp_path, model, data, "fsdp2", **SETTINGS, parallel={"strategy": "fsdp2", "num_gpus": 2})
    engine = launched(run)
    wait_until(lambda: losses(run), "a step", PATIENCE_S)
    for name in ("pause", "checkpoint"):
        launch.send(run, name)
    wait_until(lambda: len(of_type(run, events.CommandDone)) == 2, "the answers", PATIENCE_S)
    for name in ("resume", "stop"):
        launch.send(run, name)

    assert ended(engine, "the engine") == 3
    assert all(answer.ok for answer in of_type(run, events.CommandDone))
    reached = max(losses(run))
    assert run.checkpoint(reached).is_dir() and reached < 12

    alone = make_run(tmp_path, model, data, "alone", **SETTINGS)
    shutil.copytree(run.checkpoint(reached), alone.checkpoint(reached))
    train_here(alone)
    told = [warning.text for warning in of_type(alone, events.Warning) if warning.code == "resume_equivalent"]
    assert len(told) == 1 and "processes 2 → 1" in told[0]
    assert losses(run) | losses(alone) == pytest.approx(losses(whole), rel=1e-6)
    assert_same_adapter(alone, whole)


def test_two_machines_run_the_written_files(model, data, whole, tmp_path):
    """`danlu launch-files` for two machines, both of them this one: machine 0 has the run, machine 1 only its own log."""
    folder = tmp_path / "files"
    config = make_run(tmp_path, model, data, "preset", **SETTINGS, parallel={"strategy": "ddp", "num_gpus": 1, "num_nodes": 2}).config
    command = [sys.executable, "-m", "tui", "launch-files", str(config), "--out", str(folder), "--name", "two"]
    subprocess.run(command, check=True, cwd=PROJECT, timeout=PATIENCE_S)
    write_a_danlu(tmp_path / "danlu")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        meet = f"127.0.0.1:{probe.getsockname()[1]}"
    machines = [
        subprocess.Popen(
            [folder / "torchrun.sh", str(number), meet], stdin=subprocess.DEVNULL,
            env=os.environ | {"DANLU": str(tmp_path / "danlu"), "DANLU_RUNS": str(tmp_path / f"machine-{number}")},
        )
        for number in range(2)
    ]  # fmt: skip

    assert [ended(machine, "a machine") for machine in machines] == [0, 0]
    first, second = RunDirectory(tmp_path / "machine-0" / "two"), RunDirectory(tmp_path / "machine-1" / "two.node-1")
    assert_same_result(first, whole)
    assert not losses(second) and all_events(second)[-1].reason == "finished"


def write_a_danlu(path):
    """The installed command, as a script of this checkout."""
    path.write_text(f"#!/bin/sh\ncd {PROJECT} && exec {sys.executable} -m tui \"$@\"\n")
    path.chmod(0o755)
