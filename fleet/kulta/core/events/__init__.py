"""What the world is told of a decision, in three dialects; pure: a transition in, a payload out.

`decisions` makes the transitions, `runtime.outbox` delivers what is written here. Add a dialect by
a file here and a sink in `runtime.sinks`.
"""
