"""What may be changed when a run is resumed: its length, its learning rate, how a step is split, and all that only watches or saves.

Data, model and adapter make the run what it is; the order of its examples follows from seed and rows a step. A moved data file may
be named anew: the engine compares its content.
"""

from collections.abc import Sequence

from engine.config import Config, fields
from engine.config_file import Document, open_document
from engine.errors import ConfigError
from engine.run_directory import RunDirectory

SECTIONS = ("eval", "sample", "checkpoint", "track")
KEYS = (
    "train.num_epochs", "train.max_steps", "train.learning_rate", "train.scheduler", "train.warmup_ratio", "train.decay_ratio",
    "train.weight_decay", "train.neftune_alpha",
    "train.max_grad_norm", "train.batch_size", "train.gradient_accumulation_steps", "train.gradient_checkpointing", "data.path",
    "data.eval_path",
)  # fmt: skip
LENGTH = ("train.num_epochs", "train.max_steps")


def changed_document(run: RunDirectory, sets: Sequence[str]) -> tuple[Document, list[str]]:
    """The run's configuration with `sets` (KEY=VALUE) applied, not yet saved, and the keys whose values are others now.

    Raises ConfigError for a key that may not change.
    """
    before = open_document(run.config).values
    document = open_document(run.config, sets)
    changed = [field.key for field in fields() if _value(before, field.key) != _value(document.values, field.key)]
    for key in changed:
        if key not in KEYS and key.partition(".")[0] not in SECTIONS:
            raise ConfigError(f"{key} cannot change when a run is resumed; start a new run, or change one of: {', '.join(KEYS)}")
    if _rows(before) != _rows(document.values):
        raise ConfigError(
            f"train.batch_size × train.gradient_accumulation_steps was {_rows(before)} and would be {_rows(document.values)}: "
            "their product is the place in the data; change both so that it stays"
        )
    return document, changed


def _value(config: Config, key: str) -> object:
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name)


def _rows(config: Config) -> int:
    return config.train.batch_size * config.train.gradient_accumulation_steps
