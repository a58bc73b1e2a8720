"""What an app counts itself, by prometheus-client or prom-client. Runs in the supervisor process."""
