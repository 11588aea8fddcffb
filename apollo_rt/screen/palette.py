"""The screen's colours by what they mean, in a dark and a light theme."""

from textual.theme import Theme

INKS = (
    "ground", "text", "strong", "faint", "line", "accent", "cursor",
    "before", "added", "restored", "lowered",
    "good", "warm", "hot",
    "term-1", "term-2", "term-3", "term-4", "term-5", "term-6", "term-7", "term-8",
)  # fmt: skip
"""Names that `Painted` widgets draw with; each is a variable of both themes, `$ink-before` and so on."""

_DARK = {
    "ground": "#0e131b", "text": "#c9d3e0", "strong": "#ffffff",
    "faint": "#7c8a9f", "line": "#2a3545", "accent": "#5fb3f5",
    "cursor": "#5fb3f5", "before": "#4d6a94", "added": "#2fc4b2", "restored": "#ffa63d", "lowered": "#2b3a52",
    "good": "#4fc77f", "warm": "#f2c14e", "hot": "#f2595f",
    "term-1": "#7d8ca3", "term-2": "#b48ef0", "term-3": "#8f7be0", "term-4": "#4d9de0", "term-5": "#2fc4b2",
    "term-6": "#f2c14e", "term-7": "#d98cc5", "term-8": "#a3b0c2",
}  # fmt: skip
_LIGHT = {
    "ground": "#ffffff", "text": "#2a3342", "strong": "#000000",
    "faint": "#6a7688", "line": "#d4dbe5", "accent": "#0f6fc0",
    "cursor": "#0f6fc0", "before": "#8da7cd", "added": "#0f9a8b", "restored": "#e87d00", "lowered": "#d0dbea",
    "good": "#2b9a55", "warm": "#c98f00", "hot": "#cf2f36",
    "term-1": "#8b98ab", "term-2": "#8b5fd6", "term-3": "#6a52c4", "term-4": "#2d7fc9", "term-5": "#0f9a8b",
    "term-6": "#d9a100", "term-7": "#b5579c", "term-8": "#a4afbf",
}  # fmt: skip


def _theme(name: str, is_dark: bool, inks: dict[str, str], background: str, surface: str, panel: str) -> Theme:
    return Theme(
        name=name,
        dark=is_dark,
        primary=inks["accent"],
        secondary=inks["added"],
        accent=inks["restored"],
        warning=inks["warm"],
        error=inks["hot"],
        success=inks["good"],
        foreground=inks["text"],
        background=background,
        surface=surface,
        panel=panel,
        variables={f"ink-{ink}": color for ink, color in inks.items()}
        | {"footer-background": background, "footer-key-foreground": inks["accent"]},
    )


THEMES = (
    _theme("apollo-dark", True, _DARK, "#0e131b", "#151c27", "#1d2634"),
    _theme("apollo-light", False, _LIGHT, "#f6f8fb", "#ffffff", "#e6ebf2"),
)
