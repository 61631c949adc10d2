"""What people are told: of a Rollout that they wrote, and of one that is on its way.

    validation  what is wrong with a spec, every problem at once
    linting     the same of a file, without a cluster: `fleet rollout lint`
    report      status, conditions and sets, at the end of every look
    throttle    which changes of a status are worth a write
    outlook     what is awaited, and until when, for commands

Nothing here changes where a rollout goes.
"""
