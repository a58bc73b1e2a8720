"""New code on trial: a few workers beside the others, which go on. Runs in the supervisor process."""
