"""The package's build hook: builds the front end when its sources changed.

Node is asked of the package index only when a build is needed and none on PATH fits.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _tool(root: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("frontend", Path(root, "tools", "frontend.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


class FrontendHook(BuildHookInterface[Any]):
    """`hatchling` calls `dependencies`, then `initialize`, for wheels, sdists and `-e`."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What this build needs beside hatchling."""
        tool = _tool(self.root)
        needed = tool.is_needed(Path(self.root)) and not tool.system_node()
        return [tool.NODE_WHEEL] if needed else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, or leave what is current."""
        tool, root = _tool(self.root), Path(self.root)
        if tool.is_needed(root):
            tool.build(root)
        elif not tool.proof(root).exists() and not os.environ.get(tool.SKIP):
            raise tool.BuildFailed(
                "neither the front end's sources nor its built files are here: "
                f"take a complete checkout, or set {tool.SKIP}=1"
            )
