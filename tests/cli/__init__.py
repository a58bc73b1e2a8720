"""Tests of the command `fastlb`, as a user types it."""
