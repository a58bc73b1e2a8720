"""Workers that are Node processes, as the supervisor starts and understands them."""
