"""What a test looks like that uses the fixture of conftest.py."""

from urllib.request import urlopen


def test_app_answers(app_url: str) -> None:
    with urlopen(app_url) as response:
        assert response.status == 200
