"""The reference of all settings, written from the model: docs/operations/settings.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

from callcenter.config import ENV_PREFIX, Settings
from callcenter.config_problems import inner_model

_HEAD = """<!-- Made by `make docs` from callcenter/config.py: change it there. -->
# Settings

`config.yaml` may name a few keys only: the rest takes its default. An unknown or mistyped key
stops the start; `callcenter check-config` names every mistake at once. Each key may be set from the
environment too (`web.port` as `CALLCENTER_WEB__PORT=9000`); with `_FILE` behind the name the value
is read from a file, for secrets. `--data-dir DIR` puts database, keys and recordings of one run
elsewhere.

| setting | default | what it is |
|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the reference. `key` has `[]` where a list's items have settings."""

    key: str
    default: Any
    description: str

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return ENV_PREFIX + self.key.upper().replace(".", "__")


def settings(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Setting]:
    """Every setting, in the order of the model."""
    for name, field in model.model_fields.items():
        inner = inner_model(field.annotation)
        if inner is None:
            default = "(needed)" if field.default is PydanticUndefined else field.default
            yield Setting(prefix + name, to_jsonable_python(default), field.description or "")
        elif isinstance(field.default, BaseModel) or field.default is None:
            yield from settings(inner, f"{prefix}{name}.")
        else:
            yield from settings(inner, f"{prefix}{name}[].")


def markdown() -> str:
    """The page."""
    return _HEAD + "".join(
        f"| `{setting.key}` | `{_yaml(setting.default)}` | {_cell(setting.description)} |\n"
        for setting in settings()
    )


def _yaml(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
