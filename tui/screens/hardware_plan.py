"""The lines of the hardware screen about a configuration: does it fit, memory by component, the ways there are, and why. No keys."""

from typing import NamedTuple

from engine.model_shape import ModelShape
from engine.notes import Note
from engine.options import Option
from engine.plan import RunPlan
from tui import amounts
from tui.gate import cells, clip, pad, safe
from tui.glyphs import Glyphs
from tui.screens.hardware_lines import LABEL, WIDEST_BAR, named, title
from tui.texts import has, tr
from tui.widgets.lines import Line
from tui.widgets.meters import bar

NUMBER, TIME = 10, 20
OPTION = 32
"""Cells of the column of options."""


class Subject(NamedTuple):
    """What is to be trained: names for people, its sizes and plan, or why there are none."""

    config_name: str
    model_name: str
    shape: ModelShape | None = None
    plan: RunPlan | None = None
    problem: str = ""


def plan_lines(subject: Subject, glyphs: Glyphs, width: int) -> list[Line]:
    """Whether it can be trained here, memory by component, how, and why."""
    lines = [title(tr("hardware.title.plan"), safe(subject.config_name), glyphs, width)]
    lines += named(tr("hardware.model"), [(safe(subject.model_name), "bright"), *_size(subject.shape)], width)
    if subject.plan is None:
        return lines + named("", [(f"{glyphs.warning} {safe(subject.problem)}", "warn")], width)
    plan = subject.plan
    sign, style, verdict = (glyphs.done, "good", "fits") if plan.fits else (glyphs.failed, "bad", "too_big")
    lines += named(tr("hardware.verdict"), [(f"{sign} {tr(f'hardware.{verdict}')}", style), (f"  {figures(plan)}", "text")], width)
    lines += [*_component_lines(plan, glyphs, width), [], *_choice_lines(subject, width), [], *_note_lines(plan, glyphs, width)]
    return [*lines, [], title(tr("hardware.title.options"), "", glyphs, width), *option_lines(plan, glyphs, width)]


def figures(plan: RunPlan) -> str:
    """The peak with its band, what is there, and how likely it fits."""
    return tr(
        "hardware.figures", peak=f"{plan.peak_memory_gib:.1f}", low=f"{plan.peak_low_gib:.1f}", high=f"{plan.peak_high_gib:.1f}",
        available=f"{plan.available_gib:.1f}", chance=percent(plan.probability),
    )  # fmt: skip


def percent(probability: float) -> str:
    """A forecast is never quite sure, so neither 0 nor 100."""
    return f"{min(99.9, max(0.1, 100 * probability)):.3g}"


def option_lines(plan: RunPlan, glyphs: Glyphs, width: int) -> list[Line]:
    """Every way of using the devices: a sign, its name, memory, step time, and below it why it was taken or not."""
    lines: list[Line] = []
    column = min(OPTION, width - NUMBER - TIME)
    for option in plan.options:
        sign, style = (glyphs.done, "good") if option.taken and option.fits else (glyphs.note, "text")
        name = tr(f"hardware.option.{option.name}")
        devices = f" ×{option.world_size}" if option.world_size > 1 else ""
        facts = [(pad(clip(f"{sign} {name}{devices}", column), column), style), (pad(_memory(option), NUMBER, right=True), "text")]
        facts.append((pad(step_time(option), TIME, right=True), "text"))
        lines += [facts, *named("", [(note_text(option.note), "dim")], width)]
    return lines


def step_time(option: Option) -> str:
    """Seconds of one step, or that they are not known."""
    if option.step_s is None or option.impossible is not None:
        return amounts.UNKNOWN
    told = f"{option.step_s:.2g} s" if option.step_s < 60 else amounts.duration(option.step_s)
    return tr("hardware.step_time", time=told)


def _memory(option: Option) -> str:
    return amounts.UNKNOWN if option.impossible is not None else f"{option.peak_gib:.1f} GiB"


def note_text(note: Note | None) -> str:
    """A note in the user's language; names from the machine pass the gate."""
    if note is None:
        return ""
    key = f"hardware.note.{note.code}"
    return safe(tr(key, **note.values) if has(key) else note.text)


def _size(shape: ModelShape | None) -> Line:
    return [] if shape is None else [(f"  {tr('hardware.parameters', n=amounts.count(shape.parameters))}", "dim")]


def _component_lines(plan: RunPlan, glyphs: Glyphs, width: int) -> list[Line]:
    """A bar a component, all on the scale of the larger of need and room."""
    scale = max(plan.available_gib, plan.peak_memory_gib) or 1.0
    names = {name: tr(f"hardware.component.{name}") for name in (*plan.components, "peak")}
    column = max(cells(name) for name in names.values()) + 2
    room = min(WIDEST_BAR, max(8, width - LABEL - column - NUMBER))
    rows = [(name, size, "text") for name, size in plan.components.items()] + [("peak", plan.peak_memory_gib, "bright")]
    return [
        [(" " * LABEL, ""), (pad(names[name], column), style), *bar(size / scale, room, glyphs), (f"{size:6.2f} GiB", style)]
        for name, size, style in rows
    ]


def _choice_lines(subject: Subject, width: int) -> list[Line]:
    plan = subject.plan
    assert plan is not None
    speed = tr("hardware.unknown")
    if plan.tokens_per_s is not None:
        speed = tr("hardware.about", n=f"{plan.tokens_per_s:,.0f}" if plan.tokens_per_s >= 10 else amounts.rate(plan.tokens_per_s))
    choices = [
        ("precision", plan.precision),
        ("checkpointing", recomputed(plan, "hardware")),
        ("micro_batch", f"{plan.micro_batch} × {plan.accumulation}" if plan.micro_batch else tr("hardware.none_fits")),
        ("strategy", tr(f"hardware.{plan.strategy}_strategy", n=plan.world_size)),
        ("speed", speed),
        ("time", tr("hardware.unknown") if plan.time_s is None else amounts.duration(plan.time_s)),
    ]
    return [line for name, value in choices for line in named(tr(f"hardware.{name}"), [(value, "bright")], width)]


def recomputed(plan: RunPlan, texts: str) -> str:
    """Gradient checkpointing in words. texts: the part of the catalogue that they are from."""
    if not plan.recomputed_layers:
        return tr(f"{texts}.off")
    if plan.offloads_inputs:
        return tr(f"{texts}.offload")
    return tr(f"{texts}.on", layers=plan.recomputed_layers, all=plan.num_layers)


def _note_lines(plan: RunPlan, glyphs: Glyphs, width: int) -> list[Line]:
    lines: list[Line] = []
    for number, note in enumerate(plan.notes):
        text = note_text(note)
        style = "warn" if note.code.startswith(("cure", "gpu_", "precision_refused")) else "text"
        lines += named(tr("hardware.why") if number == 0 else "", [(f"{glyphs.note} {text}", style)], width)
    return lines
