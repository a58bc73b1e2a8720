"""The dispatcher process, and what both ends of a connection channel need.

Everything on the way of a connection is Cython. Imports nothing else of fastlb.
"""
