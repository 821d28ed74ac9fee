"""The colours: charcoal, and one warm furnace accent. Thinking is dim, answers are bright, states carry signs besides."""

from textual.theme import Theme

FURNACE = Theme(
    name="furnace",
    primary="#f0a35e",
    secondary="#8fb8c9",
    accent="#f0a35e",
    warning="#e5c15c",
    error="#ef7d6b",
    success="#9ec77e",
    foreground="#e4dfd8",
    background="#16150f",
    surface="#1d1b17",
    panel="#2a2722",
    dark=True,
    variables={
        "border": "#4a443b",
        "border-blurred": "#3a352e",
        "scrollbar": "#3a352e",
        "scrollbar-background": "#1d1b17",
        "raw": "#7a5f43",
    },
)
FURNACE_LIGHT = Theme(
    name="furnace-light",
    primary="#a4550f",
    secondary="#2f6f86",
    accent="#a4550f",
    warning="#8a6a00",
    error="#b3301c",
    success="#3f7a26",
    foreground="#2b2721",
    background="#faf6ef",
    surface="#f3ede2",
    panel="#e8dfd0",
    dark=False,
    variables={"border": "#c4b7a2", "border-blurred": "#d8cdbb", "raw": "#d9b48c"},
)
