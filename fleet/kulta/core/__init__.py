"""The engine's decisions: one look at the world and the present in, one plan out. No I/O.

`plan.plan` reads like the product: validate → deletion → which revision → requests → the strategy's
next move → report. `draft.Draft` collects what one look decides. Who wants to know the product
reads `plan`, `identity`, `strategies/canary`, `steps`, `promotion` and `retreat`. All of it:

    seen       observed   the world                    look       with what everybody asks of it
               templates  of a Deployment that is named
    decided    plan       the way through one look     draft      what it has decided so far
               actions    all that can be done         wait       why something waits
               phases     where a Rollout may stand
    spec       validation what is wrong with it        problems   in parts that strategies share
               designs    in an experiment             linting    in a file, all at once
    who goes   identity   which revision, from where   requests   what a person asks for
               holds      who stops steps              hooks      who must say yes (JSON: errands)
               turns      how many go at once          deadlines  clocks
    strategy   strategies one file each                strategy   their shape
               traits     what others need of one      steps      pods and weight of a step
               arms       of an experiment             branches   who gets to them, or to a canary
               sides      their pods and traffic       passages   a canary's words in the diary
    the end    promotion  it went well                 retreat    it did not
               restart    new pods, nothing else       removal    the Rollout is deleted
    traffic    traffic    one safe move at a time      returns    who is reached, what can come back
               services   selectors                    divisions  which objects divide it
               routers    who can divide by percent    contests   what somebody else undoes
    pods       replicas   arithmetic                   revisions  ReplicaSets and their names
               workloads  of a Deployment              restoring  its way back
    judged     analysis   numbers to verdicts          advice     an advisor's word (JSON: counsel)
    told       report     status and conditions        decisions  the diary
               events     three dialects               words      of strategies, for others
               outlook    what is awaited, for commands

Everything is level-triggered: a plan follows from stored status and present world alone, so it can
be cut off anywhere, repeated, or carried on by another engine.
"""
