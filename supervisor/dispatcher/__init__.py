"""The dispatcher process, as the supervisor keeps it and speaks to it."""
