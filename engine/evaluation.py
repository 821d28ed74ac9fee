"""Loss and accuracy over the evaluation set: token-weighted, by part, in a fixed order, without touching any random state."""

import math
import time
from collections.abc import Callable, Sequence

from data.examples import Example
from data.packing import pack
from engine import events
from engine.batches import build_micro_batch
from engine.loading import LoadedModel
from engine.ranks import ALONE, Ranks
from engine.share import share_of_step
from engine.train_step import part_sums, read_sums, score


def evaluate(
    model: LoadedModel,
    examples: Sequence[Example],
    *,
    step: int,
    row_length: int,
    interrupted: Callable[[], bool],
    progress: Callable[[int, int], None],
    ranks: Ranks = ALONE,
) -> events.Eval | None:
    """The evaluation event after `step`, or None when `interrupted` asked to give up.

    Rows of at most `row_length` tokens, or one longer example, are evaluated one at a time, shared by the ranks, and nothing is kept for
    a backward: where a training step passes as many tokens at once, it needs less memory than that.
    """
    began = time.perf_counter()
    lengths = [len(example.ids) for example in examples]
    packed = pack(lengths, range(len(examples)), row_length)
    rows = share_of_step(packed, examples, 1, ranks.rank, ranks.size)
    nats, right = [], []
    model.peft.eval()
    try:
        for done, row in enumerate(rows):
            if interrupted():
                return None
            progress(done, len(rows))
            batch = build_micro_batch(row, model.device)
            losses, is_right = score(model, batch)
            nats.append(part_sums(losses, batch.is_thinking))
            right.append(part_sums(is_right, batch.is_thinking))
    finally:
        model.peft.train()
    loss, accuracy = read_sums(nats, ranks), read_sums(right, ranks)
    return events.Eval(
        step=step,
        loss=loss.mean,
        thinking_loss=loss.thinking_mean,
        answer_loss=loss.answer_mean,
        perplexity=math.exp(min(loss.mean, 50.0)),
        accuracy=accuracy.mean,
        thinking_accuracy=accuracy.thinking_mean,
        answer_accuracy=accuracy.answer_mean,
        supervised_tokens=loss.tokens,
        examples=len(examples),
        seconds=time.perf_counter() - began,
    )
