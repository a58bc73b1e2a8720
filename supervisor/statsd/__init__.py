"""What an app does, told to a StatsD server. Runs in the supervisor process."""
