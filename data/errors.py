"""Errors that a user can cure, each with the exit code the command line gives it.

This is the family's root because `data` is the lowest layer; `engine.errors` adds the engine's members.
It holds no formatting and no catching.
"""


class DanluError(Exception):
    """Something a user can cure; the text says what was wrong, where, the value seen and the cure.

    code, facts: its kind and the values in it, of a message that the console also says in other languages (`tui.error_text`).
    """

    exit_code = 1

    def __init__(self, text: str, code: str = "", **facts: object):
        super().__init__(text)
        self.code, self.facts = code, {name: str(value) for name, value in facts.items()}


class DataError(DanluError):
    """A data file, record or split that cannot be used as it is (message names file, line and field)."""

    exit_code = 2


class TemplateError(DanluError):
    """A tokenizer or chat template that is missing or renders something untrainable."""

    exit_code = 2
