"""What the quiet minute finds: everything has come to rest where it was to. The minute begins here.

Other files have a plane of their own and run meanwhile; `test_quiet` judges who asked for what.
"""

import pytest

from e2e import quiet
from e2e.quiet import Minute


@pytest.mark.parametrize("name", quiet.WANTED)
def test_it_has_come_to_rest(minute: Minute, name: str) -> None:
    assert quiet.stands(minute, name)
