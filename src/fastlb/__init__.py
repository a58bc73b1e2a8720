"""fastlb: every core of one machine behind one port.

This regular package only holds the parts together: fastlb.lb (the dispatcher process), fastlb.supervisor,
fastlb.worker (code inside Python workers), fastlb.cli, and fastlb.client (the same for programs in Python).
"""
