"""The style of a component class as it really looks: Textual's own `get_component_rich_style` drops a colour's transparency,
and with it the difference between dim and bright."""

from rich.style import Style
from textual.widget import Widget


def named_style(widget: Widget, component: str) -> Style:
    """What the component class adds to `widget`'s own style, its colour blended with the background it stands on."""
    styles = widget.get_component_styles(component)
    style = styles.partial_rich_style
    if not styles.has_rule("color") or (styles.color.a == 1 and not styles.auto_color):
        return style
    background = widget.background_colors[1]
    color = background.get_contrast_text(styles.color.a) if styles.auto_color else styles.color
    return style + Style(color=(background + color).rich_color)
