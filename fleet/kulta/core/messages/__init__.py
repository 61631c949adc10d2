"""What leaves the engine and what comes back; pure: a transition in, a payload out.

    transition   a decision, as everybody outside is told of it
    emit         an Event of Kubernetes, as an action
    notices      decisions as Events of Kubernetes
    cdevents     decisions as CDEvents
    occurrences  decisions as FALSE occurrences
    advised      what an advisor has said, to be told as occurrences are
    advisors     what an advisor is asked and answers
    webhooks     what hooks are asked and told
    vocabulary   the words for strategies that leave the engine

`decisions` makes the transitions, `runtime.outbox` delivers what is written here. Add a dialect by
a file here and a sink in `runtime.sinks`.
"""
