"""Owns how Kubernetes asks whether a pod is well, from how fastlb asks its workers. Pure; the user's shell."""

from typing import Any

from ...supervisor.settings.health import DEFAULT_HOST, HealthPlan
from .exported_app import ExportedApp, whole_seconds


def probes(app: ExportedApp) -> dict[str, Any]:
    """Return the probes of a container; none where no health check was given or there is nothing to ask.

    Not alive is a pod only after fastlb has had the time to replace a worker that is ill: else all go for one.
    """
    plan = app.health
    question = _question(app, plan) if plan else None
    if not plan or not question:
        return {}
    often = {"periodSeconds": whole_seconds(plan.interval), "timeoutSeconds": whole_seconds(plan.timeout)}
    replacing = plan.failures + whole_seconds((app.config.kill_timeout + app.config.listen_timeout) / plan.interval)
    starting = {"periodSeconds": 1, "failureThreshold": whole_seconds(app.config.listen_timeout)}
    return {
        "startupProbe": question | starting | {"timeoutSeconds": whole_seconds(plan.timeout)},
        "readinessProbe": question | often | {"failureThreshold": plan.failures, "successThreshold": plan.successes},
        "livenessProbe": question | often | {"failureThreshold": replacing},
    }


def probe_remarks(app: ExportedApp) -> list[str]:
    """Return what the probes of an app cannot say."""
    plan = app.health
    if not plan:
        return ["--health-check was not given, so there are no probes: a pod counts as ready as soon as it runs"]
    found = ["A probe asks any one of the workers of a pod; fastlb in it asks each, and replaces the one that is ill."]
    if plan.kind == "tcp":
        found.append("--health-check tcp: the listener answers as long as fastlb runs: give /PATH, which asks workers")
    if plan.kind != "command" and app.why_no_probe:
        found.append(f"{app.why_no_probe}, so there are no probes")
    if plan.text:
        found.append("--health-check-text: a probe looks at the status alone")
    return found


def _question(app: ExportedApp, plan: HealthPlan) -> dict[str, Any] | None:
    if plan.kind == "command":
        return {"exec": {"command": ["sh", "-c", plan.command]}}
    port = app.probe_port
    if not port:
        return None
    if plan.kind == "tcp":
        return {"tcpSocket": {"port": port}}
    headers = {"httpHeaders": [{"name": "Host", "value": plan.host}]} if plan.host != DEFAULT_HOST else {}
    return {"httpGet": {"path": plan.path, "port": port, "scheme": "HTTPS" if plan.is_tls else "HTTP"} | headers}
