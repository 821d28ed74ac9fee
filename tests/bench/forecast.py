"""Forecast against measured peak memory of the engine on the CPU: `python -m tests.bench.forecast [--only N] [--json FILE]`.

Every line is one engine process of its own that loads a model, probes its longest micro-batch and takes a few steps; measured is
its peak resident memory as its last step event tells it. The forecast is worked out anew from the tokens of that micro-batch, so it is
that of the code at hand. Takes about half an hour on two cores; `--json` keeps what was measured, `--again FILE` compares it with the
forecast of changed code without measuring anew.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from data.tokenizer import load_tokenizer
from engine import events, gguf, model_source
from engine.batches import StepPlan
from engine.config import Config, Lora, Model
from engine.config_file import parse, resolve, write_resolved
from engine.fitting import piece_tokens
from engine.forecast import forecast, workload
from engine.host import read_cpu, read_versions
from engine.launch import engine_environment
from engine.model_shape import ModelShape
from engine.probe import longest_tokens
from engine.queue import Tail
from engine.run_directory import RunDirectory

PROJECT = Path(__file__).resolve().parent.parent.parent
RECORDS = 24
STEPS = 4
"""Of different lengths, because the heap grows over the first of them: in the demo from 1.21 to 1.36 GiB over five, then no more."""
TEMPLATE_TOKENS = 60
"""What the template, the question and the answer add to the thinking, at most."""
QWEN = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "hidden_size": 512, "num_hidden_layers": 12, "num_attention_heads": 8,
        "num_key_value_heads": 4, "head_dim": 64, "intermediate_size": 1536, "tie_word_embeddings": True,
        "max_position_embeddings": 8192, "rope_theta": 1e6, "rms_norm_eps": 1e-6}  # fmt: skip
"""Random weights of Qwen3's shape; the vocabulary is the demo tokenizer's."""


class Case(NamedTuple):
    """family: smollm2 or qwen3.  length: of a row in tokens.  rank: of the adapters.  variant: of dora the plain layers train.
    strategy: ddp and fsdp2 are two processes over loopback, of which the first is measured."""

    family: str
    length: int
    batch: int
    checkpointing: bool
    packing: bool
    rank: int
    precision: str = "fp32"
    dropout: float = 0.0
    variant: str = "lora"
    strategy: str = "single"

    @property
    def ranks(self) -> int:
        return 1 if self.strategy == "single" else 2


SETTLED = (*range(1, 9), *range(11, 26))
"""Cases with which the constants of engine/forecast.py were last settled; the others had no part in them and are told apart."""
CASES = [
    Case("smollm2", 256, 1, False, False, 16), Case("qwen3", 512, 1, False, False, 16), Case("smollm2", 1024, 1, False, False, 16),
    Case("qwen3", 1024, 1, True, False, 16), Case("smollm2", 512, 1, True, False, 16), Case("qwen3", 2048, 1, False, False, 16),
    Case("smollm2", 1024, 1, False, True, 16), Case("qwen3", 512, 2, False, True, 8), Case("qwen3", 1024, 1, False, False, 16, "bf16"),
    Case("smollm2", 512, 2, False, True, 16, "bf16"), Case("smollm2", 512, 2, False, True, 16, variant="dora"),
    Case("qwen3", 1024, 1, True, False, 16, variant="dora"),
    Case("smollm2", 2048, 1, False, False, 16), Case("qwen3", 2048, 1, True, False, 16), Case("smollm2", 2048, 1, True, False, 16),
    Case("qwen3", 2048, 1, False, True, 8), Case("smollm2", 256, 4, False, True, 16), Case("qwen3", 512, 4, True, True, 16),
    Case("smollm2", 512, 2, False, True, 32), Case("qwen3", 256, 4, False, False, 64), Case("smollm2", 256, 2, True, False, 64),
    Case("qwen3", 256, 1, False, True, 16), Case("smollm2", 1024, 1, True, False, 8), Case("qwen3", 1024, 2, True, True, 32),
    Case("smollm2", 2048, 1, False, True, 16), Case("qwen3", 2048, 1, True, False, 32, "bf16"), Case("smollm2", 2048, 1, True, True, 16),
    Case("qwen3", 512, 1, False, False, 16, "fp32", 0.1), Case("smollm2", 768, 1, False, False, 8),
    Case("qwen3", 1536, 1, True, False, 64), Case("smollm2", 1024, 1, True, False, 16, variant="dora"),
    Case("smollm2", 512, 1, False, False, 16, strategy="fsdp2"), Case("smollm2", 512, 1, False, False, 16, strategy="ddp"),
    Case("qwen3", 512, 1, True, False, 16, strategy="fsdp2"), Case("qwen3", 512, 1, True, False, 16, strategy="ddp"),
]  # fmt: skip


def main() -> None:
    """Measure, or read what was measured, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=int, action="append", help="number of a case, from 1")
    parser.add_argument("--json", type=Path, help="keep what was measured here, case by case, and go on from it")
    parser.add_argument("--again", type=Path, help="compare with what was measured earlier")
    options = parser.parse_args()
    known = options.again or (options.json if options.json and options.json.is_file() else None)
    measured = json.loads(known.read_text()) if known else {}
    with tempfile.TemporaryDirectory() as folder:
        models = _models(Path(folder))
        for number, case in enumerate(CASES, 1):
            if str(number) in measured or options.again or (options.only and number not in options.only):
                continue
            measured[str(number)] = measure(case, models[case.family], Path(folder) / str(number))
            print(f"{number:2} {case} {measured[str(number)]}", file=sys.stderr, flush=True)
            if options.json:
                options.json.write_text(json.dumps(measured))
        shapes = {family: ModelShape.from_config(json.loads((path / "config.json").read_text())) for family, path in models.items()}
    _print_table({int(number): found for number, found in measured.items()}, shapes)


