"""Making what runs match a configuration file: start, reload and restart of a FILE, and what checks one."""
