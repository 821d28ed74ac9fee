"""The lines over the live screen: state and progress, the numbers of the newest step, the machine's load. Pure functions."""

import math

from engine import events
from tui import amounts, states
from tui.fold import RunState
from tui.follow import Silence
from tui.gate import cells, clip, safe
from tui.glyphs import Glyphs
from tui.sentences import device_name, phase_detail, phase_name, plain_layers
from tui.texts import tr
from tui.widgets.rank_meters import rank_parts
from tui.widgets.steady import Line

BAR_CELLS = 12


def status_lines(state: RunState, shown_state: str, glyphs: Glyphs, width: int) -> list[Line]:
    """Three lines."""
    return [_progress(state, shown_state, glyphs, width), _numbers(state, glyphs, width), _load(state, glyphs, width)]


def silence_line(state: RunState, silence: Silence, run_name: str, glyphs: Glyphs, width: int) -> Line:
    """What to do about an engine that says nothing, or makes no progress; empty while all is well."""
    if silence.seconds:
        key = {"T": "halted", "D": "disk"}.get(silence.process, "other")
        quiet_s = float(silence.seconds)
    elif state.is_stalled:
        key, quiet_s = "stalled", state.last_time - state.progress_time
    else:
        return []
    pid = state.engine.pid if state.engine else 0
    text = tr(f"train.silent.{key}", time=amounts.duration(quiet_s), pid=pid, name=safe(run_name))
    return [(clip(f" {glyphs.warning} {text}", width), "warn")]


def bar(share: float, width: int, glyphs: Glyphs) -> Line:
    """A horizontal bar; the signs differ, not only their colours."""
    full = min(width, max(0, round(share * width))) if math.isfinite(share) else 0
    return [(glyphs.full * full, "bar"), (glyphs.empty * (width - full), "rest")]


def fit_parts(parts: list[Line], width: int, gap: str = "   ") -> Line:
    """As many of the parts as fit side by side, in order; none is cut."""
    line: Line = [(" ", "")]
    used = 1
    for part in parts:
        needed = line_cells(part) + (cells(gap) if used > 1 else 0)
        if used + needed > width:
            continue
        line += [(gap, ""), *part] if used > 1 else part
        used += needed
    return line


def line_cells(line: Line) -> int:
    """Width of a line."""
    return sum(cells(text) for text, _ in line)


def _progress(state: RunState, shown_state: str, glyphs: Glyphs, width: int) -> Line:
    glyph, style = states.SIGNS[shown_state]
    word = states.word(shown_state)
    done, total = (state.step.step if state.step else state.series.last_step), state.max_steps
    if shown_state == "stalled" and state.phase is not None:
        word = f"{word} {glyphs.note} {phase_name(state.phase.name)}"
    if shown_state == "working" and state.phase is not None:
        word = phase_name(state.phase.name)
    head: Line = [(f"{getattr(glyphs, glyph)} {word}", style)]
    parts = [_step_part(done, total), _phase_part(state, shown_state), _epoch(state), _time(state, shown_state), _planned(state)]
    tail = [part for part in parts if part]
    rest = fit_parts([head, *tail], width)
    room = width - line_cells(rest) - 7
    if total and room >= 8:
        line = [*fit_parts([head], width), ("  ", ""), *bar(done / total, min(room, 48), glyphs), (f" {100 * done // total:>3}%", "text")]
        return [*line, ("  ", ""), *fit_parts(tail, width)[1:]] if tail else line
    return rest


def _step_part(done: int, total: int) -> Line:
    return [(f"{done:,}", "bright"), (f"/{total:,}", "dim")] if total else []


def _phase_part(state: RunState, shown_state: str) -> Line:
    phase = state.phase
    if shown_state != "working" or phase is None:
        return []
    count = f"{phase.done:,}/{phase.total:,} " if phase.total else ""
    return [(f"{count}{clip(phase_detail(phase), 48)}".rstrip(), "dim")] if count or phase.detail else []


def _epoch(state: RunState) -> Line:
    return [(tr("train.status.epoch", epoch=state.step.epoch), "dim")] if state.step else []


def _time(state: RunState, shown_state: str) -> Line:
    left = state.eta_s
    if shown_state in ("training", "working") and left is not None:
        return [(tr("train.status.left", time=amounts.duration(left), clock=amounts.clock(state.last_time + left)[:5]), "text")]
    if state.stopped is not None and state.engine is not None:
        return [(tr("train.status.took", time=amounts.duration(state.stopped.time - state.engine.time)), "dim")]
    return []


def _planned(state: RunState) -> Line:
    """What the plan estimated for all steps, beside what is left of them by the clock."""
    time_s = state.plan.time_s if state.plan and state.step else None
    return [(tr("train.status.planned", time=amounts.duration(time_s)), "dim")] if time_s else []


def _numbers(state: RunState, glyphs: Glyphs, width: int) -> Line:
    step = state.step
    if step is None:
        return fit_parts(_before_first_step(state, glyphs), width)
    parts = [_named("loss", amounts.loss(step.loss), "accent"), _evaluation(state, glyphs)]
    parts += [_peak(state, glyphs)] if state.ranks else []  # the line of the load is full of ranks
    parts += [_named("lr", amounts.rate(step.learning_rate)), _named("grad", amounts.rate(step.grad_norm))]
    parts.append([(f"{step.tokens_per_s:,.0f} ", "bright"), (tr("train.status.speed"), "dim")])
    if state.plan and state.plan.plain_because:
        parts.append([(plain_layers(state.plan), "dim")])
    return fit_parts([part for part in parts if part], width)


