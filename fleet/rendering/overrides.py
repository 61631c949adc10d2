"""JSON patches per cluster: the Application's spec as it holds for one member.

Called by `render` and by validation. A patch may change the workload and the strategy; where the
Application goes and in which order stays one for all members.
"""

from collections.abc import Mapping
from typing import Any

import jsonpatch
import jsonpointer
from pydantic import ValidationError

from fleet.api.application import ApplicationSpec, Override
from fleet.api.meta import explain
from fleet.errors import UserError

OPEN = ("/workload", "/deliveryPolicy/strategy", "/deliveryPolicy/rollout")
"""What a patch may touch."""
LIMITS = f"a patch may change {', '.join(OPEN[:-1])} and {OPEN[-1]}"


def allowed(path: str) -> bool:
    """Whether a patch may change `path`."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in OPEN)


def plain(spec: ApplicationSpec) -> dict[str, Any]:
    """The spec as JSON with its defaults, so that a patch can replace what nobody wrote."""
    return spec.model_dump(mode="json", by_alias=True, exclude_none=True)


def apply(spec: ApplicationSpec, labels: Mapping[str, str]) -> ApplicationSpec:
    """`spec` with every override whose selector matches `labels`, in order.

    Raises UserError `InvalidSpec` naming the patch that does not fit, and why.
    """
    places = chosen(spec, labels)
    if not places:
        return spec
    body = plain(spec)
    for index in places:
        body = _patched(body, index, spec.overrides[index])
    try:
        return ApplicationSpec.model_validate(body, extra="forbid")
    except ValidationError as error:
        raise UserError("InvalidSpec", f"after spec.overrides: spec.{explain(error)}") from None


def chosen(spec: ApplicationSpec, labels: Mapping[str, str]) -> tuple[int, ...]:
    """The places of the overrides that hold for a member with these labels."""
    return tuple(
        index for index, item in enumerate(spec.overrides) if item.cluster_selector.matches(labels)
    )


def _patched(body: dict[str, Any], index: int, item: Override) -> dict[str, Any]:
    for position, operation in enumerate(item.patch):
        where = f"spec.overrides[{index}].patch[{position}]"
        step: dict[str, Any] = {"op": operation.op, "path": operation.path}
        if operation.op != "remove":
            step["value"] = operation.value
        if not allowed(operation.path):
            raise UserError(
                "InvalidSpec",
                f"{where}.path: {operation.path} is the same for all clusters: {LIMITS}",
            )
        try:
            body = jsonpatch.apply_patch(body, [step])
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
            hint = f"{str(error).rstrip('.')}; write op: add for a field that is not there yet"
            raise UserError(
                "InvalidSpec", f"{where}: {operation.op} {operation.path}: {hint}"
            ) from None
    return body
