"""One cluster of a run: what is written into its member, and where it stands.

`dispatch.decide` is the entry: writes (fence) → ownership, inventory → assessment, standing, and
`removal` at the end. What it says of a cluster is all that a run knows of it.
"""
