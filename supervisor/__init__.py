"""fastlb.supervisor: the supervisor process. Light on purpose: the command line imports from here."""
