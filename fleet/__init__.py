"""Kulta Fleet: one Application delivered to a fleet of clusters, and taken back where it hurts."""

__version__ = "0.1.0"
