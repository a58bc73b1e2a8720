"""Where the output of the workers, and the supervisor's own words, go."""
