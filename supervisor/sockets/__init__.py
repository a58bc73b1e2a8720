"""The app's listening sockets."""
