"""What a person may still do when memory runs out with everything given up that leaves the result as it is: commands, ready to be typed.

A run cannot go on with shorter examples or 4-bit weights, which make it another run; so these start one beside it.
When memory runs out, and what is given up first, is `engine.memory_ladder`.
"""

import shlex
from collections.abc import Sequence

from engine.config import Config
from engine.host import read_versions
from engine.run_directory import RunDirectory

NAME_CHARACTERS = 54
"""Of the run's name in that of the new one; 64 are allowed."""


def ways_out(run: RunDirectory, config: Config, longest: int, lengths: Sequence[int]) -> str:
    """The choices and their commands, what costs least first. longest: tokens that pass through the model at once.  lengths: of each
    training example."""
    length, ways = longest // 2, []
    if config.train.gradient_checkpointing == "off":
        command = f"danlu resume {shlex.quote(str(run.path))} --set train.gradient_checkpointing=auto"
        ways.append(f"recompute activations, about a third slower: {command}")
    if kept := sum(tokens <= length for tokens in lengths):
        command = _anew(run, length, f"data.max_seq_length={length}")
        ways.append(f"only the {kept} of {len(lengths)} examples up to {length} tokens: {command}")
    if config.model.quantization != "nf4" and config.lora.init == "default":
        needs = "" if read_versions()["bitsandbytes"] else " (after pip install bitsandbytes)"
        ways.append(f"the base in 4 bits{needs}: {_anew(run, 'nf4', 'model.quantization=nf4')}")
    return "; ".join(ways) or "take a smaller model"


def _anew(run: RunDirectory, suffix: object, change: str) -> str:
    """The command that starts the run's configuration as a new run with one change."""
    return f"danlu train {shlex.quote(str(run.config))} --name {run.name[:NAME_CHARACTERS]}-{suffix} --set {change}"
