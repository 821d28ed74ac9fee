"""What ranks agree on, shares of a step, signs of life, and how a run of several is watched: small pieces, without a model."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from array import array

import msgspec
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.examples import PROMPT, Example
from engine import rank_launcher
from engine.config_file import parse, write_resolved
from engine.control import StopNow
from engine.errors import ConfigError, EnvironmentFault
from engine.machine_file import find_machine, read_machine
from engine.nvidia import MigDevice
from engine.placement import NODE_RANK, RENDEZVOUS, Placement, decide
from engine.processes import state_of
from engine.pulse import Beat, LastWord, Pulse, read_beats, read_last_words
from engine.rank_watch import find_silent
from engine.share import most_rows, share, share_of_step
from tests.conftest import PROJECT
from tests.machines import gpu, machine
from tests.patience import wait_until

TOKENS = st.lists(st.integers(1, 900), min_size=1, max_size=40)


@given(TOKENS, st.integers(1, 9))
def test_every_row_of_a_step_has_exactly_one_rank(tokens, size):
    """Whatever the number of ranks; no rank has two rows more than another."""
    rows = [[number] for number in range(len(tokens))]
    shares = [share(rows, tokens, rank, size) for rank in range(size)]

    assert sorted(row[0] for mine in shares for row in mine) == list(range(len(tokens)))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert max(map(len, shares)) == most_rows(len(rows), size)


@given(TOKENS)
def test_a_run_of_one_process_takes_all_rows_in_their_order(tokens):
    """So that nothing changes for it, not even float order."""
    rows = [[number] for number in range(len(tokens))]

    assert share(rows, tokens, 0, 1) == rows


@pytest.mark.parametrize(("num_rows", "size", "batch_size"), [(5, 2, 1), (1, 2, 2), (7, 3, 2), (8, 4, 2)])
def test_ranks_pass_through_the_model_equally_often(num_rows, size, batch_size):
    """The ones with fewer rows get stand-ins of one token with nothing supervised."""
    examples = [Example(array("i", [7, 8, 9]), bytes([PROMPT] * 3), number, 0) for number in range(num_rows)]
    shares = [share_of_step([[n] for n in range(num_rows)], examples, batch_size, rank, size) for rank in range(size)]

    assert len({len(batches) for batches in shares}) == 1
    assert sum(len(example.ids) == 3 for batches in shares for batch in batches for example in batch) == num_rows


AGREEMENTS = """
    import os, sys, torch
    from pathlib import Path
    from engine.pulse import Pulse, read_beats
    from engine.rank_place import RankPlace
    from engine.ranks import OutOfMemoryEverywhere, Ranks
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    ranks = Ranks(RankPlace(rank, 2, rank, 2, "ddp", folder, f"file://{folder / 'meeting'}", os.getppid()), Pulse(folder, rank))
    ranks.join()
    assert len(ranks.hosts) == 2 and ranks.hosts[0] == ranks.hosts[1]
    assert ranks.total([rank + 1, 2**53 - 2 if rank == 0 else 1]) == [3, 2**53 - 1]
    assert ranks.gather([rank, 5]) == [[0, 5], [1, 5]]
    for value in ({"a": "短"}, "长" * 900, None, [1, 2.5]):
        assert ranks.follow(value if rank == 0 else "mine") == value
    first, second = torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2, 2))
    first.grad = torch.full((3,), 1.0 + rank)
    second.grad = torch.ones(2, 2) if rank == 1 else None
    ranks.add_gradients([first, second])
    assert first.grad.tolist() == [3, 3, 3] and second.grad.tolist() == [[1, 1], [1, 1]]
    heard = ""
    try:
        with ranks.all_or_none():
            if rank == 1:
                raise torch.OutOfMemoryError("planted")
    except OutOfMemoryEverywhere as error:
        heard = str(error)
    assert heard == ("planted" if rank == 1 else "another rank ran out of memory")
    with ranks.all_or_none():
        pass
    from engine.errors import RunError
    try:
        ranks.must_match("data", "same" if rank == 0 else "other")
        assert rank == 0
    except RunError as error:
        assert rank == 1 and "data" in str(error)
    assert all(beat.rank == number for number, beat in enumerate(read_beats(folder)))
    torch.distributed.destroy_process_group()
