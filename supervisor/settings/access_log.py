"""Owns the check of `--access-log-format` before a start. Pure; any process."""


def check_access_log_format(text: str) -> None:
    """Raise unless `text` is a format that a worker can write lines by.

    Raises:
        ValueError: says which atom is none, and which there are.
    """
    from ...worker.access_log_format import compile_access_log_format  # only a start with a format needs it

    compile_access_log_format(text)
