"""What the status remembers from look to look.

    decisions  the diary: each move with its number, and who has been told of it
    deadlines  clocks: the progress deadline, pauses, delays
    contests   how often something of ours that somebody undid was put back

Whoever decides writes here; the next look, or another engine, goes on from it.
"""