def measure(case: Case, model: Path, folder: Path) -> dict[str, float]:
    """Tokens of the longest micro-batch and peak GiB of one engine process."""
    run = _run(case, model, folder)
    environment = engine_environment() | {"CUDA_VISIBLE_DEVICES": "", "XDG_STATE_HOME": str(folder / "state")}
    done = subprocess.run([sys.executable, "-m", "engine", str(run.path)], cwd=PROJECT, env=environment, capture_output=True, check=False)
    told = [event for event in Tail(run.events, events.decode).read()]
    steps = [event for event in told if isinstance(event, events.Step)]
    if done.returncode or not steps:
        raise SystemExit(f"{case}: exit code {done.returncode}: {done.stderr.decode()[-2000:]}")
    return {"tokens": _longest(run, case), "peak_gib": steps[-1].peak_memory_gib}


def foretell(case: Case, shape: ModelShape, tokens: int) -> float:
    """Forecast peak in GiB."""
    config = msgspec.structs.replace(Config(), lora=Lora(r=case.rank, dropout=case.dropout, variant=case.variant))
    work = workload(config, case.precision, False, shape.num_layers if case.checkpointing else 0)
    shards = case.ranks if case.strategy == "fsdp2" else 1
    return forecast(shape, replace(work, tokens=tokens, generated=0, shards=shards)).peak


def _run(case: Case, model: Path, folder: Path) -> RunDirectory:
    """A run directory for `case` with records that fill its rows."""
    run = RunDirectory(folder / "run")
    run.path.mkdir(parents=True)
    data = folder / "data.jsonl"
    data.write_text("\n".join(json.dumps(record, ensure_ascii=False) for record in _records(case, load_tokenizer(model))), encoding="utf-8")
    text = f"""
[model]
name = "{model}"
precision = "{case.precision}"
[data]
path = "{data}"
max_seq_length = {case.length}
packing = {str(case.packing).lower()}
eval_fraction = 0.0
[lora]
r = {case.rank}
dropout = {case.dropout}
variant = "{case.variant}"
[train]
batch_size = {case.batch}
gradient_accumulation_steps = {case.ranks}
max_steps = {STEPS}
gradient_checkpointing = "{"on" if case.checkpointing else "off"}"
[parallel]
strategy = "{case.strategy}"
num_gpus = {case.ranks}
[eval]
at_start = false
every_steps = 0
[sample]
num_prompts = 0
every_steps = 0
"""
    write_resolved(run.config, resolve(parse(text, "bench"), folder), {})
    return run


