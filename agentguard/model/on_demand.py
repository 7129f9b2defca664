"""Names of a package that are imported from where they stand when somebody first asks for them.

Type checkers read them from imports under TYPE_CHECKING; a test holds the two together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def on_demand(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package. `homes`: by the name of each module in it, what stands there, apart by blanks."""
    module_of = {name: f"{package}.{module}" for module, names in homes.items() for name in names.split()}

    def found(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(module_of[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return found
