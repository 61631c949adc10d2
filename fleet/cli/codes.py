"""Exit codes: what every command tells the shell, as the README has them."""

DONE = 0
FAILED = 1
"""Or refused."""
USAGE = 2
TIMED_OUT = 3
INTERRUPTED = 130
"""The shell's own code for Ctrl-C: the usual way to leave, and no failure of what was followed."""
