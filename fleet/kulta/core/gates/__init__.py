"""Who may stop a rollout, push it on, or take it back. Metrics are asked in `analysis`.

    requests   what a person asks for by an annotation
    holds      who stops steps: user, hub, a step's own pause, and those below
    hooks      who of the user's must say yes
    turns      how many rollouts may be active at once
    advice     what an advisor may do

A hold stops steps only: analysis, a way back and a promotion under way go on.
"""
