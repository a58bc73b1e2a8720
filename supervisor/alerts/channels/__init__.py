"""How those are told who want to know of alerts. Runs in the supervisor process."""
