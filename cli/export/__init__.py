"""Apps as other systems have them: Kubernetes, compose, systemd, HAProxy, nginx. Runs in the user's shell."""
