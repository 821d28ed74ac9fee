"""Whole runs of a tiny model in this process: what a run leaves behind, and that resuming is exact."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from transformers import AutoModelForCausalLM

from data.errors import DanluError, DataError
from engine import events, launch
from engine.checkpoint import read_state
from engine.config import Model
from engine.config_file import read_resolved
from engine.control import Control
from engine.errors import DiskFull, EnvironmentFault, RunError
from engine.fitting import CPU_TOKENS
from engine.manifest import find_fault
from engine.model_source import loadable_name
from engine.obey import GIVEN_UP, NO_EVALUATION, NO_PROMPT
from engine.reporter import Reporter
from engine.run_directory import RunDirectory
from engine.trainer import Trainer
from tests.engine_runs import all_events, losses, make_run, of_type, train_here, write_records
from tests.tiny_models import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model("qwen3", tmp_path_factory.mktemp("qwen3"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("data") / "records.jsonl")


@pytest.fixture(scope="module")
def finished(model, data, tmp_path_factory):
    """An uninterrupted run of eight steps."""
    run = make_run(tmp_path_factory.mktemp("runs"), model, data, lora={"dropout": 0.1})
    assert train_here(run) == "finished"
    return run


def test_the_events_of_a_run_are_numbered_without_gaps(finished):
    """seq counts 0, 1, 2 … whatever thread emitted."""
    found = all_events(finished)

    assert [event.seq for event in found] == list(range(len(found)))
    assert not any(isinstance(event, events.Unknown) for event in found)


def test_training_lowers_the_loss(finished):
    """Evaluated before the first and after the last step."""
    evals = of_type(finished, events.Eval)

    assert [event.step for event in evals] == [0, 4, 8]
    assert evals[-1].loss < 0.95 * evals[0].loss


def test_step_zero_shows_the_base_model(finished):
    """The fixed prompts are answered before the first step and after the last."""
    assert [event.step for event in of_type(finished, events.SampleRound)] == [0, 8]
    assert all(sample.prompt for sample in of_type(finished, events.SampleFinished))


def test_the_final_model_is_one_that_plain_peft_loads(finished, model):
    """`PeftModel.from_pretrained` on the base gives an adapter that is not zero, with the tokenizer beside it."""
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tuned = PeftModel.from_pretrained(base, finished.final_model)
    ids = torch.tensor([[1, 2, 3, 4]])

    with torch.no_grad(), tuned.disable_adapter():
        before = tuned(ids).logits
    with torch.no_grad():
        after = tuned(ids).logits
    assert not torch.allclose(before, after)
    assert (finished.final_model / "tokenizer.json").is_file()
    assert find_fault(finished.final_model) is None


def test_the_final_model_knows_its_base(finished):
    """One line loads both, as the console says at the end of a run."""
    tuned = AutoPeftModelForCausalLM.from_pretrained(finished.final_model)

    assert tuned.peft_config["default"].r == 4


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("demo", "/cache/demo"),
        ("/models/some.gguf", "/cache/demo"),
        ("/models/some", "/models/some"),
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
    ],
)
def test_the_base_of_a_result_goes_by_a_name_that_peft_can_load(name, told):
    """"demo" and a GGUF file mean something to Danlu alone: the folder they were made into stands for them."""
    assert loadable_name(Model(name=name), Path("/cache/demo")) == told


def test_the_split_is_written_down(finished):
    """split.json names the records of each part, none twice."""
    parts = json.loads(finished.split.read_text())["parts"]

    assert sorted(parts["train"] + parts["eval"]) == list(range(24)) and parts["eval"]


def test_only_the_wanted_checkpoints_stay(finished):
    """keep = 3 by default; each verifies."""
    assert [folder.name for folder in finished.checkpoints()] == ["checkpoint-8", "checkpoint-6", "checkpoint-4"]
    assert all(find_fault(folder) is None for folder in finished.checkpoints())


def test_resuming_gives_the_same_bits(finished, model, data, tmp_path):
    """Steps 5 to 8 from checkpoint-4, dropout and all, are those of the uninterrupted run; so is the adapter."""
    run = make_run(tmp_path, model, data, lora={"dropout": 0.1})
    shutil.copytree(finished.checkpoint(4), run.checkpoint(4))
    train_here(run)

    assert losses(run) == {step: loss for step, loss in losses(finished).items() if step > 4}
    name = "adapter_model.safetensors"
    assert (run.final_model / name).read_bytes() == (finished.final_model / name).read_bytes()


def test_watching_changes_no_bit_of_the_training(finished, model, data, tmp_path):
    """Without samples and evaluations the losses are the same."""
    run = make_run(tmp_path, model, data, lora={"dropout": 0.1}, sample={"num_prompts": 0}, eval={"every_steps": 0, "at_start": False})
    train_here(run)

    assert losses(run) == losses(finished)


def test_a_damaged_checkpoint_is_passed_over_and_told(finished, model, data, tmp_path):
    """One flipped bit in the newest: the run goes on from the one before, to the same end."""
    run = make_run(tmp_path, model, data, lora={"dropout": 0.1})
    for step in (4, 6):
        shutil.copytree(finished.checkpoint(step), run.checkpoint(step))
    damaged = run.checkpoint(6) / "optimizer.safetensors"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    train_here(run)

    assert min(losses(run)) == 5
    assert losses(run)[8] == losses(finished)[8]


def test_changed_data_refuses_to_resume(finished, model, tmp_path):
    """Another data file is another run; the message names what has changed."""
    run = make_run(tmp_path, model, write_records(tmp_path / "other.jsonl", count=20))
    shutil.copytree(finished.checkpoint(4), run.checkpoint(4))

    with pytest.raises(RunError, match="data"):
        train_here(run)


def test_a_changed_batch_resumes_as_equivalent(finished, model, data, tmp_path):
    """The run goes on and says that it is not bit for bit the same."""
    run = make_run(tmp_path, model, data, lora={"dropout": 0.1}, train={"batch_size": 1, "gradient_accumulation_steps": 4})
    shutil.copytree(finished.checkpoint(4), run.checkpoint(4))
    train_here(run)

    assert [warning.code for warning in of_type(run, events.Warning) if warning.code.startswith("resume")] == ["resume_equivalent"]
    assert losses(run)[5] == pytest.approx(losses(finished)[5], rel=0.05)  # dropout draws other numbers


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_another_micro_batch_is_taken_on_resume(finished, model, data, tmp_path, batch_size):
    """Who lowers it for want of memory gets it; where it is as it was, steps are split as they were saved."""
    train = {"batch_size": batch_size, "gradient_accumulation_steps": 4 // batch_size}
    run = make_run(tmp_path, model, data, lora={"dropout": 0.1}, train=train)
    shutil.copytree(finished.checkpoint(4), run.checkpoint(4))
    trainer = Trainer(run, read_resolved(run.config), Control(run), Reporter(run))
    trainer.prepare(run.checkpoint(4))

    assert trainer.ladder.batch_size == batch_size


def test_a_run_goes_on_in_fp16_that_was_not_in_it_before(tmp_path, data):
    """As after a move from a CPU to an old GPU: there is no loss scale to go on with, so it begins with its own."""
    llama = tiny_model("llama", tmp_path)
    before = make_run(tmp_path, llama, data, "before", train={"max_steps": 1}, checkpoint={"every_steps": 1})
    train_here(before)
    run = make_run(tmp_path, llama, data, "after", train={"max_steps": 2}, model={"precision": "fp16"})
    shutil.copytree(before.checkpoint(1), run.checkpoint(1))

    assert train_here(run) == "finished" and list(losses(run)) == [2]


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_step(model, data, tmp_path, monkeypatch):
    """Memory runs out once in the second micro-batch of step 2: same losses, one warning, nothing skipped."""
    from engine import train_step

    whole = make_run(tmp_path, model, data, "whole")
    train_here(whole)
    real, calls = train_step.backward, []

    def fails_once(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise torch.OutOfMemoryError("planted")
        return real(*arguments)

    monkeypatch.setattr(train_step, "backward", fails_once)
    run = make_run(tmp_path, model, data, "short of memory")
    train_here(run)

    assert losses(run) == pytest.approx(losses(whole), rel=1e-5)
    assert [warning.code for warning in of_type(run, events.Warning) if warning.code == "out_of_memory"] == ["out_of_memory"]


def commanded(run: RunDirectory, *commands: tuple[str, str]) -> tuple[Trainer, str, list[tuple[bool, str]]]:
    """Train with commands that come before the first step; the trainer, why it ended, and whether each was done or why not."""
    trainer = Trainer(run, read_resolved(run.config), Control(run), Reporter(run))
    trainer.prepare(None)
    ids = [launch.send(run, name, prompt) for name, prompt in commands]
    reason = trainer.run()
    answers = {event.id: (event.ok, event.reason) for event in of_type(run, events.CommandDone)}
    return trainer, reason, [answers[id] for id in ids]


def test_commands_are_obeyed_and_answered(model, data, tmp_path):
    """Sample, evaluate, checkpoint, a refused resume, each answered once when it is done."""
    run = make_run(tmp_path, model, data, train={"max_steps": 1}, eval={"at_start": False})
    _, reason, answers = commanded(run, ("sample", "你好"), ("evaluate", ""), ("checkpoint", ""), ("resume", ""))

    assert reason == "finished" and [ok for ok, _ in answers] == [True, True, True, False]
    assert [event.step for event in of_type(run, events.Eval)] == [0, 1]
    assert any(sample.prompt == "你好" for sample in of_type(run, events.SampleFinished))


def test_a_stop_cuts_short_what_was_asked_before_it(model, data, tmp_path):
    """The evaluation is given up and said to be, a checkpoint of the step is left; samples that were cut off say nothing of their form."""
    run = make_run(tmp_path, model, data)
    trainer, reason, answers = commanded(run, ("evaluate", ""), ("sample", ""), ("stop", ""))

    assert reason == "stopped" and trainer.step < 8
    assert answers[0] == (False, GIVEN_UP) and answers[2][0]
    assert of_type(run, events.Eval) == [] and of_type(run, events.SampleRound) == []
    assert run.checkpoints()[0].name == f"checkpoint-{trainer.step}"


def test_samples_are_written_side_by_side_as_each_would_be_alone(model, data, tmp_path):
    """Two prompts begin before either goes on, and both end as they do one after the other."""
    alone, both = (samples_written(make_run(tmp_path / str(at_once), model, data, train={"max_steps": 1}, sample={
        "prompts": ["你好", "SM4 的分组长度是多少?"], "max_new_tokens": 8,
    }), at_once) for at_once in (1, 2))  # fmt: skip
    ends = [{event.id: (event.thinking, event.answer, event.tokens) for event in told if isinstance(event, events.SampleFinished)}
            for told in (alone, both)]  # fmt: skip

    assert not isinstance(alone[1], events.SampleStarted) and isinstance(both[1], events.SampleStarted)
    assert ends[0] == ends[1] and len(ends[0]) == 4


def samples_written(run: RunDirectory, at_once: int) -> list[events.Event]:
    """Train with so many samples side by side; what was told of them."""
    trainer = Trainer(run, read_resolved(run.config), Control(run), Reporter(run))
    trainer.prepare(None)
    assert trainer.samples.at_once > 1
    trainer.samples.at_once = at_once
    trainer.run()
    return [event for event in all_events(run) if isinstance(event, events.SampleStarted | events.SampleText | events.SampleFinished)]


def test_samples_that_memory_runs_out_for_side_by_side_are_written_one_by_one(model, data, tmp_path, monkeypatch):
    """No sample is left out for it: each then comes alone, in this round and in the next."""
    from engine import sampling

    real = sampling.generate

    def too_large(model, prompts, *rest):
        if len(prompts) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(model, prompts, *rest)

    monkeypatch.setattr(sampling, "generate", too_large)
    run = make_run(tmp_path, model, data, train={"max_steps": 1}, sample={"prompts": ["你好", "再见"]})
    train_here(run)

    assert [sample.id for sample in of_type(run, events.SampleFinished)] == ["0-0", "0-1", "1-0", "1-1"]
    assert [found.samples for found in of_type(run, events.SampleRound)] == [2, 2]
    told = [warning.text for warning in of_type(run, events.Warning) if warning.code == "out_of_memory"]
    assert len(told) == 1 and "writing samples side by side is left out" in told[0]


def test_an_evaluation_passes_no_more_tokens_at_once_than_a_training_step(model, tmp_path, monkeypatch):
    """On a CPU steps go in pieces; whole rows of long examples would be the peak of the run, which no forecast knows of."""
    from engine import evaluation

    real, passed = evaluation.build_micro_batch, []

    def noted(examples, device):
        passed.append(sum(len(example.ids) for example in examples))
        return real(examples, device)

    monkeypatch.setattr(evaluation, "build_micro_batch", noted)
    data = write_records(tmp_path / "many.jsonl", count=60)
    lengths, once = {"max_seq_length": 2048, "eval_fraction": 0.5}, {"max_steps": 1}
    train_here(make_run(tmp_path, model, data, data=lengths, train=once, eval={"at_start": False}))

    assert sum(passed) > CPU_TOKENS >= max(passed)


class Stopping(Reporter):
    """Sends a stop as soon as an evaluation behind step `step` begins, as a person may."""

    def __init__(self, run: RunDirectory, step: int):
        super().__init__(run)
        self._told, self._last, self._step = run, 0, step

    def emit(self, event: events.Event) -> None:
        super().emit(event)
        self._last = event.step if isinstance(event, events.Step) else self._last
        if event == events.Phase(name="evaluate") and self._last == self._step:
            launch.send(self._told, "stop")


def test_a_stop_in_the_last_evaluation_is_obeyed(finished, model, data, tmp_path):
    """The run is stopped and not finished without its last figures; a resumed one evaluates again and ends with the same result."""
    run = make_run(tmp_path, model, data, lora={"dropout": 0.1})
    trainer = Trainer(run, read_resolved(run.config), Control(run), Stopping(run, 8))
    trainer.prepare(None)

    assert trainer.run() == "stopped" and not run.final_model.exists()
    assert [event.ok for event in of_type(run, events.CommandDone)] == [True]
    assert train_here(run) == "finished" and of_type(run, events.Eval)[-1].step == 8
    name = "adapter_model.safetensors"
    assert (run.final_model / name).read_bytes() == (finished.final_model / name).read_bytes()


def test_a_command_that_nothing_can_be_done_for_says_why(model, data, tmp_path):
    """Neither evaluation data nor prompts."""
    run = make_run(tmp_path, model, data, data={"eval_fraction": 0.0}, sample={"num_prompts": 0}, train={"max_steps": 1})
    _, _, answers = commanded(run, ("evaluate", ""), ("sample", ""))

    assert answers == [(False, NO_EVALUATION), (False, NO_PROMPT)]


def test_a_prompt_longer_than_any_example_is_refused(model, data, tmp_path):
    """The forecast has no memory for it, and nothing else would be heard while it is read."""
    run = make_run(tmp_path, model, data, train={"max_steps": 1}, sample={"num_prompts": 0})
    _, _, answers = commanded(run, ("sample", "为什么" * 4_000))

    assert len(answers) == 1 and not answers[0][0] and "data.max_seq_length" in answers[0][1]


def test_a_step_that_could_not_be_saved_is_not_the_best(model, data, tmp_path, monkeypatch):
    """The disk refuses the step whose evaluation was lowest: the best saved one stays pinned, in the next checkpoint too."""
    from engine import trainer as module

    real = module.save_checkpoint

    def refuses(run, model, optimizer, state, *rest):
        if state.step == 4:
            raise EnvironmentFault("planted")
        return real(run, model, optimizer, state, *rest)

    monkeypatch.setattr(module, "save_checkpoint", refuses)
    run = make_run(tmp_path, model, data, eval={"every_steps": 2}, train={"max_steps": 6, "warmup_ratio": 0.0})
    train_here(run)
    lowest = {event.step: event.loss for event in of_type(run, events.Eval)}

    assert lowest[4] < lowest[2] and not run.checkpoint(4).exists()
    assert read_state(run.checkpoint(6)).best_step == 2


def test_the_final_model_waits_for_room(model, data, tmp_path, monkeypatch):
    """A disk that fills up at the very end pauses the run, as it does before."""
    from engine import trainer as module

    real, tried = module.save_final_model, []

    def is_full_once(*arguments):
        tried.append(1)
        if len(tried) == 1:
            raise DiskFull("planted")
        return real(*arguments)

    monkeypatch.setattr(module, "save_final_model", is_full_once)
    monkeypatch.setattr("engine.saving.LOOK_AGAIN_S", 0.0)
    run = make_run(tmp_path, model, data, train={"max_steps": 1})

    assert train_here(run) == "finished" and (run.final_model / "adapter_model.safetensors").is_file()
    assert "disk_full" in [warning.code for warning in of_type(run, events.Warning)]


def test_commands_from_before_the_start_are_refused(model, data, tmp_path):
    """A stop that nobody read must not stop the next engine."""
    run = make_run(tmp_path, model, data, train={"max_steps": 1})
    id = launch.send(run, "stop")

    assert train_here(run) == "finished"
    assert [(event.id, event.ok) for event in of_type(run, events.CommandDone)] == [(id, False)]


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"lora": {"target_modules": ["nonsense"]}}, "nonsense"),
        ({"data": {"max_seq_length": 16}}, "max_seq_length"),
        ({"data": {"missing_thinking": "drop", "over_length": "fail", "max_seq_length": 20}}, "20"),
        ({"model": {"precision": "fp16"}}, "overflow"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_message(model, data, tmp_path, changes, seen):
    """A DanluError that names what was seen, before the first step."""
    run = make_run(tmp_path, model, data, **changes)

    with pytest.raises(DanluError, match=seen):
        train_here(run)


def test_a_data_file_without_a_usable_record_is_refused(model, tmp_path):
    """The message names file and line."""
    path = tmp_path / "bad.jsonl"
    path.write_text('{"instruction": "只有问题"}\n')

    with pytest.raises(DataError, match=r"bad\.jsonl:1"):
        train_here(make_run(tmp_path, model, path))
