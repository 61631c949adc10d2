"""Composition: the only place that knows all parts; one module per process, `hub` and `engine`."""
