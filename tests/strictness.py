"""A run with a skipped or an expected failure is red: a test that does not run proves nothing.

Imported by both conftest files; pytest calls the hook at the end of a run.
"""

import pytest

SOFT = ("skipped", "xfailed", "xpassed")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a green run with soft outcomes into a failure, and say which they were."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    soft = [item for kind in SOFT for item in reporter.stats.get(kind, [])] if reporter else []
    if soft and session.exitstatus == pytest.ExitCode.OK:
        names = ", ".join(str(getattr(item, "nodeid", item)) for item in soft)
        reporter.write_line(f"not allowed to be skipped or expected to fail: {names}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
