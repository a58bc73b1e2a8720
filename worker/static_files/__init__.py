"""The app that serves a directory: what `fastlb serve` starts."""
