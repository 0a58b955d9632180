"""How plots look: a map and a style that no colour vision is needed to read."""

import matplotlib

MAP = matplotlib.colormaps["cividis"]
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a class may be called `$`
}
