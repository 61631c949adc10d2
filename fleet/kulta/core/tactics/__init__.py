"""What strategies are made of, each of these asked by one strategy or some, and by nobody below.

    steps      pods and weight of one step
    trials     pods, Services and rules of an experiment
    arms       of an experiment: what each runs, behind which Service
    branches   who gets to them, or to a canary, by header or cookie
    entries    a canary's words in the diary
    problems   what is wrong with the Services and routers of a spec

The moves that all of them make the same way are in `strategies.base`.
"""
