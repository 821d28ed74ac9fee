"""`python -m engine.torchrun FOLDER ARGUMENTS`: PyTorch's own torchrun, which dies with its parent and writes down how workers ended."""

import os
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.kinship import die_with_parent
from engine.rank_place import LAUNCHER

FAILURES = "failures.json"


class Failure(Struct, frozen=True):
    """How a worker ended, as torchrun saw it. exit_code: negative for a signal."""

    rank: int
    pid: int
    exit_code: int


def read_failures(folder: Path) -> list[Failure]:
    """What torchrun wrote down, the first failure first; [] when it wrote nothing."""
    path = folder / FAILURES
    return msgspec.json.decode(path.read_bytes(), type=list[Failure]) if path.is_file() else []


def main(arguments: list[str]) -> int:
    """Run torchrun with the arguments behind FOLDER; 0 when every worker left with 0."""
    die_with_parent()
    if os.getppid() != int(os.environ[LAUNCHER]):
        return 1  # it ended before that tie was made
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        run.main(arguments[1:])
    except ChildFailedError as error:
        failures = sorted(error.failures.items(), key=lambda item: item[1].timestamp)
        found = [Failure(rank, failure.pid, failure.exitcode) for rank, failure in failures]
        (Path(arguments[0]) / FAILURES).write_bytes(msgspec.json.encode(found))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
