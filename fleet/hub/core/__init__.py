"""The hub decides here: values in, values out.

    application.decide   Application, fleet, members, runs      → the next run, frozen
    plan.next            run, ClusterRollouts, members          → who goes, is held, what is told
        rows → requests → walk → gates → report (aggregate, story)
    dispatch.decide      ClusterRollout, manifests, what is live → writes into one member, its phase
        writes (fence) → ownership, inventory → verdict, standing; removal at the end

`observed` holds what is seen, `actions` all that can be done; `runtime` does the rest. Nothing here
waits, logs, reads a clock or knows a client.
"""
