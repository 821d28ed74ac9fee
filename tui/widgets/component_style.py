"""A component class as a style for segments, with half-transparent and automatic colours as they look on the widget.

textual 8.2.8 drops the transparency of such a colour: `$text-muted` would come out as plain white.
"""

from rich.style import Style
from textual.widget import Widget


def component_style(widget: Widget, name: str) -> Style:
    """The rules of component class `name` alone, to be added to a widget's own style."""
    style = widget.get_component_rich_style(name, partial=True)
    styles = widget.get_component_styles(name)
    if not styles.has_rule("color"):
        return style
    return style + Style(color=(widget.background_colors[1] + styles.color).rich_color)
