"""The main job on local clusters: v1 everywhere, a good v2, and a v3 that takes itself back."""
