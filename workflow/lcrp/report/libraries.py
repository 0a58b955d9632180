"""Script libraries of the report, copied from the Python packages that ship them.

Tables: DataTables, from itables. Plots: Plotly, from plotly. Both under the MIT licence, which
is written beside them.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from lcrp.errors import InputError


def copy_libraries(folder) -> None:
    """Writes datatables.js, datatables.css, plotly.js and LICENSES.txt into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    bundle = _packaged("itables", "itables/html/dt_bundle.js").read_text(encoding="utf-8")
    (folder / "datatables.js").write_text(classic_script(bundle), encoding="utf-8")
    style = _packaged("itables", "itables/html/dt_bundle.css")
    (folder / "datatables.css").write_bytes(style.read_bytes())
    plots = _packaged("plotly", "plotly/package_data/plotly.min.js")
    (folder / "plotly.js").write_bytes(plots.read_bytes())
    texts = [_licence(package) for package in ("itables", "plotly")]
    notices = bundle[bundle.index("/*! Bundled license information") :]
    texts.append(f"datatables.js contains:\n\n{notices}")
    (folder / "LICENSES.txt").write_text("\n\n".join(texts), encoding="utf-8")


def classic_script(module: str) -> str:
    """An ES module that imports nothing, as a script that sets `window.jQuery`.

    Browsers do not load modules from file:// pages.
    """
    exports = list(re.finditer(r"\bexport\s*\{([^}]*)\};?", module))
    names = dict(
        (part.split(" as ")[-1].strip(), part.split(" as ")[0].strip())
        for found in exports
        for part in found[1].split(",")
        if part.strip()
    )
    if len(exports) != 1 or "jQuery" not in names:
        raise InputError(
            "itables: its DataTables bundle has another form than expected; install itables 2.9"
        )
    start, end = exports[0].span()
    setting = f"window.jQuery=window.$={names['jQuery']};"
    return f"(()=>{{{module[:start]}{setting}{module[end:]}\n}})();\n"


def _packaged(package, name) -> Path:
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise InputError(f"{package}: not installed; the report needs it, pip install it") from None
    for file in files:
        if file.as_posix() == name:
            return Path(file.locate())
    raise InputError(f"{package}: has no {name}; install the version in pyproject.toml")


def _licence(package) -> str:
    version = metadata.version(package)
    for file in metadata.files(package):
        if re.fullmatch(r"(?i)licen[cs]e(\.\w+)?", file.name):
            text = Path(file.locate()).read_text(encoding="utf-8")
            return f"{package} {version}\n\n{text.strip()}"
    raise InputError(f"{package}: comes without its licence; install it from PyPI")
