"""How far a run has come: its step, the tokens it has seen, its evaluations. Numbers only; the rest of its state is `engine.snapshot`."""

import math
from dataclasses import dataclass

from engine import events
from engine.batches import StepPlan
from engine.checkpoint import TrainingState
from engine.train_step import StepStats


@dataclass
class Progress:
    """last_eval: step and loss of the newest evaluation.  best: loss and step of the saved step with the lowest evaluation loss."""

    step: int = 0
    tokens_seen: int = 0
    supervised_tokens: int = 0
    last_eval: tuple[int, float] | None = None
    best: tuple[float, int] | None = None

    @classmethod
    def of(cls, state: TrainingState) -> "Progress":
        """Where the run stood when `state` was saved."""
        has_best = state.best_eval_loss is not None and state.best_step is not None
        best = (state.best_eval_loss, state.best_step) if has_best else None
        return cls(state.step, state.tokens_seen, state.supervised_tokens, best=best)

    def take(self, step: int, stats: StepStats) -> None:
        """Count a step that was done."""
        self.step = step
        self.tokens_seen += stats.tokens
        self.supervised_tokens += stats.sums.tokens

    def best_once_saved(self) -> tuple[float, int] | None:
        """`best` as it will be when this step is saved. It becomes so only then: the best saved step must be one that is there."""
        if self.last_eval is None or self.last_eval[0] != self.step or not math.isfinite(self.last_eval[1]):
            return self.best
        here = (self.last_eval[1], self.step)
        return here if self.best is None else min(self.best, here)

    def step_event(self, steps: StepPlan, stats: StepStats, rate: float, seconds: float, peak_gib: float) -> events.Step:
        """The step just taken, as it is told."""
        return events.Step(
            step=self.step,
            max_steps=steps.max_steps,
            epoch=steps.epoch_at(self.step),
            loss=stats.sums.mean,
            thinking_loss=stats.sums.thinking_mean,
            answer_loss=stats.sums.answer_mean,
            learning_rate=rate,
            grad_norm=stats.grad_norm,
            tokens_seen=self.tokens_seen,
            supervised_tokens=self.supervised_tokens,
            tokens_per_s=stats.tokens / seconds,
            step_s=seconds,
            peak_memory_gib=peak_gib,
        )
