"""The ground that end-to-end tests and the demo stand on: real processes on 127.0.0.0/8.

`binaries` finds or builds the programs, `processes` runs them and leaves no orphans, `controlplane`
makes a Kubernetes API out of them, `node` runs its pods, `proxy` disturbs it, `audit` says what was
asked of it.
"""
