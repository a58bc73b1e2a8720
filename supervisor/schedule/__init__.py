"""When an app is replaced by the clock: the setting `cron_restart`. Runs in the supervisor process."""
