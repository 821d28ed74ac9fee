"""`danlu launch-files`: files that start a configuration by torchrun, Slurm or SkyPilot, in a folder of their own."""

import argparse
import re
import sys
from pathlib import Path

from engine.config_file import presets, write_resolved
from engine.errors import EnvironmentFault
from engine.hardware import detect
from engine.host import read_versions
from engine.launch import PROJECT
from engine.launch_files import Job, launch_files
from tui import output
from tui.commands.train import open_config
from tui.gate import safe
from tui.start import check, resolved
from tui.texts import tr

ANY_CARD = "A100"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(preset.stem for preset in presets())
    parser.add_argument("config", metavar="CONFIG", help=tr("cli.option.config", presets=names))
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help=tr("cli.option.launch_out"))
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=tr("cli.option.set"))
    parser.add_argument("--name", metavar="RUN", default="", help=tr("cli.option.name"))


def run(options: argparse.Namespace) -> int:
    """Write the files and say how each is started."""
    document = open_config(options.config, options.set, options.runs_dir)
    config = resolved(document)
    check(config)
    name = options.name or config.run.name or (document.path.stem if document.path else "run")
    command = Path(sys.executable).parent / "danlu"
    gpu = detect().training_gpu
    job = Job(re.sub(r"[^A-Za-z0-9._-]", "-", name)[:48], config, str(command), str(PROJECT), _sky_name(gpu.name) if gpu else ANY_CARD)
    files = launch_files(job)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        write_resolved(options.out / "config.toml", config, read_versions() | {"preset": str(document.path or "")})
        for file, text in files.items():
            (options.out / file).write_text(text, encoding="utf-8")
            (options.out / file).chmod(0o755 if text.startswith("#!") else 0o644)
    except OSError as error:
        raise EnvironmentFault(f"{options.out}: cannot write ({error.strerror}); choose another --out") from error
    for file in files:
        output.show(str(options.out / file))
        key = f"cli.launch_files.{file.partition('.')[0]}"
        output.narrate(f"  {tr(key, nodes=config.parallel.num_nodes, folder=safe(str(options.out)))}")
    return 0


def _sky_name(name: str) -> str:
    """A card as SkyPilot calls it: A100, H100, L4, RTX4090 …"""
    words = re.sub(r"NVIDIA|GeForce|Tesla|Laptop|GPU|-PCIE.*|-SXM.*|\d+GB|HBM\d", " ", name).split()
    return "".join(words) or ANY_CARD
