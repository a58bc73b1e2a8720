"""The files in FASTLB_HOME. Imported by the shell as well."""
