"""training.log: the events of a run as lines a person reads with `less`, written by the engine beside the queue."""

import time
from pathlib import Path

from engine import events
from engine.redaction import redact


def line_of(event: events.Event) -> str | None:
    """One line for `event`, or None for those that are only for screens (hardware, pieces of samples)."""
    match event:
        case events.EngineStarted():
            return f"engine started, pid {event.pid}" + (f", resuming after step {event.resumed_step}" if event.resumed_step else "")
        case events.Phase() if event.done == 0:
            return f"phase {event.name} {event.detail}".rstrip()
        case events.DataSummary():
            return (
                f"data {event.path}: {event.records} records, {event.invalid} invalid, {event.train_examples} train and "
                f"{event.eval_examples} eval examples, {event.dropped_over_length} over length, {event.supervised_tokens} supervised tokens"
            )
        case events.Plan(probed_peak_gib=float() as probed):
            return f"probe: {probed:.2f} GiB at the peak, {event.forecast_peak_gib or 0:.2f} forecast"
        case events.Plan():
            return (
                f"plan: {event.max_steps} steps on {event.device} in {event.precision} ({event.precision_reason}), "
                f"{event.trainable_parameters} trainable parameters"
                + (f", activations of {event.recomputed_layers} layers computed again in backward" if event.recomputed_layers else "")
                + (f", slower layers because of {event.plain_because}" if event.plain_because else "")
            )
        case events.Step():
            return (
                f"step {event.step}/{event.max_steps} {_losses(event)} lr {event.learning_rate:.3g} grad {event.grad_norm:.3g} "
                f"{event.tokens_per_s:.0f} tokens/s {event.peak_memory_gib:.2f} GiB"
            )
        case events.Eval():
            right = f" accuracy {event.accuracy:.4f}" if event.accuracy is not None else ""
            return f"eval after step {event.step}: {_losses(event)} perplexity {event.perplexity:.3f}{right}"
        case events.SampleFinished():
            verdict = "well formed" if event.well_formed else "not well formed"
            text = f"prompt: {event.prompt}\n  thinking: {event.thinking}\n  answer: {event.answer}"
            return f"sample {event.id} {verdict}, {event.tokens} tokens\n  {text}"
        case events.SampleRound():
            return f"samples after step {event.step}: {event.well_formed} of {event.samples} well formed"
        case events.CheckpointSaved() | events.FinalModelSaved():
            return f"saved {event.path}, {event.bytes} bytes"
        case events.Warning():
            return f"warning {event.code}: {event.text}"
        case events.CommandDone():
            return f"command {event.command}: {'done' if event.ok else 'refused'} {event.reason}".rstrip()
        case events.Paused():
            return f"{'paused' if event.paused else 'resumed'} after step {event.step}"
        case events.EngineStopped():
            return f"engine stopped: {event.reason}, exit code {event.exit_code} {event.error}".rstrip()
    return None


class TrainingLog:
    """Appends lines with the time of the event; a disk that refuses costs the line, never the run."""

    def __init__(self, path: Path):
        self._path = path

    def write(self, event: events.Event) -> None:
        """Append the event's line, if it has one."""
        text = line_of(event)
        if text is None:
            return
        try:
            with open(self._path, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {redact(text)}\n")
        except OSError:
            pass  # the same event is in events.jsonl, which holds back and retries


def _losses(event: events.Step | events.Eval) -> str:
    parts = (("loss", event.loss), ("thinking", event.thinking_loss), ("answer", event.answer_loss))
    return " ".join(f"{name} {'-' if value is None else f'{value:.4f}'}" for name, value in parts)
