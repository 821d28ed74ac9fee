"""`danlu plan`: memory by component, whether it fits, how long it takes, and why; nothing is loaded or fetched."""

import argparse
from pathlib import Path

import msgspec

from data.preparation import PreparationSettings, prepare
from data.reading import read_file
from engine import model_source
from engine.config import Config
from engine.errors import DoesNotFit, ModelError
from engine.hardware import detect
from engine.machine_file import find_machine, read_machine
from engine.model_shape import ModelShape
from engine.plan import RunPlan, make_plan
from tui import amounts, output
from tui.columns import columns, terminal_width, wrap
from tui.commands.train import open_config
from tui.glyphs import ASCII, UNICODE, Glyphs
from tui.screens.data_tokenizer import tokenizer_of
from tui.screens.hardware_plan import figures, note_text, option_lines, recomputed
from tui.start import check_data, check_model, resolved
from tui.texts import tr

COUNTED_RECORDS = 2000
"""Tokens are counted in so many records and scaled to all of them."""

BAR = 30
"""Cells that the peak would fill."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help=tr("cli.option.config_plan"))
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=tr("cli.option.set"))
    parser.add_argument("--hardware", metavar="FILE", help=tr("cli.option.hardware"))
    parser.add_argument("--json", action="store_true", help=tr("cli.option.json"))


def run(options: argparse.Namespace) -> int:
    """Print the plan; 1 when it cannot fit."""
    config = resolved(open_config(options.config, options.set, options.runs_dir))
    check_model(config.model)
    facts = model_source.config_of(config.model)
    if facts is None:
        raise ModelError(f"{config.model.name}: its sizes are not known here; fetch it first with `danlu fetch {config.model.name}`")
    machine = read_machine(find_machine(options.hardware)) if options.hardware else detect(Path(config.run.output_dir), measure=True)
    plan = make_plan(config, ModelShape.from_config(facts), machine, _epoch_tokens(config))
    if options.json:
        output.show_json(plan.facts())
    else:
        for line in _report(plan, options.ascii):
            output.show(line)
    return 0 if plan.fits else DoesNotFit.exit_code


def _epoch_tokens(config: Config) -> int | None:
    """Real tokens of one epoch; None when there is no data yet, or no tokenizer of this model on this machine."""
    if not config.data.path:
        return None
    check_data(config.data)
    try:
        tokenizer = tokenizer_of(config.model)
    except ModelError:
        return None
    records = len(read_file(Path(config.data.path), config.data.format, limit=config.data.limit, columns=config.data.columns).records)
    limit = min(records, COUNTED_RECORDS)
    names = {field.name for field in msgspec.structs.fields(PreparationSettings)}
    values = {name: value for name, value in msgspec.structs.asdict(config.data).items() if name in names} | {"limit": limit}
    prepared = prepare(PreparationSettings(**values), tokenizer, config.train.seed, lambda name, done, total: None)
    return sum(len(example.ids) for example in prepared.train) * records // limit


def _report(plan: RunPlan, ascii: bool) -> list[str]:
    """The verdict, memory by component with bars, how it will be done, and every reason."""
    glyphs = ASCII if ascii else UNICODE
    scale = BAR / plan.peak_memory_gib
    rows = [
        [tr(f"hardware.component.{name}"), _gib(size), glyphs.full * max(1, round(size * scale)) if size else ""]
        for name, size in plan.components.items()
    ]
    rows += [[tr("hardware.component.peak"), _gib(plan.peak_memory_gib)], [tr("cli.plan.available"), _gib(plan.available_gib)]]
    glyph, verdict = (glyphs.done, "fits") if plan.fits else (glyphs.failed, "too_big")
    memory, facts = columns(rows, right={1}), columns(_facts(plan))
    return [
        f"{glyph} {tr(f'cli.plan.{verdict}')}  {figures(plan)}", "", *memory, "", *facts, "", *_reasons(plan, glyphs.note), "",
        tr("hardware.title.options"), *_options(plan, glyphs),
    ]  # fmt: skip


def _gib(size: float) -> str:
    return f"{size:.2f} GiB"


def _facts(plan: RunPlan) -> list[list[str]]:
    unknown = amounts.UNKNOWN
    return [
        [tr("cli.plan.strategy"), tr(f"hardware.{plan.strategy}_strategy", n=plan.world_size)],
        [tr("cli.plan.precision"), plan.precision],
        [tr("cli.plan.checkpointing"), recomputed(plan, "cli.plan")],
        [tr("cli.plan.micro_batch"), f"{plan.micro_batch} × {plan.accumulation}" if plan.micro_batch else unknown],
        [tr("cli.plan.time"), unknown if plan.time_s is None else amounts.duration(plan.time_s)],
    ]


def _reasons(plan: RunPlan, bullet: str) -> list[str]:
    lines: list[str] = []
    for note in plan.notes:
        lines += wrap(f"{bullet} {note_text(note)}", terminal_width(), indent="  ")
    return lines


def _options(plan: RunPlan, glyphs: Glyphs) -> list[str]:
    """Every way of using the devices, and why it was taken or not."""
    return ["".join(text for text, _ in line).rstrip() for line in option_lines(plan, glyphs, terminal_width())]
