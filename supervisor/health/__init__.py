"""Health checks of the workers of an app. Runs in the supervisor process."""
