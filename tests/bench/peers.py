"""One run of a peer for the training bench, as its documentation says it is used: `python -m tests.bench.peers NAME SPEC`."""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STARTED = time.time()

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from datasets.table import InMemoryTable  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from engine.forecast import CUDA_RUNTIME_GIB, GIB  # noqa: E402


class Clock(TrainerCallback):
    """Seconds inside optimiser steps, and when the first one was done."""

    seconds = 0.0
    first = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds += time.perf_counter() - self._began
        self.first = self.first or time.time() - STARTED


def main(name: str, spec: dict[str, Any]) -> None:
    """Train one pass over the records and print one JSON line."""
    torch.set_num_threads(spec["threads"])
    tokenizer = AutoTokenizer.from_pretrained(spec["model"])
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    records = [json.loads(line) for line in Path(spec["data"]).read_text(encoding="utf-8").splitlines()]
    examples = [example for record in records if len((example := _tokenised(tokenizer, record))["input_ids"]) <= spec["length"]]
    lora = LoraConfig(
        r=spec["rank"], lora_alpha=spec["alpha"], lora_dropout=0.0, bias="none", target_modules="all-linear", task_type="CAUSAL_LM"
    )
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="danlu-bench-") as folder:
        make = _trl if name.startswith("trl") else _trainer
        trainer = make(spec, examples, tokenizer, lora, _arguments(name, spec, folder))
        trainer.add_callback(clock)
        loss = trainer.train().training_loss
    parameters = sum(p.numel() for n, p in trainer.model.named_parameters() if "lora_" not in n and "embed" not in n and "lm_head" not in n)
    print(json.dumps({
        "tokens": sum(len(example["input_ids"]) for example in examples),
        "supervised": sum(label != -100 for example in examples for label in example["labels"]),
        "seconds": clock.seconds, "first_step_s": clock.first, "loss": loss, "parameters": parameters,
        "peak_gib": _peak_gib(),
    }))  # fmt: skip


def _peak_gib() -> float:
    """As `engine.pressure.peak_gib` tells Danlu's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved() / GIB + CUDA_RUNTIME_GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _tokenised(tokenizer: Any, record: dict[str, str]) -> dict[str, list[int]]:
    """The conversation with labels on the answer and its end token only."""
    question = {"role": "user", "content": record["instruction"] + ("\n" + record["input"] if record["input"] else "")}
    prompt = tokenizer.apply_chat_template([question], add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template([question, {"role": "assistant", "content": record["output"]}], tokenize=False)
    ids, skipped = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (whole, prompt))
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [-100] * len(skipped) + ids[len(skipped) :]}


def _arguments(name: str, spec: dict[str, Any], folder: str) -> dict[str, Any]:
    return {
        "output_dir": folder, "per_device_train_batch_size": spec["batch"], "gradient_accumulation_steps": spec["accumulation"],
        "learning_rate": spec["learning_rate"], "num_train_epochs": 1, "max_grad_norm": 1.0, "lr_scheduler_type": "cosine",
        "warmup_steps": 0.03, "optim": "adamw_torch_fused", "gradient_checkpointing": name.endswith("checkpointing"), "seed": spec["seed"],
        "bf16": spec["precision"] == "bf16", "use_cpu": not torch.cuda.is_available(), "report_to": [], "save_strategy": "no",
        "logging_strategy": "no", "disable_tqdm": True, "use_liger_kernel": "liger" in name,
    }  # fmt: skip


def _model(spec: dict[str, Any]) -> Any:
    kind = torch.bfloat16 if spec["precision"] == "bf16" else torch.float32
    return AutoModelForCausalLM.from_pretrained(spec["model"], dtype=kind, attn_implementation="sdpa")


def _dataset(rows: list[dict[str, list[int]]]) -> Dataset:
    """`Dataset.from_list` with a name given for the fingerprint, because this pyarrow's tables cannot be pickled to compute one."""
    return Dataset(InMemoryTable.from_pylist(rows), fingerprint="bench")


def _trainer(spec: dict[str, Any], examples: list[Any], tokenizer: Any, lora: LoraConfig, arguments: dict[str, Any]) -> Trainer:
    model = get_peft_model(_model(spec), lora)
    if arguments["gradient_checkpointing"]:
        model.enable_input_require_grads()
    return Trainer(
        model=model, args=TrainingArguments(**arguments), train_dataset=_dataset(examples),
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True, label_pad_token_id=-100),
    )  # fmt: skip


def _trl(spec: dict[str, Any], examples: list[Any], tokenizer: Any, lora: LoraConfig, arguments: dict[str, Any]) -> Trainer:
    from trl import SFTConfig, SFTTrainer

    return SFTTrainer(
        model=_model(spec), args=SFTConfig(**arguments, max_length=spec["length"], packing=False,
                                           dataset_kwargs={"skip_prepare_dataset": True}),
        train_dataset=_dataset(examples), processing_class=tokenizer, peft_config=lora,
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))
