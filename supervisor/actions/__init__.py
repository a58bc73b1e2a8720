"""fastlb.supervisor.actions: what workers are asked to do by `fastlb trigger`."""
