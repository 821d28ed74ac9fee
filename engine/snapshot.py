"""All that the next step depends on, taken from the parts of a run and put back into them. How it is written down: `engine.checkpoint`."""

from collections.abc import Callable
from pathlib import Path

from engine.assembly import Parts
from engine.bad_numbers import NumberWatch
from engine.checkpoint import TrainingState, restore
from engine.memory_ladder import MemoryLadder
from engine.progress import Progress
from engine.rank_resume import spread
from engine.ranks import Ranks
from engine.resuming import compare, splits_alike


def take_snapshot(parts: Parts, progress: Progress, ladder: MemoryLadder, numbers: NumberWatch) -> TrainingState:
    """The state after `progress.step`; the tensors are saved from the parts themselves."""
    best = progress.best_once_saved()
    return TrainingState(
        step=progress.step,
        tokens_seen=progress.tokens_seen,
        supervised_tokens=progress.supervised_tokens,
        scaler=parts.updater.scaler.state_dict(),
        fingerprint=parts.fingerprint,
        precision=parts.model.precision,
        device=parts.model.device.type,
        best_eval_loss=best and best[0],
        best_step=best and best[1],
        batch_size=ladder.batch_size,
        recomputes_activations=ladder.recomputes(parts.model),
        offloads_inputs=parts.model.offloads_inputs,
        chunk_bytes=parts.model.chunk_bytes,
        averages=numbers.averages,
        bad_steps=numbers.bad_steps,
        origin=parts.steps.origin,
    )


def put_back(
    parts: Parts, ladder: MemoryLadder, checkpoint: Path, state: TrainingState, ranks: Ranks, warn: Callable[[str, str], None]
) -> None:
    """Make the parts what they were after `state.step`; what has changed since is told.

    Raises RunError when the data, the model or the adapter's shape is another.
    """
    if changed := compare(checkpoint, state.fingerprint, parts.fingerprint):
        warn("resume_equivalent", f"changed since {checkpoint.name}: {'; '.join(changed)}")
    model = parts.model
    if ranks.is_first:
        restore(checkpoint, model.peft, parts.updater.optimizer, model.device, model.start is not None)
    spread(ranks, model.peft, parts.updater.optimizer)
    parts.updater.back_to_training()
    if state.scaler:  # a run that was not in fp16 before has none to go on with
        parts.updater.scaler.load_state_dict(state.scaler)
    if ranks.follow(splits_alike(state.fingerprint, parts.fingerprint)):
        ladder.go_back_to(model, state)
