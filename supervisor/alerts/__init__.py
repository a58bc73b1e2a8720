"""What is wrong with an app, and telling those who want to know. Runs in the supervisor process."""
