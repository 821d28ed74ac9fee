"""The line of progress of a long command, where stderr is no terminal."""

from tui.progress_line import ProgressLine


def test_a_piped_line_of_progress_is_never_told_twice(capsys):
    """Work that says more than once that it is done has one last line."""
    line = ProgressLine()
    for done, detail in ((0, "reading"), (10, "reading"), (10, "reading"), (10, "comparing"), (10, "comparing")):
        line.tell(done, 10, detail)
    line.close()

    assert capsys.readouterr().err.splitlines() == ["reading", "reading  100 %", "comparing  100 %"]
