"""Edits of a data file: steps back and forth, a journal that survives a crash, a new file that reads back."""

import json
import multiprocessing
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.edit_journal import Draft, EditJournal
from data.edits import Change, Edits, Made, digest
from data.errors import DataError
from data.fields import fields, replaced, value_at
from data.reading import read_file
from data.saving import Outcome, save

RECORDS = [
    {"instruction": "什么是SM4？", "output": "<think>国密</think>分组密码。", "difficulty": 1},
    {"instruction": "What is AES?", "output": ""},
    {"instruction": "什么是SM3？", "output": "杂凑算法。"},
]


@pytest.fixture
def source(tmp_path):
    """Two usable records around one without an answer, and a line that is no JSON."""
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join([*map(json.dumps, RECORDS), '{"instruction": "half']) + "\n", encoding="utf-8")
    return path


def change(position, value=None, is_left_out=False):
    return Change(position, digest(RECORDS[position]), value, is_left_out)


def test_steps_are_taken_back_and_made_again_in_order():
    """A record is what the last step that holds says; changes made together go together."""
    edits = Edits()
    edits.make([change(0, {"a": 1})])
    edits.make([change(0, {"a": 2}), change(1, is_left_out=True)])
    edits.undo()

    assert edits.of(0).value == {"a": 1} and edits.of(1) is None
    edits.undo()
    assert edits.undo() is None and len(edits) == 0
    edits.redo()
    edits.redo()
    assert edits.redo() is None and edits.of(0).value == {"a": 2} and edits.of(1).is_left_out and edits.positions() == [0, 1]


def test_a_new_step_forgets_what_was_taken_back():
    edits = Edits()
    edits.make([change(0, {"a": 1})])
    edits.undo()
    edits.make([change(1, {"a": 2})])

    assert not edits.can_redo and edits.of(0) is None


steps = st.lists(st.one_of(st.tuples(st.integers(0, 2), st.integers(0, 3)), st.sampled_from(["undo", "redo", "saved"])), max_size=30)


@given(steps)
def test_entries_replayed_give_the_same_edits(steps):
    """What was noted is all there is to know."""
    noted = []
    edits = Edits(noted.append)
    for step in steps:
        if isinstance(step, tuple):
            edits.make([change(step[0], {"v": step[1]} if step[1] else None, step[1] == 3)])
        else:
            {"undo": edits.undo, "redo": edits.redo, "saved": lambda: edits.mark_saved("x")}[step]()
    again = Edits()
    again.replay(noted)

    assert [again.of(n) for n in range(3)] == [edits.of(n) for n in range(3)]
    assert (again.is_unsaved, again.can_undo, again.can_redo) == (edits.is_unsaved, edits.can_undo, edits.can_redo)


def test_journal_gives_back_what_was_noted_even_after_a_torn_write(tmp_path, source):
    """What a crash left of the last entry is cut off, and the next console writes on behind it."""
    journal = EditJournal(tmp_path / "edits", source)
    edits = Edits(journal.note)
    edits.make([change(0, {"a": "甲"})])
    edits.make([change(1, is_left_out=True)])
    os.close(journal._fd)
    with journal.path.open("ab") as file:
        file.write(b'{"type":"made","chan')
    later = EditJournal(tmp_path / "edits", source)
    again = Edits(later.note)
    again.replay(later.entries())
    again.undo()

    assert again.of(0).value == {"a": "甲"} and again.of(1) is None
    final = Edits()
    final.replay(EditJournal(tmp_path / "edits", source).entries())
    assert final.of(0).value == {"a": "甲"} and final.of(1) is None


def test_a_saved_journal_offers_nothing_and_is_removed(tmp_path, source):
    journal = EditJournal(tmp_path / "edits", source)
    edits = Edits(journal.note)
    edits.make([change(0, {"a": 1})])
    edits.mark_saved("out.jsonl")

    assert journal.entries() == [] and not edits.is_unsaved
    journal.close()
    assert not journal.path.exists()


