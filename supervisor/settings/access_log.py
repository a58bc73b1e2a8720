"""Owns the check of `--access-log-format` before a start. Pure; any process."""


def check_access_log_format(text: str) -> None:
    """Raise unless `text` is a format that a worker can write lines by.

    Raises:
        ValueError: says which atom is none, and which there are.
    """
    from ...worker.access_log.line_format import parse_access_log_format  # only a start with a format needs it

    parse_access_log_format(text)
