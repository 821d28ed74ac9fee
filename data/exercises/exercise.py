"""An exercise, and what a family of exercises is made of.

The working, the answer and the wording of an exercise follow from its parameters; drawing those is the only thing left to dice.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct

from data.exercises.answer import Value, statement
from data.exercises.dice import Dice

LEVELS = (1, 2, 3, 4, 5)
PARTS = ("train", "test")
TEST_SHARE = 10
"""One exercise in so many is a test exercise."""

SYSTEM = "你是一位严谨的密码学助教，先思考再回答。"
Parameters = dict[str, Any]


class Solution(NamedTuple):
    """steps: lines of working.  values: what is asked for.  remark: a closing sentence, '' where there is nothing to add."""

    steps: list[str]
    values: tuple[Value, ...]
    remark: str = ""


class Family(NamedTuple):
    """One kind of exercise.

    draw: parameters of a level (1 to 5), all JSON values.  solve: parameters to solution, exact and without dice.
    phrasings: questions with the parameters' names in braces; the line that says how to answer is added to each.
    prepare: parameters as a question shows them, where that differs.
    """

    name: str
    category: str
    draw: Callable[[Dice, int], Parameters]
    solve: Callable[[Parameters], Solution]
    phrasings: tuple[str, ...]
    prepare: Callable[[Parameters], Parameters] = dict


class Exercise(Struct, frozen=True):
    """One exercise as it stands in a data file: an alpaca record with what a grader needs beside it."""

    instruction: str
    input: str
    output: str
    system: str
    difficulty: int
    category: str
    family: str
    part: str
    id: str
    parameters: Parameters
    expected: tuple[Value, ...]


def compose(family: Family, level: int, parameters: Parameters, phrasing: int = 0) -> Exercise:
    """The exercise that `parameters` make, asked in the given way."""
    solution = family.solve(parameters)
    identity = identify(family.name, parameters)
    question = family.phrasings[phrasing % len(family.phrasings)].format(**family.prepare(parameters))
    working = "\n".join(solution.steps)
    answer = "\n".join(line for line in (solution.remark, statement(solution.values)) if line)
    return Exercise(
        instruction=f"{question}\n{_form(solution.values)}",
        input="",
        output=f"<thinking>\n{working}\n</thinking>\n\n{answer}",
        system=SYSTEM,
        difficulty=level,
        category=family.category,
        family=family.name,
        part=part_of(identity),
        id=identity,
        parameters=parameters,
        expected=solution.values,
    )


def identify(family: str, parameters: Parameters) -> str:
    """16 hexadecimal digits that are the same for the same exercise on any machine, whatever its wording and the seed."""
    canonical = json.dumps([family, parameters], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def part_of(identity: str) -> str:
    """train or test, by the exercise's identity alone: no seed and no later version moves an exercise across."""
    return "test" if int(identity, 16) % TEST_SHARE == 0 else "train"


def _form(values: tuple[Value, ...]) -> str:
    """How the last line of an answer should look."""
    return "最后一行写：答案：" + "，".join(f"{value.name} = …" for value in values)
