"""Which way of using the machine's devices suits a run: one process, one a GPU, sharded, quantised, over the sequence, or offloaded.

Every way is worked out with its memory and step time, and gets one sentence why it was taken or not. Pure and instant. Rules and
their numbers are explained in docs/machines.md; what a way costs is `engine.options`, what memory consists of `engine.forecast`.
"""

from engine.notes import Note, note
from engine.options import Case, Option, work_out
from engine.speed import num_steps, rows_of_a_step
from engine.topology import FAST_GBS

WORTH_IT = 1.15
"""A less simple way must make a step at least so much faster: it is also something more that can fail."""
START_S = 20.0
"""What starting and joining the processes of a run takes."""


def recommend(case: Case) -> tuple[Option, ...]:
    """All ways, the best first, each with its sentence. The first is the recommendation; it may not fit where nothing does."""
    ways = work_out(case)
    best = _best(case, ways)
    told = [way.because(_why(case, way, best, ways), taken=way is best) for way in ways]
    return tuple(sorted(told, key=lambda way: not way.taken))


def driven(case: Case, ways: tuple[Option, ...]) -> Option:
    """The way a run really goes with this configuration as it stands: what it asks for, else the best without changing its precision."""
    asked = case.config.parallel
    if asked.strategy != "auto":
        return next(way for way in ways if way.name == asked.strategy)
    unchanged = [way for way in ways if way.driven and way.quantization == case.config.model.quantization]
    if asked.num_gpus > 1 or asked.num_nodes > 1:
        unchanged = [way for way in unchanged if way.name != "single"]
    return _best(case, unchanged)


def _best(case: Case, ways: tuple[Option, ...] | list[Option]) -> Option:
    """Fits before does not, driven before not, exact weights before quantised where they cost little time, then the fastest.

    Over slow links exact but sharded weights must not cost any: what collectives reach there is the least certain of all estimates.
    """
    fitting = [way for way in ways if way.fits and way.driven]
    exact = [way for way in fitting if way.quantization == case.config.model.quantization]
    quantised = [way for way in fitting if way not in exact]
    whole = [way for way in exact if way.strategy != "fsdp2"]
    if exact and quantised and not whole:
        sharded, packed = _fastest(case, exact), _fastest(case, quantised)
        allowed = WORTH_IT if sharded.link_gbs >= FAST_GBS else 1.0
        return sharded if _seconds(sharded) <= allowed * _seconds(packed) else packed
    if fitting:
        return _fastest(case, exact or quantised)
    return ways[0]


def _fastest(case: Case, ways: list[Option]) -> Option:
    """The way with the shortest step, where that is worth what it adds; the simplest, which stands first, where no speed is known."""
    best = ways[0]
    for way in ways[1:]:
        if _is_worth_it(case, way, best):
            best = way
    return best


def _is_worth_it(case: Case, way: Option, before: Option) -> bool:
    if way.step_s is None or before.step_s is None:
        return way.world_size > before.world_size
    steps = num_steps(case.config, case.tokens)
    started = START_S if way.world_size > before.world_size else 0.0
    saved = None if steps is None else steps * (before.step_s - way.step_s)
    return before.step_s >= WORTH_IT * way.step_s and (saved is None or saved > started)


def _seconds(way: Option) -> float:
    return float("inf") if way.step_s is None else way.step_s


def _why(case: Case, way: Option, best: Option, ways: tuple[Option, ...]) -> Note:
    """One sentence: the rule by which `way` was taken or not."""
    if way is best:
        return _why_taken(case, way, ways)
    if case.config.parallel.strategy == way.name:
        return note("option_asked", strategy=way.name)
    if way.impossible is not None:
        return way.impossible
    if not way.fits:
        return note("option_too_big", peak_gib=way.peak_gib, available_gib=way.available_gib)
    if not way.driven:
        return note("option_not_driven")
    if way.quantization != case.config.model.quantization:
        return note("option_not_exact" if best.quantization == "none" else "option_slower", precision=case.precision, **_times(way, best))
    if way.name == "fsdp2" and best.strategy in ("single", "ddp") and best.quantization == case.config.model.quantization:
        return note("option_not_needed", **_times(way, best))
    if way.world_size > best.world_size:
        return _why_fewer(case, way, best)
    return note("option_slower", **_times(way, best))


def _why_taken(case: Case, way: Option, ways: tuple[Option, ...]) -> Note:
    if not way.fits:
        return note("taken_nothing_fits")
    if case.is_on_cpu and way.name == "single":
        return note("taken_cpu")
    if way.name in ("nf4", "nf4_ddp"):
        return note("taken_nf4", precision=case.precision, gpus=way.world_size, peak_gib=way.peak_gib)
    if way.strategy == "fsdp2":
        whole = next(other for other in ways if other.name == "ddp")
        if whole.fits:
            return note("taken_fsdp2_faster", gpus=way.world_size, time=_told(way.step_s), other=_told(whole.step_s))
        return note("taken_fsdp2", precision=case.precision, gpus=way.world_size, peak_gib=way.peak_gib, gbs=way.link_gbs)
    if way.strategy == "ddp":
        facts = {"gpus": way.world_size, "rows": rows_of_a_step(case.config), "peak_gib": way.peak_gib}
        return note("taken_ddp_nodes", nodes=way.num_nodes, **facts) if way.num_nodes > 1 else note("taken_ddp", **facts)
    code = "taken_single_of_many" if len(case.machine.usable_gpus) > 1 else "taken_single"
    return note(code, gpu=way.gpu_name, peak_gib=way.peak_gib)


def _why_fewer(case: Case, way: Option, best: Option) -> Note:
    """Why more processes are not taken."""
    if way.cards_differ:
        return note("option_cards_differ", **_times(way, best))
    steps = num_steps(case.config, case.tokens)
    if steps is not None and way.step_s and best.step_s and best.step_s >= WORTH_IT * way.step_s:
        return note("option_short_job", saved_s=max(0.0, steps * (best.step_s - way.step_s)), start_s=START_S)
    return note("option_slower", **_times(way, best))


def _times(way: Option, best: Option) -> dict[str, str]:
    return {"time": _told(way.step_s), "best": _told(best.step_s)}


def _told(step_s: float | None) -> str:
    """Seconds with the digits that matter."""
    if step_s is None:
        return "?"
    for unit, seconds in (("h", 3600), ("min", 60)):
        if step_s >= 3 * seconds:
            return f"{step_s / seconds:.1f} {unit}"
    return f"{step_s:.2g} s" if step_s < 10 else f"{step_s:.0f} s"
