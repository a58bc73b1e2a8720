"""fastlb.worker: code that runs inside a Python worker process."""
