"""fastlb.worker.actions: what a Python worker does when somebody asks it to by `fastlb trigger`."""
