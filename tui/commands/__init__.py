"""The commands, one a file: `add_arguments(parser)` and `run(options) -> exit code`. Each imports only what it needs."""
