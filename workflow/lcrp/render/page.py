"""The page of a figure: what lies where, in inches from the top left."""

from __future__ import annotations

from lcrp.render.text import BODY, LARGE, LINE, fit_text

# The page is laid out in inches for a width of 16 and scaled to the chosen width as a whole.
WIDTH = 16.0
MARGIN = 0.3
LEFT = 4.7
GAP = 0.35


class Page:
    """Places axes and text in inches from the top left; the height is settled at the end."""

    def __init__(self, figure):
        self.figure = figure
        self.items = []
        self.panels = {}

    def axes(self, x, y, width, height, panel=None):
        if panel is not None:
            self.panels[panel] = (x, y, width, height)
        axes = self.figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        self.items.append((axes, x, y, width, height))
        return axes

    def text(self, x, y, text, size=BODY, **style):
        item = self.figure.text(0, 0, text, fontsize=size, va="top", **style)
        self.items.append((item, x, y, None, None))

    def finish(self, height):
        self.figure.set_size_inches(WIDTH, height)
        for item, x, y, w, h in self.items:
            if w is None:
                item.set_position((x / WIDTH, 1 - y / height))
            else:
                item.set_position((x / WIDTH, 1 - (y + h) / height, w / WIDTH, h / height))
        return {
            name: [round(v, 5) for v in (x / WIDTH, y / height, w / WIDTH, h / height)]
            for name, (x, y, w, h) in self.panels.items()
        }


def within(width, height, largest_width, largest_height):
    factor = min(largest_width / width, largest_height / height)
    return width * factor, height * factor


def write_heading(page, x, y, text, room):
    page.text(x, y, fit_text(text, room, LARGE, bold=True), LARGE, weight="bold")
    return LARGE * LINE + 0.05