def _records(case: Case, tokenizer) -> list[dict[str, str]]:
    """Questions with thinking of six to ten tenths of what a row takes; with packing, two or three a row."""
    share = 0.45 if case.packing else 1.0
    records = []
    for number in range(RECORDS * case.batch):
        room = int(case.length * share * (1 - number % 5 / 10)) - TEMPLATE_TOKENS
        sentence = f"第{number}步把明文分组，异或轮密钥，再查表。"
        times = max(1, int(room / len(tokenizer.encode(sentence * 8)) * 8))
        records.append({"instruction": f"第 {number} 题？", "input": "",
                        "output": f"<think>\n{sentence * times}\n</think>\n\n答案是{number}。"})  # fmt: skip
    return records


def _longest(run: RunDirectory, case: Case) -> int:
    """Tokens of the longest micro-batch, from the run's own data."""
    lengths = _lengths(run)
    rows = case.batch * case.ranks
    steps = StepPlan(lengths, row_length=case.length, packing=case.packing, rows_per_step=rows, num_epochs=1, max_steps=STEPS, seed=42)
    return longest_tokens(steps, lengths, case.batch, piece_tokens(on_gpu=False, ranks=case.ranks))


def _lengths(run: RunDirectory) -> list[int]:
    """Tokens of each training example."""
    from data.preparation import PreparationSettings, prepare
    from engine.config_file import read_resolved

    config = read_resolved(run.config)
    names = {field.name for field in msgspec.structs.fields(PreparationSettings)}
    settings = PreparationSettings(**{name: value for name, value in msgspec.structs.asdict(config.data).items() if name in names})
    prepared = prepare(settings, load_tokenizer(Path(config.model.name)), config.train.seed, lambda name, done, total: None)
    return prepared.train.lengths.tolist()


def _models(folder: Path) -> dict[str, Path]:
    """The demo model, and a random one of Qwen3's shape with the demo's tokenizer."""
    demo = model_source.locate(Model(name="demo"), lambda done, total, detail: None, gguf.convert)
    vocabulary = json.loads((demo / "config.json").read_text())["vocab_size"]
    qwen = folder / "qwen3"
    qwen.mkdir()
    (qwen / "config.json").write_text(json.dumps(QWEN | {"vocab_size": vocabulary}))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json", "generation_config.json"):
        if (demo / name).is_file():
            (qwen / name).write_bytes((demo / name).read_bytes())
    program = (
        "import sys, torch; from transformers import AutoConfig, AutoModelForCausalLM; torch.manual_seed(0);"
        "AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(sys.argv[1])).save_pretrained(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", program, str(qwen)], check=True, capture_output=True)
    return {"smollm2": demo, "qwen3": qwen}


def _print_table(measured: dict[int, dict[str, float]], shapes: dict[str, ModelShape]) -> None:
    versions = read_versions()
    threads = os.environ.get("OMP_NUM_THREADS", os.cpu_count())
    print(f"{read_cpu().name}, {threads} threads, {platform.system()}, torch {versions['torch']}\n")
    print("| model | length | batch | tokens | recomputed | packed | rank | way | type | settled | measured GiB | forecast GiB | error |")
    print("|" + "---|" * 13)
    errors = {}
    for number, found in sorted(measured.items()):
        case, told = CASES[number - 1], foretell(CASES[number - 1], shapes[CASES[number - 1].family], int(found["tokens"]))
        errors[number] = told / found["peak_gib"] - 1
        yes = {True: "yes", False: "no"}
        asked = [case.family, case.length, case.batch, found["tokens"], yes[case.checkpointing], yes[case.packing], case.rank,
                 f"{case.variant} {case.strategy}", case.precision, yes[number in SETTLED]]  # fmt: skip
        figures = [f"{found['peak_gib']:.2f}", f"{told:.2f}", f"{100 * errors[number]:+.1f} %"]
        print("| " + " | ".join(map(str, [*asked, *figures])) + " |")
    print()
    _print_mean("all", list(errors.values()))
    _print_mean("unseen when the constants were settled", [error for number, error in errors.items() if number not in SETTLED])


def _print_mean(which: str, errors: list[float]) -> None:
    if errors:
        mean, worst = sum(map(abs, errors)) / len(errors), max(map(abs, errors))
        print(f"{which}: {len(errors)} configurations, mean error {100 * mean:.1f} %, worst {100 * worst:.1f} %")


if __name__ == "__main__":
    main()
