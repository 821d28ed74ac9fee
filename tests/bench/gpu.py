"""Forecast against measured peak memory, and tokens a second, on an NVIDIA GPU: `python -m tests.bench.gpu [--only N] [--json FILE]`.

Random weights of Qwen's sizes, loaded, adapted and trained by the engine's own functions in one process, a case after another. Measured are
what the allocator gave out at most, what it took from the GPU at most, and what the driver says the GPU lost, which the forecast is of.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path
from typing import Any, NamedTuple

import torch

from data.examples import ANSWER, PROMPT, Example
from engine.batches import build_micro_batch
from engine.config import Lora, Train
from engine.forecast import GIB, Workload, forecast
from engine.gpu_facts import tflops
from engine.loading import add_adapter, load_base, prepare_training
from engine.model_shape import ModelShape
from engine.optimizers import build_optimizer
from engine.train_step import Updater, train_step

PROJECT = Path(__file__).resolve().parent.parent.parent
SHAPES = {
    "0.6b": {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "intermediate_size": 3072,
             "head_dim": 128},
    "1.7b": {"hidden_size": 2048, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "intermediate_size": 6144,
             "head_dim": 128},
    "4b": {"hidden_size": 2560, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 9728,
           "head_dim": 128},
}  # fmt: skip
PROMPT_TOKENS = 24
"""Masked tokens at the beginning of each example."""
WARM, TIMED = 2, 4


class Case(NamedTuple):
    """examples: in each row."""

    shape: str
    length: int
    batch: int
    checkpointing: bool
    rank: int = 16
    quantization: str = "none"
    examples: int = 1
    precision: str = "bf16"

    @property
    def recomputed(self) -> int:
        """Layers."""
        return SHAPES[self.shape]["num_hidden_layers"] if self.checkpointing else 0


CASES = [
    Case("4b", 1024, 2, True), Case("4b", 1024, 2, False), Case("4b", 1024, 2, True, quantization="nf4"),
    Case("4b", 1024, 2, False, quantization="nf4"), Case("4b", 2048, 4, True), Case("4b", 512, 1, False), Case("4b", 2048, 2, False),
    Case("4b", 1024, 2, True, rank=64), Case("4b", 1024, 2, False, examples=16), Case("4b", 2048, 1, True, quantization="int8"),
    Case("1.7b", 1024, 2, True), Case("1.7b", 2048, 4, False), Case("1.7b", 512, 4, False, rank=64),
    Case("1.7b", 1024, 2, True, quantization="nf4"),
    Case("0.6b", 1024, 4, True), Case("0.6b", 2048, 2, False), Case("0.6b", 512, 1, False), Case("0.6b", 1024, 2, False, precision="fp32"),
]  # fmt: skip


def main() -> None:
    """Run the cases and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=int, action="append", help="number of a case, from 1")
    parser.add_argument("--json", type=Path, help="keep what was measured here")
    parser.add_argument("--models", type=Path, help="folder for the models, which are made where they are missing")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no NVIDIA GPU that PyTorch can use: its part of the bench is left out")
        return
    chosen = [case for number, case in enumerate(CASES, 1) if not options.only or number in options.only]
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        kept = []
        for case in chosen:
            found = case._asdict() | measure(case, _model(case.shape, options.models or Path(folder)))
            kept.append(found)
            print(_line(found), flush=True)
            if options.json:
                options.json.write_text(json.dumps(kept))
    errors = [abs(_error(found)) for found in kept]
    print(f"forecast: mean error {statistics.mean(errors):.1%}, worst {max(errors):.1%} of {len(errors)}")


