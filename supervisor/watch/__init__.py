"""Changes of files, which ask for a reload: the setting `watch`. Runs in the supervisor process."""
