"""Formulas of LaTeX as MathML, which browsers draw without a script."""

from __future__ import annotations

import html
from xml.etree import ElementTree

from latex2mathml.converter import convert

#: Longer formulas are shown as they are written.
MAX_FORMULA = 2000
_NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
_ELEMENTS = frozenset(
    "math mrow mi mn mo mtext mspace msup msub msubsup mfrac msqrt mroot mover munder munderover "
    "mtable mtr mtd mstyle mpadded mphantom menclose mmultiscripts mprescripts none".split()
)
_ATTRIBUTES = frozenset(
    "display displaystyle scriptlevel mathvariant stretchy fence separator form accent accentunder "
    "linethickness width height depth lspace rspace minsize maxsize columnalign rowspacing "
    "columnspacing columnlines rowlines notation symmetric largeop movablelimits".split()
)


def formula_html(latex: str, *, block: bool) -> str:
    """Return a formula as MathML; as code if it is too long or is not understood."""
    if len(latex) <= MAX_FORMULA:
        try:
            root = ElementTree.fromstring(  # noqa: S314 - what the converter just wrote
                convert(latex, display="block" if block else "inline")
            )
            return _element(root)
        except Exception:  # noqa: S110 - the converter raises all kinds at bad input
            pass
    code = f"<code>{html.escape(latex)}</code>"
    return f'<pre tabindex="0">{code}</pre>' if block else code


def _element(element: ElementTree.Element) -> str:
    """Write an element anew, of known names only.

    Raises:
        ValueError: it has a name that is not known.
    """
    name = element.tag.removeprefix(_NAMESPACE)
    if name not in _ELEMENTS:
        raise ValueError(name)
    attributes = "".join(
        f' {key}="{html.escape(value)}"'
        for key, value in element.attrib.items()
        if key in _ATTRIBUTES
    )
    content = html.escape(element.text or "") + "".join(
        _element(child) + html.escape(child.tail or "") for child in element
    )
    return f"<{name}{attributes}>{content}</{name}>"
