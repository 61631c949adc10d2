"""The hub: one Application's way through a fleet, cluster by cluster."""
