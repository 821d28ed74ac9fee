"""The keys of the data screen: those that move around in a file, and those that do something with it."""

from tui.keymap import bind

BROWSING = [
    bind("escape,backspace", "back", "data.keys.back"),
    bind("right", "step(1)", "data.keys.next", shown_as="← →"),
    bind("l,n", "step(1)", "data.keys.next", show=False),
    bind("left,h,b", "step(-1)", "data.keys.previous", show=False),
    bind("slash", "search", "data.keys.search"),
    bind("f", "filter", "data.keys.filter"),
    bind("left_square_bracket", "cutoff(-1)", "data.keys.shorter", shown_as="[ ]"),
    bind("right_square_bracket", "cutoff(1)", "data.keys.longer", show=False),
    bind("c", "page('lengths')", "data.keys.lengths"),
    bind("t", "page('tokens')", "data.keys.tokens"),
    bind("s", "page('summary')", "data.keys.summary", show=False),
    bind("p", "page('split')", "data.keys.split", show=False),
    bind("v", "fold", "data.keys.fold", show=False),
    bind("d", "alike", "data.keys.alike", show=False),
    bind("D", "groups", "data.keys.groups", show=False),
]
DOING = [
    bind("o", "open_file", "data.keys.open"),
    bind("e", "edit", "data.keys.edit"),
    bind("m", "fix", "data.keys.fix", show=False),
    bind("x", "leave_out", "data.keys.leave_out"),
    bind("u", "undo", "data.keys.undo"),
    bind("w", "save", "data.keys.save"),
    bind("i", "stop", "data.keys.stop"),
    bind("U,ctrl+r", "redo", "data.keys.redo", show=False),
    bind("M", "fix_shown", "data.keys.fix_shown", show=False),
    bind("X", "leave_out_shown", "data.keys.leave_out_shown", show=False),
    bind("a", "use", "data.keys.use", show=False),
    bind("r", "reload", "data.keys.reload", show=False),
]
