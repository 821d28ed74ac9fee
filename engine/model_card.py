"""The README.md of a merged model: what it was made from, how, and what came of it. Holds nothing of the machine it was made on.

Torch-free, English (the language of model pages). It says only what the run itself wrote down.
"""

from importlib.metadata import version
from pathlib import Path

from engine import events
from engine.config import Config
from engine.model_source import DEMO
from engine.queue import Tail
from engine.redaction import redact
from engine.run_directory import RunDirectory

DEMO_BASE, DEMO_LICENSE = "HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0"


def model_card(run: RunDirectory, config: Config, step: int, base: Path, merging: str) -> str:
    """Markdown with the front matter that hubs read. base: its folder here.  merging: a sentence on how the weights were merged."""
    name, is_public = base_name(config.model.name)
    license = base_license(config.model.name, base)
    head = ["---", *([f"base_model: {name}"] if is_public else []), *([f"license: {license}"] if license else [])]
    head += ["library_name: transformers", "pipeline_tag: text-generation", "tags:", "- lora", "- danlu", "---"]
    rows = {
        "base model": f"{name}{_revision(config, base)}",
        "licence of the base": license or ("its LICENSE is in this folder" if any(base.glob("LICENSE*")) else "see its own page"),
        "data": _data(run, config),
        "evaluation loss": _losses(run, step),
        "adapter": _adapter(config),
        "training": _training(config, step),
        "merging": merging,
        "made with": f"danlu {version('danlu')}",
    }
    text = [
        *head, "", f"# {_cell(run.name)}", "", f"{_cell(name)}, fine-tuned with LoRA; the adapter is merged into these weights.", "",
        "| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in rows.items()), "", "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer", "",
        'model, tokenizer = (kind.from_pretrained("FOLDER") for kind in (AutoModelForCausalLM, AutoTokenizer))', "```", "",
    ]  # fmt: skip
    return redact("\n".join(text))


def base_name(name: str) -> tuple[str, bool]:
    """How others know the base, and whether a hub does: of a folder or file only the last part of its path."""
    if name == DEMO:
        return DEMO_BASE, True
    return (Path(name).name, False) if Path(name).is_absolute() or name.endswith(".gguf") else (name, True)


def base_license(name: str, base: Path) -> str:
    """As hubs call it, from the front matter of the base's own model card; "" when that is not here or does not say."""
    if name == DEMO:
        return DEMO_LICENSE
    if not (base / "README.md").is_file():
        return ""
    head = (base / "README.md").read_text(encoding="utf-8", errors="replace").split("---")[1:2]
    lines = head[0].splitlines() if head else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("license:")), "")


def _revision(config: Config, base: Path) -> str:
    """The commit that a hub's cache holds, else what was asked for."""
    found = base.name if base.parent.name == "snapshots" else config.model.revision
    return f", revision {found}" if found else ""


def _data(run: RunDirectory, config: Config) -> str:
    """The file's name and how many of its records were used for what."""
    file = Path(config.data.path).name
    found = [event for event in _read(run) if isinstance(event, events.DataSummary)]
    return f"{file}: {found[-1].train_examples} examples trained on, {found[-1].eval_examples} held out" if found else file


def _losses(run: RunDirectory, step: int) -> str:
    """Before the first step and at the last evaluation up to `step`."""
    evals = {event.step: event.loss for event in _read(run) if isinstance(event, events.Eval) and event.step <= step}
    if not evals:
        return "not measured"
    last = max(evals)
    told = [f"{evals[0]:.3f} before"] if 0 in evals else []
    told += [f"{evals[last]:.3f} after step {last}"] if last else []
    return " → ".join(told) + " (nats a token; of the adapter, before it was merged)"


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
