"""The promises at full size: `python -m benchmarks.trials`. One file a trial; each yields findings."""
