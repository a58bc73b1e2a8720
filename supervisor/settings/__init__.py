"""What an app may be told, and how it is read. Imported by any process."""
