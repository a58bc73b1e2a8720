"""The access log of Python workers: how a line looks, how it is made, and how lines reach standard output."""
