"""Who serves: traffic from revision to revision without a gap, and from a Deployment to a Rollout.

    traffic    one safe move at a time
    returns    who is still reached, how much the stable revision can take back
    services   which selector means which revision
    divisions  which objects divide the traffic, and what is wrong with each
    templates  the template of a Deployment that is named by `workloadRef`
    workloads  its pods, replaced by the Rollout's
    restoring  their way back when the Rollout is deleted

Each move can be repeated, and answers with what it waits for until it is so in the world.
"""
