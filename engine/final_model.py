"""The result of a run: an adapter peft loads, with the tokenizer and generation settings it was trained for."""

import json
import shutil
from pathlib import Path

from peft import PeftModel

from engine.checkpoint import adapter_bytes, save_adapter
from engine.initialisation import Start
from engine.manifest import write_verified
from engine.run_directory import RunDirectory

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
    "tokenizer.model", "chat_template.jinja", "generation_config.json",
)  # fmt: skip


def save_final_model(run: RunDirectory, model: PeftModel, base_folder: Path, facts: dict[str, str], start: Start | None = None) -> int:
    """Write `final_model/` atomically and return its bytes. start: as in `save_checkpoint`. Raises EnvironmentFault."""

    def write(folder: Path) -> None:
        save_adapter(model, folder, start)
        for name in TOKENIZER_FILES:
            if (base_folder / name).is_file():
                shutil.copyfile(base_folder / name, folder / name)
        (folder / "training.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")

    return write_verified(run.final_model, write, adapter_bytes(model, start) + (16 << 20), dict(facts))
