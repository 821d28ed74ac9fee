"""The README.md of an export, merged or the adapter alone: what it was made from, how, and what came of it.

Holds nothing of the machine it was made on.

Torch-free, English (the language of model pages). It says only what the run itself wrote down.
"""

import json
from importlib.metadata import version
from pathlib import Path

from engine import events
from engine.base_license import License, find_license
from engine.config import Config
from engine.model_source import DEMO, DEMO_FILE, DEMO_LICENSE, hub_name
from engine.queue import Tail
from engine.redaction import redact
from engine.run_directory import RunDirectory

MERGED = """model, tokenizer = (kind.from_pretrained("FOLDER") for kind in (AutoModelForCausalLM, AutoTokenizer))"""
ALONE = """base = AutoModelForCausalLM.from_pretrained("{base}"{revision})
model, tokenizer = PeftModel.from_pretrained(base, "FOLDER"), AutoTokenizer.from_pretrained("{base}")"""


def model_card(run: RunDirectory, config: Config, step: int, base: Path | None, merging: str = "") -> str:
    """Markdown with the front matter that hubs read.

    base: its folder, None where it is not here.  merging: a sentence on how the weights were merged, "" for the adapter alone.
    """
    hub, revision = hub_name(config.model, base)
    name = hub or Path(config.model.name).name
    license = base_license(config, base)
    head = ["---", *([f"base_model: {hub}"] if hub else []), *(f"{key}: {json.dumps(value)}" for key, value in license.fields.items())]
    head += [f"library_name: {'transformers' if merging else 'peft'}", "pipeline_tag: text-generation", "tags:", "- lora", "- danlu", "---"]
    what = "the adapter is merged into these weights" if merging else "this is the adapter alone, without its base"
    rows = {
        "base model": name + (f", revision {revision}" if revision else "") + _converted(config),
        "licence of the base": license.sentence,
        "data": _data(run, config),
        "evaluation loss": _losses(run, step, bool(merging)),
        "adapter": _adapter(config),
        "training": _training(config, step),
        **({"merging": merging} if merging else {}),
        "made with": f"danlu {version('danlu')}",
    }
    text = [
        *head, "", f"# {_cell(run.name)}", "", f"{_cell(name)}, fine-tuned with LoRA; {what}.", "",
        "| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in rows.items()), "", *_loading(name, hub, revision, merging),
    ]  # fmt: skip
    return redact("\n".join(text))


def base_license(config: Config, base: Path | None) -> License:
    """Of the demo it is known, of another what its folder says."""
    if config.model.name == DEMO:
        return License({"license": DEMO_LICENSE}, ())
    return find_license(base) if base else License({}, ())


def _loading(name: str, hub: str, revision: str, merging: str) -> list[str]:
    """How it is loaded; of a base that no hub has the reader has to know where it is."""
    if merging:
        return ["```python", "from transformers import AutoModelForCausalLM, AutoTokenizer", "", MERGED, "```", ""]
    alone = ALONE.format(base=hub or f"FOLDER OF {name}", revision=f', revision="{revision}"' if revision else "")
    return ["```python", "from peft import PeftModel", "from transformers import AutoModelForCausalLM, AutoTokenizer", "", alone, "```", ""]


def _converted(config: Config) -> str:
    """Of a base that was a GGUF file: its weights are those of the file, which rounded the ones of its hub."""
    file = DEMO_FILE if config.model.name == DEMO else Path(config.model.name).name
    return f", as the weights of {file}" if file.endswith(".gguf") else ""


def _data(run: RunDirectory, config: Config) -> str:
    """The file's name and how many of its records were used for what."""
    file = Path(config.data.path).name
    found = [event for event in _read(run) if isinstance(event, events.DataSummary)]
    return f"{file}: {found[-1].train_examples} examples trained on, {found[-1].eval_examples} held out" if found else file


def _losses(run: RunDirectory, step: int, is_merged: bool) -> str:
    """Before the first step and at the last evaluation up to `step`."""
    evals = {event.step: event.loss for event in _read(run) if isinstance(event, events.Eval) and event.step <= step}
    if not evals:
        return "not measured"
    last = max(evals)
    told = [f"{evals[0]:.3f} before"] if 0 in evals else []
    told += [f"{evals[last]:.3f} after step {last}"] if last else []
    return " → ".join(told) + (" (nats a token; of the adapter, before it was merged)" if is_merged else " (nats a token)")


def _adapter(config: Config) -> str:
    lora = config.lora
    targets = lora.target_modules if isinstance(lora.target_modules, str) else ", ".join(lora.target_modules)
    begun = "" if lora.init == "default" else f", begun as {lora.init}"
    return f"{lora.variant}, r {lora.r}, alpha {lora.alpha:g}, dropout {lora.dropout:g}, on {targets}{begun}"


def _training(config: Config, step: int) -> str:
    train, base = config.train, config.model.quantization
    rows = train.batch_size * train.gradient_accumulation_steps
    quantized = "" if base == "none" else f", on the base in {base}"
    return (
        f"{step} steps of {rows} rows up to {config.data.max_seq_length} tokens, {train.optimizer}, learning rate {train.learning_rate:g} "
        f"({train.scheduler}), seed {train.seed}{quantized}"
    )


def _read(run: RunDirectory) -> list[events.Event | events.Unknown]:
    tail, found = Tail(run.events, events.decode), []
    while batch := tail.read():
        found += [event for event in batch if isinstance(event, events.DataSummary | events.Eval)]
    return found


def _cell(text: str) -> str:
    """`text` in one cell of a table."""
    return " ".join(text.replace("|", "\\|").split())