"""


def test_ranks_agree(tmp_path):
    """Counts, values of the first rank, gradients that one rank lacks, memory that ran out in one, and different data noticed."""
    program = textwrap.dedent(AGREEMENTS)
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen([sys.executable, "-c", program, str(rank), str(tmp_path)], cwd=PROJECT, env=environment, stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    said = [process.communicate(timeout=120)[1].decode() for process in ranks]

    assert [process.returncode for process in ranks] == [0, 0], said


def test_a_pulse_tells_what_a_rank_does_and_what_it_waits_for(tmp_path):
    """Stage and step; waiting with what for; back to work afterwards; the last word whole."""
    pulse = Pulse(tmp_path, 3)
    pulse.beat("train", 7)
    with pulse.waiting("the gradients of the step"):
        waiting = read_beats(tmp_path)[0]
    pulse.last_word(LastWord(3, "finished", 0, 7, "", False, 1.0))

    assert (waiting.rank, waiting.pid, waiting.step) == (3, os.getpid(), 7)
    assert waiting.waiting and waiting.stage == "the gradients of the step"
    assert read_beats(tmp_path)[0].stage == "train" and not read_beats(tmp_path)[0].waiting
    assert [word.reason for word in read_last_words(tmp_path)] == ["finished"]


def beat(rank: int, age_s: float, *, waiting: bool = False, busy_s: float = 1.0, stage: str = "train") -> Beat:
    return Beat(pid=os.getpid(), rank=rank, step=4, waiting=waiting, beat=1000.0 - age_s, busy_s=busy_s, stage=stage)


@pytest.mark.parametrize(
    ("beats", "found"),
    [
        ([beat(0, 40, waiting=True), beat(1, 45)], "rank 1"),
        ([beat(0, 20, waiting=True), beat(1, 45)], None),  # not yet
        ([beat(0, 40, waiting=True, busy_s=20), beat(1, 45)], None),  # the waiting one needed 20 s for its own part
        ([beat(0, 40, waiting=True), beat(1, 2)], None),  # it moves
        ([beat(1, 400, waiting=True), beat(0, 400, stage="save")], None),  # a slow disk
        ([beat(0, 400, waiting=True), beat(1, 400, waiting=True)], None),  # both wait for another machine
        ([beat(0, 40, waiting=True)], "rank 1 has not started"),
        ([beat(0, 400), beat(1, 400)], None),  # the same long step in both
        ([beat(0, 40, waiting=True, stage="counts"), beat(1, 41, waiting=True, stage="first")], "rank 1"),  # stuck in an earlier call
        ([beat(0, 20, waiting=True, stage="counts"), beat(1, 21, waiting=True, stage="first")], None),  # not yet
    ],
)
def test_only_a_rank_that_others_wait_for_in_vain_is_silent(beats, found):
    """The patience follows what the waiting rank needed itself."""
    told = find_silent(beats, range(2), now=1000.0)

    assert told is None if found is None else found in told


def test_a_rank_that_is_halted_while_it_waits_is_named():
    """All of them seem to wait for one another then; the kernel knows which one is halted."""
    halted = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    halted.send_signal(signal.SIGSTOP)
    wait_until(lambda: state_of(halted.pid) == "T", "the halt")
    stuck = msgspec.structs.replace(beat(1, 40, waiting=True), pid=halted.pid)
    told = find_silent([beat(0, 41, waiting=True), stuck], range(2), now=1000.0)
    halted.kill()
    halted.wait()

    assert told is not None and "rank 1" in told and "stopped" in told


FAKE_RANKS = """
    import os, sys, time
    from pathlib import Path
    from engine.kinship import die_with_parent
    from engine.pulse import LastWord, Pulse
    folder, ends = Path(sys.argv[1]), sys.argv[2].split(",")
    die_with_parent()
    def leave(pulse, rank, reason, error="", consequence=False):
        pulse.last_word(LastWord(rank, reason, 0 if reason == "finished" else 1, 9, error, consequence, time.time()))
        os._exit(0)
    def rank(number, end):
        die_with_parent()
        if end == "never":
            time.sleep(99)
        pulse = Pulse(folder, number)
        pulse.beat("train", 9)
        if end == "hang":
            time.sleep(99)
        if end == "kill":
            os.kill(os.getpid(), 9)
        if end == "wrong":
            leave(pulse, number, "failed", "data.path: planted")
        if end == "lost":
            time.sleep(0.3)
            leave(pulse, number, "failed", "PeerLost: gone", True)
        if end == "done":
            leave(pulse, number, "finished")
        with pulse.waiting("the gradients of the step"):
            time.sleep(99)
    children = []
    for number, end in enumerate(ends):
        child = os.fork()
        if child == 0:
            rank(number, end)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
