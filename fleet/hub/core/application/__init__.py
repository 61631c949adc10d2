"""An Application: may it be delivered as it is, is a run of it due, which old runs can go.

`decision.decide` is the entry. It freezes what it accepts into a run and touches no cluster.
"""
