"""fastlb: every core of one machine behind one port.

This regular package only holds the four parts together: fastlb.lb (the dispatcher process),
fastlb.supervisor, fastlb.worker (code inside Python workers) and fastlb.cli.
"""
