"""Tests and the demo against real parts: control planes, pods, traffic, Prometheus."""
