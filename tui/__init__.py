"""The console and the command line. Reads what the engine writes and asks it for things; trains nothing, imports no torch."""
