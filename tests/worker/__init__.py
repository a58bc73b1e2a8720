"""Tests of real worker processes, with the test in the place of supervisor and dispatcher."""
