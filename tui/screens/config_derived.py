"""The panel beside the form: effective batch, steps, precision, memory against what is there, time. Lines only; no widgets."""

import math
from pathlib import Path

from engine.config import Config
from engine.plan import RunPlan
from tui import amounts, gate
from tui.glyphs import Glyphs
from tui.screens.config_facts import DataFacts, Facts, optimiser_steps, rows_in_a_step
from tui.screens.hardware_plan import note_text, percent
from tui.texts import tr
from tui.widgets.lines import Line, wrap

Pairs = list[tuple[str, Line]]
LABEL_CELLS = 12
VERDICT = ("fits", "does_not_fit")
"""Notes of a plan that the memory block says already."""


def derived_lines(config: Config, facts: Facts | None, glyphs: Glyphs, width: int) -> list[Line]:
    """The panel's lines for a width in cells; facts None: still being found."""
    if facts is None:
        return [[(tr("config.finding"), "dim")], [], *_block(_recipe(config, facts, glyphs), width)]
    plan = facts.plan
    problem: Line = [(f"{glyphs.warning} ", "warn"), (gate.safe(facts.plan_problem), "text")]
    lines = _verdict(plan, glyphs, width) if plan else wrap(problem, width, "  ")
    lines += [[], *_block(_recipe(config, facts, glyphs), width), [], *_block(_data(config, facts.data, glyphs), width)]
    return lines + (_components(plan, width) + _notes(plan, glyphs, width) if plan else [])


def _recipe(config: Config, facts: Facts | None, glyphs: Glyphs) -> Pairs:
    train, rows = config.train, rows_in_a_step(config)
    product = f"{train.batch_size} × {train.gradient_accumulation_steps} = {rows}"
    tokens = tr("config.at_most_tokens", tokens=amounts.count(rows * config.data.max_seq_length))
    pairs: Pairs = [
        (tr("config.batch"), [(product, "bright"), (f" {tr('config.rows')}", "dim")]),
        ("", [(tokens, "dim")]),
        (tr("config.steps"), _steps(config, facts)),
    ]
    steps = optimiser_steps(config, facts.data) if facts else None
    if steps is not None:
        pairs.append((tr("config.warmup"), [(tr("config.n_steps", n=math.ceil(train.warmup_ratio * steps)), "text")]))
    scale = config.lora.alpha / (math.sqrt(config.lora.r) if config.lora.variant == "rslora" else config.lora.r)
    pairs.append((tr("config.scale"), [(f"{scale:.3g}", "text")]))
    if facts and facts.plan:
        pairs.append((tr("config.precision"), [(facts.plan.precision, "text")]))
        pairs.append((tr("config.strategy"), [(tr(f"hardware.{facts.plan.strategy}_strategy", n=facts.plan.world_size), "text")]))
        if facts.plan.time_s is not None:
            pairs.append((tr("config.time"), [(f"≈ {amounts.duration(facts.plan.time_s)}", "text")]))
    return pairs


def _steps(config: Config, facts: Facts | None) -> Line:
    if config.train.max_steps is not None:
        return [(f"{config.train.max_steps:,}", "bright"), (f" {tr('config.from_max_steps')}", "dim")]
    steps = optimiser_steps(config, facts.data) if facts else None
    if steps is None:
        return [(tr("config.steps_unknown"), "dim")]
    return [(f"≈ {steps:,}", "bright")]


def _data(config: Config, data: DataFacts, glyphs: Glyphs) -> Pairs:
    if not data.path:
        return [(tr("config.data"), [(f"{glyphs.warning} ", "warn"), (tr("config.no_data"), "text")])]
    pairs: Pairs = [(tr("config.data"), [(gate.safe(Path(data.path).name), "text")])]
    if data.records is not None:
        pairs.append((tr("config.records"), [(f"{data.records:,}", "text")]))
    if data.tokens is not None:
        pairs.append((tr("config.tokens"), [(f"≈ {amounts.count(round(data.tokens))}", "text"), (f" {tr('config.per_epoch')}", "dim")]))
    if data.dropped:
        pairs.append((tr("config.dropped"), [(f"{glyphs.warning} ≈ {data.dropped:.0%}", "warn"), (f" {tr('config.too_long')}", "dim")]))
    if data.problem:
        pairs.append(("", [(f"{glyphs.warning} ", "warn"), (gate.safe(data.problem), "text")]))
    return pairs


def _verdict(plan: RunPlan, glyphs: Glyphs, width: int) -> list[Line]:
    """Whether it fits, with a sign, a bar of the peak against what is available, and how sure that is."""
    sign, style = (glyphs.done, "good") if plan.fits else (glyphs.failed, "bad")
    verdict = tr("config.fits" if plan.fits else "config.does_not_fit")
    numbers = tr("config.peak", peak=f"{plan.peak_memory_gib:.1f}", available=f"{plan.available_gib:.1f}")
    share = min(1.0, plan.peak_memory_gib / plan.available_gib) if plan.available_gib else 1.0
    full = round(share * width)
    bar: Line = [(glyphs.full * full, "bar" if plan.fits else "bad"), (glyphs.empty * (width - full), "rest")]
    band = f"{plan.peak_low_gib:.1f}-{plan.peak_high_gib:.1f}"
    sure = tr("config.sure", band=band, chance=percent(plan.probability), dot=glyphs.note)
    return [*wrap([(f"{sign} {verdict}", style), (f"  {numbers}", "text")], width), bar, *wrap([(sure, "dim")], width)]


def _components(plan: RunPlan, width: int) -> list[Line]:
    """What the peak consists of, largest first."""
    lines: list[Line] = [[]]
    for name, gib in sorted(plan.components.items(), key=lambda pair: -pair[1]):
        label = tr(f"hardware.component.{name}")
        lines.append([(gate.pad(label, max(LABEL_CELLS, width - 10)), "dim"), (gate.pad(f"{gib:.2f} GiB", 10, right=True), "text")])
    return lines


def _notes(plan: RunPlan, glyphs: Glyphs, width: int) -> list[Line]:
    """The plan's reasons; what the verdict says already is left out."""
    lines: list[Line] = []
    for note in plan.notes:
        if note.code not in VERDICT:
            lines += [[], *wrap([(f"{glyphs.note} ", "accent"), (note_text(note), "dim")], width, "  ")]
    return lines


def _block(pairs: Pairs, width: int) -> list[Line]:
    """Labels in one column, values wrapped in the other."""
    lines: list[Line] = []
    for label, spans in pairs:
        values = wrap(spans, max(8, width - LABEL_CELLS))
        for number, line in enumerate(values):
            lines.append([(gate.pad(label if number == 0 else "", LABEL_CELLS), "dim"), *line])
    return lines
