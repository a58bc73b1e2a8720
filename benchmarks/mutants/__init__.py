"""Mutants: small faults put into the code on purpose, and whether the tests find them."""
