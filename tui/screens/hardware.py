"""The machine, live, and whether the current configuration can be trained on it.

A thread looks every two seconds while the screen is shown, and only sends messages; the lines are `hardware_lines`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.message import Message
from textual.widget import Widget

from data.errors import DanluError
from data.user_folders import state_folder
from engine import benchmark, events
from engine.benchmark import Benchmark
from engine.config import Config
from engine.config_file import Document, find_config, open_document
from engine.hardware import LoadSampler, Machine, detect, with_rate
from engine.host import measure_gemm
from engine.model_shape import ModelShape
from engine.model_source import config_of
from engine.plan import make_plan
from tui.keymap import bind
from tui.screens.base import DanluScreen
from tui.screens.config_facts import FactFinder
from tui.screens.hardware_lines import benchmark_lines, machine_lines
from tui.screens.hardware_plan import Subject, plan_lines
from tui.texts import tr
from tui.widgets.steady import Line, SteadyView

REFERENCE_PRESET = "qwen3-4b-24g"


class HardwareScreen(DanluScreen):
    """One scrolling page."""

    tab = "hardware"
    refresh_s = 2.0
    CSS = "HardwareScreen SteadyView { height: 1fr; padding: 0 1; }"
    BINDINGS: ClassVar = [
        bind("down,j", "scroll(1)", "hardware.keys.down", shown_as="↓ j"),
        bind("up,k", "scroll(-1)", "hardware.keys.up", shown_as="↑ k"),
        bind("r", "measure", "hardware.keys.measure"),
        bind("b", "benchmark", "hardware.keys.benchmark"),
        bind("pagedown,space", "scroll(10)", "hardware.keys.page_down", show=False),
        bind("pageup", "scroll(-10)", "hardware.keys.page_up", show=False),
        bind("home,g", "scroll(-100000)", "hardware.keys.top", show=False),
        bind("end,G", "scroll(100000)", "hardware.keys.bottom", show=False),
    ]

    class Looked(Message):
        """The machine as it is now, and the plan on it; None before there was one."""

        def __init__(self, machine: Machine, load: events.Hardware, subject: Subject | None):
            super().__init__()
            self.machine, self.load, self.subject = machine, load, subject

    class Benchmarked(Message):
        """The whole benchmark is done."""

        def __init__(self, found: Benchmark):
            super().__init__()
            self.found = found

    class Counted(Message):
        """Real tokens of one epoch of the configured data, None where they are not known."""

        def __init__(self, tokens: int | None):
            super().__init__()
            self.tokens = tokens

    class Measured(Message):
        """The CPU's matrix rate in GFLOP/s."""

        def __init__(self, rate: float):
            super().__init__()
            self.rate = rate

    def __init__(self) -> None:
        super().__init__()
        self._sampler = LoadSampler()
        self._shapes: dict[str, ModelShape | str] = {}
        self._facts = FactFinder()
        self._seen: HardwareScreen.Looked | None = None
        self._rate: float | None = None
        self._tokens: int | None = None
        self._is_looking = self._is_counting = self._is_measuring = self._is_benchmarking = False
        self._benchmark = benchmark.recall(state_folder())

    def compose_body(self) -> Iterable[Widget]:
        yield SteadyView(self._build)

    def on_mount(self) -> None:
        run = self.session.run
        if run is None or not run.is_alive():  # a run that trains is not disturbed unasked
            self.action_measure()

    def action_scroll(self, lines: int) -> None:
        """Move the page."""
        view = self.query_one(SteadyView)
        view.scroll_lines(lines)
        view.follows_end = False

    def action_measure(self) -> None:
        """Measure the CPU's matrix rate again."""
        if not self._is_measuring:
            self._is_measuring = True
            self._draw()
            self._measure()

    def action_benchmark(self) -> None:
        """Measure products by precision, memory and disk, which takes some seconds."""
        if not self._is_benchmarking:
            self._is_benchmarking = True
            self._draw()
            self._benchmark_now(self.session.output_dir)

    @work(thread=True, group="benchmark")
    def _benchmark_now(self, folder: Path) -> None:
        found = benchmark.measure(folder)
        benchmark.remember(state_folder(), found)
        self.post_message(self.Benchmarked(found))

    def on_hardware_screen_benchmarked(self, message: Benchmarked) -> None:
        self._benchmark, self._is_benchmarking = message.found, False
        self._draw()

    @work(thread=True, group="measure")
    def _measure(self) -> None:
        self.post_message(self.Measured(measure_gemm()))

    def on_hardware_screen_measured(self, message: Measured) -> None:
        self._rate, self._is_measuring = message.rate, False
        self.look()

    def look(self) -> None:
        """Look at the machine and at the data, each once at a time."""
        document = self.session.document
        if not self._is_looking:
            self._is_looking = True
            self._read(document, self.session.output_dir, self._rate, self._tokens)
        if not self._is_counting:
            self._is_counting = True
            self._count(document)

    @work(thread=True, group="look")
    def _read(self, document: Document | None, folder: Path, rate: float | None, tokens: int | None) -> None:
        machine, load = with_rate(detect(folder), rate), self._sampler.sample()
        if self._seen is None:  # the first plan waits for the model's sizes, the machine does not
            self.post_message(self.Looked(machine, load, None))
        self.post_message(self.Looked(machine, load, self._subject(document, machine, tokens)))

    @work(thread=True, group="count")
    def _count(self, document: Document | None) -> None:
        self.post_message(self.Counted(self._facts.epoch_tokens(_configuration(document)[1])))

    def on_hardware_screen_counted(self, message: Counted) -> None:
        self._tokens, self._is_counting = message.tokens, False

    def on_hardware_screen_looked(self, message: Looked) -> None:
        self._is_looking = message.subject is None
        self._seen = message
        self._draw()

    def _draw(self) -> None:
        self.query_one(SteadyView).show(self._build)

    def _build(self, width: int, height: int) -> list[Line]:
        if self._seen is None:
            return [[(tr("hardware.looking"), "dim")]]
        seen, glyphs = self._seen, self.session.glyphs
        trains = seen.subject.plan.gpus if seen.subject and seen.subject.plan else ()
        upper = machine_lines(seen.machine, seen.load, self._is_measuring, glyphs, width, trains)
        upper += benchmark_lines(self._benchmark, self._is_benchmarking, glyphs, width)
        return [*upper, [], *plan_lines(seen.subject, glyphs, width)] if seen.subject else upper

    def _subject(self, document: Document | None, machine: Machine, tokens: int | None) -> Subject:
        """What the configuration at hand would need on `machine`."""
        name, document = _configuration(document)
        config = document.values
        shape = self._shape(config)
        if isinstance(shape, str):
            return Subject(name, config.model.name, problem=shape)
        return Subject(name, config.model.name, shape, make_plan(config, shape, machine, tokens))

    def _shape(self, config: Config) -> ModelShape | str:
        """Sizes of the configured model, or why they are not known; what is unknown is looked for again."""
        key = config.model.name
        if isinstance(known := self._shapes.get(key), ModelShape):
            return known
        try:
            facts = config_of(config.model)
            self._shapes[key] = tr("hardware.unknown_model", name=key) if facts is None else ModelShape.from_config(facts)
        except (DanluError, OSError, ValueError) as error:
            self._shapes[key] = str(error)
        return self._shapes[key]


def _configuration(document: Document | None) -> tuple[str, Document]:
    """The configuration being edited, else the reference preset, each with its name."""
    if document is not None:
        return (document.path.stem if document.path else tr("hardware.unsaved")), document
    try:
        return REFERENCE_PRESET, open_document(find_config(REFERENCE_PRESET))
    except DanluError:
        return tr("hardware.defaults"), Document("")
