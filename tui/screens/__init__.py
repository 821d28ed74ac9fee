"""One screen a file, found by name (`tui.app.SCREENS`) and imported only when it is first opened."""
