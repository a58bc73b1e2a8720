"""What the supervisor tells the service manager that runs it, as systemd does. Supervisor process."""
