"""Mutation tests of the two cores (`make mutants`)."""
