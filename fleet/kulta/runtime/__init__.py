"""Does: watches a cluster, looks, lets `core.plan` decide, writes, and reports.

handlers → reconcile → observe → (core) → apply; the same order and names as in the hub.
"""
