"""The token of a connection: given, or in a file that is read again."""

from pathlib import Path

import pytest

from fleet.clusters.bearer import Bearer
from fleet.clusters.config import ClientConfig

SERVER = "https://eu.example:6443"


def test_a_given_token_stays() -> None:
    bearer = Bearer(ClientConfig(server=SERVER, token="given"))
    assert (bearer.last, bearer.current(0.0), bearer.current(1e9)) == ("given", "given", "given")


def test_a_file_is_read_again_after_a_minute(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    bearer = Bearer(ClientConfig(server=SERVER, token_file=file))
    first = bearer.current(100.0)
    file.write_text("two\n")
    assert (first, bearer.current(159.9), bearer.current(160.0)) == ("one", "one", "two")


def test_a_file_that_is_gone_is_told_and_the_last_token_known(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    bearer = Bearer(ClientConfig(server=SERVER, token_file=file))
    bearer.current(0.0)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        bearer.current(60.0)
    assert bearer.last == "one"
