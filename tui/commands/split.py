"""`danlu split`: a data file split into train, eval and test so that no near duplicate crosses; records as they were."""

import argparse
import json
import os
from pathlib import Path

from data.errors import DataError
from data.findings import groups_of
from data.formats import FORMATS
from data.proof import split_with_proof
from data.reading import Dataset, read_file
from data.splitting import Split, check_ratios, read_split
from tui import output
from tui.columns import columns
from tui.gate import safe
from tui.progress_line import ProgressLine
from tui.texts import tr

PARTS = ("train", "eval", "test")
RATIOS = "0.9,0.05,0.05"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help=tr("cli.option.data"))
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help=tr("cli.option.out"))
    parser.add_argument("--ratios", metavar="RATIOS", default=RATIOS, help=tr("cli.option.ratios"))
    parser.add_argument("--seed", metavar="N", type=int, default=42, help=tr("cli.option.seed"))
    parser.add_argument("--keep", metavar="FILE", type=Path, help=tr("cli.option.keep"))
    add_format(parser)


def add_format(parser: argparse.ArgumentParser) -> None:
    """The record layout and its names of fields, for commands that read a data file."""
    parser.add_argument("--format", choices=("auto", *FORMATS), default="auto", metavar="FORMAT",
                        help=tr("cli.option.format", formats=", ".join(("auto", *FORMATS))))  # fmt: skip
    parser.add_argument("--column", metavar="NAME=THEIRS", action="append", default=[], help=tr("cli.option.column"))


def data_path(name: str) -> Path:
    """The file that `name` means on the command line."""
    from engine.config_file import BUNDLED_DATA

    return BUNDLED_DATA if name == "bundled" else Path(name).expanduser()


def run(options: argparse.Namespace) -> int:
    """Write one file a part and split.json into DIR. Raises DataError where one of them is there already."""
    ratios = _ratios(options.ratios)
    files = {part: options.out / f"{part}.jsonl" for part in ratios}
    _refuse_to_overwrite([*files.values(), options.out / "split.json"])
    keep = read_split(options.keep.expanduser()) if options.keep else None
    dataset = read_file(data_path(options.data), options.format, columns=options.column)
    if dataset.faults:
        first = dataset.faults[0]
        output.narrate(tr("cli.split.invalid", n=dataset.invalid, line=first.line, text=safe(first.text)))
    made = _split(dataset, ratios, options.seed, keep)
    _write(dataset, made, files, options.out)
    output.narrate(tr("cli.split.wrote", records=len(dataset.records), groups=len(set(made.groups))))
    output.narrate(tr("cli.split.proof"))
    for line in columns([[safe(str(files[part])), *_share(made, part)] for part in files], right={1, 2, 3}):
        output.show(line)
    for line in _worst(made):
        output.narrate(line)
    return 0


def _split(dataset: Dataset, ratios: dict[str, float], seed: int, keep: dict[int, str] | None) -> Split:
    """The split and its proof, with a line of progress."""
    line = ProgressLine()
    try:
        groups = groups_of(dataset, lambda done, total: line.tell(done, total, tr("cli.inspect.stage_duplicates")))
        return split_with_proof(
            dataset.records, ratios, seed, groups, lambda done, total: line.tell(done, total, tr("cli.split.stage_proof")), keep
        )
    finally:
        line.close()


def _share(made: Split, part: str) -> list[str]:
    """Records of a part, wanted and got share."""
    total = max(sum(made.counts.values()), 1)
    got = 100 * made.counts[part] / total
    return [tr("cli.split.records", n=made.counts[part]), tr("cli.split.wanted", wanted=f"{100 * made.ratios[part]:.1f}", got=f"{got:.1f}")]


def _worst(made: Split) -> list[str]:
    """The kind of record that missed its share by most, as a sentence; none where all have theirs to the record."""
    missed = max(made.balance, key=lambda one: abs(one.got - one.wanted), default=None)
    if missed is None or abs(missed.got - missed.wanted) < 1:
        return []
    value = safe(missed.value) or "-"
    return [tr("cli.split.worst", kind=missed.kind, value=value, part=missed.part, wanted=f"{missed.wanted:.1f}", got=missed.got)]


def _ratios(text: str) -> dict[str, float]:
    """Shares by part. Raises DataError for what is not two or three numbers that add up to 1."""
    try:
        shares = [float(share) for share in text.split(",")]
    except ValueError:
        shares = []
    if len(shares) not in (2, 3):
        raise DataError(f"--ratios {text}: give two or three shares with commas between them, for example {RATIOS}")
    ratios = dict(zip(PARTS, shares, strict=False))
    check_ratios(ratios)
    return ratios


def _refuse_to_overwrite(paths: list[Path]) -> None:
    for path in paths:
        if path.exists():
            raise DataError(f"{path}: is there already; choose another --out, or delete it first")


def _write(dataset: Dataset, made: Split, files: dict[str, Path], folder: Path) -> None:
    """Each file beside its place first, then all renamed, so that a full disk leaves no half split."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in [*files.values(), folder / "split.json"]}
    try:
        for part, path in files.items():
            with temporary[path].open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(dataset.records[index].raw, ensure_ascii=False) + "\n" for index in made.indices(part))
        made.write(temporary[folder / "split.json"])
        for path, written in temporary.items():
            written.rename(path)
    finally:
        for written in temporary.values():
            written.unlink(missing_ok=True)
