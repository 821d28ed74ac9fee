"""The composition root of the engine, and its loop. It connects the parts; each part's work is in its own module."""

import resource
import time
from pathlib import Path

import torch

from engine import assembly, events
from engine.batches import build_micro_batch, in_micro_batches
from engine.checkpoint import TrainingState, read_state, restore, save_checkpoint
from engine.config import Config
from engine.control import Control
from engine.errors import EnvironmentFault, RunError
from engine.evaluation import evaluate
from engine.final_model import save_final_model
from engine.obey import obey_commands
from engine.reporter import Reporter
from engine.run_directory import RunDirectory
from engine.sampling import sample
from engine.schedule import learning_rate
from engine.train_step import StepStats, train_step

BAD_STEPS_ALLOWED = 5
"""Steps in a row without a finite gradient before the run ends; a loss scaler finding its scale needs a few."""


class Trainer:
    """One run from its configuration to its final model."""

    def __init__(self, run: RunDirectory, config: Config, control: Control, reporter: Reporter):
        self.run_directory, self.config, self.control, self.reporter = run, config, control, reporter
        self.step = 0
        self._tokens_seen = self._supervised_tokens = 0
        self._best_eval_loss: float | None = None
        self._bad_steps = 0

    def emit(self, event: events.Event) -> None:
        self.reporter.emit(event)

    def prepare(self, checkpoint: Path | None) -> None:
        """Load data and model, decide the plan, and go back to `checkpoint` if there is one. Raises DanluError."""
        state = read_state(checkpoint) if checkpoint else None
        self.parts = assembly.assemble(self.run_directory, self.config, self.reporter, state)
        self.batch_size = self.config.train.batch_size
        if checkpoint is not None and state is not None:
            self._restore(checkpoint, state)
        self._saved_step, self._saved_time = self.step, time.monotonic()

    def run(self) -> str:
        """Train until the last step or a stop; return why it ended: finished, stopped or interrupted."""
        if self.step == 0:
            self.look_at_base_model()
        self.emit(events.Phase(name="train"))
        for step in range(self.step + 1, self.parts.steps.max_steps + 1):
            if reason := obey_commands(self):
                return self.leave(reason)
            self.take_step(step)
            if self.due(self.config.eval.every_steps):
                self.evaluate()
            if self.due(self.config.sample.every_steps):
                self.sample_fixed_prompts()
            if self.checkpoint_due():
                self.save()
        if reason := obey_commands(self):
            return self.leave(reason)
        self.finish()
        return "finished"

    def look_at_base_model(self) -> None:
        """The untrained adapter changes nothing, so step 0 shows the base model."""
        if self.config.eval.at_start:
            self.evaluate()
        self.sample_fixed_prompts()

    def due(self, every_steps: int) -> bool:
        """Whether the step just taken is one of every so many; the last step is left to `finish`."""
        return every_steps > 0 and self.step % every_steps == 0 and self.step < self.parts.steps.max_steps

    def checkpoint_due(self) -> bool:
        minutes = self.config.checkpoint.every_minutes
        return self.due(self.config.checkpoint.every_steps) or (0 < minutes * 60 <= time.monotonic() - self._saved_time)

    def take_step(self, step: int) -> None:
        """One optimiser step and its event."""
        began = time.perf_counter()
        rate = learning_rate(
            step, self.parts.steps.max_steps, self.config.train.learning_rate, self.config.train.scheduler, self.config.train.warmup_ratio
        )
        stats = self._train_within_memory(step, rate)
        self.step = step
        self._tokens_seen += stats.tokens
        self._supervised_tokens += stats.sums.tokens
        seconds = time.perf_counter() - began
        self.emit(
            events.Step(
                step=step,
                max_steps=self.parts.steps.max_steps,
                epoch=self.parts.steps.epoch_at(step),
                loss=stats.sums.loss,
                thinking_loss=stats.sums.thinking_loss,
                answer_loss=stats.sums.answer_loss,
                learning_rate=rate,
                grad_norm=stats.grad_norm,
                tokens_seen=self._tokens_seen,
                supervised_tokens=self._supervised_tokens,
                tokens_per_s=stats.tokens / seconds,
                step_s=seconds,
                peak_memory_gib=peak_memory_gib(self.parts.model.device),
            )
        )
        self._watch_for_bad_numbers(stats)

    def evaluate(self) -> bool:
        """Loss over the evaluation set; False where there is none."""
        if not self.parts.eval_examples:
            return False
        self.emit(events.Phase(name="evaluate"))
        result = evaluate(
            self.parts.model,
            self.parts.eval_examples,
            step=self.step,
            row_length=self.config.data.max_seq_length,
            interrupted=self.control.interrupted,
            progress=lambda done, total: self.emit(events.Phase(name="evaluate", done=done, total=total)),
        )
        if result is not None:
            self._best_eval_loss = min(result.loss, self._best_eval_loss or result.loss)
            self.emit(result)
        self.emit(events.Phase(name="train"))
        return True

    def sample_fixed_prompts(self) -> None:
        """The model answers the fixed prompts; how many of the answers are well formed is an event of its own."""
        finished = [
            self.answer_prompt(f"{self.step}-{index}", text, ids)
            for index, (text, ids) in enumerate(self.parts.prompts)
            if not self.control.interrupted()
        ]
        if finished:
            self.emit(
                events.SampleRound(
                    step=self.step,
                    samples=len(finished),
                    well_formed=sum(s.well_formed for s in finished),
                    closed=sum(s.closed for s in finished),
                )
            )

    def sample_on_command(self, id: str, prompt: str) -> bool:
        """The model answers `prompt`, or the fixed prompts when it is empty; False where there are none."""
        if prompt:
            self.answer_prompt(id, prompt, assembly.prompt_ids(self.parts.tokenizer, prompt, self.config.data.system))
            return True
        for index, (text, ids) in enumerate(self.parts.prompts):
            self.answer_prompt(f"{id}-{index}", text, ids)
        return bool(self.parts.prompts)

    def save(self) -> None:
        """Checkpoint after the step just taken, unless that is already done."""
        self.emit(events.Phase(name="save"))
        state = TrainingState(
            step=self.step,
            tokens_seen=self._tokens_seen,
            supervised_tokens=self._supervised_tokens,
            scaler=self.parts.updater.scaler.state_dict(),
            fingerprint=self.parts.fingerprint,
            precision=self.parts.model.precision,
            device=self.parts.model.device.type,
            best_eval_loss=self._best_eval_loss,
        )
        path, size = save_checkpoint(
            self.run_directory, self.parts.model.peft, self.parts.updater.optimizer, state, self.config.checkpoint.keep
        )
        self._saved_step, self._saved_time = self.step, time.monotonic()
        self.emit(events.CheckpointSaved(step=self.step, path=path.name, bytes=size))
        self.emit(events.Phase(name="train"))

    def leave(self, reason: str) -> str:
        """End early, with a checkpoint of exactly this step."""
        if self._saved_step != self.step or not self.run_directory.checkpoint(self.step).exists():
            self.save()
        return reason

    def finish(self) -> None:
        """The last evaluation, samples, checkpoint, and the final model."""
        self.save()
        self.evaluate()
        self.sample_fixed_prompts()
        self.emit(events.Phase(name="save"))
        facts = {
            "base_model": self.config.model.name,
            "steps": str(self.step),
            "precision": self.parts.model.precision,
            "run": self.run_directory.name,
        }
        size = save_final_model(self.run_directory, self.parts.model.peft, self.parts.model_folder, facts)
        self.emit(events.FinalModelSaved(path=self.run_directory.final_model.name, bytes=size))

    def _train_within_memory(self, step: int, rate: float) -> StepStats:
        """The step in micro-batches of `batch_size` rows; out of memory halves them and takes the same step again.

        The gradient is normalised over the whole step, so the split changes nothing but float order.
        """
        while True:
            # Dropout of a step is a function of seed and step, so a resumed or retried step draws the same numbers.
            torch.manual_seed(self.config.train.seed * 1_000_003 + step)
            rows = self.parts.steps.rows(step)
            try:
                batches = [
                    build_micro_batch([self.parts.examples[index] for index in indices], self.parts.model.device)
                    for indices in in_micro_batches(rows, self.batch_size)
                ]
                return train_step(self.parts.model, batches, self.parts.updater, rate)
            except torch.OutOfMemoryError as error:
                seen = str(error).splitlines()[0]
            # Outside the except: its traceback would keep the failed step's tensors alive.
            batches = None
            self._shrink(seen)

    def _shrink(self, seen: str) -> None:
        self.parts.updater.clear()
        torch.cuda.empty_cache()
        if self.batch_size == 1:
            raise EnvironmentFault(
                f"out of GPU memory with one row in a micro-batch ({seen}); set train.gradient_checkpointing = 'on', "
                "lower data.max_seq_length, or set model.quantization = 'nf4'"
            )
        self.batch_size = max(1, self.batch_size // 2)
        self.reporter.warn(
            "out_of_memory", f"out of GPU memory: micro-batches are now {self.batch_size} rows; the effective batch stays the same"
        )

    def _watch_for_bad_numbers(self, stats: StepStats) -> None:
        """Count steps that changed nothing because a number was not finite; end the run when they don't stop."""
        if stats.applied:
            self._bad_steps = 0
            return
        self._bad_steps += 1
        self.reporter.warn("not_finite", f"step {self.step}: the gradient is not finite; the weights were left as they were")
        if self._bad_steps > BAD_STEPS_ALLOWED:
            raise EnvironmentFault(
                f"{self._bad_steps} steps in a row without a finite gradient; lower train.learning_rate or set model.precision = 'fp32', "
                "then resume"
            )

    def answer_prompt(self, id: str, text: str, ids: list[int]) -> events.SampleFinished:
        return sample(
            self.parts.model,
            self.parts.tokenizer,
            text,
            ids,
            self.config.sample,
            id=id,
            step=self.step,
            seed=self.config.train.seed,
            emit=self.emit,
            interrupted=self.control.interrupted,
        )

    def _restore(self, checkpoint: Path, state: TrainingState) -> None:
        """Continue after `checkpoint`. Raises RunError when the data, the model or the adapter's shape has changed since."""
        then, now = state.fingerprint, self.parts.fingerprint
        changed = [name for name in now if then.get(name) != now[name]]
        if hard := [name for name in changed if name in assembly.MUST_MATCH]:
            raise RunError(
                f"{checkpoint}: cannot resume, because this has changed since: {', '.join(hard)}; restore it, or start a new run"
            )
        if changed:
            self.reporter.warn(
                "resume_equivalent", f"resumed, but not bit for bit the same run, because this has changed since: {', '.join(changed)}"
            )
        restore(checkpoint, self.parts.model.peft, self.parts.updater.optimizer, self.parts.model.device)
        self.parts.updater.scaler.load_state_dict(state.scaler)
        self.step, self._best_eval_loss = state.step, state.best_eval_loss
        self._tokens_seen, self._supervised_tokens = state.tokens_seen, state.supervised_tokens


def peak_memory_gib(device: torch.device) -> float:
    """Highest memory so far: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
