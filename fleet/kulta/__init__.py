"""The KULTA engine: one workload's way from revision to revision inside one cluster."""
