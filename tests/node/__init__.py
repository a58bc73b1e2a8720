"""Real Node apps under fastlb, and Node's own side of the protocol."""