"""


class Quiet:
    """A control that nobody signals."""

    signalled = False


@pytest.fixture
def watched(run_dir, monkeypatch):
    """Run two ranks that only pretend and return the last event; `ends` says what each does."""

    def run(ends: str, patience_s: float = 0.4):
        def start(run, placement, folder):
            program = textwrap.dedent(FAKE_RANKS)
            return subprocess.Popen([sys.executable, "-c", program, str(folder), ends], cwd=PROJECT, start_new_session=True)

        monkeypatch.setattr(rank_launcher, "_start", start)
        return rank_launcher.run_ranks(run_dir, Placement("ddp", 2), Quiet(), patience_s)

    return run


@pytest.mark.parametrize(
    ("ends", "reason", "words"),
    [
        ("done,done", "finished", ""),
        ("wait,hang", "failed", "rank 1 (process"),
        ("wait,never", "failed", "rank 1 has not started"),
        ("lost,wrong", "failed", "rank 1: data.path: planted"),
        ("wait,wrong", "failed", "rank 1: data.path: planted"),
        ("lost,kill", "failed", "is gone without a word"),
    ],
)
def test_how_ranks_end_is_told_by_its_cause_and_nobody_is_left(watched, ends, reason, words):
    """A hang, a rank that never begins, an own fault and a kill are named; what follows from them in other ranks is not."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    last = watched(ends)

    assert last.reason == reason and words in last.error
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before


def test_a_second_signal_ends_every_rank_at_once(run_dir, watched, monkeypatch):
    """Without waiting for their step; the exception goes on to whoever says so in the events."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    monkeypatch.setattr(rank_launcher, "read_last_words", twice_asked)

    with pytest.raises(StopNow):
        watched("wait,wait")
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before


def twice_asked(folder):
    raise StopNow


def test_a_child_dies_with_its_parent():
    """Even when the parent is killed: torchrun's workers would live on."""
    child = "import sys, time; from engine.kinship import die_with_parent; die_with_parent(); print('up', flush=True); time.sleep(99)"
    parent = f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE); c.stdout.readline(); print(c.pid, flush=True); c.wait()"  # noqa: E501
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline())
    process.kill()
    process.communicate()

    children = [psutil.Process(pid)] if psutil.pid_exists(pid) else []

    assert not psutil.wait_procs(children, timeout=20)[1]


def config(**parallel):
    lines = [f"{key} = {json.dumps(value)}" for key, value in parallel.items()]
    return parse('[model]\nname = "demo"\n[parallel]\n' + "\n".join(lines), "test")


def test_a_cpu_is_one_process_unless_asked(monkeypatch):
    """`ddp` and `fsdp2` take as many as num_gpus says."""
    assert decide(config(), machine()).world_size == 1
    assert decide(config(strategy="fsdp2", num_gpus=2), machine()) == Placement("fsdp2", 2)
    assert decide(config(num_gpus=2), machine()).strategy == "ddp"


@pytest.mark.parametrize(
    ("name", "model", "length", "expected"),
    [
        ("4xA10G", "Qwen/Qwen3-4B-Thinking-2507", 2048, ("ddp", 4)),
        ("1xT4", "Qwen/Qwen3-0.6B", 2048, ("single", 1)),
        ("8xH100-NVLink", "Qwen/Qwen3-32B", 1024, ("ddp", 8)),
        ("8xH100-NVLink", "Qwen/Qwen3-32B", 2048, ("fsdp2", 8)),
    ],
)
def test_auto_does_what_the_plan_says(name, model, length, expected):
    """The launcher starts as many processes as `danlu plan` recommends."""
    data, train = f"[data]\nmax_seq_length = {length}\n", "[train]\nbatch_size = 2\ngradient_accumulation_steps = 8\nmax_steps = 900"
    run = parse(f'[model]\nname = "{model}"\n{data}{train}', "test")
    placed = decide(run, read_machine(find_machine(name)))

    assert (placed.strategy, placed.processes) == expected
    assert placed.gpus == tuple(range(expected[1]))


