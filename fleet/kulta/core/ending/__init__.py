"""How it ends: one revision serves, and what was beside it goes.

    promotion  it went well
    retreat    it did not: traffic back to the stable revision, then the pods
    restart    new pods for the revision that serves, nothing else
    removal    the Rollout is deleted: everything is given back

Decided by strategies, requests and `plan`; each goes on from look to look until it is done.
"""
