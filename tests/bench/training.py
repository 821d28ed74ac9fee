"""Danlu beside transformers' Trainer and TRL on the same records, recipe and seed: `python -m tests.bench.training [--data FILE …]`.

Each contender is a process of its own, one after another. Printed are real tokens a second (padding is not counted), supervised tokens a
second, peak memory, time to the first step, the mean loss, and the share of what bare matrix products reach on this machine. Danlu is run
as a user runs it: by the engine, from a configuration. The peers come from `make bench`, which installs them beside the project.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from engine import gguf, model_source
from engine.config import Model
from tests.bench import matrix_rate

PROJECT = Path(__file__).resolve().parent.parent.parent
SHAPES = {
    "0.5b": {"hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864},
    "4b": {"hidden_size": 2560, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 9728},
}
"""Random weights of Qwen's sizes with its whole vocabulary: right for speed and memory, not for losses."""


class Result(NamedTuple):
    """tokens, supervised: real tokens of the run.  seconds: of its steps.  first_step_s: from the start of the process.
    parameters: of the linear layers a token passes."""

    tokens: int
    supervised: int
    seconds: float
    peak_gib: float
    first_step_s: float
    loss: float
    parameters: int


def main() -> None:
    """Run the contenders and print the table."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="danlu-bench-") as folder:
        spec = _spec(options, Path(folder))
        rate = matrix_rate.gflops(options.precision, options.threads)
        print(f"{options.records} records, {options.precision}, {options.threads} threads, matrix products {rate:.0f} GFLOP/s", flush=True)
        results = {}
        for name in options.contenders.split(","):
            results[name] = _run(name, spec, options)
            print(_line(name, results, rate), flush=True)
    if options.json:
        options.json.write_text(json.dumps({name: result._asdict() for name, result in results.items()}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", type=Path, default=[PROJECT / "data/bundled/crypto_zh.jsonl"], help="alpaca records")
    parser.add_argument(
        "--contenders", default="danlu,danlu-checkpointing,trl,trl-checkpointing,trainer-checkpointing", help="trl-liger too, on a GPU"
    )
    parser.add_argument("--records", type=int, default=24)
    parser.add_argument("--length", type=int, default=1024, help="longest example in tokens")
    parser.add_argument("--model", default="demo", help=f"demo, or random weights of a Qwen shape: {', '.join(SHAPES)}")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--quantization", default="none", choices=["none", "nf4"], help="Danlu only")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _spec(options: argparse.Namespace, folder: Path) -> Path:
    """Everything a contender must know, in a file: the same model folder and the same records in the same order for all."""
    records = [record for path in options.data for record in _records(path)]
    random.Random(0).shuffle(records)
    kept = [record for record in records if record["output"].strip()][: options.records]
    data = folder / "records.jsonl"
    data.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept), encoding="utf-8")
    model = model_source.locate(Model(name="demo"), progress=lambda *_: None, convert=gguf.convert)
    if options.model in SHAPES:
        model = _random_model(SHAPES[options.model], folder / "model")
    spec = {
        "model": str(model), "data": str(data), "precision": options.precision, "length": options.length, "threads": options.threads,
        "quantization": options.quantization, "batch": 2, "accumulation": 4, "rank": 16, "alpha": 32, "learning_rate": 2e-4, "seed": 42,
    }  # fmt: skip
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    return path


def _records(path: Path) -> list[dict[str, str]]:
    text = path.read_text(encoding="utf-8")
    found = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines() if line.strip()]
    return [{"instruction": r["instruction"], "input": r.get("input") or "", "output": r["output"]} for r in found]


def _random_model(shape: dict[str, int], folder: Path) -> Path:
    """Written by a process of its own, so that this one stays small."""
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "tests.bench.random_model", str(folder), json.dumps(shape)], cwd=PROJECT, check=True)
    return folder


def _run(name: str, spec: Path, options: argparse.Namespace) -> Result:
    threads = str(options.threads)
    environment = os.environ | {"OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    peers = PROJECT / ".bench"
    if not name.startswith("danlu"):
        environment["PYTHONPATH"] = f"{peers}{os.pathsep}{PROJECT}"
    module = "tests.bench.danlu_run" if name.startswith("danlu") else "tests.bench.peers"
    done = subprocess.run(
        [sys.executable, "-m", module, name, str(spec)], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{name} failed; its peers are installed by `make bench`\n{done.stderr[-3000:]}")
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def _line(name: str, results: dict[str, Result], rate: float) -> str:
    r = results[name]
    # A frozen base costs 2 products a parameter forwards and 2 backwards; what a contender computes beyond that is its own loss.
    share = 4 * r.parameters * r.tokens / r.seconds / (rate * 1e9)
    text = (
        f"{name:24} {r.tokens / r.seconds:7.1f} tokens/s {r.supervised / r.seconds:7.1f} supervised/s   peak {r.peak_gib:5.2f} GiB   "
        f"first step {r.first_step_s:5.1f} s   loss {r.loss:.4f}   {share:4.0%} of the matrix rate"
    )
    if name.startswith("trl") and (ours := results.get(name.replace("trl", "danlu").replace("-liger", ""))):
        speed, memory = ours.tokens / ours.seconds * r.seconds / r.tokens, ours.peak_gib / r.peak_gib
        text += f"\n{'':24} Danlu beside it: {speed:.2f}× the tokens/s at {memory:.2f}× the memory"
    return text


if __name__ == "__main__":
    main()
