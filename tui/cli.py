"""The command line: finds the command, gives it its options, turns whatever goes wrong into one message and an exit code.

What commands do is in `tui.commands`, a file each. Only the module of a command that is named gets imported, so that
`danlu --help` and `danlu runs` start without textual.
"""

import argparse
import errno
import importlib
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from types import ModuleType

from data.errors import DanluError
from tui import crash, output
from tui.columns import wrap
from tui.error_text import error_text
from tui.gate import safe_lines
from tui.texts import set_language, tr

COMMANDS = ("demo", "train", "runs", "attach", "stop", "resume", "logs", "doctor", "inspect", "split", "terms", "plan", "eval", "chat",
            "export", "fetch", "make-data", "launch-files")  # fmt: skip
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `danlu` with `arguments` (default: the process's own) and return its exit code. Wrong usage is SystemExit(2)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    output.make_unbreakable()
    set_language(_wanted_language(arguments))
    try:
        options = build_parser(arguments).parse_args(arguments)
        return command_module(options.command or "console").run(options)
    except DanluError as error:
        output.complain(safe_lines(error_text(error)))
        return error.exit_code
    except KeyboardInterrupt:
        output.complain(tr("cli.interrupted"))
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return 1
    except OSError as error:
        output.complain(safe_lines(_explain(error)))
        return 1
    except Exception as error:
        output.complain(crash.tell(error))
        return 1


def command_module(name: str) -> ModuleType:
    """The module of a command; a dash in its name is an underscore there."""
    return importlib.import_module(f"tui.commands.{name.replace('-', '_')}")


def build_parser(named: Collection[str]) -> argparse.ArgumentParser:
    """The parser of `danlu`; of the commands, those in `named` know their arguments."""
    parser = _new_parser("danlu", tr("cli.description"), tr("cli.epilog"))
    parser.add_argument("--version", action=_Version, nargs=0, help=tr("cli.option.version"))
    _add_common(parser, lang="auto", ascii=not output.speaks_unicode(), runs_dir=None)
    commands = parser.add_subparsers(title=tr("cli.title.commands"), dest="command", metavar="COMMAND", parser_class=_Parser)
    for name in COMMANDS:
        summary = tr(f"cli.command.{name}")
        command = commands.add_parser(name, help=summary, description=summary, add_help=False, formatter_class=_Formatter)
        _name_groups(command)
        if name in named:
            command_module(name).add_arguments(command)
            # The same options behind the command; absent there, what was said before it holds.
            _add_common(command, lang=argparse.SUPPRESS, ascii=argparse.SUPPRESS, runs_dir=argparse.SUPPRESS)
    return parser


def _new_parser(prog: str, description: str, epilog: str) -> "_Parser":
    parser = _Parser(prog=prog, description=description, epilog=epilog, add_help=False, formatter_class=_Formatter)
    _name_groups(parser)
    return parser


def _name_groups(parser: argparse.ArgumentParser) -> None:
    """argparse's own group titles and help text, in the user's language; it offers no public way to name them."""
    parser._positionals.title, parser._optionals.title = tr("cli.title.arguments"), tr("cli.title.options")
    parser.add_argument("-h", "--help", action="help", help=tr("cli.option.help"))


def _add_common(parser: argparse.ArgumentParser, **defaults: object) -> None:
    parser.add_argument("--lang", choices=("auto", "en", "zh"), default=defaults["lang"], help=tr("cli.option.lang"))
    parser.add_argument("--ascii", action="store_true", default=defaults["ascii"], help=tr("cli.option.ascii"))
    parser.add_argument("--runs-dir", metavar="DIR", type=Path, default=defaults["runs_dir"], help=tr("cli.option.runs_dir"))


class _Parser(argparse.ArgumentParser):
    """Wrong usage as one message with the way to the help, instead of the whole usage."""

    def error(self, message: str) -> None:
        output.complain(safe_lines(f"{message}; see `{self.prog} --help`"))
        self.exit(2)


class _Formatter(argparse.HelpFormatter):
    """Help wrapped by terminal cells, so that Chinese fits too."""

    def add_usage(self, usage, actions, groups, prefix=None) -> None:
        super().add_usage(usage, actions, groups, tr("cli.title.usage") if prefix is None else prefix)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrap(text, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in wrap(text, width))


class _Version(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None) -> None:
        import importlib.metadata

        output.show(f"danlu {importlib.metadata.version('danlu')}")
        parser.exit(0)


def _wanted_language(arguments: Sequence[str]) -> str:
    """--lang, before anything is parsed, because the help itself speaks it."""
    found = "auto"
    for name, value in zip(arguments, [*arguments[1:], ""], strict=False):
        if name == "--lang":
            found = value
        elif name.startswith("--lang="):
            found = name.partition("=")[2]
    return found


def _explain(error: OSError) -> str:
    """The path and the reason, with a cure for the usual ones."""
    where = f"{error.filename}: " if error.filename else ""
    cures = {errno.ENOSPC: "; free some space", errno.EACCES: "; check its permissions", errno.EROFS: "; choose another folder"}
    return f"{where}{error.strerror or error}{cures.get(error.errno or 0, '')}"


def _forget_stdout() -> None:
    """The reader of our output has gone; nothing may fail once more when Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
