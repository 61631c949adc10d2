"""Numbers to verdicts. For a canary: `queries` are the texts, `rounds` says when they are asked,
`thresholds` judges one number, `checks` keeps the count, `findings` says what it means for the
rollout.

For an experiment: `shares` are the texts, `experiment` says when the arms are compared and what
ends it, `significance` judges one look, `sequential` makes that hold at every look, `winner`
decides.
"""
