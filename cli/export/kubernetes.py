"""Owns how an app looks as objects of Kubernetes: apps/v1, v1, autoscaling/v2, policy/v1. Pure; the user's shell.

An app that is scaled by its load has one worker a pod, since the number of pods is what Kubernetes scales; any other
one has in each pod the workers that it has here.
"""

import math
from typing import Any

from .container import memory_bytes, remarks, start_command
from .exported_app import ExportedApp, comments, whole_seconds
from .kubernetes_probes import probe_remarks, probes
from .yaml_text import document

# Until all proxies of the cluster have heard that a pod is to end, they send connections to it.
PRE_STOP_SECONDS = 5
LONGEST_WINDOW_SECONDS = 3600
OF_SCALING = (
    "min_instances", "max_instances", "scale_cpu", "scale_busy", "scale_memory", "scale_up_cooldown",
    "scale_down_cooldown",
)  # fmt: skip


def kubernetes(app: ExportedApp, image: str) -> str:
    """Return the objects of an app, each a document of YAML behind comments. `image`: what its containers run."""
    documents = [comments(_remarks(app)) + document(_deployment(app, image))]
    if app.tcp:
        documents.append(document(_service(app)))
    if _is_scaled(app):
        documents.append(comments(_scaling_remarks(app)) + document(_autoscaler(app)))
    if app.tcp:
        documents.append(document(_disruption_budget(app)))
    return "---\n".join(documents)


def _deployment(app: ExportedApp, image: str) -> dict[str, Any]:
    # Another pod is ready before one goes, as in a reload; what listens nowhere may not be meant to be there twice.
    gently = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    spec: dict[str, Any] = {} if _is_scaled(app) else {"replicas": 1}
    spec |= {
        "selector": {"matchLabels": _labels(app)},
        "strategy": gently if app.tcp else {"type": "Recreate"},
        "template": {"metadata": {"labels": _labels(app)}, "spec": _pod(app, image)},
    }
    return _object("apps/v1", "Deployment", app, spec)


def _pod(app: ExportedApp, image: str) -> dict[str, Any]:
    context = _security_context(app)
    grace = app.stop_seconds + (PRE_STOP_SECONDS if app.tcp else 0)
    return {
        "terminationGracePeriodSeconds": grace,
        **({"securityContext": context} if context else {}),
        "containers": [_container(app, image)],
    }


def _container(app: ExportedApp, image: str) -> dict[str, Any]:
    container: dict[str, Any] = {"name": app.label, "image": image, "command": _command(app)}
    if app.config.env:
        container["env"] = [_variable(app, name) for name in app.config.env]
    if app.tcp:
        container["ports"] = [{"name": _port_name(at.port), "containerPort": at.port} for at in app.tcp]
    if resources := _resources(app):
        container["resources"] = resources
    container |= probes(app)
    if app.tcp:
        container["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", str(PRE_STOP_SECONDS)]}}}
    return container


def _command(app: ExportedApp) -> list[str]:
    but = [name for name in ("uid", "gid") if getattr(app.config, name).isdecimal()]
    if _is_scaled(app):
        but += [*OF_SCALING, "workers"]
    # $(NAME) would be a variable of Kubernetes.
    return [word.replace("$", "$$") for word in start_command(app, but)]


def _variable(app: ExportedApp, name: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": _secret_name(app), "key": name}}}


def _secret_name(app: ExportedApp) -> str:
    return f"{app.label}-env"


def _workers_in_a_pod(app: ExportedApp) -> int:
    if _is_scaled(app):
        return 1
    return app.scaling.maximum if app.scaling else app.config.workers


def _resources(app: ExportedApp) -> dict[str, Any]:
    """A worker is busy at one core, of which scale_cpu is a percentage: as the autoscaler's is one of the request."""
    requests, limits = {}, {}
    if _is_scaled(app):
        requests["cpu"] = "1"
    if memory := memory_bytes(app, _workers_in_a_pod(app)):
        requests["memory"], limits["memory"] = map(_mebibytes, memory)
    found = {"requests": requests, "limits": limits}
    return {name: amounts for name, amounts in found.items() if amounts}


def _mebibytes(size_bytes: int) -> str:
    return f"{math.ceil(size_bytes / (1 << 20))}Mi"


def _security_context(app: ExportedApp) -> dict[str, Any]:
    uid, gid = app.config.uid, app.config.gid
    context: dict[str, Any] = {}
    if uid.isdecimal():
        context |= {"runAsUser": int(uid), "runAsNonRoot": int(uid) != 0}
    if gid.isdecimal():
        context["runAsGroup"] = int(gid)
    return context


def _service(app: ExportedApp) -> dict[str, Any]:
    ports = [{"name": _port_name(at.port), "port": at.port, "targetPort": _port_name(at.port)} for at in app.tcp]
    return _object("v1", "Service", app, {"selector": _labels(app), "ports": ports})


def _port_name(port: int) -> str:
    return f"port-{port}"


def _autoscaler(app: ExportedApp) -> dict[str, Any]:
    plan = app.scaling
    assert plan
    target = {"type": "Utilization", "averageUtilization": plan.cpu}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": app.label},
        "minReplicas": plan.minimum,
        "maxReplicas": plan.maximum,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": _window(plan.up_cooldown)},
            "scaleDown": {"stabilizationWindowSeconds": _window(plan.down_cooldown)},
        },
    }
    return _object("autoscaling/v2", "HorizontalPodAutoscaler", app, spec)


def _window(seconds: float) -> int:
    return min(whole_seconds(seconds), LONGEST_WINDOW_SECONDS)


def _disruption_budget(app: ExportedApp) -> dict[str, Any]:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": _labels(app)}}
    return _object("policy/v1", "PodDisruptionBudget", app, spec)


def _is_scaled(app: ExportedApp) -> bool:
    return bool(app.scaling and app.scaling.cpu)


def _object(version: str, kind: str, app: ExportedApp, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": app.label, "labels": _labels(app)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _labels(app: ExportedApp) -> dict[str, str]:
    return {"app.kubernetes.io/name": app.label}


def _remarks(app: ExportedApp) -> list[str]:
    config = app.config
    found = [f"{app.name}, written by `fastlb export`.", *remarks(app), *probe_remarks(app)]
    for name in ("uid", "gid"):
        value = getattr(config, name)
        if value and not value.isdecimal():
            found.append(f"--{name} {value}: a securityContext takes numbers alone; the container must begin as root")
    if config.env:
        found.append(
            f"--env: values are not written: `kubectl create secret generic {_secret_name(app)} --from-literal=...`"
        )
    if not config.max_memory_restart:
        found.append("--max-memory-restart was not given, so there is no limit of memory")
    if config.nofile:
        found.append("--nofile: it cannot be more than the container runtime allows")
    if config.pin_cpus:
        found.append("--pin-cpus: CPUs stay the same only by the static policy of the CPU manager")
    if not config.autorestart:
        found.append("--no-autorestart: a Deployment starts again what has finished: a Job is for that")
    if app.scaling and not _is_scaled(app):
        found.append("--scale-cpu 0: other loads are no metrics of Kubernetes, so fastlb scales in the pod")
    return found


def _scaling_remarks(app: ExportedApp) -> list[str]:
    plan = app.scaling
    assert plan
    found = ["One worker a pod: pods are what is scaled. It needs the metrics server."]
    if plan.busy and app.bounds_http:
        found.append("--scale-busy: busy threads are no metric that Kubernetes has by itself")
    if plan.memory:
        found.append("--scale-memory: that memory holds no more is found out by the scheduler, from resources")
    return found
