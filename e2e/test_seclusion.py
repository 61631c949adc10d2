"""A network of one's own: it is left as it was entered, and nothing of it outlives its parent."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from e2e.ground import seclusion
from e2e.ground.waiting import until

ROOT = Path(__file__).parent.parent
OWN = Path("/proc/thread-self/ns/net")
POD = ("10.244.3.4", 8080)


LIVE_APART_AND_DIE = """
import os, signal, sys
from pathlib import Path
from e2e.ground import processes, seclusion
with seclusion.entered():
    log = Path(sys.argv[1]) / "log"
    sleeper = processes.start("sleeper", ["/bin/sh", "-c", "sleep 600; :"], log=log)
    print(sleeper.pid, os.readlink("/proc/thread-self/ns/net"), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _inhabitants(session: int, network: str) -> list[Path]:
    """Those of a session who are in a network namespace; a zombie is in none. Of other sessions one
    may have got the number of a network that has ended."""
    found = []
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):
            is_of_it = os.getsid(int(link.parts[2])) == session
            found += [link] if is_of_it and str(link.readlink()) == network else []
    return found


def test_a_killed_parent_leaves_no_network(tmp_path: Path) -> None:
    words = [sys.executable, "-c", LIVE_APART_AND_DIE, str(tmp_path)]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    session, network = ended.stdout.split()
    assert network.startswith("net:")
    assert network != str(OWN.readlink())
    until(lambda: not _inhabitants(int(session), network), "nobody is left in it", within=15)


def test_a_pod_listens_at_the_address_that_is_shown() -> None:
    home = OWN.readlink()
    with seclusion.entered(), socket.create_server(POD):
        assert OWN.readlink() != home
        socket.create_connection(POD, timeout=5).close()
    assert OWN.readlink() == home
