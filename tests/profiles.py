"""How far searches go: a sample of worlds in every run, thousands in `make check-deep`.

Imported by both conftest files, before hypothesis asks which profile is wanted.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "quick",
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "deep", settings.get_profile("quick"), max_examples=10_000, derandomize=False
)
settings.load_profile("quick")
"""`make check-deep` takes the other profile: new random worlds each time, ten thousand of them."""
