"""Small pure tools that know nothing of Kubernetes kinds."""
