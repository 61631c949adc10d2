"""The hub decides here: values in, values out.

    application  decision.decide   Application, fleet, members, runs       → the next run, frozen
    run          plan.next         run, ClusterRollouts, members           → who goes, is held
    cluster      dispatch.decide   ClusterRollout, manifests, what is live → writes into one member
    member       connectivity      what a connection shows of a member     → how far it is believed

Each asks only those below it. `observed` holds what is seen, `actions` all that can be done,
`phases` where a run and a cluster of it may stand; `runtime` does the rest. Nothing here waits,
logs, reads a clock or knows a client.
"""
