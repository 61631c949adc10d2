"""A run: who goes now, who is held, who is waited for, and what is told of it.

`plan.next` is the entry: rows (absence) → requests → walk → gates (waits) → rollback → state →
report (aggregate, story). `waves` makes the plan that it follows, `membership` lets members join
it, `former` finds the run that an `undo` delivers again. It only says what each cluster shall have;
`cluster` brings it there.
"""
