"""Owns the JSON Schema of configuration files in our words: made from the declaration of the settings. Pure.

Editors complete and check by it (taplo and Even Better TOML for fastlb.toml, YAML and JSON servers for the others).
"""

from typing import Any

from ...supervisor.settings.declared import WORDS, DeclaredSetting, declared_settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VARIABLES = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}


def schema() -> dict[str, Any]:
    """Return the schema."""
    settings = {setting.name: _of_setting(setting) for setting in declared_settings() if setting.name != "name"}
    common = {
        "type": "object",
        "properties": settings,
        "patternProperties": {"^env_.+$": VARIABLES | {"description": "Variables that --env NAME puts over env."}},
        "additionalProperties": False,
    }
    return {
        "$schema": DIALECT,
        "title": "fastlb",
        "description": "Apps that fastlb starts.",
        "type": "object",
        "properties": {
            "defaults": {"$ref": "#/$defs/settings", "description": "What holds for each app that says nothing else."},
            "apps": {
                "type": "object",
                "description": "The apps, by name.",
                "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
                "additionalProperties": {"allOf": [{"$ref": "#/$defs/settings"}]},
            },
        },
        "required": ["apps"],
        "additionalProperties": False,
        "$defs": {"settings": common},
    }


def _of_setting(setting: DeclaredSetting) -> dict[str, Any]:
    described: dict[str, Any] = {"description": setting.about.help}
    return described | _type(setting)


def _type(setting: DeclaredSetting) -> dict[str, Any]:
    if setting.is_flag:
        return {"type": "boolean"}
    if setting.is_map:
        return VARIABLES
    if setting.choices:
        return {"enum": list(setting.choices)}
    if setting.is_list:
        item = "integer" if setting.is_of_numbers else "string"
        return {"anyOf": [{"type": item}, {"type": "array", "items": {"type": item}}]}
    if setting.about.unit:
        return {"type": ["string", "number"]}
    if setting.type is int:
        return _whole_number(setting)
    return {"type": ["string", "integer"]}


def _whole_number(setting: DeclaredSetting) -> dict[str, Any]:
    number: dict[str, Any] = {"type": "integer"}
    if setting.about.minimum is not None:
        number["minimum"] = int(setting.about.minimum)
    if setting.about.maximum is not None:
        number["maximum"] = int(setting.about.maximum)
    words = list(WORDS.get(setting.name, ()))
    return {"anyOf": [number, {"enum": words}]} if words else number
