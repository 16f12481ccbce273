"""stub"""

from typing import Any


def install(app: Any, parts: Any) -> None: ...
