"""F16: samples and evaluations on or off give the same bits; another micro-batch is an "equivalent" run over the same examples."""

import shutil
from collections.abc import Iterable

import pytest

from engine import events
from engine.batches import StepPlan, in_micro_batches
from engine.changes import changed_document
from engine.run_directory import RunDirectory
from tests.engine_runs import losses, of_type, train_here
from tests.faults.bench import Bench
from tests.faults.runs import new_run, undisturbed

TITLE = "samples, evaluations, saves on or off, a run made longer: same bits; another micro-batch or batch: told, same order of examples"
SECONDS = 120
WATCHING = (
    ({"sample": {"num_prompts": 2, "every_steps": 3, "max_new_tokens": 5}}, (events.SampleFinished, 30)),
    ({"eval": {"every_steps": 1, "at_start": True}}, (events.Eval, 41)),
    ({"checkpoint": {"every_steps": 1}}, (events.CheckpointSaved, 40)),
    ({"checkpoint": {"every_steps": 0, "every_minutes": 1e-6}}, (events.CheckpointSaved, 40)),
    (
        {"sample": {"num_prompts": 1, "every_steps": 1, "max_new_tokens": 2}, "eval": {"every_steps": 2}, "checkpoint": {"every_steps": 7}},
        (events.CheckpointSaved, 6),
    ),
)
"""What is changed, and how often that shows in 40 steps."""


def inject(bench: Bench) -> None:
    """Whole runs that differ in nothing that trains, then resumed ones that differ in how they split a step."""
    whole = undisturbed(bench)
    for number, (changes, (kind, times)) in enumerate(bench.some(WATCHING, 2)):
        with bench.injection(f"watched: {changes}"):
            run = new_run(bench, f"watched-{number}", **changes)
            train_here(run)
            assert losses(run) == losses(whole)
            assert len(of_type(run, kind)) == times
    for batch_size, accumulation in ((1, 4), (4, 1)):
        with bench.injection(f"resumed with micro-batches of {batch_size}"):
            split = {"batch_size": batch_size, "gradient_accumulation_steps": accumulation}
            run = new_run(bench, f"split-{batch_size}", train=split)
            shutil.copytree(whole.checkpoints()[1], run.path / whole.checkpoints()[1].name)
            train_here(run)
            told = [w.text for w in of_type(run, events.Warning) if w.code == "resume_equivalent"]
            assert len(told) == 1 and f"train.batch_size 2 → {batch_size}" in told[0], told
            first = min(losses(run))
            assert losses(run)[first] == pytest.approx(losses(whole)[first], rel=0.05)  # dropout draws other numbers
    _another_batch(bench, whole)
    _longer(bench)
    _order(bench)


def _another_batch(bench: Bench, whole: RunDirectory) -> None:
    """Told with its reason; the run goes on where it was in its data, and being resumed once more changes no bit."""
    before = whole.checkpoints()[-1]
    facts = []
    for number, again in enumerate((False, True)):
        with bench.injection(f"resumed with a batch of 6 rows instead of 4{', and again' if again else ''}"):
            run = new_run(bench, f"batch-{number}", train={"batch_size": 3})
            shutil.copytree(before, run.path / before.name)
            train_here(run)
            if again:  # as if killed before its last save
                shutil.rmtree(run.checkpoints()[0])
                train_here(run)
            told = [w.text for w in of_type(run, events.Warning) if w.code == "resume_equivalent"]
            assert len(told) == 1 and "rows in a step 4 → 6" in told[0], told
            facts.append((losses(run), of_type(run, events.Step)[-1].epoch))
            assert facts[0] == facts[-1]


def _longer(bench: Bench) -> None:
    """Twenty steps and twenty more are the forty of one run, where the learning rate does not follow the length."""
    steady = {"scheduler": "constant", "warmup_ratio": 0.0}
    with bench.injection("a finished run made longer"):
        run = new_run(bench, "longer", train=steady | {"max_steps": 20})
        train_here(run)
        changed_document(run, ["train.max_steps=40"])[0].save()
        assert train_here(run) == "finished"
        assert losses(run) == losses(undisturbed(bench, "steady", train=steady))
        assert [w.code for w in of_type(run, events.Warning) if "train.max_steps 20 → 40" in w.text] == ["resume_equivalent"]


def _order(bench: Bench) -> None:
    """Order is a function of seed and epoch, whatever the split and wherever a run begins."""
    for _ in range(bench.count(5, 200)):
        lengths = [bench.random.randrange(5, 200) for _ in range(bench.random.randrange(3, 60))]
        with bench.injection(f"{len(lengths)} examples in another split"):
            seed, rows = bench.random.randrange(1000), bench.random.choice((2, 4, 8))
            settings = {"row_length": 256, "packing": True, "rows_per_step": rows, "num_epochs": 2.5, "max_steps": None, "seed": seed}
            plans = [StepPlan(lengths, **settings) for _ in "ab"]
            forward = [plans[0].rows(step) for step in range(1, plans[0].max_steps + 1)]
            backward = [plans[1].rows(step) for step in range(plans[1].max_steps, 0, -1)]
            assert forward == backward[::-1]
            assert all(_flat(in_micro_batches(step, 1)) == _flat(in_micro_batches(step, 3)) for step in forward)
            epoch = [index for step in forward[: plans[0].steps_per_epoch] for row in step for index in row]
            assert sorted(epoch) == list(range(len(lengths)))


def _flat(batches: Iterable[list[int]]) -> list[int]:
    return [index for batch in batches for index in batch]
