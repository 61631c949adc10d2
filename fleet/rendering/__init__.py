"""Templates to manifests: pure, offline, and bounded."""
