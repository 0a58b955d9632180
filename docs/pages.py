"""Pages of the site that are files elsewhere in the repository, with their links set right."""

from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {
    "changelog.md": "CHANGELOG.md",
    "configuration.md": "config/README.md",
    "contributing.md": "CONTRIBUTING.md",
}


def on_files(files, config):
    """Add the pages; MkDocs calls this when it has collected the others."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        for other, original in PAGES.items():
            text = text.replace(f"]({original})", f"]({other})")
        files.append(File.generated(config, page, content=text))
    return files
