"""Measurements: micro benchmarks, the whole system beside others, the trials of the promises."""
