"""Owns what a `health_check` may be. Pure; any process."""

HTTP = ("/", "http://", "https://")


def check_question(text: str) -> None:
    """Raise ValueError for a `health_check` that could be no request line: blanks, control characters."""
    if text.startswith(HTTP) and any(not 33 <= ord(letter) <= 126 for letter in text):
        raise ValueError(f"{text!r}: a path has neither blanks nor other than ASCII characters: write them as %20")
