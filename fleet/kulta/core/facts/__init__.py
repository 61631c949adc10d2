"""What there is, in the words of those who decide.

    look       the Rollout, the world and the present, with what everybody asks of them
    traits     what others need to know of a strategy, so that nobody asks "is it canary?"
    specs      what follows from a spec alone, worked out once for each
    replicas   arithmetic of pods: shares, surge, rounding
    revisions  the ReplicaSet of each revision, its name, its labels, its number

Nothing here decides, or knows of a draft.
"""
