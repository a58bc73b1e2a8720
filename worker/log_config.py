"""Owns how `--log-config` is read: a file for logging.config, in JSON, YAML or the ini form, as uvicorn reads it.

Runs in workers, before the app is imported. What the file says of levels and handlers stands: nothing of ours is
added to it.
"""

import configparser
import json
import logging
import logging.config
from pathlib import Path
from typing import Any

from .worker_log import LogConfigError

YAML_SUFFIXES = (".yaml", ".yml")


def apply_log_config(path: str) -> None:
    """Configure logging as the file `path` says: .json, .yaml or .yml by dictConfig, any other by fileConfig.

    Raises:
        LogConfigError: it cannot be read, or says what logging does not understand.
    """
    try:
        suffix = Path(path).suffix.lower()
        if suffix == ".json":
            logging.config.dictConfig(_mapping(json.loads(Path(path).read_text(encoding="utf-8"))))
        elif suffix in YAML_SUFFIXES:
            logging.config.dictConfig(_mapping(_load_yaml(path)))
        else:
            _apply_ini(path)
    except OSError as error:
        raise LogConfigError(f"--log-config {path}: {error.strerror or error}") from error
    except Exception as error:
        raise LogConfigError(f"--log-config {path}: {_cause(error)}") from error


def write_whole_lines(logger_name: str) -> None:
    """Let the handlers of a logger write messages as they are, where a formatter of uvicorn's would take them apart.

    uvicorn's AccessFormatter makes a line itself, of arguments that a line of `--access-log-format` does not have.
    """
    logger: logging.Logger | None = logging.getLogger(logger_name)
    while logger is not None:
        for handler in logger.handlers:
            if type(handler.formatter).__name__ == "AccessFormatter":
                handler.setFormatter(logging.Formatter("%(message)s"))
        logger = logger.parent if logger.propagate else None


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"a mapping is expected, as for logging.config.dictConfig, and not {type(value).__name__}")
    return value


def _load_yaml(path: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise ValueError("YAML needs PyYAML beside fastlb (`pip install pyyaml`); or write it as .json") from None
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def _apply_ini(path: str) -> None:
    parser = configparser.RawConfigParser()
    with open(path, encoding="utf-8") as file:  # fileConfig itself takes a file that is not there for an empty one
        parser.read_file(file, path)
    if not parser.has_section("formatters"):
        raise ValueError("neither .json nor .yaml, and no [formatters] as logging.config.fileConfig wants them")
    logging.config.fileConfig(parser, disable_existing_loggers=False)


def _cause(error: BaseException) -> str:
    """dictConfig says where, and keeps the reason in what it came from."""
    reason = str(error.__cause__ or "")
    return " ".join(f"{error}{f' ({reason})' if reason and reason != str(error) else ''}".split())
