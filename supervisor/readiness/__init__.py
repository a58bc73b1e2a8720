"""How a worker of any kind shows that it is ready: by sd_notify, or by a port that answers. Supervisor process."""
