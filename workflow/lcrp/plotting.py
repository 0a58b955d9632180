"""How plots look: a map and a style that no colour vision is needed to read."""

import warnings

import matplotlib

# Names may be in any script: a letter that the font lacks is drawn as a box, once said is enough.
warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from")

MAP = matplotlib.colormaps["cividis"]
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a class may be called `$`
}
