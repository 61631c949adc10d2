"""`fleet rollout undo`: the pod template of an older revision into the spec, and what follows."""

from typing import Annotated, Any

import typer

from fleet import errors
from fleet.api import names
from fleet.cli import options
from fleet.cli.rollouts import asking, chronicle, place, watching
from fleet.cli.rollouts.family import Family, Revision
from fleet.cli.screen import Screen


def undo(
    name: place.Name,
    to: Annotated[
        str, typer.Option("--to", help="Number or hash of a revision; default: the one before.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it is completed.")] = False,
    timeout: options.TimeOut = "",
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Put the pod template of an older revision into spec.template; the strategy takes it there."""
    seconds, name = options.span(timeout), place.plain(name)
    with place.reached(kubeconfig, context, namespace) as found:
        family = found.family(name)
        refused = asking.managed(family.rollout, "undo") or chronicle.foreign(family)
        if refused is not None:
            raise errors.UserError("Refused", refused)
        chosen = chronicle.target(family, to)
        template, is_same = chronicle.template(chosen)
        path = names.ROLLOUTS.path(found.namespace, name)
        found.access.patch(path, _patch(family, template))
        for line in told(family, chosen, is_same=is_same):
            typer.echo(line)
        if not wait:
            return
        shown = watching.Shown(screen=Screen(plain=no_color))
        code = watching.follow(found, name, shown, watching.is_over, seconds)
    raise typer.Exit(code)


def _patch(family: Family, template: dict[str, Any]) -> list[dict[str, Any]]:
    """Replaces the template, unless somebody has written since it was read."""
    version = family.rollout.metadata.resource_version
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        {"op": "replace", "path": "/spec/template", "value": template},
    ]


def told(family: Family, chosen: Revision, *, is_same: bool) -> list[str]:
    """What was done and what follows from it."""
    status, label = family.rollout.status, family.label(chosen.hash)
    image = f", image {', '.join(chosen.images)}" if chosen.images else ""
    lines = [f"{family.name}: spec.template is that of {label} again{image}"]
    if not is_same:
        lines.append(
            "its text as it was written is not kept: this one has the server's defaults in it, "
            "so it becomes a new revision with the same pods"
        )
    if chosen.hash == status.stable_pod_hash:
        lines.append("it is the stable revision: traffic goes back to it at once")
    elif chosen.hash == status.previous_pod_hash and chosen.desired:
        lines.append("its pods are still there")
    else:
        lines.append(
            f"it goes through the steps of its strategy: fleet rollout watch {family.name}"
        )
    lines.append("whoever keeps the manifest elsewhere (Git) has to put it there too")
    return lines
