"""The commands of a hub: Applications and their runs, seen, asked and foretold."""
