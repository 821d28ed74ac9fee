"""The composition root of the engine, and its loop. It connects the parts; each part's work is in its own module."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from engine import assembly, events
from engine.bad_numbers import LossAverages, NumberWatch, check_weights, name_records
from engine.batches import build_micro_batch
from engine.checkpoint import adapter_bytes, read_state, save_checkpoint
from engine.config import Config
from engine.control import Control
from engine.evaluation import evaluate
from engine.final_model import save_final_model
from engine.manifest import check_room
from engine.memory_ladder import MemoryLadder
from engine.obey import GIVEN_UP, NO_EVALUATION, obey_commands
from engine.pressure import Pressure, peak_gib, read, remember_peak
from engine.probe import longest_tokens, try_longest
from engine.progress import Progress
from engine.rank_loads import rank_loads
from engine.rank_resume import follow_state
from engine.ranks import ALONE, Ranks
from engine.reporter import Reporter
from engine.run_directory import RunDirectory
from engine.samples import Samples
from engine.saving import Saving
from engine.schedule import learning_rate
from engine.share import share_of_step
from engine.snapshot import put_back, take_snapshot
from engine.train_step import StepStats, train_step
from engine.ways_out import ways_out

T = TypeVar("T")


class Trainer:
    """One run from its configuration to its final model."""

    def __init__(self, run: RunDirectory, config: Config, control: Control, reporter: Reporter, ranks: Ranks = ALONE):
        self.run_directory, self.config, self.control, self.reporter, self.ranks = run, config, control, reporter, ranks
        self.progress = Progress()

    @property
    def step(self) -> int:
        """The step taken last."""
        return self.progress.step

    def emit(self, event: events.Event) -> None:
        self.reporter.emit(event)

    def prepare(self, checkpoint: Path | None) -> None:
        """Load data and model, decide the plan, and go back to `checkpoint` if there is one. Raises DanluError."""
        state = follow_state(self.ranks, read_state(checkpoint) if checkpoint else None)
        self.parts = assembly.assemble(self.run_directory, self.config, self.reporter, state, checkpoint, self.ranks)
        self.pressure = Pressure(lambda: read(self.parts.model.device), self.reporter.warn)
        checkpointing = self.config.train.gradient_checkpointing
        self.ladder = MemoryLadder(self.parts.micro_batch, checkpointing, self.reporter.warn, self._ways_out)
        self.numbers = NumberWatch(self.reporter.warn, state.averages if state else LossAverages(), state.bad_steps if state else 0)
        self.saving = Saving(self.config.checkpoint, self.control.own, self.reporter, state and state.step)
        self.samples = Samples(self.parts, self.config, self.ranks, self._judge, self.emit, self.control.interrupted)
        check_room(self.run_directory.path, 6 * adapter_bytes(self.parts.model.peft, self.parts.model.start))
        if state is not None:
            saved = checkpoint or self.run_directory.checkpoint(state.step)
            put_back(self.parts, self.ladder, saved, state, self.ranks, self.reporter.warn)
            self.progress = Progress.of(state)
        self._try_longest()

    def run(self) -> str:
        """Train until the last step or a stop; return why it ended: finished, stopped or interrupted."""
        self.emit(events.Phase(name="train"))
        if self.step == 0:
            self.look_at_base_model()
        for step in range(self.step + 1, self.parts.steps.max_steps + 1):
            if reason := obey_commands(self):
                return self.leave(reason)
            self.take_step(step)
            if self.due(self.config.eval.every_steps):
                self.evaluate()
            if self.due(self.config.sample.every_steps):
                self.samples.round(self.step)
            if self.checkpoint_due():
                self.save()
        if reason := obey_commands(self):
            return self.leave(reason)
        return self.finish()

    def look_at_base_model(self) -> None:
        """The untrained adapter changes nothing, so step 0 shows the base model."""
        if self.config.eval.at_start:
            self.evaluate()
        self.samples.round(self.step)

    def due(self, every_steps: int) -> bool:
        """Whether the step just taken is one of every so many; the last step is left to `finish`."""
        return every_steps > 0 and self.step % every_steps == 0 and self.step < self.parts.steps.max_steps

    def checkpoint_due(self) -> bool:
        return self.due(self.config.checkpoint.every_steps) or self.ranks.follow(self.saving.is_time())

    def take_step(self, step: int) -> None:
        """One optimiser step and its event."""
        began = time.perf_counter()
        rate = learning_rate(*self.parts.steps.in_schedule(step), self.config.train)
        if self.ranks.any_rank(self.pressure.is_high()):
            self.pressure.act(self.ladder.has_rungs(self.parts.model), lambda seen: self.ladder.step_down(self.parts.model, seen))
        stats = self.ladder.fit(self.parts.model, self.parts.updater, lambda batch_size: self._train_step(step, rate, batch_size))
        self.progress.take(step, stats)
        seconds = time.perf_counter() - began
        self.emit(self.progress.step_event(self.parts.steps, stats, rate, seconds, peak_gib(self.parts.model.device)))
        if loads := rank_loads(self.ranks, self.reporter, self.parts.updater.parameters, step, seconds):
            self.emit(loads)
        self.numbers.see(step, stats, self._records_of_step)

    def evaluate(self) -> str:
        """Loss over the evaluation set; why there is none, "" where it was told."""
        if not self.parts.eval_examples:
            return NO_EVALUATION
        self.emit(events.Phase(name="evaluate"))
        result = self._judge(f"the evaluation after step {self.step}", lambda: evaluate(
            self.parts.model,
            self.parts.eval_examples,
            step=self.step,
            row_length=min(self.config.data.max_seq_length, self.parts.piece_tokens or self.config.data.max_seq_length),
            interrupted=self.control.interrupted,
            progress=lambda done, total: self.emit(events.Phase(name="evaluate", done=done, total=total)),
            ranks=self.ranks,
        ))  # fmt: skip
        if result is not None:
            self.progress.last_eval = (self.step, result.loss)
            self.emit(result)
        self.emit(events.Phase(name="train"))
        return GIVEN_UP if result is None else ""

    def sample_on_command(self, id: str, prompt: str) -> str:
        """The model answers `prompt`, or the fixed prompts when it is empty; why it does not, "" where it did."""
        return self.samples.on_command(self.step, id, prompt)

    def save(self, must: bool = False, waits: bool = True) -> bool:
        """Checkpoint after the step just taken, unless that is already done; return whether it is. The first rank's is everyone's.

        must: raise what keeps it from being saved.  waits: for room, where the disk is full. Raises EnvironmentFault.
        """
        return not self.ranks.is_first or self.saving.save(self.step, self._write_checkpoint, must, waits)

    def _write_checkpoint(self) -> events.CheckpointSaved:
        check_weights(self.parts.updater.parameters)
        state = take_snapshot(self.parts, self.progress, self.ladder, self.numbers)
        model, optimizer, keep = self.parts.model, self.parts.updater.optimizer, self.config.checkpoint.keep
        with self.parts.updater.judged():
            path, size = save_checkpoint(self.run_directory, model.peft, optimizer, state, keep, model.start)
        self.progress.best = self.progress.best_once_saved()
        return events.CheckpointSaved(step=self.step, path=path.name, bytes=size)

    def leave(self, reason: str) -> str:
        """End early, with a checkpoint of exactly this step."""
        self.save(must=True, waits=False)
        self._remember_peak()
        return reason

    def finish(self) -> str:
        """The last checkpoint, evaluation, samples, and the final model; a stop that cuts them short leaves them to a resumed run."""
        self.save(must=True)
        self._remember_peak()
        self.evaluate()
        self.samples.round(self.step)
        if reason := obey_commands(self):
            return self.leave(reason)
        if self.ranks.is_first:
            self.emit(events.Phase(name="save"))
            self.emit(self.saving.when_there_is_room(self._write_final_model))
        self.ranks.any_rank(False)  # none leaves before the result is there: who waits long for the last is taken for hung
        return "finished"

    def _write_final_model(self) -> events.FinalModelSaved:
        facts = {
            "base_model": self.config.model.name,
            "quantization": self.config.model.quantization,
            "steps": str(self.step),
            "precision": self.parts.model.precision,
            "run": self.run_directory.name,
        }
        model = self.parts.model
        with self.parts.updater.judged():
            size = save_final_model(self.run_directory, model.peft, self.parts.model_folder, facts, model.start)
        return events.FinalModelSaved(path=self.run_directory.final_model.name, bytes=size)

    def _train_step(self, step: int, rate: float, batch_size: int) -> StepStats:
        """The step in micro-batches of `batch_size` rows.

        The gradient is normalised over the whole step, so the split changes nothing but float order.
        """
        # Dropout of a step is a function of seed and step, so a resumed or retried step draws the same numbers.
        torch.manual_seed(self.config.train.seed * 1_000_003 + step + (self.ranks.rank << 53))
        rows, ranks = self.parts.steps.rows(step), self.ranks
        mine = share_of_step(rows, self.parts.examples, batch_size, ranks.rank, ranks.size, self.parts.piece_tokens)

        def work() -> StepStats:
            batches = [build_micro_batch(examples, self.parts.model.device) for examples in mine]
            return train_step(self.parts.model, batches, self.parts.updater, rate, self.ranks)

        return self.ranks.together(work)

    def _try_longest(self) -> None:
        """Find out now, not in hours, whether the longest micro-batch fits; the plan is said again with what it took."""
        self.emit(events.Phase(name="probe"))
        parts = self.parts
        self.ladder.fit(parts.model, parts.updater, lambda size: try_longest(
            parts.model, parts.examples, parts.steps, size, parts.piece_tokens, parts.updater, self.ranks
        ))  # fmt: skip
        self.emit(parts.plan_event_after_probe(peak_gib(parts.model.device)))

    def _records_of_step(self) -> str:
        rows = self.parts.steps.rows(self.step)
        model = self.parts.model if self.ranks.size == 1 else None  # ranks with a share each would wait for one another
        return name_records(model, [self.parts.examples[index] for row in rows for index in row], self.parts.place)

    def _ways_out(self) -> str:
        lengths = self.parts.examples.lengths.tolist()
        longest = longest_tokens(self.parts.steps, lengths, 1, self.parts.piece_tokens)
        return ways_out(self.run_directory, self.config, longest, lengths)

    def _judge(self, what: str, work: Callable[[], T]) -> T | None:
        """`work` with the weights that are the result so far, or a warning and None where memory runs out."""
        with self.parts.updater.judged():
            return self.ladder.spare(what, lambda: self.ranks.together(work))

    def _remember_peak(self) -> None:
        """Teach later forecasts on this machine, where the run went as planned."""
        if self.ranks.size == 1 and self.ladder.batch_size == self.parts.micro_batch:
            remember_peak(self.parts.model.device, self.parts.plan.forecast_gib)
