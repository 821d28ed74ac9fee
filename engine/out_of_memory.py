"""Which errors mean that memory ran out. What is done about it is `engine.memory_ladder`."""

import torch

WORDS = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What PyTorch writes into plain RuntimeErrors when the host's memory, or a library's workspace, is at its end."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, of the GPU or of the host, ran out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in WORDS)


def out_of_memory_words(error: BaseException) -> str:
    """What was said, without the allocator's statistics; any other error is raised again."""
    if not is_out_of_memory(error):
        raise error
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
