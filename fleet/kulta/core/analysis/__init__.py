"""Numbers to verdicts.

For a canary:

    queries       the texts
    rounds        when they are asked
    thresholds    one number to one verdict
    checks        the count of them
    findings      what it means for the rollout

For an experiment:

    shares        the texts
    experiment    when the arms are compared, and what ends it
    significance  one look
    sequential    what makes that hold at every look
    winner        who it is
"""
