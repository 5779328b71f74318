"""The report's page as the tests read it."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Collects tags, text and table rows, and fails on tags that are not closed in order."""

    VOID = ("meta", "wbr")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.rows = [], [], [""], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag in self.VOID:
            return
        self.open.append(tag)
        self.text.append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append(["", []])  # text, plots

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.text.append("")

    def handle_data(self, text):
        self.text[-1] += text.replace("\N{NO-BREAK SPACE}", " ")
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1][0] += text.replace("\N{NO-BREAK SPACE}", " ")

    def lines(self, name):
        """Cells of the table rows that begin with a name: their text."""
        return [[text for text, _ in row] for row in self.rows if row[0][0].startswith(name)]