def test_draft_is_there_until_it_is_taken(tmp_path, source):
    journal = EditJournal(tmp_path / "edits", source)
    draft = Draft(2, ("output",), "写到一半", digest(RECORDS[2]))
    journal.note_draft(draft)

    assert EditJournal(tmp_path / "edits", source).draft() == draft
    journal.note_draft(None)
    assert journal.draft() is None


def _hold(folder, source, held, release):
    EditJournal(folder, source).note(Made((change(0, {"a": 1}),)))
    held.set()
    release.wait()


def test_one_console_edits_a_file_at_a_time(tmp_path, source):
    """The second one is told, and does not mix its steps into the first one's."""
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "edits", source, held, release))
    other.start()
    held.wait()
    journal = EditJournal(tmp_path / "edits", source)

    assert journal.is_held_elsewhere()
    with pytest.raises(DataError, match="another console"):
        journal.note(Made((change(2, is_left_out=True),)))
    release.set()
    other.join()
    assert not journal.is_held_elsewhere() and len(journal.entries()) == 1


def test_saved_file_reads_back_with_the_edits_and_the_source_is_untouched(tmp_path, source):
    """Changed and left-out records, an unusable one that was mended, one that was not; the broken line is counted."""
    before = source.read_bytes()
    dataset = read_file(source)
    edits = Edits()
    edits.make([change(1, {**RECORDS[1], "output": "A block cipher."}), change(2, is_left_out=True)])
    outcome = save(dataset, edits, tmp_path / "out.jsonl")
    saved = read_file(tmp_path / "out.jsonl")

    assert outcome == Outcome(records=2, changed=1, left_out=1, lost=1) and saved.invalid == 0
    assert [record.raw for record in saved.records] == [RECORDS[0], {**RECORDS[1], "output": "A block cipher."}]
    assert source.read_bytes() == before and sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


@pytest.mark.parametrize("name", ["out.json", "out.jsonl"])
@pytest.mark.parametrize(
    "source_name", ["cipher_thinking.jsonl", "huanhuan.json", "sharegpt_zh_1K_format.jsonl", "glaive_toolcall_zh_demo.json"]
)
def test_every_layout_is_saved_as_it_was_read(shared_data, tmp_path, name, source_name):
    """An array or JSON lines by the name; the records are the same."""
    dataset = read_file(shared_data / source_name)
    save(dataset, Edits(), tmp_path / name)
    saved = read_file(tmp_path / name)

    assert [record.raw for record in saved.records] == [record.raw for record in dataset.records]
    assert (tmp_path / name).read_bytes()[:1] == (b"[" if name == "out.json" else b"{")


def test_nothing_is_written_over_unasked(tmp_path, source):
    """Neither a file that is there nor, in any way, the file being edited; a link to it is the file itself."""
    dataset = read_file(source)
    there, link = tmp_path / "there.jsonl", tmp_path / "link.jsonl"
    there.write_text("mine")
    link.symlink_to(source)

    with pytest.raises(DataError, match="is there already"):
        save(dataset, Edits(), there)
    for name in (source, link):
        with pytest.raises(DataError, match="never changed"):
            save(dataset, Edits(), name, overwrite=True)
    assert there.read_text() == "mine"
    save(dataset, Edits(), there, overwrite=True)
    assert len(read_file(there).records) == 2


def test_a_save_that_is_stopped_leaves_nothing(tmp_path, source):
    class Stop(Exception):
        pass

    def stop(done, total):
        raise Stop

    with pytest.raises(Stop):
        save(read_file(source), Edits(), tmp_path / "out.jsonl", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.text())
def test_replacing_one_field_changes_that_field_alone(raw, text):
    """The path of every field leads to it; a text becomes the new one."""
    before = json.dumps(raw)
    for path, _ in fields(raw):
        if path and isinstance(value_at(raw, path), str):
            new = replaced(raw, path, text)
            assert value_at(new, path) == text
            assert [pair for pair in fields(new) if pair[0] != path] == [pair for pair in fields(raw) if pair[0] != path]
    assert json.dumps(raw) == before


def test_a_number_stays_a_number():
    assert replaced({"difficulty": 1}, ("difficulty",), "2") == {"difficulty": 2}
    assert replaced({"difficulty": 1}, ("difficulty",), "hard") == {"difficulty": "hard"}
