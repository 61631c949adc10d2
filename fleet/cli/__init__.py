"""Commands: one file each, registered in `main`."""
