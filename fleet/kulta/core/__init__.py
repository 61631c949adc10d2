"""The engine's decisions: one look at the world and the present in, one plan out. No I/O.

`plan.plan` reads like the product: validate → deletion → which revision → requests → the strategy's
next move → report. `draft.Draft` collects what one look decides. A strategy (`strategies/`) says
when a revision may take more traffic; `promotion` and `retreat` end a rollout either way; `traffic`
points Services and routes; `replicas` counts pods; `analysis/` judges numbers.

Everything is level-triggered: a plan follows from stored status and present world alone, so it can
be cut off anywhere, repeated, or carried on by another engine.
"""
