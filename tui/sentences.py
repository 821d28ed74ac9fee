"""Events as sentences in the user's language, for the log. Outside text in them has been through the gate."""

import re
from dataclasses import dataclass

from engine import events
from tui import amounts
from tui.gate import clip, safe
from tui.texts import has, tr

PROMPT_CELLS = 60


@dataclass(frozen=True)
class Sentence:
    """glyph: a member of `Glyphs`.  style: a name of `SteadyView`."""

    glyph: str
    style: str
    text: str


def sentence(event: events.Event | events.Unknown) -> Sentence:
    """One sentence for any event that the fold logs."""
    match event:
        case events.EngineStarted():
            key = "train.log.engine_resumed" if event.resumed_step else "train.log.engine_started"
            return Sentence("running", "text", tr(key, pid=event.pid, step=event.resumed_step))
        case events.Phase():
            return Sentence("note", "dim", phase_text(event))
        case events.DataSummary():
            return Sentence("note", "text", _data(event))
        case events.Plan(probed_peak_gib=float() as probed):
            forecast = amounts.UNKNOWN if event.forecast_peak_gib is None else f"{event.forecast_peak_gib:.2f}"
            return Sentence("note", "dim", tr("train.log.probed", probed=f"{probed:.2f}", forecast=forecast))
        case events.Plan():
            return Sentence("note", "text", plan_text(event))
        case events.Ranks():
            return Sentence("note", "dim", tr("train.status.ranks", n=len(event.ranks), strategy=tr(f"train.strategy.{event.strategy}")))
        case events.Eval():
            key = "train.log.eval" if event.step else "train.log.eval_base"
            loss, perplexity = amounts.loss(event.loss), amounts.loss(event.perplexity)
            return Sentence("eval", "eval", tr(key, step=event.step, loss=loss, perplexity=perplexity) + _accuracy(event))
        case events.SampleFinished():
            key = "train.log.sample" if event.step else "train.log.sample_base"
            return Sentence("note", "dim", tr(key, step=event.step, verdict=verdict(event), prompt=_prompt(event.prompt)))
        case events.SampleRound():
            key = "train.log.round" if event.step else "train.log.round_base"
            return Sentence("note", "text", tr(key, step=event.step, well=event.well_formed, all=event.samples))
        case events.CheckpointSaved():
            return Sentence("done", "good", tr("train.log.checkpoint", path=safe(event.path), size=amounts.size(event.bytes)))
        case events.FinalModelSaved():
            return Sentence("done", "good", tr("train.log.final", path=safe(event.path), size=amounts.size(event.bytes)))
        case events.Warning():
            return Sentence("warning", "warn", _warning(event))
        case events.CommandDone():
            return answer(event)
        case events.Paused():
            glyph, key = ("paused", "paused") if event.paused else ("running", "resumed")
            return Sentence(glyph, "accent", tr(f"train.log.{key}", step=event.step))
        case events.EngineStopped():
            return _stopped(event)
    return Sentence("note", "dim", safe(getattr(event, "type", type(event).__name__)))


def answer(event: events.CommandDone) -> Sentence:
    """What the engine said to a command."""
    command = command_name(event.command)
    if event.ok:
        return Sentence("done", "good", tr("train.log.done", command=command))
    return Sentence("failed", "warn", tr("train.log.refused", command=command, reason=_reason(event.reason)))


def command_name(command: str) -> str:
    """A command's name in the user's language; an unknown one as it is."""
    return tr(f"train.command.{command}") if has(f"train.command.{command}") else safe(command)


def phase_name(name: str) -> str:
    """A phase's name in the user's language; an unknown one as it is."""
    return tr(f"train.phase.{name}") if has(f"train.phase.{name}") else safe(name)


def phase_detail(phase: events.Phase) -> str:
    """What of a phase is being done, or to what, in the user's language; a name as it is."""
    key = f"train.detail.{phase.detail}"
    return tr(key) if has(key) else safe(phase.detail)


def phase_text(phase: events.Phase) -> str:
    """A phase and what of it is being done."""
    name, detail = phase_name(phase.name), phase_detail(phase)
    return tr("train.log.phase", name=name, detail=detail) if detail else name


def device_name(device: str) -> str:
    """What a plan calls its device, in the user's language; a GPU by its own name."""
    found = re.fullmatch(r"CPU, (\d+) threads?", device)
    return tr("train.status.cpu", n=found[1]) if found else safe(device)


def plan_text(plan: events.Plan) -> str:
    """How the run is done, whatever the probe has measured since."""
    text = tr(
        "train.log.plan", steps=plan.max_steps, device=device_name(plan.device), precision=safe(plan.precision),
        trainable=amounts.count(plan.trainable_parameters),
    )  # fmt: skip
    if plan.offloads_inputs:
        text += f" · {tr('train.log.offloaded')}"
    elif plan.recomputed_layers:
        text += f" · {tr('train.log.recomputed', layers=plan.recomputed_layers)}"
    return f"{text} · {plain_layers(plan)}" if plan.plain_because else text


def plain_layers(plan: events.Plan) -> str:
    """That and why the run takes the slower layers."""
    return tr("train.status.plain", why=safe(plan.plain_because))


def verdict(sample: events.SampleFinished) -> str:
    """Whether a sample is well formed, and if not, the first thing that is wrong with it."""
    if sample.well_formed:
        return tr("train.sample.well_formed")
    if not sample.opened:
        return tr("train.sample.not_opened")
    if not sample.closed:
        return tr("train.sample.not_closed")
    if not sample.answer:
        return tr("train.sample.no_answer")
    return tr("train.sample.stray_tags" if sample.ended else "train.sample.not_ended")


def _accuracy(event: events.Eval) -> str:
    """How many tokens were right, by part; nothing where an older engine wrote the log."""
    if event.accuracy is None:
        return ""
    parts = {"thinking": amounts.share(event.thinking_accuracy), "answer": amounts.share(event.answer_accuracy)}
    return " · " + tr("train.log.accuracy", all=amounts.share(event.accuracy), **parts)


def _data(event: events.DataSummary) -> str:
    text = tr("train.log.data", records=event.records, train=event.train_examples, eval=event.eval_examples, thinking=event.with_thinking)
    left_out = (("data_invalid", event.invalid), ("data_dropped", event.dropped_over_length))
    return text + "".join(" · " + tr(f"train.log.{key}", n=number) for key, number in left_out if number)


def _prompt(prompt: str) -> str:
    return clip(safe(prompt[: 2 * PROMPT_CELLS]), PROMPT_CELLS)


def _stopped(event: events.EngineStopped) -> Sentence:
    match event.reason:
        case "finished":
            return Sentence("done", "good", tr("train.log.finished", step=event.step))
        case "stopped" | "interrupted":
            return Sentence("stopped", "accent", tr(f"train.log.{event.reason}", step=event.step))
    key = "died" if event.reason == "died" else "failed"
    return Sentence("failed", "bad", tr(f"train.log.{key}", step=event.step, error=safe(event.error)))


def _warning(event: events.Warning) -> str:
    """The engine's own sentence has the figures; a known code adds what it is in the user's language."""
    title = f"train.warning.{event.code}"
    return f"{tr(title)}: {safe(event.text)}" if has(title) else safe(event.text)


def _reason(reason: str) -> str:
    key = f"train.reason.{reason}"
    return tr(key) if has(key) else safe(reason)
