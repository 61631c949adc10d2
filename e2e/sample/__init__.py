"""The application that demo and tests deliver: its image tag says how well it behaves."""