def _before_first_step(state: RunState, glyphs: Glyphs) -> list[Line]:
    parts: list[Line] = []
    if state.evals:
        parts.append(_evaluation(state, glyphs))
    if state.plan:
        plan = state.plan
        total, trainable = amounts.count(plan.total_parameters), amounts.count(plan.trainable_parameters)
        text = tr("train.status.plan", device=device_name(plan.device), precision=safe(plan.precision), trainable=trainable, total=total)
        parts.append([(text, "dim")])
        if plan.plain_because:
            parts.append([(plain_layers(plan), "text")])
    if state.data:
        data = state.data
        text = tr("train.status.data", train=f"{data.train_examples:,}", eval=f"{data.eval_examples:,}", thinking=f"{data.with_thinking:,}")
        parts.append([(text, "dim")])
    return parts


def _evaluation(state: RunState, glyphs: Glyphs) -> Line:
    """First → best → last, each only where it is another one."""
    first, last, best = state.first_eval, state.last_eval, state.best_eval
    if first is None or last is None:
        return []
    line: Line = [(f"{tr('train.status.eval')} ", "dim"), (amounts.loss(first.loss), "text" if last is not first else "eval")]
    if best is not None and best not in (first, last):
        line += [(f" {glyphs.arrow} ", "dim"), (amounts.loss(best.loss), "good"), (f" ({tr('train.status.best', step=best.step)})", "dim")]
    if last is not first:
        line += [(f" {glyphs.arrow} ", "dim"), (amounts.loss(last.loss), "eval")]
    return line


def _named(name: str, value: str, style: str = "bright") -> Line:
    return [(f"{tr(f'train.status.{name}')} ", "dim"), (value, style)]


def _load(state: RunState, glyphs: Glyphs, width: int) -> Line:
    parts: list[Line] = []
    if state.missed:
        parts.append([(f"{glyphs.warning} {tr('train.status.missed', n=state.missed)}", "warn")])
    if state.warnings:
        parts.append([(f"{glyphs.warning} {tr('train.status.warnings', n=state.warnings)}", "warn")])
    if state.hardware is not None:
        hardware = state.hardware
        meters = _gpus(hardware.gpus, glyphs, width) or [_memory(hardware, glyphs)]
        parts += rank_parts(state.ranks, glyphs, width) if state.ranks else meters
        parts += [] if state.ranks else [_peak(state, glyphs)]
        parts.append([("CPU ", "dim"), (f"{hardware.cpu_percent:.0f}%", "text")])
    if state.engine is not None and state.stopped is None:
        parts.append(_named("elapsed", amounts.duration(max(0.0, state.last_time - state.engine.time)), "text"))
    return fit_parts([part for part in parts if part], width)


def _peak(state: RunState, glyphs: Glyphs) -> Line:
    """Measured peak memory beside the forecast; a sign where it left the forecast's band."""
    plan, step = state.plan, state.step
    if step is None:
        return []
    if plan is None or plan.forecast_peak_gib is None:
        return _named("peak", f"{step.peak_memory_gib:.1f} GiB")
    high = max(plan.forecast_high_gib or 0.0, plan.forecast_peak_gib)
    forecast = tr("train.status.forecast", gib=f"{plan.forecast_peak_gib:.1f}")
    over: Line = [(f" {glyphs.warning}", "warn")] if step.peak_memory_gib > high else []
    return [(f"{tr('train.status.peak')} ", "dim"), (f"{step.peak_memory_gib:.1f}", "bright"), (f" {forecast}", "dim"), *over]


def _memory(hardware: events.Hardware, glyphs: Glyphs) -> Line:
    """The engine's own memory on a machine that trains without a GPU."""
    line: Line = [(f"{tr('train.status.rss')} ", "dim")]
    if hardware.memory_total_gib:
        line += [*bar(hardware.rss_gib / hardware.memory_total_gib, BAR_CELLS, glyphs), (" ", "")]
        return [*line, (f"{hardware.rss_gib:.1f}", "bright"), (f"/{hardware.memory_total_gib:.1f} GiB", "dim")]
    return [*line, (f"{hardware.rss_gib:.1f}", "bright"), (" GiB", "dim")]


def _gpus(gpus: list[events.Gpu], glyphs: Glyphs, width: int) -> list[Line]:
    """A meter a GPU where they all fit, else one for all of them: none is left out silently."""
    parts = [_gpu(str(place if gpu.index < 0 else gpu.index), gpu, glyphs) for place, gpu in enumerate(gpus)]
    if len(parts) < 2 or sum(map(line_cells, parts)) < width / 2:
        return parts
    told = [gpu.utilisation for gpu in gpus if gpu.utilisation is not None]
    used, total = sum(gpu.vram_used_gib for gpu in gpus), sum(gpu.vram_total_gib for gpu in gpus)
    mean = sum(told) / len(told) if told else None
    return [_gpu(f"×{len(gpus)}", events.Gpu(vram_used_gib=used, vram_total_gib=total, utilisation=mean), glyphs)]


def _gpu(index: str, gpu: events.Gpu, glyphs: Glyphs) -> Line:
    line: Line = [(f"GPU{index} ", "dim"), *bar(gpu.vram_used_gib / gpu.vram_total_gib if gpu.vram_total_gib else 0.0, BAR_CELLS, glyphs)]
    line += [(f" {gpu.vram_used_gib:.1f}", "bright"), (f"/{gpu.vram_total_gib:.1f} GiB", "dim")]
    if gpu.utilisation is not None:
        line.append((f" {gpu.utilisation:.0f}%", "text"))
    told = [f"{value:.0f}{unit}" for value, unit in ((gpu.temperature_c, "°C"), (gpu.power_w, "W")) if value is not None]
    line += [(f" {' '.join(told)}", "dim")] if told else []
    held = [tr(f"hardware.throttle.{why}") for why in gpu.throttled]
    return [*line, (f" {glyphs.warning} {', '.join(held)}", "warn")] if held else line
