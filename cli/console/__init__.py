"""A page in the browser that shows all apps of this home, and may steer them. Runs in the user's shell."""
