"""What all fast tests share: a fixed moment, golden files, and no soft outcomes."""

import gc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import profiles
from tests.strictness import pytest_sessionfinish

__all__ = ["profiles", "pytest_sessionfinish"]

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def pytest_collection_finish() -> None:
    """No test makes more garbage than fits: looking for it takes a sixth of the time of all."""
    gc.freeze()


gc.disable()
"""Nor does the collection: what it makes is kept."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew instead of comparing with them",
    )


@pytest.fixture
def now() -> datetime:
    """Noon of a day; every test's present."""
    return NOON


class Golden:
    """Compares a text with a file; writes the file instead when asked to."""

    def __init__(self, update: bool) -> None:
        self._update = update

    def check(self, path: Path, text: str) -> None:
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path} is missing: run with --update-golden and read it"
        assert text == path.read_text(), f"{path} differs: run with --update-golden and read it"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden.check(path, text)`."""
    return Golden(bool(request.config.getoption("--update-golden")))
