"""How fast and how frugal hub and engine are, on real control planes: `make bench`."""
