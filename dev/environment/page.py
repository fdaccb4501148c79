"""static/description/index.html, which Odoo and its Apps store show, from README.md.

The README is the one source. Of Markdown this knows what the README uses: headings,
paragraphs, lists, tables, pictures, and within a line bold, italic, code and links. It
needs Python alone, so that a test can see whether the page is as the README says.
"""

import html
import re
from pathlib import PurePosixPath

# About the checkout, or about files that the addon is installed without
LEFT_OUT = {"Guides", "Try it", "Install"}
PICTURES = "static/description"
IMAGE = re.compile(r"!\[(?P<alt>[^]]*)\]\((?P<path>[^)]+)\)")
START = "<!-- Made from README.md by `make page`: change that, not this. -->"


def render(text):
    """Return the page of a README, as HTML without scripts and without links.

    :raises ValueError: about a picture that doesn't come with the page
    """
    sections = [[]]
    for block in re.split(r"\n{2,}", text.strip()):
        heading = block.startswith("## ")
        if heading:
            sections.append([])
        sections[-1].append(block)
    lines = [START]
    for blocks in sections:
        title = blocks[0].lstrip("# ")
        if title in LEFT_OUT:
            continue
        lines.append('<section class="container py-3">')
        for block in blocks:
            lines += [f"    {line}" for line in _render_block(block)]
        lines.append("</section>")
    return "\n".join(lines) + "\n"


def _render_block(block):
    if block.startswith("# "):
        return [f"<h1>{_render_inline(block[2:])}</h1>"]
    if block.startswith("## "):
        return [f"<h2>{_render_inline(block[3:])}</h2>"]
    if block.startswith("- "):
        items = re.split(r"\n- ", block[2:])
        lines = [f"    <li>{_render_inline(item)}</li>" for item in items]
        return ["<ul>", *lines, "</ul>"]
    if block.startswith("|"):
        return _render_table(block.splitlines())
    image = IMAGE.fullmatch(block)
    if image:
        return [_render_image(image["path"], image["alt"])]
    return [f"<p>{_render_inline(block)}</p>"]


def _render_table(rows):
    head, _, *body = ([cell.strip() for cell in row.split("|")[1:-1]] for row in rows)
    lines = ["    <thead>", *_render_row("th", head), "    </thead>", "    <tbody>"]
    for row in body:
        lines += _render_row("td", row)
    return [
        # A phone scrolls the table, not the page
        '<div class="table-responsive">',
        '<table class="table table-sm">',
        *lines,
        "    </tbody>",
        "</table>",
        "</div>",
    ]


def _render_row(tag, cells):
    lines = [f"            <{tag}>{_render_inline(cell)}</{tag}>" for cell in cells]
    return ["        <tr>", *lines, "        </tr>"]


def _render_image(path, alt):
    path = PurePosixPath(path)
    if str(path.parent) != PICTURES:
        raise ValueError(f"{path} isn't in {PICTURES}, so the page can't show it")
    return (
        f'<img src="{path.name}" alt="{html.escape(alt)}" '
        'class="img-fluid d-block mx-auto my-4 border rounded shadow-sm" />'
    )


def _render_inline(text):
    text = html.escape(" ".join(text.split()), quote=False)
    # Links lead to files that the page comes without, or out of the store
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)
    return re.sub(r"\*([^*]+)\*", r"<i>\1</i>", text)
