"""F9: NaN and Inf in the gradient at step k, for ever, in the weights; a loss that leaps. No weight changes, nothing bad is saved."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from engine import bad_numbers, events, train_step
from engine.errors import EnvironmentFault
from engine.run_directory import RunDirectory
from tests.engine_runs import losses, make_run, of_type, train_here, write_records
from tests.faults.bench import Bench
from tests.faults.runs import SETTINGS, new_run, tiny_model, undisturbed

TITLE = "NaN and Inf in the gradient of step k, in every step, in the weights; losses that leap"
SECONDS = 180


def inject(bench: Bench) -> None:
    """One bad step is skipped; too many end the run; what is saved is finite, and resuming goes on from it."""
    for number in range(bench.count(2, 20)):
        if not bench.in_time():
            return
        step, value = bench.random.randrange(1, 40), bench.random.choice((math.nan, math.inf, -math.inf))
        run = new_run(bench, f"one-{number}")
        with bench.injection(f"{value} in the gradient of step {step}"):
            with pytest.MonkeyPatch.context() as patch:
                _poison(patch, lambda now, step=step: now == step, value)
                assert train_here(run) == "finished"
            told = [w.text for w in of_type(run, events.Warning) if w.code == "not_finite"]
            assert len(told) == 1 and told[0].startswith(f"step {step}:") and "records.jsonl:" in told[0], told
            assert {at: loss for at, loss in losses(run).items() if at <= step} == {
                at: loss for at, loss in losses(undisturbed(bench)).items() if at <= step
            }
            _all_finite(run)
    _for_ever(bench)
    _in_the_weights(bench)
    _a_leap(bench)
    if not bench.quick:
        _a_bad_record(bench)


def _for_ever(bench: Bench) -> None:
    run = new_run(bench, "for ever")
    with bench.injection("NaN in every gradient from step 11 on"):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(EnvironmentFault, match="in a row"):
            _poison(patch, lambda now: now >= 11, math.nan)
            train_here(run)
        _all_finite(run)
        assert train_here(run) == "finished"
        assert losses(run)[10] == losses(undisturbed(bench))[10]


def _in_the_weights(bench: Bench) -> None:
    run = new_run(bench, "weights")
    with bench.injection("Inf in the weights after step 7"):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(EnvironmentFault):
            real, calls = train_step.Updater.apply, []

            def spoils(updater: train_step.Updater, rate: float) -> tuple[float, bool]:
                calls.append(1)
                result = real(updater, rate)
                if len(calls) == 7:
                    updater.parameters[0].data.fill_(math.inf)
                return result

            patch.setattr(train_step.Updater, "apply", spoils)
            train_here(run)
        _all_finite(run)
        assert train_here(run) == "finished" and losses(run) == losses(undisturbed(bench))


def _a_leap(bench: Bench) -> None:
    """Told with the records of the step, and nothing else changes."""
    run = new_run(bench, "leap")
    with bench.injection("a loss ten times the usual at step 30"), pytest.MonkeyPatch.context() as patch:
        real = bad_numbers.NumberWatch.see

        def leaps(watch: bad_numbers.NumberWatch, step: int, stats: train_step.StepStats, records: object) -> None:
            scale = 10 if step == 30 else 1
            sums = train_step.PartSums(
                stats.sums.thinking * scale, stats.sums.answer * scale, stats.sums.thinking_tokens, stats.sums.answer_tokens
            )
            real(watch, step, train_step.StepStats(sums, stats.grad_norm, stats.tokens, stats.applied), records)

        patch.setattr(bad_numbers.NumberWatch, "see", leaps)
        train_here(run)
        told = [w.text for w in of_type(run, events.Warning) if w.code == "loss_spike"]
        assert len(told) == 1 and told[0].startswith("step 30:") and "records.jsonl:" in told[0], told
        assert losses(run) == losses(undisturbed(bench))


def _a_bad_record(bench: Bench) -> None:
    """A record that is nothing like the others makes a step's loss leap, and is named first."""
    path = write_records(bench.folder / "leaps.jsonl", 160)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[129] = json.dumps({"instruction": "?", "input": "", "output": "Zq" * 170})
    path.write_text("\n".join(lines), encoding="utf-8")
    settings = {"train": {"max_steps": 70, "learning_rate": 2e-2}, "data": {"max_seq_length": 512, "packing": False}}
    run = make_run(bench.folder, tiny_model(bench), path, "a bad record", **SETTINGS | settings)
    with bench.injection("a record of 340 strange characters among 160"):
        train_here(run)
        told = [w.text for w in of_type(run, events.Warning) if w.code == "loss_spike"]
        assert told and all("its records: leaps.jsonl:130 (loss" in text for text in told), told


def _poison(patch: pytest.MonkeyPatch, when: object, value: float) -> None:
    """Write `value` into one gradient of every step for which `when(step)`."""
    real, calls = train_step.Updater.apply, []

    def poisoned(updater: train_step.Updater, rate: float) -> tuple[float, bool]:
        calls.append(1)
        if when(len(calls)):
            updater.parameters[0].grad.view(-1)[3] = value
        return real(updater, rate)

    patch.setattr(train_step.Updater, "apply", poisoned)


def _all_finite(run: RunDirectory) -> None:
    for path in run.path.glob("*/*.safetensors"):
        assert all(torch.isfinite(tensor).all() for tensor in load_file(path).values()), path