def test_a_single_process_goes_where_the_plan_says():
    """Of two equal cards the one that others do not fill; PyTorch is shown no other."""
    placed = decide(config(strategy="single"), machine(gpu(free=0.5), gpu(index=1)))

    assert placed.environment == {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert decide(config(strategy="single"), machine()).environment == {}


def test_gathered_weights_go_back_to_the_system_unless_the_user_has_said_otherwise(tmp_path, monkeypatch):
    """Where they come from malloc: not on GPUs, whose allocator is PyTorch's, nor where each rank holds all."""
    name = "MALLOC_MMAP_THRESHOLD_"
    monkeypatch.delenv(name, raising=False)
    seen = [rank_launcher._environment(placement, tmp_path).get(name) for placement in
            (Placement("fsdp2", 2), Placement("ddp", 2), Placement("fsdp2", 2, gpus=(0, 1)))]  # fmt: skip
    monkeypatch.setenv(name, "7")

    assert seen == [str(rank_launcher.GIVEN_BACK_BYTES), None, None]
    assert rank_launcher._environment(Placement("fsdp2", 2), tmp_path)[name] == "7"


SEEN = """
    import os, sys
    from engine import __main__ as engine
    engine.decide = lambda config, machine: engine.Placement(gpus=(1,), devices="1")
    def look(run, config, control, placement):
        print(placement.gpus, os.environ["CUDA_VISIBLE_DEVICES"], os.environ["CUDA_DEVICE_ORDER"], "torch" in sys.modules, flush=True)
        os._exit(0)
    engine._run_alone = look
    engine.main([sys.argv[1]])
"""


def test_an_engine_sees_only_its_card_from_before_pytorch_is_loaded(run_dir):
    """CUDA reads the list once, when it starts."""
    write_resolved(run_dir.config, config(), {})
    command = [sys.executable, "-c", textwrap.dedent(SEEN), str(run_dir.path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["(1,)", "1", "PCI_BUS_ID", "False"]


def test_a_part_of_a_card_is_left_to_cuda():
    """It has no number that CUDA_VISIBLE_DEVICES could name instead."""
    part = MigDevice("MIG-a", 20.0, 19.0)

    assert decide(config(), machine(gpu(mig=True, mig_devices=(part,)))).environment == {}


def test_gpus_that_stay_idle_for_want_of_knowledge_are_counted():
    """A model that was never fetched cannot be planned; one GPU that was asked for leaves nothing idle."""
    unknown = parse('[model]\nname = "nobody/Nothing-1B"', "test")
    asked = parse('[model]\nname = "nobody/Nothing-1B"\n[parallel]\nstrategy = "single"', "test")
    cards = machine(gpu(free=3.0), gpu(index=1))

    assert (decide(unknown, cards).gpus, decide(unknown, cards).idle, decide(asked, cards).idle) == ((1,), 1, 0)


@pytest.mark.parametrize(
    ("parallel", "environment", "seen"),
    [
        ({"strategy": "ddp", "num_nodes": 2}, {}, "--node-rank"),
        ({"strategy": "ddp", "num_nodes": 2}, {NODE_RANK: "2", RENDEZVOUS: "one:1"}, "--node-rank 2"),
        ({"strategy": "ddp", "num_nodes": 2}, {NODE_RANK: "0", RENDEZVOUS: "one"}, "--rdzv one"),
        ({"strategy": "single", "num_nodes": 2}, {}, "num_nodes"),
    ],
)
def test_what_cannot_be_placed_is_said_with_its_key(parallel, environment, seen, monkeypatch):
    """Before anything is started."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError, match=seen):
        decide(config(**parallel), machine())


def test_a_taken_port_is_noticed_before_anything_starts(monkeypatch):
    """At once, not after a time-out of the meeting."""
    import socket

    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        monkeypatch.setenv(NODE_RANK, "0")
        monkeypatch.setenv(RENDEZVOUS, f"localhost:{other.getsockname()[1]}")

        with pytest.raises(EnvironmentFault, match="port"):
            decide(config(strategy="ddp", num_nodes=2), machine())


def test_quantised_weights_are_not_sharded():
    """They would silently lose their state."""
    with pytest.raises(ConfigError, match="quantization"):
        decide(parse('[model]\nquantization = "nf4"\n[parallel]\nstrategy = "fsdp2"\nnum_gpus = 2', "test"), machine())


def test_a_rank_that_ends_while_its_last_word_is_looked_for_has_not_gone_without_one(tmp_path, monkeypatch):
    """It says its word and ends between two looks of the launcher: the first saw neither, and the process is dead by then."""
    pulse = Pulse(tmp_path, 0)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    monkeypatch.setattr(os, "getpid", lambda: ended.pid)
    pulse.beat(stage="save")
    monkeypatch.undo()
    agent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    looks = []

    def read(folder):
        looks.append(1)
        if len(looks) == 1:
            pulse.last_word(LastWord(0, "finished", 0, 7, "", False, 1.0))
            return []
        agent.communicate(b"\n")
        return read_last_words(folder)

    monkeypatch.setattr(rank_launcher, "read_last_words", read)

    assert rank_launcher._watch(agent, Placement("ddp", 1), tmp_path, Quiet(), 30.0) == ("", "")
