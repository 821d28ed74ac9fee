"""What may be changed when a run is resumed: its length, its learning rate, its batch, its processes, and all that only watches or saves.

Data, model, adapter and seed make the run what it is; the order of its examples follows from them and goes on where it was under
another batch. A moved data file may be named anew: the engine compares its content.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.config import Config, fields
from engine.config_file import Document, open_document
from engine.errors import ConfigError
from engine.run_directory import RunDirectory

SECTIONS = ("eval", "sample", "checkpoint", "track", "parallel")
KEYS = (
    "train.num_epochs", "train.max_steps", "train.learning_rate", "train.scheduler", "train.warmup_ratio", "train.decay_ratio",
    "train.weight_decay", "train.neftune_alpha",
    "train.max_grad_norm", "train.batch_size", "train.gradient_accumulation_steps", "train.gradient_checkpointing", "data.path",
    "data.eval_path",
)  # fmt: skip
LENGTH = ("train.num_epochs", "train.max_steps")


@dataclass(frozen=True)
class Change:
    """before, after: as a person types them; setting the one again undoes the other."""

    key: str
    before: str
    after: str


def changed_document(run: RunDirectory, sets: Sequence[str]) -> tuple[Document, list[Change]]:
    """The run's configuration with `sets` (KEY=VALUE) applied, not yet saved, and what is otherwise by it.

    Raises ConfigError for a key that may not change.
    """
    open_before = open_document(run.config)
    before, document = open_before.values, open_document(run.config, sets)
    changed = [field.key for field in fields() if _value(before, field.key) != _value(document.values, field.key)]
    for key in changed:
        if key not in KEYS and key.partition(".")[0] not in SECTIONS:
            raise ConfigError(f"{key} cannot change when a run is resumed; start a new run, or change one of: {', '.join(KEYS)}")
    return document, [Change(key, open_before.typed(key), document.typed(key)) for key in changed]


def length_of(run: RunDirectory) -> tuple[str, str]:
    """The key that says how long `run` goes, and its value as a person types it. Raises ConfigError."""
    document = open_document(run.config)
    key = "train.max_steps" if document.values.train.max_steps else "train.num_epochs"
    return key, document.typed(key)


def _value(config: Config, key: str) -> object:
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name)
