"""The whole system beside other servers, in one run: `python -m benchmarks.compare`."""
