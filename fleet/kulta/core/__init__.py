"""The engine's decisions: one look at the world and the present in, one plan out. No I/O.

`plan.plan` reads like the product: validate → deletion → which revision → requests → the strategy's
next move → report. Who wants to know the product reads `plan`, `identity`, `strategies/canary`,
`tactics/steps`, `ending/promotion` and `ending/retreat`. From top to bottom, each asks only those
below it:

    plan        the way through one look
    feedback    what people are told: faults of a spec, status, outlook
    strategies  one way from revision to revision in each file
    tactics     what strategies are made of: steps, arms, their problems
    identity    which revision is asked for, and what that means
    gates       who may stop a rollout or push it on: people, hooks, an advisor
    analysis    numbers to verdicts
    ending      it went well, it did not, it is deleted
    serving     traffic without a gap: Services, routes, a Deployment's pods
    record      what the status remembers: the diary, clocks
    strategy    the shape of a strategy
    draft       what one look has decided so far
    actions     all that can be done
    facts       what is there: a look, its revisions and their pods
    messages    what leaves the engine and comes back: events, hooks, advice
    routers     who can divide traffic by percent
    observed    the world
    phases      where a Rollout may stand
    wait        why something waits

Each room lists its modules. Everything is level-triggered: a plan follows from stored status and
present world alone, so it can be cut off anywhere, repeated, or carried on by another engine.
"""