def measure(case: Case, folder: Path) -> dict[str, Any]:
    """A few steps of one micro-batch; nothing of them stays on the GPU."""
    device, shape = torch.device("cuda"), ModelShape.from_config(json.loads((folder / "config.json").read_text()))
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    context = _taken_by_the_process()
    lora = Lora(r=case.rank)
    began = time.perf_counter()
    peft = add_adapter(load_base(folder, case.precision, case.quantization, device), shape, lora, seed=0)
    model = prepare_training(peft, shape, lora, device, case.precision, case.recomputed)
    loaded = {"load_s": time.perf_counter() - began, "loaded_gib": torch.cuda.memory_allocated() / GIB,
              "loading_gib": torch.cuda.max_memory_reserved() / GIB}  # fmt: skip
    torch.cuda.reset_peak_memory_stats()
    parameters = list(model.trainable().values())
    updater = Updater(
        parameters, build_optimizer(model.trainable(), Train(), 1.0), torch.amp.GradScaler("cuda", enabled=case.precision == "fp16"), 1.0
    )
    batch = build_micro_batch(_examples(case, shape.vocab_size), device)
    times, taken = [], 0.0
    for _ in range(WARM + TIMED):
        torch.cuda.synchronize()
        began = time.perf_counter()
        stats = train_step(model, [batch], updater, 1e-4)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
        taken = max(taken, _taken_by_the_process())
    assert stats.applied
    rate = batch.tokens / statistics.median(times[WARM:])
    told = forecast(shape, Workload(
        tokens=batch.tokens, precision=case.precision, recomputed_layers=case.recomputed, on_gpu=True,
        quantization=case.quantization, r=case.rank,
    ))  # fmt: skip
    peak = tflops(torch.cuda.get_device_name(), case.precision)
    linear = shape.parameters - shape.embedding_parameters
    return loaded | {
        "context_gib": context, "allocated_gib": torch.cuda.max_memory_allocated() / GIB,
        "reserved_gib": torch.cuda.max_memory_reserved() / GIB, "taken_gib": taken, "forecast_gib": told.peak,
        "components": told.components, "tokens_per_s": rate, "first_step_s": times[0], "loss": stats.sums.mean,
        "mfu": 4 * linear * rate / (peak * 1e12) if peak else None,
    }  # fmt: skip


def _examples(case: Case, vocabulary: int) -> list[Example]:
    """Random tokens that fill every row to the last."""
    generator, size = torch.Generator().manual_seed(0), case.length // case.examples
    masked = min(PROMPT_TOKENS, size // 2)
    parts = bytes([PROMPT]) * masked + bytes([ANSWER]) * (size - masked)
    ids = torch.randint(vocabulary, (case.batch * case.examples, size), generator=generator).tolist()
    return [Example(array("i", row), parts, record=number, turn=0) for number, row in enumerate(ids)]


def _taken_by_the_process() -> float:
    """GiB of the GPU that are gone, of this process alone where nothing else runs on it."""
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    return (total - free) / GIB


def _model(shape: str, folder: Path) -> Path:
    """Written by a process of its own, so that this one's GPU memory stays clean."""
    path = folder / shape
    if not (path / "config.json").is_file():
        path.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "tests.bench.random_model", str(path), json.dumps(SHAPES[shape])], cwd=PROJECT, check=True)
    return path


def _error(found: dict[str, Any]) -> float:
    return found["forecast_gib"] / found["taken_gib"] - 1


def _line(found: dict[str, Any]) -> str:
    case = Case(*(found[name] for name in Case._fields))
    return (
        f"{case.shape:4} {case.batch}×{case.length:<4} {case.examples:2} a row  recomputed {'yes' if case.checkpointing else 'no ':3} "
        f"r{case.rank:<2} {case.precision:4} {case.quantization:4}  allocated {found['allocated_gib']:5.2f}  "
        f"reserved {found['reserved_gib']:5.2f}  taken {found['taken_gib']:6.2f}  forecast {found['forecast_gib']:6.2f} "
        f"({_error(found):+.1%})  {found['tokens_per_s']:7.0f} tokens/s  MFU {found['mfu'] or 0:.1%}  load {found['load_s']:.0f} s"
    )


if __name__ == "__main__":
    main()
