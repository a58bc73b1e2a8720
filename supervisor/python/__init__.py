"""Workers that run our own runtime (worker/), as the supervisor starts and understands them."""
