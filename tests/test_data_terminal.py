"""The data screen in a real terminal: whatever the records hold, only bytes that draw a screen come out."""

import json

from data.reading import read_file
from tests.naughty import corpus
from tests.terminal import Terminal
from tests.whitelist import find_foreign

PAGE = 34
"""Rows of a list on 40 lines that one page goes down."""
READ = 12
"""Records opened one after another; the list shows all."""


def mojibake(shared):
    """Texts that were decoded wrongly, with their right forms."""
    paths = sorted((shared / "ftfy").glob("*.json"))
    return [case[name] for path in paths for case in json.loads(path.read_text(encoding="utf-8")) for name in ("original", "fixed")]


def test_naughty_and_garbled_records_are_listed_read_edited_and_searched_harmlessly(shared_data, tmp_path):
    """Lists, record pages, the editor and the search field show every string without obeying it, and the console lives on."""
    strings = [text for text in [*corpus(shared_data), *mojibake(shared_data)] if text.strip() and "\ud800" not in text]
    records = [{"instruction": text, "output": f"<think>{text}</think>{text}", "category": text[:9] or "-"} for text in strings]
    path = tmp_path / "naughty.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    shown = read_file(path).records
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    terminal = Terminal(["--lang", "en", "--runs-dir", "runs"], tmp_path, **state)
    terminal.wait_for("5 Runs")
    terminal.press("2")
    terminal.wait_for("bundled")
    terminal.press("o")
    terminal.wait_for("Open a data file")
    terminal.press("naughty.jsonl\r")
    terminal.wait_for(f"{len(shown):,} records")
    for page in range(1, len(shown) // PAGE):
        terminal.press(" ")
        terminal.wait_for(f"▸{1 + page * PAGE:>6}")
    terminal.press("g")
    terminal.wait_for("▸     1")
    terminal.press("\r")
    terminal.wait_for("esc back")
    for number in range(2, READ):
        terminal.press("l")
        terminal.wait_for(f"Record {number}  ")
    terminal.press("e")
    terminal.wait_for("Which field?")
    terminal.press("\r")
    terminal.wait_for("esc done")
    terminal.press("\x1b[200~[/b]\x1b]52;c;aGk=\x07\u202e\x1b[201~")
    terminal.press("\x1b")
    terminal.wait_for("The text was changed")
    terminal.press("\r")
    terminal.wait_for("1 edited")
    terminal.press("/")
    terminal.wait_for("text in any part")
    terminal.press("\x1b[200~\x9b31m\x1b[201~")
    terminal.wait_for("containing")
    terminal.press("\r")
    terminal.wait_for("⏎ read")
    terminal.press("q")

    assert terminal.process.wait(30) == 0
    terminal.close()
    assert find_foreign(terminal.raw.decode("utf-8"), is_screen=True) == ""
