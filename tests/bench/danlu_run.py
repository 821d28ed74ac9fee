"""One run of Danlu's engine for the training bench: `python -m tests.bench.danlu_run NAME SPEC`; prints one JSON line."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from engine import events
from engine.config import Checkpoint, Config, Data, Eval, Lora, Model, Run, Sample, Train
from engine.config_file import write_resolved
from engine.launch import engine_environment
from engine.model_shape import ModelShape
from engine.queue import Tail
from engine.run_directory import create


def main(name: str, spec: dict[str, Any]) -> None:
    """Train one pass over the records, every example a row of its own as the peers have it, and read the events."""
    with tempfile.TemporaryDirectory(prefix="danlu-bench-") as folder:
        run = create(Path(folder), "bench")
        write_resolved(run.config, _config(name, spec, Path(folder)), {})
        began = time.time()
        with run.engine_log.open("wb") as log:
            done = subprocess.run(
                [sys.executable, "-m", "engine", str(run.path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, env=engine_environment(),
            )  # fmt: skip
        seen = Tail(run.events, events.decode).read()
        if done.returncode:
            sys.exit(run.engine_log.read_text()[-3000:] + "\n".join(str(event) for event in seen[-5:]))
    steps = [event for event in seen if isinstance(event, events.Step)]
    supervised = steps[-1].supervised_tokens
    weights = [b - a for a, b in zip([0, *[s.supervised_tokens for s in steps]], [s.supervised_tokens for s in steps], strict=False)]
    shape = ModelShape.from_config(json.loads((Path(spec["model"]) / "config.json").read_text()))
    print(json.dumps({
        "tokens": steps[-1].tokens_seen, "supervised": supervised, "seconds": sum(step.step_s for step in steps),
        "peak_gib": max(step.peak_memory_gib for step in steps), "first_step_s": steps[0].time - began,
        "loss": sum(step.loss * weight for step, weight in zip(steps, weights, strict=True)) / supervised,
        "parameters": shape.parameters - shape.embedding_parameters,
    }))  # fmt: skip


def _config(name: str, spec: dict[str, Any], folder: Path) -> Config:
    return msgspec.structs.replace(
        Config(),
        model=Model(name=spec["model"], precision=spec["precision"], quantization=spec["quantization"]),
        data=Data(path=spec["data"], eval_fraction=0.0, max_seq_length=spec["length"], packing=False, over_length="drop"),
        lora=Lora(r=spec["rank"], alpha=float(spec["alpha"]), dropout=0.0),
        train=Train(
            batch_size=spec["batch"], gradient_accumulation_steps=spec["accumulation"], learning_rate=spec["learning_rate"], num_epochs=1,
            gradient_checkpointing="on" if name.endswith("checkpointing") else "off", seed=spec["seed"],
        ),
        eval=Eval(at_start=False),
        sample=Sample(num_prompts=0, every_steps=0),
        checkpoint=Checkpoint(every_steps=0, every_minutes=0),
        run=Run(output_dir=str(folder)),
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))
